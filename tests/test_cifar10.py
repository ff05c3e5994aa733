"""CIFAR-10 as it is published, made small: right files read, damaged and forged ones refused, downloads resumed."""

import gzip
import hashlib
import http.server
import io
import os
import pickle
import tarfile
import threading

import numpy as np
import pytest
import torch

from edunn import cli, data
from edunn.data import cifar10, download
from edunn.errors import DataError

PUBLISHED = (cifar10.BINARY, cifar10.PYTHON, cifar10.ROWS)  # before the tests make them small
ROWS = 4
RNG = np.random.default_rng(0)
PLANES = {name: RNG.integers(0, 256, (ROWS, 3072), dtype=np.uint8) for name in cifar10.PYTHON.files}
LABELS = {name: RNG.integers(0, 10, ROWS).tolist() for name in cifar10.PYTHON.files}


def binary_files():
    return {
        f"{name}.bin": b"".join(bytes([y]) + row.tobytes() for y, row in zip(LABELS[name], PLANES[name], strict=True))
        for name in PLANES
    }


def as_python_2(value):
    """A pickle as Python 2's cPickle wrote it: the old module names, protocol 2, byte strings."""
    content = pickle.dumps(value, protocol=2)
    return content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


class Py2Array:
    """Pickles as numpy 1 wrote an array: _reconstruct, then its state."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        from numpy._core.multiarray import _reconstruct

        return _reconstruct, (np.ndarray, (0,), b"b"), self.array.__reduce__()[2]


def python_files():
    batches = {}
    for name in PLANES:
        writer = io.BytesIO()
        pickler = BytesPickler(writer, protocol=2)
        pickler.dump({b"data": Py2Array(PLANES[name]), b"labels": LABELS[name]})
        batches[name] = writer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    return batches


class BytesPickler(pickle._Pickler):
    """Protocol 2 in Python 3 writes bytes as a call of codecs.encode; Python 2 wrote them as plain strings."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_bytes(self, content):
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)
        self.memoize(content)

    dispatch[bytes] = save_bytes


def packed(files, folder):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {"readme.html": b"<p>", **files}.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """The published constants, those of four images a file; and a cache of our own."""
    import dataclasses

    binary, python = packed(binary_files(), cifar10.FOLDERS[0]), packed(python_files(), cifar10.FOLDERS[1])
    for name, content in (("BINARY", binary), ("PYTHON", python)):
        made = dataclasses.replace(
            getattr(cifar10, name), sha256=hashlib.sha256(content).hexdigest(), size=len(content)
        )
        monkeypatch.setattr(cifar10, name, made)
    monkeypatch.setattr(cifar10, "ROWS", ROWS)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in python_files().items()}
    monkeypatch.setattr(cifar10, "BATCHES", digests)
    monkeypatch.setenv("EDUNN_CACHE", str(tmp_path / "cache"))
    return {"binary": binary, "python": python}


@pytest.fixture
def sources(small, tmp_path):
    """All four ways to have it."""
    paths = {}
    for kind, files, folder in (
        ("binary", binary_files(), cifar10.FOLDERS[0]), ("python", python_files(), cifar10.FOLDERS[1]),
    ):  # fmt: skip
        paths[kind] = tmp_path / f"cifar-10-{kind}.tar.gz"
        paths[kind].write_bytes(small[kind])
        (tmp_path / "unpacked" / kind / folder).mkdir(parents=True)
        paths[f"{kind} folder"] = tmp_path / "unpacked" / kind
        for name, content in files.items():
            (tmp_path / "unpacked" / kind / folder / name).write_bytes(content)
    return paths


@pytest.mark.parametrize("kind", ["binary", "python", "binary folder", "python folder"])
def test_every_form_gives_the_same_images(sources, kind):
    dataset = data.load(sources[kind])
    assert len(dataset.train) == 5 * ROWS
    assert len(dataset.test) == ROWS
    assert dataset.train.classes == cifar10.CLASSES
    assert dataset.train.features.dtype == torch.uint8
    names = cifar10.PYTHON.files
    planes = np.concatenate([PLANES[name] for name in names[:-1]])
    expected = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(dataset.train.features.numpy(), expected)
    assert dataset.train.targets.tolist() == sum((LABELS[name] for name in names[:-1]), [])  # noqa: RUF017
    assert dataset.test.targets.tolist() == LABELS["test_batch"]
    assert len(dataset.sha256) == 64


def test_the_published_constants():
    """From TensorFlow Datasets' and Keras's checksums of the same files."""
    binary, python, rows = PUBLISHED
    assert binary.sha256 == "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    assert python.sha256 == "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    assert binary.size == 170_052_171
    assert rows == 10_000


class Call:
    """Pickles as a call that would leave a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_forged_batch_is_not_even_opened(sources, tmp_path):
    trace = tmp_path / "trace"
    forged = sources["python folder"] / cifar10.FOLDERS[1] / "data_batch_3"
    forged.write_bytes(pickle.dumps({b"data": Call(trace)}))
    with pytest.raises(DataError, match=r"published data_batch_3 with sha256.*was not opened"):
        data.load(sources["python folder"])
    assert not trace.exists()


FORGED = {
    "a call": lambda trace: pickle.dumps({b"data": Call(trace)}),
    "an old-style call": lambda trace: b"cos\nmkdir\n(V" + str(trace).encode() + b"\ntR.",
    "an instance": lambda trace: b"(cos\nmkdir\nV" + str(trace).encode() + b"\no.",
    "builtins": lambda trace: b"cbuiltins\neval\n(V__import__('os').mkdir('" + str(trace).encode() + b"')\ntR.",
    "numpy's own loader": lambda trace: b"cnumpy\nload\n(V" + str(trace).encode() + b"\ntR.",
    "a persistent id": lambda trace: b"Pos.mkdir\n.",
    "a subclass of array": lambda trace: as_python_2(np.ma.masked_array([1, 2])),
    "an array of objects": lambda trace: pickle.dumps(np.array([Call(trace)], dtype=object), protocol=2),
    "cut short": lambda trace: python_files()["data_batch_1"][:-40],
    "text": lambda trace: b"hello",
    "nothing": lambda trace: b"",
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED)
def test_the_unpickler_admits_three_names_only(make, tmp_path):
    """Behind the sha256, for the day that one is believed wrongly."""
    trace = tmp_path / "trace"
    with pytest.raises(DataError, match="'x' is not a pickle of arrays and was refused"):
        cifar10.load_arrays(make(trace), "x")
    assert not trace.exists()
    assert set(cifar10.ArrayUnpickler.names) == {
        ("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "batch",
    [
        {b"data": np.zeros((ROWS, 3072), np.uint8)},
        {b"data": np.zeros((ROWS, 3071), np.uint8), b"labels": [0] * ROWS},
        {b"data": np.zeros((ROWS, 3072)), b"labels": [0] * ROWS},
        {b"data": np.zeros((ROWS, 3072), np.uint8), b"labels": [0] * (ROWS - 1)},
        {b"data": np.zeros((ROWS, 3072), np.uint8), b"labels": [0, 1, 2, 10]},
        [1, 2],
    ],
    ids=["no labels", "width", "dtype", "count", "label 10", "a list"],
)
def test_a_batch_of_something_else_is_refused(batch, monkeypatch):
    monkeypatch.setattr(cifar10, "load_arrays", lambda content, title: batch)
    monkeypatch.setitem(cifar10.BATCHES, "test_batch", hashlib.sha256(b"").hexdigest())
    with pytest.raises(DataError, match=r"does not contain data|Expected"):
        cifar10.unpickle(b"", "somewhere/test_batch")


def cut(content):
    return content[: len(content) // 2]


def rewritten(name, content):
    files = binary_files()
    files[name] = content
    return packed({k: v for k, v in files.items() if v is not None}, cifar10.FOLDERS[0])


DAMAGED = {
    "cut short": (cut, "it has .* of .* bytes"),
    "another file": (lambda content: b"x" * len(content), "with sha256"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_is_refused(sources, damage, message, capsys, tmp_path):
    path = sources["binary"]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        data.load(path)
    assert cli.main(["data", "import", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "cache").exists()


BEHIND_THE_HASH = {
    "cut short": (lambda: cut(packed(binary_files(), "x")), "damaged or cut short"),
    "not a tar": (lambda: gzip.compress(b"x" * 1000), "damaged or cut short"),
    "a batch missing": (lambda: rewritten("data_batch_2.bin", None), "does not contain data_batch_2.bin"),
    "a short batch": (lambda: rewritten("data_batch_2.bin", b"12"), "bytes in .*data_batch_2.bin"),
    "a huge batch": (
        lambda: rewritten("data_batch_2.bin", bytes(cifar10.LARGEST + 1)),
        "more than the published one",
    ),
    "label 10": (lambda: rewritten("test_batch.bin", (b"\x0a" + bytes(3072)) * ROWS), "labels 0 to 9"),
}


@pytest.mark.parametrize(("make", "message"), BEHIND_THE_HASH.values(), ids=BEHIND_THE_HASH)
def test_what_an_archive_holds_is_checked_as_well(make, message, tmp_path, monkeypatch):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(make())
    monkeypatch.setattr(cifar10, "which_archive", lambda path: (cifar10.BINARY, "0" * 64))
    with pytest.raises(DataError, match=message):
        cifar10.read_cifar10(path)


def test_a_folder_that_lacks_a_batch_is_refused(sources):
    (sources["binary folder"] / cifar10.FOLDERS[0] / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_4.bin of CIFAR-10 is missing"):
        data.load(sources["binary folder"])


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges or without, and hangs up when told to."""

    content, ranges, hang_up, asked = b"", True, [], []

    def do_GET(self):
        start = 0
        given = self.headers.get("Range")
        type(self).asked.append(given)
        if self.path == "/missing":
            self.send_error(404)
            return
        if given and self.ranges:
            start = int(given.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        body = self.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: type(self).hang_up.pop(0)] if type(self).hang_up else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(small):
    handler = type("Handler", (Server,), {"content": small["binary"], "hang_up": [], "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        handler.url = f"http://127.0.0.1:{running.server_port}/file"
        yield handler
        running.shutdown()
        thread.join()


def fetch(server, destination, sha256=None, size=None, progress=None):
    archive = cifar10.BINARY
    return download.download(
        server.url, destination, sha256 or archive.sha256, size or archive.size, progress, pause=0.0
    )


def test_a_download_is_whole_and_says_how_far_it_is(server, tmp_path):
    seen = []
    path = fetch(server, tmp_path / "a" / "file", progress=lambda here, size: seen.append((here, size)))
    assert path.read_bytes() == server.content
    assert seen[-1] == (len(server.content), len(server.content))
    assert list(path.parent.iterdir()) == [path]
    assert fetch(server, path) == path
    assert len(server.asked) == 1  # what is here is not asked for again


def test_a_download_goes_on_where_it_stopped(server, tmp_path):
    server.hang_up = [1000, 500]
    path = fetch(server, tmp_path / "file")
    assert path.read_bytes() == server.content
    assert server.asked == [None, "bytes=1000-", "bytes=1500-"]


def test_a_download_that_was_given_up_goes_on_the_next_time(server, tmp_path):
    server.hang_up = [10, 10, 10, 10]
    with pytest.raises(DataError, match=r"after 40\. The same command goes on from there; --url takes a mirror"):
        fetch(server, tmp_path / "file")
    assert not (tmp_path / "file").exists()
    assert fetch(server, tmp_path / "file").read_bytes() == server.content
    assert server.asked[-1] == "bytes=40-"


def test_a_server_without_ranges_starts_afresh(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.part").write_bytes(b"x" * 100)
    assert fetch(server, tmp_path / "file").read_bytes() == server.content


def test_a_wrong_hash_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=r"Expected sha256 000000000000.*It was removed"):
        fetch(server, tmp_path / "file", sha256="0" * 64)
    assert list(tmp_path.glob("file*")) == []


def test_a_server_that_sends_too_much_is_stopped(server, tmp_path):
    with pytest.raises(DataError, match="sends more than"):
        fetch(server, tmp_path / "file", size=100)
    assert list(tmp_path.glob("file*")) == []


def test_a_missing_file_is_not_asked_for_again(server, tmp_path):
    server.url = server.url.replace("/file", "/missing")
    with pytest.raises(DataError, match="answered 404"):
        fetch(server, tmp_path / "file")
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "cifar", "http://"])
def test_only_the_web_is_downloaded_from(url, tmp_path):
    with pytest.raises(DataError, match="is not an address such as https://"):
        download.download(url, tmp_path / "file", "0", 1)


def test_get_list_and_clear(server, tmp_path, capsys):
    assert cli.main(["data", "list"]) == 0
    assert "not here" in capsys.readouterr().out
    with pytest.raises(DataError, match="edunn data get cifar10"):
        data.load("cifar10")
    assert cli.main(["data", "get", "cifar10", "--url", server.url, "--json"]) == 0
    assert cifar10.BINARY.sha256 in capsys.readouterr().out
    assert len(data.load("cifar10").train) == 5 * ROWS
    assert cli.main(["data", "list"]) == 0
    assert f"here: {cifar10.kept()}" in capsys.readouterr().out
    assert cli.main(["data", "clear", "all"]) == 0
    assert cifar10.kept() is None


def test_import_copies_what_is_right(sources, capsys):
    assert cli.main(["data", "import", str(sources["python"])]) == 0
    assert len(data.load("cifar10").test) == ROWS
    capsys.readouterr()
    for wrong in (
        ["import"],
        ["import", str(sources["binary folder"])],
        ["get", "mnist"],
        ["list", "x"],
        ["clear", "x"],
    ):
        assert cli.main(["data", *wrong]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
