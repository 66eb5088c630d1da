"""Before a search runs: its workers start, its engine starts, and everything is checked, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from itertools import cycle, islice
from typing import Any

from automl import project
from automl.engines.base import Engine
from automl.errors import Fault, InputError
from automl.host import Host
from automl.nursery import Nursery
from automl.plan import Plan, environment_faults, inspect


def warm_up(planned: Plan, engine: Engine) -> Nursery:
    """Start workers before anything else: importing their frameworks takes longest.

    Args:
        planned: what will run.
        engine: not started yet; told of the nursery, and asked how many workers it will want.
    """
    search = planned.search
    wants = search.resources
    ours = {trainer.framework for trainer in search.trainers.values()}
    ranks = {name: int(wants.on_cpu(name)["ranks"]) for name in ours}
    nursery = Nursery(str(planned.root), wants.cpus, ranks)
    engine.welcome(nursery)
    by_framework: dict[str, list[str]] = {}
    for trainer in search.trainers.values():
        addresses = by_framework.setdefault(trainer.framework, [])
        addresses += [each for each in (trainer.model, trainer.data) if each]
    nursery.preload(by_framework)
    if wants.gpus:  # which ones a worker may see is known once it has its slot
        return nursery
    most = [wants.at_once(engine.foresee(wants.cpus, wants.gpus)), search.budget.trials]
    slots = min(count for count in most if count is not None)
    frameworks = islice(cycle(by_framework), max(slots, len(by_framework)))
    nursery.grow(list(frameworks))
    return nursery


def prepare(planned: Plan, engine: Engine, nursery: Nursery) -> Mapping[str, Any]:
    """Check everything while the engine starts.

    Args:
        planned: what will run.
        engine: started here.
        nursery: given the workers that have imported the trainers for the check.

    Returns:
        the arguments that each trainer takes.

    Raises:
        InputError: everything that is wrong with the search, its trainers and surroundings.
    """
    host = Host(str(planned.root), planned.search.resources.cpus, source=nursery)
    surroundings: list[Fault] = []

    def meanwhile() -> None:
        engine.start()
        surroundings.extend(environment_faults(planned, engine))
        import_module("automl.desk")  # Optuna with it

    try:
        faults, signatures = inspect(planned, host, meanwhile)
        faults += surroundings
        if faults:
            raise InputError(planned.search.located(faults))
        if not planned.search.resources.gpus:
            # The workers that imported the trainers are the search's first warm ones.
            nursery.put_first(host.give_up())
    finally:
        host.close()
    return project.taken(signatures)
