"""The publisher process: one order on stdin, one answer on stdout. `python -m automl.export`.

The order is `Order` as JSON; the answer is `{"path", "format", "verified", "seconds", "note"?}` or
`{"error": one line}`, with exit status 1.
"""

from __future__ import annotations

import json
import os
import sys

from automl import guard
from automl.errors import AutoMLError
from automl.export.base import Order


def main() -> int:
    """The whole life of the process."""
    guard.die_with_parent()
    # The project's code and the frameworks print; stdout is kept for the answer alone.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = Order(**json.loads(sys.stdin.readline()))
    answer = _answer(order)
    out.write(json.dumps(answer) + "\n")
    out.flush()
    return 1 if "error" in answer else 0


def _answer(order: Order) -> dict[str, object]:
    try:
        from automl.export.mlflow_model import build, one_line

        return build(order)
    except AutoMLError as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": one_line(error)}


if __name__ == "__main__":
    # Not sys.exit: a framework's threads must not keep the process.
    code = main()
    os._exit(code)
