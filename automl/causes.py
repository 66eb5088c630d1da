"""What an attempt died of, told from an exception or from how its process ended.

By names of types and by messages, so that no framework is imported for it: a worker has one of them,
a host none.

| cause | what it was |
|---|---|
| memory | out of memory, on the host or on a GPU |
| machine | the place, not the trainer: a CUDA error, a connection, a disk, a killed process |
| code | any other exception of what the user wrote |
"""

from __future__ import annotations

import errno
import hashlib
import re
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from automl.words import in_one_line

# A trainer that leaves by these has failed by its own code, as with any other exception; the worker
# itself is deaf to Ctrl-C, so it is never one of the terminal's.
LEAVING = (SystemExit, KeyboardInterrupt)
# Of an error, as facts and lists show it; the log has all of it.
ERROR_CHARACTERS = 500

# By the names of their types, wherever they come from: torch, TensorFlow, Python, this package.
_MEMORY_TYPES = frozenset({"OutOfMemoryError", "MemoryError", "ResourceExhaustedError", "CannotSplit"})
_MACHINE_TYPES = frozenset(
    {
        "StorageError",
        "ConnectionError",
        "TimeoutError",
        "Timeout",
        "ConnectTimeout",
        "EndpointConnectionError",
        "UnavailableError",
        "AbortedError",
    }
)
_MEMORY_TEXTS = re.compile(
    r"out of memory|out of shared memory|insufficient shared memory|RESOURCE_EXHAUSTED|std::bad_alloc"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|CUDA_ERROR_OUT_OF_MEMORY"
    r"|DefaultCPUAllocator|Cannot allocate memory|OOM when allocating",
    re.IGNORECASE,
)
# TensorFlow has one type for all that can run out.
_NOT_MEMORY = re.compile(r"No space left on device|Too many open files", re.IGNORECASE)
_GPU_TEXTS = re.compile(
    r"CUDA error|CUDA_ERROR_|CUDA driver|cuda runtime error|CUBLAS_STATUS|CUDNN_STATUS|cuDNN error|NCCL error"
    r"|HIP error|uncorrectable ECC|unspecified launch failure"
)
_LOST_TEXTS = re.compile(r"DataLoader worker .* (killed by signal|exited unexpectedly)")
# The one CUDA error that is the trainer's own: an index past the end, mostly.
# (Every CUDA error that torch raises offers "to enable device-side assertions".)
_ASSERT = re.compile(r"device-side assert triggered|CUDA_ERROR_ASSERT")
_MACHINE_ERRNOS = frozenset(
    {
        errno.EIO,
        errno.EREMOTEIO,
        errno.ESTALE,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.ENODEV,
        errno.ENXIO,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENETRESET,
        errno.ENOBUFS,
        errno.ENFILE,
    }
)


def of(error: BaseException) -> str:
    """The cause of a failure that ended with an exception: `memory`, `machine` or `code`.

    What an exception was raised `from` counts as well: a trainer that wraps what it met has not
    changed what it was. For memory, so does what was being handled: cleaning up after a failed
    allocation fails easily.
    """
    if any(_is_memory(each) for each in _chain(error, handled=True)):
        return "memory"
    return "machine" if any(_is_machine(each) for each in _chain(error, handled=False)) else "code"


def failed(error: BaseException) -> dict[str, Any]:
    """How an attempt ended that an exception ended, as a worker tells it."""
    trace = "".join(traceback.format_exception(error))
    return {
        "outcome": "failed",
        "cause": of(error),
        "error": line(error),
        "trace": trace[-4000:],
        "place": place_of(error),
        "spoilt": spoils(error),
    }


def line(error: BaseException) -> str:
    """An exception's type and text, in one line."""
    return in_one_line(f"{type(error).__name__}: {error}".removesuffix(": "), ERROR_CHARACTERS)


def of_death(how: str, oom_kills: int = 0) -> str:
    """The cause of a worker's end without a word.

    Args:
        how: the signal or the exit status, in words.
        oom_kills: how many processes around it the kernel has killed for memory meanwhile.
    """
    return "memory" if signal.SIGKILL.name in how and oom_kills > 0 else "machine"


def spoils(error: BaseException) -> bool:
    """Whether the process is no longer fit for another trial: a CUDA error stays, and so may memory."""
    if "CannotSplit" in _types(error):
        return False
    said = [str(each) for each in _chain(error, handled=True)]
    return of(error) == "memory" or any(_GPU_TEXTS.search(text) for text in said)


def place_of(error: BaseException) -> str | None:
    """A short hash of an exception's type and of the lines that it came through; the same for the same fault.

    Without the message, which may hold a number that changes. None for what this package itself met
    outside of the trainer's code, such as a storage that is away.
    """
    if "StorageError" in _types(error):
        return None
    frames = [f"{f.filename}:{f.lineno}:{f.name}" for f in traceback.extract_tb(error.__traceback__)]
    # Each line once: how deep a recursion went, or how often one object was raised, is no other fault.
    text = "\n".join([type(error).__name__, *dict.fromkeys(frames)])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def oom_kills(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """How many processes of this one's cgroup the kernel has killed for memory so far; 0 where unknown.

    Source: `memory.events` of cgroup v2, `memory.oom_control` of v1 (Linux' cgroup documentation).
    """
    for file in _counters(root, own):
        try:
            found = re.search(r"^oom_kill (\d+)$", file.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _counters(root: Path, own: Path) -> Iterator[Path]:
    """Where the counter may be; inside a container the own cgroup is often mounted as the root."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        lines = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        inside = path.lstrip("/")
        if controllers == "":
            yield from (root / inside / "memory.events", root / "memory.events")
        elif "memory" in controllers.split(","):
            place = root / "memory"
            yield from (place / inside / "memory.oom_control", place / "memory.oom_control")


def _is_memory(error: BaseException) -> bool:
    text = str(error)
    if _NOT_MEMORY.search(text):
        return False
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return bool(_types(error) & _MEMORY_TYPES or _MEMORY_TEXTS.search(text))


def _is_machine(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _MACHINE_ERRNOS:
        return True
    text = str(error)
    if _GPU_TEXTS.search(text):
        return not _ASSERT.search(text)
    return bool(_types(error) & _MACHINE_TYPES or _LOST_TEXTS.search(text) or _NOT_MEMORY.search(text))


def _types(error: BaseException) -> set[str]:
    return {each.__name__ for each in type(error).__mro__}


def _chain(error: BaseException, handled: bool) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        context = each.__context__ if handled and not each.__suppress_context__ else None
        each = each.__cause__ or context
