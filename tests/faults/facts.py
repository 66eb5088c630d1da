"""Reads a search's rows by plain SQL: of the package under test nothing is used here."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

_ROWS = (
    "select n, kind, trial, attempt, time_s, data from automl_events e "
    "join automl_searches s on s.id = e.search_id where s.name = {} and n > {} order by n"
)
_TOKEN = "select l.token from automl_leases l join automl_searches s on s.id = l.search_id where s.name = {}"


@dataclass(frozen=True)
class Fact:
    """One row of the table of events; `seen_s` is when it was first seen in it."""

    n: int
    kind: str
    trial: int | None
    attempt: int | None
    time_s: float
    data: dict[str, Any]
    seen_s: float = 0.0


class Book:
    """The rows of one search, as far as the database can be asked.

    Args:
        url: `sqlite:////path` or a PostgreSQL URL.
        name: the search.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._link: Any = None
        self.facts: list[Fact] = []

    def look(self) -> list[Fact]:
        """Read what is new; the rows so far, also when the database is away."""
        with contextlib.suppress(sqlite3.Error, psycopg.Error):
            after = self.facts[-1].n if self.facts else 0
            for n, kind, trial, attempt, time_s, data in self._ask(_ROWS, self._name, after):
                self.facts.append(Fact(n, kind, trial, attempt, time_s, json.loads(data), time.time()))
        return self.facts

    def reread(self) -> list[Fact]:
        """All rows as they are now; raises where the database does not answer."""
        self.close()
        return [Fact(*row[:5], json.loads(row[5])) for row in self._ask(_ROWS, self._name, 0)]

    def held(self) -> bool:
        """Whether somebody still holds the lease on it."""
        return any(token is not None for (token,) in self._ask(_TOKEN, self._name))

    def close(self) -> None:
        if self._link is not None:
            with contextlib.suppress(sqlite3.Error, psycopg.Error):
                self._link.close()
        self._link = None

    def _ask(self, query: str, *values: Any) -> Sequence[Any]:
        try:
            if self._link is None:
                self._link = _open(self._url)
            mark = "?" if isinstance(self._link, sqlite3.Connection) else "%s"
            return self._link.execute(query.format(*[mark] * len(values)), values).fetchall()
        except (sqlite3.Error, psycopg.Error):
            self.close()
            raise


def _open(url: str) -> Any:
    if url.startswith("sqlite"):
        path = urlsplit(url).path[1:]
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10, isolation_level=None)
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True, connect_timeout=5)
