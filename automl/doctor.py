"""What of the surroundings works, and the mend of what does not. Starts nothing and keeps nothing."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from automl import credentials, storage
from automl.exposure import exposed
from automl.urls import mask_url, resolve_url

VERSIONS = (
    "automl",
    "ray",
    "optuna",
    "torch",
    "pytorch-lightning",
    "tensorflow",
    "keras",
    "mlflow",
    "sqlalchemy",
    "scikit-learn",
    "numpy",
)
LOW_DISK_BYTES = 1_000_000_000
PYTHONS = ((3, 11), (3, 14))
ALIASES: Mapping[str, str] = {"tensorflow": "tensorflow-cpu"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Args:
        name: what it is.
        ok: whether it works.
        what: what was seen, passwords masked.
        mend: what to do about it; empty when it works.
    """

    name: str
    ok: bool
    what: str
    mend: str = ""


def examine(root: Path) -> list[Finding]:
    """Look at everything that a search in this project needs.

    Args:
        root: the project's folder.
    """
    checks: list[Callable[[], list[Finding]]] = [
        _python,
        _versions,
        _machine,
        _gpus,
        _ray,
        _exposure,
        _secret_files,
        lambda: [_project(root), _ledger(root), _tracking(root), _storage(root), _disk(root)],
    ]
    return [finding for check in checks for finding in check()]


def _python() -> list[Finding]:
    known = PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]
    mend = "" if known else "Make the environment with Python 3.11, 3.12 or 3.13"
    return [Finding("python", known, f"{platform.python_version()} at {sys.executable}", mend)]


def _versions() -> list[Finding]:
    return [_version(name) for name in VERSIONS]


def _version(name: str) -> Finding:
    for each in (name, ALIASES.get(name, name)):
        try:
            return Finding(name, True, metadata.version(each))
        except metadata.PackageNotFoundError:
            continue
    return Finding(name, False, "not installed", f"pip install -c constraints.txt {name}")


def _machine() -> list[Finding]:
    memory = psutil.virtual_memory()
    enough = memory.available > 500_000_000
    free = f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB"
    return [
        Finding("cpus", True, f"{len(os.sched_getaffinity(0))} ({platform.machine()})"),
        Finding("memory", enough, free, "" if enough else "End something, or run fewer trials at once"),
    ]


def _gpus() -> list[Finding]:
    if not shutil.which("nvidia-smi"):
        return [Finding("gpus", True, "none (there is no nvidia-smi)")]
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    mend = "Run nvidia-smi and mend the driver"
    try:
        asked = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Finding("gpus", False, f"nvidia-smi: {error}", mend)]
    if asked.returncode:
        return [Finding("gpus", False, (asked.stdout + asked.stderr).strip().splitlines()[0], mend)]
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES={hidden!r})"
    return [Finding("gpus", True, "; ".join(asked.stdout.strip().splitlines()) + seen)]


def _ray() -> list[Finding]:
    address = os.environ.get("RAY_ADDRESS")
    if not address or address == "local":
        return [
            Finding("ray cluster", True, "none joined: a search starts a local Ray (RAY_ADDRESS is unset)")
        ]
    if address == "auto":
        return [Finding("ray cluster", True, "RAY_ADDRESS=auto: whichever runs on this machine")]
    parts = urlsplit(address if "://" in address else f"//{address}")
    port = parts.port or 10001
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=5):
            return [Finding("ray cluster", True, f"{mask_url(address)} answers")]
    except OSError as error:
        mend = "Start it, mend RAY_ADDRESS, or unset it for a local Ray"
        return [Finding("ray cluster", False, f"{mask_url(address)}: {error.strerror or error}", mend)]


def _exposure() -> list[Finding]:
    try:
        found = exposed()
    except OSError as error:
        return [Finding("exposure", True, str(error))]
    if not found:
        return [Finding("exposure", True, "no port of Ray or MLflow is open to others without a login")]
    what = "{0.place} is reachable from outside and asks for no login"
    return [Finding(each.name, False, what.format(each), each.mend) for each in found]


def _secret_files() -> list[Finding]:
    token = credentials.token_file_fault()
    faults = [*credentials.file_faults(), *([token] if token else [])]
    return [Finding("secrets", False, f"{each.where}: {each.what}", each.mend) for each in faults]


def _project(root: Path) -> Finding:
    there = (root / "trainers").is_dir()
    mend = "" if there else "Go to a folder with trainers/, or make one: automl init DIR"
    return Finding("project", there, str(root) if there else f"no trainers/ at or above {root}", mend)


def _ledger(root: Path) -> Finding:
    from automl.ledger import probe

    url = resolve_url(os.environ.get("AUTOML_LEDGER") or "sqlite:///automl.db", root)
    wrong = probe(url)
    mend = "Start the server, or mend AUTOML_LEDGER" if wrong else ""
    return Finding("ledger", wrong is None, mask_url(url) + (f": {wrong}" if wrong else ""), mend)


def _tracking(root: Path) -> Finding:
    from automl.plan import probe_tracking

    uri = resolve_url(os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db", root)
    wrong = probe_tracking(uri)
    mend = "Start it with: mlflow server, or mend MLFLOW_TRACKING_URI" if wrong else ""
    return Finding("tracking", wrong is None, mask_url(uri) + (f": {wrong}" if wrong else ""), mend)


def _storage(root: Path) -> Finding:
    place = str(root / "runs")
    wrong = storage.probe(place, "doctor")
    mend = "Make it yours, or name another folder as storage" if wrong else ""
    return Finding("storage", wrong is None, place + (f": {wrong}" if wrong else ""), mend)


def _disk(root: Path) -> Finding:
    folder = next(each for each in (root, *root.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    mend = "" if free > LOW_DISK_BYTES else "Remove old runs/, or name another folder as storage"
    return Finding("disk", free > LOW_DISK_BYTES, f"{free / 1e9:.1f} GB free at {folder}", mend)
