"""The decisions of a running search: what to try next, what an attempt is told, when to end.

Every fact is appended to the ledger first. The desk has never heard of Ray, MLflow or a terminal:
an engine pulls tasks from it, and whoever wants to watch gets the events.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from automl import retries
from automl.brain import Brain
from automl.engines.base import Answer, Message, Task
from automl.events import FINAL, Event, State
from automl.goals import Goals
from automl.ledger import Lease
from automl.packing import Shares, extremes
from automl.results import History, Trial, objective_value
from automl.search import Search
from automl.sweep import Sweep, swept
from automl.tasks import Setting as Setting
from automl.tasks import Tasks
from automl.tasks import trial_seed as trial_seed
from automl.thinker import Thinker

# Facts that say how long their driver has been alive: budget.time and the length of attempts.
_TIMED = ("started", "reported", "ended")

Watch = Callable[[Event], None]


@dataclass(frozen=True)
class Ending:
    """How a run ended: the search's state and why."""

    state: str
    reason: str


class Desk:
    """Hands out tasks and hears messages. Lives on the engine's one thread.

    Args:
        search: the plan.
        brain: rebuilt from the same history.
        history: all events so far; kept up to date here.
        lease: the right to append.
        setting: see there.
        slots: asked for how many attempts may run at once.
        watch: told every event after it was appended.
        foresee: told once when the end is seconds away or nothing is left to begin, with False, and once
            when all has ended, with True.
        say: told what is no fact of the search, for who watches.
    """

    def __init__(
        self,
        search: Search,
        brain: Brain,
        history: History,
        lease: Lease,
        setting: Setting,
        slots: Callable[[], int],
        watch: Watch,
        foresee: Callable[[bool], None] = lambda over: None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.search, self.history, self.say = search, history, say
        self.cpus, self.share = search.resources.cpus, search.resources.share
        self.gpus = extremes(search.resources.gpus, setting.gpus)[0]
        self._shares = Shares(search.resources.gpus, setting.gpus, history.trials.values())
        self._brain, self._lease, self._setting = brain, lease, setting
        self._tasks = Tasks(search, setting)
        self._slots, self._watch, self._foresee = slots, watch, foresee
        self._foreseen: set[bool] = set()
        self._running: dict[int, int] = {}
        self._leaving: set[int] = set()  # trials that are over, whose workers have not said so yet
        self._waiting = deque(sorted(t.number for t in history.of_state(State.WAITING)))
        self._exhausted = False
        self._thinker = Thinker(brain.thought)
        self._knew, self.hungry = history.n, False
        self._reached: int | None = None
        self._before_s, self._begun_s = history.alive_s, time.monotonic()
        self._nodes = retries.Nodes(attempt for t in history.trials.values() for attempt in t.attempts)
        self._sweep = Sweep(search, setting.storage, lambda: lease.away)
        self._goals = Goals(search)
        self.ending: Ending | None = None
        self._writing = self._cut = False
        self._recall()

    def _recall(self) -> None:
        """What the ended trials mean for this run; it may be over before it begins."""
        ended = sorted(self.history.of_state(*FINAL), key=lambda t: t.ended_nth)
        for trial in ended:
            self._goals.note(trial)
            if self._goals.reached_by(trial):
                self.stop("ENDED", "target")
        self._sweep.recall(ended, swept=swept(self.history))
        if self._goals.out_of_patience:
            self.stop("ENDED", "budget.patience")
        self.tick()

    # --- what an engine asks ---------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        return self.ending is not None

    @property
    def done(self) -> bool:
        if self._running:
            return False
        return self.stopping or not self._room() or (not self._waiting and self._exhausted)

    def next_task(self, fits: Callable[[Task], bool] = lambda task: True) -> Task | None:
        """An attempt to start now: one that waits first, else a new trial. One that does not fit waits."""
        self.hungry = False
        if self.stopping or not self._room() or len(self._running) >= self._slots():
            return None
        number = self._waiting.popleft() if self._waiting else self._ask()
        if number is None:
            return None
        trial = self.history.trials[number]
        self._running[number] = len(trial.attempts) + 1
        task = self._task(trial)
        if fits(task):
            self._look_ahead()
            return task
        del self._running[number]
        self._waiting.appendleft(number)  # before all others, or smaller ones would keep it out for ever
        return None

    def give_back(self, task: Task) -> None:
        """A task that nobody has begun: its trial waits again."""
        if self._running.get(task.trial) == task.attempt:
            del self._running[task.trial]
            self._waiting.appendleft(task.trial)

    @property
    def slots(self) -> int:
        return self._slots()

    @property
    def wanted(self) -> int:
        """What runs, and as much more as there is to try and the search's resources ask for."""
        if not self.more:
            return len(self._running)
        most, running = self.search.budget.trials, len(self._running)
        left = running + len(self._waiting) if self._exhausted else math.inf
        if most is not None:
            left = min(left, most - self._ended)
        return int(min(self.search.resources.wanted(self.slots), left))

    @property
    def ahead(self) -> int:
        """As many as there are slots; but what a task takes may not be measured yet."""
        return 1 if self.search.resources.gpus == "auto" else max(1, self.slots)

    @property
    def thinking(self) -> bool:
        """Whether there would be a task, if it were known already what to try next."""
        return self.hungry and self._thinker.busy

    @property
    def more(self) -> bool:
        return not self.stopping and self._room() and (bool(self._waiting) or not self._exhausted)

    @property
    def bell(self) -> int:
        return self._thinker.bell

    def wait(self, timeout_s: float) -> None:
        if self.thinking:
            self._thinker.wait(timeout_s)

    def hear(self, task: Task, message: Message) -> Answer:
        """Take in what an attempt said. One that is over is told to leave."""
        kind = message["kind"]
        if self._running.get(task.trial) != task.attempt:
            if kind == "ended" and task.trial in self._leaving:
                self._leaving.remove(task.trial)
                self._sweep.left(task.trial)
            return Answer.END
        facts = {"framework": task.framework, "warm": False, "node_id": message.get("node_id", "")}
        self._ensure_started(task, _without_kind(message) if kind == "started" else facts)
        if kind == "report":
            return self._hear_report(task, message)
        if kind == "checkpointed":
            self._append(Event("checkpointed", task.trial, task.attempt, _without_kind(message)))
        elif kind == "ended":
            self._hear_end(task, message)
        return Answer.GO

    def tick(self) -> None:
        """End the search when its time is up. Raises LeaseLost when another driver has taken it over."""
        self._lease.check()
        self._sweep.go_on()
        limit_s = self.search.budget.time_s
        if limit_s is not None and self.alive_s >= limit_s:
            self.stop("ENDED", "budget.time")
        self._look_to_the_end()

    def _look_to_the_end(self) -> None:
        over = self.done
        if over:
            self.ending = self.ending or self._by_itself()  # a signal that comes later stops nothing
        if over in self._foreseen:
            return  # as nearly always
        nothing_to_begin = self.stopping or (not self._room() and not self._waiting)
        if over or nothing_to_begin or self._goals.nearly_over(self._ended, self.alive_s):
            self._foreseen.add(over)
            self._foresee(over)

    def stop(self, state: str, reason: str) -> None:
        """Have running attempts leave after a checkpoint; the first reason counts."""
        self.ending = self.ending or Ending(state, reason)

    @property
    def alive_s(self) -> float:
        """Seconds that drivers were alive, this one included."""
        return self._before_s + time.monotonic() - self._begun_s

    def conclude(self) -> Ending:
        """How the run ended, once the engine has left; attempts it left behind go back to WAITING."""
        self._cut = False
        for number, attempt in list(self._running.items()):
            if self.history.trials[number].state is not State.RUNNING:
                continue  # it never began, or was cut off with its end already written
            self._end(number, attempt, {"outcome": "stopped", "error": "cut off", "again": True})
        for number in self._leaving:
            self._sweep.left(number)
        self._sweep.finish()
        self._thinker.close()
        self.ending = self.ending or self._by_itself()
        return self.ending

    def _by_itself(self) -> Ending:
        return Ending("ENDED", "space" if self._exhausted else "budget.trials")

    def sweep_late(self) -> None:
        """After the end: remove what had to stay while the ledger was away."""
        self._sweep.finish_late()

    def abandon(self) -> None:
        """The search is another driver's now: touch nothing of it any more."""
        self._thinker.close()
        self._sweep.abandon()

    # --- new trials ------------------------------------------------------------------------

    def _room(self) -> bool:
        """Whether the budget has room for one more trial to end, those that run counted as ended."""
        most = self.search.budget.trials
        return most is None or self._ended + len(self._running) < most

    @property
    def _ended(self) -> int:
        return sum(self.history.counts[state] for state in FINAL)

    def _ask(self) -> int | None:
        if self._exhausted:
            return None
        number = len(self.history.trials)
        if self._thinker.number is None:
            self._think(number)
        if self._thinker.busy:
            self.hungry = True
            return None
        asked = self._thinker.fetch()
        if asked is None:
            self._exhausted = True
            return None
        self._append(Event("asked", number, None, {**asked.facts(), "seen": self._knew}))
        self._brain.take(number, asked)
        return number

    def _think(self, number: int) -> None:
        self._knew = self.history.n
        self._thinker.think(number)

    def _look_ahead(self, leaving: bool = False) -> None:
        """Think of the next point before a slot asks, where that loses the sampler nothing.

        Args:
            leaving: the worker of a pruned trial does, which takes milliseconds: the sampler knows of that
                trial. What others end with meanwhile, it will know at the next point.
        """
        number = len(self.history.trials)
        free = not self.stopping and not self._waiting and not self._exhausted
        if not free or self._thinker.number is not None or not self._room():
            return
        if leaving or self._brain.indifferent(number):
            self._think(number)

    def _task(self, trial: Trial) -> Task:
        gpus, nodes = self._shares.of(trial), self._nodes.avoid(time.time())
        judged = None if self._goals.any_target else self._brain.judged
        return self._tasks.of(trial, self._running[trial.number], gpus, self._sweep.floor, nodes, judged)

    # --- reports ---------------------------------------------------------------------------

    def _hear_report(self, task: Task, message: Message) -> Answer:
        trial = self.history.trials[task.trial]
        step, metrics = message["step"], message["metrics"]
        if step in trial.steps:
            data = {"step": step, "metrics": metrics, "prune": False, "repeat": True}
            self._append(Event("reported", task.trial, task.attempt, data))
            return self._go_on()
        if broken := self._non_finite(metrics):
            return self._fail_report(task, step, metrics, broken)
        verdict = self._brain.report(task.trial, step, metrics)
        data = {"step": step, "metrics": metrics, "prune": verdict.prune, "trial_attrs": verdict.trial_attrs}
        reported = Event("reported", task.trial, task.attempt, data)
        if verdict.prune:
            reason = f"pruned at step {step}"
            self._leaving.add(task.trial)
            self._finish(task.trial, State.PRUNED, before=[reported, _over(task, "pruned")], reason=reason)
            self._look_ahead(leaving=True)
            return Answer.END
        self._append(reported)
        if not self.stopping and self._goals.reached(metrics):
            self.stop("ENDED", "target")
            self._reached = task.trial  # complete from here on, even if its worker dies while it packs
            return Answer.FINISH
        return self._go_on()

    def _go_on(self) -> Answer:
        return Answer.STOP if self.stopping else Answer.GO

    def _non_finite(self, metrics: Mapping[str, float]) -> str | None:
        for objective in self.search.objectives:
            value = metrics.get(objective.metric)
            if value is not None and not math.isfinite(value):
                return f"{objective.metric} is {value}"
        return None

    def _fail_report(self, task: Task, step: int, metrics: Mapping[str, float], broken: str) -> Answer:
        data = {"step": step, "metrics": dict(metrics), "prune": False}
        error = f"{broken} at step {step}. Look at the learning rate and the data"
        before = [
            Event("reported", task.trial, task.attempt, data),
            _over(task, "failed", error=error, cause="nan"),
        ]
        self._leaving.add(task.trial)
        self._finish(task.trial, State.FAILED, before=before, error=error, reason="nan")
        return Answer.END

    # --- ends ------------------------------------------------------------------------------

    def _hear_end(self, task: Task, message: Message) -> None:
        kept = ("outcome", "error", "cause", "place", "weights", "trace", "gpu_peak_bytes", "gpu_total_bytes")
        data = {key: message[key] for key in kept if message.get(key)}
        ended = Event("ended", task.trial, task.attempt, data)
        outcome = message["outcome"]
        if outcome == "complete" or task.trial == self._reached:
            self._complete(task, ended)
        elif outcome == "pruned":
            self._finish(task.trial, State.PRUNED, before=[ended], reason="pruned by its trainer")
        else:
            self._rule(task, data)

    def _rule(self, task: Task, data: Mapping[str, Any]) -> None:
        """Another attempt, or the trial's end."""
        takes = (self._setting.takes or {}).get(task.trainer)
        divisible = retries.divisible(task.framework, task.arguments, takes)
        share = self._shares.given(task.resources["gpus"])
        ruling = retries.rule(self.history.trials[task.trial], data, self.search.retries, divisible, share)
        data = {**data, **ruling.facts()}
        if ruling.again:
            self._end(task.trial, task.attempt, data)
            return
        over = Event("ended", task.trial, task.attempt, data)
        self._finish(task.trial, State.FAILED, before=[over], error=ruling.error, reason=ruling.reason)

    def _ensure_started(self, task: Task, data: Mapping[str, Any]) -> None:
        """An attempt starts once, also that of a worker which dies before it can say so."""
        if len(self.history.trials[task.trial].attempts) < task.attempt:
            self._append(Event("started", task.trial, task.attempt, data))

    def _complete(self, task: Task, ended: Event) -> None:
        trial = self.history.trials[task.trial]
        try:
            found = [
                objective_value(trial.reports, o.metric, o.direction, o.value) for o in self.search.objectives
            ]
        except LookupError as missing:
            error = _never_reported(missing.args[0], trial)
            data = {**ended.data, "outcome": "failed", "error": error, "cause": "missing"}
            failed = Event("ended", task.trial, task.attempt, data)
            self._finish(task.trial, State.FAILED, before=[failed], error=error, reason="missing")
            return
        values, step = [value for value, _ in found], found[0][1]
        self._finish(task.trial, State.COMPLETE, before=[ended], values=values, step=step)

    def _end(self, number: int, attempt: int, data: Mapping[str, Any]) -> None:
        self._append(Event("ended", number, attempt, dict(data)))
        self._running.pop(number, None)
        self._waiting.append(number)

    def _finish(self, number: int, state: State, before: Sequence[Event], **data: Any) -> None:
        self._append(*before, Event("finished", number, None, {"state": str(state), **data}))
        self._running.pop(number, None)
        infeasible = data.get("reason") == retries.INFEASIBLE
        self._brain.tell(number, state, data.get("values"), infeasible)
        self._goals.note(self.history.trials[number])
        self._sweep.after(self.history.trials[number])
        if self._goals.reached_by(self.history.trials[number]):
            self.stop("ENDED", "target")  # reported to a driver that was killed before it could stop
        if self._goals.out_of_patience:
            self.stop("ENDED", "budget.patience")
        if self.history.counts[State.FAILED] == self._ended:
            why = self._goals.hopeless(self.history.of_state(State.FAILED))
            if why:
                self.stop("FAILED", f"budget.failures: {why}")

    # --- facts -----------------------------------------------------------------------------

    def cut(self) -> None:
        """Leave at once; called from a signal's handler, so never in the middle of a write."""
        self._cut = True
        self._lease.cut()
        if not self._writing:
            raise KeyboardInterrupt

    @property
    def session_s(self) -> float:
        """Seconds that this driver was alive, by a count that no change of the clock can shift."""
        return round(time.monotonic() - self._begun_s, 3)

    def _timed(self, event: Event) -> Event:
        if event.kind not in _TIMED:
            return event
        return replace(event, data={**event.data, "alive_s": self.session_s})

    def _append(self, *events: Event) -> None:
        self._writing = True
        try:
            for event in self._lease.append([self._timed(event) for event in events]):
                self.history.apply(event)
                if event.kind == "ended" and event.trial is not None:
                    trial = self.history.trials[event.trial]
                    self._nodes.hear(trial.attempts[-1])
                    self._shares.hear(trial.trainer, trial.attempts[-1])
                self._watch(event)
        finally:
            self._writing = False
        if self._cut:
            raise KeyboardInterrupt


def _over(task: Task, outcome: str, **data: Any) -> Event:
    return Event("ended", task.trial, task.attempt, {"outcome": outcome, **data})


def _never_reported(metric: str, trial: Trial) -> str:
    seen = sorted({name for report in trial.reports for name in report.metrics})
    told = f"it reported {', '.join(seen)}" if seen else "it reported nothing"
    return f"never reported the objective {metric}; {told}"


def _without_kind(message: Message) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "kind"}
