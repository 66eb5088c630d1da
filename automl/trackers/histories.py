"""All points of one metric over many runs, in a few requests. With flavors the place of MLflow's own words.

The client's `get_metric_history` takes one run at a time. A database's store takes many; a server
has the same behind the request that its own charts make. Where neither is there, it is one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.utils.rest_utils import http_request

# A server takes 100 runs a request, and cuts its answer after 25,000 points without a word.
RUNS_MOST, POINTS_MOST = 100, 25_000
_PLACE = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

# By run: (step, value) in the order of their times.
Points = dict[str, list[tuple[int, float]]]


class Histories:
    """Metric histories of a tracking server or database.

    Args:
        client: asked where there is no better way.
        uri: the same server's.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self._client, self._store = client, _get_store(uri)
        self._one_by_one = False

    def of(self, key: str, expected: Mapping[str, int]) -> Points:
        """The points of a metric.

        Args:
            key: the metric's name.
            expected: the runs, and about how many points each should have.
        """
        found: Points = defaultdict(list)
        for batch in _batches(expected):
            self._collect(key, batch, found)
        return found

    def _collect(self, key: str, batch: Sequence[str], found: Points) -> None:
        points = None if self._one_by_one else self._many(key, batch)
        if points is not None and len(points) >= POINTS_MOST and len(batch) > 1:
            half = len(batch) // 2
            self._collect(key, batch[:half], found)
            self._collect(key, batch[half:], found)
        elif points is None or len(points) >= POINTS_MOST:
            for run_id in batch:
                history = self._client.get_metric_history(run_id, key)
                found[run_id] = [(point.step, point.value) for point in history]
        else:
            for point in points:
                found[point["run_id"]].append((int(point["step"]), float(point["value"])))

    def _many(self, key: str, batch: Sequence[str]) -> list[dict[str, Any]] | None:
        """The points of up to a hundred runs; None where this server cannot say."""
        if hasattr(self._store, "get_metric_history_bulk"):
            return [p.to_dict() for p in self._store.get_metric_history_bulk(batch, key, POINTS_MOST)]
        params = {"run_id": list(batch), "metric_key": key, "max_results": POINTS_MOST}
        try:
            answer = http_request(self._store.get_host_creds(), _PLACE, "GET", params=params)
            if answer.status_code == 200:
                return list(answer.json()["metrics"])
        except (AttributeError, KeyError, ValueError, MlflowException):
            pass
        self._one_by_one = True
        return None


def _batches(expected: Mapping[str, int]) -> list[list[str]]:
    """Runs that one request answers whole, with room for points that should not be there."""
    batches: list[list[str]] = [[]]
    points = 0
    for run_id, count in expected.items():
        if len(batches[-1]) >= RUNS_MOST or points + 2 * count > POINTS_MOST:
            batches.append([])
            points = 0
        batches[-1].append(run_id)
        points += 2 * count
    return [batch for batch in batches if batch]
