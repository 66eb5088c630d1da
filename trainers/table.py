"""One table from a path, as numbers: what the columns mean, and which rows are held out.

`path` may be `breast_cancer`, `iris`, `wine` or `diabetes`, which come with scikit-learn, or a CSV
(gzipped or not; comma, semicolon, tab or bar between its cells) or Parquet file. A relative path
starts at the project's root. Empty cells, `?` and the usual spellings of "not available" are missing.
"""

from __future__ import annotations

import difflib
import gzip
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import automl
from trainers.splits import split

ROOT = Path(__file__).resolve().parents[1]
BUILT_IN = ("breast_cancer", "iris", "wine", "diabetes")
UNSEEN, ABSENT = 0, 1  # codes of categories that training did not show, and of missing cells
MAX_CATEGORIES = 1000  # the rarer ones count as unseen: nothing could be learned from them
MAX_NUMBERED_CLASSES = 20  # a target with more whole numbers than that is a quantity


@dataclass(frozen=True)
class Table:
    """A table of numbers.

    Args:
        x: float32 [n, columns]: quantities as they are, NaN where missing; categories as codes, 0
            for one that the training rows do not hold and 1 for a missing cell.
        y: int64 [n] from 0 in classification, float32 [n] in regression.
        columns: the names of the columns of `x`.
        codes: for each column of `x` how many codes it has, 0 for a quantity.
        classes: the names of the classes; empty in regression.
    """

    x: np.ndarray
    y: np.ndarray
    columns: tuple[str, ...]
    codes: tuple[int, ...]
    classes: tuple[str, ...]


def load(
    path: str,
    target: str | int = -1,
    header: bool = True,
    task: str = "auto",
    validation: float = 0.2,
    split_seed: int = 0,
) -> tuple[Table, np.ndarray, np.ndarray]:
    """Read a table and divide it; rows without a target are left out.

    Args:
        path, header: see `read`.
        target: see `target_column`.
        task: see `labels`.
        validation, split_seed: see `trainers.splits.split`.

    Returns:
        The table, and the indices of its rows to train on and to validate on. They are made once on
        a node; all trials there share them (`automl.prepared`).
    """
    place = path if path in BUILT_IN else str(ROOT / Path(path).expanduser())
    parts, train, held = _divided(place, target, header, task, validation, split_seed)
    return Table(*parts), train, held


@automl.prepared
def _divided(
    path: str, target: str | int, header: bool, task: str, validation: float, split_seed: int
) -> tuple[Any, np.ndarray, np.ndarray]:
    """The fields of a `Table`, and the indices of its two parts."""
    frame = cleaned(read(path, header))
    name = target_column(frame, target)
    frame = frame[frame[name].notna()]
    y, classes = labels(frame[name], task)
    features = frame.drop(columns=name)
    train, held = split(y if classes else np.zeros(len(y)), validation, split_seed)
    x, codes = encode(features, train)
    return (x, y, tuple(features.columns), codes, classes), train, held


def read(path: str, header: bool = True) -> pd.DataFrame:
    """Read a table.

    Args:
        path: see the top of this file.
        header: whether the first row of a CSV file holds the names of the columns.

    Raises:
        FileNotFoundError: nothing is at `path`.
        ValueError: what is there is no table.
    """
    if path in BUILT_IN:
        from sklearn import datasets

        return getattr(datasets, f"load_{path}")(as_frame=True).frame
    file = ROOT / Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file. Give a CSV or Parquet file, or {', '.join(BUILT_IN)}."
        )
    try:
        frame = pd.read_parquet(file) if file.suffix in (".parquet", ".pq") else _read_csv(file, header)
    except (ValueError, OSError, EOFError, pd.errors.ParserError) as error:
        raise ValueError(f"{file}: {error}. Give a CSV or Parquet file.") from error
    if len(frame) < 2 or frame.shape[1] < 2:
        raise ValueError(
            f"{file}: {frame.shape[0]} rows of {frame.shape[1]} columns. Two of each are the least."
        )
    return frame.rename(columns=str)


def _read_csv(file: Path, header: bool) -> pd.DataFrame:
    return pd.read_csv(
        file,
        sep=_separator(file),
        header=0 if header else None,
        na_values=["?"],
        skipinitialspace=True,
        low_memory=False,
    )


def _separator(file: Path) -> str:
    """The one that the first line holds most of."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        first = str(lines.readline())
    return max(",;\t|", key=first.count)


def target_column(frame: pd.DataFrame, target: str | int) -> str:
    """The name of the column that is to be predicted.

    Args:
        target: its name, or its index: 0 is the first column, -1 the last one.

    Raises:
        ValueError: the table has no such column.
    """
    names = [str(name) for name in frame.columns]
    if isinstance(target, int) and -len(names) <= target < len(names):
        return names[target]
    if target in names:
        return str(target)
    near = difflib.get_close_matches(str(target), names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(names[:20])}."
    raise ValueError(f"target: the table has no column {target!r} among its {len(names)}. {hint}")


def labels(column: pd.Series, task: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The target as numbers, and the names of its classes; no names in regression.

    Args:
        column: without missing cells.
        task: `classification`, `regression`, or `auto`: text, booleans and up to 20 different whole
            numbers are classes, other numbers are quantities.

    Raises:
        ValueError: the task is none of these, or does not suit the column.
    """
    if task not in ("auto", "classification", "regression"):
        raise ValueError(f"task is {task!r}. Choose auto, classification or regression.")
    if task == "regression" or (task == "auto" and not _is_classes(column)):
        if not _is_quantity(column):
            raise ValueError(
                f"target {column.name!r} holds text: it cannot be a regression's. Set task: auto."
            )
        return column.to_numpy(np.float32), ()
    codes, names = pd.factorize(column, sort=True)
    if len(names) < 2:
        raise ValueError(f"target {column.name!r} has one class only. Choose another target.")
    return codes.astype(np.int64), tuple(str(name) for name in names)


def encode(features: pd.DataFrame, train: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Cells as numbers; categories get their codes from the training rows alone.

    Args:
        features: [n, columns].
        train: indices of the training rows.

    Returns:
        `x` and `codes` of a `Table`.
    """
    columns, codes = [], []
    for name in features.columns:
        if _is_quantity(features[name]):
            values, count = features[name].to_numpy(np.float32, na_value=np.nan), 0
            values = np.where(np.isinf(values), np.nan, values)
        else:
            values, count = _categories(features[name], train)
        columns.append(values.astype(np.float32))
        codes.append(count)
    return np.stack(columns, axis=1), tuple(codes)


def _categories(column: pd.Series, train: np.ndarray) -> tuple[np.ndarray, int]:
    absent = column.isna().to_numpy()
    text = np.array([str(cell).strip() for cell in column], dtype=object)
    common = Counter(text[train][~absent[train]].tolist()).most_common(MAX_CATEGORIES)
    known = sorted(name for name, _ in common)
    code = {name: position for position, name in enumerate(known, start=ABSENT + 1)}
    coded = np.array([code.get(cell, UNSEEN) for cell in text])
    return np.where(absent, ABSENT, coded), len(known) + ABSENT + 1


def cleaned(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with its missing cells marked as such, and its numbers and dates as numbers.

    A CSV file has mostly been through this when it was read; a Parquet file says `?` in text.
    """
    frame = frame.copy()
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            days = (column - column.min()) / pd.Timedelta(days=1)
            frame[name] = days
        elif not _is_quantity(column):
            text = column.astype("object")
            text = text.where(~text.astype(str).str.strip().isin(("", "?")), None)
            numbers = pd.to_numeric(text, errors="coerce")
            frame[name] = numbers if numbers.notna().sum() == text.notna().sum() else text
    return frame


def _is_quantity(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not isinstance(column.dtype, pd.CategoricalDtype)


def _is_classes(column: pd.Series) -> bool:
    if not _is_quantity(column) or pd.api.types.is_bool_dtype(column):
        return True
    values = column.unique()
    return len(values) <= MAX_NUMBERED_CLASSES and bool((values == np.round(values)).all())
