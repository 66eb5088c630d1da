"""The Python door: load a search, check it, run it, and look at what came out.

Knows no vendor: what is heavy is imported when it is used.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl import specfile
from automl.errors import Fault, StorageError
from automl.results import Trial, best_trials
from automl.salvage import salvage
from automl.search import Search

if TYPE_CHECKING:
    import pandas as pd

    from automl.engines.base import Engine
    from automl.fsck import Checkup
    from automl.run import Outcome, View
    from automl.stop import Stopped
    from automl.submission import Submission


def load(path: str | Path, overrides: Sequence[str] = ()) -> Search:
    """The search in a YAML file.

    Args:
        path: the file.
        overrides: `KEY=VALUE` each, as `--set` takes them.

    Raises:
        InputError: with all faults of the file, each with line and column.
    """
    return specfile.load(path, overrides)


@dataclass(frozen=True)
class BestTrial:
    """A best trial, and the way to its model.

    Args:
        number: the trial's.
        params: by name.
        values: of the objectives, in their order.
        model: what `mlflow.pyfunc.load_model` takes: a `models:/` URI, or a folder where nothing is
            tracked; None while it is not published.
    """

    number: int
    params: Mapping[str, Any]
    values: Sequence[float]
    model: str | None
    _framework: str = field(repr=False, default="")
    _weights: str | None = field(repr=False, default=None)
    _root: Path = field(repr=False, default=Path("."))

    def load(self) -> Any:
        """The trained model: a LightningModule, a keras.Model or a scikit-learn estimator.

        The trainer's code is imported into this process.

        Raises:
            StorageError: its weights were not kept, or are not there any more.
        """
        from automl import project, scratch, storage
        from automl.frameworks.base import framework

        if not self._weights:
            mend = "return a scikit-learn estimator from the callable, or call trial.save_model"
            raise StorageError(f"trial {self.number} kept no weights; {mend}")
        with scratch.folder("load") as place:
            folder = storage.fetch(self._weights, place)
            meta = json.loads((folder / "meta.json").read_text())
            with _importable(self._root, meta["model"]):
                model = project.resolve_address(meta["model"], self._root)
                return framework(self._framework).load(model, meta["arguments"], folder)


class Result:
    """How a search ended, and what it found.

    Attributes:
        name: the search's.
        state: ENDED, STOPPED or FAILED.
        reason: such as `budget.trials`, `target` or `SIGINT`.
        exit_code: what `automl search` would exit with.
        root: the project's folder.
        tracking_uri: where MLflow shows it; None for nowhere.
    """

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.name = outcome.plan.search.name
        self.state, self.reason = outcome.state, outcome.reason
        self.exit_code = outcome.exit_code
        self.root = outcome.plan.root
        self.tracking_uri = outcome.plan.tracking_uri

    def __repr__(self) -> str:
        counts = {str(state): n for state, n in self._outcome.history.counts.items() if n}
        return f"Result({self.name!r}, {self.state}, {self.reason!r}, {counts}, best={self.best!r})"

    @property
    def best(self) -> Any:
        """The best trial, None while nothing is COMPLETE; for several objectives a list, the front."""
        objectives = self._outcome.plan.search.objectives
        front = best_trials(self._outcome.history.trials.values(), [o.direction for o in objectives])
        found = [self._best(trial) for trial in front]
        return found if len(objectives) > 1 else (found[0] if found else None)

    def trials(self) -> pd.DataFrame:
        """All trials, a row each.

        Returns:
            columns number, state, trainer, `params.*`, `values.*` (a column an objective, NaN unless
            COMPLETE), seconds, error.
        """
        import pandas as pd

        rows = [self._row(trial) for trial in self._outcome.history.trials.values()]
        names = dict.fromkeys(name for row in rows for name in row)
        first, last = ("number", "state", "trainer"), ("seconds", "error")
        params = [name for name in names if name.startswith("params.")]
        values = [f"values.{o.metric}" for o in self._outcome.plan.search.objectives]
        return pd.DataFrame(rows, columns=[*first, *params, *values, *last])

    def show(self) -> dict[str, Any]:
        """The same facts as `automl show NAME --json`."""
        from automl.results import show

        return show(self._outcome.history, driver_alive=False)

    def _row(self, trial: Trial) -> dict[str, Any]:
        objectives = self._outcome.plan.search.objectives
        values: Sequence[float | None] = trial.values or [None] * len(objectives)
        return {
            "number": trial.number,
            "state": str(trial.state),
            "trainer": trial.trainer,
            **{f"params.{name}": value for name, value in trial.params.items()},
            **{f"values.{o.metric}": value for o, value in zip(objectives, values, strict=True)},
            "seconds": trial.seconds,
            "error": trial.error,
        }

    def _best(self, trial: Trial) -> BestTrial:
        planned = self._outcome.plan
        published = self._outcome.history.published or {}
        mine = published if published.get("trial") == trial.number else {}
        return BestTrial(
            trial.number,
            dict(trial.params),
            tuple(trial.values or ()),
            mine.get("model") or mine.get("path"),
            planned.search.trainers[trial.trainer].framework,
            trial.weights,
            planned.root,
        )


def run(
    search: Search | str | Path,
    engine: str | Engine = "ray",
    address: str | None = None,
    ledger: str | None = None,
    changed: bool = False,
    view: View | None = None,
    insecure: bool = False,
) -> Result:
    """Run a search to its end, or carry on one that was stopped.

    Args:
        search: a search, or the path of its file.
        engine: `ray`, `local`, or an engine that is set up already.
        address: a Ray cluster's; None takes RAY_ADDRESS, else a Ray of this machine is started.
        ledger: a URL that goes before the search's own.
        changed: carry on although objective, trainer or space differ from what the ledger has; the
            command's `--continue`.
        view: told what happens; None shows it in the terminal or the notebook.
        insecure: join a Ray cluster without a token, which runs the code of whoever reaches it.

    Raises:
        InputError: everything that is wrong with the search, its trainers and surroundings.
        LeaseHeld: another driver runs it.
    """
    from automl import console
    from automl.run import run as act

    planned = search if isinstance(search, Search) else load(search)
    return Result(act(planned, engine, address, changed, ledger, view or console.view(), insecure))


def submit(
    search: Search | str | Path,
    address: str,
    overrides: Sequence[str] = (),
    changed: bool = False,
    supervise: bool = False,
    python: str | None = None,
    ledger: str | None = None,
    insecure: bool = False,
) -> Submission:
    """Send a search to a Ray cluster, where its driver outlives this process; returns at once.

    The project's folder travels, as .gitignore has it. Sending the same again is the same search.

    Args:
        search: a search, or the path of its file.
        address: of the cluster's job server, such as https://HOST:8265.
        overrides: `KEY=VALUE` each; for a file only.
        changed: carry on although objective, trainer or space differ from what the ledger has.
        supervise: start the driver again whenever it is killed.
        python: the interpreter that has automl, on the cluster's head; None looks for one.
        ledger: a URL that goes before the search's own; the cluster has its password.
        insecure: send it, and have its driver join, although there is no token.

    Returns:
        its name, the job's id, and the way to look at both.

    Raises:
        InputError: everything that is wrong with it, here or for a cluster; nothing was sent.
        LeaseHeld: a driver of it runs already, with other files or elsewhere.
    """
    from automl.submission import Wish
    from automl.submission import submit as send

    planned = search if isinstance(search, Search) else load(search, overrides)
    return send(planned, Wish(address, tuple(overrides), changed, supervise, python, ledger, insecure))


def resume(
    name: str,
    address: str | None = None,
    supervise: bool = False,
    python: str | None = None,
    ledger: str | None = None,
    view: View | None = None,
    insecure: bool = False,
) -> Result | Submission:
    """Carry on a search that was stopped, or whose driver was lost, as the ledger has it.

    One that was submitted is sent to its cluster again, with the project's files of now, and this returns
    at once; any other runs here, on the engine and the cluster that it had, to its end.

    Args:
        name: the search.
        address: another cluster's job server.
        supervise, python, insecure: as `submit` takes them.
        ledger: a URL other than the project's.
        view: told what happens, where it runs here.

    Raises:
        NoSuchSearch: with the names that there are.
        LeaseHeld: a driver of it runs.
    """
    from automl import lookup
    from automl.submission import Wish
    from automl.submission import resume as send

    found = lookup.find(name, ledger)
    opened = next(event.data for event in reversed(found.events) if event.kind == "opened")
    where = address or (opened.get("address") if opened.get("job") else None)
    if where:
        return send(found, Wish(where, supervise=supervise, python=python, ledger=ledger, insecure=insecure))
    search, engine = Search.from_plain(found.spec), opened.get("engine", "ray")
    return run(search, engine, opened.get("address"), ledger=ledger, view=view, insecure=insecure)


def check(search: Search | str | Path, overrides: Sequence[str] = (), deep: bool = False) -> list[Fault]:
    """Everything that is wrong with a search, without running it; writes nothing and starts no Ray.

    Args:
        search: a search, or the path of its file.
        overrides: `KEY=VALUE` each; for a file only.
        deep: also build every trainer, once per branch of its conditions, and train one batch.

    Returns:
        The faults in the order of the file; none when all is well.
    """
    if isinstance(search, Search):
        return list(search.located(_later_faults(search, deep)))
    loaded = specfile.read(search, overrides)
    # What is sound of a faulty file is looked at too: all faults at once, not one kind after the other.
    sound = loaded.search or salvage(loaded.data or {}, loaded.positions)
    later = _later_faults(sound, deep and not loaded.faults) if sound else []
    return list(loaded.with_faults(later))


def notes(file: str | Path, overrides: Sequence[str] = ()) -> list[str]:
    """What a sound search file comes to on this machine, where that may surprise. No faults."""
    import os

    from automl.engines.local import Local
    from automl.plan import plan, resource_notes

    search = specfile.read(file, overrides).search
    if search is None or search.resources.gpus != "auto" or os.environ.get("RAY_ADDRESS"):
        return []
    return resource_notes(search, Local(str(plan(search).root)))


def fsck(name: str, ledger: str | None = None, repair: bool = False, deep: bool = False) -> Checkup:
    """Compare a search's ledger, storage and MLflow; mend storage and MLflow from the ledger if wanted.

    Args:
        name: the search.
        ledger: a URL other than the project's.
        repair: mend what differs; needs the search's lease, which a living driver has.
        deep: read every kept file and compare its digest; otherwise names and sizes only.

    Returns:
        What differs, and with `repair` what was done and what is left.

    Raises:
        NoSuchSearch: with the names that there are.
        LeaseHeld: to be repaired, and a driver lives.
    """
    from automl.fsck import fsck as compare

    return compare(name, ledger, repair, deep)


def stop(
    name: str,
    ledger: str | None = None,
    force: bool = False,
    timeout: float | str = "60s",
    say: Callable[[str], None] = lambda text: None,
) -> Stopped:
    """Have the driver of a search stop, wherever it runs; running trials write a checkpoint before.

    Args:
        name: the search.
        ledger: a URL other than the project's.
        force: end a driver that has not stopped after `timeout`, where that can be done from here.
        timeout: how long to wait for it: seconds, or `90s`, `30m`, `2h`.
        say: told what this waits for.

    Returns:
        What the search is now, and what was done.

    Raises:
        NoSuchSearch: with the names that there are.
        LedgerError: the ledger cannot be read.
    """
    from automl.stop import stop as act
    from automl.values import seconds_of

    return act(name, ledger, force, seconds_of("timeout", timeout), say)


def _later_faults(search: Search, deep: bool) -> list[Fault]:
    """What only the trainers themselves and the surroundings can tell."""
    from automl.host import Host
    from automl.plan import environment_faults, inspect, plan

    planned = plan(search)
    with contextlib.closing(Host(str(planned.root), search.resources.cpus)) as host:
        faults, signatures = inspect(planned, host)
        with _machine(planned.root, bool(search.resources.kind)) as machine:
            faults += environment_faults(planned, machine)
        if deep and not faults:
            from automl.deep import deep_faults

            faults += deep_faults(planned, host, signatures)
    return faults


@contextlib.contextmanager
def _machine(root: Path, of_a_kind: bool) -> Iterator[Engine | None]:
    """This machine; or the cluster that RAY_ADDRESS names, None where it does not answer now.

    And None where a search wants nodes of a kind that only a cluster can have, and none is named.
    """
    import os

    from automl.errors import InputError
    from automl.plan import engine_for

    joined = os.environ.get("RAY_ADDRESS", "local") != "local"
    if of_a_kind and not joined:
        yield None
        return
    engine = engine_for("ray" if joined else "local", root)
    with contextlib.closing(engine):
        try:
            engine.start()
            answers = True
        except InputError:  # a search may be written before its cluster is there; `automl doctor` tells
            answers = False
        yield engine if answers else None


@contextlib.contextmanager
def _importable(root: Path, address: str) -> Iterator[None]:
    """The project's folder at the front of the path while its code is imported.

    Every project calls its package `trainers`: one that was imported from another project makes room.
    """
    package = address.partition(":")[0].partition(".")[0]
    loaded = sys.modules.get(package)
    places = [Path(place) for place in getattr(loaded, "__path__", [])]
    if loaded is not None and places and not any(place.is_relative_to(root) for place in places):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(root))
