"""What is secret: the variables that hold it, who may see them, and the files that hold it.

The one list of them. Knows vendors by the names of their variables alone, and connects to nothing.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from automl.errors import Fault, InputError
from automl.words import mask_url

LEDGER_FILE = "AUTOML_LEDGER_PASSWORD_FILE"
TRACKING_FILE = "AUTOML_TRACKING_PASSWORD_FILE"
INSECURE = "AUTOML_INSECURE"

# The driver's alone: whoever trains opens neither ledger nor tracking server, and joins no cluster.
# What the storage needs (AWS_*, GOOGLE_*, AZURE_*) is not here: weights go there from the worker.
_NAMES = frozenset({"AUTOML_LEDGER", "AUTOML_OPTUNA_STORAGE", "MLFLOW_FLASK_SERVER_SECRET_KEY"})
_BEGINNINGS = (
    "DATABRICKS_",
    "MLFLOW_AUTH_",
    "MLFLOW_BACKEND_STORE_",
    "MLFLOW_REGISTRY_",
    "MLFLOW_TRACKING_",
    "PGPASS",
    "PGSERVICE",
    "PGSSLPASSWORD",
    "RAY_AUTH_TOKEN",
)
_RAYS = "RAY_"
# What is shorter is a word of other sentences too.
_SHORTEST = 4
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# One takes variables away for a while, the other copies them all.
_lock = threading.Lock()


def secret(name: str) -> bool:
    """Whether a variable is for the driver alone."""
    ours = name.startswith("AUTOML_") and "PASSWORD" in name
    return ours or name in _NAMES or name.startswith(_BEGINNINGS)


def harmless() -> dict[str, str]:
    """This process's environment without what is for the driver alone."""
    with _lock:
        return {name: value for name, value in os.environ.items() if not secret(name)}


def forget() -> None:
    """Take them out of this process's own environment, for good; Ray's token stays, Ray reads it."""
    with _lock:
        for name in _but_rays():
            del os.environ[name]


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Processes that are started meanwhile do not inherit them; Ray's token they do."""
    with _lock:
        aside = {name: os.environ.pop(name) for name in _but_rays()}
    try:
        yield
    finally:
        os.environ.update(aside)


def _but_rays() -> list[str]:
    return [name for name in os.environ if secret(name) and not name.startswith(_RAYS)]


# --- Ray's token ---------------------------------------------------------------------------------


def token_is_named() -> bool:
    """Whether the environment says which token is Ray's; else one lies in the home folder, or nowhere."""
    return any(os.environ.get(name, "").strip() for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))


def token_file_fault() -> Fault | None:
    """What is wrong with the token's file that the environment names."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if os.environ.get("RAY_AUTH_TOKEN", "").strip() or not named:
        return None
    return private_fault(Path(named).expanduser(), "RAY_AUTH_TOKEN_PATH", "the token's file")


def token_fault(address: str, insecure: bool = False) -> Fault | None:
    """Why a cluster is not joined: its ports run the code of whoever reaches them, without a token.

    Args:
        address: the cluster's. That of this machine is no exception: there are other users.
        insecure: join it all the same; so says `AUTOML_INSECURE=1`.
    """
    if insecure or os.environ.get(INSECURE) == "1":
        return None
    shown = mask_url(address)
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        what = (
            f"{shown} would be joined without a token, and such a cluster runs the code of whoever reaches it"
        )
        wanted = "RAY_AUTH_MODE=token" if token_is_named() or _token_file() else _GIVE
        return Fault("address", what, f"Set {wanted} here and on every node, or say --insecure")
    if os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return None
    file = _token_file()
    if file is None:
        what = f"{shown} wants a token (RAY_AUTH_MODE=token), and none is here"
        return Fault("address", what, f"Set {_GIVE.partition(' and ')[2]}, or say --insecure")
    return private_fault(file, "address", "the token's file")


_GIVE = "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (a file of mode 600; or RAY_AUTH_TOKEN)"


def _token_file() -> Path | None:
    """The file that Ray reads its token from; the default one only where it is there."""
    if named := os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return Path(named).expanduser()
    usual = Path.home() / ".ray" / "auth_token"
    return usual if usual.exists() else None


# --- files with a password -----------------------------------------------------------------------


def private_fault(file: Path, where: str, what: str) -> Fault | None:
    """What is wrong with a file that holds a secret: it is not there, or others can read it.

    Args:
        file: the file.
        where: what of the input names it.
        what: what it is.
    """
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return Fault(where, f"{what} {file} cannot be read: {error.strerror}", "Name another, or make it")
    if not stat.S_ISREG(mode):
        return Fault(where, f"{what} {file} is no file", "Name a file")
    if mode & _OTHERS:
        shown = f"{what} {file} can be read by others (mode {stat.S_IMODE(mode):o})"
        return Fault(where, shown, f"chmod 600 {file}")
    return None


def password_in(variable: str) -> str | None:
    """The password in the file that a variable names; None where it names none.

    Raises:
        InputError: it cannot be read, or others can read it too.
    """
    named = os.environ.get(variable)
    if not named:
        return None
    file = Path(named).expanduser()
    if fault := private_fault(file, variable, "the password's file"):
        raise InputError(fault)
    try:
        text = file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Fault(variable, f"{file} cannot be read: {error}", "Mend the file")) from error
    if not text:
        raise InputError(Fault(variable, f"{file} is empty", "Write the password into it"))
    return text


def file_faults() -> list[Fault]:
    """What is wrong with the password files that the environment names."""
    found: list[Fault] = []
    for variable in (LEDGER_FILE, TRACKING_FILE):
        try:
            password_in(variable)
        except InputError as error:
            found += error.faults
    return found


def scrubbed(text: str, *urls: str | None) -> str:
    """A text without the passwords of these URLs, and without those of the environment.

    A vendor's message may quote a password alone, without the URL that would show what it is.
    """
    said = mask_url(text)
    for each in sorted(_known(os.environ, urls), key=len, reverse=True):
        said = said.replace(each, "***")
    return said


def _known(environment: Mapping[str, str], urls: tuple[str | None, ...]) -> set[str]:
    named = ("PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "RAY_AUTH_TOKEN")
    found = {environment.get(name, "") for name in (*named, "DATABRICKS_TOKEN")}
    for url in (*urls, *(environment.get(name) for name in ("AUTOML_LEDGER", "AUTOML_OPTUNA_STORAGE"))):
        password = _password(url or "") or ""
        found |= {password, unquote(password)}
    for variable in (LEDGER_FILE, TRACKING_FILE):
        with contextlib.suppress(InputError):  # told where it is used; a message is being made here
            found.add(password_in(variable) or "")
    return {each for each in found - {"***"} if len(each) >= _SHORTEST}


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
