"""Labelled images from one path, in numpy alone: both frameworks train on the same arrays.

`path` may be
- nothing, or `digits`: the 1,797 digits of 8 x 8 pixels that come with scikit-learn;
- an `.npz` file with `x` and `y`, `images` and `labels`, or `x_train` and `y_train`;
- IDX files, as MNIST is published, gzipped or not: the folder, or the images' file in it.

A relative path starts at the project's root, the folder that holds `trainers/`. A test set in the
same file or folder (`x_test`, `t10k-...`) is left alone: it is for judging the winner, once.

A set is read and scaled once on a node; all trials there share it (`automl.prepared`).
"""

from __future__ import annotations

import gzip
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import automl

ROOT = Path(__file__).resolve().parents[1]
PAIRS = (("x_train", "y_train"), ("train_images", "train_labels"), ("x", "y"), ("images", "labels"))
IDX_DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


@dataclass(frozen=True)
class Images:
    """A labelled set.

    Args:
        x: float32 [n, channels, height, width] in [0, 1].
        y: int64 [n], from 0 to `classes` - 1.
        names: the label of each class as it stood in the data.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]

    @property
    def classes(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.x.shape[1:]
        return channels, height, width


def load(path: str | None = None) -> Images:
    """Read a set of labelled images.

    Args:
        path: see the top of this file.

    Returns:
        The set, pixels scaled to [0, 1] and labels numbered from 0.

    Raises:
        FileNotFoundError: nothing is at `path`.
        ValueError: what is there is not a set of labelled images.
    """
    return Images(*read(*source(path)))


def source(path: str | None) -> tuple[str, tuple[str, ...]]:
    """What `path` means: a name for messages, and the files to read; none for the digits."""
    if path is None or path == "digits":
        return "digits", ()
    file = ROOT / Path(path).expanduser()
    if not file.exists():
        raise FileNotFoundError(
            f"{file}: no such file or folder. Give an .npz file or a folder of IDX files."
        )
    files = [file] if file.suffix == ".npz" else _idx_pair(file)
    return str(file), tuple(str(each) for each in files)


@automl.prepared
def read(where: str, files: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The fields of `Images`, read from what `source` found."""
    if not files:
        raw = _digits()
    elif len(files) == 1:
        raw = _read_npz(Path(files[0]))
    else:
        raw = read_idx(Path(files[0])), read_idx(Path(files[1]))
    return _labelled(where, *raw)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images, bunch.target


def _read_npz(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first pair of known names in the archive; Python objects in it are never unpickled."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            for x, y in PAIRS:
                if x in archive and y in archive:
                    return archive[x], archive[y]
            names = ", ".join(archive.files) or "nothing"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: {error}. Write it with numpy.savez(file, x=..., y=...).") from error
    raise ValueError(f"{file}: it holds {names}. Name the arrays x and y (or images and labels).")


def _idx_pair(place: Path) -> list[Path]:
    images = _find_images(place) if place.is_dir() else place
    return [images, _labels_beside(images)]


def _find_images(folder: Path) -> Path:
    """The images' file of a folder, the training set's where it holds several."""
    found = sorted(file for file in folder.iterdir() if "images" in file.name and "idx3" in file.name)
    found += sorted(file for file in folder.iterdir() if "images" in file.name and "idx4" in file.name)
    if not found:
        raise ValueError(f"{folder}: no IDX images in it. Name them like images-idx3-ubyte.gz.")
    return next((file for file in found if file.name.startswith("train")), found[0])


def _labels_beside(images: Path) -> Path:
    """train-images-idx3-ubyte.gz stands beside train-labels-idx1-ubyte.gz, gzipped or not."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    plain = name.removesuffix(".gz")
    for candidate in (plain, plain + ".gz"):
        file = images.with_name(candidate)
        if candidate != images.name and file.exists():
            return file
    raise FileNotFoundError(f"{images}: no labels beside it. Put them into {images.with_name(name)}.")


def read_idx(file: Path) -> np.ndarray:
    """Read one IDX file, gzipped or not: big-endian sizes, then the values.

    The format is described at the foot of http://yann.lecun.com/exdb/mnist/.

    Raises:
        ValueError: the file is no IDX file, or shorter than its header says.
    """
    raw = _bytes(file)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_DTYPES:
        raise ValueError(f"{file}: not an IDX file. Give an .npz file or IDX files such as MNIST's.")
    start = 4 + 4 * raw[3]
    shape = tuple(int(size) for size in np.frombuffer(raw[4:start], dtype=">u4"))
    dtype = np.dtype(IDX_DTYPES[raw[2]])
    wanted = math.prod(shape) * dtype.itemsize
    if len(shape) != raw[3] or len(raw) - start != wanted:
        raise ValueError(
            f"{file}: its header promises {wanted} bytes of values, it holds {max(0, len(raw) - start)}. "
            "Fetch the file again."
        )
    return np.frombuffer(raw[start:], dtype=dtype).reshape(shape)


def _bytes(file: Path) -> bytes:
    raw = file.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError) as error:
        raise ValueError(f"{file}: broken gzip ({error}). Fetch the file again.") from error


def _labelled(where: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    x, y = _channels_first(where, np.asarray(x)), np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(y) != len(x):
        raise ValueError(f"{where}: {len(x)} images, labels {list(y.shape)}. Give one label per image.")
    names, numbered = np.unique(y, return_inverse=True)
    if len(names) < 2 or (y.dtype.kind == "f" and not np.array_equal(y, np.round(y))):
        raise ValueError(f"{where}: labels {names[:5].tolist()}. Give whole numbers or names, two at least.")
    return _scaled(where, x), numbered.astype(np.int64), tuple(str(name) for name in names.tolist())


def _channels_first(where: str, x: np.ndarray) -> np.ndarray:
    """[n, h, w], [n, h, w, c] or [n, c, h, w], with 1, 3 or 4 channels, to [n, c, h, w]."""
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[3] in (1, 3, 4):
        return x.transpose(0, 3, 1, 2)
    if x.ndim == 4 and x.shape[1] in (1, 3, 4):
        return x
    raise ValueError(
        f"{where}: images of shape {list(x.shape)}. Give [n, height, width] or [n, height, width, channels]."
    )


def _scaled(where: str, x: np.ndarray[Any, Any]) -> np.ndarray:
    """To [0, 1]: by the largest value of the set, since digits end at 16 and photographs at 255."""
    if x.dtype.kind not in "buif":
        raise ValueError(f"{where}: pixels of type {x.dtype}. Give numbers, such as uint8.")
    pixels = x.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError(f"{where}: some pixels are NaN or infinite. Replace them by numbers.")
    low, high = min(0.0, float(pixels.min())), max(1.0, float(pixels.max()))
    return np.ascontiguousarray((pixels - low) / (high - low))
