"""What of a project travels to a cluster, and what never does."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from automl import bundle


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project of a few files."""
    root = tmp_path / "project"
    for name in (
        "trainers/net.py",
        "trainers/__init__.py",
        "search_spaces/one.yaml",
        "data/big.bin",
        "notes.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n")
    return root


def names(root: Path) -> list[str]:
    return [each.as_posix() for each in bundle.files(root)]


def test_what_a_search_leaves_behind_stays_behind(place: Path) -> None:
    for name in (
        "runs/one/trials/0/log",
        "automl.db",
        "mlflow.db-wal",
        ".git/config",
        "trainers/__pycache__/n.pyc",
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    (place / "trainers" / "runs").mkdir()
    (place / "trainers" / "runs" / "mine.py").touch()  # only a search's own folder is left
    assert names(place) == [
        "data/big.bin",
        "notes.txt",
        "search_spaces/one.yaml",
        "trainers/__init__.py",
        "trainers/net.py",
        "trainers/runs/mine.py",
    ]


def test_gitignore_is_obeyed_as_git_does_wherever_it_lies(place: Path) -> None:
    (place / ".gitignore").write_text("data/\n*.txt\n!notes.txt\n")
    (place / "trainers" / ".gitignore").write_text("/scratch/\n*.tmp\n!kept.tmp\n")
    for name in ("other.txt", "trainers/scratch/a.py", "trainers/a.tmp", "trainers/kept.tmp", "a.tmp"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    git = ["git", "-C", str(place)]
    subprocess.run([*git, "init", "-q"], check=True)
    said = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    assert names(place) == sorted(said.stdout.split())
    assert "data/big.bin" not in names(place)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (".env", "A=1", "a secret by its name"),
        ("keys/id_ed25519", "", "a secret by its name"),
        ("trainers/net.pem", "", "a secret by its name"),
        ("trainers/keys.py", "K = '''-----BEGIN RSA " + "PRIVATE KEY-----'''", "a private key"),
        ("conf.toml", "id = 'AKIA" + "ABCDEFGHIJKLMNOP'", "an AWS access key"),
        ("search_spaces/two.yaml", "ledger: postgresql://me:hunter2" + "@db/automl", "a URL with a password"),
    ],
)
def test_a_secret_is_refused_by_name(place: Path, name: str, text: str, what: str) -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
    found = bundle.faults(place, bundle.files(place))
    assert [(fault.where, fault.what) for fault in found] == [(name, f"is {what}, and would be sent")]
    (place / ".gitignore").write_text(name)
    assert bundle.faults(place, bundle.files(place)) == []


def test_examples_and_public_keys_are_no_secrets(place: Path) -> None:
    (place / ".env.example").write_text("PASSWORD=change-me")
    (place / "id_rsa.pub").write_text("ssh-rsa AAAA")
    (place / "readme.md").write_text("postgresql://me:password" + "@db/automl")
    (place / "conf.yaml").write_text("postgresql://me@db/automl, postgresql://me:$PASSWORD" + "@db/automl")
    assert bundle.faults(place, bundle.files(place)) == []


def test_files_that_are_too_large_are_refused_by_name_all_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bin", "b.bin"):
        os.truncate(os.open(place / name, os.O_CREAT | os.O_WRONLY), bundle.FILE_BYTES + 1)
    found = bundle.faults(place, bundle.files(place))
    assert [fault.where for fault in found] == ["a.bin", "b.bin"]
    assert "10.0 MiB" in found[0].what
    monkeypatch.setattr(bundle, "FILE_BYTES", 1 << 40)
    monkeypatch.setattr(bundle, "TOTAL_BYTES", bundle.MIB)
    assert [fault.where for fault in bundle.faults(place, bundle.files(place))] == ["project"]


def test_the_same_files_are_the_same_bundle_and_no_other(place: Path, tmp_path: Path) -> None:
    (place / "run.sh").touch(0o755)
    first = bundle.pack(place, bundle.files(place), tmp_path / "1.zip")
    os.utime(place / "notes.txt", (0, 0))
    again = bundle.pack(place, bundle.files(place), tmp_path / "2.zip")
    assert again.digest == first.digest
    assert again.path.read_bytes() == first.path.read_bytes()
    with zipfile.ZipFile(first.path) as archive:
        assert archive.namelist() == names(place)
        assert archive.getinfo("run.sh").external_attr >> 16 == 0o755
    (place / "trainers" / "net.py").write_text("# changed\n")
    assert bundle.pack(place, bundle.files(place), tmp_path / "3.zip").digest != first.digest
