"""What an attempt died of, told from exceptions, from how a process ended and from the kernel's counts."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import ray.exceptions
import torch

from automl import causes

# What torch 2.11 adds to the message of every CUDA error, as an H200 showed it.
TORCH_ADDS = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with "
    "`TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "memory"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (ResourceExhaustedError("OOM when allocating tensor with shape[9]"), "memory"),
        (ResourceExhaustedError("runs/x; No space left on device"), "machine"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "machine"),
        (RuntimeError("CUDA error: device-side assert triggered" + TORCH_ADDS), "code"),
        (RuntimeError("CUDA error: an illegal memory access was encountered" + TORCH_ADDS), "machine"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "machine"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "machine"),
        (ConnectionResetError("reset"), "machine"),
        (TimeoutError(), "machine"),
        (OSError(errno.EIO, "Input/output error"), "machine"),
        (OSError(errno.ESTALE, "Stale file handle"), "machine"),
        (FileNotFoundError(errno.ENOENT, "no such file"), "code"),
        (ValueError("shapes differ"), "code"),
        (SystemExit(3), "code"),
    ],
)
def test_an_exception_tells_what_it_was(error: BaseException, cause: str) -> None:
    assert causes.of(error) == cause


def test_what_really_runs_out_of_memory_is_recognised() -> None:
    for allocate in (lambda: torch.empty(10**15), lambda: bytearray(10**15)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        assert causes.of(caught.value) == "memory"


def raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def wrapping(inner: Exception, outer: Exception, chained: bool) -> BaseException:
    def act() -> None:
        try:
            raise inner
        except Exception as error:
            if chained:
                raise outer from error
            raise outer  # noqa: B904 - without `from` on purpose

    return raised(act)


def test_a_wrapped_exception_is_what_it_wraps() -> None:
    assert causes.of(wrapping(ConnectionError("x"), RuntimeError("loading failed"), True)) == "machine"
    assert causes.of(wrapping(MemoryError(), RuntimeError("cleaning up failed"), False)) == "memory"
    assert causes.of(wrapping(ConnectionError("x"), NameError("typo"), False)) == "code"


def test_the_place_of_an_exception_is_its_lines_and_not_its_words() -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    first, second = raised(lambda: fail(1)), raised(lambda: fail(2))
    other = raised(lambda: [].pop())
    # The lambdas stand on one line, so the lines that both came through are the same.
    assert causes.place_of(first) == causes.place_of(second) != causes.place_of(other)


def test_what_breaks_the_device_or_the_memory_spoils_the_process() -> None:
    assert causes.spoils(RuntimeError("CUDA error: device-side assert triggered"))
    assert causes.spoils(MemoryError())
    assert not causes.spoils(ConnectionError())
    assert not causes.spoils(ValueError())


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("0::/job/worker", "job/worker/memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 0\n"),
        ("0::/hidden/by/a/container", "memory.events", "oom_kill 3\n"),
        ("4:memory:/job", "memory/job/memory.oom_control", "under_oom 0\noom_kill 3\n"),
    ],
)
def test_the_kernels_count_of_kills_is_read(tmp_path: Path, line: str, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    own = tmp_path / "own"
    own.write_text(f"1:cpu:/\n{line}\n")
    assert causes.oom_kills(tmp_path, own) == 3
    assert causes.oom_kills(tmp_path / "nothing", own) == 0
    assert causes.of_death("killed by SIGKILL", 1) == "memory"
    assert causes.of_death("killed by SIGKILL", 0) == "machine"
    assert causes.of_death("killed by SIGSEGV", 1) == "machine"


def test_ray_names_its_kills_for_memory_as_the_engine_expects() -> None:
    assert issubclass(ray.exceptions.OutOfMemoryError, ray.exceptions.RayError)
    assert not issubclass(ray.exceptions.OutOfMemoryError, ray.exceptions.RayActorError)
