"""Starts a worker once for each rank, by PyTorch's own launcher, and ends as the first that died.

The program between a worker's guards and its ranks; the launcher puts each of those into a session of
its own. Knows no trial.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from automl import guard
from automl.ranks import ALONE

# A rank that was told to leave by SIGTERM, because another one has died, is killed after so long.
_LEAVE_S = 1
# All ranks write their stacks within so long; a host waits a little longer.
_DUMP_S = 0.5


def main() -> None:
    """Run `AUTOML_WORKER`'s ranks until one of them ends."""
    said = json.loads(os.environ["AUTOML_WORKER"])
    scratch = Path(said["scratch"])
    guard.stand(scratch)
    signal.signal(guard.DUMP_SIGNAL, _pass_on)
    # All ranks are of this node; what they say to each other stays on it.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(_words(said["ranks"], scratch))
    except ChildFailedError as failed:
        code = failed.get_first_failure()[1].exitcode
        guard.leave_as(-code if code < 0 else code << 8)


def _words(ranks: int, scratch: Path) -> list[str]:
    """The launcher's options. It unpickles what it finds in its store: a file, then, and no open port."""
    options = {
        "--nproc-per-node": ranks,
        "--max-restarts": 0,
        "--rdzv-backend": "c10d",
        "--rdzv-conf": "store_type=file",
        "--rdzv-endpoint": scratch / "rendezvous",
        "--rdzv-id": "ranks",
        "--local-addr": "127.0.0.1",
        "--log-dir": scratch / "torchrun",
        "--signals-to-handle": "SIGTERM",
        "--shutdown-timeout": _LEAVE_S,
    }
    return [*(str(word) for pair in options.items() for word in pair), "-m", ALONE]


def _pass_on(number: int, _: Any) -> None:
    """To the ranks, one after the other, for they write into one log: nobody else knows of them."""
    ranks = psutil.Process().children()
    for each in ranks:
        with contextlib.suppress(psutil.Error):
            each.send_signal(number)
        time.sleep(_DUMP_S / len(ranks))


if __name__ == "__main__":
    main()
