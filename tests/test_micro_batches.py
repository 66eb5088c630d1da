"""A batch trained in parts teaches what the whole batch teaches, and needs the room of a part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from automl.engines.base import Answer, Message, Task
from automl.host import Host

ROOT = Path(__file__).parent / "project"
EPOCHS = 3
WORDS = {
    "lightning": {"model": "torch_net", "data": "torch_data", "fit": {"max_epochs": EPOCHS}},
    "keras": {"model": "keras_net", "data": "keras_arrays", "fit": {"epochs": EPOCHS, "batch_size": 16}},
}
Run = Callable[..., list[Message]]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    kept = Host(str(ROOT), cpus=1)
    yield kept
    kept.close()


@pytest.fixture
def run(host: Host, tmp_path: Path) -> Run:
    """Run one attempt of a trainer of `grief` to its end; everything that its worker said."""

    def attempt(framework: str, answers: Mapping[int, Answer] | None = None, **words: Any) -> list[Message]:
        names = {**WORDS.get(framework, {}), **words}
        arguments = {place: names.get(f"{place}_arguments", {}) for place in ("model", "data")}
        arguments["fit"] = names.get("fit", {})
        task = Task(
            search="parts",
            trial=0,
            attempt=1,
            seed=7,
            trainer="trainer",
            framework=framework,
            model=f"trainers.grief:{names['model']}",
            data=f"trainers.grief:{names['data']}" if names.get("data") else None,
            arguments=arguments,
            objectives=({"metric": "val_loss", "direction": "minimize", "value": "last"},),
            resources={"cpus": 1, "gpus": 0},
            root=str(ROOT),
            storage=str(tmp_path),
            **{key: names[key] for key in ("micro", "checkpoint", "step") if key in names},
        )
        return drive(host, task, answers or {})

    return attempt


def drive(host: Host, task: Task, answers: Mapping[int, Answer]) -> list[Message]:
    said: list[Message] = []
    host.start(task)
    deadline_s = time.monotonic() + 60
    while not said or said[-1]["kind"] != "ended":
        assert time.monotonic() < deadline_s, said
        message = host.poll(1.0)
        if message is None:
            continue
        said.append(message)
        if message["kind"] == "report":
            answer = answers.get(message["step"], Answer.GO)
            host.answer(answer)
            if answer is Answer.STOP:
                host.stop()
    return said


def losses(said: list[Message]) -> list[float]:
    assert said[-1]["outcome"] == "complete", said[-1]
    return [message["metrics"]["val_loss"] for message in said if message["kind"] == "report"]


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_parts_train_as_the_whole_batch_does(framework: str, run: Run) -> None:
    # 49 rows leave a rest of one, which Lightning trains as one part and Keras twice over.
    whole, parts = losses(run(framework)), losses(run(framework, micro=2))
    assert len(whole) == EPOCHS
    assert whole[-1] < 0.95 * whole[0]
    assert parts == pytest.approx(whole, rel=1e-4)


def test_keras_datasets_are_made_smaller_where_they_take_a_size(run: Run) -> None:
    words = {"data": "keras_dataset", "fit": {"epochs": EPOCHS}}
    assert losses(run("keras", micro=2, **words)) == pytest.approx(losses(run("keras", **words)), rel=1e-4)


def test_counts_of_batches_grow_with_the_parts(run: Run) -> None:
    fit = {"max_epochs": EPOCHS, "limit_train_batches": 2, "val_check_interval": 1}
    whole, parts = losses(run("lightning", fit=fit)), losses(run("lightning", fit=fit, micro=2))
    assert len(whole) == 2 * EPOCHS
    assert parts == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_what_was_short_of_memory_has_room_in_parts(framework: str, run: Run) -> None:
    short = run(framework, model_arguments={"room": 8})[-1]
    assert (short["outcome"], short["cause"]) == ("failed", "memory")
    again = run(framework, model_arguments={"room": 8}, micro=2)
    assert len(losses(again)) == EPOCHS
    # A process that ran out of memory once serves no other trial.
    assert again[0]["warm"] is False
    assert again[0]["micro"] == 2


@pytest.mark.parametrize(
    ("framework", "words", "why"),
    [
        ("lightning", {"data": "torch_fixed_data"}, "batch_size is None"),
        ("lightning", {"data_arguments": {"batch_size": 15}}, "batch_size is 15"),
        ("lightning", {"model_arguments": {"by_hand": True}}, "by hand"),
        ("keras", {"data": "keras_fixed_dataset", "fit": {}}, "batch_size is None"),
        ("keras", {"model_arguments": {"built": True}}, "an optimizer that is built"),
        ("function", {"model": "wants"}, "takes no micro_batches"),
    ],
)
def test_what_cannot_be_split_is_refused_and_says_why(
    framework: str, words: dict[str, Any], why: str, run: Run
) -> None:
    ended = run(framework, micro=2, **words)[-1]
    assert (ended["outcome"], ended["cause"]) == ("failed", "memory")
    assert ended["error"].startswith("CannotSplit")
    assert why in ended["error"]


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_a_checkpoint_of_whole_batches_goes_on_in_parts(framework: str, run: Run) -> None:
    whole = losses(run(framework))
    stopped = run(framework, answers={1: Answer.STOP})
    kept = next(message for message in stopped if message["kind"] == "checkpointed")
    resumed = run(framework, micro=2, checkpoint=kept["path"], step=1)
    assert resumed[0]["resumed_step"] == 1
    assert not [message for message in resumed if message["kind"] == "checkpointed" and message.get("error")]
    assert losses(resumed) == pytest.approx(whole[1:], rel=1e-4)


@pytest.mark.parametrize(
    ("framework", "fit"),
    [
        ("lightning", {"compile": True}),
        ("lightning", {"precision": "bf16-mixed"}),
        ("keras", {"jit_compile": True}),
        ("keras", {"precision": "16-mixed"}),
    ],
)
def test_parts_may_be_compiled_or_in_mixed_precision(framework: str, fit: dict[str, Any], run: Run) -> None:
    words = {**WORDS[framework]["fit"], **fit}
    whole, parts = losses(run(framework, fit=words)), losses(run(framework, fit=words, micro=2))
    assert parts == pytest.approx(whole, rel=2e-2 if "precision" in fit else 1e-3)
