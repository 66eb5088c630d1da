"""What is secret stays where it came from; a cluster is joined with a token, or not at all."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tests.planted import Finder, fresh, mlflow, mlflow_with_login, watched

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
    assert "Traceback" not in done.stderr, done.stderr
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


# --- planted, and looked for everywhere ------------------------------------------------------------

TELLS = """
import os
import time

import numpy as np
from sklearn.linear_model import LogisticRegression


def train(trial, x, c=1.0):
    print("environment", dict(os.environ))
    for step in range(1, 4):
        trial.report({"loss": x * x, "c": c}, step)
        time.sleep(0.3)
    if trial.number == 1:
        raise RuntimeError(f"all that I know: {dict(os.environ)}")
    rows = np.random.default_rng(0).normal(size=(64, 4))
    return LogisticRegression(C=c).fit(rows, (rows.sum(1) > 0).astype(int))
"""
FILE = """
name: planted
objective: {metric: loss, direction: minimize}
trainer: {framework: function, model: "trainers.tells:train"}
space: {model.x: {float: [-1.0, 1.0]}}
budget: {trials: 5}
search: {sampler: random, pruner: none}
resources: {parallel: 2}
tracking: {register: planted}
"""


@dataclass
class Scene:
    """A project, its surroundings, and the secrets in them."""

    root: Path
    home: Path
    temporary: Path
    env: dict[str, str]
    planted: dict[str, str]
    files: list[Path]

    def plant(self, name: str, secret: str | None = None) -> None:
        """Into the environment."""
        self.planted[name] = secret or fresh()
        self.env[name] = self.planted[name]

    def plant_file(self, name: str, secret: str | None = None) -> None:
        """Into a file that the environment names."""
        self.planted[name] = secret or fresh()
        self.files.append(private(self.home / name.lower(), self.planted[name]))
        self.env[name] = str(self.files[-1])

    @property
    def tops(self) -> list[Path]:
        return [self.root, self.home, self.temporary]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    root, home = tmp_path / "project", tmp_path / "home"
    private(root / "trainers/__init__.py", "", 0o644)
    private(root / "trainers/tells.py", TELLS, 0o644)
    private(root / "search.yaml", FILE, 0o644)
    home.mkdir()
    # Ray's sockets want a short path.
    with tempfile.TemporaryDirectory(prefix="sec-", dir="/tmp") as temporary:
        env = {"HOME": str(home), "TMPDIR": temporary, "RAY_TMPDIR": temporary, "RAY_AUTH_MODE": "token"}
        yield Scene(root, home, Path(temporary), env, {}, [])


def searched(scene: Scene, finder: Finder, *words: str, during: Callable[[], None] = lambda: None) -> int:
    """One search, with all that it writes looked at while it runs; what it prints too."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PG"))}
    own = {"PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = scene.home / "said.txt"
    with watched(finder, scene.tops, scene.files), log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "automl", "search", "search.yaml", *words],
            cwd=scene.root,
            env={**plain, **own, **scene.env},
            stdout=out,
            stderr=out,
        )
        try:
            during()
            code = process.wait(240)
        finally:
            process.kill()
    assert "Traceback" not in log.read_text(), log.read_text()
    return code


def asked_of(scene: Scene, finder: Finder) -> None:
    """What the other verbs say of it."""
    for verb in (["show", "planted", "--json"], ["logs", "planted", "--trial", "1"], ["doctor", "--json"]):
        done = command(*verb, cwd=scene.root, env=scene.env)
        assert done.stdout
        finder.text(verb[0], done.stdout + done.stderr)
    finder.text("why", command("why", "planted", "--trial", "1", cwd=scene.root, env=scene.env).stdout)
    finder.text("fsck", command("fsck", "planted", cwd=scene.root, env=scene.env).stdout)


def test_a_search_on_ray_writes_down_none_of_the_secrets_around_it(
    scene: Scene, guarded: URL, tmp_path: Path
) -> None:
    scene.env["AUTOML_LEDGER"] = shown(guarded._replace(password=None))
    scene.plant_file("AUTOML_LEDGER_PASSWORD_FILE", guarded.password)
    scene.plant_file("AUTOML_TRACKING_PASSWORD_FILE")
    scene.plant_file("RAY_AUTH_TOKEN_PATH", secrets.token_hex(32))
    for name in ("DATABRICKS_TOKEN", "MLFLOW_TRACKING_TOKEN"):
        scene.plant(name)
    del scene.env["MLFLOW_TRACKING_TOKEN"]  # MLflow takes one login only
    finder = Finder(scene.planted)
    with mlflow_with_login(tmp_path / "mlflow", scene.planted["AUTOML_TRACKING_PASSWORD_FILE"]) as uri:
        scene.env |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_USERNAME": "admin"}
        assert searched(scene, finder) == 0, (scene.home / "said.txt").read_text()
        asked_of(scene, finder)
    finder.folder(tmp_path / "mlflow")
    finder.tables(shown(guarded))
    assert any("session_" in str(each) for each in scene.temporary.rglob("*.log")), "Ray wrote elsewhere"
    assert finder.looked_at > 150
    assert finder.found == set()


def test_a_search_that_loses_its_ledger_writes_down_none_of_the_secrets_around_it(
    scene: Scene, guarded: URL, postgres: str, tmp_path: Path
) -> None:
    scene.plant("PASSWORD_OF_LEDGER", guarded.password)
    scene.env["AUTOML_LEDGER"] = shown(guarded)
    scene.env["AUTOML_OPTUNA_STORAGE"] = shown(guarded.update_query_dict({"options": "-csearch_path=optuna"}))
    for name in ("MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN", "PGPASSWORD", "DATABRICKS_TOKEN"):
        scene.plant(name)
    del scene.env["PASSWORD_OF_LEDGER"]
    finder = Finder(scene.planted)

    def lock_out() -> None:
        """While it runs, the server takes the password no more, ends all connections, and comes back."""
        with as_admin(postgres) as db:
            until(lambda: db.scalar(sa.text("SELECT to_regclass('automl_events')")) is not None)
            until(lambda: db.scalar(sa.text("SELECT count(*) > 5 FROM automl_events")))
            db.execute(sa.text(f"ALTER ROLE {guarded.username} PASSWORD 'another'"))
            end_sessions(db, str(guarded.username))
            time.sleep(3)
            db.execute(sa.text(f"ALTER ROLE {guarded.username} PASSWORD '{guarded.password}'"))

    with as_admin(postgres) as db:
        db.execute(sa.text(f"CREATE SCHEMA optuna AUTHORIZATION {guarded.username}"))
    with mlflow_with_login(tmp_path / "mlflow", scene.planted["MLFLOW_TRACKING_PASSWORD"]) as uri:
        scene.env |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_USERNAME": "admin"}
        assert searched(scene, finder, "--engine", "local", during=lock_out) == 0
        asked_of(scene, finder)
    said = (scene.home / "said.txt").read_text()
    assert "the ledger is away" in said and "the ledger is back" in said
    scene.env["AUTOML_LEDGER"] = shown(guarded.set(password="another-wrong-one"))
    scene.planted["wrong"] = "another-wrong-one"
    for verb in (["ls"], ["doctor"], ["check", "search.yaml"], ["search", "search.yaml"]):
        done = command(*verb, cwd=scene.root, env=scene.env)
        assert done.returncode in (1, 2) and "password authentication failed" in done.stdout + done.stderr
        finder.text(verb[0], done.stdout + done.stderr)
    finder.folder(tmp_path / "mlflow")
    finder.tables(shown(guarded))
    assert finder.found == set()


def until(true: Callable[[], Any], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_the_finder_finds(tmp_path: Path) -> None:
    finder = Finder({"it": "s3cr3t0123456789abcdef"})
    for number, form in enumerate(["x s3cr3t0123456789abcdef y", "czNjcjN0MDEyMzQ1Njc4OWFiY2RlZg=="]):
        finder.text(str(number), form)
    login = base64.b64encode(b"admin:s3cr3t0123456789abcdef").decode()
    finder.text("login", f"Basic {login}")
    with zipfile.ZipFile(tmp_path / "z.bin", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inside", "s3cr3t0123456789abcdef" * 3)
    finder.folder(tmp_path)
    names = sorted(each.rpartition("/")[2] for each in finder.found)
    assert names == ["it in 0", "it in 1", "it in login", "z.bin!inside"]


# --- what is open to others ------------------------------------------------------------------------


def open_to_others(folder: Path, uri: str) -> list[str]:
    done = command("doctor", cwd=folder, env={"MLFLOW_TRACKING_URI": uri})
    return [line for line in done.stdout.splitlines() if "mlflow server" in line and uri[-5:] in line]


def test_doctor_warns_of_an_mlflow_server_that_is_open_to_others(tmp_path: Path) -> None:
    with mlflow(tmp_path / "open", ["--allowed-hosts", "*"], host="0.0.0.0") as uri:
        [line] = open_to_others(tmp_path, uri)
    assert line.startswith("BAD") and "reachable from outside and asks for no login" in line
    assert "--host 127.0.0.1" in line and "basic-auth" in line


def test_doctor_is_content_with_loopback_and_with_a_login(tmp_path: Path) -> None:
    with mlflow(tmp_path / "inside") as uri:
        assert open_to_others(tmp_path, uri) == []
    with mlflow_with_login(tmp_path / "login", fresh(), host="0.0.0.0") as uri:
        assert open_to_others(tmp_path, uri) == []


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_doctor_warns_of_a_ray_that_wants_no_token(no_token: Path, mode: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    script = (
        "import os, ray\n"
        "from automl.exposure import exposed\n"
        "ray.init(address='local', num_cpus=1, log_to_driver=False, include_dashboard=False,\n"
        "         object_store_memory=80_000_000)\n"
        "os.environ['RAY_ADDRESS'] = ray.get_runtime_context().gcs_address\n"
        "port = os.environ['RAY_ADDRESS'].rpartition(':')[2]\n"
        "print([each.name for each in exposed() if each.place.endswith(':' + port)])\n"
    )
    with tempfile.TemporaryDirectory(prefix="sec-", dir="/tmp") as place:
        own = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": "t" * 32, "RAY_TMPDIR": place}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**env, **own, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ("[]" if mode == "token" else "['ray']")
