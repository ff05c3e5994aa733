"""Tables: CSV and npz as they should be, and one bad file for each error."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edunn import data
from edunn.data import files, read_table
from edunn.errors import ConfigError, DataError, EdunnError, ShapeError

F64 = torch.float64
FLOWERS = "height,width,kind\n1.5,2,lily\n3,-4e1,aster\n5,6,lily\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes text, bytes, or arrays by name, and gives the path."""

    def at(content: str | bytes | dict[str, Any], name: str = "") -> Path:
        path = tmp_path / (name or ("table.npz" if isinstance(content, dict) else "table.csv"))
        if isinstance(content, dict):
            np.savez(path, **content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_bytes(content.encode())
        return path

    return at


Write = Callable[..., Path]


# CSV


@pytest.mark.parametrize(
    "text",
    [
        FLOWERS,
        "\ufeff" + FLOWERS,
        FLOWERS.replace("\n", "\r\n"),
        FLOWERS.replace(",", ";"),
        FLOWERS.replace(",", "\t"),
        FLOWERS.replace(",", " , "),
        FLOWERS.replace("\n", "\n\n"),
        FLOWERS.removesuffix("\n"),
        FLOWERS.replace("lily", '"lily"').replace("height", '"height"'),
    ],
    ids=["plain", "byte order mark", "Windows", "semicolons", "tabs", "spaces", "blank lines", "no last newline",
         "quotes"],
)  # fmt: skip
def test_one_table_in_many_dresses(write: Write, text: str) -> None:
    samples = read_table(write(text))
    assert samples.features.dtype == F64
    assert samples.features.tolist() == [[1.5, 2.0], [3.0, -40.0], [5.0, 6.0]]
    assert samples.targets is not None
    assert samples.targets.tolist() == [1, 0, 1]
    assert (samples.classes, samples.feature_names, samples.target_name) == (
        ("aster", "lily"),
        ("height", "width"),
        "kind",
    )


def test_columns_by_name_in_the_order_asked_for(write: Write) -> None:
    samples = read_table(write(FLOWERS), target="kind", features=("width", "height"))
    assert samples.features[1].tolist() == [-40.0, 3.0]
    assert samples.feature_names == ("width", "height")
    real = read_table(write(FLOWERS), target="height", features=("width",))
    assert real.targets is not None
    assert real.targets.tolist() == [1.5, 3.0, 5.0]
    assert real.classes is None


@pytest.mark.parametrize(
    ("cells", "task", "targets", "classes"),
    [
        (["b", "a", "b"], "auto", [1, 0, 1], ("a", "b")),
        (["10", "9", "10"], "auto", [1, 0, 1], ("9", "10")),
        (["-1", "1", "-1"], "auto", [0, 1, 0], ("-1", "1")),
        (["0.0", "1.0", "0.0"], "auto", [0, 1, 0], ("0", "1")),
        (["1", "2.5", "1"], "auto", [1.0, 2.5, 1.0], None),
        (["1", "2", "3"], "real", [1.0, 2.0, 3.0], None),
        (["1", "x", "10"], "classes", [0, 2, 1], ("1", "10", "x")),
        (["True", "False", "True"], "auto", [1, 0, 1], ("False", "True")),
    ],
    ids=["text", "whole numbers in numeric order", "signs", "whole floats", "real", "whole but real",
         "mixed on purpose", "booleans"],
)  # fmt: skip
def test_what_a_target_is(write: Write, cells: list[str], task: str, targets: list[Any], classes: Any) -> None:
    samples = read_table(write("x,y\n" + "".join(f"0,{cell}\n" for cell in cells)), task=task)
    assert samples.targets is not None
    assert samples.targets.tolist() == targets
    assert samples.classes == classes


def test_many_whole_numbers_are_asked_about(write: Write) -> None:
    path = write("x,age\n" + "".join(f"0,{age}\n" for age in range(30)))
    with pytest.raises(
        DataError, match=r"Column 'age' holds 30 different whole numbers.* Say which it is: task='classes' or"
    ):
        read_table(path)
    assert not read_table(path, task="real").is_classification
    assert len(read_table(path, task="classes").classes or ()) == 30


def test_prediction_reads_what_the_model_knows(write: Write) -> None:
    """The training columns by name, targets where there are any, and the classes' own order."""
    path = write("note,width,height\nfirst,2,1\n")
    samples = read_table(path, target="kind", features=("height", "width"), targets_required=False, classes=("b", "a"))
    assert samples.features.tolist() == [[1.0, 2.0]]
    assert samples.targets is None
    assert samples.target_name is None
    assert samples.classes == ("b", "a")
    path = write("kind,width,height\na,2,1\n")
    known = read_table(path, target="kind", features=("height", "width"), targets_required=False, classes=("b", "a"))
    assert known.targets is not None
    assert known.targets.tolist() == [1]
    everything = read_table(write("a,b\n1,2\n"), targets_required=False)
    assert everything.features.tolist() == [[1.0, 2.0]]


def test_numbers_keep_their_last_digit(write: Write) -> None:
    numbers = np.random.default_rng(0).normal(size=50)
    text = "x,y\n" + "".join(f"{x!r},{x!r}\n" for x in numbers.tolist())
    assert read_table(write(text), task="real").features[:, 0].tolist() == numbers.tolist()


def test_cells_over_two_lines(write: Write) -> None:
    """The line that is named is where the row begins, and not the count of rows."""
    text = 'x,kind\n1,"a\nb"\n2,c\nz,c\n'
    with pytest.raises(DataError, match=r"row 3 \(line 5\), column 'x': expected a number; got 'z'"):
        read_table(write(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("  \n\n", "is empty"),
        ('""\n', "is empty"),
        ("a,b\n", "no rows under its header"),
        ("5.1,3\n4,2\n", r"holds numbers only \(5.1, 3\). Put the names above it"),
        ("a,,b\n1,2,3\n", "Column 2 of .* has no name. Name it"),
        ("a,b,a\n1,2,3\n", "'a' is the name of two columns, 1 and 3"),
        ("a,b\n1,2\n\n1,2,3\n", r"row 2 \(line 4\): expected 2 cells, as in the header; got 3"),
        ("a,b\n1\n", r"row 1 \(line 2\): expected 2 cells, as in the header; got 1"),
        ("age,b\n1,2\nabc,3\n", r"row 2 \(line 3\), column 'age': expected a number; got 'abc'"),
        ("age;b\n1,5;2\n", r"got '1,5'. Write the decimal point as a point: 1.5"),
        ("age,b\n1_000,2\n", "got '1_000'"),
        ("age,b\n,2\n", r"row 1 \(line 2\), column 'age': expected a number; the cell is empty"),
        ("age,b\nnan,2\n", r"row 1 \(line 2\), column 'age': expected a finite number; got nan"),
        ("age,b\n1,a\n-inf,b\n", r"row 2 \(line 3\), column 'age': expected a finite number; got -inf"),
        ("age,b\n1,a\n2,\n", r"row 2 \(line 3\), column 'b': expected a target; the cell is empty"),
        ("age,b\n1,1.5\n2,nan\n", r"row 2 \(line 3\), column 'b': expected a finite number"),
        ("age,b\n1,1.5\n2,two\n", r"not both; got '1.5' in .*row 1 \(line 2\) and 'two' in .*row 2 \(line 3\)"),
        ("age,b\n1,3\n2,3\n", "two classes or more; column 'b' holds '3' only"),
        ("b\n1\n2\n", "no column beside the target 'b'"),
        ('a,b\n1,"2\n3,4\n', "line 2: expected cells between ','"),
    ],
    ids=["empty", "blank", "an empty cell", "header only", "no header", "a nameless column", "a name twice",
         "a long row", "a short row", "text", "decimal comma", "underscore", "empty cell", "nan", "inf", "no target",
         "nan target", "mixed targets", "one class", "no feature", "an open quote"],
)  # fmt: skip
def test_bad_csv(write: Write, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "knid"}, DataError, "no column 'knid' for the target. Did you mean 'kind'"),
        ({"features": ("heigth",)}, DataError, "no column 'heigth'. Did you mean 'height'"),
        ({"features": ("height", "kind")}, ConfigError, "'kind' is named as a feature and as the target"),
        ({"features": ("height", "height")}, ConfigError, "named twice: height"),
        ({"features": ()}, ConfigError, "list of features is empty"),
        ({"task": "class"}, ConfigError, "Did you mean 'classes'"),
        ({"task": "real"}, DataError, r"row 1 \(line 2\), column 'kind': expected a number; got 'lily'"),
        ({"classes": ("lily", "astre")}, DataError, "expected a known class; got 'aster'. Did you mean 'astre'"),
        ({"target": "width", "features": ("height",), "classes": ("2", "6")}, DataError, "got '-40'"),
        ({"target": "height", "features": ("width",), "task": "classes"}, DataError, "got 1.5. For real targets say"),
    ],
    ids=["target", "feature", "target as feature", "feature twice", "no feature", "task", "real text", "unknown class",
         "unknown number", "real as classes"],
)  # fmt: skip
def test_bad_options(write: Write, options: dict[str, Any], error: type[EdunnError], message: str) -> None:
    with pytest.raises(error, match=message):
        read_table(write(FLOWERS), **options)


def test_bad_paths(write: Write, tmp_path: Path) -> None:
    write(FLOWERS, "flowers.csv")
    with pytest.raises(DataError, match=r"does not exist. Did you mean '.*flowers.csv'"):
        read_table(tmp_path / "flower.csv")
    with pytest.raises(DataError, match=r"is a folder, not a table. For images use read_images"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"not text in UTF-8: byte 0xe9 at 4"):
        read_table(write("a,caf\u00e9\n1,2\n".encode("latin-1").replace(b"a,caf", b"a,ca"), "latin.csv"))


# npz


def test_npz_matrix(write: Write) -> None:
    x = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
    samples = read_table(write({"features": x, "targets": np.array(["b", "a", "b"])}))
    assert samples.features.dtype == torch.float32
    assert samples.targets is not None
    assert (samples.targets.tolist(), samples.classes) == ([1, 0, 1], ("a", "b"))
    assert (samples.feature_names, samples.target_name) == (("x1", "x2"), "targets")
    picked = read_table(write({"X": x, "y": [0.5, 1.5, 2.5], "feature_names": ["u", "v"]}), features=("v",))
    assert picked.features.tolist() == [[2.0], [4.0], [6.0]]
    assert picked.targets is not None
    assert picked.targets.dtype == torch.float32


def test_npz_columns(write: Write) -> None:
    path = write({"height": [1, 2], "width": [3.0, 4.0], "kind": np.array([b"x", b"y"])})
    samples = read_table(path)
    assert (samples.feature_names, samples.classes) == (("height", "width"), ("x", "y"))
    assert samples.features.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert read_table(path, target="height", features=("width",)).classes == ("1", "2")


def test_npz_images_and_class_names(write: Write) -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    path = write({"x": images, "y": np.array([1, 0]), "classes": ["dog", "cat"]})
    samples = read_table(path)
    assert samples.is_images
    assert samples.targets is not None
    assert (samples.targets.tolist(), samples.classes) == ([1, 0], ("dog", "cat"))
    learned = read_table(path, classes=("cat", "dog"))  # another order: names are what counts
    assert learned.targets is not None
    assert learned.targets.tolist() == [0, 1]
    with pytest.raises(ConfigError, match="Images have no feature names"):
        read_table(path, features=("x1",))


def test_npz_without_targets_for_prediction(write: Write) -> None:
    path = write({"features": np.zeros((2, 3))})
    assert read_table(path, target="targets", features=("x3", "x1"), targets_required=False).features.shape == (2, 2)
    with pytest.raises(DataError, match=r"no targets under 'targets', .*; it has features only"):
        read_table(path)


X = np.zeros((3, 2))
Y = np.array([0, 1, 0])
NAN = np.array([[0, 0], [0, np.nan], [0, 0]])


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({}, DataError, "does not contain arrays"),
        ({"features": X, "targets": Y[:, None]}, ShapeError, r"shape \(3, 1\), not .*targets.squeeze\(1\)"),
        ({"features": X, "targets": np.eye(3)}, ShapeError, r"targets.argmax\(1\)"),
        ({"features": X, "targets": Y[:2]}, DataError, "'features' has 3 rows and 'targets' 2"),
        ({"a": Y, "b": Y[:2]}, DataError, "'a' has 3 rows and 'b' 2"),
        ({"features": X[:0], "targets": Y[:0]}, DataError, "has no rows"),
        ({"features": np.zeros((3, 2, 2)), "targets": Y}, ShapeError, "array 'features': Expected features of shape"),
        ({"features": X.astype(str), "targets": Y}, DataError, "holds text, not numbers"),
        ({"features": X * 1j, "targets": Y}, DataError, "holds complex128 in 'features.npy'"),
        ({"features": X.astype(object), "targets": Y}, DataError, "features.npy' holds Python objects"),
        ({"features": NAN, "targets": Y}, DataError, "row 2, column 'x2': .* got nan"),
        ({"a": np.array([0, np.inf]), "b": Y[:2]}, DataError, "row 2, column 'a': expected a finite number; got inf"),
        ({"features": X, "targets": [0.5, np.nan, 1]}, DataError, "row 2, column 'targets': expected a finite number"),
        ({"features": X, "targets": Y, "feature_names": ["a"]}, DataError, "2 different feature_names"),
        ({"features": X, "targets": Y, "classes": ["a"]}, DataError, "row 2, column 'targets': .*1 classes.*; got 1"),
    ],
    ids=["nothing", "a column of targets", "one-hot", "lengths", "lengths of columns", "no rows", "three axes", "text",
         "complex", "objects", "nan", "inf in a column", "nan target", "names", "index without a class"],
)  # fmt: skip
def test_bad_npz(write: Write, arrays: dict[str, Any], error: type[EdunnError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_table(write(arrays))
    assert "\n" not in str(caught.value)


def test_damaged_npz(write: Write) -> None:
    whole = write({"features": np.random.default_rng(0).normal(size=(50, 3)), "targets": np.arange(50) % 2})
    content = whole.read_bytes()
    with pytest.raises(DataError, match=r"zip archive .* is damaged or cut short"):
        read_table(write(content[:700], "cut.npz"))
    with pytest.raises(DataError, match="zip archive"):
        read_table(write(b"no zip at all", "text.npz"))
    broken = bytearray(content)
    broken[600] ^= 0xFF  # in the numbers: the checksum tells
    with pytest.raises(DataError, match=r"'features.npy' in the zip archive .* is damaged"):
        read_table(write(bytes(broken), "broken.npz"))


def test_an_npz_that_is_another_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"holds 'readme.txt', which is not an array. Save it with numpy.savez"):
        read_table(tmp_path / "other.npz")


def test_an_archive_that_unpacks_to_too_much(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"features": np.zeros((100, 10)), "targets": np.arange(100) % 2})
    monkeypatch.setattr(files, "LIMIT", 1000)
    with pytest.raises(DataError, match=r"unpacks to .* GiB"):
        read_table(path)


def test_load_reads_a_table(write: Write) -> None:
    path = write(FLOWERS, "flowers.csv")
    dataset = data.load(path, target="kind")
    assert (dataset.name, dataset.source, dataset.test) == ("flowers", str(path), None)
    assert dataset.sha256 == files.sha256(path)
    with pytest.raises(ConfigError, match=r"Unknown option 'targte' for the data .* Did you mean 'target'"):
        data.load(path, targte="kind")


def test_field_16_labels_beyond_two_to_the_53(tmp_path):
    values = [9007199254740993, 9007199254740992, 9007199254740993]
    (tmp_path / "t.csv").write_text("x,y\n1,9007199254740993\n2,9007199254740992\n3,9007199254740993\n")
    np.savez(tmp_path / "t.npz", x=np.ones((3, 1)), y=np.array(values))
    np.savez(tmp_path / "u.npz", x=np.ones((3, 1)), y=np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], dtype=np.uint64))
    for name in ("t.csv", "t.npz"):
        samples = read_table(tmp_path / name)
        assert samples.classes == ("9007199254740992", "9007199254740993")
        assert samples.targets.tolist() == [1, 0, 1]
    assert read_table(tmp_path / "u.npz").classes == (str(2**64 - 2), str(2**64 - 1))


def test_field_17_the_delimiter_of_a_decimal_comma(tmp_path):
    (tmp_path / "t.csv").write_text("temp, C;kind\n1,0;2\n3,5;4\n")
    with pytest.raises(DataError, match=r"column 'temp, C': expected a number; got '1,0'. .* as a point: 1.0"):
        read_table(tmp_path / "t.csv")


def test_field_17_a_quoted_comma_has_two_readings(tmp_path):
    (tmp_path / "t.csv").write_text('price,kind\n"6,100",a\n"7,250",b\n')
    with pytest.raises(DataError, match=r"Write 6100 if the comma separates thousands, or 6.100 if"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text('price,kind\n"6,100,000",a\n"7",b\n')
    with pytest.raises(DataError, match=r"Write 6100000 if the comma separates thousands\.$"):
        read_table(tmp_path / "t.csv")


DELIMITED = {
    "commas in a quoted header": ('"a, b",c;d,y\n1,2,u\n3,4,v\n', ("a, b", "c;d")),
    "semicolons in the labels": ("a,b,y\n1,2,u;v\n3,4,w;x\n", ("a", "b")),
    "a decimal comma and text": ("a b;size, m;y\n1;2;u, v\n3;4;w, x\n", ("a b", "size, m")),
    "tabs": ("a, x\tb\ty\n1\t2\tu\n3\t4\tv\n", ("a, x", "b")),
    "text throughout": ("a,b,y\n1,2,u\n3,4,v\n", ("a", "b")),
}


@pytest.mark.parametrize(("text", "names"), DELIMITED.values(), ids=DELIMITED)
def test_delimiters(tmp_path, text, names):
    (tmp_path / "t.csv").write_text(text)
    samples = read_table(tmp_path / "t.csv")
    assert samples.feature_names == names
    assert samples.features.tolist() == [[1, 2], [3, 4]]


PAIRS = [("features", "targets"), ("x", "y"), ("X", "y"), ("data", "labels"), ("data", "target"),
         ("X_train", "y_train"), ("x_train", "y_train"), ("images", "labels")]  # fmt: skip


@pytest.mark.parametrize(("x", "y"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_field_18_usual_pairs_of_an_npz(tmp_path, x, y):
    np.savez(tmp_path / "t.npz", **{x: np.arange(6.0).reshape(3, 2), y: np.array([0, 1, 1])})
    samples = read_table(tmp_path / "t.npz")
    assert samples.features.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert samples.targets.tolist() == [0, 1, 1]
    assert samples.target_name == y


def test_field_18_an_npz_with_a_test_part(tmp_path):
    """As Keras keeps MNIST: grey uint8 images without a channel axis."""
    r = np.random.default_rng(0)
    arrays = {f"x_{part}": r.integers(0, 256, (n, 5, 4), dtype=np.uint8) for part, n in (("train", 6), ("test", 4))}
    np.savez(tmp_path / "t.npz", **arrays, y_train=np.arange(6) % 3, y_test=np.array([2, 0, 0, 1]))
    dataset = data.load(tmp_path / "t.npz")
    assert np.array_equal(dataset.train.features.numpy(), arrays["x_train"][..., None])
    assert np.array_equal(dataset.test.features.numpy(), arrays["x_test"][..., None])
    assert dataset.test.targets.tolist() == [2, 0, 0, 1]


def test_field_18_other_keys_are_named(tmp_path):
    np.savez(tmp_path / "t.npz", pixels=np.ones((3, 2)), kinds=np.array([0, 1, 1]))
    with pytest.raises(ShapeError, match=r"'pixels' of shape \(3, 2\), which is not a column. Call"):
        read_table(tmp_path / "t.npz")


def npy_bytes(header: str, version: int = 1) -> bytes:
    body = header.encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(body).to_bytes(2 if version == 1 else 4, "little") + body


DAMAGED = {
    "negative": npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (-5, -4)}\n"),
    "true": npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 4)}\n") + bytes(32),
    "2**64 numbers": npy_bytes(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**32}, {2**32})}}\n"),
    "2**64 empty texts": npy_bytes(f"{{'descr': '<U0', 'fortran_order': False, 'shape': ({2**32}, {2**32})}}\n"),
    "2**40 bytes": npy_bytes(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({2**40},)}}\n"),
    "no bracket": npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4\n"),
    "nested": npy_bytes("(" * 9000),
    "a long header": npy_bytes(" " * 200_000, version=2),
    "cut in the header": npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}\n")[:40],
    "nothing": b"",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_field_30_damaged_arrays(tmp_path, content):
    (tmp_path / "t.npy").write_bytes(content)
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"t\.npy"):
        data.read_npy(tmp_path / "t.npy", targets=tmp_path / "y.npy")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("features.npy", content)
    with pytest.raises(DataError, match=r"features\.npy"):
        read_table(tmp_path / "t.npz")


def test_field_30_targets_of_bytes(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.ones((2, 1)), y=np.array(["é".encode(), b"a"]))
    assert read_table(tmp_path / "t.npz").classes == ("a", "é")
    np.savez(tmp_path / "t.npz", x=np.ones((2, 1)), y=np.array([b"\xff", b"a"]))
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(tmp_path / "t.npz")
    assert data.as_samples([[1.0], [2.0]], np.array([b"b", b"a"])).classes == ("a", "b")


@pytest.mark.parametrize("name", ["t.csv", "t.npz", "t.npy", "t.zip", "t.tar.gz", "t"])
def test_field_39_pipes_and_devices_are_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is a pipe or a device"):
        data.load(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is a pipe or a device"):
        data.load(tmp_path / name)


def test_field_39_a_large_table_is_not_read(tmp_path):
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="at most 256 are read"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(DataError, match="cannot contain a NUL"):
        data.load("a\0b.csv")


def test_field_40_an_archive_of_zeros(tmp_path):
    """8 MB that unpack to 1.8 GB; here a third of that, which the same bound refuses."""
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))
    with pytest.raises(DataError, match="times its size"):
        read_table(tmp_path / "t.npz")
