"""Prints what an image installs before this project's own code: its dependencies, and MLflow's login.

    python infra/requirements.py cpu|cuda

Knows pyproject.toml; the versions are in constraints.txt.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

VARIANTS: dict[str, dict[str, str]] = {"cpu": {}, "cuda": {"tensorflow": "tensorflow[and-cuda]"}}
LOGIN = "mlflow[auth]"


def requirements(variant: str, pyproject: Path) -> list[str]:
    """The project's dependencies in the form that a variant wants.

    Raises:
        KeyError: there is no such variant.
    """
    other = VARIANTS[variant]
    listed = tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    return [_renamed(line, other) for line in listed] + [LOGIN]


def _renamed(line: str, other: dict[str, str]) -> str:
    name = line.split(">=")[0]
    return line.replace(name, other.get(name, name), 1)


def main() -> int:
    variant = sys.argv[1] if len(sys.argv) == 2 else ""
    if variant not in VARIANTS:
        print(f"requirements.py: VARIANT is {variant!r}. Try one of: {', '.join(VARIANTS)}", file=sys.stderr)
        return 2
    print("\n".join(requirements(variant, Path("pyproject.toml"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
