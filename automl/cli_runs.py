"""The commands that run searches, here or on a cluster, and end them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl.errors import InputError
from automl.verbs import (
    File,
    Insecure,
    Interpreter,
    Json,
    LedgerUrl,
    Name,
    Overrides,
    Server,
    Supervise,
    dump,
    say,
    verb,
)

if TYPE_CHECKING:
    from automl.door import Result
    from automl.search import Search
    from automl.submission import Submission


@verb
def search(
    file: File,
    engine: Annotated[str, typer.Option(metavar="ray|local", help="Where trials run.")] = "ray",
    address: Annotated[
        str | None, typer.Option(metavar="A", help="A Ray cluster's; else RAY_ADDRESS, else a local Ray.")
    ] = None,
    set_: Overrides = None,
    continue_: Annotated[
        bool, typer.Option("--continue", help="Carry on although objective, trainer or space changed.")
    ] = False,
    ledger: LedgerUrl = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> int:
    """Run a search, or carry on with one that was stopped."""
    from automl import console, door

    view = console.view()
    planned = _load(file, set_ or ())
    view.say(f"{planned.name}: checking, and starting {'Ray' if engine == 'ray' else 'workers'}")
    result = door.run(planned, engine, address, ledger, continue_, view, insecure)
    if as_json:
        dump(result.show())
    else:
        for line in _facts(result):
            print(line)
    _tell_ending(result)
    return result.exit_code


def _load(file: Path, overrides: Sequence[str]) -> Search:
    """The search of a file; of a faulty one every fault, those of its trainers included."""
    from automl import door

    try:
        return door.load(file, overrides)
    except InputError as error:
        raise InputError(door.check(file, overrides) or error.faults) from error


def _facts(result: Result) -> list[str]:
    """The best trial, where its model is, and the way to MLflow."""
    from dataclasses import asdict

    from automl import tables
    from automl.urls import mask_url

    objectives = result.show()["objectives"]
    front = result.best if isinstance(result.best, list) else [result.best] if result.best else []
    lines = [line for best in front for line in tables.best_lines(objectives, asdict(best))]
    if not front:
        lines.append("best: none, no trial is COMPLETE")
    uri = result.tracking_uri or ""
    if uri:
        lines.append(
            f"MLflow: {mask_url(uri) if uri.startswith('http') else _in_project('automl ui', result.root)}"
        )
    return lines


def _in_project(command: str, root: Path) -> str:
    import shlex

    from automl import lookup

    return command if lookup.project_root() == root else f"cd {shlex.quote(str(root))} && {command}"


def _tell_ending(result: Result) -> None:
    say(f"{result.name}: {result.state}, {result.reason}")
    if result.state == "STOPPED":
        say(f"Nothing is lost. The same command carries on: {_again()}")


def _again() -> str:
    import shlex

    return shlex.join(["automl", *sys.argv[1:]])


@verb
def submit(
    file: File,
    address: Server = None,
    set_: Overrides = None,
    continue_: Annotated[
        bool, typer.Option("--continue", help="Send it although objective, trainer or space changed.")
    ] = False,
    supervise: Supervise = False,
    python: Interpreter = None,
    ledger: LedgerUrl = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Send a search to a Ray cluster, where it outlives this machine; return at once."""
    from automl import door

    where = _server(address)
    planned, overrides = _load(file, set_ or ()), set_ or ()
    sent = door.submit(planned, where, overrides, continue_, supervise, python, ledger, insecure)
    _tell_sent(sent, as_json)


@verb
def resume(
    name: Name,
    address: Server = None,
    supervise: Supervise = False,
    python: Interpreter = None,
    ledger: LedgerUrl = None,
    insecure: Insecure = False,
    as_json: Json = False,
) -> int:
    """Carry on a search that was stopped or lost, where it ran before: on its cluster, or here."""
    from automl import door

    again = door.resume(name, address, supervise, python, ledger, insecure=insecure)
    if isinstance(again, door.Result):
        if as_json:
            dump(again.show())
        else:
            print("\n".join(_facts(again)))
        _tell_ending(again)
        return again.exit_code
    _tell_sent(again, as_json)
    return 0


def _server(address: str | None) -> str:
    from automl.errors import Fault

    if not address:
        mend = "Write --address https://HOST:8265, or set RAY_API_SERVER_ADDRESS"
        raise InputError(Fault("address", "no cluster is named", mend))
    return address


def _tell_sent(sent: Submission, as_json: bool) -> None:
    from automl.urls import mask_url

    if as_json:
        facts = {"name": sent.name, "job": sent.id, "address": mask_url(sent.address), "new": sent.new}
        dump({"schema": 1, **facts})
        return
    print(sent.name)
    say(f"{'sent' if sent.new else 'there already'} as job {sent.id}")
    say(f"Look at it: automl show {sent.name} -f, end it: automl stop {sent.name}")


@verb
def stop(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="After the timeout end its driver, where that can be done.")
    ] = False,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m.")] = "60s",
    ledger: LedgerUrl = None,
    as_json: Json = False,
) -> int:
    """Have the driver of a search stop, wherever it runs; its trials write a checkpoint."""
    from automl import door

    done = door.stop(name, ledger, force, timeout, say)
    if as_json:
        dump(done.plain())
    else:
        print(done)
    return done.exit_code
