"""Sends a search to a Ray cluster: checked here, its driver there, where it outlives whoever sent it.

The same search with the same files is the same submission, however often it is sent. Nothing secret
travels: the cluster has its own passwords, and URLs go without theirs.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl import bundle, credentials, lookup, machine, storage
from automl.errors import ChangedSearch, Fault, InputError, LeaseHeld, NoLedger, NoSuchSearch
from automl.host import Host
from automl.plan import Plan, inspect, plan
from automl.search import Search
from automl.urls import mask_url, without_password

if TYPE_CHECKING:
    from automl.engines.ray_jobs import Job, Jobs

# The file of a search that came from Python, in the bundle.
GENERATED = "automl-submitted.yaml"
# A driver that dies is started again after so long; one that ends by itself is not.
AGAIN_S = 10
# From a driver's last fact to the end of its job, at most.
LEAVES_S = 30.0
_ENDS = "0|1|2|130|143"


@dataclass(frozen=True)
class Submission:
    """A search whose driver is on a cluster.

    Attributes:
        name: the search's.
        address: of the cluster's job server.
        id: the job's.
        new: whether this call sent it; else it was there already.
        ledger: its ledger's URL, as this process reaches it.
    """

    name: str
    address: str
    id: str
    new: bool
    ledger: str = field(repr=False)

    def status(self) -> str:
        """What the job server says of its driver: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
        return next((job.status for job in _jobs(self.address).of(self.name) if job.id == self.id), "GONE")

    def log(self) -> str:
        """What its driver has printed so far."""
        return _jobs(self.address).log(self.id)

    def show(self) -> dict[str, Any]:
        """The same facts as `automl show NAME --json`.

        Raises:
            NoSuchSearch: its driver has not begun yet.
        """
        from automl.results import show

        found = lookup.find(self.name, self.ledger)
        return show(found.history, found.alive)


@dataclass(frozen=True)
class Wish:
    """How a search is to be sent.

    Args:
        address: of the cluster's job server, such as https://HOST:8265.
        overrides: `KEY=VALUE` each, as they were given to the file.
        changed: carry on although objective, trainer or space, or the project's files, changed.
        supervise: start the driver again whenever it is killed.
        python: the interpreter that has automl, on the cluster's head; None looks for one.
        ledger: a URL that goes before the search's own.
        insecure: although there is no token for the cluster.
    """

    address: str
    overrides: Sequence[str] = ()
    changed: bool = False
    supervise: bool = False
    python: str | None = None
    ledger: str | None = None
    insecure: bool = False


def submit(search: Search, wish: Wish) -> Submission:
    """Check a search, send it, and return at once.

    Raises:
        InputError: everything that is wrong with it, here or for a cluster; nothing was sent.
        ChangedSearch: the ledger has this name with another objective, trainer or space.
        LeaseHeld: a driver of it runs, with other files or elsewhere.
    """
    if fault := credentials.token_fault(wish.address, wish.insecure):
        raise InputError(fault)
    planned = plan(search, wish.ledger)
    names = bundle.files(planned.root)
    found = [*cluster_faults(planned), *_trainer_faults(planned), *bundle.faults(planned.root, names)]
    if found:
        raise InputError(search.located(found))
    with tempfile.TemporaryDirectory(prefix="automl-submit-") as place:
        packed = bundle.pack(planned.root, names, Path(place) / "project.zip")
        file, extra = _file_in(planned, names, packed.path)
        command = _command(planned, wish, file)
        digest = hashlib.sha256("\0".join([packed.digest, extra, *command]).encode()).hexdigest()[:12]
        return _send(planned, wish, packed.path, command, digest)


def resume(found: lookup.Found, wish: Wish) -> Submission:
    """Send a search again, as the ledger has it, with the project's files of now.

    Raises:
        LeaseHeld: a driver of it runs.
    """
    return submit(Search.from_plain(found.spec), wish)


def cluster_faults(planned: Plan) -> list[Fault]:
    """What may do for one machine, but not for a driver on another."""
    search, found = planned.search, []
    if not storage.is_remote(search.storage) and not Path(search.storage).is_absolute():
        what = f"{search.storage} is a folder within the project, of which a cluster has a copy for a while"
        mend = "Name a folder that all nodes share by its whole path, or an object store: s3://BUCKET/runs"
        found.append(Fault("storage", what, mend))
    if planned.ledger.startswith("sqlite"):
        mend = "Name a PostgreSQL that the cluster reaches too: ledger, --ledger or AUTOML_LEDGER"
        found.append(Fault("ledger", f"{planned.ledger} is a file of this machine", mend))
    if planned.tracking_uri and planned.tracking_uri.startswith("sqlite"):
        mend = "Name an MLflow server: tracking.uri or MLFLOW_TRACKING_URI; or write tracking: false"
        found.append(Fault("tracking", f"{planned.tracking_uri} is a file of this machine", mend))
    return found


def _trainer_faults(planned: Plan) -> list[Fault]:
    with closing(Host(str(planned.root), planned.search.resources.cpus)) as host:
        return inspect(planned, host)[0]


def _file_in(planned: Plan, names: Sequence[Path], packed: Path) -> tuple[str, str]:
    """The search's file within the bundle, and what was put there beside the project's own files."""
    import zipfile

    given = planned.search.file
    if given and Path(given).resolve().is_relative_to(planned.root):
        inside = Path(given).resolve().relative_to(planned.root)
        if inside in names:
            return inside.as_posix(), ""
    text = planned.search.to_yaml()
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(zipfile.ZipInfo(GENERATED, (1980, 1, 1, 0, 0, 0)), text)
    return GENERATED, text


def _command(planned: Plan, wish: Wish, file: str) -> list[str]:
    search = planned.search
    words = ["search", file]
    if file != GENERATED:
        words += [word for each in wish.overrides for word in ("--set", each)]
    if wish.changed:
        words.append("--continue")
    if wish.ledger or not search.ledger:
        words += ["--ledger", without_password(planned.ledger)]
    if search.tracking and not search.tracking.uri and planned.tracking_uri:
        words += ["--set", f"tracking.uri={without_password(planned.tracking_uri)}"]
    return words


def entrypoint(words: Sequence[str], wish: Wish) -> str:
    """The shell command of the job: finds a Python that has automl, and runs the driver with it.

    A bare `python` may be any; the job server does not say which one it has itself.
    """
    tried = [wish.python] if wish.python else [sys.executable, "python3", "python"]
    names = " ".join(shlex.quote(each) for each in tried)
    missing = f"no Python on this node has automl (tried {', '.join(tried)}); name it with --python"
    seek = (
        f"for python in {names}; do "
        'command -v "$python" >/dev/null && "$python" -c "import automl" 2>/dev/null && break; '
        "python=; done; "
        f'[ -n "$python" ] || {{ echo {shlex.quote(missing)} >&2; exit 2; }}; '
    )
    run = f'"$python" -m automl {shlex.join(words)}'
    if not wish.supervise:
        return f"{seek}exec {run}"
    return (
        f"{seek}while :; do {run}; code=$?; case $code in {_ENDS}) exit $code;; esac; "
        f'echo "the driver ended with $code; again in {AGAIN_S} s" >&2; sleep {AGAIN_S}; done'
    )


def _send(planned: Plan, wish: Wish, packed: Path, command: Sequence[str], digest: str) -> Submission:
    name, jobs = planned.search.name, _jobs(wish.address)
    before = jobs.of(name)
    ended = _ended(planned, wish)
    living = [job for job in before if job.lives]
    if living and ended is not None and living[-1].facts.get("digest") != digest:
        before = _after(jobs, name, living[-1].id)  # its search is closed; the job is about to end
        living = [job for job in before if job.lives]
    if living:
        return _there(planned, wish, living[-1], digest)
    if ended:
        same = [job for job in before if job.facts.get("digest") == digest]
        if same:
            return Submission(name, wish.address, same[-1].id, False, planned.ledger)
    id = f"automl-{name}-{digest}-{len(before) + 1}"
    facts = {"search": name, "digest": digest, "owner": machine.person()}
    told = {"AUTOML_OWNER": machine.person(), "AUTOML_ADDRESS": mask_url(wish.address), "AUTOML_JOB": id}
    if wish.insecure or os.environ.get(credentials.INSECURE) == "1":  # its driver joins that cluster too
        told[credentials.INSECURE] = "1"
    prefix = "".join(f"export {key}={shlex.quote(value)}; " for key, value in told.items())
    jobs.submit(prefix + entrypoint(command, wish), id, packed, facts)
    return Submission(name, wish.address, id, True, planned.ledger)


def _there(planned: Plan, wish: Wish, job: Job, digest: str) -> Submission:
    name = planned.search.name
    if job.facts.get("digest") == digest:
        return Submission(name, wish.address, job.id, False, planned.ledger)
    raise LeaseHeld(
        f"{name} runs there already, as job {job.id} of {job.facts.get('owner', 'somebody')}, with another "
        f"file or other code. Stop it first: automl stop {name}"
    )


def _after(jobs: Jobs, name: str, id: str) -> list[Job]:
    """The search's jobs, once that one has ended, or it takes too long to."""
    until_s = time.monotonic() + LEAVES_S
    found = jobs.of(name)
    while any(job.lives for job in found if job.id == id) and time.monotonic() < until_s:
        time.sleep(0.2)
        found = jobs.of(name)
    return found


def _ended(planned: Plan, wish: Wish) -> bool | None:
    """Whether the ledger has it to its end; None while it has it not, or a driver runs it.

    Raises:
        ChangedSearch: what the ledger has is another search.
    """
    from automl.results import show

    try:
        found = lookup.find(planned.search.name, planned.ledger)
    except (NoSuchSearch, NoLedger):
        return None
    if found.alive:
        return None
    lines = Search.from_plain(found.spec).identity_difference(planned.search) if found.spec else []
    if lines and not wish.changed:
        what = "the ledger has this name with " + "; ".join(lines)
        raise ChangedSearch(
            Fault("name", what, "Give it another name, or carry on all the same with --continue")
        )
    return bool(found.events) and show(found.history, found.alive)["state"] == "ENDED" and not lines


def _jobs(address: str) -> Jobs:
    from automl.engines.ray_jobs import Jobs

    return Jobs(address)
