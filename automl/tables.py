"""Facts about searches as text: plain lines for pipes, rich tables for people. Decides nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from automl.results import History, Trial, headline
from automl.words import show as short

# A person reads no longer table.
MOST_ROWS = 60
_LEFT = ("name", "state", "trainer", "error", "params", "best", "trials", "owner", "address")


def number(value: float | None) -> str:
    """A number as people read it; a dash where there is none."""
    return "-" if value is None else f"{value:.6g}"


def span(seconds: float | None) -> str:
    """A time span: `3.2 s`, `4m 05s`, `2h 03m`, `5d 02h`."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for big, small, size, part in (("d", "h", 86400, 3600), ("h", "m", 3600, 60), ("m", "s", 60, 1)):
        if whole >= size:
            return f"{whole // size}{big} {whole % size // part:02d}{small}"
    raise AssertionError(seconds)


def pairs(values: Mapping[str, Any]) -> str:
    """Parameters on one line."""
    return " ".join([f"{name}={plain(value)}" for name, value in values.items()])


def plain(value: Any) -> str:
    """A parameter's value, floats short."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else short(value)


def valued(objectives: Iterable[Mapping[str, Any]], values: Sequence[float] | None) -> str:
    """The objectives' values, by name: `val_accuracy=0.97`."""
    if not values:
        return "-"
    return " ".join([f"{o['metric']}={number(v)}" for o, v in zip(objectives, values, strict=True)])


def tabulate(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", firm: Sequence[str] = ()
) -> None:
    """Print a table on stdout: drawn by rich in a terminal, tabs and nothing else in a pipe.

    Args:
        header: the columns' names.
        rows: their cells.
        title: above it, in a terminal.
        firm: columns that stay whole where the terminal is narrow, as long as others can give way.
    """
    if not sys.stdout.isatty():
        print("\n".join(map("\t".join, (header, *rows))))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, header_style="bold")
    for name in header:
        left = name in _LEFT
        whole = name in firm
        table.add_column(name, justify="left" if left else "right", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def searches(found: Sequence[Mapping[str, Any]]) -> None:
    """The table of `automl ls`."""
    rows: list[tuple[str, ...]] = []
    for each in found:
        best = each["best"]
        shown = f"{len(best)} on the front" if isinstance(best, list) else None
        value = shown or (valued(each["objectives"], best["values"]) if best else "-")
        counts = each["counts"]
        states = " ".join(f"{state} {count}" for state, count in counts.items() if count) or "no trials"
        told = each["reason"] if each["state"] == "UNREADABLE" else states
        whose = (each["owner"] or "-", each["address"] or "-")
        rows.append((each["name"], each["state"], told, value, span(each["age_s"]), *whose))
    header = ("name", "state", "trials", "best", "age", "owner", "address")
    firm = ("name", "state", "best", "age")
    if not sys.stdout.isatty() or _fits([header, *rows]):
        tabulate(header, rows, firm=firm)
        return
    # Squeezed into a narrow terminal nobody could read any of it.
    tabulate(header[:-2], [row[:-2] for row in rows], firm=firm)
    print()
    tabulate(("name", *header[-2:]), [(row[0], *row[-2:]) for row in rows], firm=("name", "owner"))


def _fits(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table is no wider than the terminal, a blank on each side of a cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return sum(widths) + 2 * len(widths) <= shutil.get_terminal_size().columns


def search(history: History, driver_alive: bool, most: int | None = None) -> None:
    """One search, as `automl show` prints it.

    Args:
        history: the search.
        driver_alive: whether a driver runs it now.
        most: so many trials at most, the best and the newest; None: all.
    """
    shown = headline(history, driver_alive)
    print(f"{shown['name']}: {shown['state']}" + (f" ({shown['reason']})" if shown["reason"] else ""))
    print(" ".join(f"{state} {count}" for state, count in shown["counts"].items()))
    front = bests(shown)
    for best in front:
        for line in best_lines(shown["objectives"], best):
            print(line)
    trials = list(history.trials.values())
    chosen = trials
    if most is not None and len(trials) > most:
        first, *_ = shown["objectives"]
        maximize = first["direction"] == "maximize"
        chosen = best_and_newest(trials, maximize, [best["number"] for best in front], most)
    rows = [
        (
            str(trial.number),
            str(trial.state),
            trial.trainer,
            valued(shown["objectives"], trial.values),
            str(trial.reports[-1].step) if trial.reports else "-",
            str(len(trial.attempts)),
            span(trial.seconds),
            pairs(trial.params),
            trial.error or "",
        )
        for trial in chosen
    ]
    print()
    if len(rows) < len(trials):
        print(f"{len(rows)} of {len(trials):,} trials, the best and the newest. --all shows all")
    tabulate(("trial", "state", "trainer", "values", "step", "attempts", "time", "params", "error"), rows)


def best_and_newest(trials: Sequence[Trial], maximize: bool, front: Sequence[int], most: int) -> list[Trial]:
    """Of more trials than `most`, in their order: a quarter the best, the rest the newest.

    Args:
        trials: all of them.
        maximize: whether more of the first objective is better.
        front: numbers of the best by all objectives, which go first.
        most: how many.
    """
    sign = -1 if maximize else 1
    ahead = set(front[: most // 4])
    valued = [trial for trial in trials if trial.values]
    valued.sort(key=lambda trial: (trial.number not in ahead, sign * (trial.values or [0])[0]))
    kept = {trial.number for trial in valued[: most // 4]}
    newest = [trial.number for trial in trials if trial.number not in kept]
    kept |= set(newest[len(kept) - most :])
    return [trial for trial in trials if trial.number in kept]


def bests(shown: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The best trials of what `results.show` returned, as a list."""
    best = shown["best"]
    if best is None:
        return []
    return list(best) if isinstance(best, list) else [best]


def best_lines(objectives: Iterable[Mapping[str, Any]], best: Mapping[str, Any]) -> list[str]:
    """A best trial: its number, values, parameters and model."""
    lines = [f"best: trial {best['number']}, {valued(objectives, best['values'])}"]
    lines += [f"  {name}: {plain(value)}" for name, value in best["params"].items()]
    return [*lines, f"model: {best['model']}"] if best.get("model") else lines
