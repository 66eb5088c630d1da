"""Search files: each fault where it is, all of them at once, and what --set makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl import specfile
from automl.errors import Fault, InputError
from automl.space import Choice, Float, Int, same

HEAD = """\
name: digits
objective: {metric: acc, direction: maximize}
trainer:
  framework: lightning
  model: trainers.net:Net
  data: trainers.net:Data
  fit: {max_epochs: 3}
budget: {trials: 5}
"""  # 8 lines: the first of `space` is line 9
SPACE = """\
space:
  model.lr: {float: [1e-4, 1e-1], log: true}
  model.opt: {choice: [sgd, adamw]}
  model.width: 16
"""


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "s.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def found(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    """`LINE:COLUMN where: what` of all faults; those of --set begin with `--set:`."""
    faults = specfile.read(write(folder, text), overrides).faults
    names = {str(folder / "s.yaml"): "", "--set": "--set:"}
    return [
        f"{names[str(fault.file)]}{fault.line}:{fault.column} {fault.where}: {fault.what}" for fault in faults
    ]


def swap(old: str, new: str) -> str:
    """The sound file with one piece of text replaced."""
    whole = HEAD + SPACE
    assert whole.count(old) == 1, old
    return whole.replace(old, new)


def test_a_sound_file_has_no_fault_and_is_a_search(tmp_path: Path) -> None:
    search = specfile.load(write(tmp_path, HEAD + SPACE))
    assert search.space.params["model.lr"] == Float(1e-4, 1e-1, log=True)
    assert search.space.constants == {"model.width": 16}
    assert search.file == str(tmp_path / "s.yaml")


# One line of the space (line 10, indented by two) with what is wrong in it.
IN_SPACE = [
    ("model.a: {float: [1, 0]}", "10:21 space.model.a: low 1 is above high 0"),
    ("model.a: {float: [0, 1], log: true}", "10:21 space.model.a: low is 0, a log scale needs low > 0"),
    (
        "model.a: {float: [1, 2], log: true, step: 0.5}",
        "10:45 space.model.a: log and step exclude each other",
    ),
    ("model.a: {int: [1, 3], step: 5}", "10:32 space.model.a: step 5 is larger than the range from 1 to 3"),
    ("model.a: {int: [1, 3.0]}", "10:22 space.model.a.high: 3.0 is not a whole number"),
    ("model.a: {int: [1, yes]}", "10:22 space.model.a.high: 'yes' is not a whole number"),
    ("model.a: {float: [.nan, 1]}", "10:21 space.model.a.low: nan is not a finite number"),
    ("model.a: {float: [1]}", "10:20 space.model.a.float: [1] is not [low, high]"),
    ("model.a: {float: 3}", "10:20 space.model.a.float: 3 is not [low, high]"),
    ("model.a: {choice: []}", "10:12 space.model.a: no options"),
    ("model.a: {choice: [1, true, 1]}", "10:31 space.model.a: 1 is given twice"),
    ("model.a: {choice: [1, 2], log: true}", "10:29 space.model.a.log: choice does not take it"),
    ("model.a: {flaot: [0, 1]}", "10:13 space.model.a.flaot: unknown key"),
    ("model.a: {b: 1}", "10:13 space.model.a.b: unknown key"),
    ("model.a: {log: true}", "10:12 space.model.a: a mapping, but no float, int or choice"),
    ("model.a: {int: [0, 1], float: [0, 1]}", "10:26 space.model.a.float: a parameter is int or float"),
    ("model.a: {int: [0, 1], when: sgd}", "10:32 space.model.a.when: 'sgd' is not a mapping of parameters"),
    (
        "model.a: {int: [0, 1], when: {model.op: x}}",
        "10:33 space.model.a.when.model.op: there is no parameter model.op",
    ),
    (
        "model.a: {int: [0, 1], when: {model.opt: sdg}}",
        "10:44 space.model.a.when.model.opt: model.opt is never 'sdg'",
    ),
    (
        "model.a: {int: [0, 1], when: {model.opt: [sgd, 1]}}",
        "10:50 space.model.a.when.model.opt: model.opt is never 1",
    ),
    (
        "model.a: {int: [0, 1], when: {model.lr: 3}}",
        "10:43 space.model.a.when.model.lr: model.lr is never 3: 3 is outside 0.0001 to 0.1",
    ),
    ("model.a: {int: [0, 1], when: {model.a: 1}}", "10:33 space.model.a.when.model.a: a condition on itself"),
    (
        "model.a: {int: [0, 1], when: {trainer: torch}}",
        "10:42 space.model.a.when.trainer: trainer is never 'torch'",
    ),
    ("modle.a: {int: [0, 1]}", "10:3 space.modle.a: modle is not where a parameter can go"),
    ("lr: 3", "10:3 space.lr: lr is not where a parameter can go"),
    ("model.a b: 3", "10:3 space.model.a b: 'a b' is no argument's name"),
    ("model.width.x: 3", "10:3 space.model.width.x: model.width is a parameter too, it cannot hold this one"),
    ("model.lr: 3", "11:3 space.model.lr: given twice, first in line 10"),
    ("fit.devices: 2", "10:3 space.fit.devices: devices is given by resources"),
    ("fit.strategy: ddp", "10:3 space.fit.strategy: strategy is given by resources"),
    (
        "fit.logger: true",
        "10:3 space.fit.logger: logger is given by the house: metrics go to MLflow by self.log",
    ),
    ("fit.max_epochs: {int: [1, 3]}", "10:3 space.fit.max_epochs: max_epochs is in fit of trainer as well"),
    ("3: 3", "10:3 space.3: 3 is not text"),
    ("model.a: !odd 3", "10:12 space.model.a: the tag !odd means nothing here"),
    ("model.a: !odd {int: [1, 3]}", "10:12 space.model.a: the tag !odd means nothing here"),
    ("model.a: {int: !odd [1, 3]}", "10:18 space.model.a.int: the tag !odd means nothing here"),
    ("!odd model.a: 3", "10:3 space.model.a: the tag !odd means nothing here"),
    ("model.a: !!odd 3", "10:12 space.model.a: the tag !!odd means nothing here"),
    ("model.a: !!python/name:os 3", "10:12 space.model.a: the tag !!python/name:os means nothing here"),
]


@pytest.mark.parametrize(("line", "fault"), IN_SPACE, ids=[line for line, _ in IN_SPACE])
def test_a_fault_in_the_space_is_found_where_it_is(tmp_path: Path, line: str, fault: str) -> None:
    assert found(tmp_path, HEAD + SPACE.replace("space:\n", f"space:\n  {line}\n")) == [fault]


# A sound piece of the file, what takes its place, and the fault.
SWAPPED = [
    ("name: digits", "name: -x", "1:7 name: '-x' is no name"),
    ("name: digits", "name: 5", "1:7 name: 5 is not text"),
    ("name: digits", f"name: {'x' * 101}", "1:7 name: has 101 characters"),
    ("name: digits\n", "", "1:1 name: missing"),
    ("name: digits", "nmae: 1\nname: digits", "1:1 nmae: unknown key"),
    ("name: digits", "schema: 2\nname: digits", "1:9 schema: 2 is no schema of this version"),
    ("name: digits", "seed: -1\nname: digits", "1:7 seed: -1 is too small"),
    (
        "direction: maximize",
        "direction: max",
        "2:37 objective.direction: 'max' is none of minimize, maximize",
    ),
    (", direction: maximize", "", "2:1 objective.direction: missing"),
    ("metric: acc", "metrik: acc, metric: acc", "2:13 objective.metrik: unknown key"),
    ("maximize}", "maximize, target: .inf}", "2:55 objective.target: inf is not a finite number"),
    ("maximize}", "maximize, value: lst}", "2:54 objective.value: 'lst' is none of last, best"),
    ("{metric: acc, direction: maximize}", "[]", "2:12 objective: missing"),
    (
        "{metric: acc, direction: maximize}",
        "[{metric: a, direction: minimize}, {metric: a, direction: maximize}]",
        "2:56 objective.1.metric: a is an objective already",
    ),
    (
        "framework: lightning",
        "framework: torch",
        "4:14 trainer.framework: 'torch' is none of lightning, keras, function",
    ),
    ("net:Net", "net.Net", "5:10 trainer.model: 'trainers.net.Net' is no address of a class or function"),
    ("  data: trainers.net:Data\n", "", "3:1 trainer.data: missing, and lightning needs it"),
    ("max_epochs: 3", "accelerator: gpu", "7:9 trainer.fit.accelerator: accelerator is given by resources"),
    ("{max_epochs: 3}", "3", "7:8 trainer.fit: 3 is not a mapping"),
    ("  fit:", "  fits:", "7:3 trainer.fits: unknown key"),
    ("trainer:\n", "trainers: {}\ntrainer:\n", "3:1 trainers: there is trainer as well"),
    ("{trials: 5}", "{patience: 5}", "8:9 budget: needs trials or time, it would never end"),
    ("{trials: 5}", "{trials: 0}", "8:18 budget.trials: 0 is too small"),
    ("{trials: 5}", "{trials: 5.0}", "8:18 budget.trials: 5.0 is not a whole number"),
    ("{trials: 5}", "{time: 2 hours}", "8:16 budget.time: '2 hours' is no time"),
    ("{trials: 5}", "{time: 90}", "8:16 budget.time: 90 has no unit"),
    ("{trials: 5}", "{trails: 5, time: 2h}", "8:10 budget.trails: unknown key"),
    ("budget: {trials: 5}\n", "", "1:1 budget: missing"),
]
# A line before the sound file, and the fault: all in line 1.
ADDED = [
    ("search: {sampler: tpee}", "1:19 search.sampler: there is no sampler 'tpee'"),
    ("search: {sampler: {name: tpe, seed: 1}}", "1:31 search.sampler.seed: the seed is the search's"),
    (
        "search: {sampler: {name: tpe, startup: 1}}",
        "1:31 search.sampler.startup: tpe takes no argument startup",
    ),
    (
        "search: {sampler: {name: gp, n_startup_trials: x}}",
        "1:48 search.sampler.n_startup_trials: 'x' is not a whole number",
    ),
    (
        "search: {pruner: {name: percentile, percentile: 101}}",
        "1:49 search.pruner.percentile: 101 is too large",
    ),
    ("search: {pruner: {min: 1}}", "1:10 search.pruner.name: missing, or not text"),
    ("search: {prunner: none}", "1:10 search.prunner: unknown key"),
    ("search: {sampler: grid}", "11:13 space.model.lr: grid needs a step for a float"),
    ("resources: {cpus: 0}", "1:19 resources.cpus: 0 is not above zero"),
    ("resources: {gpus: 1.5}", "1:19 resources.gpus: 1.5 is a fraction of several GPUs"),
    ("resources: {parallel: 0}", "1:23 resources.parallel: 0 is too small"),
    ("resources: {custom: {fast: 0}}", "1:28 resources.custom.fast: 0 is not a number above zero"),
    ("resources: {custom: {GPU: 1}}", "1:22 resources.custom.GPU: it is no custom resource"),
    ("resources: {labels: {zone: 1}}", "1:28 resources.labels.zone: 1 is no label's value"),
    ("resources: {accelerator: 3}", "1:26 resources.accelerator: 3 is not text"),
    ("resources: {share: 0}", "1:20 resources.share: 0 is not above 0 and at most 1"),
    ("resources: {share: half}", "1:20 resources.share: 'half' is not above 0 and at most 1"),
    ("resources: {ranks: 2}", "1:20 resources.ranks: 2 ranks on 1 cpus, and each needs its own"),
    ("resources: {gpus: 1, ranks: 2}", "1:29 resources.ranks: 2 ranks on 1 gpus, and each needs its own"),
    ("resources: {ranks: many}", "1:20 resources.ranks: 'many' is not a whole number or auto"),
    ("resources: {gpu: 1}", "1:13 resources.gpu: unknown key"),
    ("retries: -1", "1:10 retries: -1 is too small"),
    ("keep: 0", "1:7 keep: 0 is too small"),
    ("timeout: {silence: 30}", "1:20 timeout.silence: 30 has no unit"),
    ("timeout: {trial: 1w}", "1:18 timeout.trial: '1w' is no time"),
    ("timeout: {silense: 1h}", "1:11 timeout.silense: unknown key"),
    ("timeout: 1h", "1:10 timeout: '1h' is not a mapping"),
    ("storage: 's3:/b'", "1:10 storage: one slash after s3:"),
    ("storage: memory://runs", "1:10 storage: memory:// lives in one process, a search in several"),
    ("ledger: sqlite://a.db", "1:9 ledger: sqlite://a.db needs three slashes"),
    ("ledger: sqlite:///", "1:9 ledger: sqlite:/// keeps nothing once the process ends"),
    ("ledger: 'mysql://u@h/d'", "1:9 ledger: mysql:// is none that can be used here"),
    ("ledger: 'u:secret@h/d'", "1:9 ledger: not a database URL"),
    ("tracking: true", "1:11 tracking: True is not a mapping"),
    (
        "tracking: {uri: file:///a}",
        "1:17 tracking.uri: not a tracking server's or a database's URL",
    ),
    (
        "start_with: [{model.lr: 1}]",
        "1:25 start_with.0.model.lr: outside the space: 1 is outside 0.0001 to 0.1",
    ),
    ("start_with: [{}, {model.l: 1}]", "1:19 start_with.1.model.l: there is no parameter model.l"),
    ("start_with: [{model.width: 3}]", "1:28 start_with.0.model.width: model.width is fixed to 16"),
    ("start_with: {model.lr: 1}", "1:13 start_with: {'model.lr': 1} is not a list"),
]


@pytest.mark.parametrize(
    ("old", "new", "fault"), SWAPPED, ids=[f"{new} {fault}"[:60] for _, new, fault in SWAPPED]
)
def test_a_fault_of_a_key_is_found_where_it_is(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert fault in found(tmp_path, swap(old, new))


@pytest.mark.parametrize(("line", "fault"), ADDED, ids=[line for line, _ in ADDED])
def test_a_fault_of_what_may_be_left_out_is_found_where_it_is(tmp_path: Path, line: str, fault: str) -> None:
    faults = found(tmp_path, f"{line}\n{HEAD}{SPACE}")
    assert faults == [fault]


def test_the_file_is_named_as_the_user_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, swap("trials: 5", "trails: 5"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        specfile.load("s.yaml")
    assert str(caught.value).splitlines() == [
        "s.yaml:8:9: budget: needs trials or time, it would never end. Write trials: 50 or time: 2h.",
        "s.yaml:8:10: budget.trails: unknown key. Did you mean trials?",
    ]


SEVERAL = """\
name: two
objective: [{metric: a, direction: minimize}, {metric: b, direction: maximize}]
trainers:
  torch: {framework: lightning, model: t.a:A, data: t.a:D, fit: {max_epochs: 2}}
  keras: {framework: keras, model: t.b:b, data: t.b:d}
budget: {time: 1h}
search: {sampler: cmaes, pruner: median}
space:
  model.a: {int: [1, 2], when: {trainer: [torch, jax]}}
  fit.max_epochs: {int: [1, 2], when: {trainer: keras}}
  fit.logger: {choice: [true, false], when: {trainer: keras}}
  model.b: {int: [1, 2], when: {model.c: 1}}
  model.c: {int: [1, 2], when: {model.b: 1}}
start_with:
  - {trainer: keras, model.a: 1}
  - {trainer: jax}
"""


def test_faults_of_several_objectives_and_trainers(tmp_path: Path) -> None:
    assert found(tmp_path, SEVERAL) == [
        "7:19 search.sampler: cmaes cannot sample for several objectives",
        "7:34 search.pruner: median cannot prune a search of several objectives",
        "9:50 space.model.a.when.trainer: trainer is never 'jax'",
        "12:32 space.model.b.when: conditions in a circle: model.b -> model.c -> model.b",
        "15:22 start_with.0.model.a: model.a does not exist in this point: its condition does not hold",
        "16:15 start_with.1.trainer: outside the space: 'jax' is none of ['torch', 'keras']",
    ]


def test_ten_faults_and_more_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
nam: x
name: -x
objective: {metric: a, direction: up}
trainer: {framework: lightning, model: a.b, fit: {devices: 2}}
space:
  model.a: {float: [0, 1], log: true, when: {model.q: 1}}
  model.b: {choice: []}
  fit.logger: 1
  model.a: 3
start_with: [{model.z: 1}, 3]
budget: {trials: 0, time: 2x}
search: {sampler: tpee, pruner: {name: median, x: 1}}
retries: no
"""
    faults = specfile.read(write(tmp_path, text), ["budget.patience=0", "nonsense=1"]).faults
    assert [(fault.line, fault.where) for fault in faults] == [
        (1, "nam"),
        (2, "name"),
        (3, "objective.direction"),
        (4, "trainer.data"),
        (4, "trainer.model"),
        (4, "trainer.fit.devices"),
        (6, "space.model.a"),
        (6, "space.model.a.when.model.q"),
        (7, "space.model.b"),
        (8, "space.fit.logger"),
        (9, "space.model.a"),
        (10, "start_with.0.model.z"),
        (10, "start_with.1"),
        (11, "budget.trials"),
        (11, "budget.time"),
        (12, "search.sampler"),
        (12, "search.pruner.x"),
        (13, "retries"),
        (1, "budget.patience"),
        (2, "nonsense"),
    ]


# --- YAML ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "a: [1, 2\nb: 3\n",
            "2:2 file: not YAML: while parsing a flow sequence expected ',' or ']', but got ':'",
        ),
        ("a: b: c", "1:5 file: not YAML: mapping values are not allowed here"),
        (
            "a: 1\n---\nb: 2",
            "2:1 file: not YAML: expected a single document in the stream but found another document",
        ),
        ("", "1:1 file: empty, not a mapping"),
        ("- 1", "1:1 file: [1], not a mapping"),
        (b"name: \xff\n", "1:7 file: byte 0xff is not UTF-8"),
    ],
)
def test_what_is_no_yaml_mapping_is_one_fault_with_its_place(tmp_path: Path, text: Any, fault: str) -> None:
    assert found(tmp_path, text) == [fault]


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, HEAD)
    with pytest.raises(
        InputError, match=r"t.yaml:1:1: file: cannot be read: No such file.* There is: .*s.yaml"
    ):
        specfile.load(tmp_path / "t.yaml")


def test_every_duplicate_key_is_a_fault(tmp_path: Path) -> None:
    text = HEAD + "name: a\n" + SPACE + "  model.lr: 3\n  model.opt: 4\nseed: 1\nseed: 2\n"
    assert [line.split(" ")[0] for line in found(tmp_path, text)] == ["9:1", "14:3", "15:3", "17:1"]


def test_numbers_and_words_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    options = "[1e-5, 1_000, on, off, yes, no, 2024-01-01, 0x1F, 0o17, 010, true, ~, '1', 12:30:00, 1.]"
    search = specfile.load(write(tmp_path, HEAD + f"space:\n  model.a: {{choice: {options}}}\n"))
    expected = [
        1e-5,
        1000,
        "on",
        "off",
        "yes",
        "no",
        "2024-01-01",
        31,
        15,
        10,
        True,
        None,
        "1",
        "12:30:00",
        1.0,
    ]
    param = search.space.params["model.a"]
    assert isinstance(param, Choice)
    assert same(list(param.options), expected)


def test_anchors_and_merges_work_and_an_alias_inside_itself_is_a_fault(tmp_path: Path) -> None:
    text = HEAD + "space:\n  model.a: &r {int: [1, 5]}\n  model.b: *r\n  model.c: {<<: *r, step: 2}\n"
    search = specfile.load(write(tmp_path, text))
    assert search.space.params == {"model.a": Int(1, 5), "model.b": Int(1, 5), "model.c": Int(1, 5, step=2)}
    assert found(tmp_path, HEAD + "space:\n  model.a: &x [*x]\n") == [
        "10:12 space.model.a.0: an alias of something that holds it"
    ]


def test_what_is_nested_too_deeply_is_a_fault(tmp_path: Path) -> None:
    assert found(tmp_path, "[" * 5000 + "]" * 5000) == ["1:1 file: nested too deeply"]


@pytest.mark.parametrize("text", ["[" * 500_000, "{a: " * 100_000, "x" * 2_000_001])
def test_what_would_take_the_parser_hours_is_refused_at_once(tmp_path: Path, text: str) -> None:
    [fault] = found(tmp_path, text)  # without the bound this test does not end
    assert "nested too deeply" in fault or "characters, more than" in fault


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [touch ran]", "!!python/name:os.system ''"])
def test_a_tag_that_would_run_something_is_a_fault_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    monkeypatch.chdir(tmp_path)
    [fault] = found(tmp_path, f"{HEAD}space: {{model.x: {tag}}}\n")
    assert "the tag !!python/" in fault and "means nothing here" in fault
    for override in (f"space.model.x={tag}", f"storage={tag}"):
        faults = specfile.read(write(tmp_path, HEAD + SPACE), [override]).faults
        assert any("means nothing here" in str(each) for each in faults)
    assert not (tmp_path / "ran").exists()


def test_a_few_lines_that_unfold_to_millions_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert found(tmp_path, "\n".join(lines)) == ["1:1 file: its aliases unfold to more than 100000 values"]


# --- later faults ----------------------------------------------------------------------------


def test_a_fault_that_is_found_later_gets_its_place_and_its_turn(tmp_path: Path) -> None:
    loaded = specfile.read(write(tmp_path, swap("trials: 5", "trials: 0")))
    later = [Fault("space.model.opt", "late", "Mend"), Fault("trainer.fit.max_epochs", "late", "Mend")]
    assert [(f.line, f.column, f.where) for f in loaded.with_faults(later)] == [
        (7, 21, "trainer.fit.max_epochs"),
        (8, 18, "budget.trials"),
        (11, 14, "space.model.opt"),
    ]


def test_a_search_remembers_where_its_faults_would_be(tmp_path: Path) -> None:
    search = specfile.load(write(tmp_path, HEAD + SPACE), ["model.opt=sgd"])
    faults = search.located([Fault("ledger", "gone", "Mend"), Fault("space.model.opt", "late", "Mend")])
    assert [(f.file, f.line, f.column) for f in faults] == [
        (str(tmp_path / "s.yaml"), 1, 1),
        ("--set", 1, 11),
    ]


# --- overrides -------------------------------------------------------------------------------


def test_a_later_fault_of_a_place_that_only_an_override_gave_is_located_there(tmp_path: Path) -> None:
    search = specfile.load(write(tmp_path, HEAD + SPACE), ["seed=3", "resources.cpus=500", "storage=x"])
    (fault,) = search.located([Fault("resources.cpus", "too many", "Ask for less")])
    assert (fault.file, fault.line, fault.column) == ("--set", 2, 16)


def overridden(folder: Path, *overrides: str) -> dict[str, Any]:
    return specfile.load(write(folder, HEAD + SPACE), overrides).to_plain()


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("model.lr=0.1", ("space", "model.lr"), 0.1),
        ("model.opt=[1, 2]", ("space", "model.opt"), [1, 2]),
        ("model.lr={float: [1, 2]}", ("space", "model.lr"), {"float": [1.0, 2.0]}),
        ("space.model.lr.float=[1, 2]", ("space", "model.lr", "float"), [1.0, 2.0]),
        ("model.lr.float.0=1e-3", ("space", "model.lr", "float"), [0.001, 0.1]),
        ("space.model.new.thing=3", ("space", "model.new.thing"), 3),
        ("budget.trials=7", ("budget", "trials"), 7),
        ("budget={time: 2h}", ("budget",), {"time": "2h", "failures": 5}),
        ("trainer.fit.max_epochs=9", ("trainer", "fit", "max_epochs"), 9),
        ("trainer.fit.limit=0.5", ("trainer", "fit", "limit"), 0.5),
        ("seed=1_000", ("seed",), 1000),
        ("name=off", ("name",), "off"),
        ("tracking=false", ("tracking",), False),
        ("tracking.register=net", ("tracking",), {"register": "net"}),
        ("search.sampler.name=random", ("search", "sampler"), "random"),
        ("storage=a=b", ("storage",), "a=b"),
    ],
)
def test_set_overrides_any_of_it(tmp_path: Path, override: str, path: tuple[str, ...], value: Any) -> None:
    found: Any = overridden(tmp_path, override)
    for step in path:
        found = found[step]
    assert same(found, value)


def test_the_last_override_wins(tmp_path: Path) -> None:
    assert overridden(tmp_path, "seed=1", "seed=2")["seed"] == 2


def test_a_policy_that_is_a_name_takes_an_argument_by_path(tmp_path: Path) -> None:
    text = HEAD + SPACE + "search: {sampler: tpe}\n"
    search = specfile.load(write(tmp_path, text), ["search.sampler.n_startup_trials=3"])
    assert search.sampler.to_plain() == {"name": "tpe", "n_startup_trials": 3}


def test_fixing_a_parameter_leaves_start_points_and_conditions_in_order(tmp_path: Path) -> None:
    text = HEAD + SPACE + "  model.mom: {float: [0, 1], when: {model.opt: sgd}}\n"
    text += "start_with: [{model.opt: sgd, model.mom: 0.5, model.lr: 0.01}]\n"
    search = specfile.load(write(tmp_path, text), ["model.opt=adamw"])
    assert search.start_with == ({"model.mom": 0.5, "model.lr": 0.01},)
    assert not search.space.active("model.mom", {})


def test_one_of_several_trainers_can_be_fixed(tmp_path: Path) -> None:
    text = SEVERAL.replace(", jax", "").replace("cmaes, pruner: median", "tpe").split("  model.b")[0]
    search = specfile.load(write(tmp_path, text), ["trainer=keras"])
    assert "trainer" not in search.full_space.params
    assert search.arguments({})[0] == "keras"
    assert found(tmp_path, text, "trainer=kears") == ["--set:1:9 space.trainer: there is no trainer 'kears'"]


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("model.ir=3", "--set:1:1 model.ir: no parameter and no key of the file"),
        ("bugdet.trials=3", "--set:1:1 bugdet.trials: no parameter and no key of the file"),
        ("budget.trails=3", "--set:1:1 budget.trails: unknown key"),
        ("budget.trials=none", "--set:1:15 budget.trials: 'none' is not a whole number"),
        ("name.x=3", "--set:1:1 name.x: name is 'digits', nothing lies below it"),
        ("objective.1.metric=3", "--set:1:1 objective.1: unknown key"),
        ("seed", "--set:1:1 seed: 'seed' is no KEY=VALUE"),
        (
            "seed=[1",
            "--set:1:6 seed: not YAML: while parsing a flow sequence "
            "expected ',' or ']', but got '<stream end>'",
        ),
        (
            "model.lr={float: [0, 1], log: true}",
            "--set:1:10 space.model.lr: low is 0, a log scale needs low > 0",
        ),
    ],
)
def test_a_fault_of_an_override_is_located_there(tmp_path: Path, override: str, fault: str) -> None:
    assert found(tmp_path, HEAD + SPACE, override) == [fault]


def test_an_override_mends_a_fault_of_the_file(tmp_path: Path) -> None:
    assert found(tmp_path, swap("trials: 5", "trials: 0"), "budget.trials=5") == []


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent.parent / "search_spaces").glob("*.yaml")), ids=lambda f: f.stem
)
def test_the_searches_of_this_project_are_sound(file: Path, tmp_path: Path) -> None:
    search = specfile.load(file)
    assert specfile.load(write(tmp_path, search.to_yaml())) == search


def test_a_password_in_a_fault_is_masked_wherever_it_stands(tmp_path: Path) -> None:
    url = "postgresql://u:s3cr3t@h/d"
    text = (
        f"storag: {url}\nretries: '{url}'\nledger: 'mysql://u:s3cr3t@h/d'\nresources: '{url}'\n"
        + HEAD
        + SPACE
    )
    faults = specfile.read(write(tmp_path, text), [f"seed={url}", url]).faults
    assert len(faults) == 7
    assert "s3cr3t" not in str([str(fault) for fault in faults])
