"""Random changes of training images, in plain torch on whole batches, wherever the batch lies.

shift    by up to an eighth of the size; what leaves the picture is lost, what enters is black
flip     left to right, for half of the images: for photographs, not for digits
cutout   a black square of a quarter of the size (https://arxiv.org/abs/1708.04552)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def shift(x: Tensor) -> Tensor:
    """`x`: float [batch, channels, height, width], and so is the result."""
    count, _, height, width = x.shape
    down, across = max(1, height // 8), max(1, width // 8)
    padded = functional.pad(x, (across, across, down, down))
    rows = _starts(x, 2 * down)[:, None] + torch.arange(height, device=x.device)
    columns = _starts(x, 2 * across)[:, None] + torch.arange(width, device=x.device)
    image = torch.arange(count, device=x.device)[:, None, None]
    # The indices stand on both sides of the channels, which therefore end up last.
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flip(x: Tensor) -> Tensor:
    """`x`: float [batch, channels, height, width], and so is the result."""
    flipped = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(flipped, x.flip(3), x)


def cutout(x: Tensor) -> Tensor:
    """`x`: float [batch, channels, height, width], and so is the result."""
    hidden = [_stretch(x, size)[:, None] for size in x.shape[2:]]
    return x.masked_fill(hidden[0][:, :, :, None] & hidden[1][:, :, None, :], 0.0)


def _stretch(x: Tensor, size: int) -> Tensor:
    """Bool [batch, size]: true on a stretch of a quarter of the size, at a random place."""
    length = max(1, size // 4)
    start = _starts(x, size - length)[:, None]
    place = torch.arange(size, device=x.device)
    return (place >= start) & (place < start + length)


def _starts(x: Tensor, last: int) -> Tensor:
    """A random offset from 0 to `last` for each image, int64 [batch]."""
    return torch.randint(0, last + 1, (len(x),), device=x.device)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {"shift": shift, "flip": flip, "cutout": cutout}


def parse(how: str) -> tuple[Callable[[Tensor], Tensor], ...]:
    """`none`, or the names above joined by `+`, such as `shift+flip`.

    Raises:
        ValueError: a name is none of them.
    """
    names = [] if how == "none" else how.split("+")
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(f"augment: {unknown[0]!r} is unknown. Join any of {', '.join(KINDS)} by +, or none.")
    return tuple(KINDS[name] for name in names)
