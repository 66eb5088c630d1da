#!/usr/bin/env python3
"""Has this machine's Ray node leave before it is taken away: trials write a checkpoint and go on elsewhere.

    leave.py                                                # now, as in a container's preStop hook
    leave.py --notice aws                                   # once the cloud says that it takes the machine
    leave.py -- ray start --block --address=HEAD:6379       # runs that; SIGTERM has its node leave first

The node is drained by Ray, which gives it no more trials; a search then has those on it leave. It waits
until they have, or time is over. Knows Ray's nodes and the clouds' notices; nothing of searches.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence

import psutil

LOOK_S = 0.5
NOTICE_S = 5.0
REASON = "DRAIN_NODE_REASON_PREEMPTION"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """How to leave, and the command after `--`, if any."""
    parser = argparse.ArgumentParser(prog="leave.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--within", type=int, default=45, help="seconds until trials must have left")
    parser.add_argument("--notice", choices=sorted(NOTICES), help="wait for this cloud's notice first")
    parser.add_argument("--metadata", help="another address of its metadata server")
    parser.add_argument("command", nargs="*", help="what runs meanwhile, after --")
    parsed = parser.parse_args(given)
    if parsed.within < 1:
        parser.error("--within must be at least 1")
    if parsed.metadata and not parsed.notice:
        parser.error("--metadata is of --notice")
    return parsed


def raylets(processes: Iterable[psutil.Process]) -> dict[psutil.Process, tuple[str, str]]:
    """Those of the processes that are a node of Ray: its id, and its cluster's address."""
    found = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            words = dict(word.partition("=")[::2] for word in process.cmdline())
            if "--node_id" in words and "--gcs-address" in words:
                found[process] = (words["--node_id"], words["--gcs-address"])
    return found


def drain(node: str, address: str, within_s: int) -> bool:
    """Tell Ray that the node goes; False where it does not hear, and says why on stderr."""
    ray = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", f"--address={address}"]
    words = [f"--node-id={node}", f"--reason={REASON}", "--reason-message=it is taken away"]
    said = subprocess.run([*ray, *words, f"--deadline-remaining-seconds={within_s}"], stdout=subprocess.PIPE)
    return said.returncode == 0


def leave(processes: Iterable[psutil.Process], within_s: int) -> bool:
    """Have the nodes among the processes leave, and wait until they have; False where one did not."""
    end_s = time.monotonic() + within_s
    nodes = raylets(processes)
    told = {process for process, (node, address) in nodes.items() if drain(node, address, within_s)}
    while told and time.monotonic() < end_s:
        told = {process for process in told if busy(process)}
        time.sleep(LOOK_S)
    return bool(nodes) and not told


def busy(raylet: psutil.Process) -> bool:
    """Whether the node is still there."""
    return raylet.is_running() and raylet.status() != psutil.STATUS_ZOMBIE


def run(command: Sequence[str], within_s: int) -> int:
    """The command, and its exit code; SIGTERM first has its nodes leave."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))
    child = psutil.Popen(command, start_new_session=True)
    while child.poll() is None and not asked:
        time.sleep(LOOK_S)
    if asked and child.poll() is None:
        leave(child.children(recursive=True), within_s)
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(asked[0])
    return int(child.wait())


def noticed_by_aws(base: str) -> bool:
    """Whether Amazon takes this spot instance: its metadata have the page then, two minutes before."""
    token = ask(f"{base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    return ask(f"{base}/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token}) != ""


def noticed_by_gcp(base: str) -> bool:
    """Whether Google takes this spot machine; half a minute before."""
    page = f"{base}/computeMetadata/v1/instance/preempted"
    return ask(page, {"Metadata-Flavor": "Google"}).strip() == "TRUE"


NOTICES = {
    "aws": (noticed_by_aws, "http://169.254.169.254"),
    "gcp": (noticed_by_gcp, "http://metadata.google.internal"),
}


def ask(url: str, headers: dict[str, str], method: str = "GET") -> str:
    """What a page says; empty where there is none, or nobody answers."""
    request = urllib.request.Request(url, headers=headers, method=method)
    with (
        contextlib.suppress(urllib.error.HTTPError, OSError),
        urllib.request.urlopen(request, timeout=NOTICE_S) as answer,
    ):
        return str(answer.read().decode())
    return ""


def here() -> list[psutil.Process]:
    """This user's processes."""
    own = os.getuid()
    return [each for each in psutil.process_iter(["uids"]) if (each.info["uids"] or (None,))[0] == own]


def main() -> int:
    wanted = arguments(sys.argv[1:])
    if wanted.command:
        return run(wanted.command, wanted.within)
    if wanted.notice:
        noticed, usual = NOTICES[wanted.notice]
        while not noticed(wanted.metadata or usual):
            time.sleep(NOTICE_S)
    return 0 if leave(here(), wanted.within) else 1


if __name__ == "__main__":
    sys.exit(main())
