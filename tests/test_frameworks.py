"""Every framework behind a real worker process: what a trial says, keeps, resumes and leaves behind."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from automl.engines.base import Answer, Message, Task
from automl.host import Host

ROOT = Path(__file__).parent / "project"
CPUS = 3  # other than what the frameworks would take by themselves on two cores
STEPS = 4
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Subject:
    """A trainer of a framework that reports STEPS times, and one that comes to grief."""

    framework: str
    model: str
    data: str | None
    arguments: Mapping[str, Any]
    metrics: frozenset[str]
    falls: str  # a metric that is at its highest in the first report
    broken: Mapping[str, Any] = field(default_factory=dict)
    grief: str = ""


SUBJECTS = {
    "lightning": Subject(
        "lightning",
        "trainers.tiny_lightning:TinyNet",
        "trainers.tiny_lightning:TinyData",
        {"model": {"lr": 0.05, "dropout": 0.2}, "fit": {"max_epochs": STEPS, "num_sanity_val_steps": 2}},
        frozenset({"train_loss", "val_loss", "val_accuracy"}),
        "train_loss",
        {"model": {"dropout": 7}},
        "ValueError: dropout probability has to be between 0 and 1, but got 7",
    ),
    "keras": Subject(
        "keras",
        "trainers.tiny_keras:net",
        "trainers.tiny_keras:data",
        {"model": {"lr": 0.05, "dropout": 0.2}, "fit": {"epochs": STEPS, "batch_size": 16}},
        frozenset({"loss", "accuracy", "val_loss", "val_accuracy"}),
        "loss",
        {"model": {"dropout": 7}},
        "ValueError: Invalid value received for argument `rate`",
    ),
    "function": Subject(
        "function",
        "trainers.tiny_function:resumes",
        None,
        {"model": {"x": 0.5, "steps": STEPS}},
        frozenset({"loss", "first"}),
        "loss",
        {"model": {"x": "half"}},
        "TypeError: unsupported operand type(s) for ** or pow()",
    ),
}


@dataclass(frozen=True)
class Attempt:
    """What a worker said of one attempt."""

    task: Task
    messages: list[Message]

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message["kind"] == kind]

    @property
    def started(self) -> Message:
        return self.of("started")[0]

    @property
    def ended(self) -> Message:
        return self.messages[-1]

    @property
    def steps(self) -> list[int]:
        return [message["step"] for message in self.of("report")]

    @property
    def curve(self) -> list[tuple[int, dict[str, float]]]:
        return [(message["step"], message["metrics"]) for message in self.of("report")]

    @property
    def folder(self) -> Path:
        return Path(self.task.storage) / self.task.search / "trials" / str(self.task.trial)

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


Answers = Mapping[int, Answer]
Run = Callable[..., Attempt]


def drive(host: Host, task: Task, answers: Answers, seen: Callable[[Message], None] | None = None) -> Attempt:
    """Run an attempt to its end, answering each report; GO where nothing else is said."""
    messages: list[Message] = []
    host.start(task)
    deadline_s = time.monotonic() + PATIENCE_S
    while not messages or messages[-1]["kind"] != "ended":
        assert time.monotonic() < deadline_s, f"no end after {messages}"
        message = host.poll(1.0)
        if message is None:
            continue
        messages.append(message)
        if seen:
            seen(message)
        if message["kind"] == "report":
            answer = answers.get(message["step"], Answer.GO)
            host.answer(answer)
            if answer is Answer.STOP:
                host.stop()
    return Attempt(task, messages)


def task_of(subject: Subject, storage: Path, changes: Mapping[str, Any]) -> Task:
    parts = ("model", "data", "fit")
    # Another model has other arguments.
    given = {**subject.arguments, "model": {}} if "model" in changes else subject.arguments
    arguments = {part: {**given.get(part, {}), **changes.get(f"{part}_", {})} for part in parts}
    value, metric = changes.get("value", "last"), changes.get("metric", "val_loss")
    direction = changes.get("direction", "minimize")
    names: tuple[str, ...] = ("trial", "attempt", "model", "data", "checkpoint", "step", "reported", "best")
    names += ("best_step", "deep", "storage", "judged")
    plain = {name: changes[name] for name in names if name in changes}
    facts: dict[str, Any] = {
        "search": "tiny",
        "trial": 0,
        "attempt": 1,
        "seed": 11,
        "trainer": "trainer",
        "framework": subject.framework,
        "model": subject.model,
        "data": subject.data,
        "objectives": ({"metric": metric, "direction": direction, "value": value},),
        "resources": {"cpus": CPUS, "gpus": 0},
        "root": str(ROOT),
        "storage": str(storage),
    }
    return Task(arguments=arguments, **{**facts, **plain})


def runner(host: Host, subject: Subject, storage: Path) -> Run:
    def run(answers: Answers | None = None, seen: Any = None, **changes: Any) -> Attempt:
        return drive(host, task_of(subject, storage, changes), answers or {}, seen)

    return run


@pytest.fixture(scope="module")
def hosts() -> Iterator[Callable[[str], Host]]:
    """One warm host a framework."""
    made: dict[str, Host] = {}

    def get(framework: str) -> Host:
        return made.setdefault(framework, Host(str(ROOT), CPUS))

    yield get
    for host in made.values():
        host.close()


@pytest.fixture(params=list(SUBJECTS))
def subject(request: pytest.FixtureRequest) -> Subject:
    return SUBJECTS[request.param]


@pytest.fixture
def run(hosts: Callable[[str], Host], subject: Subject, tmp_path: Path) -> Run:
    return runner(hosts(subject.framework), subject, tmp_path)


@pytest.fixture
def lightning(hosts: Callable[[str], Host], tmp_path: Path) -> Run:
    return runner(hosts("lightning"), SUBJECTS["lightning"], tmp_path)


@pytest.fixture
def keras(hosts: Callable[[str], Host], tmp_path: Path) -> Run:
    return runner(hosts("keras"), SUBJECTS["keras"], tmp_path)


@pytest.fixture
def function(hosts: Callable[[str], Host], tmp_path: Path) -> Run:
    return runner(hosts("function"), SUBJECTS["function"], tmp_path)


@pytest.fixture
def own_host() -> Iterator[Host]:
    """A host that a test may harm."""
    host = Host(str(ROOT), CPUS)
    yield host
    host.close()


def stopped_and_resumed(run: Run, after: int, **changes: Any) -> Attempt:
    """The second of two attempts at trial 1, of which the first was stopped at a report."""
    first = run({after: Answer.STOP}, trial=1, **changes)
    assert first.ended["outcome"] == "stopped"
    checkpoint = first.of("checkpointed")[-1]["path"]
    return run(trial=1, attempt=2, checkpoint=checkpoint, step=after, **changes)


def checkpoint_of(attempt: Attempt) -> str:
    return str(attempt.of("checkpointed")[-1]["path"])


def learned(attempt: Attempt) -> list[tuple[int, dict[str, float]]]:
    """Its curve, but for what tells one attempt from another."""
    return [(step, {k: v for k, v in metrics.items() if k != "first"}) for step, metrics in attempt.curve]


# --- every framework -------------------------------------------------------------------------


def test_every_validation_is_one_report_and_the_sanity_check_is_none(run: Run, subject: Subject) -> None:
    attempt = run()
    assert attempt.ended["outcome"] == "complete"
    assert attempt.steps == list(range(1, STEPS + 1))
    assert {frozenset(metrics) for _, metrics in attempt.curve} == {subject.metrics}


def test_a_second_trial_finds_the_worker_warm(run: Run) -> None:
    first, second = run(), run(trial=1)
    assert second.started["warm"]
    assert second.started["pid"] == first.started["pid"]


def test_the_same_seed_gives_the_same_curve_on_a_warm_worker(run: Run) -> None:
    assert run().curve == run(trial=1).curve


def test_a_trial_that_is_told_to_end_is_pruned_and_keeps_nothing(run: Run, subject: Subject) -> None:
    attempt = run({2: Answer.END})
    assert attempt.ended["outcome"] == "pruned"
    assert attempt.steps == [1, 2]
    assert attempt.ended["weights"] is None


def test_a_stopped_trial_goes_on_at_the_next_step_as_if_it_had_never_stopped(run: Run) -> None:
    whole = run()
    resumed = stopped_and_resumed(run, after=2)
    assert resumed.ended["outcome"] == "complete"
    assert resumed.steps == [3, 4]
    assert learned(resumed) == learned(whole)[2:]


def test_a_damaged_checkpoint_costs_the_way_back_to_the_one_before_or_to_the_start(
    run: Run, subject: Subject
) -> None:
    changes = {"model": "trainers.keeps:sums", "model_": {"steps": STEPS}} if subject.data is None else {}
    whole = run(**changes)
    first = run({1: Answer.STOP}, trial=1, **changes)
    second = run({2: Answer.STOP}, trial=1, attempt=2, checkpoint=checkpoint_of(first), step=1, **changes)
    older, newest = Path(checkpoint_of(first)), Path(checkpoint_of(second))
    kept = shutil.copytree(older, older.with_name("kept"))
    cut_off(newest)
    resumed = {"checkpoint": str(newest), "step": 2, "reported": 2}
    third = run({2: Answer.END}, trial=1, attempt=3, **resumed, **changes)
    assert third.started["resumed_step"] == 1
    [why] = third.started["skipped"]
    assert str(newest) in why
    assert f"{why}; it goes on after step 1" in third.log
    assert learned(third) == learned(whole)[1:2]

    cut_off(newest)
    shutil.rmtree(older)
    fourth = run(trial=1, attempt=4, **resumed, **changes)
    assert fourth.started["resumed_step"] == 0
    [why] = fourth.started["skipped"]
    assert f"{why}; it begins anew" in fourth.log
    assert learned(fourth) == learned(whole)
    assert kept.is_dir()


def cut_off(folder: Path) -> None:
    """Half of its largest file is lost."""
    file = max(folder.iterdir(), key=lambda path: path.stat().st_size if path.name != "MANIFEST.json" else -1)
    os.truncate(file, file.stat().st_size // 2)


def test_an_exception_is_told_in_one_line_and_its_traceback_is_in_the_log(run: Run, subject: Subject) -> None:
    changes = {f"{part}_": arguments for part, arguments in subject.broken.items()}
    attempt = run(**changes)
    assert attempt.ended["outcome"] == "failed"
    assert attempt.ended["cause"] == "code"
    assert attempt.ended["error"].startswith(subject.grief)
    assert "Traceback (most recent call last)" in attempt.log
    assert subject.grief.partition(": ")[2] in attempt.log
    assert run(trial=1).ended["outcome"] == "complete"


def test_a_deep_check_trains_one_batch_and_tells_nobody_else(run: Run, subject: Subject) -> None:
    attempt = run(deep=True)
    assert attempt.ended["outcome"] == "complete", attempt.log
    assert attempt.of("report") == attempt.of("checkpointed") == []
    assert set(attempt.ended["reports"][0]) == subject.metrics
    assert attempt.ended.get("weights") is None
    learns = [path.name.partition("-")[0] for path in attempt.folder.iterdir() if path.is_dir()]
    assert set(learns) == ({"checkpoint"} if subject.data is None else {"checkpoint", "weights"})


# --- weights ---------------------------------------------------------------------------------

# Loads weights in a process of its own, and judges them on the validation rows.
LOAD = """
import json, sys
from pathlib import Path
from automl import project
from automl.frameworks.base import framework

def judged(model):
    if sys.argv[1] == "keras":
        from trainers.tiny_keras import data
        return model.evaluate(*data()[1], batch_size=16, verbose=0, return_dict=True)["loss"]
    import torch
    from trainers.tiny_lightning import TinyData
    data = TinyData()
    data.setup()
    x, y = data.held.tensors
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(model(x), y))

for folder in map(Path, sys.argv[2:]):
    meta = json.loads((folder / "meta.json").read_text())
    vendor = framework(sys.argv[1])
    model = project.resolve_address(meta["model"], sys.path[0])
    print("LOSS", judged(vendor.load(model, meta["arguments"], folder)))
"""


def judged_elsewhere(*attempts: Attempt) -> list[float]:
    """The validation losses of the weights that attempts kept."""
    folders = [attempt.ended["weights"] for attempt in attempts]
    command = [sys.executable, "-c", LOAD, attempts[0].task.framework, *folders]
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parents[1])}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    return [float(line.split()[1]) for line in said.stdout.splitlines() if line.startswith("LOSS")]


def meta_of(attempt: Attempt) -> dict[str, Any]:
    return dict(json.loads((Path(attempt.ended["weights"]) / "meta.json").read_text()))


@pytest.fixture(params=["lightning", "keras"])
def trained(request: pytest.FixtureRequest) -> Run:
    run: Run = request.getfixturevalue(request.param)
    return run


def test_the_weights_that_were_judged_last_predict_the_same_elsewhere(trained: Run) -> None:
    whole = trained()
    keras = whole.task.framework == "keras"
    sparse = trained(trial=1, fit_={"validation_freq": 3} if keras else {"check_val_every_n_epoch": 3})

    assert whole.steps == [1, 2, 3, 4]
    assert sparse.steps == [1]
    reported = [attempt.curve[-1][1]["val_loss"] for attempt in (whole, sparse)]
    assert judged_elsewhere(whole, sparse) == pytest.approx(reported, rel=1e-5)


def test_a_few_rows_of_the_inputs_lie_beside_the_weights(trained: Run) -> None:
    attempt = trained()
    assert meta_of(attempt)["step"] == STEPS
    with np.load(Path(attempt.ended["weights"]) / "example.npz", allow_pickle=False) as example:
        assert example["x"].shape == (4, 8)


def test_a_trial_that_reached_the_target_ends_complete_with_its_weights(trained: Run) -> None:
    attempt = trained({2: Answer.FINISH})
    assert attempt.ended["outcome"] == "complete"
    assert attempt.steps == [1, 2]
    meta = meta_of(attempt)
    assert (meta["step"], meta["metrics"]) == attempt.curve[-1]


def test_where_the_best_value_counts_the_weights_are_those_of_the_best_step(trained: Run) -> None:
    metric = SUBJECTS[trained(deep=True).task.framework].falls
    attempt = trained(trial=1, metric=metric, direction="maximize", value="best")
    assert attempt.steps == [1, 2, 3, 4]
    assert meta_of(attempt)["step"] == 1


def test_a_best_step_is_found_again_behind_the_checkpoint_that_a_killed_attempt_left(trained: Run) -> None:
    """Checkpoint at 1, best at 2, death at 3: the weights of 2 are those that the ledger will name."""
    metric = SUBJECTS[trained(deep=True).task.framework].falls
    best = {"metric": metric, "direction": "minimize", "value": "best"}
    first = trained({1: Answer.STOP}, trial=1, **best)
    seen = {"reported": 3, "best": -1.0, "best_step": 2}
    attempt = trained(trial=1, attempt=2, checkpoint=checkpoint_of(first), step=1, **seen, **best)
    assert attempt.steps == [2, 3, 4]
    assert meta_of(attempt)["step"] == 2


def test_a_best_step_that_is_repeated_after_a_crash_has_its_weights(trained: Run) -> None:
    metric = SUBJECTS[trained(deep=True).task.framework].falls
    best = {"metric": metric, "direction": "maximize", "value": "best"}
    reported = trained({1: Answer.END}, trial=1, **best)
    seen = {"reported": 1, "best": reported.curve[0][1][metric], "best_step": 1}
    attempt = trained(trial=1, attempt=2, **seen, **best)
    assert meta_of(attempt)["step"] == 1


def test_a_checkpoint_written_at_the_last_epoch_is_enough_to_end_complete(trained: Run) -> None:
    attempt = stopped_and_resumed(trained, after=STEPS)
    assert attempt.ended["outcome"] == "complete"
    assert attempt.steps == []
    assert meta_of(attempt)["step"] == STEPS


def test_an_estimator_that_a_callable_returns_is_kept(function: Run) -> None:
    attempt = function(model="trainers.probe_function:fits")
    assert attempt.ended["outcome"] == "complete"
    assert meta_of(attempt)["metrics"]["accuracy"] > 0.9
    assert (Path(attempt.ended["weights"]) / "model.skops").is_file()


OTHER = {"lightning": "trainers.keeps_lightning:OtherNet", "keras": "trainers.probe_keras:lazy"}
DRAWING = {"lightning": "trainers.keeps_lightning:DrawingNet", "keras": "trainers.keeps_keras:drawing_net"}
KILLED = {"lightning": "trainers.keeps_lightning:KilledNet", "keras": "trainers.keeps_keras:killed_net"}


def test_a_whole_checkpoint_that_the_model_does_not_take_is_left_and_the_trial_begins_anew(
    trained: Run,
) -> None:
    first = trained({2: Answer.STOP}, trial=1)
    place, model = checkpoint_of(first), OTHER[first.task.framework]
    attempt = trained(trial=1, attempt=2, checkpoint=place, step=2, model=model)
    assert attempt.ended["outcome"] == "complete", attempt.log
    assert attempt.steps == [1, 2, 3, 4]
    told = attempt.of("checkpointed")[0]
    assert (told["step"], told["path"]) == (0, None)
    assert told["error"].startswith(f"{place} cannot be loaded: ")
    assert f"{told['error']}; it begins anew" in attempt.log


def test_every_random_generator_goes_on_where_it_stopped(trained: Run) -> None:
    model = DRAWING[trained(deep=True).task.framework]
    whole = trained(trial=2, model=model)
    assert whole.steps == [1, 2, 3, 4]
    assert {"python", "numpy"} <= set(whole.curve[0][1])
    assert stopped_and_resumed(trained, after=2, model=model).curve == whole.curve[2:]


def test_a_worker_killed_in_the_middle_of_an_epoch_costs_that_epoch_alone(
    trained: Run, tmp_path: Path
) -> None:
    model = KILLED[trained(deep=True).task.framework]
    changes = {"model": model, "model_": {"mark": str(tmp_path / "mark")}}
    killed = trained(trial=1, **changes)
    assert killed.ended["cause"] == "machine"
    assert killed.steps == [1, 2]
    assert [told["step"] for told in killed.of("checkpointed")] == [1, 2]
    again = {"attempt": 2, "checkpoint": checkpoint_of(killed), "step": 2, "reported": 2}
    resumed, whole = trained(trial=1, **again, **changes), trained(trial=2, **changes)
    assert whole.steps == [1, 2, 3, 4]
    assert (resumed.started["resumed_step"], resumed.steps) == (2, [3, 4])
    assert [*killed.curve, *resumed.curve] == whole.curve


COUNTED = {"lightning": "trainers.counts_lightning:CountedNet", "keras": "trainers.counts_keras:counted_net"}


@pytest.mark.parametrize("framework", COUNTED)
def test_no_batch_is_trained_between_a_report_and_its_answer(
    own_host: Host, tmp_path: Path, framework: str
) -> None:
    """The next one may be prepared."""
    trained, mark, batches = runner(own_host, SUBJECTS[framework], tmp_path), tmp_path / "mark", []

    def late(message: Message) -> None:
        if message["kind"] == "report":
            time.sleep(0.2)
            batches.append(mark.stat().st_size)

    model = {"model": COUNTED[framework], "model_": {"mark": str(mark)}}
    pruned = trained({3: Answer.END}, seen=late, **model)
    assert pruned.ended["outcome"] == "pruned", pruned.log
    assert batches == [6, 12, 18]
    assert mark.stat().st_size == 18


@pytest.mark.parametrize("framework", COUNTED)
def test_an_epoch_is_trained_while_a_report_that_nobody_judges_is_answered(
    own_host: Host, tmp_path: Path, framework: str
) -> None:
    trained, mark, batches = runner(own_host, SUBJECTS[framework], tmp_path), tmp_path / "mark", []

    def late(message: Message) -> None:
        if message["kind"] != "report":
            return
        judged = message["step"] in (3, 4)
        until_s = time.monotonic() + (0.2 if judged else PATIENCE_S)
        while time.monotonic() < until_s and (judged or mark.stat().st_size < 6 * (message["step"] + 1)):
            time.sleep(0.01)
        batches.append(mark.stat().st_size)

    model = {"model": COUNTED[framework], "model_": {"mark": str(mark)}}
    whole = trained(seen=late, judged=(3,), **model)
    assert (whole.steps, whole.ended["outcome"]) == ([1, 2, 3, 4], "complete"), whole.log
    assert batches == [12, 18, 18, 24]
    mark.unlink()
    pruned = trained({3: Answer.END}, trial=1, judged=(3,), **model)
    assert (pruned.steps, pruned.ended["outcome"], mark.stat().st_size) == ([1, 2, 3], "pruned", 18)
    mark.unlink()
    failed = trained({1: Answer.END}, trial=2, judged=(), **model)  # it was no number
    assert (failed.steps, failed.ended["outcome"]) == ([1], "pruned")
    assert 6 <= mark.stat().st_size <= 12
    late = trained({4: Answer.STOP}, trial=3, judged=(), **model)  # it has ended by itself
    assert (late.steps, late.ended["outcome"]) == ([1, 2, 3, 4], "complete")


@pytest.mark.parametrize("model", ["counts_lightning:TinyNet", "counts_keras:net"])
@pytest.mark.parametrize("value", ["best", "last"])
def test_a_trial_whose_reports_nobody_judges_is_stopped_resumed_and_kept_as_any(
    own_host: Host, tmp_path: Path, model: str, value: str
) -> None:
    framework = "keras" if "keras" in model else "lightning"
    trained = runner(own_host, SUBJECTS[framework], tmp_path)
    named = {"model": f"trainers.{model}", "value": value}
    told = trained(trial=2, **named)
    posted = trained(trial=3, judged=(), **named)
    assert posted.curve == told.curve
    assert Path(posted.ended["weights"]).name == Path(told.ended["weights"]).name
    stopped = trained(dict.fromkeys((2, 3, 4), Answer.STOP), trial=1, judged=(), **named)
    assert stopped.ended["outcome"] == "stopped", stopped.log
    kept = stopped.of("checkpointed")[-1]
    again = {"attempt": 2, "checkpoint": kept["path"], "step": kept["step"], "reported": stopped.steps[-1]}
    assert trained(trial=1, judged=(), **again, **named).curve == told.curve[kept["step"] :]


@pytest.mark.parametrize(
    "model",
    ["counts_lightning:TinyNet", "counts_lightning:PlateauNet", "counts_keras:net"],
)
def test_a_trial_that_went_on_from_its_report_is_stopped_where_it_made_it(
    own_host: Host, tmp_path: Path, model: str
) -> None:
    """Its checkpoint is the end of that epoch: schedules, random generators and all."""
    framework = "keras" if "keras" in model else "lightning"
    trained = runner(own_host, SUBJECTS[framework], tmp_path)
    whole = trained(trial=2, model=f"trainers.{model}")
    assert whole.steps == [1, 2, 3, 4]
    for after in (1, 2, 3):
        resumed = stopped_and_resumed(trained, after, model=f"trainers.{model}")
        assert resumed.curve == whole.curve[after:], after


# --- Lightning -------------------------------------------------------------------------------


def test_an_answer_that_an_attempt_left_before_it_heard_is_no_other_attempts(
    own_host: Host, tmp_path: Path
) -> None:
    trained, counts = runner(own_host, SUBJECTS["lightning"], tmp_path), "trainers.counts_lightning"
    log = tmp_path / "tiny" / "trials" / "0" / "log.txt"

    def after_the_end(message: Message) -> None:
        until_s = time.monotonic() + PATIENCE_S
        while message["kind"] == "report" and "no more rows" not in log.read_text():
            assert time.monotonic() < until_s
            time.sleep(0.01)

    failed = trained(seen=after_the_end, data=f"{counts}:FailingData")
    assert failed.ended["error"] == "RuntimeError: no more rows"
    assert failed.steps == [1]
    pruned = trained({2: Answer.END}, trial=1)
    assert (pruned.steps, pruned.ended["outcome"]) == ([1, 2], "pruned")


@pytest.mark.parametrize("answer", [Answer.GO, Answer.STOP, Answer.FINISH])
def test_a_training_that_ends_by_itself_is_complete_whatever_its_last_report_is_answered_but_an_end(
    own_host: Host, tmp_path: Path, answer: Answer
) -> None:
    trained = runner(own_host, SUBJECTS["lightning"], tmp_path)
    model = {"model": "trainers.counts_lightning:StoppingNet", "value": "best", "direction": "maximize"}
    attempt = trained({2: answer}, metric="val_accuracy", **model)
    assert (attempt.steps, attempt.ended["outcome"]) == ([1, 2], "complete"), attempt.log
    best = max(attempt.curve, key=lambda each: each[1]["val_accuracy"])[0]
    assert attempt.ended["weights"].endswith(f"weights-{best:08d}")
    ended = trained({2: Answer.END}, trial=1, metric="val_accuracy", **model)
    assert ended.ended["outcome"] == "pruned"


@pytest.mark.parametrize("model", ["RestartingNet", "CalledBackNet"])
def test_weights_are_what_was_judged_whatever_the_next_epoch_begins_with(
    own_host: Host, tmp_path: Path, model: str
) -> None:
    import torch

    trained = runner(own_host, SUBJECTS["lightning"], tmp_path)
    best = {"metric": "first", "direction": "maximize", "value": "best"}
    attempt = trained(model=f"trainers.counts_lightning:{model}", **best)
    assert attempt.ended["weights"].endswith("weights-00000001"), attempt.log
    kept = torch.load(Path(attempt.ended["weights"]) / "state_dict.pt", weights_only=True)
    assert all(values.count_nonzero() for values in kept.values())


def test_a_checkpoint_asks_no_client_of_an_object_store(own_host: Host, tmp_path: Path) -> None:
    """Lightning would import all that are installed, at a process's first checkpoint."""
    trained = runner(own_host, SUBJECTS["lightning"], tmp_path)
    stopped = trained({1: Answer.STOP}, model="trainers.imports_lightning:ImportsNet")
    again = {"attempt": 2, "checkpoint": checkpoint_of(stopped), "step": 1, "reported": 1}
    attempt = trained(model="trainers.imports_lightning:ImportsNet", **again)
    assert importlib.util.find_spec("s3fs")
    assert {metrics["s3fs"] for _, metrics in attempt.curve} == {0.0}


def test_a_callable_that_calls_exit_has_failed_by_itself_and_its_worker_lives(function: Run) -> None:
    attempt = function(model="trainers.probe_function:leaves")
    assert attempt.ended["cause"] == "code"
    assert attempt.ended["error"] == "SystemExit: no data today"
    assert function(trial=1).of("started")[0]["warm"] is True


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"metrics": {"loss": 1.0}, "step": 0}, "step is 0, steps count from 1"),
        ({"metrics": {"loss": "low"}}, "loss is 'low'; give one number"),
        ({"metrics": 3.0}, "3.0 is no mapping"),
    ],
)
def test_a_report_that_cannot_be_one_is_told_how_to_be(
    function: Run, given: dict[str, Any], told: str
) -> None:
    attempt = function(model="trainers.probe_function:misreports", model_=given)
    assert attempt.ended["error"].startswith("ValueError: trial.report: ")
    assert told in attempt.ended["error"]


def test_a_learning_rate_that_follows_a_metric_survives_a_stop(lightning: Run) -> None:
    changes = {
        "model": "trainers.probe_lightning:PlateauNet",
        "model_": {"lr": 0.5},
        "fit_": {"max_epochs": 8},
    }
    whole = lightning(**changes)
    rates = [metrics["lr"] for _, metrics in whole.curve]
    falls = next(step for step in range(1, 8) if rates[step] < rates[step - 1])
    assert stopped_and_resumed(lightning, after=falls, **changes).curve == whole.curve[falls:]


def test_validating_twice_an_epoch_reports_twice(lightning: Run) -> None:
    attempt = lightning(fit_={"max_epochs": 2, "val_check_interval": 0.5})
    assert attempt.steps == [1, 2, 3, 4]


def test_a_trial_that_validates_within_its_epochs_goes_on_where_it_was(lightning: Run) -> None:
    changes = {"fit_": {"val_check_interval": 0.5, "max_epochs": 2}}
    whole = lightning(**changes)
    assert whole.steps == [1, 2, 3, 4]
    assert stopped_and_resumed(lightning, after=2, **changes).curve == whole.curve[2:]
    assert stopped_and_resumed(lightning, after=3, **changes).steps == [4]


# --- Keras -----------------------------------------------------------------------------------

PROBE = "trainers.probe_keras"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"model": f"{PROBE}:lazy", "fit_": {"steps_per_epoch": 9}},
            id="adam-variables-of-the-first-batch-and-epochs-longer-than-the-data",
        ),
        pytest.param(
            {"fit_": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "steps_per_epoch": 4}},
            id="class-weights-and-epochs-shorter-than-the-data",
        ),
        pytest.param({"model": f"{PROBE}:named", "data": f"{PROBE}:named_data"}, id="named-inputs"),
        pytest.param({"data": f"{PROBE}:rows", "fit_": {"batch_size": None}}, id="a-py-dataset"),
        pytest.param({"data": f"{PROBE}:stream", "fit_": {"batch_size": None}}, id="a-tf-dataset"),
    ],
)
def test_a_resumed_keras_trial_equals_an_uninterrupted_one(keras: Run, changes: dict[str, Any]) -> None:
    whole = keras(**changes)
    assert whole.ended["outcome"] == "complete", whole.log
    assert whole.steps == [1, 2, 3, 4]
    assert stopped_and_resumed(keras, after=2, **changes).curve == whole.curve[2:]


def test_batches_come_in_another_order_every_epoch_and_in_the_data_order_where_asked(keras: Run) -> None:
    shuffled, ordered = keras(), keras(trial=1, fit_={"shuffle": False})
    assert shuffled.curve != ordered.curve


def test_without_validation_every_epoch_reports(keras: Run) -> None:
    attempt = keras(data=f"{PROBE}:no_validation")
    assert attempt.steps == [1, 2, 3, 4]
    assert set(attempt.curve[0][1]) == {"loss", "accuracy"}


def test_a_share_of_the_training_rows_can_be_held_out(keras: Run) -> None:
    attempt = keras(data=f"{PROBE}:no_validation", fit_={"validation_split": 0.25})
    assert {"val_loss", "val_accuracy"} <= set(attempt.curve[0][1])


def test_the_examples_of_named_inputs_carry_their_names(keras: Run) -> None:
    attempt = keras(model=f"{PROBE}:named", data=f"{PROBE}:named_data")
    with np.load(Path(attempt.ended["weights"]) / "example.npz", allow_pickle=False) as example:
        assert {name: example[name].shape for name in example.files} == {"x_left": (4, 4), "x_right": (4, 4)}


def test_a_model_that_is_not_compiled_is_told_how_to_be(keras: Run) -> None:
    attempt = keras(model=f"{PROBE}:rough")
    assert attempt.ended["outcome"] == "failed"
    assert "not compiled. Call model.compile(" in attempt.ended["error"]


# --- the worker around them ------------------------------------------------------------------


def test_threads_follow_the_cpus(lightning: Run, keras: Run) -> None:
    torch_trial = lightning(model="trainers.probe_lightning:ThreadsNet", fit_={"max_epochs": 1})
    keras_trial = keras(trial=1, model=f"{PROBE}:threads", fit_={"epochs": 1})
    assert torch_trial.curve[0][1]["threads"] == keras_trial.curve[0][1]["threads"] == CPUS


def test_what_a_trial_writes_is_in_its_log_and_nowhere_else(
    function: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    first = function(model="trainers.tiny_function:talks", model_={"text": "one"})
    second = function(trial=1, model="trainers.tiny_function:talks", model_={"text": "two"})
    assert first.log.split() == ["one", "one", "on", "stderr"]
    assert second.log.split() == ["two", "two", "on", "stderr"]
    assert "".join(capfd.readouterr()) == ""


def test_a_killed_worker_is_the_machines_fault_and_the_next_trial_gets_another(
    own_host: Host, tmp_path: Path
) -> None:
    run = runner(own_host, SUBJECTS["function"], tmp_path)
    killed = run(model="trainers.tiny_function:killed", model_={"x": 1.0})
    assert killed.ended["outcome"] == "failed"
    assert killed.ended["cause"] == "machine"
    assert "SIGKILL" in killed.ended["error"]
    after = run(trial=1)
    assert after.ended["outcome"] == "complete"
    assert after.started["pid"] != killed.started["pid"]


def test_a_worker_that_is_killed_from_outside_is_noticed(own_host: Host, tmp_path: Path) -> None:
    run = runner(own_host, SUBJECTS["function"], tmp_path)

    def kill(message: Message) -> None:
        if message["kind"] == "started":
            os.kill(message["pid"], signal.SIGKILL)

    assert run(seen=kill, model_={"sleep": 1.0}).ended["cause"] == "machine"


def test_a_worker_is_given_no_credentials(
    own_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTOML_LEDGER", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD"):
        monkeypatch.setenv(name, "postgresql://me:hunter2@db/automl")
    run = runner(own_host, SUBJECTS["function"], tmp_path)
    attempt = run(model="trainers.probe_function:environment")
    assert attempt.curve[0][1]["threads"] == CPUS
    assert "hunter2" not in attempt.log


def test_no_process_outlives_its_host(tmp_path: Path) -> None:
    host = Host(str(ROOT), CPUS)
    pids: list[int] = []
    host.start(task_of(SUBJECTS["function"], tmp_path, {"model": "trainers.probe_function:leaves_a_child"}))
    while len(pids) < 2:
        message = host.poll(1.0)
        if message is not None:
            pids.append(message["pid"] if message["kind"] == "started" else int(message["metrics"]["child"]))
    processes = [psutil.Process(pid) for pid in pids]
    host.close()
    assert psutil.wait_procs(processes, timeout=10)[1] == []
