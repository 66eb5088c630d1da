"""Secrets that are planted in a search's surroundings, and a look into everything that was written."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

UP_S = 90.0


def fresh() -> str:
    """A secret that is nowhere yet."""
    return f"s3cr3t{secrets.token_hex(12)}"


@dataclass
class Finder:
    """Looks for secrets in all the forms in which they might be written.

    Args:
        secrets: by what they are.
    """

    secrets: Mapping[str, str]
    found: set[str] = field(default_factory=set)
    looked_at: int = 0
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def text(self, what: str, content: bytes | str) -> None:
        """Look at a text."""
        given = content.encode() if isinstance(content, str) else content
        self.looked_at += 1
        self.found |= {f"{name} in {what}" for name, each in self.secrets.items() if _holds(given, each)}

    def folder(self, top: Path, but: Iterable[Path] = ()) -> None:
        """Look into every file below a folder, also into those that are packed; files may come and go."""
        for path in top.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and not path.is_symlink() and path not in but:
                    self._file(path)

    def tables(self, url: str) -> None:
        """Look at every row of every table of a database."""
        engine = sa.create_engine(url)
        with engine.connect() as db:
            for name in sa.inspect(engine).get_table_names():
                rows = db.execute(sa.text(f'SELECT * FROM "{name}"')).all()
                self.text(f"table {name}", repr(rows))
        engine.dispose()

    def _file(self, path: Path) -> None:
        now = path.stat()
        if self._seen.get(path) == (now.st_mtime_ns, now.st_size):
            return
        self._seen[path] = now.st_mtime_ns, now.st_size
        self.text(str(path), path.read_bytes())
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                for name in packed.namelist():
                    self.text(f"{path}!{name}", packed.read(name))


def _holds(content: bytes, secret: str) -> bool:
    if any(form.encode() in content for form in (secret, quote(secret, safe=""))):
        return True
    # Within a longer text, base64 depends on how many bytes come before.
    padded = (base64.b64encode(b" " * before + secret.encode()) for before in range(3))
    return any(form[4:-4] in content for form in padded)


@contextlib.contextmanager
def watched(finder: Finder, tops: Iterable[Path], but: Iterable[Path]) -> Iterator[None]:
    """Looks into folders again and again meanwhile: some files are there for a moment only."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            for top in tops:
                finder.folder(top, but)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def mlflow_with_login(folder: Path, password: str, host: str = "127.0.0.1") -> Iterator[str]:
    """The URL of an MLflow server that asks for the login `admin` with a password."""
    folder.mkdir()
    config = folder / "auth.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\n"
        f"database_uri = sqlite:///{folder / 'auth.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "grant_default_workspace_access = false\n"
    )
    login = {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
    with mlflow(folder, ["--app-name", "basic-auth"], login, host) as url:
        yield url


@contextlib.contextmanager
def mlflow(
    folder: Path, words: Iterable[str] = (), env: Mapping[str, str] | None = None, host: str = "127.0.0.1"
) -> Iterator[str]:
    """The URL of an MLflow server; it is only ever asked over loopback."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    command += ["--workers", "1", f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}"]
    command += [f"--artifacts-destination={folder / 'served'}", *words]
    lean = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **lean, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _until_up(f"{url}/health", process, folder / "server.log")
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + UP_S
    while True:
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except urllib.error.HTTPError as error:
                if error.code == 401:
                    return
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"MLflow does not answer: {log.read_text()[-2000:]}")
        time.sleep(0.2)
