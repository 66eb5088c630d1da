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
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

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


@pytest.mark.timeout(UP_S)
def test_a_search_goes_through_all_services(client: Mapping[str, str], root: Path) -> None:
    say = ["search", "search_spaces/quadratic.yaml", "--set", "budget.trials=4", "--set", "tracking={}"]
    ours = dict(client) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "automl"]
    done = subprocess.run([*command, *say], cwd=root, env=ours, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    shown = subprocess.run(
        [*command, "show", "quadratic", "--json"],
        cwd=root,
        env=ours,
        capture_output=True,
        text=True,
        check=True,
    )
    attempts = [each["attempts"][0] for each in json.loads(shown.stdout)["trials"]]
    assert [each["outcome"] for each in attempts] == ["complete"] * 4
    assert not list(root.glob("*.db")), "the ledger and MLflow's database are the stack's"


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
    assert not [
        p.pid for p in psutil.process_iter(["cmdline"]) if str(short) in " ".join(p.info["cmdline"] or ())
    ]
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
