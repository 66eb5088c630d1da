"""What is secret stays where it came from; a cluster is joined with a token, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from automl import credentials
from automl.engines.ray_tune import RayTune
from automl.errors import InputError, LedgerError
from automl.export.base import publisher_environment
from automl.ledger import Ledger, probe, probe_other
from automl.process import shared_environment
from automl.trackers.base import tracker_environment

REPOSITORY = Path(__file__).parents[1]
QUADRATIC = "search_spaces/quadratic.yaml"
CLUSTER = "127.0.0.1:6379"


def command(*words: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """One command with nothing in its environment but what is given."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PG"))}
    own = {"PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-m", "automl", *words],
        cwd=cwd,
        env={**plain, **own, **env},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without a token, and nothing of one in the environment."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "AUTOML_INSECURE"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


# --- Ray's token -----------------------------------------------------------------------------------


def refusal() -> str:
    with pytest.raises(InputError) as caught:
        RayTune(".", CLUSTER)
    return str(caught.value)


@pytest.mark.parametrize("way", ["--address", "RAY_ADDRESS"])
def test_a_cluster_without_a_token_is_refused_before_anything_starts(
    no_token: Path, root: Path, way: str
) -> None:
    words, env = ([way, CLUSTER], {}) if way.startswith("-") else ([], {way: CLUSTER})
    done = command("search", QUADRATIC, *words, cwd=root, env={"HOME": str(no_token), **env})
    assert done.returncode == 2
    assert f"address: {CLUSTER} would be joined without a token" in done.stderr
    assert "RAY_AUTH_MODE=token" in done.stderr and "--insecure" in done.stderr
    assert not (root / "automl.db").exists()


@pytest.mark.parametrize("way", ["--insecure", "AUTOML_INSECURE"])
def test_who_says_so_joins_without_a_token(no_token: Path, root: Path, way: str) -> None:
    words, env = ([way], {}) if way.startswith("-") else ([], {way: "1"})
    address = "127.0.0.1:1"  # nobody listens there: the next thing that is said
    done = command(
        "search", QUADRATIC, "--address", address, *words, cwd=root, env={"HOME": str(no_token), **env}
    )
    assert done.returncode == 2
    assert f"no Ray cluster answers at {address}" in done.stderr


def test_python_says_insecure_too(no_token: Path, root: Path) -> None:
    import automl

    with pytest.raises(InputError, match="without a token"):
        automl.run(QUADRATIC, address="127.0.0.1:1")
    RayTune(".", CLUSTER, insecure=True)


def test_a_token_in_the_environment_or_in_a_file_will_do(
    no_token: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "t")
    assert "Set RAY_AUTH_MODE=token here and on every node" in refusal()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    RayTune(".", CLUSTER)
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert "none is here" in refusal()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(private(tmp_path / "token", "t")))
    RayTune(".", CLUSTER)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    private(no_token / ".ray/auth_token", "t")
    RayTune(".", CLUSTER)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_token_that_others_can_read_is_refused(
    no_token: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    usual = private(no_token / ".ray/auth_token", "t", mode)
    assert f"(mode {mode:o}). chmod 600 {usual}" in refusal()
    named = private(tmp_path / "token", "t", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(named))
    assert f"chmod 600 {named}" in refusal()
    with pytest.raises(InputError, match="chmod 600"):
        RayTune(".")  # a Ray of one's own has that token too
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nowhere"))
    assert "nowhere cannot be read" in refusal()


# --- who sees what ---------------------------------------------------------------------------------

DRIVERS = (
    "AUTOML_LEDGER",
    "AUTOML_LEDGER_PASSWORD_FILE",
    "AUTOML_TRACKING_PASSWORD_FILE",
    "AUTOML_OPTUNA_STORAGE",
    "DATABRICKS_TOKEN",
    "DATABRICKS_HOST",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PGPASSWORD",
    "PGPASSFILE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
)
STORAGES = ("AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_KEY", "AUTOML_DATA")


def test_what_trains_and_what_packs_is_given_nothing_that_is_the_drivers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*DRIVERS, *STORAGES):
        monkeypatch.setenv(name, "hunter2")
    worker, publisher = shared_environment(1), publisher_environment("lightning", str(tmp_path))
    assert [name for name in DRIVERS if name in worker] == []
    assert [name for name in STORAGES if name not in worker] == []
    assert [name for name in DRIVERS if publisher.get(name) == "hunter2"] == []


def test_what_a_local_ray_inherits_is_its_token_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DRIVERS:
        monkeypatch.setenv(name, "hunter2")
    with credentials.hidden():
        assert [name for name in DRIVERS if name in os.environ] == ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"]
    assert [name for name in DRIVERS if os.environ.get(name) != "hunter2"] == []


# --- files with a password -------------------------------------------------------------------------


@pytest.fixture
def guarded(postgres: str) -> Iterator[URL]:
    """An empty database of a user whom the server asks for a password, which this URL has."""
    user, password = f"u{secrets.token_hex(4)}", fresh()
    with as_admin(postgres) as db:
        file = Path(str(db.scalar(sa.text("SHOW hba_file"))))
        before = file.read_text()
        file.write_text(f"local all {user} scram-sha-256\n{before}")
        db.execute(sa.text(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'"))
        db.execute(sa.text(f"GRANT ALL ON SCHEMA public TO {user}"))
        db.execute(sa.text("SELECT pg_reload_conf()"))
    yield make_url(postgres).set(username=user, password=password)
    with as_admin(postgres) as db:
        file.write_text(before)
        end_sessions(db, user)
        db.execute(sa.text(f"DROP OWNED BY {user}"))
        db.execute(sa.text(f"DROP ROLE {user}"))


@contextlib.contextmanager
def as_admin(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        yield db
    engine.dispose()


def end_sessions(db: sa.Connection, user: str) -> None:
    whose = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :user"
    db.execute(sa.text(whose), {"user": user})


def fresh() -> str:
    """A secret that is nowhere yet."""
    return f"s3cr3t{secrets.token_hex(12)}"


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def test_a_ledgers_password_may_lie_in_a_file_that_nobody_else_can_read(
    guarded: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    bare = shown(guarded._replace(password=None))
    assert "password" in str(probe(bare))
    file = private(tmp_path / "password", f"{guarded.password}\n")
    monkeypatch.setenv("AUTOML_LEDGER_PASSWORD_FILE", str(file))
    assert probe(bare) is None
    with contextlib.closing(Ledger(bare)) as book:
        assert book.searches() == []
    assert "password" in str(probe_other(bare)), "another database is none of its business"
    file.chmod(0o640)
    assert f"chmod 600 {file}" in str(probe(bare))
    with pytest.raises(LedgerError, match="can be read by others"):
        Ledger(bare)
    file.write_text("")
    file.chmod(0o600)
    assert "is empty" in str(probe(bare))
    monkeypatch.setenv("AUTOML_LEDGER_PASSWORD_FILE", str(tmp_path))
    assert "is no file" in str(probe(bare))


@pytest.mark.parametrize("name", ["AUTOML_LEDGER_PASSWORD_FILE", "AUTOML_TRACKING_PASSWORD_FILE"])
def test_a_password_file_that_others_can_read_is_a_fault_before_anything_runs(
    root: Path, tmp_path: Path, name: str
) -> None:
    file = private(tmp_path / "password", "hunter2", 0o644)
    done = command("search", QUADRATIC, "--engine", "local", cwd=root, env={name: str(file)})
    assert done.returncode == 2
    assert f"{name}: the password's file {file} can be read by others (mode 644). chmod 600 {file}." in (
        done.stderr
    )


def test_the_tracker_takes_its_password_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    monkeypatch.setenv("AUTOML_TRACKING_PASSWORD_FILE", str(private(tmp_path / "password", "hunter2\n")))
    assert tracker_environment()["MLFLOW_TRACKING_PASSWORD"] == "hunter2"


def test_a_password_in_a_search_file_is_a_fault_with_its_place_and_its_mend(root: Path) -> None:
    text = (root / QUADRATIC).read_text().replace("tracking: false\n", "")
    text += "ledger: postgresql://me:hunter2@db/automl\n"
    text += "storage: s3://key:hunter2@bucket/runs\n"
    text += "tracking: {uri: 'https://me:hunter2@mlflow.example.org'}\n"
    (root / "search.yaml").write_text(text)
    done = command("check", "search.yaml", cwd=root, env={})
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr
    for place, mend in (
        ("10:9: ledger: postgresql://me:***@db/automl has", "AUTOML_LEDGER_PASSWORD_FILE"),
        ("11:10: storage: s3://key:***@bucket/runs has", "AWS_SECRET_ACCESS_KEY"),
        ("12:17: tracking.uri: https://me:***@mlflow.example.org has", "AUTOML_TRACKING_PASSWORD_FILE"),
    ):
        line = next(line for line in done.stdout.splitlines() if place in line)
        assert "a password in it" in line and mend in line
