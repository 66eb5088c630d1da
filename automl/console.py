"""The live view of a running search: a table in a terminal, plain lines in a pipe, HTML in a notebook.

A view never raises into the run, and never makes it wait: the driver's thread only leaves notes,
which a thread of the view's own draws four times a second.
"""

from __future__ import annotations

import functools
import html
import io
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from automl.board import Board, Snapshot
from automl.events import Event, State
from automl.results import History
from automl.tables import number, span

if TYPE_CHECKING:
    from automl.run import Planned, View

DRAW_S = 0.25
ROWS = 20

F = TypeVar("F", bound=Callable[..., None])


def view() -> View:
    """The view that suits where this process prints: a notebook, a terminal, or neither."""
    if in_notebook():
        return NotebookView()
    if sys.stderr.isatty():
        return LiveView(Console(stderr=True))
    return PlainView()


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell and hasattr(shell, "get_ipython") else None
    return type(kernel).__name__ == "ZMQInteractiveShell"


def harmless(method: F) -> F:
    """What goes wrong while showing is no reason to end a search."""

    @functools.wraps(method)
    def call(*args: Any, **words: Any) -> None:
        try:
            method(*args, **words)
        except Exception:
            return

    return call  # type: ignore[return-value]


class PlainView:
    """A line on stderr for whatever is worth telling."""

    def __init__(self) -> None:
        self._board: Board | None = None

    @harmless
    def begin(self, plan: Planned, history: History, slots: int) -> None:
        self._board = Board(plan, history, slots)
        self.say(self._board.opening())

    @harmless
    def event(self, event: Event) -> None:
        for line in self._board.take(event) if self._board else ():
            self.say(line.text)

    @harmless
    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Nothing to take down."""


class LiveView:
    """A table that is drawn again and again at the foot of the terminal, messages above it.

    Args:
        console: of rich, on the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._board: Board | None = None
        self._lock = threading.Lock()
        # Appending needs no lock, so a signal's handler may speak whatever it has interrupted.
        self._said: deque[str] = deque()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @harmless
    def begin(self, plan: Planned, history: History, slots: int) -> None:
        self._board = Board(plan, history, slots)
        self._said.append(self._board.opening())
        self._thread = threading.Thread(target=self._draw, name="automl-view", daemon=True)
        self._thread.start()

    @harmless
    def event(self, event: Event) -> None:
        if self._board is None:
            return
        with self._lock:
            lines = self._board.take(event)
        self._said.extend(line.text for line in lines if line.loud)

    @harmless
    def say(self, text: str) -> None:
        self._said.append(text)
        if self._thread is None:
            self._tell()

    @harmless
    def end(self) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None
        self._tell()

    @harmless
    def _draw(self) -> None:
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                last = self._over.wait(DRAW_S)
                self._tell()
                live.update(picture(self._snapshot()), refresh=True)
                if last:
                    return

    def _snapshot(self) -> Snapshot:
        assert self._board
        with self._lock:
            return self._board.snapshot()

    def _tell(self) -> None:
        while self._said:
            self._console.print(Text(self._said.popleft()), soft_wrap=True)


class NotebookView:
    """A cell's output that is replaced as the search goes on. Drawn on the driver's thread."""

    def __init__(self) -> None:
        self._board: Board | None = None
        self._handle: Any = None
        self._said: list[str] = []
        self._drawn_s = 0.0

    @harmless
    def begin(self, plan: Planned, history: History, slots: int) -> None:
        self._board = Board(plan, history, slots)
        self._said.append(self._board.opening())
        self._draw()

    @harmless
    def event(self, event: Event) -> None:
        if self._board is None:
            return
        self._said += [line.text for line in self._board.take(event) if line.loud]
        if time.monotonic() - self._drawn_s >= DRAW_S:
            self._draw()

    @harmless
    def say(self, text: str) -> None:
        self._said.append(text)
        self._draw()

    @harmless
    def end(self) -> None:
        self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        out = Console(file=io.StringIO(), width=110, color_system=None, force_jupyter=False)
        for text in self._said[-10:]:
            out.print(Text(text), soft_wrap=True)
        if self._board:
            out.print(picture(self._board.snapshot()))
        assert isinstance(out.file, io.StringIO)
        text = out.file.getvalue()
        shown = {"text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
        self._drawn_s = time.monotonic()


# --- what it looks like --------------------------------------------------------------------

_COLOURS = {State.RUNNING: "cyan", State.COMPLETE: "green", State.PRUNED: "yellow", State.FAILED: "red"}


def picture(now: Snapshot) -> Group:
    """A snapshot as rich draws it."""
    counts = Text(now.name, style="bold")
    for state, count in now.counts.items():
        counts.append(f"  {state} {count}", style=_COLOURS.get(state, "") if count else "dim")
    parts: list[Text | Table] = [counts]
    parts += [Text(f"best  {line}", overflow="ellipsis", no_wrap=True) for line in now.best]
    parts.append(Text(now.budget))
    if now.running:
        parts.append(_running(now))
    if len(now.running) > ROWS:
        parts.append(Text(f"and {len(now.running) - ROWS} more"))
    return Group(*parts)


def _running(now: Snapshot) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (("trial", "right"), ("trainer", "left"), ("attempt", "right"), ("epoch", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("last metrics")  # the only one that gives way where the terminal is narrow
    table.add_column("time", justify="right", no_wrap=True)
    for each in now.running[:ROWS]:
        metrics = "  ".join(f"{name}={number(value)}" for name, value in each.metrics.items())
        cells = (str(each.number), each.trainer, str(each.attempt), each.progress)
        last = Text(metrics, overflow="ellipsis", no_wrap=True)
        table.add_row(*map(Text, cells), last, span(time.monotonic() - each.since_s))
    return table
