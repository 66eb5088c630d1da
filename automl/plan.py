"""The plan of a run: where everything of a search is, and what of it cannot work. Changes nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from automl import credentials, packing, project, storage
from automl.engines.base import Engine
from automl.errors import Fault, InputError
from automl.host import Host
from automl.search import Search
from automl.urls import as_known, mask_url, resolve_url

INSPECT_S = 120.0
_VERSIONS = ("automl", "ray", "optuna", "torch", "pytorch-lightning", "tensorflow", "keras", "mlflow")


@dataclass(frozen=True)
class Plan:
    """A search with everything that its file leaves to the project and the environment.

    Args:
        search: as the file has it.
        root: the project's folder.
        ledger, tracking_uri: URLs, passwords included, SQLite paths absolute.
        storage: an absolute path or URL.
    """

    search: Search
    root: Path
    ledger: str
    storage: str
    tracking_uri: str | None

    @property
    def experiment(self) -> str:
        tracking = self.search.tracking
        return (tracking.experiment if tracking else None) or self.search.name


def plan(search: Search, ledger: str | None = None) -> Plan:
    """Where everything of a search is, without touching any of it.

    Args:
        search: the search.
        ledger: a URL that goes before the file's.
    """
    root = project.find_root(Path(search.file).parent if search.file else Path.cwd())
    where = ledger or search.ledger or os.environ.get("AUTOML_LEDGER") or "sqlite:///automl.db"
    where = as_known(where, "AUTOML_LEDGER")
    place = search.storage
    if not storage.is_remote(place):
        place = str(root / storage.local_path(place))
    uri = None
    if search.tracking:
        uri = search.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
        uri = resolve_url(as_known(uri, "MLFLOW_TRACKING_URI"), root)
    return Plan(search, root, resolve_url(where, root), place, uri)


def engine_for(name: str, root: Path, address: str | None = None, insecure: bool = False) -> Engine:
    """An engine by name: `ray` or `local`; a cluster without a token only if that is `insecure`."""
    if name == "local":
        from automl.engines.local import Local

        return Local(str(root))
    if name == "ray":
        from automl.engines.ray_tune import RayTune

        return RayTune(str(root), address, insecure)
    raise InputError(Fault("engine", f"there is no engine {name!r}", "Use ray or local"))


def inspect(
    planned: Plan, host: Host, meanwhile: Callable[[], None] = lambda: None
) -> tuple[list[Fault], dict[str, Any]]:
    """Import the trainers in a child process and compare their signatures with the search.

    Returns:
        The faults, and the signatures by trainer.
    """
    on_cpu = planned.search.resources.on_cpu  # where the workers that are asked may train later
    trainers = {
        name: {**asdict(trainer), "ranks": on_cpu(trainer.framework)["ranks"]}
        for name, trainer in planned.search.trainers.items()
    }
    signatures = host.inspect(trainers, INSPECT_S, meanwhile)
    return project.signature_faults(planned.search, signatures), signatures


def environment_faults(planned: Plan, engine: Engine | None = None) -> list[Fault]:
    """What of the surroundings cannot work: storage, ledger, tracking server, resources."""
    from automl.ledger import probe as probe_ledger

    search = planned.search
    unread = credentials.file_faults()
    faults = list(unread)
    if wrong := storage.probe(planned.storage, search.name):
        what = f"{mask_url(planned.storage)} cannot be written: {wrong}"
        faults.append(Fault("storage", what, _storage_mend(planned.storage)))
    if not unread and (wrong := probe_ledger(planned.ledger)):
        mend = "Check that the server runs and the URL is right, or leave it to sqlite:///automl.db"
        faults.append(Fault("ledger", f"{mask_url(planned.ledger)} cannot be used: {wrong}", mend))
    if planned.tracking_uri and (wrong := probe_tracking(planned.tracking_uri)):
        mend = "Start it with: mlflow server, or write tracking: false"
        what = f"{mask_url(planned.tracking_uri)} cannot be reached: {wrong}"
        faults.append(
            Fault("tracking.uri" if search.tracking and search.tracking.uri else "tracking", what, mend)
        )
    if engine is not None:
        faults += _resource_faults(search, engine)
        if not any(fault.where == "storage" for fault in faults):
            faults += _sharing_faults(planned.storage, engine)
    return faults


def _storage_mend(place: str) -> str:
    if place.startswith("s3://"):
        return "It needs pip install 'automl[s3]', and AWS_ENDPOINT_URL and credentials in the environment"
    return (
        "See that it is there and this user may write"
        if storage.is_remote(place)
        else "Name a folder of yours"
    )


def _sharing_faults(place: str, engine: Engine) -> list[Fault]:
    """A path is another disk on every machine, unless all of them mount the same."""
    mend = "Name a folder that all nodes share, or a URL such as s3://bucket/runs"
    if storage.is_remote(place):
        mend = "Give every node the address and the credentials of it, in the environment of its Ray"
    blind = engine.blind(place)
    return [
        Fault("storage", f"{mask_url(place)}: node {node} {wrong}", mend) for node, wrong in blind.items()
    ]


def _resource_faults(search: Search, engine: Engine) -> list[Fault]:
    wants = search.resources
    if wants.kind and (lacking := engine.narrow(wants.kind)):
        mend = "Ask for what is there, or join a cluster that has it"
        return [Fault(f"resources.{key}", what, mend) for key, what in lacking.items()]
    gpus = packing.extremes(wants.gpus, has_gpus(engine))[1]
    gives = engine.capacity(wants.cpus, gpus)
    faults = []
    for where, want, most in (("cpus", wants.cpus, gives.node_cpus), ("gpus", gpus, gives.node_gpus)):
        if want > most and not engine.grows:
            what = f"{want:g} {where} for each trial, but no node here has more than {most:g}"
            faults.append(
                Fault(f"resources.{where}", what, f"Ask for at most {most:g}, or join a larger cluster")
            )
    if not faults and gives.slots < 1 and not engine.grows:
        what = f"no node has {wants.cpus:g} cpus and {gpus:g} gpus together"
        faults.append(Fault("resources", what, "Ask for less, or join a larger cluster"))
    return faults


def has_gpus(engine: Engine) -> bool:
    """Whether an engine has GPUs at all."""
    return engine.capacity(0, 0).gpus > 0


def resource_notes(search: Search, engine: Engine) -> list[str]:
    """What a search's resources come to, where that may surprise."""
    wants, notes = search.resources, []
    if wants.gpus == "auto" and not has_gpus(engine):
        notes.append("resources.gpus: auto: there is no GPU here, so trials run on CPUs alone")
    least = packing.extremes(wants.gpus, has_gpus(engine))[0]
    if engine.capacity(wants.cpus, least).slots < 1 and engine.grows:
        notes.append(
            f"no node there has room for a trial ({wants.cpus:g} cpus, {least:g} gpus): the cluster is asked "
            "to grow, and the search waits. If none comes, look at what its nodes can have: ray status"
        )
    return notes


def probe_tracking(uri: str) -> str | None:
    """Whether a tracking server answers, or its database could be used; None, or what is wrong."""
    from automl.ledger import probe_other as probe_database

    if not uri.startswith(("http://", "https://")):
        return probe_database(uri) if "://" in uri else None
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(_health(uri), timeout=5):
            return None
    except urllib.error.HTTPError as error:
        # Anything that answers is a server; one behind a login answers 401 here and is asked later.
        return None if error.code in (401, 403, 404) else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def _health(uri: str) -> str:
    """A tracking server's own health page, without the login that a URI may carry.

    urllib takes a login for a part of the host's name; the page is open, or it answers 401.
    """
    parts = urlsplit(uri)
    return urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], f"{parts.path.rstrip('/')}/health", "", "")
    )


def versions() -> dict[str, str]:
    """Installed versions of what a search runs on, without importing any of it."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def git_commit(root: Path) -> str | None:
    """The commit that the project is at, with `+` when files differ from it; None outside of git."""
    try:
        asked = [
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10)
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.TimeoutExpired):
        return None
    commit = asked[0].stdout.strip()
    return f"{commit}+" if commit and asked[1].stdout.strip() else commit or None
