"""How the peers train the shared models: what one writes by hand where automl is not there."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from contenders.base import SEED, Workload


def fit_lightning(workload: Workload, params: Mapping[str, Any], callbacks: Sequence[Any]) -> float:
    """Train; the last validation accuracy. Logger, checkpoints and progress bar are off, as automl's are."""
    import pytorch_lightning as pl
    from trainers.peers_lightning import Data, Net

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    pl.seed_everything(SEED, workers=True, verbose=False)
    trainer = pl.Trainer(
        max_epochs=workload.epochs,
        accelerator="cpu",
        devices=1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Net(width=workload.width, **params), datamodule=Data(workload.copies))
    return float(trainer.callback_metrics["val_accuracy"])


def fit_keras(workload: Workload, params: Mapping[str, Any], callbacks: Sequence[Any]) -> float:
    """Train; the last validation accuracy. The session is cleared first, as Keras advises for searches."""
    import keras
    from trainers.peers_keras import BATCH, build, data

    keras.utils.clear_session()
    keras.utils.set_random_seed(SEED)
    (x, y), validation = data(workload.copies)
    history = build(width=workload.width, **params).fit(
        x,
        y,
        batch_size=BATCH,
        epochs=workload.epochs,
        validation_data=validation,
        verbose=0,
        callbacks=list(callbacks),
    )
    return float(history.history["val_accuracy"][-1])
