"""Ray's job server: where a driver runs that outlives the laptop that sent it. With ray_tune the door to Ray.

What it is told, it keeps and shows to whoever asks: nothing secret is ever part of a job.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from automl.errors import Fault, InputError
from automl.urls import mask_url

# As Ray says it; the others are ends.
LIVES = ("PENDING", "RUNNING")


@dataclass(frozen=True)
class Job:
    """A job as its server knows it.

    Args:
        id: its submission id.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: what the server says of it.
        facts: what it was submitted with.
    """

    id: str
    status: str
    message: str
    facts: Mapping[str, str]

    @property
    def lives(self) -> bool:
        return self.status in LIVES


class Jobs:
    """The job server of a cluster.

    Args:
        address: such as https://HOST:8265.

    Raises:
        InputError: nothing answers there, or not to us.
    """

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient

        self._address = mask_url(address)
        logging.getLogger("ray.dashboard.modules.dashboard_sdk").setLevel(logging.WARNING)
        with self._translated():
            self._client = JobSubmissionClient(address)

    def submit(self, entrypoint: str, id: str, bundle: Path, facts: Mapping[str, str]) -> None:
        """Send a job; it runs on, whatever becomes of this process.

        Args:
            entrypoint: the shell command; its current directory is the unpacked bundle.
            id: of which there may be one only.
            bundle: a zip.
            facts: kept with it.
        """
        with self._translated():
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=id,
                runtime_env={"working_dir": str(bundle)},
                metadata=dict(facts),
            )

    def of(self, search: str) -> list[Job]:
        """All jobs of a search, the oldest first."""
        with self._translated():
            found = [
                each for each in self._client.list_jobs() if (each.metadata or {}).get("search") == search
            ]
        found.sort(key=lambda each: each.start_time or 0)
        return [
            Job(
                str(each.submission_id), str(each.status.value), each.message or "", dict(each.metadata or {})
            )
            for each in found
        ]

    def lives(self, id: str) -> bool:
        """Whether a job has not ended yet."""
        with self._translated():
            return str(self._client.get_job_status(id).value) in LIVES

    def stop(self, id: str) -> None:
        """Have it ended: SIGTERM, and a few seconds later SIGKILL."""
        with self._translated():
            self._client.stop_job(id)

    def log(self, id: str) -> str:
        """What it has written so far."""
        with self._translated():
            return str(self._client.get_job_logs(id))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            mend = "Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's"
            raise InputError(
                Fault("address", f"{self._address} refuses us: {_first(error)}", mend)
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            mend = "Name the dashboard's address, such as https://HOST:8265, and look whether it runs"
            what = f"no job server answers at {self._address}: {_first(error)}"
            raise InputError(Fault("address", what, mend)) from error


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
