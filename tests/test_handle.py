"""What training leaves behind it on its way to the storage: in order, whole, and heard of."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automl import handle as module
from automl.engines.base import Answer, Task
from automl.errors import StorageError, TrialPruned
from automl.handle import CHECKPOINT_COSTS, CHECKPOINT_S, HURRY_S, TrialHandle
from automl.storage import TrialFolder


class Line:
    """The worker's end of a socket that nobody listens at."""

    def __init__(self) -> None:
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.stopped_s: float | None = None
        self.said: list[tuple[str, dict[str, Any]]] = []

    def send(self, kind: str, **data: Any) -> None:
        self.said.append((kind, data))

    def pulse(self) -> None:
        """Nobody waits for it."""


class Folder(TrialFolder):
    """A storage that keeps nothing before it is let."""

    def __init__(self, storage: Path) -> None:
        super().__init__(str(storage), "search", 3, storage / "scratch")
        self.open = threading.Event()
        self.full = False

    def keep(self, kind: str, step: int, beside: Path) -> str:
        assert self.open.wait(30)
        if self.full:
            raise StorageError(f"cannot write {kind} of step {step}: No space left on device")
        return super().keep(kind, step, beside)


LAST = {"metric": "loss", "direction": "minimize", "value": "last"}


def task(**changes: Any) -> Task:
    objective = {"metric": "loss", "direction": "minimize", "value": "best"}
    facts: dict[str, Any] = {
        "search": "search",
        "trial": 3,
        "attempt": 1,
        "seed": 1,
        "trainer": "t",
        "framework": "function",
        "model": "a:b",
        "data": None,
        "arguments": {},
        "objectives": (objective,),
        "resources": {"cpus": 1, "gpus": 0},
        "root": ".",
        "storage": "runs",
    }
    return Task(**{**facts, **changes})


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "_costs", {})
    return clock


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Folder]:
    files = Folder(tmp_path)
    yield files
    files.open.set()  # or the thread would wait for ever


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def handle(line: Line, files: Folder, clock: Clock) -> TrialHandle:
    return TrialHandle(line, task(), files, None)


def write(folder: Path) -> None:
    (folder / "weights.txt").write_text("1 2 3")


def test_training_goes_on_while_a_checkpoint_comes_to_the_storage(
    handle: TrialHandle, line: Line, files: Folder, clock: Clock
) -> None:
    handle.save_checkpoint(1, write, behind=True)
    assert line.said == []
    clock.now_s += 2 * CHECKPOINT_S
    assert not handle.due()  # one at a time
    files.open.set()
    handle.settle()
    place = str(Path(files.url) / "checkpoint-00000001")
    assert line.said == [("checkpointed", {"step": 1, "path": place})]
    assert (Path(place) / "weights.txt").read_text() == "1 2 3"
    assert handle.due()


def test_nothing_is_written_while_something_is_on_its_way(
    handle: TrialHandle, line: Line, files: Folder
) -> None:
    """What is kept removes every folder of its kind that is not whole."""
    handle.save_weights(1, write, behind=True)
    threading.Timer(0.1, files.open.set).start()
    handle.save_weights(2, write, behind=True)
    handle.save_checkpoint(2, write)  # at a stop
    handle.settle()
    assert [data["step"] for _, data in line.said] == [2]
    assert handle.weights == str(Path(files.url) / "weights-00000002")
    assert (Path(handle.weights) / "weights.txt").exists()


def test_a_checkpoint_that_does_not_come_there_is_told_and_its_training_goes_on(
    handle: TrialHandle, line: Line, files: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    files.full = True
    files.open.set()
    handle.save_checkpoint(1, write, behind=True)
    handle.settle()
    why = "cannot write checkpoint of step 1: No space left on device"
    assert line.said == [("checkpointed", {"step": 0, "path": None, "error": why})]
    assert f"{why}. Training goes on; it begins anew if it has to be resumed" in capsys.readouterr().err


def test_weights_that_do_not_come_to_the_storage_end_the_attempt(handle: TrialHandle, files: Folder) -> None:
    files.full = True
    files.open.set()
    handle.save_weights(1, write, behind=True)
    with pytest.raises(StorageError, match="No space left"):
        handle.settle()
    assert handle.weights is None


def test_a_checkpoint_costs_half_a_per_cent_of_the_training_at_most(
    handle: TrialHandle, line: Line, files: Folder, clock: Clock
) -> None:
    def slowly(folder: Path) -> None:
        clock.now_s += 1.0
        write(folder)

    files.open.set()
    clock.now_s += CHECKPOINT_S
    assert handle.due()
    handle.save_checkpoint(1, slowly, behind=True)
    handle.settle()
    clock.now_s += CHECKPOINT_COSTS - 1
    assert not handle.due()
    clock.now_s += 1
    assert handle.due()
    following, another = (TrialHandle(line, task(trainer=name), files, None) for name in ("t", "other"))
    clock.now_s += CHECKPOINT_COSTS - 1
    assert another.due()
    assert not following.due()
    clock.now_s += 1
    assert following.due()


def test_a_report_is_hurried_past_where_nothing_but_going_on_is_likely(
    handle: TrialHandle, line: Line, clock: Clock
) -> None:
    def hurries(step: int) -> bool:
        heard = handle.hurry({"loss": 1.0}, step)
        assert [data["step"] for _, data in line.said if data["step"] == step] == ([step] if heard else [])
        line.answers.put(Answer.END)
        return heard is not None and heard() is Answer.END

    assert hurries(1)
    clock.now_s += HURRY_S
    assert not hurries(2)  # a stop that comes with the answer would come late
    assert handle.tell({"loss": 1.0}, 3) is Answer.END
    assert hurries(4)
    line.stopped_s = clock.now_s
    assert not hurries(5)
    line.stopped_s = None
    clock.now_s += CHECKPOINT_S
    assert handle.tell({"loss": 1.0}, 6) is Answer.END
    assert handle.due()
    assert not hurries(7)


def posting(files: Folder, line: Line, judged: tuple[int, ...] | None) -> TrialHandle:
    return TrialHandle(line, task(judged=judged, objectives=(LAST,)), files, None)


def test_a_report_that_nobody_judges_is_posted(files: Folder, line: Line, clock: Clock) -> None:
    handle = posting(files, line, judged=(2,))

    def posts(step: int) -> bool:
        line.answers.put(Answer.GO)
        posted = handle.post({"loss": 1.0}, step)
        assert [data["step"] for _, data in line.said if data["step"] == step] == ([step] if posted else [])
        return posted

    assert posts(1)
    assert not posts(2)
    assert handle.tell({"loss": 1.0}, 2) is Answer.GO
    assert posts(3)
    clock.now_s += HURRY_S
    assert not posts(4)
    line.answers.put(Answer.GO)
    assert handle.tell({"loss": 1.0}, 4) is Answer.GO
    line.stopped_s = clock.now_s
    assert not posts(5)
    line.stopped_s = None
    clock.now_s += CHECKPOINT_S
    line.answers.put(Answer.GO)
    assert handle.tell({"loss": 1.0}, 6) is Answer.GO
    assert handle.due()
    assert not posts(7)


def test_nothing_is_posted_where_any_report_may_be_judged(files: Folder, line: Line) -> None:
    assert not posting(files, line, judged=None).post({"loss": 1.0}, 1)
    assert not line.said


def test_a_report_whose_weights_replace_others_is_waited_for(files: Folder, line: Line) -> None:
    """Whoever goes on after this attempt goes on from what the driver has heard of."""
    handle = TrialHandle(line, task(judged=(), best=0.5, best_step=2, reported=2), files, None)
    line.answers.put(Answer.GO)
    assert handle.post({"loss": 0.5}, 3)
    assert not handle.post({"loss": 0.4}, 4)
    assert [data["step"] for _, data in line.said] == [3]
    line.answers.put(Answer.GO)
    assert handle.tell({"loss": 0.4}, 4) is Answer.GO
    assert handle.improved()
    line.answers.put(Answer.GO)
    assert handle.post({"loss": 0.45}, 5)
    assert not handle.improved()


def test_a_trial_that_was_ended_at_a_posted_report_leaves_before_its_next_batch(
    files: Folder, line: Line
) -> None:
    handle = posting(files, line, judged=())
    assert handle.post({"loss": 1.0}, 1)
    handle.leave_if_told()
    line.answers.put(Answer.END)
    with pytest.raises(TrialPruned):
        handle.leave_if_told()


def test_the_next_report_tells_how_long_it_waited_for_the_last(
    files: Folder, line: Line, clock: Clock
) -> None:
    handle = posting(files, line, judged=(2, 3))

    class Answers(queue.Queue[Answer]):
        def get(self, *arguments: Any, **words: Any) -> Answer:
            clock.now_s += 0.5
            return super().get(*arguments, **words)

    line.answers = Answers()
    for _ in range(3):
        line.answers.put(Answer.GO)
    assert handle.post({"loss": 1.0}, 1)
    assert handle.tell({"loss": 1.0}, 2) is Answer.GO
    assert handle.tell({"loss": 1.0}, 3) is Answer.GO
    assert [data.get("waited_s") for _, data in line.said] == [None, 0.5, None]


@pytest.mark.parametrize("how", ["post", "tell", "hurry"])
def test_one_report_at_most_waits_for_its_answer(files: Folder, line: Line, how: str) -> None:
    handle = posting(files, line, judged=())
    assert handle.post({"loss": 1.0}, 1)
    heard = threading.Event()

    def answer() -> None:
        assert [data["step"] for _, data in line.said] == [1]
        heard.set()
        line.answers.put(Answer.GO)
        line.answers.put(Answer.GO)

    threading.Timer(0.1, answer).start()
    getattr(handle, how)({"loss": 1.0}, 2)
    assert heard.is_set()
    assert [data["step"] for _, data in line.said] == [1, 2]


def test_a_posted_report_that_ended_the_trial_is_the_last(files: Folder, line: Line) -> None:
    handle = posting(files, line, judged=())
    assert handle.post({"loss": 1.0}, 1)
    line.answers.put(Answer.END)
    with pytest.raises(TrialPruned):
        handle.post({"loss": 1.0}, 2)
    assert [data["step"] for _, data in line.said] == [1]


def test_checkpoints_come_while_every_epoch_is_better_than_the_one_before(
    handle: TrialHandle, line: Line, files: Folder, clock: Clock
) -> None:
    """Weights on their way are no reason to put one off."""
    for step in (1, 2, 3):
        clock.now_s += CHECKPOINT_S
        handle.save_weights(step, write, behind=True)
        assert handle.due()
        files.open.set()
        handle.save_checkpoint(step, write, behind=True)
        handle.settle()
        files.open.clear()
    assert [data["step"] for _, data in line.said] == [1, 2, 3]


def test_whoever_leaves_waits_for_all_that_is_on_its_way_and_asks_for_none_of_it(
    handle: TrialHandle, line: Line, files: Folder
) -> None:
    files.full = True
    handle.save_weights(1, write, behind=True)
    handle.save_checkpoint(1, write, behind=True)
    threading.Timer(0.1, files.open.set).start()
    handle.leave()
    handle.settle()
    assert [kind for kind, _ in line.said] == ["checkpointed"]
