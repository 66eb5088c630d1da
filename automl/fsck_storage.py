"""The storage against the ledger: what was kept is there and whole, and nothing else is.

Of trials that go on, the last checkpoint; of ended ones, the weights of the best. Files of other names
(the log, what a trainer wrote by itself) are nobody's difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from automl import inventory, storage
from automl.differences import STORAGE, Difference
from automl.errors import StorageError
from automl.events import FINAL, Event, State
from automl.inventory import Inventory
from automl.results import History, Trial, objectives_of

_FOLDER = re.compile(r"(checkpoint|weights)-\d+")
_HALF = re.compile(r"\.(checkpoint|weights)-.+")
_REMOVES = "--repair removes it"
_KEEP = 3  # of a ledger from before the file had the key


@dataclass(frozen=True)
class Setting:
    """What a comparison needs to know besides the ledger.

    Args:
        place: the storage, a local folder or fsspec URL.
        alive: a driver runs the search, and writes while this reads.
        deep: compare digests too, not names and sizes alone.
    """

    place: str
    alive: bool = False
    deep: bool = False


def compare(history: History, setting: Setting) -> list[Difference]:
    """Every difference between the ledger and the storage."""
    try:
        there = inventory.trials(setting.place, history.name)
    except StorageError as error:
        return [Difference(STORAGE, f"could not be compared: {error}", "Try again once it can be read")]
    found = list(_orphans(history, setting, there))
    kept = Kept(history)
    for trial in history.trials.values():
        entries = there.get(str(trial.number), {})
        found += _Room(trial, setting, entries, kept, history).differences()
    return found + list(_model(history))


def _orphans(history: History, setting: Setting, there: Inventory) -> Iterator[Difference]:
    for name in sorted(there):
        if name.isdigit() and int(name) not in history.trials:
            url = storage.join(setting.place, history.name, "trials", name)
            what = f"{url} is of a trial that is not in the ledger"
            yield Difference(STORAGE, what, _REMOVES, int(name), mendable=True, remove=(url,))


def _model(history: History) -> Iterator[Difference]:
    """The packed model, where it is nowhere else."""
    published = history.published or {}
    path, number = published.get("path"), published.get("trial")
    if not path or published.get("model") or inventory.exists(path):
        return
    data = {"path": None, "error": "its folder was gone"}
    time_s = history.sessions[-1].last_s if history.sessions else 0.0
    event = Event("published", number, None, data, time_s)
    mend = "--repair writes that down, and the next start packs it again"
    what = f"its published model {path} is not there"
    yield Difference(STORAGE, what, mend, number, mendable=True, append=(event,))


class Kept:
    """Which trials' weights stay, by the rules that the sweep of each driver had.

    Attributes:
        must: their weights are there.
        may: these may be there too: they ranked before the search was changed, or tied with its rules.
    """

    def __init__(self, history: History) -> None:
        objectives = objectives_of(history)
        done = [t for t in history.of_state(State.COMPLETE) if t.weights]
        ranked = [t for t in done if t.values is not None]
        strangers = {t.number for t in done if t.values is None}
        self.must = {trial.number for trial in ranked}
        self.may = set(self.must)
        if len(objectives) == 1:
            sign = -1.0 if objectives[0]["direction"] == "maximize" else 1.0
            left = _swept(history, ranked, sign)
            self.must, self.may = set(left[: _keep(history.spec or {})]), set(left)
        self.may |= strangers


def _swept(history: History, ranked: list[Trial], sign: float) -> list[int]:
    """The trials that no better ones have pushed out, best first: each when it ended, as the sweep does."""
    left: list[tuple[float, int]] = []
    for trial in sorted(ranked, key=lambda trial: trial.ended_s or 0.0):
        assert trial.values is not None
        then = [s.data.get("spec") or {} for s in history.sessions if s.opened_s <= (trial.ended_s or 0.0)]
        left = sorted([*left, (sign * trial.values[0], trial.number)])[: _keep(then[-1] if then else {})]
    return [number for _, number in left]


def _keep(spec: Mapping[str, object]) -> int:
    keep = spec.get("keep", _KEEP)
    return keep if isinstance(keep, int) else _KEEP


class _Room:
    """One trial's folder."""

    def __init__(
        self, trial: Trial, setting: Setting, there: Mapping[str, bool], kept: Kept, history: History
    ) -> None:
        self._trial, self._setting, self._kept, self._history = trial, setting, kept, history
        self._url = storage.trial_url(setting.place, history.name, trial.number)
        self._there = there
        self._over = trial.state in FINAL

    def differences(self) -> list[Difference]:
        if self._setting.alive and self._trial.state is State.RUNNING:
            return []  # it is being written
        extra = [found for name in sorted(self._there) if (found := self._extra(name))]
        return [*extra, *self._missing()]

    def _extra(self, name: str) -> Difference | None:
        why = self._why_extra(name)
        if why is None:
            return None
        place = self._place(name)
        return Difference(
            STORAGE, f"{place} {why}", _REMOVES, self._trial.number, mendable=True, remove=(place,)
        )

    def _why_extra(self, name: str) -> str | None:
        trial, parts = self._trial, _FOLDER.fullmatch(name)
        if _HALF.fullmatch(name) or (parts and not self._there[name]):
            return "is half-written"
        if parts is None:
            return None
        if parts[1] == "checkpoint":
            if self._over:
                return f"is a checkpoint of a trial that is {trial.state}"
            ahead = storage.step_of(name) > (trial.checkpoint_step if trial.checkpoint else -1)
            return "is a checkpoint that the ledger has never heard of" if ahead else None
        if not self._over or (self._is(trial.weights, name) and trial.number in self._kept.may):
            return None
        if trial.state is not State.COMPLETE:
            return f"is the weights of a trial that is {trial.state}"
        if not self._is(trial.weights, name):
            return "is not the weights that the ledger has"
        return "is the weights of a trial that is not among the best"

    def _place(self, name: str) -> str:
        return storage.join(self._url, name)

    def _is(self, place: str | None, name: str) -> bool:
        """Whether the ledger's path is this folder, by whatever way the project was come to."""
        return (place or "").endswith(f"/trials/{self._trial.number}/{name}")

    def _missing(self) -> Iterator[Difference]:
        trial = self._trial
        if not self._over and trial.checkpoint and (wrong := self._flaw(trial.checkpoint)):
            yield self._lost_checkpoint(trial.checkpoint, wrong)
        if trial.weights and trial.number in self._kept.must and (wrong := self._flaw(trial.weights)):
            what = f"its weights {trial.weights} are not whole: {wrong}"
            mend = "They cannot be mended: restore the folder from a backup, or train the trial again"
            yield Difference(STORAGE, what, mend, trial.number)

    def _flaw(self, place: str) -> str | None:
        return inventory.flaw(place, self._setting.deep)

    def _lost_checkpoint(self, place: str, wrong: str) -> Difference:
        """The trial goes on from the checkpoint before, or from its beginning: the ledger is told so."""
        number, last_s = self._trial.number, self._history.sessions[-1].last_s
        before = [
            self._place(name)
            for name in sorted(self._there, reverse=True)
            if re.fullmatch(r"checkpoint-\d+", name) and not self._is(place, name)
        ]
        sound = next((other for other in before if self._usable(other)), None)
        step = storage.step_of(sound) if sound else 0
        data = {"step": step, "path": sound, "error": f"{place} is not whole: {wrong}"}
        event = Event("checkpointed", number, len(self._trial.attempts) or None, data, last_s)
        start = f"goes on from step {step}" if sound else "begins anew"
        return Difference(
            STORAGE,
            f"its checkpoint {place} is not whole: {wrong}",
            f"After --repair the trial {start}",
            number,
            mendable=True,
            remove=(place,),
            append=(event,),
        )

    def _usable(self, place: str) -> bool:
        known = storage.step_of(place) <= self._trial.checkpoint_step
        return known and self._flaw(place) is None
