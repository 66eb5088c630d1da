"""What faulthandler wrote about a process that hangs: where in the trainer it was.

Knows no process and no signal, only the text.
"""

from __future__ import annotations

import re
from pathlib import Path

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x[0-9a-f]+.*:$", re.MULTILINE)
_FRAME = re.compile(r'^ {2}File "(?P<file>.+)", line (?P<line>\d+) in (?P<name>.+)$', re.MULTILINE)
_TRAINING = re.compile(r'^ {2}File ".+", line \d+ in _train$', re.MULTILINE)


def dumped(log: Path, start: int) -> str:
    """The stacks in a log since a position, in bytes; empty where there are none."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    found = _THREAD.search(text)
    return text[found.start() :] if found else ""


def where(stacks: str, root: str) -> str | None:
    """`FILE:LINE in NAME`: the innermost frame of the training thread that is the project's own.

    Args:
        stacks: of all threads, the innermost frame first.
        root: the project's folder.

    Returns:
        the innermost frame at all where none is the project's; None where nothing trains.
    """
    threads = [text for text in _THREAD.split(stacks) if _TRAINING.search(text)]
    frames = [match for text in threads for match in _FRAME.finditer(text)]
    if not frames:
        return None
    own = [frame for frame in frames if frame["file"].startswith(f"{root}/")]
    frame = (own or frames)[0]
    return f"{frame['file'].removeprefix(f'{root}/')}:{frame['line']} in {frame['name']}"
