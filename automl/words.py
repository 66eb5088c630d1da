"""Small words for faults: near misses, kinds of values, and how faults are gathered. Knows no search."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from automl.errors import Fault, InputError

Spot = tuple[str | int, ...]

# A password may hold a raw `@`, `/` or even `?`: everything up to the last `@` is taken for it.
_USER_INFO = re.compile(r"(?P<head>[A-Za-z][\w+.-]*://[^/?#\s:@]*):(?:[^\s?#]*|\S*)@")
_SECRET_QUERY = re.compile(
    r"(?i)(?P<head>[?&;][\w.-]*(?:password|passwd|pwd|secret|token|access_?key|api_?key|signature|sig)=)[^&;#\s]*"
)
# What a terminal takes for colours.
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def in_one_line(text: str, most: int) -> str:
    """A message of several lines in one; where it is too long, its first line and its end.

    What went wrong stands in the first line or in the last, seldom between them.

    Args:
        most: so many characters at most.
    """
    lines = [" ".join(line.split()) for line in _COLOUR.sub("", text).splitlines()]
    whole = " ".join(filter(None, lines))
    if len(whole) <= most:
        return whole
    first = next(filter(None, lines))
    head = first if len(first) <= most // 2 else whole[: most // 2].rstrip()
    gap = " ... "
    return head + gap + whole[len(head) - most + len(gap) :].lstrip()


def near(word: Any, options: Iterable[str]) -> str | None:
    """The option that `word` was probably meant to be, or None."""
    names = list(options)
    text = str(word)
    by_fold = {name.lower(): name for name in reversed(names)}
    if text.lower() in by_fold:
        return by_fold[text.lower()]
    close = [name for name in get_close_matches(text, names, n=5, cutoff=0.6) if _alike(text, name)]
    starts = [name for name in names if len(text) > 1 and name.startswith(text)]
    return next(iter(close or starts), None)


def _alike(left: str, right: str) -> bool:
    """Whether names are alike without what they have in common up to a dot: not model.b and model.k."""
    (left_head, _, left_tail), (right_head, _, right_tail) = left.rpartition("."), right.rpartition(".")
    if left_head != right_head or not left_head:
        return True
    return SequenceMatcher(None, left_tail, right_tail).ratio() >= 0.5


def unknown(word: Any, options: Iterable[str], what: str = "unknown") -> tuple[str, str]:
    """What to say of an unknown word, and the mend: the near miss, or all that is valid."""
    names = list(options)
    guess = near(word, names)
    if guess is not None:
        return what, f"Did you mean {guess}?"
    return what, f"Use one of: {', '.join(names)}" if names else "Remove it"


def counted(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def mask_url(url: str) -> str:
    """The URL with its password, and whatever else is secret in it, as `***`.

    Args:
        url: any URL or path; text without a secret comes back as it is.
    """
    masked = _USER_INFO.sub(lambda found: f"{found['head']}:***@", url)
    return _SECRET_QUERY.sub(lambda found: f"{found['head']}***", masked)


def show(value: Any) -> str:
    """A value as a fault shows it: short, on one line, without passwords."""
    text = mask_url(" ".join(repr(value).split()))
    return text if len(text) <= 80 else text[:77] + "..."


def is_number(value: Any) -> bool:
    """A finite int or float; no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """An int; no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    """Text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_flag(value: Any) -> bool:
    """True or False."""
    return isinstance(value, bool)


# What a value must be: the words for it and the test. A value of another type is one fault.
KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "number": ("a finite number", is_number),
    "whole": ("a whole number", is_whole),
    "text": ("text", is_text),
    "flag": ("true or false", is_flag),
    "mapping": ("a mapping", lambda value: isinstance(value, Mapping)),
    "list": ("a list", lambda value: isinstance(value, list | tuple)),
}


def wrong_kind(name: str, value: Any, kind: str) -> Fault | None:
    """The fault of a value that is not of `kind`, or None."""
    words, test = KINDS[kind]
    if test(value):
        return None
    return Fault(name, f"{show(value)} is not {words}", f"Give {words}", spot=(name,))


def wrong_kinds(values: Mapping[str, Any], kinds: Mapping[str, str]) -> list[Fault]:
    """The faults of those values that are set (not None) and not of their kind."""
    faults = [
        wrong_kind(name, values[name], kind) for name, kind in kinds.items() if values[name] is not None
    ]
    return [fault for fault in faults if fault]


def under(fault: Fault, *path: str | int) -> Fault:
    """The fault of a part, as a fault of the whole that holds the part at `path`."""
    spot = (*path, *(fault.spot or ((fault.where,) if fault.where else ())))
    return replace(fault, where=dotted((*path, fault.where) if fault.where else path), spot=spot)


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it."""
    return ".".join(str(part) for part in path)


def settle(faults: Sequence[Fault]) -> None:
    """Raise InputError with all the faults, if there are any."""
    if faults:
        raise InputError(faults)


def plain(value: Any) -> Any:
    """The value as JSON holds it: tuples become lists, numpy's scalars plain numbers.

    Raises:
        ValueError: some part of it is no JSON value.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not finite")
        return float(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"{show(value)} has keys that are not text")
        return {key: plain(item) for key, item in value.items()}
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return plain(value.item())
    raise ValueError(f"{show(value)} is not a JSON value")
