"""The command `automl`, and `python -m automl`: nothing but an end without a traceback at any moment."""

from __future__ import annotations

import sys

from automl.interrupts import interrupted


def main() -> None:
    """Run a command; a Ctrl-C that comes while its code is still being loaded is a Ctrl-C too."""
    try:
        from automl.cli import main as run

        run()
    except KeyboardInterrupt:
        interrupted()
        sys.exit(130)


if __name__ == "__main__":
    main()
