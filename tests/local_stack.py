"""infra/local-stack/stack.py as a module: its folder's name is no name of a package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent.parent / "infra/local-stack/stack.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("automl_local_stack", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
