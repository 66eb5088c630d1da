"""Images as people have them: NPZ and IDX files, broken ones too, their split and augmentation."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers import augment, images, splits
from trainers.resnet import ResNet


def squares(count: int = 60, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Three classes, told apart by where a bright square is: uint8 [n, size, size], uint8 [n]."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 60, (count, size, size), dtype=np.uint8)
    y = np.arange(count, dtype=np.uint8) % 3
    for image, label in zip(x, y, strict=True):
        image[2 * label : 2 * label + 3, 2 * label : 2 * label + 3] = 255
    return x, y


def write_idx(file: Path, values: np.ndarray) -> None:
    code = {"uint8": 8, "int32": 12, "float32": 13}[values.dtype.name]
    header = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    raw = header + values.astype(values.dtype.newbyteorder(">")).tobytes()
    file.write_bytes(gzip.compress(raw) if file.suffix == ".gz" else raw)


def test_the_digits_come_with_scikit_learn() -> None:
    found = images.load()
    assert found.x.shape == (1797, 1, 8, 8) and found.x.dtype == np.float32
    assert (found.x.min(), found.x.max()) == (0.0, 1.0)
    assert found.y.dtype == np.int64 and found.classes == 10
    assert np.array_equal(found.x, images.load("digits").x)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("prefix", ["", "train-", "t10k-"])
def test_idx_files_are_read_gzipped_or_not_by_folder_or_by_file(
    tmp_path: Path, prefix: str, suffix: str
) -> None:
    x, y = squares()
    write_idx(tmp_path / f"{prefix}images-idx3-ubyte{suffix}", x)
    write_idx(tmp_path / f"{prefix}labels-idx1-ubyte{suffix}", y)
    for place in (tmp_path, tmp_path / f"{prefix}images-idx3-ubyte{suffix}"):
        found = images.load(str(place))
        assert np.allclose(found.x[:, 0], x / 255, atol=1e-6) and np.array_equal(found.y, y)


def test_the_training_set_of_a_folder_is_searched_on_and_the_test_set_left_alone(tmp_path: Path) -> None:
    x, y = squares()
    for prefix, count in (("t10k", 9), ("train", 60)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", x[:count])
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte", y[:count])
    assert len(images.load(str(tmp_path)).y) == 60


def test_idx_values_are_big_endian(tmp_path: Path) -> None:
    values = np.array([[1, 256], [65536, -2]], dtype=np.int32)
    write_idx(tmp_path / "values-idx2-int", values)
    assert np.array_equal(images.read_idx(tmp_path / "values-idx2-int"), values)


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_train", "y_train")])
def test_npz_files_are_read_by_any_of_the_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    x, y = squares()
    test: dict[str, Any] = {"x_test": x[:3], "y_test": y[:3]} if names[0] == "x_train" else {}
    np.savez(tmp_path / "set.npz", **{names[0]: x, names[1]: y[:, None], **test})
    found = images.load(str(tmp_path / "set.npz"))
    assert found.shape == (1, 8, 8) and np.array_equal(found.y, y)


@pytest.mark.parametrize("channels_last", [True, False])
def test_colour_images_become_channels_first(tmp_path: Path, channels_last: bool) -> None:
    x = np.random.default_rng(0).random((20, 3, 6, 5))
    labels = np.array(["cat", "dog"] * 10)
    np.savez(tmp_path / "set.npz", x=x.transpose(0, 2, 3, 1) if channels_last else x, y=labels)
    found = images.load(str(tmp_path / "set.npz"))
    assert np.allclose(found.x, x, atol=1e-6)
    assert found.names == ("cat", "dog") and found.y.tolist() == [0, 1] * 10


def a_short_file(folder: Path) -> Path:
    x, y = squares()
    write_idx(folder / "images-idx3-ubyte", x)
    write_idx(folder / "labels-idx1-ubyte", y)
    whole = (folder / "images-idx3-ubyte").read_bytes()
    (folder / "images-idx3-ubyte").write_bytes(whole[:-7])
    return folder


def images_alone(folder: Path) -> Path:
    write_idx(folder / "images-idx3-ubyte", squares()[0])
    return folder


def other_names(folder: Path) -> Path:
    np.savez(folder / "set.npz", pictures=squares()[0])
    return folder / "set.npz"


def too_few_labels(folder: Path) -> Path:
    x, y = squares()
    np.savez(folder / "set.npz", x=x, y=y[:-1])
    return folder / "set.npz"


def flat_images(folder: Path) -> Path:
    x, y = squares()
    np.savez(folder / "set.npz", x=x.reshape(len(x), -1), y=y)
    return folder / "set.npz"


def holes_in_images(folder: Path) -> Path:
    x, y = squares()
    np.savez(folder / "set.npz", x=np.where(x == 255, np.nan, x), y=y)
    return folder / "set.npz"


def pickled_objects(folder: Path) -> Path:
    x, y = squares()
    np.savez(folder / "set.npz", x=x.astype(object), y=y)
    return folder / "set.npz"


def text(folder: Path) -> Path:
    (folder / "set.npz").write_text("no archive")
    return folder / "set.npz"


def not_there(folder: Path) -> Path:
    return folder / "nowhere"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_short_file, "promises 3840 bytes of values, it holds 3833. Fetch the file again"),
        (images_alone, "no labels beside it. Put them into .*labels-idx1-ubyte"),
        (other_names, "it holds pictures. Name the arrays x and y"),
        (too_few_labels, r"60 images, labels \[59\]. Give one label per image"),
        (flat_images, r"images of shape \[60, 64\]. Give"),
        (holes_in_images, "NaN or infinite. Replace"),
        (pickled_objects, "Object arrays cannot be loaded.*Write it with numpy.savez"),
        (text, "Write it with numpy.savez"),
        (not_there, "no such file or folder. Give an .npz file"),
        (lambda folder: folder, "no IDX images in it. Name them like"),
    ],
)
def test_a_broken_set_is_told_with_where_what_and_how_to_mend_it(
    tmp_path: Path, make: Any, words: str
) -> None:
    place = make(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        images.load(str(place))
    assert str(tmp_path) in str(caught.value)


def test_a_split_depends_on_its_seed_alone_and_keeps_the_share_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [50, 100, 10])
    train, held = splits.split(labels, 0.2, seed=3)
    assert np.bincount(labels[held]).tolist() == [10, 20, 2]
    assert sorted([*train, *held]) == list(range(160))
    assert np.array_equal(splits.split(labels, 0.2, seed=3)[1], held)
    assert not np.array_equal(splits.split(labels, 0.2, seed=4)[1], held)


@pytest.mark.parametrize("validation", [0.0, 1.0, 0.001])
def test_a_split_that_leaves_a_part_empty_is_refused(validation: float) -> None:
    with pytest.raises(ValueError, match="leaves one part empty"):
        splits.split(np.repeat([0, 1], 20), validation)


@pytest.mark.parametrize("how", ["shift", "flip", "cutout", "shift+flip+cutout"])
def test_augmentation_changes_some_images_and_no_shape(how: str) -> None:
    x = torch.rand(32, 3, 16, 12) + 0.1
    changed = x
    for change in augment.parse(how):
        changed = change(changed)
    assert changed.shape == x.shape and not torch.equal(changed, x)


def test_cutout_hides_a_quarter_of_each_side_and_a_shift_only_moves() -> None:
    x = torch.ones(16, 1, 8, 8)
    assert augment.cutout(x).sum((1, 2, 3)).tolist() == [60.0] * 16
    x = torch.zeros(64, 1, 8, 8)
    x[:, 0, 4, 4] = 1.0
    moved = augment.shift(x)
    assert moved.sum((1, 2, 3)).tolist() == [1.0] * 64
    rows, columns = moved.nonzero()[:, 2], moved.nonzero()[:, 3]
    assert set(rows.tolist()) == set(columns.tolist()) == {3, 4, 5}


def test_an_unknown_augmentation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'turn' is unknown\. Join any of shift, flip, cutout"):
        ResNet(augment="shift+turn")
