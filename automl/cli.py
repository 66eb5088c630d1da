"""The commands: a thin shell over the door. Facts go to stdout, progress and messages to stderr.

Imports nothing heavy at its top, so that `automl --help` answers at once.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl import __version__
from automl.errors import AutoMLError, InputError, LeaseHeld
from automl.heap import leave, still
from automl.interrupts import interrupted

if TYPE_CHECKING:
    from automl.door import Result
    from automl.search import Search
    from automl.submission import Submission

app = typer.Typer(
    help="Hyperparameter search: Lightning and Keras trials on Ray, asked by Optuna, shown in MLflow.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The search file.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The search's name.", show_default=False)]
AllTrials = Annotated[bool, typer.Option("--all", help="Every trial, also where there are very many.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LedgerUrl = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="A ledger other than the project's.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a part of the file; repeatable."),
]
Server = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="RAY_API_SERVER_ADDRESS",
        help="The cluster's job server: https://HOST:8265.",
        show_envvar=False,
    ),
]
Supervise = Annotated[bool, typer.Option("--supervise", help="Start the driver again whenever it is killed.")]
Interpreter = Annotated[
    str | None, typer.Option(metavar="PATH", help="The Python that has automl, on the cluster's head.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Join a Ray cluster without a token.")]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on showing it until it has ended.")]
TrialNumber = Annotated[int, typer.Option("--trial", metavar="N", help="The trial's number.", min=0)]


class _Terminated(BaseException):
    """SIGTERM came; leave by the way on which everything is tidied up."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _verb(function: Callable[..., int | None]) -> Callable[..., None]:
    """A command: its exit code is what the function returns, exceptions become lines on stderr."""

    @functools.wraps(function)
    def call(*args: Any, **words: Any) -> None:
        raise typer.Exit(_code(functools.partial(function, *args, **words)))

    app.command()(call)
    return call


def _code(function: Callable[[], int | None]) -> int:
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = function() or 0
        sys.stdout.flush()  # here, where a reader that has left is no crash
        return code
    except (InputError, LeaseHeld) as error:
        _say(str(error))
        return 2
    except AutoMLError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        interrupted()
        _say("interrupted")
        return 130
    except _Terminated:
        _say("terminated")
        return 143
    except BrokenPipeError:
        # Whoever read has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _dump(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


@_verb
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
        _dump(result.show())
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
    _say(f"{result.name}: {result.state}, {result.reason}")
    if result.state == "STOPPED":
        _say(f"Nothing is lost. The same command carries on: {_again()}")


def _again() -> str:
    import shlex

    return shlex.join(["automl", *sys.argv[1:]])


@_verb
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


@_verb
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
            _dump(again.show())
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
        _dump({"schema": 1, **facts})
        return
    print(sent.name)
    _say(f"{'sent' if sent.new else 'there already'} as job {sent.id}")
    _say(f"Look at it: automl show {sent.name} -f, end it: automl stop {sent.name}")


@_verb
def check(
    file: File,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also build every trainer and train one batch.")
    ] = False,
    set_: Overrides = None,
    as_json: Json = False,
) -> int:
    """Find everything that is wrong with a search file; run nothing."""
    from automl import door

    faults = door.check(file, set_ or (), deep)
    if as_json:
        names = ("file", "line", "column", "where", "what", "mend")
        shown = [{name: getattr(fault, name) for name in names} for fault in faults]
        _dump({"schema": 1, "file": str(file), "faults": shown})
    else:
        for fault in faults:
            print(fault)
        if not faults:
            print(f"{file}: no faults")
            for note in door.notes(file, set_ or ()):
                print(note, file=sys.stderr)
    return 2 if faults else 0


@_verb
def ls(ledger: LedgerUrl = None, as_json: Json = False) -> None:
    """List the searches of a ledger."""
    leave()
    with still():
        from automl import lookup, tables

        found = lookup.listing(ledger)
        if as_json:
            _dump({"schema": 1, "searches": found})
        else:
            tables.searches(found)


@_verb
def show(
    name: Name,
    follow: Follow = False,
    ledger: LedgerUrl = None,
    all_trials: AllTrials = False,
    as_json: Json = False,
) -> int:
    """Show a search: its state, its best trial, its trials."""
    code = _follow(name, ledger) if follow else 0
    leave()
    with still():
        from automl import lookup, results, tables

        if as_json:
            found = lookup.find(name, ledger)
            _dump(results.show(found.history, found.alive))
        else:
            found = lookup.overview(name, ledger)
            whole = all_trials or not sys.stdout.isatty()
            tables.search(found.history, found.alive, None if whole else tables.MOST_ROWS)
    return code


def _follow(name: str, ledger: str | None) -> int:
    """Watch a search to its end; 1 when its driver is lost."""
    from automl import console
    from automl import follow as watching

    found = watching.show(name, ledger, console.view())
    return 1 if found.history.state(found.alive)[0] == "LOST" else 0


@_verb
def logs(
    name: Name,
    trial: TrialNumber,
    follow: Follow = False,
    ledger: LedgerUrl = None,
    as_json: Json = False,
) -> None:
    """Print what a trial wrote to stdout and stderr."""
    from automl import lookup

    if follow:
        from automl import follow as watching

        watching.log(name, trial, ledger, (lambda text: None) if as_json else _pass_on)
        if not as_json:
            return
    text = lookup.log_text(lookup.find(name, ledger), trial)
    if as_json:
        _dump({"schema": 1, "name": name, "trial": trial, "log": text})
    else:
        sys.stdout.write(text)


def _pass_on(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@_verb
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

    done = door.stop(name, ledger, force, timeout, _say)
    if as_json:
        _dump(done.plain())
    else:
        print(done)
    return done.exit_code


@_verb
def why(name: Name, trial: TrialNumber, ledger: LedgerUrl = None, as_json: Json = False) -> None:
    """Tell where a trial's parameters came from, what it did, and why it ended."""
    from automl import lookup
    from automl import why as reasons

    found = lookup.find(name, ledger)
    found.trial(trial)
    explained = reasons.explain(name, found.events, trial, found.spec)
    if as_json:
        _dump(explained)
    else:
        print("\n".join(reasons.lines(explained)))


@_verb
def fsck(
    name: Name,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend storage and MLflow from the ledger.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Also compare the digest of every kept file.")] = False,
    ledger: LedgerUrl = None,
    as_json: Json = False,
) -> int:
    """Compare a search's ledger, storage and MLflow; list every difference, or mend it."""
    from automl.fsck import fsck as compare
    from automl.words import counted

    found = compare(name, ledger, repair, deep, _say)
    if found.alive:
        _say(f"{name} is being run by a driver: some differences pass by themselves")
    if as_json:
        _dump(found.plain())
    else:
        for line in [*map(str, found.differences), *(f"mended: {line}" for line in found.done)]:
            print(line)
        if found.ok:
            many = f"{counted(found.trials, 'trial')}, {counted(found.events, 'event')}"
            print(f"{name}: {', '.join(found.compared)} agree ({many})")
    return 0 if found.ok else 1


@_verb
def ui(
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 5000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    uri: Annotated[str | None, typer.Option(metavar="URI", help="Another tracking URI.")] = None,
    print_: Annotated[
        bool, typer.Option("--print", help="Print the command in place of running it.")
    ] = False,
) -> None:
    """Open the MLflow UI on what the project's searches tracked."""
    import shlex

    from automl import lookup
    from automl.urls import mask_url

    where = lookup.tracking_uri(uri)
    if where.startswith(("http://", "https://")):
        print(mask_url(where))
        return
    command, environment = lookup.ui_command(host, port), lookup.ui_environment(where)
    if print_:
        print(*(f"{key}={shlex.quote(mask_url(value))}" for key, value in environment.items()), end=" ")
        print(shlex.join(command))
        return
    _say(f"MLflow shows {mask_url(where)} at http://{host}:{port} (Ctrl-C ends it)")
    os.chdir(lookup.project_root())
    # In the place of this process: a signal reaches MLflow itself, and nothing of it is left behind.
    os.execve(command[0], command, {**os.environ, **environment})


@_verb
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder.")]) -> None:
    """Make a new project: trainers/, search_spaces/ and a .gitignore."""
    import shlex

    from automl import begin

    for path in begin.begin(folder):
        print(path)
    inside = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    _say(f"Next: {inside}automl search search_spaces/first.yaml")


@_verb
def doctor(as_json: Json = False) -> int:
    """Look at versions, devices, Ray, ledger, tracking server and storage, each with its mend."""
    from dataclasses import asdict

    from automl import doctor as health
    from automl import lookup

    found = health.examine(lookup.project_root())
    broken = [finding for finding in found if not finding.ok]
    if as_json:
        _dump({"schema": 1, "ok": not broken, "findings": [asdict(finding) for finding in found]})
        return 1 if broken else 0
    for finding in found:
        mend = f"  {finding.mend}" if finding.mend else ""
        print(f"{'ok ' if finding.ok else 'BAD'}  {finding.name:18} {finding.what}{mend}")
    return 1 if broken else 0


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit(0)


def main() -> None:
    """The command `automl`."""
    app(prog_name="automl")


if __name__ == "__main__":
    main()
