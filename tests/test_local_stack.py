"""The services of infra/local-stack: a search through all of them, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.local_stack import PROGRAM, load

ROOT = Path(__file__).parent.parent
UP_S = 240


def running(folder: Path) -> list[int]:
    """Processes of any kind whose command or folder says that they are of this stack."""
    known = json.loads((folder / "processes.json").read_text())
    words = (str(folder), known.get("short", "?"))
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(word in " ".join(process.info["cmdline"] or ()) for word in words):
            found.append(process.pid)
    return found


def with_word(word: str) -> list[int]:
    """Processes whose command has it."""
    listed = psutil.process_iter(["cmdline"])
    return [each.pid for each in listed if word in " ".join(each.info["cmdline"] or ())]


def verb(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), name, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=UP_S, check=False)


def until(what: str, true: object, within_s: float = 60) -> None:
    end_s = time.monotonic() + within_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end_s, f"not within {within_s} s: {what}"
        time.sleep(0.1)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("stack") / "first"
    said = verb("up", place)
    assert not said.returncode, said.stderr
    assert said.stdout == f". {place}/env.sh\n" and not said.stderr
    yield place
    load().Stack(place).down()


@pytest.fixture(scope="module")
def client(folder: Path) -> Mapping[str, str]:
    """The environment of one who has read env.sh."""
    command = ["sh", "-c", ". ./env.sh; exec env -0"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in said.split("\0") if line)


Say = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def say(client: Mapping[str, str], root: Path) -> Say:
    """`automl`, as somebody says it who sits outside the cluster, in a project of theirs."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        ours = dict(client) | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "automl", *words]
        return subprocess.run(command, cwd=root, env=ours, capture_output=True, text=True, check=False)

    return run


def with_(**values: object) -> list[str]:
    pairs = [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
    return [word for pair in pairs for word in ("--set", pair)]


@pytest.mark.timeout(UP_S)
def test_a_search_goes_through_all_services(say: Say, root: Path) -> None:
    done = say("search", "search_spaces/quadratic.yaml", *with_(budget__trials=4, tracking="{}"))
    assert not done.returncode, done.stderr
    attempts = [
        each["attempts"][0] for each in json.loads(say("show", "quadratic", "--json").stdout)["trials"]
    ]
    assert [each["outcome"] for each in attempts] == ["complete"] * 4
    assert not list(root.glob("*.db")), "the ledger and MLflow's database are the stack's"


@pytest.fixture
def mlflow(client: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, client[name])
    return MlflowClient(client["MLFLOW_TRACKING_URI"])


def runs(mlflow: MlflowClient, name: str) -> tuple[str, list[str]]:
    """How the run of the search ended, and those of its trials; ABSENT while MLflow has none."""
    experiment = mlflow.get_experiment_by_name(name)
    found = mlflow.search_runs([experiment.experiment_id]) if experiment else []
    parents = [run.info.status for run in found if "mlflow.parentRunId" not in run.data.tags]
    trials = sorted(run.info.status for run in found if "mlflow.parentRunId" in run.data.tags)
    assert len(parents) < 2
    return (parents[0] if parents else "ABSENT"), trials


def flat(ends: tuple[str, list[str]]) -> list[str]:
    return [ends[0], *ends[1]]


@pytest.mark.timeout(2 * UP_S)
def test_a_submitted_search_goes_through_all_services(
    say: Say, client: Mapping[str, str], mlflow: MlflowClient, tmp_path: Path, folder: Path
) -> None:
    """From nothing to a winner that MLflow serves, while nobody but the cluster does any of it."""
    file, shared = "search_spaces/tiny_lightning.yaml", tmp_path / "shared"
    sets = with_(name="sent", storage=shared, tracking="{register: sent}")
    sent = say("submit", file, *sets, "--supervise")
    assert (sent.returncode, sent.stdout) == (0, "sent\n"), sent.stderr
    watched = say("show", "sent", "--follow")
    assert watched.returncode == 0, watched.stderr + watched.stdout
    again = say("submit", file, *sets, "--supervise", "--json")
    assert json.loads(again.stdout)["new"] is False, again.stderr

    [listed] = [each for each in json.loads(say("ls", "--json").stdout)["searches"] if each["name"] == "sent"]
    assert (listed["state"], listed["counts"]["COMPLETE"]) == ("ENDED", 4)
    assert listed["address"] == client["RAY_API_SERVER_ADDRESS"] and listed["owner"]
    until("MLflow has it", lambda: runs(mlflow, "sent") == ("FINISHED", ["FINISHED"] * 4))
    assert mlflow.get_model_version_by_alias("sent", "champion").status == "READY"
    assert "validate" in say("logs", "sent", "--trial", "0").stdout.lower() or (shared / "sent").is_dir()
    fsck = say("fsck", "sent")
    assert fsck.returncode == 0, fsck.stdout + fsck.stderr

    with urllib.request.urlopen(
        urllib.request.Request(
            f"{client['RAY_API_SERVER_ADDRESS']}/api/jobs/",
            headers={"Authorization": f"Bearer {Path(client['RAY_AUTH_TOKEN_PATH']).read_text()}"},
        ),
        timeout=30,
    ) as answer:
        told = answer.read().decode()
    assert "sent" in told
    words = [each.read_text() for each in (folder / "secrets").iterdir()]
    assert not [word for word in words if word in told]


@pytest.mark.timeout(2 * UP_S)
def test_a_submitted_search_is_stopped_and_carried_on_from_outside(
    say: Say, mlflow: MlflowClient, tmp_path: Path
) -> None:
    sets = with_(name="paused", storage=tmp_path / "shared", tracking="{}", budget__trials=8)
    file = "search_spaces/quadratic.yaml"
    assert say("submit", file, *sets, "--set", "space.model.sleep=0.7").returncode == 0
    until("a trial has ended", lambda: shown(say, "paused").get("COMPLETE"), UP_S)
    stopped = say("stop", "paused")
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(say("show", "paused", "--json").stdout)["state"] == "STOPPED"
    until("its runs have ended", lambda: not {"ABSENT", "RUNNING"} & set(flat(runs(mlflow, "paused"))))
    resumed = say("resume", "paused")
    assert resumed.returncode == 0, resumed.stderr
    until("it has gone on to its end", lambda: shown(say, "paused")["COMPLETE"] == 8, UP_S)
    until("MLflow has it", lambda: runs(mlflow, "paused") == ("FINISHED", ["FINISHED"] * 8))


def shown(say: Say, name: str) -> Mapping[str, int]:
    """How many of its trials are in which state; nothing while the ledger has none of it."""
    done = say("show", name, "--json")
    return json.loads(done.stdout)["counts"] if done.returncode == 0 else {}


def test_who_brings_no_secret_is_refused(client: Mapping[str, str]) -> None:
    assert status(f"{client['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/search?max_results=1") == 401
    assert status(f"{client['RAY_API_SERVER_ADDRESS']}/api/jobs/") == 401
    import sqlalchemy as sa

    ledger = sa.make_url(client["AUTOML_LEDGER"]).set(password="guessed")
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        sa.create_engine(ledger).connect()


def test_secrets_are_for_their_owner_alone(folder: Path) -> None:
    files = [folder / "env.sh", *(folder / "secrets").iterdir(), *(folder / "logs").iterdir()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    words = [file.read_text() for file in (folder / "secrets").iterdir()]
    told = "".join(" ".join(process.cmdline()) for pid in running(folder) if (process := psutil.Process(pid)))
    told += "".join(file.read_text(errors="replace") for file in (folder / "logs").iterdir())
    assert not [word for word in words if word in told]


def test_a_folder_that_has_a_stack_gets_no_second_one(folder: Path) -> None:
    said = verb("up", folder)
    assert said.returncode == 1 and "was started here" in said.stderr and "down" in said.stderr
    assert "Traceback" not in said.stderr


def test_down_ends_everything_and_removes_secrets(folder: Path) -> None:
    short = Path(json.loads((folder / "processes.json").read_text())["short"])
    pids = running(folder)
    assert len(pids) > 5
    assert not verb("down", folder).returncode
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert {each.name for each in folder.iterdir()} == {"logs", "artifacts"} and not short.exists()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_down_finds_what_a_killed_start_left(tmp_path: Path, sign: signal.Signals) -> None:
    place = tmp_path / "half"
    start = subprocess.Popen([sys.executable, str(PROGRAM), "up", str(place)], stdout=subprocess.DEVNULL)
    until("ray is starting", lambda: (place / "logs/ray-head.log").exists())
    short = Path(json.loads((place / "processes.json").read_text())["short"])
    start.send_signal(sign)
    start.wait(60)
    assert not verb("down", place).returncode
    until("what was killed as it began has ended too", lambda: not with_word(str(short)))
    assert not short.exists() and not (place / "env.sh").exists()


def test_services_of_a_test_end_with_it_whatever_kills_it(tmp_path: Path) -> None:
    place = tmp_path / "bound"
    code = f"from tests.local_stack import load\nwith load().Stack({str(place)!r}, bound=True): pass"
    start = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)})
    until("ray is starting", lambda: (place / "logs/ray-head.log").exists())
    start.kill()
    start.wait(60)
    until("all have ended", lambda: not running(place))
    load().Stack(place).down()
