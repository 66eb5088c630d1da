"""What `fit.*` of Lightning may be, and `fit.compile`, which its Trainer does not have. Knows no trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.connectors.accelerator_connector import _PRECISION_INPUT
from torch._dynamo.utils import counters

from automl import project
from automl.errors import AutoMLError

# Of torch.compile's arguments those that a file can hold.
_ARGUMENTS = ("mode", "fullgraph", "dynamic", "backend", "options", "recompile_limit")


def signature() -> dict[str, Any]:
    """The Trainer's own, with the words of `precision`, and `compile`."""
    precisions = [word for words in get_args(_PRECISION_INPUT) for word in get_args(words)]
    found = project.offered(project.signature(pl.Trainer), "precision", precisions)
    modes = list(torch._inductor.list_mode_options())
    return project.offered(found, "compile", [False, True, *modes], keys=_ARGUMENTS)


def compile_module(module: pl.LightningModule, asked: Any, threads: int) -> None:
    """Have a module compiled at its first call, in place: the names of its state dict stay.

    The module's own call is compiled, `self(x)` of its steps; Lightning's way, which compiles the steps
    themselves, breaks on `self.log` with this torch.

    Args:
        asked: `fit.compile`: false, true, a mode, or arguments of `torch.compile`.
        threads: processes that may compile at once; one compiles in this process.

    Raises:
        AutoMLError: there is no compiler.
    """
    if not asked:
        return
    words = {"mode": asked} if isinstance(asked, str) else dict(asked) if isinstance(asked, Mapping) else {}
    if words.get("backend", "inductor") == "inductor":
        _need_a_compiler()
    # What was compiled for trials before counts against this one's limit, and holds memory.
    torch._dynamo.reset()
    counters.clear()
    torch._inductor.config.compile_threads = threads
    module.compile(**words)


def note_compiled(module: pl.LightningModule, asked: Any) -> None:
    """Say it in the trial's log where `fit.compile` found nothing to compile."""
    if asked and not counters["stats"]["unique_graphs"]:
        name = type(module).__name__
        print(f"fit.compile: nothing was compiled. Have the steps of {name} call self(x)", flush=True)


def _need_a_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        mend = "Install g++, or leave fit.compile out"
        raise AutoMLError(f"fit.compile needs a C++ compiler, and there is none: {error}. {mend}") from error
