"""The command `automl`, and `python -m automl`: nothing but an end without a traceback at any moment."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; a Ctrl-C that comes while its code is still being loaded is a Ctrl-C too."""
    try:
        from automl.cli import main as run

        run()
    except KeyboardInterrupt:
        interrupted()
        sys.exit(130)


def interrupted() -> None:
    """Have Python end with the status that it is told, although there was an interrupt.

    One that comes inside `exec("text")`, as dataclasses do while they are imported, CPython takes for
    one that nobody will handle: `python -m automl` would end by SIGINT, unless another `exec` comes after.
    """
    exec("")


if __name__ == "__main__":
    main()
