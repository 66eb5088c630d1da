"""The benchmarks run and say what they measured. No figure of theirs is judged here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"

# For a moment only: `trainers` of the benchmarks must not stand before those of other tests.
sys.path.append(str(BENCHMARKS))
compose, peers = importlib.import_module("compose"), importlib.import_module("peers")
base, laps, table = (importlib.import_module(f"contenders.{name}") for name in ("base", "laps", "table"))
sys.path.remove(str(BENCHMARKS))

SHORT = base.workloads(["short"], ["lightning"])[0]
FACTS = table.Facts(
    wall_s=30.0,
    start_s=8.0,
    end_s=2.0,
    training_s=38.0,
    training_share=0.95,
    cpu_s=50.0,
    memory_bytes=2_000_000_000,
    trials=60,
    epochs=300,
    best=0.97,
    states="COMPLETE 60",
)


# --- the page ----------------------------------------------------------------------------------------


def script(folder: Path, name: str, body: str) -> Any:
    """A benchmark of the composer's, but with another script."""
    (folder / f"{name}.py").write_text(body)
    return next(part for part in compose.PARTS if part.name == name)


def test_a_section_says_on_what_and_by_which_command_it_was_measured(tmp_path: Path) -> None:
    part = script(tmp_path, "start", "import sys; print('| a |'); print('working', file=sys.stderr)")
    section = compose.measure(part, quick=False, folder=tmp_path)
    assert section.startswith(f"## {part.title}\n")
    assert section.endswith("| a |")
    for word in ("`python benchmarks/start.py`", "Python 3.", "cores", "ray ", "optuna "):
        assert word in section
    assert "working" not in section


def test_the_small_version_is_asked_for_by_the_scripts_own_options(tmp_path: Path) -> None:
    part = script(tmp_path, "scale", "import sys; print(sys.argv[1:])")
    assert "['--trials', '200', '--repeats', '1']" in compose.measure(part, quick=True, folder=tmp_path)
    assert "[]" in compose.measure(part, quick=False, folder=tmp_path)
    assert "['--repeats', '9']" in compose.measure(part, False, tmp_path, ["--repeats", "9"])


def test_a_script_may_have_several_sections_each_with_options_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "peers.py").write_text("import sys; print(sys.argv[1:])")
    parts = [part for part in compose.PARTS if part.script == "peers.py"]
    shown = {compose.measure(part, False, tmp_path).splitlines()[-1] for part in parts}
    assert "['--workload', 'medium', '--framework', 'keras']" in shown
    assert len(shown) == len(parts) == 4


def test_a_section_is_replaced_alone_and_in_its_place(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    for name, text in [("scale", "## Old\n\n| 1 |"), ("turnround", "## Other"), ("scale", "## New\n\n| 2 |")]:
        compose.replace_section(page, name, text)
    assert compose.sections_of(page.read_text()) == {"turnround": "## Other", "scale": "## New\n\n| 2 |"}
    assert page.read_text().index("## Other") < page.read_text().index("## New")
    assert page.read_text().startswith("# ")


def test_a_benchmark_that_is_not_there_or_fails_is_named(tmp_path: Path) -> None:
    start = next(part for part in compose.PARTS if part.name == "start")
    with pytest.raises(compose.Unable, match=r"benchmarks/start\.py is not there"):
        compose.measure(start, quick=False, folder=tmp_path)
    script(tmp_path, "start", "print('| half |'); raise SystemExit(3)")
    with pytest.raises(compose.Unable, match=r"start\.py exited with 3"):
        compose.measure(start, quick=False, folder=tmp_path)


def test_one_that_fails_leaves_its_section_and_lets_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "RESULTS.md"
    compose.replace_section(page, "start", "## Kept")

    def measured(part: Any, quick: bool, more: Any) -> str:
        if part.name == "start":
            raise compose.Unable("it is broken")
        return f"## {part.name}"

    monkeypatch.setattr(compose, "measure", measured)
    assert compose.main(["--only", "start", "--only", "peers", "--output", str(page)]) == 1
    found = compose.sections_of(page.read_text())
    assert found.pop("start") == "## Kept"
    assert set(found) == {part.name for part in compose.PARTS if part.name.startswith("peers-")}
    assert "start: no results: it is broken" in capsys.readouterr().err


# --- side by side ------------------------------------------------------------------------------------


def test_a_table_shows_medians_spreads_and_ratios_to_the_ray_engine() -> None:
    slower = [replace(FACTS, wall_s=wall_s, cpu_s=100.0) for wall_s in (80.0, 90.0, 100.0)]
    measured = {"automl-ray": [FACTS], "tune": [*slower, None], "optuna": [None]}
    titles = {"automl-ray": "ours", "tune": "Tune", "optuna": "Optuna"}
    text = table.section(SHORT, measured, titles)
    assert "### short, lightning" in text
    assert "60 trials of 5 epochs, no pruning" in text
    assert "| ours | 30.0 | 1.00 | 8.0 | 2.0 | 120.0 | 38.0 | 0.63 | 95.0 |" in text
    assert "| Tune (1 of 4 runs failed) | 90.0 (80.0 to 100.0) | 3.00 |" in text
    assert "| Tune (1 of 4 runs failed) | 100 (100 to 100) | 2.00 |" in text
    assert "| Optuna (1 of 1 runs failed) | |" in text
    assert "| ours | 50 | 1.00 | 2000 | 1.00 | 0.9700 | 300 | COMPLETE 60 |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [10] * 5 + [9] * 4


def test_training_is_read_from_the_laps_of_all_processes_and_laid_on_slots(tmp_path: Path) -> None:
    (tmp_path / "11.txt").write_text("0 10.0 11.0\n0 11.5 12.0\n1 13.0 14.0\n")
    (tmp_path / "12.txt").write_text("0 10.5 12.5\n")
    (tmp_path / "13.txt").write_text("0 12.5 14.5\n")
    training = laps.read(tmp_path)
    assert [[trial.begun_s for trial in slot] for slot in training.slots] == [[10.0, 13.0], [10.5, 12.5]]
    assert (training.begun_s, training.ended_s) == (10.0, 14.5)
    assert training.busy_s == pytest.approx(6.5)
    assert training.share == pytest.approx(6.5 / 8.0)
    assert sum(trial.epochs for trial in training.trials) == 5


def test_nothing_trained_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model was trained"):
        laps.read(tmp_path)


def test_contenders_take_turns_and_each_round_begins_with_another() -> None:
    every = [replace(each, needs={}) for each in peers.CONTENDERS]
    names = [each.name for each in peers.turns(every, SHORT, repeats=2)]
    first, second = names[: len(names) // 2], names[len(names) // 2 :]
    assert sorted(first) == sorted(second)
    assert first[0] != second[0]
    assert "keras-tuner" not in names
    assert [name for name in names if name in peers.SLOW] == [*peers.SLOW] * 2
    unasked = [each.name for each in peers.turns(every, SHORT, repeats=None)]
    assert unasked.count("tune") == 1
    assert unasked.count("tune-reuse") == 2


def test_peers_that_are_not_installed_are_named_with_the_command() -> None:
    absent = replace(peers.CONTENDERS[0], name="stranger", needs={"no_such_module": "no-such-package"})
    with pytest.raises(SystemExit) as refused:
        peers.refuse_missing([*peers.CONTENDERS[:1], absent])
    assert "no-such-package (for stranger)" in str(refused.value)
    assert "-m pip install -c constraints.txt -e '.[benchmarks]'" in str(refused.value)


def test_every_contender_has_its_module_and_both_functions() -> None:
    for contender in peers.CONTENDERS:
        assert callable(contender.room.command)
        assert callable(contender.room.outcome)


def test_a_search_of_two_trials_is_measured_from_outside() -> None:
    command = [sys.executable, str(BENCHMARKS / "peers.py"), "--contender", "automl-local"]
    command += ["--workload", "short", "--framework", "lightning", "--trials", "2", "--repeats", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| automl, local engine |")]
    times, costs = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    assert (len(times), len(costs)) == (9, 8)
    assert all(float(cell) > 0 for cell in (times[1], *times[3:], costs[1], costs[3]))
    assert costs[-2:] == ["10", "COMPLETE 2"]
