"""Folders of shards and .npy files: written whole or not at all, never loaded whole, refused when not as written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edunn import data, errors
from edunn.cli import main
from edunn.data import Dataset, Samples, ShardWriter, files, read_npy, read_shards, write_shards
from edunn.runtime.rows import Rows


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path_factory.mktemp("cache")))


def some(samples: int, width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(samples)
    return source.normal(size=(samples, width)).astype(np.float32), source.integers(0, 3, samples)


def write(folder: Path, samples: int = 50) -> Samples:
    """Shards of ten samples."""
    features, targets = some(samples)
    with ShardWriter(folder, classes=("a", "b", "c"), shard=160) as writer:
        writer.add(features, targets)
    return Samples(torch.from_numpy(features), torch.from_numpy(targets), ("a", "b", "c"))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 200), st.sampled_from(["f4", "f8", "u1"]))
def test_what_was_added_is_read(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], shard: int, dtype: str
) -> None:
    folder = tmp_path_factory.mktemp("shards") / "here"
    x, y = some(sum(counts) + 1)
    x = (x * 20).astype(dtype) if dtype != "u1" else np.abs(x * 20).astype(dtype).reshape(-1, 2, 2, 1)
    with ShardWriter(folder, shard=shard) as writer:
        for start, end in zip(np.cumsum([0, *counts]), [*np.cumsum(counts), len(x)], strict=True):
            writer.add(x[start:end], y[start:end])
    found = read_shards(folder).train
    assert isinstance(found.features, Rows)
    assert torch.equal(found.features.loaded(), torch.from_numpy(x))
    assert found.targets is not None
    assert torch.equal(found.targets, torch.from_numpy(y))
    rows = max(1, shard // x[0].nbytes)
    assert [len(part) for part in found.features.parts] == [min(rows, len(x) - i) for i in range(0, len(x), rows)]


def test_parts_names_and_real_targets_are_kept(tmp_path: Path) -> None:
    x, _ = some(30)
    samples = Samples(torch.from_numpy(x), torch.from_numpy(x[:, 0].copy()), None, ("p", "q", "r", "s"), "height")
    write_shards(tmp_path / "here", Dataset("made", samples[:20], samples[20:], None, ""))
    found = read_shards(tmp_path / "here")
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (20, 10)
    assert found.test.feature_names == ("p", "q", "r", "s")
    assert found.train.target_name == "height"
    assert found.train.classes is None
    assert found.train.targets is not None
    assert found.train.targets.dtype == torch.float32


def test_splits_copy_nothing(tmp_path: Path) -> None:
    whole = write(tmp_path / "here")
    stored = read_shards(tmp_path / "here").train
    for found, wanted in zip(data.split(stored, 0.3, seed=4), data.split(whole, 0.3, seed=4), strict=True):
        assert isinstance(found.features, Rows)
        assert found.features.parts[0].data_ptr() == stored.features.parts[0].data_ptr()  # type: ignore[attr-defined]
        assert torch.equal(found.loaded().features, wanted.features)
        assert found.targets is not None
        assert wanted.targets is not None
        assert torch.equal(found.targets, wanted.targets)


def test_the_sum_of_the_numbers_is_that_of_the_tensor(tmp_path: Path) -> None:
    whole = write(tmp_path / "here")
    assert data.fingerprint(read_shards(tmp_path / "here").train) == data.fingerprint(whole)


def test_loaded_refuses_what_does_not_fit(tmp_path: Path) -> None:
    write(tmp_path / "here")
    with pytest.raises(errors.DataError, match=r"At most .* GiB of features.* samples\[:1000\]"):
        read_shards(tmp_path / "here").train.loaded(most=700)


# what is not as it was written


def cut_short(folder: Path) -> None:
    with (folder / "train-00001.npy").open("r+b") as file:
        file.truncate(200)


def change(folder: Path) -> None:
    path = folder / "train-00001.npy"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def wrong_shape(folder: Path) -> None:
    """Another header over the same bytes, and sums that fit it: the manifest's shape is compared as well."""
    path = folder / "train-00001.npy"
    np.save(path, np.load(path).reshape(20, 2))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][1]["features"] |= {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def outside(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][1]["features"]["file"] = "../elsewhere.npy"
    (folder / "manifest.json").write_text(json.dumps(manifest))


BREAKS = {
    "a missing shard": (lambda f: (f / "train-00002.npy").unlink(), "train-00002.npy', which manifest.json names"),
    "missing targets": (lambda f: (f / "train-00002.targets.npy").unlink(), "train-00002.targets.npy'"),
    "a truncated shard": (cut_short, "of 288 bytes; it has 200"),
    "a changed shard": (change, "train-00001.npy' as it was written; its sha256 is"),
    "an extra shard": (lambda f: shutil.copy(f / "train-00000.npy", f / "more.npy"), "does not name '"),
    "another shape": (wrong_shape, "of float32 (10, 4), as manifest.json says; got float32 (20, 2)"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "has shards, but no manifest.json"),
    "no JSON": (lambda f: (f / "manifest.json").write_text("{"), "cannot be read"),
    "another file": (lambda f: edit(f, format="run"), "is not a manifest of shards"),
    "a later version": (lambda f: edit(f, version=2), "has version 2 of the format"),
    "no shards": (lambda f: edit(f, shards=[]), "does not name"),
    "shards of nothing": (lambda f: edit(f, shards=[{}]), "is damaged: 'part'"),
    "a dtype that is none": (lambda f: edit(f, dtype="object"), "is damaged: dtype 'object'"),
    "a path": (outside, "is damaged: a file '../elsewhere.npy'"),
    "too few classes": (lambda f: edit(f, classes=["a", "b"]), "Class indices must be 0 to 1"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_one_line_and_exit_2(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "here"
    write(folder)
    broken, said = BREAKS[name]
    broken(folder)
    (tmp_path / "run.toml").write_text(
        '[data]\npath = "here"\n[model]\nkind = "softmax"\n[loss]\nkind = "cross-entropy"\n[train]\nbatch_size = 5\n'
    )
    code = main(["train", str(tmp_path / "run.toml"), "--out", str(tmp_path / "run")])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda s: st.lists(s, max_size=3), max_leaves=4)
KEYS = ("shards", "shape", "dtype", "targets", "classes", "feature_names", "target_name", "finite")


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from(KEYS))
def test_a_manifest_of_anything_is_an_error_or_the_data(
    tmp_path_factory: pytest.TempPathFactory, value: Any, key: str
) -> None:
    folder = tmp_path_factory.mktemp("any") / "here"
    write(folder, 20)
    edit(folder, **{key: value})
    try:
        found = read_shards(folder).train
    except errors.EdunnError:
        return
    assert len(found) == 20


# when the sums are computed


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    plain = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: (read.append(path.name), plain(path))[1])
    return read


def age(folder: Path, seconds: float = 60) -> None:
    for path in folder.glob("*.npy"):
        then = time.time() - seconds
        os.utime(path, (then, then))


def test_files_are_read_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    write(folder)
    age(folder)
    read = read_files(monkeypatch)
    read_shards(folder)
    assert len([name for name in read if name.endswith(".npy")]) == 10
    read.clear()
    read_shards(folder)
    assert read == ["manifest.json"]
    read_shards(folder, verify="never")
    read_shards(folder, verify="always")
    assert len([name for name in read if name.endswith(".npy")]) == 10


def test_a_file_that_was_touched_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    write(folder)
    age(folder)
    read_shards(folder)
    change(folder)
    with pytest.raises(errors.DataError, match="sha256"):
        read_shards(folder)
    read_shards(folder, verify="never")


def test_a_change_behind_the_clock_is_found_by_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "here"
    write(folder)
    age(folder)
    read_shards(folder)
    before = (folder / "train-00001.npy").stat()
    change(folder)
    os.utime(folder / "train-00001.npy", ns=(before.st_atime_ns, before.st_mtime_ns))
    read_shards(folder)  # as far as can be seen without reading
    assert main(["data", "verify", str(folder)]) == 2
    assert "sha256" in capsys.readouterr().err


def test_a_file_of_this_moment_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be written again within the same tick of the clock."""
    folder = tmp_path / "here"
    write(folder)
    read_shards(folder)
    read = read_files(monkeypatch)
    read_shards(folder)
    assert len(read) == 11


# the writer


def test_an_error_or_an_interrupt_leaves_nothing(tmp_path: Path) -> None:

    def begin(error: type[BaseException]) -> None:
        with ShardWriter(tmp_path / "here", shard=160) as writer:
            writer.add(*some(50))
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            begin(error)
        assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
sys.path.insert(0, {root!r})
import numpy as np
from edunn.data import ShardWriter
with ShardWriter({folder!r}, shard=160) as writer:
    writer.add(np.zeros((50, 4), np.float32), np.zeros(50, np.int64))
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_writer_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    code = KILLED.format(root=str(Path(__file__).parent.parent), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        child.send_signal(signal.SIGKILL)
    assert not folder.exists()
    write(folder)  # the next writer removes what the killed one left
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert len(read_shards(folder).train) == 50


@pytest.mark.parametrize(
    ("features", "targets", "said"),
    [
        (np.full((2, 4), np.nan, np.float32), np.zeros(2, np.int64), "features must be finite"),
        (np.zeros((2, 5), np.float32), np.zeros(2, np.int64), "like the first ones"),
        (np.zeros((2, 4)), np.zeros(2, np.int64), "like the first ones"),
        (np.zeros((2, 4), np.float32), None, "like the first ones"),
        (np.zeros((2, 4), np.float32), np.zeros(3, np.int64), r"\(samples,\) = \(2,\)"),
        (np.zeros((2, 4), np.float32), np.full(2, 3), "Class indices must be 0 to 2"),
        (np.zeros((2, 4), np.float16), np.zeros(2, np.int64), "Expected features of dtype"),
        (np.zeros(4, np.float32), np.zeros(4, np.int64), "Expected features of shape"),
    ],
    ids=["nan", "width", "dtype", "no targets", "too many targets", "class 3", "float16", "one axis"],
)
def test_what_does_not_fit_is_refused(features: np.ndarray, targets: Any, said: str, tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "here", classes=("a", "b", "c")) as writer:
        writer.add(*some(10))
        with pytest.raises(errors.EdunnError, match=said):
            writer.add(features, targets)
    assert len(read_shards(tmp_path / "here").train) == 10


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write(tmp_path / "here")
    with pytest.raises(errors.DataError, match="is not overwritten"):
        ShardWriter(tmp_path / "here")


def test_no_samples_are_no_data(tmp_path: Path) -> None:
    with pytest.raises(errors.DataError, match="No samples were added"), ShardWriter(tmp_path / "here") as writer:
        writer.add(*some(10), part="test")


# .npy


def test_an_array_stays_in_its_file(tmp_path: Path) -> None:
    x, y = some(30)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    found = data.load(tmp_path / "x.npy", targets=str(tmp_path / "y.npy"), classes=["a", "b", "c"])
    assert isinstance(found.train.features, Rows)
    assert torch.equal(found.train.loaded().features, torch.from_numpy(x))
    assert found.train.classes == ("a", "b", "c")
    other = y.copy()
    other[0] = (y[0] + 1) % 3
    np.save(tmp_path / "y.npy", other)
    assert data.load(tmp_path / "x.npy", targets=str(tmp_path / "y.npy")).sha256 != found.sha256


def test_text_targets_become_classes(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", some(4)[0])
    np.save(tmp_path / "y.npy", np.array(["dog", "cat", "dog", "cat"]))
    found = read_npy(tmp_path / "x.npy", tmp_path / "y.npy").train
    assert found.classes == ("cat", "dog")
    assert found.targets is not None
    assert found.targets.tolist() == [1, 0, 1, 0]


def test_bytes_that_are_no_images_count_as_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.uint8).reshape(4, 3))
    np.save(tmp_path / "y.npy", np.arange(4) % 2)
    found = read_npy(tmp_path / "x.npy", tmp_path / "y.npy").train
    assert torch.equal(found.loaded().features, torch.arange(12.0).view(4, 3))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 2), np.float16), "dtype float32, float64 or uint8"),
        (np.zeros((3, 2), ">f4"), "dtype float32, float64 or uint8"),
        (np.asfortranarray(np.zeros((3, 2), np.float32)), "column after column"),
        (np.array([[None]]), "Python objects"),
        (np.zeros((0, 2), np.float32), "its shape is"),
        (np.zeros(3, np.float32), r"Expected features of shape \(samples, features\)"),
        (np.zeros((4, 2), np.float32), r"= \(4,\)"),
    ],
    ids=["float16", "byte order", "columns", "objects", "empty", "one axis", "targets of another length"],
)
def test_arrays_that_are_no_features(array: np.ndarray, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    np.save(tmp_path / "y.npy", np.zeros(3, np.int64))
    with pytest.raises(errors.EdunnError, match=said):
        read_npy(tmp_path / "x.npy", tmp_path / "y.npy")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 175))
def test_a_cut_array_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.npy"
    np.save(path, np.zeros((4, 3), np.float32))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(errors.DataError, match=r"damaged|Copy it again"):
        read_npy(path, targets_required=False)


def test_targets_are_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", some(3)[0])
    with pytest.raises(errors.ConfigError, match=r"data\.targets"):
        data.load(tmp_path / "x.npy")


# the command


def test_a_table_as_shards_of_another_dtype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("p,q,kind\n1,2,cat\n3,255,dog\n5,6,cat\n")
    arguments = ["data", "shards", str(tmp_path / "t.csv"), "--out", str(tmp_path / "here"), "--json"]
    assert main([*arguments, "--store", "uint8"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["samples"], told["bytes"], told["shards"]) == ({"train": 3}, 6, 1)
    found = read_shards(tmp_path / "here").train
    assert found.loaded().features.tolist() == [[1, 2], [3, 255], [5, 6]]
    assert found.feature_names == ("p", "q")
    assert found.classes == ("cat", "dog")
    (tmp_path / "t.csv").write_text("p,q,kind\n1,2.5,cat\n3,4,dog\n")
    arguments[4] = str(tmp_path / "there")
    assert main([*arguments, "--store", "uint8"]) == 2
    assert "whole numbers from 0 to 255" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


def test_an_array_becomes_shards_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edunn.runtime.rows.CHUNK", 160)
    x, y = some(33)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    seen: list[tuple[int, int]] = []
    write_shards(tmp_path / "here", read_npy(tmp_path / "x.npy", tmp_path / "y.npy"), 320,
                 progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert seen == [(10, 33), (20, 33), (30, 33), (33, 33)]
    assert torch.equal(read_shards(tmp_path / "here").train.loaded().features, torch.from_numpy(x))


def test_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["shards", "digits"], ["verify"], ["list", "--store", "uint8"],
                      ["shards", "digits", "--out", str(tmp_path / "x"), "--store", "int8"]):  # fmt: skip
        assert main(["data", *arguments]) == 2
        assert capsys.readouterr().err.startswith("edunn: ")
    assert not (tmp_path / "x").exists()
