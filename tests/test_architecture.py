"""The house rules that no type checker sees: floors, one door per vendor, importing is free."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "automl"

# Imports go down, or stay on their floor. A new room chooses its floor here.
FLOORS: list[tuple[str, ...]] = [
    ("errors",),
    (
        "words",
        "urls",
        "root",
        "interrupts",
        "yamltext",
        "values",
        "resources",
        "space",
        "events",
        "causes",
        "heap",
        "credentials",
    ),
    (
        "policies",
        "plain",
        "checks",
        "overrides",
        "search",
        "results",
        "differences",
        "reclaim",
        "fsck_ledger",
        "inventory",
        "fsck_storage",
        "storage",
        "grid",
        "sources",
        "begin",
        "machine",
        "exposure",
        "retries",
        "goals",
        "scratch",
        "guard",
        "watch",
        "usage",
        "gpu_memory",
        "packing",
        "stacks",
        "streams",
        "manifest",
        "once",
        "arrays",
        "shelf",
        "salvage",
        "bundle",
    ),
    (
        "specfile",
        "data",
        "signatures",
        "project",
        "why",
        "tables",
        "database",
        "schema",
        "spool",
        "writer",
        "engines.base",
        "frameworks.base",
        "trackers.base",
        "export.base",
    ),
    (
        "ledger",
        "lease",
        "migrations",
        "migrations.versions",
        "migrations.versions.v1_first",
        "migrations.versions.v2_requests",
        "samplers",
        "startup",
        "points",
        "thinning",
        "thought",
        "brain",
        "forkserver",
        "bodies",
        "process",
        "nursery",
        "host",
        "handle",
        "ranks",
        "resume",
        "rehearse",
    ),
    (
        "engines",
        "engines.local",
        "engines.ray_tune",
        "engines.ray_slot",
        "engines.ray_actors",
        "engines.ray_jobs",
        "engines.ray_probe",
        "engines.ray_growth",
        "engines.ray_nodes",
        "frameworks",
        "frameworks.lightning",
        "frameworks.lightning_ranks",
        "frameworks.lightning_moment",
        "frameworks.torchrun",
        "frameworks.keras",
        "frameworks.keras_feed",
        "frameworks.keras_pipes",
        "frameworks.keras_gradients",
        "frameworks.lightning_fit",
        "frameworks.keras_fit",
        "frameworks.keras_memory",
        "frameworks.torch_memory",
        "frameworks.function",
        "trackers",
        "trackers.mlflow",
        "trackers.registry",
        "trackers.histories",
        "trackers.judgement",
        "trackers.flavors",
        "trackers.picture",
        "trackers.optuna_rdb",
        "export",
        "export.mlflow_model",
        "export.verify",
        "export.rehearsal",
        "export.automl_model_loader",
    ),
    # The programs of the child processes, which pick their adapter by name.
    ("worker", "follower", "preloaded", "trackers.__main__", "trackers.audit", "export.__main__"),
    (
        "sweep",
        "thinker",
        "tasks",
        "desk",
        "plan",
        "warmup",
        "winner",
        "run",
        "deep",
        "lookup",
        "fsck",
        "submission",
        "stop",
        "follow",
    ),
    ("door", "board", "console", "doctor", "verbs", "cli_runs", "cli", "__main__", ""),
]

RAY = tuple(f"engines.ray_{each}" for each in ("tune", "actors", "slot", "jobs", "probe", "nodes", "growth"))

# Which files are one adapter. Two adapters never import each other, bases and these aside.
ADAPTERS: dict[str, tuple[str, ...]] = {
    "local": ("engines.local",),
    "ray": RAY,
    "lightning": (
        "frameworks.lightning",
        "frameworks.lightning_fit",
        "frameworks.lightning_ranks",
        "frameworks.lightning_moment",
        "frameworks.torchrun",
    ),
    "keras": (
        "frameworks.keras",
        "frameworks.keras_feed",
        "frameworks.keras_pipes",
        "frameworks.keras_gradients",
        "frameworks.keras_fit",
        "frameworks.keras_memory",
    ),
    "function": ("frameworks.function",),
    "mlflow": (
        "trackers.mlflow",
        "trackers.registry",
        "trackers.histories",
        "trackers.judgement",
        "trackers.audit",
    ),
    "optuna mirror": ("trackers.optuna_rdb",),
    "mlflow model": (
        "export.mlflow_model",
        "export.verify",
        "export.rehearsal",
        "export.automl_model_loader",
    ),
}
# Picture is what every tracker shows; flavors keeps MLflow's own words inside trackers/. Lightning uses
# torch, and so may Keras.
SHARED = ("trackers.picture", "trackers.flavors", "frameworks.torch_memory")

DOORS: dict[str, tuple[str, ...]] = {
    "ray": RAY,
    "optuna": ("brain", "thought", "points", "samplers", "thinning", "trackers.optuna_rdb"),
    "mlflow": ("trackers.*",),
    "torch": ("frameworks.*", "export.*"),
    "pytorch_lightning": ("frameworks.*", "export.*"),
    "tensorflow": ("frameworks.*", "export.*"),
    "keras": ("frameworks.*", "export.*"),
    "skops": ("frameworks.*", "export.*"),
    "sqlalchemy": ("ledger", "lease", "schema", "database", "migrations", "migrations.versions.*"),
    "alembic": ("migrations", "migrations.versions.*"),
    "ruamel": ("yamltext", "specfile"),
    "fsspec": ("storage",),
    "pyarrow": ("arrays",),
    "rich": ("console", "tables", "cli", "doctor"),
    "typer": ("verbs", "cli_runs", "cli"),
}

HEAVY = (
    "ray",
    "torch",
    "tensorflow",
    "keras",
    "pytorch_lightning",
    "mlflow",
    "optuna",
    "sqlalchemy",
    "alembic",
    "pandas",
)


def room_of(path: Path) -> str:
    """`automl/engines/base.py` is `engines.base`; a package is its folder, automl itself is ``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# The starter is what `automl init` copies: a user's code, which nothing here imports.
FILES = {
    room_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if PACKAGE / "starter" not in path.parents
}
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ADAPTER = {room: name for name, rooms in ADAPTERS.items() for room in rooms}


@cache
def imports_of(room: str) -> tuple[tuple[str, int], ...]:
    """Every module that a file imports, with its line; those inside functions included."""
    tree = ast.parse(FILES[room].read_text())
    return tuple((name, line) for node in ast.walk(tree) for name, line in _imported(node, room))


def _imported(node: ast.AST, room: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{room}:{node.lineno}: imports are absolute in this house"
        # `from automl import project` names a module, `from automl.space import Int` does not.
        yield from ((_deepest(str(node.module), alias.name), node.lineno) for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        yield from ((str(arg.value), node.lineno) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def _deepest(module: str, name: str) -> str:
    inner = f"{module}.{name}".removeprefix("automl.")
    return f"automl.{inner}" if module.split(".")[0] == "automl" and inner in FILES else module


def inside(room: str) -> Iterator[tuple[str, int]]:
    """The rooms of the house that a room imports."""
    for name, line in imports_of(room):
        if name.split(".")[0] == "automl":
            yield name.removeprefix("automl").removeprefix("."), line


def allowed(room: str, doors: tuple[str, ...]) -> bool:
    return any(room == door or (door.endswith(".*") and room.startswith(door[:-1])) for door in doors)


def test_every_room_has_chosen_its_floor() -> None:
    assert sorted(set(FILES) - set(FLOOR)) == []


def test_the_tables_name_no_room_that_is_gone() -> None:
    named = {*FLOOR, *ADAPTER, *SHARED}
    assert sorted(named - set(FILES)) == []
    doors = {door.removesuffix(".*") for rooms in DOORS.values() for door in rooms}
    assert sorted(doors - set(FILES)) == []


@pytest.mark.parametrize("room", FILES)
def test_imports_go_down_only(room: str) -> None:
    upwards = [f"{FILES[room]}:{line}: {below}" for below, line in inside(room) if FLOOR[below] > FLOOR[room]]
    assert not upwards


def test_no_room_imports_itself_round_a_corner() -> None:
    left = {room: {below for below, _ in inside(room)} & set(FILES) for room in FILES}
    left[""] = set()  # the door's names are loaded when they are used, long after every import
    while free := [room for room, needs in left.items() if not needs & left.keys()]:
        for room in free:
            del left[room]
    assert not left, f"these import each other in a circle: {sorted(left)}"


@pytest.mark.parametrize("room", [room for room in FILES if room in ADAPTER])
def test_adapters_never_import_each_other(room: str) -> None:
    others = [
        f"{FILES[room]}:{line}: {other}"
        for other, line in inside(room)
        if other in ADAPTER and ADAPTER[other] != ADAPTER[room]
    ]
    assert not others


def test_every_adapter_file_belongs_to_one_adapter() -> None:
    folders = ("engines.", "frameworks.", "trackers.", "export.")
    files = {room for room in FILES if room.startswith(folders) and not room.endswith((".base", ".__main__"))}
    assert sorted(files - set(ADAPTER) - set(SHARED)) == []


@pytest.mark.parametrize("vendor", DOORS)
def test_a_vendor_has_one_door(vendor: str) -> None:
    strangers = [
        f"{FILES[room]}:{line}"
        for room in FILES
        for name, line in imports_of(room)
        if name.split(".")[0] == vendor and not allowed(room, DOORS[vendor])
    ]
    assert not strangers


def test_nothing_imports_a_projects_trainers() -> None:
    found = [
        f"{FILES[room]}:{line}"
        for room in FILES
        for name, line in imports_of(room)
        if name.split(".")[0] == "trainers"
    ]
    assert not found


@pytest.mark.parametrize("room", FILES)
def test_a_room_says_what_it_is_about(room: str) -> None:
    said = ast.get_docstring(ast.parse(FILES[room].read_text())) or ""
    assert len(said.split("\n")[0].split()) >= 3, f"{FILES[room]} has no docstring that names its subject"


def test_importing_automl_is_free() -> None:
    program = "import automl, json, sys; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    loaded = json.loads(_python(program))
    assert sorted(set(HEAVY) & set(loaded)) == []


def test_everything_that_the_door_promises_is_there() -> None:
    program = (
        "import automl, json; print(json.dumps([n for n in automl.__all__ if getattr(automl, n) is None]))"
    )
    assert json.loads(_python(program)) == []


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
