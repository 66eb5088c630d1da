"""A plain callable, here with scikit-learn: whatever can report a metric can be searched.

A linear classifier by stochastic gradient descent, on random features that imitate a Gaussian
kernel (Rahimi and Recht, https://papers.nips.cc/paper/3182).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import skops.io
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from trainers import images
from trainers.splits import split


def train(
    trial: Any,
    path: str = "digits",
    epochs: int = 10,
    components: int = 300,
    gamma: float = 0.1,
    loss: str = "hinge",
    lr: float = 2.0,
    alpha: float = 1e-5,
    validation: float = 0.2,
    split_seed: int = 0,
) -> Pipeline:
    """Train one classifier, reporting val_accuracy and train_accuracy after every epoch.

    Args:
        trial: what the search gives: `report`, `seed`, `finished`, `load_checkpoint`,
            `save_checkpoint`, `save_model`.
        path: images; see `trainers.images`.
        epochs: passes over the training images.
        components: how many random features.
        gamma: of the Gaussian kernel; large values see small differences.
        loss: a loss of scikit-learn's SGDClassifier, such as `hinge` or `log_loss`.
        lr: learning rate at the start; it falls with the square root of the steps.
        alpha: weight of the penalty on large coefficients.
        validation, split_seed: see `trainers.splits.split`.

    Returns:
        The fitted pipeline, from float [n, pixels] in [0, 1] to classes; the search keeps it.
    """
    data = images.load(path)
    x = data.x.reshape(len(data.x), -1)
    train, held = split(data.y, validation, split_seed)
    features = RBFSampler(gamma=gamma, n_components=components, random_state=trial.seed).fit(x[train])
    shown, hidden = features.transform(x[train]), features.transform(x[held])
    first, classifier = _resumed(trial) or (
        1,
        SGDClassifier(loss=loss, alpha=alpha, learning_rate="invscaling", eta0=lr, power_t=0.5),
    )
    for epoch in range(first, epochs + 1):
        # A seed of each epoch's own: a resumed trial goes through the images in the same order.
        classifier.set_params(random_state=trial.seed % 2**31 + epoch)
        classifier.partial_fit(shown, data.y[train], classes=range(data.classes))
        _save(trial, epoch, classifier)
        trial.report(
            {
                "val_accuracy": classifier.score(hidden, data.y[held]),
                "train_accuracy": classifier.score(shown, data.y[train]),
            },
            step=epoch,
        )
        if trial.finished:  # the search's target is reached: this is the model
            break
    model = make_pipeline(features, classifier)
    trial.save_model(model, example=x[held][:4])
    return model


def _save(trial: Any, epoch: int, classifier: SGDClassifier) -> None:
    """skops writes scikit-learn's estimators without pickles."""
    with tempfile.TemporaryDirectory() as folder:
        skops.io.dump({"epoch": epoch, "classifier": classifier}, Path(folder) / "state.skops")
        trial.save_checkpoint(folder, step=epoch)


def _resumed(trial: Any) -> tuple[int, SGDClassifier] | None:
    """The next epoch and the classifier so far, where an earlier attempt left a checkpoint."""
    folder = trial.load_checkpoint()
    if folder is None:
        return None
    state = skops.io.load(Path(folder) / "state.skops")
    return state["epoch"] + 1, state["classifier"]
