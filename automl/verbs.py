"""What all commands share: the program, exit codes, options. Facts go to stdout, messages to stderr.

Imports nothing heavy, so that `automl --help` answers at once.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from automl.errors import AutoMLError, InputError, LeaseHeld
from automl.interrupts import interrupted

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


def verb(function: Callable[..., int | None]) -> Callable[..., None]:
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
        say(str(error))
        return 2
    except AutoMLError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        interrupted()
        say("interrupted")
        return 130
    except _Terminated:
        say("terminated")
        return 143
    except BrokenPipeError:
        # Whoever read has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def dump(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))
