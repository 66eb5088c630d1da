"""Runs the benchmarks and writes what they print into RESULTS.md, a section each. `make bench`.

A benchmark is a script of this folder that prints Markdown on stdout and its progress on stderr. Each
section says when, on what machine, with which versions and by which command it was measured, for it may
be measured anew alone: `--only NAME` replaces its own section and leaves the others as they are. One that
fails leaves its section as it was. `--quick` runs small versions to see whether they run; what they print
is no result, so it goes to stdout.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
INTRO = """\
# What was measured

`make bench` writes this page, `make bench ONLY=NAME` one section of it. Where a cell has brackets, it is
the median of the repeats with the lowest and the highest. Seconds belong to the machine that a section
names; compare ratios.
"""
VERSIONS = ("ray", "optuna", "mlflow", "pytorch-lightning", "torch", "keras", "tensorflow", "keras-tuner")


@dataclass(frozen=True)
class Part:
    """One benchmark.

    Args:
        name: of the section, and of the script, without `.py`, as far as the first dash.
        title: the section's heading.
        quick: the options of its small version.
        options: those that it always has.
    """

    name: str
    title: str
    quick: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        return f"{self.name.partition('-')[0]}.py"

    def command(self, quick: bool, more: Sequence[str] = ()) -> list[str]:
        return [f"benchmarks/{self.script}", *self.options, *(self.quick if quick else ()), *more]


PARTS = (
    Part("turnround", "Between two trials of a slot", ("--repeats", "1")),
    Part("start", "From the command to the first step", ("--repeats", "1")),
    Part("scale", "The driver alone, up to 10,000 trials", ("--trials", "200", "--repeats", "1")),
    Part("data", "One data set, several workers", ("--bytes", "50000000")),
    Part("thinning", "What a sampler loses by a selection", ("--trials", "650", "--seeds", "1")),
    *(
        Part(
            f"peers-{workload}-{framework}",
            f"Side by side, {workload} trials, {framework.capitalize()}",
            ("--trials", "4", "--repeats", "1"),
            ("--workload", workload, "--framework", framework),
        )
        for workload in ("short", "medium")
        for framework in ("lightning", "keras")
    ),
)


class Unable(Exception):
    """A benchmark gave no results; the text says why."""


def measure(part: Part, quick: bool, folder: Path = HERE, more: Sequence[str] = ()) -> str:
    """The section of a benchmark, which is run now, with more options perhaps.

    Raises:
        Unable: its script is not there, failed, or printed nothing.
    """
    script = folder / part.script
    if not script.exists():
        raise Unable(f"benchmarks/{part.script} is not there (yet)")
    command = part.command(quick, more)
    begun = dt.datetime.now(dt.UTC)
    done = subprocess.run(
        [sys.executable, str(script), *command[1:]], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode or not done.stdout.strip():
        raise Unable(f"benchmarks/{part.script} exited with {done.returncode} (its messages are above)")
    took_s = (dt.datetime.now(dt.UTC) - begun).total_seconds()
    when = f"{begun:%Y-%m-%d}, in {took_s / 60:.0f} min, by `python {' '.join(command)}`"
    return f"## {part.title}\n\n{when}, on {machine()}.\n\n{done.stdout.strip()}"


def machine() -> str:
    """What it is measured on, and with what."""
    found = [f"{name} {version(name)}" for name in VERSIONS if version(name)]
    cores = f"{os.cpu_count()} cores ({processor()}), {memory_gib():.0f} GiB"
    return f"{cores}, {platform.system()}, Python {platform.python_version()}, {', '.join(found)}"


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's own name, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    )
    return " ".join(found[1].split()) if found else platform.machine()


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def sections_of(page: str) -> dict[str, str]:
    """The sections of a page by their names."""
    return {name: text.strip() for name, text in re.findall(_MARKED, page, re.DOTALL)}


_MARKED = r"<!-- begin ([\w-]+) -->\n(.*?)\n<!-- end \1 -->"


def page_of(sections: Mapping[str, str]) -> str:
    """The whole page, sections in the order of `PARTS`."""
    marked = [
        f"<!-- begin {part.name} -->\n{sections[part.name]}\n<!-- end {part.name} -->"
        for part in PARTS
        if part.name in sections
    ]
    return "\n\n".join([INTRO.strip(), *marked]) + "\n"


def replace_section(file: Path, name: str, section: str) -> None:
    """Write a section into the page, which is written whole or not at all; the others stay."""
    sections = sections_of(file.read_text()) if file.exists() else {}
    partly = file.with_suffix(".part")
    partly.write_text(page_of({**sections, name: section}))
    os.replace(partly, file)


def main(given: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if any of it gave no results."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    several = {"action": "append", "default": []}
    parser.add_argument(
        "--only",
        choices=[*names, "peers"],
        help="several times for several; peers for all of them",
        **several,
    )
    parser.add_argument("--options", default="", help="more options for each script that is run")
    parser.add_argument("--quick", action="store_true", help="small versions, printed and not kept")
    parser.add_argument("--output", type=Path, help="another file than benchmarks/RESULTS.md")
    chosen = parser.parse_args(given)
    unable = False
    for part in PARTS:
        if chosen.only and not {part.name, part.script.removesuffix(".py")} & set(chosen.only):
            continue
        print(f"--- {part.name}", file=sys.stderr, flush=True)
        try:
            section = measure(part, chosen.quick, more=shlex.split(chosen.options))
        except Unable as error:
            unable = True
            print(f"{part.name}: no results: {error}", file=sys.stderr, flush=True)
            continue
        if chosen.quick and chosen.output is None:
            print(section, end="\n\n", flush=True)
        else:
            replace_section(chosen.output or RESULTS, part.name, section)
    return int(unable)


if __name__ == "__main__":
    sys.exit(main())
