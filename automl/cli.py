"""The commands: a thin shell over the door. Those that run searches are in `cli_runs`.

Imports nothing heavy at its top, so that `automl --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from automl import __version__, cli_runs  # noqa: F401 - its commands
from automl.heap import leave, still
from automl.verbs import (
    AllTrials,
    File,
    Follow,
    Json,
    LedgerUrl,
    Name,
    Overrides,
    TrialNumber,
    app,
    dump,
    say,
    verb,
)


@verb
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
        dump({"schema": 1, "file": str(file), "faults": shown})
    else:
        for fault in faults:
            print(fault)
        if not faults:
            print(f"{file}: no faults")
            for note in door.notes(file, set_ or ()):
                print(note, file=sys.stderr)
    return 2 if faults else 0


@verb
def ls(ledger: LedgerUrl = None, as_json: Json = False) -> None:
    """List the searches of a ledger."""
    leave()
    with still():
        from automl import lookup, tables

        found = lookup.listing(ledger)
        if as_json:
            dump({"schema": 1, "searches": found})
        else:
            tables.searches(found)


@verb
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
            dump(results.show(found.history, found.alive))
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


@verb
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
        dump({"schema": 1, "name": name, "trial": trial, "log": text})
    else:
        sys.stdout.write(text)


def _pass_on(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@verb
def why(name: Name, trial: TrialNumber, ledger: LedgerUrl = None, as_json: Json = False) -> None:
    """Tell where a trial's parameters came from, what it did, and why it ended."""
    from automl import lookup
    from automl import why as reasons

    found = lookup.find(name, ledger)
    found.trial(trial)
    explained = reasons.explain(name, found.events, trial, found.spec)
    if as_json:
        dump(explained)
    else:
        print("\n".join(reasons.lines(explained)))


@verb
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

    found = compare(name, ledger, repair, deep, say)
    if found.alive:
        say(f"{name} is being run by a driver: some differences pass by themselves")
    if as_json:
        dump(found.plain())
    else:
        for line in [*map(str, found.differences), *(f"mended: {line}" for line in found.done)]:
            print(line)
        if found.ok:
            many = f"{counted(found.trials, 'trial')}, {counted(found.events, 'event')}"
            print(f"{name}: {', '.join(found.compared)} agree ({many})")
    return 0 if found.ok else 1


@verb
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
    say(f"MLflow shows {mask_url(where)} at http://{host}:{port} (Ctrl-C ends it)")
    os.chdir(lookup.project_root())
    # In the place of this process: a signal reaches MLflow itself, and nothing of it is left behind.
    os.execve(command[0], command, {**os.environ, **environment})


@verb
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder.")]) -> None:
    """Make a new project: trainers/, search_spaces/ and a .gitignore."""
    import shlex

    from automl import begin

    for path in begin.begin(folder):
        print(path)
    inside = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    say(f"Next: {inside}automl search search_spaces/first.yaml")


@verb
def doctor(as_json: Json = False) -> int:
    """Look at versions, devices, Ray, ledger, tracking server and storage, each with its mend."""
    from dataclasses import asdict

    from automl import doctor as health
    from automl import lookup

    found = health.examine(lookup.project_root())
    broken = [finding for finding in found if not finding.ok]
    if as_json:
        dump({"schema": 1, "ok": not broken, "findings": [asdict(finding) for finding in found]})
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
