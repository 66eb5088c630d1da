"""What of Ray and MLflow listens beyond loopback on this machine, and asks nobody who he is.

Looks at this machine's listening sockets, and asks over HTTP without credentials. Starts nothing.
"""

from __future__ import annotations

import ipaddress
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

ASK_S = 3.0
_GCS_PORT, _CLIENT_PORT, _DASHBOARD_PORT, _MLFLOW_PORT = 6379, 10001, 8265, 5000


@dataclass(frozen=True)
class Open:
    """A service that is open to whoever reaches it.

    Args:
        name: what it is.
        place: where it listens, such as 0.0.0.0:5000.
        mend: what to do about it.
    """

    name: str
    place: str
    mend: str


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket of this machine that is reachable from outside.

    Args:
        host: the address that it is bound to.
        port: its port.
        pid: whose it is; None where that is another user's affair.
    """

    host: str
    port: int
    pid: int | None

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Where it is asked from here: over loopback, where it listens on every interface."""
        everywhere = ipaddress.ip_address(self.host).is_unspecified
        host = "127.0.0.1" if everywhere else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def exposed() -> list[Open]:
    """Every Ray and MLflow service of this machine that is open to others.

    Looked at are the ports that the environment names (RAY_ADDRESS, RAY_API_SERVER_ADDRESS,
    MLFLOW_TRACKING_URI) and those that Ray and MLflow take by themselves.

    Raises:
        OSError: this machine does not tell what listens.
    """
    kinds: list[tuple[set[int], Callable[[Listener], Open | None]]] = [
        ({_GCS_PORT, _CLIENT_PORT, *_port("RAY_ADDRESS")}, _ray),
        ({_DASHBOARD_PORT, *_port("RAY_API_SERVER_ADDRESS")}, _dashboard),
        ({_MLFLOW_PORT, *_port("MLFLOW_TRACKING_URI")}, _mlflow),
    ]
    outside = listeners()
    found = [look(each) for ports, look in kinds for each in outside if each.port in ports]
    return list(dict.fromkeys(each for each in found if each))


def listeners() -> list[Listener]:
    """What listens on more than loopback here."""
    try:
        every = psutil.net_connections("tcp")
    except psutil.Error as error:
        raise OSError(f"what listens cannot be seen: {error}") from error
    found = {
        Listener(each.laddr.ip, each.laddr.port, each.pid)
        for each in every
        if each.laddr
        and each.status == psutil.CONN_LISTEN
        and not ipaddress.ip_address(each.laddr.ip).is_loopback
    }
    return sorted(found, key=lambda each: (each.port, each.host, each.pid or 0))


def _port(variable: str) -> Iterator[int]:
    address = os.environ.get(variable, "")
    try:
        port = urlsplit(address if "://" in address else f"//{address}").port
    except ValueError:
        return  # no port, which another finding tells
    if port:
        yield port


def _ray(listener: Listener) -> Open | None:
    """Ray's own ports speak no HTTP; whether it wants a token is in its environment."""
    try:
        process = psutil.Process(listener.pid) if listener.pid else None
        if process is None or not _is_ray(process):
            return None
        if process.environ().get("RAY_AUTH_MODE", "").lower() == "token":
            return None
    except psutil.Error:
        return None  # another user's, or gone
    mend = "Start Ray with RAY_AUTH_MODE=token and a token on every node, in a private network"
    return Open("ray", listener.place, mend)


def _is_ray(process: psutil.Process) -> bool:
    words = " ".join(process.cmdline())
    return process.name().startswith("gcs_server") or "ray.util.client.server" in words


def _dashboard(listener: Listener) -> Open | None:
    if not isinstance(_asked(f"{listener.url}/api/jobs/"), list):
        return None
    mend = "Start Ray with --dashboard-host 127.0.0.1, and with RAY_AUTH_MODE=token: a job is anybody's code"
    return Open("ray dashboard", listener.place, mend)


def _mlflow(listener: Listener) -> Open | None:
    said = _asked(f"{listener.url}/api/2.0/mlflow/experiments/search?max_results=1")
    if not isinstance(said, dict) or "experiments" not in said:
        return None
    mend = "Start it with --host 127.0.0.1, or with --app-name basic-auth (pip install 'mlflow[auth]')"
    return Open("mlflow server", listener.place, mend)


def _asked(url: str) -> object:
    """What it answers to somebody without credentials; None for anything but JSON."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=ASK_S) as answer:
            return json.loads(answer.read(1_000_000))
    except (OSError, ValueError):
        return None
