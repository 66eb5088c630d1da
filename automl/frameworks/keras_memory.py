"""GPU memory under Keras: as TensorFlow counts it, or torch where that is the backend. Knows no trial."""

from __future__ import annotations

import keras

from automl import gpu_memory


def hold(gpus: float) -> None:
    """Before TensorFlow's first operation: keep this process within its share of each device.

    Without a share, or where nvidia-smi does not say what a device has, memory grows as it is needed.
    With one it grows too, by the environment that a worker is given, up to the limit.
    """
    if keras.backend.backend() == "torch":
        from automl.frameworks import torch_memory

        torch_memory.hold(gpus)
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    limits = gpu_memory.limits_bytes(gpu_memory.visible()[: len(devices)], gpus)
    for device, limit in zip(devices, limits, strict=True):
        if limit is None:
            tf.config.experimental.set_memory_growth(device, True)
        else:
            limited = tf.config.LogicalDeviceConfiguration(memory_limit=limit // gpu_memory.MIB)
            tf.config.set_logical_device_configuration(device, [limited])


def held_bytes() -> int:
    """What this process holds of all its GPUs."""
    if keras.backend.backend() != "tensorflow":
        return 0
    import tensorflow as tf

    count = len(tf.config.list_logical_devices("GPU"))
    return sum(tf.config.experimental.get_memory_info(f"GPU:{n}")["current"] for n in range(count))


def begin() -> None:
    """From here on the peak is the next trial's."""
    if keras.backend.backend() == "torch":
        from automl.frameworks import torch_memory

        torch_memory.begin()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for n in range(len(tf.config.list_logical_devices("GPU"))):
            tf.config.experimental.reset_memory_stats(f"GPU:{n}")


def use() -> gpu_memory.Use | None:
    """What the trial has had of its one GPU; None without one, with several, or where it is unknown."""
    if keras.backend.backend() == "torch":
        from automl.frameworks import torch_memory

        return torch_memory.use()
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if len(tf.config.list_logical_devices("GPU")) != 1:
        return None
    total = gpu_memory.total_bytes(gpu_memory.visible()[0])
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    # TensorFlow gives nothing back: beside the peak is what the process holds beyond it.
    return None if total is None else gpu_memory.Use(peak, peak, total)
