"""Where a project begins. Knows nothing of what lies in it."""

from __future__ import annotations

from pathlib import Path

MARK = "trainers"


def find_root(start: Path) -> Path:
    """The project's root: the nearest folder from `start` upwards that holds `trainers/`.

    Args:
        start: a search file, its folder, or the current directory.

    Returns:
        an absolute path; the folder of `start` itself where no folder above holds `trainers/`.
    """
    folder = Path(start).resolve()
    folder = folder.parent if folder.is_file() else folder
    for candidate in (folder, *folder.parents):
        if (candidate / MARK).is_dir():
            return candidate
    return folder
