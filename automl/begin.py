"""A new project from the starter that ships inside the package. Overwrites nothing."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from automl.errors import AutoMLError, Fault, InputError

# Names that the wheel's builder or git would take for its own are spelled differently in the package.
_RENAMED = {"gitignore": ".gitignore"}


def begin(folder: Path) -> list[Path]:
    """Copy the starter project.

    Args:
        folder: made if need be; what lies in it already stays as it is.

    Returns:
        The files that were written.

    Raises:
        InputError: files of the starter, or one in the folder's own place, are there already; nothing
            was written.
    """
    with resources.as_file(resources.files("automl") / "starter") as starter:
        files = {path: folder / _target(path.relative_to(starter)) for path in _files(starter)}
        if there := [str(target) for target in files.values() if target.exists()]:
            raise InputError(
                Fault(str(folder), f"has {', '.join(sorted(there))} already", "Name another folder")
            )
        try:
            for path, target in files.items():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        except (FileExistsError, NotADirectoryError) as error:
            what = f"{error.filename or folder} is a file, and no folder"
            raise InputError(Fault(str(folder), what, "Name another folder")) from error
        except OSError as error:
            raise AutoMLError(f"{folder} cannot be written: {error.strerror or error}") from error
    return sorted(files.values())


def _files(starter: Path) -> list[Path]:
    return sorted(path for path in starter.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _target(path: Path) -> Path:
    return path.with_name(_RENAMED.get(path.name, path.name))
