"""Plain callables that succeed, or come to grief in every way that a trial can.

Those that come to grief share their arguments:
    x: the trial's parameter; reported `loss` is its square, plus one over the step.
    above: only trials whose x is larger come to grief.
    at: the step at which they do, from 1, before it is reported.
    steps: how many steps a trial that stays well takes.
    once_in: a folder; each trial comes to grief only at its first attempt, and notes it there.
    sleep: seconds that each step takes.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVERY = float("-inf")


def quadratic(trial: Any, x: float, y: float = 0.0, steps: int = 3, sleep: float = 0.0) -> None:
    """`loss` falls to x² + y², half the way at every step."""
    for step in range(1, steps + 1):
        time.sleep(sleep)
        trial.report({"loss": x**2 + y**2 + 0.5**step}, step=step)


def two_objectives(trial: Any, x: float, y: float = 0.0, steps: int = 1) -> None:
    """`near` and `far` pull x apart."""
    for step in range(1, steps + 1):
        trial.report({"near": x**2 + y**2, "far": (x - 1) ** 2 + y**2}, step=step)


def resumes(trial: Any, x: float, steps: int = 5, sleep: float = 0.0, report_first: int = 0) -> None:
    """Goes on from its checkpoint; `first` is the step at which this attempt began.

    A step is saved and then reported, so that a stopped trial has it; one that is killed between the two
    never reports it, but for `report_first`.
    """
    found = trial.load_checkpoint()
    first = int((Path(found) / "step.txt").read_text()) + 1 if found else 1
    for step in range(first, steps + 1):
        time.sleep(sleep)
        metrics = {"loss": x**2 + 0.5**step, "first": first}
        if report_first:
            trial.report(metrics, step=step)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "step.txt").write_text(str(step))
            trial.save_checkpoint(folder)
        if not report_first:
            trial.report(metrics, step=step)


def crashes(
    trial: Any,
    x: float = 0.0,
    above: float = EVERY,
    at: int = 1,
    steps: int = 3,
    once_in: str | None = None,
    sleep: float = 0.0,
) -> None:
    """Raises."""

    def grief() -> None:
        raise RuntimeError(f"boom at step {at}")

    _steps(trial, x, steps, sleep, _when(trial, x, above, at, once_in, grief))


def returns_nan(trial: Any, x: float = 0.0, above: float = EVERY, at: int = 1, steps: int = 3) -> None:
    """Reports a loss that is not a number."""

    def grief() -> None:
        trial.report({"loss": float("nan")}, step=at)

    _steps(trial, x, steps, 0.0, _when(trial, x, above, at, None, grief))


def never_reports(trial: Any, x: float = 0.0, above: float = EVERY, steps: int = 3) -> None:
    """Reports `lost` in the place of `loss`."""
    for step in range(1, steps + 1):
        trial.report({"lost" if x > above else "loss": x**2}, step=step)


def hangs(
    trial: Any,
    x: float = 0.0,
    above: float = EVERY,
    at: int = 1,
    steps: int = 3,
    once_in: str | None = None,
    sleep: float = 0.0,
) -> None:
    """Sleeps for an hour, deaf to SIGTERM."""

    def grief() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)

    _steps(trial, x, steps, sleep, _when(trial, x, above, at, once_in, grief))


def exits(
    trial: Any,
    x: float = 0.0,
    above: float = EVERY,
    at: int = 1,
    steps: int = 3,
    once_in: str | None = None,
    sleep: float = 0.0,
) -> None:
    """Ends its process with status 3, without a word."""
    _steps(trial, x, steps, sleep, _when(trial, x, above, at, once_in, lambda: os._exit(3)))


def killed(
    trial: Any,
    x: float = 0.0,
    above: float = EVERY,
    at: int = 1,
    steps: int = 3,
    once_in: str | None = None,
    sleep: float = 0.0,
) -> None:
    """Kills its process, as the kernel does when memory is short."""

    def grief() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _steps(trial, x, steps, sleep, _when(trial, x, above, at, once_in, grief))


def talks(trial: Any, x: float = 0.0, text: str = "hello") -> None:
    """Writes to both streams, which are the trial's log."""
    print(text, flush=True)
    os.write(2, f"{text} on stderr\n".encode())
    trial.report({"loss": x**2}, step=1)


def tells(trial: Any, x: float = 0.0) -> None:
    """Reports what it was given: `number`, `seed`, `cpus`, `gpus`, and its process as `pid`."""
    given = {"number": trial.number, "seed": trial.seed, "pid": os.getpid()}
    amounts = {name: trial.resources.get(name, 0) for name in ("cpus", "gpus")}
    trial.report({"loss": x**2, **given, **amounts}, step=1)


def _when(
    trial: Any, x: float, above: float, at: int, once_in: str | None, grief: Callable[[], None]
) -> Callable[[int], None]:
    """`grief` at step `at`, for the trials and attempts that are meant to have it."""

    def check(step: int) -> None:
        if step == at and x > above and _first(trial, once_in):
            grief()

    return check


def _first(trial: Any, once_in: str | None) -> bool:
    if once_in is None:
        return True
    mark = Path(once_in) / f"grief-{trial.number}"
    if mark.exists():
        return False
    mark.touch()
    return True


def _steps(trial: Any, x: float, steps: int, sleep: float, check: Callable[[int], None]) -> None:
    for step in range(1, steps + 1):
        time.sleep(sleep)
        check(step)
        trial.report({"loss": x**2 + 1 / step}, step=step)
