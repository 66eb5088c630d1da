"""A residual network in Keras (https://arxiv.org/abs/1512.03385, section 4.2: three stages for small
images). `trainers.resnet` is the same in Lightning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from trainers import images_keras
from trainers.images_keras import data

__all__ = ["data", "resnet"]

# Precision as in Lightning's `fit.precision`, which Model.fit has no word for.
POLICIES = {"32-true": "float32", "bf16-mixed": "mixed_bfloat16", "16-mixed": "mixed_float16"}


@dataclass(frozen=True)
class _Layers:
    """The layers of the network, all of one precision."""

    policy: str

    def convolution(
        self, x: keras.KerasTensor, width: int, stride: int, kernel: int = 3
    ) -> keras.KerasTensor:
        settings = {"padding": "same", "use_bias": False, "dtype": self.policy}
        x = layers.Conv2D(width, kernel, strides=stride, **settings)(x)
        # torch's momentum of 0.1: with Keras' own, short trainings end before the averages arrive.
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=self.policy)(x)

    def relu(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.ReLU(dtype=self.policy)(x)

    def block(self, x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
        inner = self.relu(self.convolution(x, width, stride))
        inner = self.convolution(inner, width, 1)
        straight = x.shape[-1] == width and stride == 1
        around = x if straight else self.convolution(x, width, stride, 1)
        return self.relu(layers.Add(dtype=self.policy)([inner, around]))


def resnet(
    depth: int = 8,
    width: int = 8,
    optimizer: str = "adamw",
    lr: float = 3e-3,
    weight_decay: float = 1e-4,
    momentum: float = 0.9,
    augment: str = "none",
    precision: str = "32-true",
    decay_steps: int = 0,
    channels: int | None = None,
    classes: int | None = None,
    jit_compile: bool = False,
) -> keras.Model:
    """A compiled network that reports loss, accuracy, val_loss and val_accuracy.

    Args:
        depth: layers: 8, 14, 20, 26 ... (6n + 2).
        width: channels of the first stage; the second has twice, the third four times as many.
        optimizer: `sgd` (with Nesterov momentum) or `adamw`.
        lr: the learning rate at the start.
        weight_decay: of either optimizer.
        momentum: of sgd; adamw does not look at it.
        augment: `none`, or any of shift, flip and cutout joined by `+`.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        decay_steps: training steps over which the learning rate falls to a hundredth in a cosine;
            0 leaves it as it is. (A Keras model does not know how long it will be trained.)
        channels, classes: by default those of the images that were read.
        jit_compile: whether XLA compiles the training step. Off: on one CPU core, in a fresh
            process, compiling makes the first epoch on the digits last 7.5 to 12.5 s in the place
            of 3.1 s, and the later ones are no faster (0.24 to 0.25 s against 0.19 to 0.28 s).
            On a GPU, for long trainings, try it.

    Returns:
        A model from float32 [batch, height, width, channels] to logits [batch, classes].

    Raises:
        ValueError: an argument is none of those that its line above names.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth is {depth}: three stages of equal blocks have 8, 14, 20 ... layers.")
    channels, classes = images_keras.sizes(channels, classes)
    x = inputs = keras.Input((None, None, channels))
    for change in _changes(augment):
        x = change(x)
    outputs = _network(x, depth, width, classes, _Layers(_pick("precision", precision, POLICIES)))
    model = keras.Model(inputs, outputs)
    rate = keras.optimizers.schedules.CosineDecay(lr, decay_steps, alpha=0.01) if decay_steps else lr
    model.compile(
        optimizer=_optimizer(optimizer, rate, weight_decay, momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    return model


def _network(x: keras.KerasTensor, depth: int, width: int, classes: int, use: _Layers) -> keras.KerasTensor:
    x = use.relu(use.convolution(x, width, 1))
    for stage in range(3):
        for position in range((depth - 2) // 6):
            x = use.block(x, width * 2**stage, stride=2 if stage and not position else 1)
    x = layers.GlobalAveragePooling2D(dtype=use.policy)(x)
    # The last layer stays exact: a softmax over rounded logits does not train well.
    return layers.Dense(classes, dtype="float32")(x)


def _optimizer(
    name: str, rate: float | keras.optimizers.schedules.LearningRateSchedule, decay: float, momentum: float
) -> keras.optimizers.Optimizer:
    if _pick("optimizer", name, {"adamw": True, "sgd": False}):
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    return keras.optimizers.SGD(rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay)


def _changes(augment: str) -> list[keras.Layer]:
    """Layers that change training images at random, as `trainers.augment` does in torch."""
    kinds = {
        "shift": lambda: layers.RandomTranslation(
            0.125, 0.125, fill_mode="constant", interpolation="nearest"
        ),
        "flip": lambda: layers.RandomFlip("horizontal"),
        "cutout": lambda: layers.RandomErasing(1.0, scale=0.25, fill_value=0.0, value_range=(0, 1)),
    }
    names = [] if augment == "none" else augment.split("+")
    return [_pick("augment", name, kinds)() for name in names]


def _pick(what: str, name: str, among: Mapping[str, Any]) -> Any:
    if name not in among:
        raise ValueError(f"{what} is {name!r}. Choose from {', '.join(among)}.")
    return among[name]
