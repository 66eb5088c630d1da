"""The commands, as a user or a script meets them: real processes in a real project, engine local."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from automl.ledger import Ledger
from tests.conftest import PROJECT

QUADRATIC = "search_spaces/quadratic.yaml"
HEAVY = ("ray", "torch", "tensorflow", "keras", "optuna", "mlflow", "sqlalchemy", "pandas", "rich")
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def automl(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    clean = {k: v for k, v in os.environ.items() if k not in ("AUTOML_LEDGER", "MLFLOW_TRACKING_URI")}
    done = subprocess.run(
        [sys.executable, "-m", "automl.cli", *words],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def strict(text: str) -> Any:
    """JSON as other programs read it: NaN and Infinity are no words of it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three searches that have ended: quadratic, prunes and returns-nan."""
    root = Path(shutil.copytree(PROJECT, tmp_path_factory.mktemp("ended") / "project"))
    (root / "search_spaces/prunes.yaml").write_text(PRUNES)
    for file in (QUADRATIC, "search_spaces/prunes.yaml", "search_spaces/returns_nan.yaml"):
        done = automl("search", file, "--engine", "local", cwd=root)
        assert done.returncode == 0, done.stderr
    return root


PRUNES = """
name: prunes
objective: {metric: loss, direction: minimize}
trainer: {framework: function, model: "trainers.tiny_function:quadratic"}
space: {model.x: {float: [0.0, 9.0]}}
start_with: [{model.x: 0.0}, {model.x: 1.0}, {model.x: 8.0}]
budget: {trials: 4}
search: {sampler: random, pruner: {name: median, n_startup_trials: 2}}
resources: {parallel: 1}
tracking: false
"""


# --- the shell itself ----------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    program = f"""
import sys
sys.argv = ["automl", "--help"]
from automl.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0
print("LOADED", sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("LOADED []\n")
    for verb in ("check", "search", "ls", "show", "logs", "why", "ui", "init", "doctor"):
        assert f"\n  {verb} " in done.stdout


def test_an_unknown_verb_has_a_near_miss(tmp_path: Path) -> None:
    done = automl("serach", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'search'?" in done.stderr


def test_version(tmp_path: Path) -> None:
    assert automl("--version", cwd=tmp_path).stdout == "0.1.0\n"


# --- search --------------------------------------------------------------------------------


def test_facts_go_to_stdout_and_progress_to_stderr(project: Path) -> None:
    done = automl("search", QUADRATIC, "--engine", "local", "--set", "budget.trials=3", cwd=project)
    assert done.returncode == 0
    best, *params = done.stdout.splitlines()
    assert re.fullmatch(r"best: trial \d, loss=[\d.]+", best)
    assert [line.split(":")[0] for line in params] == ["  model.x", "  model.y"]
    ends = [line for line in done.stderr.splitlines() if re.match(r"trial \d COMPLETE loss=", line)]
    assert len(ends) == 3
    assert " (best) " in ends[0]
    assert done.stderr.endswith("quadratic: ENDED, budget.trials\n")


def test_the_json_of_search_is_that_of_show(project: Path) -> None:
    done = automl("search", QUADRATIC, "--engine", "local", "--set", "budget.trials=2", "--json", cwd=project)
    assert strict(done.stdout) == strict(automl("show", "quadratic", "--json", cwd=project).stdout)


def test_without_a_complete_trial_the_exit_code_is_1(project: Path) -> None:
    words = ("--engine", "local", "--set", "budget.trials=2", "--set", "space.model.above=-9.0")
    done = automl("search", "search_spaces/returns_nan.yaml", *words, cwd=project)
    assert done.returncode == 1
    assert done.stdout == "best: none, no trial is COMPLETE\n"


def test_a_wrong_file_is_exit_code_2_with_a_line_a_fault_on_stderr(project: Path) -> None:
    (project / "bad.yaml").write_text(BAD)
    done = automl("search", "bad.yaml", "--engine", "local", cwd=project)
    assert done.returncode == 2
    assert done.stdout == ""
    checked = automl("check", "bad.yaml", cwd=project).stdout
    assert [line.split(" ")[:2] for line in done.stderr.splitlines()] == [
        line.split(" ")[:2] for line in checked.splitlines()
    ]
    assert not (project / "automl.db").exists()


def test_an_unknown_engine_is_told_with_those_that_there_are(project: Path) -> None:
    done = automl("search", QUADRATIC, "--engine", "spark", cwd=project)
    assert done.returncode == 2
    assert "there is no engine 'spark'. Use ray or local." in done.stderr


def test_a_changed_space_is_refused_unless_told_to_continue(project: Path) -> None:
    words = ("search", QUADRATIC, "--engine", "local", "--set", "budget.trials=2")
    assert automl(*words, cwd=project).returncode == 0
    text = (project / QUADRATIC).read_text().replace("[-1.0, 1.0]", "[-1.0, 3.0]")
    (project / QUADRATIC).write_text(text.replace("trials: 10", "trials: 4"))
    refused = automl("search", QUADRATIC, "--engine", "local", cwd=project)
    assert refused.returncode == 2
    assert "space.model.y" in refused.stderr
    assert "--continue" in refused.stderr
    assert automl("search", QUADRATIC, "--engine", "local", "--continue", cwd=project).returncode == 0


def test_a_second_driver_is_refused_with_the_first_ones_pid(project: Path) -> None:
    book = Ledger(f"sqlite:///{project}/automl.db")
    with book.lease("quadratic"):
        done = automl("search", QUADRATIC, "--engine", "local", cwd=project)
    book.close()
    assert done.returncode == 2
    assert f"pid {os.getpid()}" in done.stderr


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_gracefully_and_the_same_command_carries_on(
    project: Path, sign: signal.Signals, code: int
) -> None:
    words = ["search", QUADRATIC, "--engine", "local", "--set", "space.model.sleep=0.05"]
    words += ["--set", "space.model.steps=20", "--set", "budget.trials=3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "automl.cli", *words], cwd=project, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    for line in process.stderr:
        if line.startswith("trial 0 COMPLETE"):
            break
    time.sleep(0.2)
    process.send_signal(sign)
    rest = process.stderr.read()
    assert process.wait() == code
    assert "The same command carries on: automl search" in rest
    stopped = strict(automl("show", "quadratic", "--json", cwd=project).stdout)
    assert (stopped["state"], stopped["reason"]) == ("STOPPED", sign.name)
    assert stopped["counts"]["RUNNING"] == 0
    assert stopped["counts"]["WAITING"] > 0
    assert automl(*words, cwd=project).returncode == 0
    ended = strict(automl("show", "quadratic", "--json", cwd=project).stdout)
    assert ended["counts"] == {"WAITING": 0, "RUNNING": 0, "COMPLETE": 3, "PRUNED": 0, "FAILED": 0}


def test_ctrl_c_while_the_trainers_are_imported_is_130(project: Path) -> None:
    (project / "trainers/slow.py").write_text("import time\ntime.sleep(60)\n")
    text = (project / QUADRATIC).read_text().replace("trainers.tiny_function", "trainers.slow")
    (project / QUADRATIC).write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "automl.cli", "search", QUADRATIC, "--engine", "local"],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert "checking" in process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == "interrupted\n"
    assert process.wait() == 130


def test_an_interrupt_in_the_middle_of_an_import_is_130_and_no_death_by_a_signal(tmp_path: Path) -> None:
    """CPython takes one inside exec(), where dataclasses are made, for one that nobody handles."""
    (tmp_path / "interrupts.py").write_text(
        "from automl import __main__, cli\n"
        "cli.main = lambda: exec('raise KeyboardInterrupt')\n"
        "__main__.main()"
    )
    assert subprocess.run([sys.executable, "-m", "interrupts"], cwd=tmp_path).returncode == 130


# --- check ---------------------------------------------------------------------------------

BAD = """\
name: bad
objective: {metric: loss, direction: minimise}
trainer: {framework: function, model: "trainers.tiny_function:quadratic"}
space:
  model.x: {float: [0.0, 1.0], log: true}
  model.stepps: 3
budgt: {trials: 3}
storage: /proc/none
ledger: postgresql+psycopg://me:secret@127.0.0.1:1/db
tracking: false
"""


def test_check_finds_what_is_wrong_in_file_trainers_and_surroundings_at_once(project: Path) -> None:
    (project / "bad.yaml").write_text(BAD)
    before = sorted(project.rglob("*"))
    done = automl("check", "bad.yaml", cwd=project)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    wheres = [re.fullmatch(r"bad\.yaml:(\d+):\d+: ([\w.]+): .+[.?]", line) for line in lines]
    assert [(int(found[1]), found[2]) for found in wheres if found] == [
        (1, "budget"),
        (2, "objective.direction"),
        (5, "space.model.x"),
        (6, "space.model.stepps"),
        (7, "budgt"),
        (8, "storage"),
        (9, "ledger"),  # its password
        (9, "ledger"),  # that nothing answers there
    ]
    assert "Did you mean steps?" in lines[3]
    assert "secret" not in done.stdout
    assert [path for path in sorted(project.rglob("*")) if "__pycache__" not in path.parts] == before


def test_check_as_json(project: Path) -> None:
    done = automl("check", QUADRATIC, "--set", "budget.trials=0", "--json", cwd=project)
    assert done.returncode == 2
    (fault,) = strict(done.stdout)["faults"]
    assert fault.keys() == {"file", "line", "column", "where", "what", "mend"}
    assert automl("check", QUADRATIC, cwd=project).stdout == f"{QUADRATIC}: no faults\n"


def test_a_deep_check_trains_a_batch_of_every_branch(project: Path) -> None:
    (project / "trainers/branches.py").write_text(BRANCHES)
    (project / "branches.yaml").write_text(BRANCHES_FILE)
    assert automl("check", "branches.yaml", cwd=project).returncode == 0
    done = automl("check", "--deep", "branches.yaml", cwd=project)
    assert done.returncode == 2
    broken, missing = sorted(done.stdout.splitlines())
    assert "trainers.one: with model.kind=b: ValueError: no b today" in broken
    assert "trainers/branches.py:4" in broken
    assert "trainers.two: with model.kind=a: never reported the objective loss; it reported lost" in missing
    assert not (project / "runs").exists()


BRANCHES = """\
def one(trial, kind, depth=0):
    if kind == "b":

        raise ValueError("no b today")
    trial.report({"loss": 1.0})


def two(trial, kind, depth=0):
    trial.report({"lost" if kind == "a" else "loss": 1.0})
"""

BRANCHES_FILE = """
name: branches
objective: {metric: loss, direction: minimize}
trainers:
  one: {framework: function, model: "trainers.branches:one"}
  two: {framework: function, model: "trainers.branches:two"}
space:
  model.kind: {choice: [a, b, c]}
  model.depth: {int: [1, 3], when: {model.kind: b}}
budget: {trials: 2}
tracking: false
"""


# --- looking at searches -------------------------------------------------------------------


def test_ls_lists_the_searches_of_the_project(ended: Path) -> None:
    header, *rows = automl("ls", cwd=ended / "search_spaces").stdout.splitlines()
    assert header.split("\t") == ["name", "state", "trials", "best", "age", "owner", "address"]
    assert rows[0].split("\t")[:3] == ["quadratic", "ENDED", "COMPLETE 10"]
    listed = strict(automl("ls", "--json", cwd=ended).stdout)["searches"]
    assert [each["name"] for each in listed] == ["quadratic", "prunes", "returns-nan"]
    assert listed[0].keys() >= {"state", "counts", "best", "created", "age_s"}


NARROW = """
from automl import tables
one = {"reason": "", "objectives": [{"metric": "val_accuracy"}], "age_s": 9000.0}
counts = {"RUNNING": 4, "COMPLETE": 112, "PRUNED": 1337, "FAILED": 1}
best = {"values": [0.983423]}
whose = {"owner": "ann@training-box", "address": "https://ray.example.org:8265"}
state = {"name": "resnet-digits-1", "state": "RUNNING", "counts": counts, "best": best}
tables.searches([{**one, **state, **whose}])
"""


def test_in_a_narrow_terminal_ls_breaks_no_number_and_no_name() -> None:
    for wide, tables in ((80, 2), (200, 1)):
        env = {**os.environ, "COLUMNS": str(wide), "TERM": "xterm"}
        child = pexpect.spawn(sys.executable, ["-c", NARROW], env=env, encoding="utf-8")
        shown = re.sub(r"\x1b\[[\d;]*m", "", child.read())
        assert max(map(len, shown.splitlines())) <= wide
        assert shown.count("resnet-digits-1") == tables
        for whole in ("0.983423", "2h 30m", "ann@training-box", "ray.example.org:8265"):
            assert whole in shown


def test_show_json_has_the_documented_shape(ended: Path) -> None:
    shown = strict(automl("show", "quadratic", "--json", cwd=ended).stdout)
    names = ["schema", "name", "state", "reason", "objectives", "counts", "best", "trials"]
    assert list(shown) == names
    assert [shown[name] for name in names[:4]] == [1, "quadratic", "ENDED", "budget.trials"]
    assert shown["objectives"] == [{"metric": "loss", "direction": "minimize"}]
    assert shown["counts"] == {"WAITING": 0, "RUNNING": 0, "COMPLETE": 10, "PRUNED": 0, "FAILED": 0}
    values = {trial["number"]: trial["values"] for trial in shown["trials"]}
    best = shown["best"]
    assert best.keys() == {"number", "values", "params", "model"}
    assert best["values"] == values[best["number"]] == min(values.values())
    assert [trial["number"] for trial in shown["trials"]] == list(range(10))
    for trial in shown["trials"]:
        _is_a_documented_trial(trial)


def _is_a_documented_trial(trial: dict[str, Any]) -> None:
    assert list(trial) == [
        "number",
        "state",
        "trainer",
        "params",
        "values",
        "reports",
        "attempts",
        "started",
        "ended",
        "seconds",
        "error",
    ]
    assert (trial["state"], trial["trainer"], trial["error"]) == ("COMPLETE", "trainer", None)
    assert trial["params"].keys() == {"model.x", "model.y"}
    assert [report["step"] for report in trial["reports"]] == [1, 2, 3]
    assert all(report.keys() == {"step", "metrics", "time"} for report in trial["reports"])
    assert trial["values"] == [trial["reports"][-1]["metrics"]["loss"]]
    (attempt,) = trial["attempts"]
    assert list(attempt) == ["number", "outcome", "node", "pid", "started", "ended", "error"]
    assert (attempt["number"], attempt["outcome"], attempt["error"]) == (1, "complete", None)
    times = (trial["started"], trial["ended"], attempt["started"], trial["reports"][0]["time"])
    assert all(UTC.fullmatch(moment) for moment in times)
    assert trial["seconds"] >= 0


def test_a_nan_is_null_in_json(ended: Path) -> None:
    shown = strict(automl("show", "returns-nan", "--json", cwd=ended).stdout)
    failed = [trial for trial in shown["trials"] if trial["state"] == "FAILED"]
    assert failed
    assert all(trial["values"] is None and "loss is nan" in trial["error"] for trial in failed)
    assert failed[0]["reports"][-1]["metrics"] == {"loss": None}


def test_show_in_words(ended: Path) -> None:
    lines = automl("show", "returns-nan", cwd=ended).stdout.splitlines()
    assert lines[0] == "returns-nan: ENDED (budget.trials)"
    assert lines[2].startswith("best: trial ")
    assert any("FAILED" in line and "loss is nan at step 1" in line for line in lines)


def test_an_unknown_name_is_told_with_those_that_there_are(ended: Path) -> None:
    done = automl("show", "quadratik", cwd=ended)
    assert done.returncode == 2
    assert "quadratic" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_search_is_found_in_another_ledger(ended: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{ended}/automl.db"
    assert automl("ls", "--ledger", url, cwd=tmp_path).stdout.count("\n") == 4
    assert automl("show", "quadratic", cwd=tmp_path, AUTOML_LEDGER=url).returncode == 0
    missing = automl("ls", cwd=tmp_path)
    assert missing.returncode == 1
    assert "automl search FILE" in missing.stderr
    assert list(tmp_path.iterdir()) == []


def test_logs_print_what_a_trial_wrote(project: Path) -> None:
    text = (project / QUADRATIC).read_text().replace(":quadratic", ":talks").replace("model.y", "model.text")
    text = text.replace("{float: [-1.0, 1.0]}", "hello from the trial")
    (project / QUADRATIC).write_text(text)
    assert automl("search", QUADRATIC, "--engine", "local", cwd=project).returncode == 0
    logged = automl("logs", "quadratic", "--trial", "1", cwd=project)
    assert logged.stdout == "hello from the trial\nhello from the trial on stderr\n"
    missing = automl("logs", "quadratic", "--trial", "99", cwd=project)
    assert missing.returncode == 2
    assert "Its trials are 0 to 9" in missing.stderr


def test_a_reader_that_leaves_early_is_no_crash(ended: Path) -> None:
    command = f"{sys.executable} -m automl.cli show quadratic --json | head -1"
    done = subprocess.run(command, shell=True, cwd=ended, capture_output=True, text=True)
    assert done.stderr == ""


# --- why -----------------------------------------------------------------------------------


def test_why_tells_a_start_point_from_the_sampler(ended: Path) -> None:
    told = automl("why", "prunes", "--trial", "1", cwd=ended).stdout
    assert "Its parameters came from start point 2 of start_with" in told
    assert "model.x = 1.0" in told
    assert "step    3  loss=1.125" in told
    assert re.search(r"COMPLETE at \S+: its value is 1.125, from step 3\.", told)
    told = automl("why", "prunes", "--trial", "3", cwd=ended).stdout
    assert "Its parameters came from sampler random" in told


def test_why_tells_where_a_trial_was_pruned_and_against_what(ended: Path) -> None:
    told = automl("why", "prunes", "--trial", "2", cwd=ended).stdout
    assert "step    1  loss=64.5  <- pruned" in told
    assert "by pruner median at step 1: its loss was 64.5; 2 other trials had reported that step" in told
    assert "the best 0.5, their median 1." in told
    why = strict(automl("why", "prunes", "--trial", "2", "--json", cwd=ended).stdout)
    assert (why["state"], why["source"], why["sampler"]) == ("PRUNED", "start_with", "random")
    assert why["pruned"] == {
        "step": 1,
        "pruner": "median",
        "metric": "loss",
        "value": 64.5,
        "others": 2,
        "best": 0.5,
        "median": 1.0,
    }


def test_why_tells_of_every_attempt_and_its_checkpoint(project: Path) -> None:
    words = ["--engine", "local", "--set", "budget.trials=1", "--set", "space.model.once_in=" + str(project)]
    done = automl(
        "search", "search_spaces/killed.yaml", *words, "--set", "space.model.above=-9.0", cwd=project
    )
    assert done.returncode == 0, done.stderr
    assert "attempt 1 failed: the worker died: killed by SIGKILL; it goes on" in done.stderr
    told = automl("why", "killed", "--trial", "0", cwd=project).stdout
    assert "failed at" in told
    blamed = "the machine was to blame, which counts against retries (the worker died: killed by SIGKILL)"
    assert blamed in told
    why = strict(automl("why", "killed", "--trial", "0", "--json", cwd=project).stdout)
    assert [attempt["outcome"] for attempt in why["attempts"]] == ["failed", "complete"]
    assert [attempt["again"] for attempt in why["attempts"]] == [True, False]


# --- the other verbs -----------------------------------------------------------------------


def test_ui_shows_the_projects_tracking_on_the_loopback_alone(project: Path) -> None:
    printed = automl("ui", "--print", cwd=project / "trainers").stdout
    assert printed.startswith(f"MLFLOW_BACKEND_STORE_URI=sqlite:///{project}/mlflow.db ")
    assert "-m mlflow ui --host 127.0.0.1 --port 5000\n" in printed
    served = automl("ui", cwd=project, MLFLOW_TRACKING_URI="http://me:secret@mlflow:5000")
    assert served.stdout == "http://me:***@mlflow:5000\n"


def test_init_makes_a_project_in_which_every_search_is_sound(tmp_path: Path) -> None:
    made = automl("init", "mine", cwd=tmp_path)
    assert made.returncode == 0
    assert "cd mine && automl search search_spaces/first.yaml" in made.stderr
    project = tmp_path / "mine"
    assert "automl.db*" in (project / ".gitignore").read_text()
    again = automl("init", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "already" in again.stderr
    (tmp_path / "taken").write_text("")
    for folder in ("taken", "taken/below"):
        assert automl("init", folder, cwd=tmp_path).returncode == 2
    for file in sorted((project / "search_spaces").iterdir()):
        checked = automl("check", "--deep", f"search_spaces/{file.name}", cwd=project)
        assert checked.stdout == f"search_spaces/{file.name}: no faults\n"


def test_doctor_looks_at_everything(project: Path) -> None:
    done = automl("doctor", "--json", cwd=project)
    found = {finding["name"]: finding for finding in strict(done.stdout)["findings"]}
    for name in (
        "python",
        "ray",
        "torch",
        "tensorflow",
        "mlflow",
        "cpus",
        "memory",
        "gpus",
        "ledger",
        "disk",
    ):
        assert found[name]["what"], name
    assert found["ledger"]["ok"] and found["storage"]["ok"] and found["project"]["what"] == str(project)


def test_doctor_names_what_is_broken_with_its_mend(tmp_path: Path) -> None:
    broken = {
        "AUTOML_LEDGER": "postgresql+psycopg://me:secret@127.0.0.1:1/db",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "RAY_ADDRESS": "ray://127.0.0.1:1",
    }
    done = automl("doctor", cwd=tmp_path, **broken)
    assert done.returncode == 1
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    for name, mend in (
        ("ledger", "mend AUTOML_LEDGER"),
        ("tracking", "mlflow server"),
        ("ray cluster", "unset it for a local Ray"),
        ("project", "automl init DIR"),
    ):
        assert any(name in line and mend in line for line in bad), (name, bad)
    assert "secret" not in done.stdout + done.stderr


def test_an_address_that_nobody_listens_at_is_said_at_once(tmp_path: Path) -> None:
    root = Path(shutil.copytree(PROJECT, tmp_path / "project"))
    with socket.socket() as taken:  # bound, and nobody listens: no other process gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for way, more in ((["--address", address], {}), ([], {"RAY_ADDRESS": address})):
            done = automl("search", QUADRATIC, *way, cwd=root, **more)
            assert done.returncode == 2
            assert f"address: no Ray cluster answers at {address}: " in done.stderr + done.stdout
            assert "Connection refused" in done.stderr + done.stdout
            assert "leave --address and RAY_ADDRESS away" in done.stderr + done.stdout
    assert not (root / "automl.db").exists()
