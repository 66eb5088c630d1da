"""What a large set of data costs the workers of a node in memory, and a worker in time to its first batch.

Up to four workers of the house go through all of the set, to train and to validate, and then wait, with
the set still in their hands, while their memory is read. PSS (`/proc/PID/smaps_rollup`) divides a page
among those who share it, so that the sum counts each once. Its anonymous part is a worker's own;
the rest is mapped files, which are pages of the page cache. The workers are there and have their framework
imported before they are given a trial. `plain` loads the set in each worker, `prepared` by
`automl.prepared`. With many repeats the set is prepared once for each.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from automl.engines.base import Answer, Message, Task  # noqa: E402
from automl.host import Host  # noqa: E402
from trainers import large  # noqa: E402

COUNTS = (1, 2, 4)
MODELS = {
    "lightning": ("trainers.large_lightning:Net", "trainers.large_lightning:data", {"max_epochs": 1}),
    "keras": ("trainers.large_keras:net", "trainers.large_keras:data", {"epochs": 1, "batch_size": 512}),
}
WAYS = ("prepared", "plain")
PATIENCE_S = 300.0

Facts = dict[str, float]


def measure(framework: str, ways: Sequence[str], folder: Path) -> dict[str, Facts]:
    """Each way in one framework: memory by the number of workers, and the times to their first batches.

    The workers are the same ones, warm; what they held of one way is gone before the next.
    """
    os.environ["AUTOML_DATA"] = str(folder / "kept")
    facts: dict[str, Facts] = {}
    with hosts(str(HERE)) as fresh:
        workers = [fresh() for _ in range(max(COUNTS))]
        for host in workers:
            warm(host, framework)
        for way in ways:
            facts[way] = together(workers, framework, way, folder)
            print(f"{framework}, {way}: {facts[way]}", file=sys.stderr)
    for name in ("kept", "runs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return facts


def together(workers: Sequence[Host], framework: str, way: str, folder: Path) -> Facts:
    """One worker after the other begins; what all of them hold, for each count of them."""
    facts: Facts = {}
    pids: list[int] = []
    for number, host in enumerate(workers, start=1):
        host.start(task(framework, way, folder, number))
        pid, report = until_report(host)
        pids.append(pid)
        facts[f"first_{number}_s"] = report["first_s"]
        if number in COUNTS:
            held = [memory(each) for each in pids]
            facts[f"all_{number}"] = sum(each["Pss"] for each in held)
            facts[f"own_{number}"] = sum(each["Pss_Anon"] for each in held)
    for host in workers:
        host.answer(Answer.END)
        while (message := host.poll(1.0)) is None or message["kind"] != "ended":
            pass
    return facts


@contextmanager
def hosts(root: str) -> Iterator[Callable[[], Host]]:
    """Makes hosts, and ends all of them."""
    made: list[Host] = []

    def fresh() -> Host:
        made.append(Host(root, 1))
        return made[-1]

    try:
        yield fresh
    finally:
        for host in made:
            host.close()


def warm(host: Host, framework: str) -> None:
    """Have the worker there, its framework and trainers imported."""
    model, data, _ = MODELS[framework]
    trainer = {"framework": framework, "model": model, "data": data}
    found = host.inspect({"trainer": trainer}, PATIENCE_S)
    assert not found["trainer"]["error"], found


def task(framework: str, way: str, folder: Path, trial: int) -> Task:
    model, data, fit = MODELS[framework]
    return Task(
        search="data",
        trial=trial,
        attempt=1,
        seed=trial,
        trainer="trainer",
        framework=framework,
        model=model,
        data=data,
        arguments={
            "model": {"asked_s": time.time()},
            "data": {"folder": str(folder / "set"), "way": way},
            "fit": fit,
        },
        objectives=({"metric": "val_loss", "direction": "minimize", "value": "last"},),
        resources={"cpus": 1, "gpus": 0},
        root=str(HERE),
        storage=str(folder / "runs"),
    )


def until_report(host: Host) -> tuple[int, Mapping[str, float]]:
    """The worker's pid and its report; it waits for the answer."""
    pid, deadline_s = 0, time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        message: Message | None = host.poll(1.0)
        if message is None:
            continue
        if message["kind"] == "started":
            pid = message["pid"]
        elif message["kind"] == "report":
            return pid, message["metrics"]
        elif message["kind"] == "ended":
            raise RuntimeError(message)
    raise TimeoutError(f"no report within {PATIENCE_S:g} s")


def memory(pid: int) -> Facts:
    """Bytes of a process by the names of smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): 1024.0 * int(value) for name, value, _ in map(str.split, lines)}


def table(measured: Mapping[tuple[str, str], Sequence[Facts]]) -> str:
    """Markdown of all parts."""
    lines = [
        "| framework, way | memory with 1, 2, 4 workers, GB | of it their own, GB "
        "| first batch of worker 1, s | of worker 2, s |",
        "|---|---|---|---|---|",
    ]
    for (framework, way), repeats in measured.items():

        def cell(name: str, unit: float = 1.0, digits: int = 1, repeats: Sequence[Facts] = repeats) -> str:
            values = sorted(facts[name] / unit for facts in repeats)
            low, high = f"{values[0]:.{digits}f}", f"{values[-1]:.{digits}f}"
            spread = "" if low == high else f" ({low} to {high})"
            return f"{statistics.median(values):.{digits}f}{spread}"

        cells = [", ".join(cell(f"{kind}_{n}", 1e9) for n in COUNTS) for kind in ("all", "own")]
        firsts = [cell(f"first_{n}_s", digits=2) for n in (1, 2)]
        lines.append(f"| {framework}, {way} | {' | '.join([*cells, *firsts])} |")
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on."""
    names = ("numpy", "pytorch-lightning", "torch", "keras", "tensorflow-cpu")
    installed = {each.metadata["Name"] for each in metadata.distributions()}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names if name in installed)
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=2_000_000_000, help="of the set in memory")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--framework", choices=MODELS, action="append", help="these only")
    parser.add_argument("--way", choices=WAYS, action="append", help="these only")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the set is removed
    measured: dict[tuple[str, str], list[Facts]] = {}
    with tempfile.TemporaryDirectory(prefix="automl-bench-") as folder:
        (Path(folder) / "set").mkdir()
        count = large.write(Path(folder) / "set", chosen.bytes)
        for repeat in range(1, chosen.repeats + 1):
            for framework in chosen.framework or MODELS:
                print(f"{framework}, {repeat} of {chosen.repeats}", file=sys.stderr)
                found = measure(framework, chosen.way or WAYS, Path(folder))
                for way, facts in found.items():
                    measured.setdefault((framework, way), []).append(facts)
    what = f"{count:,} images of 3,072 float32, {chosen.bytes / 1e9:g} GB"
    print(f"{machine()}; {what}; {chosen.repeats} repeats\n\n{table(measured)}")


if __name__ == "__main__":
    main()
