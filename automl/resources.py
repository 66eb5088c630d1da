"""What each trial of a search is given, how many run at once, and on which nodes. Knows no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from automl.errors import Fault
from automl.values import RANKED, count_faults
from automl.words import is_number, settle, show, wrong_kinds


@dataclass(frozen=True)
class Kind:
    """Which nodes a trial can run on, CPUs and GPUs aside.

    Args:
        amounts: of each further resource, how much a trial takes.
        labels: what a node's must be.
    """

    amounts: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.amounts or self.labels)


# Ray's own amount for "a node that has one": it says nothing of how many are used.
_OF_A_TYPE = 0.001
_NOT_CUSTOM = {"cpu": "cpus", "gpu": "gpus"}


@dataclass(frozen=True)
class Resources:
    """What each trial gets: CPUs, GPUs (fractions allowed), and how many trials at once.

    `gpus: auto` is a whole GPU for the first trial, and for later ones the share that they need.

    Args:
        cpus, gpus: of each trial.
        parallel: how many trials run at once; `auto` for as many as fit.
        ranks: in how many processes (Lightning) or replicas (Keras) a trial trains; `auto` for one a
            GPU. On CPU they share its cpus.
        share: of all that the engine has, the part that this search takes at most (at least one trial),
            so that several may run beside each other.
        accelerator: of this type, as Ray names it, such as A100.
        custom: of Ray's custom resources by name, how much each trial takes.
        labels: only on nodes whose Ray labels have these values.

    Raises:
        InputError: with everything that is wrong with the values.
    """

    cpus: float = 1
    gpus: float | Literal["auto"] = 0
    parallel: int | Literal["auto"] = "auto"
    ranks: int | Literal["auto"] = "auto"
    share: float = 1
    accelerator: str | None = None
    custom: Mapping[str, float] | None = None
    labels: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        faults = wrong_kinds({"cpus": self.cpus}, {"cpus": "number"})
        if is_number(self.cpus) and self.cpus <= 0:
            faults.append(Fault("cpus", f"{self.cpus} is not above zero", "Give 1 or more"))
        faults += self._gpu_faults()
        if self.parallel != "auto":
            faults += count_faults("parallel", self.parallel, at_least=1, words="a whole number or auto")
        faults += [*self._share_faults(), *self._kind_faults()]
        settle([*faults, *self._rank_faults()])

    @property
    def kind(self) -> Kind:
        """What only some nodes have."""
        typed = {f"accelerator_type:{self.accelerator}": _OF_A_TYPE} if self.accelerator else {}
        return Kind({**typed, **(self.custom or {})}, dict(self.labels or {}))

    def _kind_faults(self) -> list[Fault]:
        words = {"accelerator": self.accelerator, "custom": self.custom, "labels": self.labels}
        faults = wrong_kinds(words, {"accelerator": "text", "custom": "mapping", "labels": "mapping"})
        if faults:
            return faults
        for name, amount in (self.custom or {}).items():
            if not is_number(amount) or amount <= 0:
                what = f"{show(amount)} is not a number above zero"
                mend = "Give how much of it each trial takes"
                faults.append(Fault(f"custom.{name}", what, mend, spot=("custom", name)))
            elif name.lower() in _NOT_CUSTOM:
                mend = f"Write it as resources.{_NOT_CUSTOM[name.lower()]}"
                what = "it is no custom resource"
                faults.append(Fault(f"custom.{name}", what, mend, spot=("custom", name), at_key=True))
        for name, value in (self.labels or {}).items():
            if not isinstance(value, str) or value.startswith(("!", "in(")):
                what = f"{show(value)} is no label's value"
                faults.append(Fault(f"labels.{name}", what, "Give it as text", spot=("labels", name)))
        return faults

    def _share_faults(self) -> list[Fault]:
        if is_number(self.share) and 0 < self.share <= 1:
            return []
        mend = "Give a part of the whole, such as 0.5"
        return [Fault("share", f"{show(self.share)} is not above 0 and at most 1", mend)]

    def at_once(self, slots: int) -> int:
        """How many trials run at once where so many fit in all; none fit, none run."""
        ours = min(slots, max(1, int(slots * self.share + 1e-9)))
        return ours if self.parallel == "auto" else min(ours, int(self.parallel))

    def wanted(self, slots: int) -> int:
        """How many slots of its own are worth having, where an engine that grows has so many for it now.

        `parallel`, whatever the share; `auto` wants the double, for as long as it takes all there is.
        """
        if self.parallel != "auto":
            return int(self.parallel)
        return max(1, slots if self.share < 1 else 2 * slots)

    def _rank_faults(self) -> list[Fault]:
        if self.ranks == "auto":
            return []
        faults = count_faults("ranks", self.ranks, at_least=1, words="a whole number or auto")
        if faults or not is_number(self.cpus):
            return faults
        several = f"{self.ranks} ranks"
        if self.gpus == "auto":
            return [Fault("ranks", "gpus: auto shares one GPU, so there is one", "Leave ranks out")]
        if not is_number(self.gpus):
            return []
        if self.gpus > 0 and self.ranks != max(1, self.gpus):
            mend = "Leave ranks out: there is one a GPU"
            return [Fault("ranks", f"{several} on {self.gpus:g} gpus, and each needs its own", mend)]
        if not self.gpus and self.ranks > 1 and self.cpus < self.ranks:
            mend = f"Give cpus: {self.ranks} or more"
            return [Fault("ranks", f"{several} on {self.cpus:g} cpus, and each needs its own", mend)]
        return []

    def given(self, framework: str) -> dict[str, float]:
        """What a trial of a framework is given: `cpus`, `gpus`, and in how many `ranks` it trains."""
        gpus = 1 if self.gpus == "auto" else self.gpus
        ranks = max(1, int(gpus)) if self.ranks == "auto" else self.ranks
        return {"cpus": self.cpus, "gpus": gpus, "ranks": ranks if framework in RANKED else 1}

    def on_cpu(self, framework: str) -> dict[str, float]:
        """The same where no GPU is used: one rank, unless they share the CPU anyway."""
        given = self.given(framework)
        return {**given, "gpus": 0, "ranks": 1 if self.gpus else given["ranks"]}

    def _gpu_faults(self) -> list[Fault]:
        if self.gpus == "auto":
            return []
        if not is_number(self.gpus):
            return [Fault("gpus", f"{show(self.gpus)} is not a finite number", "Give a number or auto")]
        if self.gpus < 0:
            return [Fault("gpus", f"{self.gpus} is negative", "Give 0 or more")]
        if self.gpus > 1 and self.gpus != int(self.gpus):
            mend = "Above one GPU give whole ones"
            return [Fault("gpus", f"{self.gpus} is a fraction of several GPUs", mend)]
        return []
