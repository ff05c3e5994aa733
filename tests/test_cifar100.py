"""CIFAR-100 as it is published, made small: every form gives the same images, damaged and forged files are refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edunn import data, experiment
from edunn.data import cifar10, cifar100
from edunn.errors import ConfigError, DataError

PUBLISHED = (cifar100.BINARY, cifar100.PYTHON, dict(cifar100.ROWS), dict(cifar100.BATCHES))
ROWS = {"train": 6, "test": 4}
RNG = np.random.default_rng(0)
PLANES = {name: RNG.integers(0, 256, (rows, 3072), dtype=np.uint8) for name, rows in ROWS.items()}
FINE = {name: RNG.integers(0, 100, rows).tolist() for name, rows in ROWS.items()}
COARSE = {name: RNG.integers(0, 20, rows).tolist() for name, rows in ROWS.items()}


def binary_files() -> dict[str, bytes]:
    return {
        f"{name}.bin": b"".join(
            bytes([coarse, fine]) + row.tobytes()
            for coarse, fine, row in zip(COARSE[name], FINE[name], PLANES[name], strict=True)
        )
        for name in ROWS
    }


def string(text: bytes) -> bytes:
    """A byte string as Python 2 pickled it."""
    return pickle.BINSTRING + len(text).to_bytes(4, "little") + text


def numbers(values: list[int]) -> bytes:
    return pickle.EMPTY_LIST + pickle.MARK + b"".join(pickle.BININT1 + bytes([v]) for v in values) + pickle.APPENDS


def pickled(name: str) -> bytes:
    """The dictionary that the author's Python 2 wrote, protocol 2: written here opcode by opcode."""
    rows = ROWS[name]
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + pickle.BININT1 + b"\0" + pickle.TUPLE1
        + string(b"b") + pickle.TUPLE3 + pickle.REDUCE + pickle.MARK + pickle.BININT1 + b"\1"
        + pickle.BININT1 + bytes([rows]) + pickle.BININT2 + (3072).to_bytes(2, "little") + pickle.TUPLE2
        + b"cnumpy\ndtype\n" + string(b"u1") + pickle.BININT1 + b"\0" + pickle.BININT1 + b"\1" + pickle.TUPLE3
        + pickle.REDUCE + pickle.MARK + pickle.BININT1 + b"\3" + string(b"|") + pickle.NONE * 3
        + (pickle.BININT + (-1).to_bytes(4, "little", signed=True)) * 2 + pickle.BININT1 + b"\0" + pickle.TUPLE
        + pickle.BUILD + pickle.NEWFALSE + string(PLANES[name].tobytes()) + pickle.TUPLE + pickle.BUILD
    )  # fmt: skip
    items = {
        b"batch_label": string(b"training batch 1 of 1"),
        b"fine_labels": numbers(FINE[name]),
        b"coarse_labels": numbers(COARSE[name]),
        b"data": array,
    }
    body = b"".join(string(key) + value for key, value in items.items())
    return pickle.PROTO + b"\2" + pickle.EMPTY_DICT + pickle.MARK + body + pickle.SETITEMS + pickle.STOP


def python_files() -> dict[str, bytes]:
    return {name: pickled(name) for name in ROWS}


def packed(files: dict[str, bytes], folder: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {"fine_label_names.txt": b"apple\n", **files}.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Path]:
    """The four ways to have it, with the published constants of these small files."""
    paths = {}
    monkeypatch.setattr(cifar100, "ROWS", ROWS)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in python_files().items()}
    monkeypatch.setattr(cifar100, "BATCHES", digests)
    for kind, files, folder in zip(
        ("binary", "python"), (binary_files(), python_files()), cifar100.FOLDERS, strict=True
    ):
        content = packed(files, folder)
        made = dataclasses.replace(
            getattr(cifar100, kind.upper()), sha256=hashlib.sha256(content).hexdigest(), size=len(content)
        )
        monkeypatch.setattr(cifar100, kind.upper(), made)
        paths[kind] = tmp_path / f"cifar-100-{kind}.tar.gz"
        paths[kind].write_bytes(content)
        paths[f"{kind} renamed"] = tmp_path / f"{kind}.tgz"
        paths[f"{kind} renamed"].write_bytes(content)
        paths[f"{kind} folder"] = tmp_path / "unpacked" / kind
        (paths[f"{kind} folder"] / folder).mkdir(parents=True)
        paths[f"{kind} inner folder"] = paths[f"{kind} folder"] / folder
        for name, part in files.items():
            (paths[f"{kind} folder"] / folder / name).write_bytes(part)
    return paths


KINDS = [f"{kind}{form}" for kind in ("binary", "python") for form in ("", " renamed", " folder", " inner folder")]


@pytest.mark.parametrize("labels", ["fine", "coarse"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_gives_the_same_images(sources: dict[str, Path], kind: str, labels: str) -> None:
    found = data.load(sources[kind], labels=labels)
    truth = {"fine": FINE, "coarse": COARSE}[labels]
    assert found.name == "cifar100"
    for part, name in ((found.train, "train"), (found.test, "test")):
        assert part is not None
        expected = PLANES[name].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        assert np.array_equal(part.features.numpy(), expected)
        assert part.targets is not None
        assert part.targets.tolist() == truth[name]
        assert part.features.dtype == torch.uint8
        assert part.classes == cifar100.LABELS[labels]
    assert found.sha256 is not None
    assert len(found.sha256) == 64


def test_the_published_constants() -> None:
    """From the checksums of Keras and MLDatasets of the same files; names sorted, as the archive numbers them."""
    binary, python, rows, batches = PUBLISHED
    assert binary.sha256 == "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    assert python.sha256 == "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
    assert (binary.size, python.size) == (168_513_733, 169_001_437)
    assert rows == {"train": 50_000, "test": 10_000}
    assert set(batches) == {"train", "test"}
    assert (len(cifar100.FINE), len(cifar100.COARSE)) == (100, 20)
    assert list(cifar100.FINE) == sorted(set(cifar100.FINE))
    assert list(cifar100.COARSE) == sorted(set(cifar100.COARSE))
    assert (cifar100.FINE[49], cifar100.COARSE[10]) == ("mountain", "large_natural_outdoor_scenes")


class Call:
    """Pickles as a call that would leave a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_forged_pickle_is_not_opened(sources: dict[str, Path], tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    forged = sources["python inner folder"] / "train"
    content = pickle.dumps({b"data": Call(trace)})
    forged.write_bytes(content)
    with pytest.raises(DataError, match=r"published train of CIFAR-100.*was not opened"):
        data.load(sources["python folder"])
    with pytest.raises(DataError, match="was refused"):  # nor behind the sha256
        cifar10.load_arrays(content, "train")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.bin", b"12", "must have 18,444 bytes"),
        ("test.bin", (b"\x14\x00" + bytes(3072)) * 4, "coarse labels of .* are 0 to 19; got 20 in row 0"),
        ("test.bin", None, r"test.bin of CIFAR-100 is missing"),
    ],
    ids=["short", "label 20", "missing"],
)
def test_damaged_folders(sources: dict[str, Path], name: str, content: bytes | None, said: str) -> None:
    path = sources["binary inner folder"] / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        data.load(sources["binary folder"], labels="coarse")


def test_damaged_archives(sources: dict[str, Path]) -> None:
    path = sources["binary"]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"it has .* of .* bytes"):
        data.load(path)


def test_other_labels(sources: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'fine'"):
        data.load(sources["binary"], labels="fin")


def test_from_a_config(sources: dict[str, Path], tmp_path: Path) -> None:
    config = experiment.config.parse(
        {
            "data": {"path": str(sources["binary"]), "labels": "coarse"},
            "model": "softmax",
            "loss": "cross-entropy",
            "train": {"epochs": 1},
        }
    )
    run = experiment.train(config, tmp_path / "run")
    assert run.classes == cifar100.COARSE
    assert tuple(run.model.weight.shape) == (20, 3072)
