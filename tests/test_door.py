"""Data as people have it goes in at every door: frames, arrays, lists, bunches, datasets and loaders."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import door_files
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression as OrdinaryLeastSquares
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

import edunn
from edunn.data import TableError
from edunn.errors import DataError, DtypeError, EdunnError, EdunnWarning, ShapeError
from edunn.experiment import config as configs
from edunn.experiment import prepare
from edunn.experiment.starter import starter
from edunn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from edunn.models import LinearRegression, SoftmaxClassifier

IRIS = load_iris()
KINDS = [str(name) for name in IRIS.target_names]
FRAME = pd.DataFrame(IRIS.data, columns=[name.replace(" (cm)", "") for name in IRIS.feature_names])
FRAME["kind"] = [KINDS[i] for i in IRIS.target]
X, Y = IRIS.data, IRIS.target
TENSORS = TensorDataset(torch.from_numpy(X).float(), torch.from_numpy(Y))

GIVEN: dict[str, Callable[[], tuple[Any, ...]]] = {
    "arrays": lambda: (X, Y),
    "float32 and int32 arrays": lambda: (X.astype(np.float32), Y.astype(np.int32)),
    "fortran order": lambda: (np.asfortranarray(X), Y),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "tensors": lambda: (torch.from_numpy(X), torch.from_numpy(Y)),
    "a tensor and an array": lambda: (torch.from_numpy(X), Y),
    "uint8 labels": lambda: (X, Y.astype(np.uint8)),
    "text labels": lambda: (X, np.array(KINDS)[Y]),
    "a list of text": lambda: (X, [KINDS[i] for i in Y]),
    "a frame and its column's name": lambda: (FRAME, "kind"),
    "a frame and a Series": lambda: (FRAME.drop(columns="kind"), FRAME["kind"]),
    "a frame and a categorical": lambda: (FRAME.drop(columns="kind"), FRAME["kind"].astype("category")),
    "a frame and a one-column frame": lambda: (FRAME.drop(columns="kind"), FRAME[["kind"]]),
    "a frame and an array": lambda: (FRAME.drop(columns="kind"), Y),
    "a Bunch": lambda: (IRIS,),
    "a Bunch as a frame": lambda: (load_iris(as_frame=True),),
    "a Dataset": lambda: (TENSORS,),
    "a DataLoader": lambda: (DataLoader(TENSORS, batch_size=16),),
}
each = pytest.mark.parametrize("name", GIVEN)


@each
def test_samples_from_what_people_have(name: str) -> None:
    samples = edunn.Samples(*GIVEN[name]())
    assert samples.features.shape == (150, 4)
    np.testing.assert_allclose(samples.features.double().numpy(), X, rtol=1e-6)
    assert samples.targets.tolist() == Y.tolist()
    if any(word in name for word in ("frame", "Bunch", "text")) and "array" not in name:
        assert samples.classes == tuple(KINDS)
    if "frame" in name or "Bunch" in name:
        assert [n.split(" (")[0] for n in samples.feature_names] == [*FRAME.columns[:4]]


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_descend_and_score_take_the_same(name: str, dtype: torch.dtype) -> None:
    """No conversion to the model's dtype is asked of the caller; the accuracy is scikit-learn's to a sample or two."""
    samples = edunn.Samples(*GIVEN[name]())
    model = SoftmaxClassifier(4, 3, dtype=dtype)
    edunn.descend(model, CrossEntropy(), samples, rate=0.1, epochs=2000, evaluate=0)
    reference = LogisticRegression(C=np.inf, max_iter=10_000).fit(X, Y).score(X, Y)
    assert abs(float(model.score(X, Y)) - reference) <= 3 / 150
    assert model.predict(FRAME.drop(columns="kind")).tolist() == model.predict(X.tolist()).tolist()


def test_a_pair_goes_everywhere() -> None:
    bits = (Y > 0).astype(float)
    model = LinearRegression(4)
    edunn.descend(model, SquaredError(), (X, bits), rate=0.01, epochs=5, validation=(X[:10], bits[:10]))
    assert edunn.gradcheck.certify(model, SquaredError(), (X, bits)).passed
    assert edunn.landscape.plane(model, SquaredError(), (X, bits)).values.isfinite().all()
    assert edunn.descend(SoftmaxClassifier(4, 3), CrossEntropy(), IRIS, rate=0.1, epochs=2).epochs == 2


def test_regression_from_a_frame_is_least_squares() -> None:
    bunch = load_diabetes(as_frame=True)
    samples = edunn.Samples(bunch)
    assert samples.classes is None
    x, y = (samples.features - samples.features.mean(0)) / samples.features.std(0), samples.targets
    model = LinearRegression(10, dtype=torch.float64)
    edunn.descend(model, SquaredError(), (x, y), rate=0.1, epochs=5000, evaluate=0)
    design = np.column_stack([x.numpy(), np.ones(len(x))])
    best = np.linalg.lstsq(design, y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(model.weight.detach().numpy()[0], best[:-1], rtol=1e-3)


def test_samples_shuffle_split_and_go_back_to_pandas() -> None:
    samples = edunn.Samples(FRAME, "kind")
    pd.testing.assert_frame_equal(samples.to_pandas(), FRAME)
    train, test = samples.split(0.2)
    assert (len(train), len(test)) == (120, 30)
    shuffled = samples.shuffle(seed=1)
    assert not torch.equal(shuffled.features, samples.features)
    assert (
        shuffled.to_pandas().sort_values(list(FRAME)).values.tolist() == FRAME.sort_values(list(FRAME)).values.tolist()
    )


WRONG: dict[str, tuple[Callable[[], Any], type[EdunnError], str]] = {
    "a column that is not there": (lambda: edunn.Samples(FRAME, "knid"), DataError, "no column 'knid'.*Its columns"),
    "text among the features": (lambda: edunn.Samples(FRAME, IRIS.target), DataError, "Column kind .*get_dummies"),
    "a gap in a frame": (lambda: edunn.Samples(FRAME[["sepal length"]].mask(FRAME[["sepal length"]] > 7), Y), DataError,
                         "features must be finite; got nan at row 102"),
    "one feature as a row": (lambda: edunn.Samples([1.0, 2.0], [0, 1]), ShapeError, "reshape"),
    "rows of different lengths": (lambda: edunn.Samples([[1.0], [1.0, 2.0]], [0, 1]), ShapeError, "differ in length"),
    "text features": (lambda: edunn.Samples([["a"], ["b"]], [0, 1]), DtypeError, "must be numbers"),
    "None": (lambda: edunn.Samples(None, [0]), EdunnError, "."),
    "a string": (lambda: edunn.Samples("iris", [0]), EdunnError, "."),
    "a dataset with parts": (
        lambda: edunn.descend(SoftmaxClassifier(64, 10), CrossEntropy(), edunn.data.digits(), rate=1.0),
        DataError, "dataset.train"),
    "targets of another length": (lambda: edunn.Samples(X, Y[:-1]), ShapeError, "150 samples, but 149"),
    "a loader of triples": (
        lambda: edunn.Samples(DataLoader(TensorDataset(*TENSORS.tensors, TENSORS.tensors[1]))), DataError, "pairs"),
    "class indices for bits": (
        lambda: edunn.descend(LinearRegression(4), BinaryCrossEntropy(), (X, Y), rate=0.1), EdunnError, "."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_one_sentence_with_the_cure(name: str) -> None:
    call, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        call()


# ---- files as courses publish them -----------------------------------------------------------------------------------


def read_as_told(path: Path, given: dict[str, Any]) -> tuple[edunn.Samples, dict[str, Any]]:
    """Reads a file as it is, or with the options that the first message names; they must be enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdunnWarning)
        try:
            return edunn.Samples(path, **given), given
        except TableError as error:
            cures = error.cures
        return edunn.Samples(path, **given, **cures), {**given, **cures}


def encoded(features: pd.DataFrame) -> pd.DataFrame:
    """What pandas makes of the columns: one-hot, and the mean where a cell is missing."""
    found = {}
    for name in features:
        column = features[name]
        if column.dropna().map(lambda cell: isinstance(cell, str)).any():
            hot = pd.get_dummies(column, dtype=float)
            hot[column.isna()] = np.nan
            for category in sorted(hot.columns):
                found[f"{name}={category}"] = hot[category].fillna(hot[category].mean())
        else:
            numbers = pd.to_numeric(column)
            found[name] = numbers.fillna(numbers.mean()).astype(float)
    return pd.DataFrame(found)


@pytest.mark.parametrize("name", door_files.CASES)
def test_files_of_courses(name: str, tmp_path: Path) -> None:
    """Read to the values that were written, as it is or by the first message, and trained to scikit-learn's score."""
    case = door_files.CASES[name](np.random.default_rng(len(name)))
    path = door_files.write(case, tmp_path)
    samples, options = read_as_told(path, case.given)
    kept = case.target.notna().to_numpy()
    truth = encoded(case.features)[kept] if kept.all() else encoded(case.features[kept].reset_index(drop=True))
    y = case.target[kept].reset_index(drop=True)
    assert list(samples.feature_names) == list(truth.columns)
    np.testing.assert_allclose(samples.features.double().numpy(), truth.to_numpy(), rtol=1e-12)
    real = samples.classes is None
    if real:
        np.testing.assert_allclose(samples.targets.double().numpy(), y.to_numpy(dtype=float))
    else:
        assert [samples.classes[i] for i in samples.targets.tolist()] == [str(label) for label in y]

    tables = starter(path, options)
    tables["data"].pop("test", None)  # all samples are compared, with scikit-learn's C of 1
    if not real:
        tables["penalty"]["strength"] = 0.5 / len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdunnWarning)
        prepared = prepare(configs.parse(tables, ["train.epochs=1000"]))
    prepared.descent.go("fast")
    with torch.no_grad():
        score = float(prepared.model.score_of(prepared.model(prepared.train.features), prepared.train.targets))
    scaled = StandardScaler().fit_transform(truth)
    reference = OrdinaryLeastSquares() if real else LogisticRegression(max_iter=5000)
    wanted = reference.fit(scaled, y.astype(float) if real else y.astype(str))
    least = wanted.score(scaled, y.astype(float) if real else y.astype(str))
    assert score >= least - (0.01 if real else 3 / len(y))


def rows(line: Callable[[int], str], n: int = 40) -> str:
    return "".join(line(i) + "\n" for i in range(n))


REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a row too long": ("t.csv", "a,b,k\n" + rows(lambda i: f"{i},{i % 7},{'uv'[i % 2]}" + ",x" * (i == 7)), {},
                       r"row 8 \(line 9\): expected 3 cells, as in the header; got 4"),
    "two rows too short": ("t.csv", "a,b,k\n" + rows(lambda i: f"{i},u" if i in (3, 9) else f"{i},2,v"), {},
                           r"row 4 \(line 5\): expected 3 cells.*got 2\. So do 1 other rows"),
    "LIBSVM": ("a1a", rows(lambda i: f"{'+-'[i % 2]}1 3:1 11:1 {14 + i % 3}:1"), {}, "load_svmlight_file"),
    "messages and no numbers": ("spam.csv", "v1,v2\n" + rows(lambda i: f"{'uv'[i % 2]},free message {i}"),
                                {"target": "v1"}, "no column of numbers or categories to predict 'v1' from"),
    "names for a target": ("t.csv", "a,name\n" + rows(lambda i: f"{i % 7},person {i}"), {},
                           "40 different texts in 40 rows, which are hardly classes. Name another target"),
    "a target that counts or measures": ("t.csv", "a,age\n" + rows(lambda i: f"{i % 7},{20 + i}"), {},
                                         "task='classes' or task='real'"),
    "a comma with two readings": ("t.csv", 'price,k\n' + rows(lambda i: f'"{1 + i},20{i % 10}",{"uv"[i % 2]}'), {},
                                  "if the comma separates thousands, or .* if it is a decimal comma"),
    "points of thousands": ("t.csv", "price;k\n" + rows(lambda i: f"€ {1 + i}.20{i % 10};{'uv'[i % 2]}"), {},
                            "points seem to separate thousands; if they are decimal points"),
    "a number that may mean missing": ("t.csv", "a,k\n" + rows(lambda i: f"{i if i % 9 else -99},{'uv'[i % 2]}"), {},
                                       "is -99 in 5 rows and 0 or more in all others"),
    "a target that is not there": ("t.data", rows(lambda i: f"{i / 7:.3f},{'uv'[i % 2]}"), {"target": "kind"},
                                   "no header, and its columns are called x1 to x2"),
    "one class": ("t.csv", "a,k\n" + rows(lambda i: f"{i % 7},u"), {}, "two classes or more; .* holds 'u' only"),
    "a web page": ("t.csv", "<!DOCTYPE html><html></html>", {}, "is a web page"),
    "text and numbers in a target": ("t.csv", "a,k\n" + rows(lambda i: f"{i % 7},{'x' if i == 5 else i % 3}"), {},
                                     "not both; got '0' in row 1 .* and 'x' in row 6"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_answered_by_one_sentence(name: str, tmp_path: Path) -> None:
    file, content, options, message = REFUSED[name]
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        edunn.Samples(tmp_path / file, **options)
