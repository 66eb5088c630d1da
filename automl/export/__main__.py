"""The publisher process: one order on stdin, one answer on stdout. `python -m automl.export`.

The first line, `{"framework": name}`, says what to import until the order comes, which is `Order` as
JSON; without one, its driver has thought better of it. The answer is
`{"path", "format", "verified", "seconds", "note"?}` or `{"error": one line}`, with exit status 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from automl import guard
from automl.errors import AutoMLError
from automl.export.base import Order

IMPORTS: Mapping[str, tuple[str, ...]] = {
    "lightning": ("torch", "pytorch_lightning", "mlflow.pytorch"),
    "keras": ("keras", "mlflow.tensorflow"),
    "function": ("sklearn", "skops.io"),
}


def main() -> int:
    """The whole life of the process."""
    guard.die_with_parent()
    # The project's code and the frameworks print; stdout is kept for the answer alone.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with _prepared(json.loads(sys.stdin.readline())["framework"]) as verifier:
        line = sys.stdin.readline()
        if not line:
            return 0
        answer = _answer(Order(**json.loads(line)), verifier)
    out.write(json.dumps(answer) + "\n")
    out.flush()
    return 1 if "error" in answer else 0


@contextlib.contextmanager
def _prepared(framework: str) -> Iterator[Any]:
    """The process that will verify, and both with their imports behind them."""
    from automl.export.verify import Verifier
    from automl.trackers import flavors

    with Verifier(framework) as verifier:
        # What fails here fails again where it is needed, and is told there.
        with contextlib.suppress(Exception):
            flavors.warm(IMPORTS[framework])
        yield verifier


def _answer(order: Order, verifier: Any) -> dict[str, object]:
    try:
        from automl.export.mlflow_model import build, one_line

        return build(order, verifier)
    except AutoMLError as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": one_line(error)}


if __name__ == "__main__":
    # Not sys.exit: a framework's threads must not keep the process.
    code = main()
    os._exit(code)
