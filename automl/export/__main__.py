"""The publisher process: one order, one answer, over the socket at its stdin. `python -m automl.export`.

The first line, `{"framework": name}`, says what to import until the order comes, which is
`Order` as JSON; without one, its driver has thought better of it. The answer is
`{"path", "format", "verified", "seconds", "note"?}` or `{"error": one line}`. It may be a fork of a
process that has imported the framework, and nothing of the project.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from automl import guard
from automl.errors import AutoMLError
from automl.export.base import NEEDLESS, Order

IMPORTS: Mapping[str, tuple[str, ...]] = {
    "lightning": ("torch", "pytorch_lightning", "mlflow.pytorch"),
    "keras": ("keras", "mlflow.tensorflow"),
    "function": ("sklearn", "skops.io"),
}


def main(server: int | None = None) -> NoReturn:
    """The whole life of the process.

    Args:
        server: given to a fork, which ends with its driver, and not with the process that it came from.
    """
    if server is None:
        guard.die_with_parent()
    else:
        _begin_anew()
    with open(os.dup(0), encoding="utf-8") as orders, open(os.dup(0), "w", encoding="utf-8") as answers:
        said = orders.readline()
        if not said:  # its driver waited no longer for its birth
            os._exit(0)
        with _prepared(json.loads(said)["framework"]) as verifier:
            if line := orders.readline():
                threading.Thread(target=_leave_with, args=(0,), daemon=True).start()
                answers.write(json.dumps(_answer(Order(**json.loads(line)), verifier)) + "\n")
                answers.flush()
        os._exit(0)  # a framework's threads must not keep the process


def _begin_anew() -> None:
    """In a fork: what an interpreter reads from its environment as it starts, or keeps.

    And a project's own `mlflow.py` is none of its business.
    """
    if sys.path[0] == os.getcwd():
        del sys.path[0]
    for name in [each for each in os.environ if each.startswith(NEEDLESS)]:
        del os.environ[name]
    tempfile.tempdir = None
    sys.dont_write_bytecode = True


def _leave_with(line: int) -> None:
    """End with the driver, at the other side of a socket, while this works for it."""
    poll = select.poll()
    poll.register(line, select.POLLRDHUP)
    poll.poll()
    os._exit(1)


@contextlib.contextmanager
def _prepared(framework: str) -> Iterator[Any]:
    """The process that will verify, and both with their imports behind them."""
    from automl.export.rehearsal import rehearse
    from automl.export.verify import FORKED, Verifier
    from automl.trackers import flavors

    with Verifier(framework) as verifier:
        # What fails here fails again where it is needed, and is told there.
        with contextlib.suppress(Exception):
            flavors.warm(IMPORTS[framework])
            if framework not in FORKED:  # else this process has done it before the verifier was forked off it
                rehearse(framework)
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
    main()
