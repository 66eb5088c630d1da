"""Whole searches whose storage is a bucket, against a real S3 server: no trial lies on this disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import boto3
import numpy as np

import automl
from automl import storage
from automl.events import State
from automl.fsck import fsck
from automl.run import Silent, run
from automl.search import Budget, Trainer
from automl.storage import TrialFolder
from tests.test_engines import a_search


def keys(place: str) -> list[str]:
    """What is in the bucket, as another client sees it."""
    bucket = place.split("/")[2]
    return [each["Key"] for each in boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def drop(place: str, key: str) -> None:
    boto3.client("s3").delete_object(Bucket=place.split("/")[2], Key=key)


def test_the_winner_comes_back_from_the_bucket(s3: str, root: Path) -> None:
    fits = Trainer("function", "trainers.probe_function:fits")
    space = {"model.c": automl.Float(0.1, 2.0)}
    done = automl.run(a_search(trials=3, trainer=fits, space=space, storage=s3), "local", view=Silent())
    assert done.best.load().predict(np.ones((1, 4))) == [True]
    assert not list(root.glob("runs/*/trials"))
    logs = [f"runs/tiny/trials/{number}/log.txt" for number in range(3)]
    assert set(logs) <= set(keys(s3))


def test_a_stopped_search_goes_on_from_the_bucket(s3: str, root: Path) -> None:
    constants = {"model.steps": 12, "model.sleep": 0.3}
    first = run(a_search("resumes", budget=Budget(trials=1, time=2.0), storage=s3, **constants), "local")
    waiting = first.history.of_state(State.WAITING)
    assert waiting and any("/checkpoint-" in key for key in keys(s3))
    second = run(a_search("resumes", trials=1, storage=s3, **constants), "local")
    trial = second.history.trials[0]
    assert trial.state is State.COMPLETE and trial.reports[-1].metrics["first"] > 1
    assert [report.step for report in trial.reports] == list(range(1, 13))


def test_fsck_reads_the_bucket_and_mends_it(s3: str, root: Path) -> None:
    fits = Trainer("function", "trainers.probe_function:fits")
    run(a_search(trials=2, trainer=fits, space={"model.c": automl.Float(0.1, 2.0)}, storage=s3), "local")
    assert fsck("tiny", deep=True).differences == []
    TrialFolder(s3, "tiny", 7, root / "scratch").put("weights", 1, lambda folder: (folder / "w").touch())
    [orphan] = fsck("tiny").differences
    assert "trial that is not in the ledger" in orphan.what
    assert fsck("tiny", repair=True).differences == []
    assert not [key for key in keys(s3) if "/trials/7/" in key]
    drop(s3, next(key for key in keys(s3) if "/weights-" in key and not key.endswith("MANIFEST.json")))
    [lost] = fsck("tiny").differences
    assert "weights" in lost.what


def test_what_another_process_removed_is_not_remembered(s3: str, tmp_path: Path) -> None:
    folder = TrialFolder(s3, "tiny", 0, tmp_path)
    written = folder.put("checkpoint", 1, lambda into: (into / "step.txt").write_text("1"))
    assert storage.folders(folder.url, "checkpoint") == [written] and list(storage.held(s3, "tiny"))
    drop(s3, next(key for key in keys(s3) if key.endswith("MANIFEST.json")))
    assert storage.folders(folder.url, "checkpoint") == []


def test_a_bucket_that_is_not_there_is_a_fault_without_secrets(s3: str, root: Path) -> None:
    faults = automl.check(a_search(storage="s3://nobody-has-this/runs"))
    assert [fault.where for fault in faults] == ["storage"]
    assert "cannot be written" in faults[0].what
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(faults[0])


def test_s3_without_its_package_says_how_to_get_it(s3: str, root: Path) -> None:
    hidden = "import sys; sys.modules['s3fs'] = None; import automl.__main__ as m; m.main()"
    words = ["check", "search_spaces/quadratic.yaml", "--set", f"storage={s3}"]
    said = subprocess.run([sys.executable, "-c", hidden, *words], capture_output=True, text=True, check=False)
    assert said.returncode == 2 and "automl[s3]" in said.stdout and "Traceback" not in said.stderr
