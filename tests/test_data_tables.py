"""Tables: CSV and npz as they should be, and one bad file for each error."""

from __future__ import annotations

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
    with pytest.raises(DataError, match=r"column 'age' holds 30 different ones. Say which it is: task='classes' or"):
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
        ("a,b\n", "Expected rows of numbers under the header"),
        ("5.1,3\n4,2\n", r"holds numbers only \(5.1, 3\). Put the names above it"),
        ("a,,b\n1,2,3\n", "column 2 of .* has none. Name it"),
        ("a,b,a\n1,2,3\n", "'a' is the name of columns 1 and 3"),
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
        ("b\n1\n2\n", "a feature beside the target 'b'"),
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
        ({"target": "knid"}, DataError, "Expected a column 'knid' for the target; .* Did you mean 'kind'"),
        ({"features": ("heigth",)}, DataError, "Expected a column 'heigth'; .* Did you mean 'height'"),
        ({"features": ("height", "kind")}, ConfigError, "'kind' is named as both"),
        ({"features": ("height", "height")}, ConfigError, "each feature once"),
        ({"features": ()}, ConfigError, "at least one feature"),
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
    with pytest.raises(DataError, match=r"there is nothing. Did you mean '.*flowers.csv'"):
        read_table(tmp_path / "flower.csv")
    with pytest.raises(DataError, match=r"is a folder. For images use read_images"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"Expected text in UTF-8; .* has byte 0xe9 at 4"):
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
    with pytest.raises(ConfigError, match="no feature names for images"):
        read_table(path, features=("x1",))


def test_npz_without_targets_for_prediction(write: Write) -> None:
    path = write({"features": np.zeros((2, 3))})
    assert read_table(path, target="targets", features=("x3", "x1"), targets_required=False).features.shape == (2, 2)
    with pytest.raises(DataError, match=r"Expected targets in .*, under 'targets' or 'y'; got features only"):
        read_table(path)


X = np.zeros((3, 2))
Y = np.array([0, 1, 0])
NAN = np.array([[0, 0], [0, np.nan], [0, 0]])


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({}, DataError, "it has none"),
        ({"features": X, "targets": Y[:, None]}, ShapeError, r"\(samples,\); got \(3, 1\). .*targets.squeeze\(1\)"),
        ({"features": X, "targets": np.eye(3)}, ShapeError, r"targets.argmax\(1\)"),
        ({"features": X, "targets": Y[:2]}, DataError, "'features' has 3 rows and 'targets' 2"),
        ({"a": Y, "b": Y[:2]}, DataError, "'a' has 3 rows and 'b' 2"),
        ({"features": X[:0], "targets": Y[:0]}, DataError, "Expected rows in"),
        ({"features": np.zeros((3, 2, 2)), "targets": Y}, ShapeError, "array 'features': Expected features of shape"),
        ({"features": X.astype(str), "targets": Y}, DataError, "Expected numbers in 'features' of .*; got text"),
        ({"features": X * 1j, "targets": Y}, DataError, "in 'features' of .*; got complex128"),
        ({"features": X.astype(object), "targets": Y}, DataError, "in 'features' of .*; got Python objects"),
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
    with pytest.raises(DataError, match=r"Expected a whole zip archive; .* is damaged or cut short"):
        read_table(write(content[:700], "cut.npz"))
    with pytest.raises(DataError, match="Expected a whole zip archive"):
        read_table(write(b"no zip at all", "text.npz"))
    broken = bytearray(content)
    broken[600] ^= 0xFF  # in the numbers: the checksum tells
    with pytest.raises(DataError, match=r"Expected a whole array 'features' in .*; it is damaged"):
        read_table(write(bytes(broken), "broken.npz"))


def test_an_npz_that_is_another_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"holds 'readme.txt'. Save it with numpy.savez"):
        read_table(tmp_path / "other.npz")


def test_an_archive_that_unpacks_to_too_much(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({"features": np.zeros((100, 10)), "targets": np.arange(100) % 2})
    monkeypatch.setattr(files, "LIMIT", 1000)
    with pytest.raises(DataError, match=r"unpacks to .* GiB or less"):
        read_table(path)


def test_load_reads_a_table(write: Write) -> None:
    path = write(FLOWERS, "flowers.csv")
    dataset = data.load(path, target="kind")
    assert (dataset.name, dataset.source, dataset.test) == ("flowers", str(path), None)
    assert dataset.sha256 == files.sha256(path)
    with pytest.raises(ConfigError, match=r"Unknown option 'targte' for the data .* Did you mean 'target'"):
        data.load(path, targte="kind")
