"""Searches on a Ray of several nodes: each is a real `ray start`, as on machines of their own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from automl.resources import Resources
from tests.local_stack import load
from tests.test_s3 import keys as boto3_keys

HERE = Path(__file__).resolve().parents[1]
AUTOML = [sys.executable, "-m", "automl"]
CPUS = 2

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of two CPUs, and the services' folder."""
    ours = load().Stack(tmp_path_factory.mktemp("cluster"), CPUS, bound=True, services=("ray",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        ours.client = ours.up()
        yield ours
    ours.down()


@pytest.fixture
def client(stack: Any) -> Mapping[str, str]:
    """The environment of one who uses the cluster."""
    own = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    return own | stack.client | {"PYTHONPATH": str(HERE)}


def begin(root: Path, client: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*AUTOML, *words], cwd=root, env=client, text=True, **pipes)


def say(root: Path, client: Mapping[str, str], *words: str) -> tuple[int | None, str, str]:
    with begin(root, client, *words) as process:
        out, err = process.communicate(timeout=200)
    return process.returncode, out, err


def quadratic(name: str, trials: int, sleep_s: float, **more: Any) -> list[str]:
    words = {
        "name": name,
        "budget.trials": trials,
        "space.model.sleep": sleep_s,
        "ledger": f"sqlite:///{name}.db",
    }
    sets = [f"{key}={value}" for key, value in {**words, **more}.items()]
    return ["search", "search_spaces/quadratic.yaml", *(word for each in sets for word in ("--set", each))]


def attempts(root: Path, client: Mapping[str, str], name: str) -> list[tuple[str, str]]:
    """When each attempt started and ended."""
    code, out, err = say(root, client, "show", name, "--json", "--ledger", f"sqlite:///{root}/{name}.db")
    assert code == 0, err
    return [(a["started"], a["ended"]) for trial in json.loads(out)["trials"] for a in trial["attempts"]]


def most_at_once(spans: list[tuple[str, str]]) -> int:
    moments = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


def test_two_searches_share_a_cluster_and_neither_waits_for_the_other(
    root: Path, client: Mapping[str, str]
) -> None:
    shares = {"left": {"resources.share": 0.5}, "right": {"resources.share": 0.5}}
    both = [begin(root, client, *quadratic(name, 12, 0.6, **share)) for name, share in shares.items()]
    for process in both:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    spans = {name: attempts(root, client, name) for name in shares}
    assert {name: most_at_once(each) for name, each in spans.items()} == {"left": 2, "right": 2}
    began = {name: min(start for start, _ in each) for name, each in spans.items()}
    ended = {name: max(end for _, end in each) for name, each in spans.items()}
    assert max(began.values()) < min(ended.values()), "both trained at the same time"
    assert most_at_once(spans["left"] + spans["right"]) > 2


@pytest.mark.parametrize(
    ("words", "slots", "most"),
    [
        ({}, 4, 4),
        ({"share": 0.5}, 5, 2),
        ({"share": 0.01}, 4, 1),
        ({"share": 0.5}, 0, 0),
        ({"share": 0.1}, 30, 3),
        ({"share": 0.8, "parallel": 2}, 4, 2),
        ({"share": 0.25, "parallel": 3}, 4, 1),
    ],
)
def test_a_share_is_one_trial_at_least_and_parallel_bounds_it_still(
    words: dict[str, Any], slots: int, most: int
) -> None:
    assert Resources(**words).at_once(slots) == most


def test_a_node_that_does_not_see_the_storage_is_a_fault_before_anything_runs(
    stack: Any, root: Path, client: Mapping[str, str]
) -> None:
    """It has a disk of its own at that path, as another machine would."""
    place = root / "mine"
    place.mkdir()
    hide = hiding(place)
    pid = stack.join("ray-blind", client["RAY_ADDRESS"], inside=hide)
    try:
        for words in (["check", "search_spaces/quadratic.yaml"], ["search", "search_spaces/quadratic.yaml"]):
            code, out, err = say(root, client, *words, "--set", f"storage={place}", "--set", "name=blind")
            assert code == 2, err
            faults = [
                line for line in (out + err).splitlines() if "does not see what this machine wrote" in line
            ]
            assert len(faults) == 1 and ": storage: " in faults[0] and "s3://" in faults[0]
            assert "No such file or directory" in faults[0] and "Traceback" not in err
        assert not list(place.iterdir()), "nothing is left of the probe"
        assert say(root, client, "check", "search_spaces/quadratic.yaml")[0] == 0
    finally:
        leave(pid)


def leave(pid: int) -> None:
    """End a node, and wait until it has ended."""
    process = psutil.Process(pid)
    process.terminate()
    process.wait(60)


def test_trials_go_to_the_nodes_of_the_kind_that_was_asked_for(
    stack: Any, root: Path, client: Mapping[str, str]
) -> None:
    kind = ["--resources", '{"fast": 2, "accelerator_type:A100": 1}', "--labels", "zone=b"]
    pid = stack.join("ray-fast", client["RAY_ADDRESS"], kind)
    try:
        asked = {"accelerator": "A100", "custom": "{fast: 1}", "labels": "{zone: b}"}
        words = {f"resources.{key}": value for key, value in asked.items()}
        code, _, err = say(root, client, *quadratic("kind", 4, 0.3, **words))
        assert code == 0, err
        assert "2 at once" in err and len(nodes(root, "kind")) == 1, "all on the one that has it"
        wrong = {"accelerator": "H100", "custom": "{fast: 3}", "labels": "{zone: c}"}
        sets = [word for key, value in wrong.items() for word in ("--set", f"resources.{key}={value}")]
        code, out, _ = say(root, client, "check", "search_spaces/quadratic.yaml", *sets)
        faults = [
            line for line in out.splitlines() if "no node has it; there are A100, fast: 2, zone: b" in line
        ]
        assert code == 2 and len(faults) == 3, out
        for place in ("accelerator", "custom.fast", "labels.zone"):
            assert any(f"resources.{place}: " in line for line in faults), out
    finally:
        leave(pid)


def nodes(root: Path, name: str) -> set[str]:
    """Where a search's attempts started."""
    with sqlite3.connect(root / f"{name}.db") as db:
        rows = db.execute("select data from automl_events where kind = 'started'").fetchall()
    return {json.loads(data)["node_id"] for (data,) in rows}


def test_a_search_grows_with_a_node_that_joins_and_goes_on_when_it_is_lost(
    stack: Any, root: Path, client: Mapping[str, str]
) -> None:
    with begin(root, client, *quadratic("joined", 60, 0.8)) as process:
        until(lambda: len(trials_on(root, "joined")) == 2)
        pid = stack.join("ray-late", client["RAY_ADDRESS"])
        before = nodes(root, "joined")
        late = until(
            lambda: next(
                (n for n, many in trials_on(root, "joined").items() if n not in before and many > 2), None
            )
        )
        for each in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            each.kill()  # as a machine that loses its power
        _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    with sqlite3.connect(root / "joined.db") as db:
        rows = db.execute("select kind, trial, attempt, data from automl_events order by n").fetchall()
    finished = [json.loads(data)["state"] for kind, _, _, data in rows if kind == "finished"]
    assert finished == ["COMPLETE"] * 60
    assert most_at_once(attempts(root, client, "joined")) > 4
    where = {(n, k): json.loads(data)["node_id"] for kind, n, k, data in rows if kind == "started"}
    lost = [(n, k) for kind, n, k, data in rows if kind == "ended" and json.loads(data)["outcome"] == "lost"]
    # One whose actor died before any attempt could say that it had started was nowhere.
    assert {where[each] for each in lost if where.get(each)} == {late}


def trials_on(root: Path, name: str) -> dict[str, int]:
    """How many attempts have started, by their node."""
    if not (root / f"{name}.db").exists():
        return {}
    with sqlite3.connect(root / f"{name}.db") as db:
        try:
            rows = db.execute("select data from automl_events where kind = 'started'").fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return {}
    return Counter(json.loads(data)["node_id"] for (data,) in rows)


def test_a_node_that_joins_and_does_not_see_the_storage_is_left_at_once(
    stack: Any, root: Path, client: Mapping[str, str]
) -> None:
    place = root / "mine"
    place.mkdir()
    hide = hiding(place)
    words = quadratic("newcomer", 30, 1.0, storage=place)
    with begin(root, client, *words) as process:
        until(lambda: trials_on(root, "newcomer"))
        pid = stack.join("ray-stranger", client["RAY_ADDRESS"], inside=hide)
        try:
            _, err = process.communicate(timeout=200)
        finally:
            leave(pid)
    assert process.returncode == 0, err
    [said] = [line for line in err.splitlines() if "gets no trials" in line]
    assert "does not see what this machine wrote" in said
    on = sorted(trials_on(root, "newcomer").values())
    assert len(on) < 3 or on[0] <= 2, "at most those that began before it had answered"


def test_trials_of_the_nodes_that_reach_a_bucket_use_it(
    stack: Any, root: Path, client: Mapping[str, str], s3: str
) -> None:
    """Who does not take part need not reach it."""
    keys = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    without = {name: value for name, value in client.items() if not name.startswith("AWS_")}
    pid = stack.join("ray-s3", client["RAY_ADDRESS"], ["--labels", "s3=yes"], keys)
    try:
        words = quadratic("bucket", 3, 0.1, **{"storage": s3, "resources.labels": "{s3: yes}"})
        code, _, err = say(root, without | keys, *words)
        assert code == 0, err
        code, _, err = say(root, without | keys, *quadratic("others", 3, 0.1, storage=s3))
        assert code == 2 and err.count(f"storage: {s3}: node ") == 2, err
        logs = [each for each in boto3_keys(s3) if each.endswith("/log.txt")]
        assert logs == [f"runs/bucket/trials/{number}/log.txt" for number in range(3)]
    finally:
        leave(pid)


def hiding(place: Path) -> list[str]:
    """What runs a command for which that folder is another, as on another machine."""
    hide = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{place}" && exec "$@"', "sh"]
    if subprocess.run([*hide, "true"], check=False).returncode:
        pytest.skip("mounting needs another user")
    return hide


def test_the_local_engine_has_no_kinds_of_nodes(root: Path) -> None:
    words = ["--set", "resources.accelerator=A100", "--engine", "local"]
    code, _, err = say(root, {**os.environ, "PYTHONPATH": str(HERE)}, *quadratic("here", 2, 0.0), *words)
    assert code == 2 and "resources.accelerator: the local engine runs on this machine alone" in err


@pytest.mark.parametrize("by", ["ray", "SIGTERM"])
def test_trials_on_a_node_that_is_drained_keep_a_checkpoint_and_go_on_elsewhere(
    stack: Any, root: Path, client: Mapping[str, str], by: str
) -> None:
    inside = [sys.executable, str(HERE / "infra/leave.py"), "--within", "60", "--"] if by == "SIGTERM" else []
    pid = stack.join(f"ray-spot-{by}", client["RAY_ADDRESS"], ["--labels", "spot=yes"], inside=inside)
    (root / "search_spaces/spot.yaml").write_text(SPOT)
    try:
        process = begin(root, client, "search", "search_spaces/spot.yaml")
        spot = until(lambda: spot_node(root, client))
        if by == "SIGTERM":
            leave(pid)
            assert process.poll() is None, "it left as soon as its trial had"
        else:
            drain(root, client, spot)
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    finally:
        if psutil.pid_exists(pid):
            leave(pid)
    with sqlite3.connect(root / "spot.db") as db:
        rows = db.execute("select kind, trial, data from automl_events order by n").fetchall()
    ends = [(trial, json.loads(data)) for kind, trial, data in rows if kind == "ended"]
    [moved] = [trial for trial, data in ends if data["outcome"] != "complete"]
    assert [data["outcome"] for trial, data in ends if trial == moved] == ["stopped", "complete"]
    starts = [
        json.loads(data)["node_id"] for kind, trial, data in rows if (kind, trial) == ("started", moved)
    ]
    assert starts[0] == spot and starts[1] != spot
    firsts = [
        json.loads(data)["metrics"]["first"] for kind, t, data in rows if (kind, t) == ("reported", moved)
    ]
    assert firsts[-1] > 1, "it went on from its checkpoint"


SPOT = """
name: spot
objective: {metric: loss, direction: minimize}
trainer: {framework: function, model: "trainers.tiny_function:resumes"}
space: {model.x: {float: [-2.0, 2.0]}, model.steps: 36, model.sleep: 0.5}
budget: {trials: 3}
resources: {cpus: 2}
search: {sampler: random, pruner: none}
ledger: sqlite:///spot.db
tracking: false
"""


def spot_node(root: Path, client: Mapping[str, str]) -> str | None:
    """The node for spot work, once a trial has reported from there."""
    code = """
import json, sqlite3, ray
ray.init(log_to_driver=False)
spot = next(n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Labels"].get("spot"))
rows = sqlite3.connect("spot.db").execute("select kind, trial, data from automl_events").fetchall()
here = {t for kind, t, data in rows if kind == "started" and json.loads(data)["node_id"] == spot}
if any(kind == "reported" and t in here for kind, t, _ in rows):
    print(spot)
"""
    return asked(root, client, code) or None


def drain(root: Path, client: Mapping[str, str], node: str) -> None:
    """Have Ray drain a node, as before a preemption."""
    code = f"""
import ray
from ray._raylet import GcsClient
ray.init(log_to_driver=False)
gcs = GcsClient(address=ray.get_runtime_context().gcs_address)
assert gcs.drain_node("{node}", 2, "taken away", 0)[0]
print("told")
"""
    assert asked(root, client, code) == "told"


def asked(root: Path, client: Mapping[str, str], code: str) -> str:
    said = subprocess.run([sys.executable, "-c", code], cwd=root, env=client, capture_output=True, text=True)
    return said.stdout.strip()


def until(found: Callable[[], Any]) -> Any:
    end_s = time.monotonic() + 120
    while time.monotonic() < end_s:
        if thing := found():
            return thing
        time.sleep(0.5)
    raise AssertionError("not within two minutes")
