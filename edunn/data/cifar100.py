"""CIFAR-100 as its author publishes it: the binary or the Python archive; packed, or unpacked into a folder.

60,000 colour images of 32 × 32 pixels, 50,000 to train and 10,000 to test, each with a fine label, one of 100 classes,
and a coarse one, one of 20. A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. It carries no
licence and is never shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from ..errors import ConfigError, DataError, nearest
from . import files
from .cifar10 import CHANNELS, PIXELS, SIDE, Archive, in_archive, load_arrays, match_archive, read_file
from .samples import Dataset, Samples

FINE_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm"""
COARSE_NAMES = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2"""
FINE, COARSE = tuple(FINE_NAMES.split()), tuple(COARSE_NAMES.split())
LABELS = {"fine": FINE, "coarse": COARSE}
ROWS = {"train": 50_000, "test": 10_000}
LARGEST = 160 * 2**20  # bytes of a file; the genuine ones have 154 and 155 million

BINARY = Archive(
    "cifar-100-binary.tar.gz",
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    168_513_733,
    ("train.bin",),
    "test.bin",
    LARGEST,
)
PYTHON = Archive(
    "cifar-100-python.tar.gz",
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    169_001_437,
    ("train",),
    "test",
    LARGEST,
)
# of the pickles: what is not one of these is not even opened as one
BATCHES = {
    "train": "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b",
    "test": "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864",
}
FOLDERS = ("cifar-100-binary", "cifar-100-python")


def read_cifar100(
    path: str | PathLike[str], labels: str = "fine", progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Reads the official binary or Python archive (.tar.gz), or the folder that either unpacks to.

    An archive's sha256 is compared before anything in it is read, a pickle's before it is opened.

    features (samples, 32, 32, 3) uint8, targets (samples,) int64

    Parameters
    ----------
    labels : "fine", 100 classes; or "coarse", 20
    progress : called with (files read, 2)
    """
    if labels not in LABELS:
        raise ConfigError(f"The labels of CIFAR-100 are 'fine' or 'coarse'; got {labels!r}. {nearest(labels, LABELS)}")
    path = files.check_exists(path, "CIFAR-100, as an archive or a folder")
    if path.is_dir():
        archive, folder = in_folder(path)
        contents: dict[str, Callable[[], bytes]] = {
            name: partial(read_file, folder / name, LARGEST) for name in archive.files
        }
        digest = None
    else:
        archive, digest = which_archive(path)
        contents = in_archive(path, archive, "CIFAR-100")
    parts, digests = [], hashlib.sha256()
    for done, name in enumerate(archive.files, 1):
        content = contents[name]()
        digests.update(hashlib.sha256(content).digest())
        read = unpack_binary if archive == BINARY else unpickle
        parts.append(as_samples(*read(content, f"{path}/{name}", labels), labels, f"{path}/{name}"))
        if progress is not None:
            progress(done, len(archive.files))
    return Dataset("cifar100", parts[0], parts[1], digest or digests.hexdigest(), str(path))


def is_cifar100(path: Path) -> bool:
    """Returns whether a path is CIFAR-100: an archive of that name or size, or a folder with both of its files."""
    if path.is_dir():
        return any((path / inner / name).is_file() for inner in ("", FOLDERS[0]) for name in BINARY.files) or any(
            all((path / inner / name).is_file() for name in PYTHON.files) for inner in ("", FOLDERS[1])
        )
    if not path.name.endswith((".tar.gz", ".tgz")):
        return False
    return "100" in path.name or path.stat().st_size in (BINARY.size, PYTHON.size)


def in_folder(path: Path) -> tuple[Archive, Path]:
    """Returns the format and the folder itself, which may lie one deeper."""
    for folder in (path, *(path / inner for inner in FOLDERS)):
        for archive in (BINARY, PYTHON):
            found = [name for name in archive.files if (folder / name).is_file()]
            if found:
                missing = set(archive.files) - set(found)
                if missing:
                    raise DataError(f"{min(missing)} of CIFAR-100 is missing in '{folder}'. Unpack it again.")
                return archive, folder
    raise DataError(f"'{path}' does not hold CIFAR-100 (train.bin, …). Give the folder where it was unpacked.")


def which_archive(path: Path) -> tuple[Archive, str]:
    """Returns which of the two archives a file is, and its sha256."""
    refusal = "{name} has sha256 {wanted}…; '{path}' has {found}…{cut}. Download it again."
    return match_archive(path, (BINARY, PYTHON), refusal)


def unpack_binary(content: bytes, title: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns planes and labels: a row has a byte of coarse and one of fine label, then the red, green, blue plane."""
    rows = ROWS[PurePosixPath(title).stem]
    if len(content) != rows * (2 + PIXELS):
        raise DataError(
            f"'{title}' must have {rows * (2 + PIXELS):,} bytes, {rows:,} rows of {2 + PIXELS:,}; got "
            f"{len(content):,}. Unpack it again."
        )
    table = np.frombuffer(content, dtype=np.uint8).reshape(rows, 2 + PIXELS)
    return table[:, 2:], table[:, 1 if labels == "fine" else 0].astype(np.int64)


def unpickle(content: bytes, title: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns planes and labels: the sha256 first, and then an unpickler that can build arrays and nothing else."""
    name = PurePosixPath(title).name
    digest = hashlib.sha256(content).hexdigest()
    if digest != BATCHES[name]:
        raise DataError(
            f"The published {name} of CIFAR-100 has sha256 {BATCHES[name][:12]}…; '{title}' has {digest[:12]}…. "
            f"It is a pickle, which can run code, and was not opened. Download it again, or take the binary version."
        )
    batch, key, rows = load_arrays(content, title), f"{labels}_labels".encode(), ROWS[name]
    if not isinstance(batch, dict) or not {b"data", key} <= batch.keys():
        raise DataError(f"'{title}' has no data and {labels} labels.")
    data, found = batch[b"data"], batch[key]
    right = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape == (rows, PIXELS)
    if (
        not right
        or not isinstance(found, list)
        or not all(type(y) is int and abs(y) < 2**31 for y in found)
        or len(found) != rows
    ):
        raise DataError(f"'{title}' must hold {rows:,} images of {PIXELS:,} bytes and as many labels; got others.")
    return data, np.array(found, dtype=np.int64)


def as_samples(planes: np.ndarray, found: np.ndarray, labels: str, title: str) -> Samples:
    """Returns images with the channels last, and labels that are classes."""
    classes = LABELS[labels]
    if found.min() < 0 or found.max() >= len(classes):
        wrong = int(((found < 0) | (found >= len(classes))).argmax())
        raise DataError(
            f"The {labels} labels of '{title}' are 0 to {len(classes) - 1}; got {found[wrong]} in row {wrong} "
            f"(counted from 0)."
        )
    images = planes.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    return Samples(
        torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(found), classes, target_name=f"{labels} class"
    )
