"""The pages are true: what they name exists, what exists is named, and their commands run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand

import automl
from automl.cli import app
from automl.plain import KEYS
from automl.policies import PRUNER_ARGUMENTS, SAMPLER_ARGUMENTS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "infra/README.md", "SECURITY.md")
VERBS: dict[str, TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language. `bash` ones are run here, `sh` ones only shown."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The README's commands, without those that would install or test everything."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("automl ")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project to run the page's commands in."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("trainers", "search_spaces"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def call(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command as a user of the virtual environment would, without their variables."""
    mine = ("AUTOML_", "MLFLOW_", "RAY_")
    kept = ("AUTOML_DATA",)  # what the page's searches prepare is not kept among the user's own
    environment = {
        name: value for name, value in os.environ.items() if name in kept or not name.startswith(mine)
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


# --- commands -----------------------------------------------------------------------------------


def test_the_commands_of_the_readme_run(project: Path) -> None:
    assert len(commands()) >= 9
    for command in commands():
        done = call(command, project)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_python_of_the_readme_runs(project: Path) -> None:
    program = next(block for block in blocks("python") if "automl.run" in block)
    (project / "readme.py").write_text(program)
    done = call("python readme.py", project)
    assert done.returncode == 0, done.stderr
    assert "val_accuracy" in done.stdout


def test_the_promised_fault_is_found(project: Path) -> None:
    command = "automl check search_spaces/function.yaml --set space.model.gama=3"
    assert command in README
    done = call(command, project)
    assert done.returncode == 2
    assert "gamma" in done.stdout


def test_every_search_file_passes_the_check(project: Path) -> None:
    files = sorted(f"search_spaces/{path.name}" for path in (ROOT / "search_spaces").glob("*.yaml"))
    with ThreadPoolExecutor(2) as pool:
        checked = pool.map(lambda file: call(f"automl check {file}", project), files)
    faulty = [done.stdout + done.stderr for done in checked if done.returncode]
    assert faulty == []
    assert [file for file in files if file not in README] == []


# --- what the pages name --------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_in_the_readme(verb: str) -> None:
    row = next((line for line in README.splitlines() if line.startswith(f"| `automl {verb}")), "")
    options = [name for each in VERBS[verb].params for name in each.opts if name.startswith("--")]
    assert row, f"the README has no row for {verb}"
    assert [name for name in options if name not in row] == []


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_file_is_in_the_readme(key: str) -> None:
    assert any(line.startswith("| `") and f"`{key}`" in line.split(" | ")[0] for line in README.splitlines())


@pytest.mark.parametrize("table", [SAMPLER_ARGUMENTS, PRUNER_ARGUMENTS], ids=["sampler", "pruner"])
def test_every_policy_is_in_the_readme_with_its_arguments(table: Mapping[str, Mapping[str, str]]) -> None:
    every = [line for line in README.splitlines() if line.startswith("| `")]
    for name, arguments in table.items():
        wanted = [f"`{argument}`" for argument in arguments]
        assert any(
            line.startswith(f"| `{name}` |") and all(word in line for word in wanted) for line in every
        ), f"{name} takes {', '.join(arguments)}"


@pytest.mark.parametrize("name", automl.__all__)
def test_every_name_of_the_door_is_documented(name: str) -> None:
    value = getattr(automl, name)
    assert value.__doc__
    assert f"automl.{name}" in README or name in ("Result", "BestTrial")


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_that_a_page_names_are_there(page: str) -> None:
    text, folder = (ROOT / page).read_text(), (ROOT / page).parent
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []
    named = re.findall(
        r"\b(?:tests|search_spaces|trainers|infra|benchmarks)/[\w/]+\.(?:py|yaml|sh|md)\b", text
    )
    new = "my-project/"  # what `automl init` makes on the page
    assert [path for path in named if not (ROOT / path).exists() and new + path not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_a_page_names_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / page).read_text(), flags=re.MULTILINE))
    assert named <= targets


def test_the_changelog_knows_this_version() -> None:
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert latest and latest[1] == automl.__version__


# --- the two commands on a fresh machine ----------------------------------------------------------

TOOLS = ("sh", "dirname", "make", "git", "expr", "python3")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """A folder that stands for PATH, with links to the tools that preflight may use."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = sys.executable if tool == "python3" else shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    yield folder


def preflight(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(machine / "sh"), str(ROOT / "infra/preflight.sh"), *arguments],
        env={"PATH": str(machine)},
        capture_output=True,
        text=True,
        check=False,
    )


def pretend(machine: Path, script: str) -> None:
    """Put another python3 on the machine."""
    (machine / "python3").unlink()
    (machine / "python3").write_text(f"#!/bin/sh\n{script}\n")
    (machine / "python3").chmod(0o755)


def test_a_machine_with_everything_passes_in_silence(machine: Path) -> None:
    done = preflight(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "tool, mend", [("git", "apt-get install git"), ("python3", "apt-get install python3")]
)
def test_a_missing_tool_is_named_with_what_brings_it(machine: Path, tool: str, mend: str) -> None:
    (machine / tool).unlink()
    done = preflight(machine)
    assert done.returncode == 1
    assert f"{tool} is missing" in done.stderr and mend in done.stderr


def test_a_missing_venv_module_is_named_with_what_brings_it(machine: Path) -> None:
    pretend(machine, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    done = preflight(machine)
    assert done.returncode == 1
    assert "venv" in done.stderr and "apt-get install python3" in done.stderr


def test_a_python_that_is_too_old_or_too_new_is_named(machine: Path) -> None:
    pretend(machine, 'case "$1" in --version) echo "Python 3.10.1";; *) exit 1;; esac')
    done = preflight(machine)
    assert done.returncode == 1
    assert "Python 3.10.1" in done.stderr and "make PYTHON=" in done.stderr


def test_everything_missing_is_said_at_once(machine: Path) -> None:
    (machine / "git").unlink()
    pretend(machine, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    done = preflight(machine)
    assert "git" in done.stderr and "venv" in done.stderr


def test_an_interrupted_install_is_taken_up_again() -> None:
    # Under `make test` this make would take itself for a part of that one.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", "-B", "install"]
    planned = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    steps = [line for line in planned.stdout.splitlines() if line.strip()]
    assert "preflight.sh" in steps[0]
    assert steps[-1] == "touch .venv/.ready"
