#!/usr/bin/env python3
"""Asks a Ray cluster that grows by itself for room, runs a command in it, and gives the room back.

    grow.py --slots 8 --cpus 1 -- automl search search_spaces/digits.yaml

A search runs as many trials at once as fit on the nodes that are there, so an autoscaler sees nothing
waiting and adds nothing. Here the whole room is asked for, and the command starts once one slot is there.
Knows Ray's autoscaler; nothing of what the command does.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

LOOK_S = 1.0


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What to ask for, and the command after `--`."""
    parser = argparse.ArgumentParser(prog="grow.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slots", type=int, required=True, help="how many trials at once")
    parser.add_argument("--cpus", type=float, default=1, help="of each trial, as in its resources")
    parser.add_argument("--gpus", type=float, default=0, help="of each trial, as in its resources")
    parser.add_argument("--wait", type=float, default=900, help="seconds to wait for the first slot")
    parser.add_argument("command", nargs="+", help="what runs then, after --")
    parsed = parser.parse_args(given)
    if parsed.slots < 1 or min(parsed.cpus, parsed.gpus) < 0 or not parsed.cpus + parsed.gpus:
        parser.error("--slots must be at least 1, and a slot must hold some --cpus or --gpus")
    return parsed


def bundle(cpus: float, gpus: float) -> dict[str, float]:
    """One slot, in Ray's words."""
    return {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}


def room(slot: dict[str, float]) -> bool:
    """Whether a node is there that holds one slot."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return any(all(has.get(name, 0) >= amount for name, amount in slot.items()) for has in nodes)


def knock(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT: Ray would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def ask(bundles: Sequence[dict[str, float]], wait_s: float) -> bool:
    """Tell the autoscaler what is wanted, in place of what was; True once the first of it is there."""
    import ray
    from ray.autoscaler.sdk import request_resources

    address = os.environ.get("RAY_ADDRESS", "auto")
    knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except ray.exceptions.AuthenticationError as error:
        raise ConnectionError("it wants a token: RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH") from error
    try:
        # Without an address `automl search` would start a Ray of its own.
        os.environ.setdefault("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
        request_resources(bundles=list(bundles))
        until = time.monotonic() + wait_s
        while bundles and not room(bundles[0]):
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_S)
        return True
    finally:
        ray.shutdown()


def release_after(pid: int) -> int:
    """Wait for the end of the process that started this one, however it ends; then the nodes may go."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.getppid() == pid:
        time.sleep(LOOK_S)
    try:
        ask([], 0)
    except OSError as error:
        print(f"grow.py: the room was not given back, the cluster does not answer: {error}", file=sys.stderr)
        return 1
    return 0


def become(command: Sequence[str]) -> int:
    """The command in place of this process, so that signals, exit code and terminal are its own."""
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        print(f"grow.py: {command[0]}: {error.strerror}. Name a program after --.", file=sys.stderr)
        return 2


def main() -> int:
    if sys.argv[1:2] == ["--after"]:
        return release_after(int(sys.argv[2]))
    wanted = arguments(sys.argv[1:])
    slot = bundle(wanted.cpus, wanted.gpus)
    try:
        there = ask([slot] * wanted.slots, wanted.wait)
    except OSError as error:
        print(f"grow.py: no Ray cluster answers: {error}. Set RAY_ADDRESS=HOST:6379.", file=sys.stderr)
        return 2
    subprocess.Popen([sys.executable, __file__, "--after", str(os.getpid())], start_new_session=True)
    if there:
        return become(wanted.command)
    print(
        f"grow.py: after {wanted.wait:g} s no node has {slot}. Look at the autoscaler's log, or ask for"
        " less: --cpus and --gpus are those of one trial.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
