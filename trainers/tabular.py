"""A perceptron on a table, in Lightning: classification or regression.

The network gets the table's numbers as they are (see `trainers.table`). What it must know of the
table, its sizes and the statistics of the training rows, it takes from the data module and keeps in
buffers: parameters and state dict alone rebuild the same network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from trainers import batches, table
from trainers.batches import Batch, Tensors


class TableData(pl.LightningDataModule):
    """Batches (x, y): float32 [batch, columns], int64 [batch] or, in regression, float32 [batch].

    Args:
        path: `breast_cancer`, `iris`, `wine`, `diabetes`, or a CSV or Parquet file.
        target: the column to predict, by name or by index; -1 is the last one.
        header: whether a CSV file's first row holds the names of the columns.
        task: `classification`, `regression`, or `auto`, which looks at the target.
        batch_size: rows a training step.
        validation: share held out for validation.
        split_seed: the same for all trials, so that they are judged on the same rows.
        num_workers: loader processes; 0 is fastest for a table in memory.
        pin_memory: speeds up the copy to a GPU; by default where there is one.
    """

    def __init__(
        self,
        path: str = "breast_cancer",
        target: str | int = -1,
        header: bool = True,
        task: str = "auto",
        batch_size: int = 32,
        validation: float = 0.2,
        split_seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        self.source = (path, target, header, task, validation, split_seed)
        self.batch_size = batch_size
        self.num_workers, self.pin_memory = num_workers, pin_memory

    def setup(self, stage: str | None = None) -> None:
        self.table, train, held = table.load(*self.source)
        x, y = torch.from_numpy(self.table.x), torch.from_numpy(self.table.y)
        self.train, self.held = Tensors(x, y, train), Tensors(x, y, held)

    def train_dataloader(self) -> DataLoader[Batch]:
        return batches.training(self.train, self.batch_size, self.num_workers, self.pin_memory)

    def val_dataloader(self) -> DataLoader[Batch]:
        return batches.validation(self.held, self.batch_size, self.num_workers, self.pin_memory)


class TableNet(pl.LightningModule):
    """Reports train_loss and val_loss; val_accuracy in classification; val_rmse and val_r2 in
    regression. The loss of a regression is the squared error in standard deviations of the target.

    Args:
        hidden: width of every hidden layer.
        layers: how many hidden layers.
        dropout: share of activations dropped after each hidden layer.
        embedding: the most numbers that a category becomes.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
    """

    codes: Tensor  # int64 [columns]: codes of a category, 0 for a quantity
    classes: Tensor  # int64 []: 0 in regression
    mean: Tensor  # float32 [columns]: of the training rows
    std: Tensor  # float32 [columns]
    holed: Tensor  # bool [columns]: quantities with missing cells among the training rows
    center: Tensor  # float32 []: the target's mean in regression
    scale: Tensor  # float32 []: its standard deviation

    def __init__(
        self,
        hidden: int = 64,
        layers: int = 2,
        dropout: float = 0.0,
        embedding: int = 8,
        lr: float = 3e-3,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__()
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        self.embedding, self.lr, self.weight_decay = embedding, lr, weight_decay
        self.net: nn.Module | None = None
        self.sums = torch.zeros(4)

    def configure_model(self) -> None:
        """Lightning calls this when the data module has been set up, possibly more than once."""
        # Lightning's load_from_checkpoint calls it too, without a trainer: then the weights tell.
        if self.net is None and self._trainer is not None:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            self._build(statistics(data.table, data.train))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if self.net is None:
            self._build({name: state_dict[name] for name in STATISTICS})
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _build(self, known: Mapping[str, Tensor]) -> None:
        for name in STATISTICS:
            self.register_buffer(name, known[name].clone())
        # As plain values, because an exported graph cannot branch on what a tensor holds.
        self.regression = int(self.classes) == 0
        self.quantities = (self.codes == 0).nonzero()[:, 0].tolist()
        self.holes = self.holed.nonzero()[:, 0].tolist()
        self.categories = self.codes.nonzero()[:, 0].tolist()
        self.counts = [int(self.codes[column]) for column in self.categories]
        widths = [min(self.embedding, count) for count in self.counts]
        self.embeddings = nn.ModuleList(map(nn.Embedding, self.counts, widths))
        features = len(self.quantities) + len(self.holes)
        self.net = self._layers(features + sum(widths))

    def _layers(self, features: int) -> nn.Module:
        steps: list[nn.Module] = []
        for _ in range(self.layers):
            steps += [nn.Linear(features, self.hidden), nn.ReLU(), nn.Dropout(self.dropout)]
            features = self.hidden
        return nn.Sequential(*steps, nn.Linear(features, int(self.classes) or 1))

    def forward(self, x: Tensor) -> Tensor:
        """`x`: float32 [batch, columns] to logits [batch, classes], or, in regression, to the
        target in its own unit, [batch]."""
        assert self.net is not None, "configure_model() or load_state_dict() comes first"
        outputs = self.net(self._features(x))
        return outputs[:, 0] * self.scale + self.center if self.regression else outputs

    def _features(self, x: Tensor) -> Tensor:
        """Quantities standardised, missing ones at their mean; marks of what is missing;
        categories embedded."""
        quantities = ((x - self.mean) / self.std)[:, self.quantities].nan_to_num(0.0)
        parts = [quantities, x[:, self.holes].isnan().to(x.dtype)]
        for column, count, embedding in zip(self.categories, self.counts, self.embeddings, strict=True):
            code = x[:, column].nan_to_num(table.ABSENT).long()
            known = (code >= 0) & (code < count)
            parts.append(embedding(torch.where(known, code, table.UNSEEN)))
        return torch.cat(parts, dim=1)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        if self.regression:
            return functional.mse_loss(self._standardised(outputs), self._standardised(y))
        return functional.cross_entropy(outputs, y)

    def _standardised(self, target: Tensor) -> Tensor:
        return (target - self.center) / self.scale

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        x, y = batch
        loss = self.loss(self(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(y))
        return loss

    def on_validation_epoch_start(self) -> None:
        self.sums = torch.zeros(4, device=self.device)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        x, y = batch
        outputs = self(x)
        metrics = {"val_loss": self.loss(outputs, y)}
        if self.regression:
            self.sums += _sums(self._standardised(outputs), self._standardised(y))
        else:
            metrics["val_accuracy"] = (outputs.argmax(1) == y).float().mean()
        # sync_dist: with several GPUs each rank sees a part of the rows.
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(y), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """RMSE and R² are no means over batches: they come from the sums over all rows."""
        if not self.regression:
            return
        gathered: Any = self.all_gather(self.sums)
        count, error, total, squares = gathered.reshape(-1, 4).sum(0)
        spread = (squares - total**2 / count).clamp(min=1e-12)
        self.log("val_rmse", (error / count).sqrt() * self.scale)
        self.log("val_r2", 1 - error / spread)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)


STATISTICS = ("codes", "classes", "mean", "std", "holed", "center", "scale")


def statistics(found: table.Table, train: Tensors) -> dict[str, Tensor]:
    """What a network must know of a table: the buffers of `TableNet`, from the training rows."""
    x, y, codes = train.x.double(), train.y.double(), torch.tensor(found.codes)
    mean = x.nanmean(0).nan_to_num(0.0)
    std = (x - mean).square().nanmean(0).nan_to_num(0.0).sqrt()
    regression = not found.classes
    return {
        "codes": codes,
        "classes": torch.tensor(len(found.classes)),
        "mean": mean.float(),
        "std": torch.where(std > 0, std, 1.0).float(),
        "holed": x.isnan().any(0) & (codes == 0),
        "center": (y.mean() if regression else torch.tensor(0.0)).float(),
        "scale": (y.std().clamp(min=1e-6) if regression else torch.tensor(1.0)).float(),
    }


def _sums(outputs: Tensor, y: Tensor) -> Tensor:
    """Count, squared error, sum and sum of squares of the target: float32 [4]."""
    count = torch.tensor(len(y), device=y.device)
    return torch.stack([count, (outputs - y).square().sum(), y.sum(), y.square().sum()])
