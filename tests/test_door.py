"""Data as people have it goes in at every door: frames, arrays, lists, bunches, datasets and loaders."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import door_files
import matplotlib.pyplot as plt
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


# ---- guesses: what users of torch, scikit-learn, Keras, pandas and matplotlib type -----------------------------------


def fitted(**options: Any) -> SoftmaxClassifier:
    return SoftmaxClassifier(4, 3).fit(X, Y, epochs=30, **options)


def descended(**options: Any) -> edunn.History:
    return edunn.descend(SoftmaxClassifier(4, 3), CrossEntropy(), (X, Y), **{"epochs": 2, **options})


def surface() -> edunn.landscape.Surface:
    x = np.linspace(-1, 1, 20)
    return edunn.landscape.grid(x, (x > 0).astype(float), BinaryCrossEntropy(), w=(-3, 3, 9), b=(-3, 3, 9))


TABLES = {
    "data": {"name": "moons", "test": 0.3}, "model": "logreg", "loss": "bce", "train": {"lr": 0.5, "epochs": 3},
}  # fmt: skip


def trained(folder: Path, **options: Any) -> Any:
    return edunn.train(TABLES, folder / "run", **options)


def toml(folder: Path) -> Path:
    """A config and its table in a folder."""
    FRAME.to_csv(folder / "iris.csv", index=False)
    (folder / "flowers.toml").write_text(
        '[data]\npath = "iris.csv"\ntarget = "kind"\ntest = 0.2\n[model]\nkind = "softmax"\n'
        '[loss]\nkind = "cross-entropy"\n[train]\nlearning_rate = 0.1\nn_epochs = 5\n'
    )
    return folder / "flowers.toml"


def drawn(axes: Any) -> bool:
    """Whether something was drawn, on a figure of pyplot's."""
    return bool(axes.has_data() or axes.texts) and plt.fignum_exists(axes.figure.number)


def last_rate(history: edunn.History) -> float:
    return history["rate"][-1]


# what works: a call, and what it gives
UNDERSTOOD: dict[str, tuple[Callable[[Path], Any], Any]] = {
    # training
    "descend(lr=)": (lambda p: last_rate(descended(lr=0.25)), 0.25),
    "descend(learning_rate=)": (lambda p: last_rate(descended(learning_rate=0.25)), 0.25),
    "descend(n_epochs=)": (lambda p: edunn.descend(SoftmaxClassifier(4, 3), CrossEntropy(), IRIS, rate=0.1,
                                                   n_epochs=7).epochs, 7),
    "descend(max_iter=)": (lambda p: edunn.descend(SoftmaxClassifier(4, 3), CrossEntropy(), IRIS, rate=0.1,
                                                   max_iter=7).epochs, 7),
    "descend(random_state=)": (lambda p: descended(rate=0.1, batch_size=10, random_state=3).rows
                               == descended(rate=0.1, batch_size=10, seed=3).rows, True),
    "descend(optimizer='adam')": (lambda p: descended(rate=0.1, optimizer="adam")["loss"]
                                  == descended(rate=0.1, rule=edunn.updates.Adam())["loss"], True),
    "descend(loss by name)": (lambda p: edunn.descend(SoftmaxClassifier(4, 3), "cross_entropy", IRIS, rate=0.1,
                                                      epochs=2)["loss"] == descended(rate=0.1)["loss"], True),
    "descend(validation_data=)": (lambda p: descended(rate=0.1, validation_data=(X, Y)).columns[-1],
                                  "validation_accuracy"),
    "model.fit(X, y)": (lambda p: float(fitted().score(X, Y)) > 0.8, True),
    "model.fit(frame, column)": (lambda p: float(SoftmaxClassifier(4, 3).fit(FRAME, "kind", epochs=30).score(X, Y))
                                 > 0.8, True),
    "model.fit(…).predict(X)": (lambda p: tuple(fitted().predict(X).shape), (150,)),
    "model.fit(lr=, n_epochs=)": (lambda p: SoftmaxClassifier(4, 3).fit(X, Y, lr=0.1, n_epochs=4).history.epochs, 4),
    "model.history": (lambda p: type(fitted().history), edunn.History),
    "model.predict_proba(X)": (lambda p: tuple(fitted().predict_proba(X).shape), (150, 3)),
    "model.predict_proba(X) of two": (
        lambda p: tuple(edunn.models.LogisticRegression(4).fit(X, Y > 0, epochs=5).predict_proba(X).shape), (150, 2)),
    "model.predict(a list)": (lambda p: len(fitted().predict(X.tolist())), 150),
    "edunn.train('flowers.toml')": (lambda p: edunn.train(str(toml(p)), p / "run").summary["epochs"], 5),
    "train.learning_rate in a config": (lambda p: edunn.train(toml(p), p / "run").summary["rate"], 0.1),
    "edunn.train(a dict)": (lambda p: trained(p).summary["rate"], 0.5),
    "edunn.train(a Config)": (lambda p: edunn.train(configs.parse(dict(TABLES)), p / "run").summary["epochs"], 3),
    "edunn.train(…, epochs=, lr=)": (lambda p: [*map(trained(p, epochs=2, lr=0.2).summary.get, ("epochs", "rate"))],
                                     [2, 0.2]),
    "edunn.train(…, force=True)": (lambda p: (trained(p), trained(p, force=True).summary["status"])[1], "finished"),
    # runs
    "edunn.load(run)": (lambda p: edunn.load(trained(p).path).summary["epochs"], 3),
    "load(run).predict(array)": (lambda p: len(trained(p).predict(np.zeros((4, 2)))), 4),
    "load(run).predict(a list)": (lambda p: len(trained(p).predict([[0.0, 1.0]])), 1),
    "load(run).predict(DataFrame)": (lambda p: edunn.train(toml(p), p / "run").predict(FRAME).score is not None, True),
    "load(run).predict('new.csv')": (lambda p: len(edunn.train(toml(p), p / "run").predict(str(p / "iris.csv"))), 150),
    "predictions.to_pandas()": (
        lambda p: list(edunn.train(toml(p), p / "run").predict(FRAME).to_pandas().columns)[:3],
        ["row", "prediction", "true"]),
    "run.plot.mistakes()": (lambda p: drawn(trained(p).plot.mistakes()), True),
    "run.plot.confusion()": (lambda p: drawn(trained(p).plot.confusion()), True),
    "run.plot.roc()": (lambda p: drawn(trained(p).plot.roc()), True),
    "run.plot()": (lambda p: drawn(trained(p).plot()), True),
    "run.plot.regions()": (lambda p: drawn(trained(p).plot.regions()), True),
    "tab on run.plot": (lambda p: {"templates", "mistakes", "roc", "calibration"} <= set(dir(trained(p).plot)), True),
    # results
    "history.plot()": (lambda p: drawn(descended(rate=0.1).plot()), True),
    "history.plot.accuracy()": (lambda p: drawn(descended(rate=0.1).plot.accuracy()), True),
    "history.to_pandas()": (lambda p: descended(rate=0.1).to_pandas().shape[0], 2),
    "pd.DataFrame(history.rows)": (lambda p: len(pd.DataFrame(descended(rate=0.1).rows)), 2),
    "history['val_loss']": (lambda p: len(descended(rate=0.1, val=(X, Y))["val_loss"]), 2),
    "history['acc']": (lambda p: len(descended(rate=0.1)["acc"]), 2),
    "surface.plot()": (lambda p: surface().plot().name, "3d"),
    "surface.plot.contour(path=history)": (
        lambda p: drawn(surface().plot.contour(path=edunn.descend(
            edunn.models.LogisticRegression(1), "bce", ([[0.0], [1.0]], [0, 1]), lr=0.5, epochs=5, snapshots=1
        ))), True),
    "surface.to_pandas()": (lambda p: surface().to_pandas().shape, (9, 9)),
    "grid(w=(low, high))": (lambda p: len(edunn.landscape.grid([0.0, 1.0], [0.0, 1.0], BinaryCrossEntropy(),
                                                               w=(-1, 1), b=(-1, 1, 5)).first), 256),
    "certificate.plot()": (
        lambda p: drawn(edunn.gradcheck.certify(LinearRegression(4), SquaredError(), (X, X[:, 0])).plot()), True),
    "samples.to_pandas()": (lambda p: edunn.Samples(FRAME, "kind").to_pandas().shape, (150, 5)),
    "edunn.read_csv": (lambda p: (FRAME.to_csv(p / "f.csv", index=False), len(edunn.read_csv(p / "f.csv",
                                                                                             target="kind")))[1], 150),
    "figures after plt.figure": (
        lambda p: (plt.figure(figsize=(9, 2)), descended(rate=0.1).plot())[1].figure.get_figwidth(), 9.0),
    "a figure on one of two axes": (
        lambda p: (lambda ax: descended(rate=0.1).plot(ax=ax) is ax)(plt.subplots(1, 2)[1][0]), True),
    "dir(edunn.losses)": (lambda p: "CrossEntropy" in dir(edunn.losses) and "annotations" not in dir(edunn.losses),
                          True),
    "hasattr(edunn, 'nn')": (lambda p: hasattr(edunn, "nn"), False),
    "hasattr(model, 'coef_')": (lambda p: hasattr(LinearRegression(2), "coef_"), False),
    "getattr(history, 'x', None)": (lambda p: getattr(descended(rate=0.1), "x", None), None),
}  # fmt: skip


@pytest.mark.parametrize("guess", UNDERSTOOD)
def test_a_guess_that_works(guess: str, tmp_path: Path) -> None:
    call, wanted = UNDERSTOOD[guess]
    assert call(tmp_path) == wanted


# what does not: a call, the error that Python expects besides, and the right name in the one sentence that answers
ANSWERED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "edunn.CrossEntropyLoss": (lambda: edunn.CrossEntropyLoss, AttributeError, r"edunn\.losses\.CrossEntropy\."),
    "edunn.LogisticRegression": (lambda: edunn.LogisticRegression, AttributeError, r"models\.LogisticRegression"),
    "edunn.nn": (lambda: edunn.nn, AttributeError, r"edunn\.models"),
    "edunn.optim.SGD": (lambda: edunn.optim.SGD, AttributeError, r"edunn\.updates"),
    "edunn.fit": (lambda: edunn.fit, AttributeError, r"edunn\.descend\("),
    "edunn.train_test_split": (lambda: edunn.train_test_split, AttributeError, r"split\(0\.2\)"),
    "edunn.StandardScaler": (lambda: edunn.StandardScaler, AttributeError, r"features\.Standardise"),
    "edunn.KNeighborsClassifier": (lambda: edunn.KNeighborsClassifier, AttributeError, "NearestNeighbours"),
    "edunn.load_digits": (lambda: edunn.load_digits, AttributeError, r"edunn\.data\.digits"),
    "edunn.descned": (lambda: edunn.descned, AttributeError, "descend"),
    "losses.MSELoss": (lambda: edunn.losses.MSELoss, AttributeError, "SquaredError"),
    "losses.BCEWithLogitsLoss": (lambda: edunn.losses.BCEWithLogitsLoss, AttributeError, "BinaryCrossEntropy"),
    "losses.NLLLoss": (lambda: edunn.losses.NLLLoss, AttributeError, "CrossEntropy"),
    "losses.L1Loss": (lambda: edunn.losses.L1Loss, AttributeError, "AbsoluteError"),
    "updates.SGD": (lambda: edunn.updates.SGD, AttributeError, "GradientDescent"),
    "updates.StepLR": (lambda: edunn.updates.StepLR, AttributeError, "StepDecay"),
    "models.MLPClassifier": (lambda: edunn.models.MLPClassifier, AttributeError, "TwoLayerNet"),
    "models.LinearSVC": (lambda: edunn.models.LinearSVC, AttributeError, "LinearSVM"),
    "layers.Dense": (lambda: edunn.layers.Dense, AttributeError, "Linear"),
    "penalties.Ridge": (lambda: edunn.penalties.Ridge, AttributeError, "L2"),
    "data.make_moons": (lambda: edunn.data.make_moons, AttributeError, r"load\('moons'\)"),
    "data.load_iris": (lambda: edunn.data.load_iris, AttributeError, "has no 'load_iris'"),
    "metrics.roc_auc_score": (lambda: edunn.metrics.roc_auc_score, AttributeError, r"roc\("),
    "metrics.classification_report": (lambda: edunn.metrics.classification_report, AttributeError, "class_report"),
    "metrics.confusion_matrix": (lambda: edunn.metrics.confusion_matrix, AttributeError, "confusion_counts"),
    "figures.plot_loss": (lambda: edunn.figures.plot_loss, AttributeError, "loss_curves"),
    "figures.plot_surface": (lambda: edunn.figures.plot_surface, AttributeError, "surface_3d"),
    "model.coef_": (lambda: LinearRegression(2).coef_, AttributeError, r"model\.weight"),
    "model.summary()": (lambda: LinearRegression(2).summary(), AttributeError, r"print\(model\)"),
    "model.evaluate(X, y)": (lambda: LinearRegression(2).evaluate(X, Y), AttributeError, r"model\.score"),
    "model.wieght": (lambda: LinearRegression(2).wieght, AttributeError, "weight"),
    "history.history['loss']": (lambda: descended(rate=0.1).history["loss"], AttributeError, r"history\['loss'\]"),
    "history.to_dataframe()": (lambda: descended(rate=0.1).to_dataframe(), AttributeError, r"to_pandas\(\)"),
    "history['los']": (lambda: descended(rate=0.1)["los"], ValueError, "Did you mean 'loss'"),
    "surface.z": (lambda: surface().z, AttributeError, r"surface\.values"),
    "surface.plot.countour": (lambda: surface().plot.countour(), AttributeError, "contour"),
    "samples.X": (lambda: edunn.Samples(X, Y).X, AttributeError, r"samples\.features"),
    "samples.y": (lambda: edunn.Samples(X, Y).y, AttributeError, r"samples\.targets"),
    "samples.head()": (lambda: edunn.Samples(X, Y).head(), AttributeError, r"to_pandas\(\)\.head"),
    "samples.shape": (lambda: edunn.Samples(X, Y).shape, AttributeError, r"features\.shape"),
    "digits.data": (lambda: edunn.data.digits().data, AttributeError, r"train\.features"),
    "descend without a rate": (lambda: descended(), TypeError, "rate"),
    "descend(learnig_rate=)": (lambda: descended(learnig_rate=0.1), TypeError, "Did you mean rate"),
    "descend(momentum=)": (lambda: descended(rate=0.1, momentum=0.9), TypeError, r"updates\.Momentum"),
    "descend(weight_decay=)": (lambda: descended(rate=0.1, weight_decay=0.1), TypeError, r"penalties\.L2"),
    "descend(verbose=)": (lambda: descended(rate=0.1, verbose=1), TypeError, "after_epoch"),
    "descend(lr=, rate=)": (lambda: descended(rate=0.1, lr=0.1), TypeError, "given rate twice"),
    "descend(model, X, y)": (lambda: edunn.descend(SoftmaxClassifier(4, 3), X, Y, rate=0.1), ValueError,
                             "model, loss, samples"),
    "descend(torch's loss)": (
        lambda: edunn.descend(SoftmaxClassifier(4, 3), torch.nn.CrossEntropyLoss(), (X, Y), rate=0.1), ValueError,
        r"edunn\.losses\.CrossEntropy\(\)"),
    "descend(the loss's class)": (lambda: edunn.descend(SoftmaxClassifier(4, 3), CrossEntropy, (X, Y), rate=0.1),
                                  ValueError, r"Call it: CrossEntropy\(\)"),
    "descend(torch's optimiser)": (lambda: descended(rate=0.1, optimizer=torch.optim.Adam), ValueError,
                                   r"edunn\.updates\.Adam\(\)"),
    "descend(penalty=0.1)": (lambda: descended(rate=0.1, penalty=0.1), ValueError, r"penalties\.L2\(0\.1\)"),
    "descend(the model's class)": (lambda: edunn.descend(SoftmaxClassifier, CrossEntropy(), (X, Y), rate=0.1),
                                   ValueError, "Call it"),
    "SoftmaxClassifier(4)": (lambda: SoftmaxClassifier(4), TypeError, "classes"),
    "SoftmaxClassifier(in_features=)": (lambda: SoftmaxClassifier(in_features=4, classes=3), TypeError,
                                        "Did you mean features"),
    "LogisticRegression(C=)": (lambda: edunn.models.LogisticRegression(4, C=1.0), TypeError, r"penalties\.L2"),
    "TwoLayerNet(hidden_layer_sizes=)": (lambda: edunn.models.TwoLayerNet(4, 3, hidden_layer_sizes=5), TypeError,
                                         "Did you mean hidden"),
    "Adam(lr=)": (lambda: edunn.updates.Adam(lr=0.1), TypeError, r"option of edunn\.descend"),
    "L2(lam=)": (lambda: edunn.penalties.L2(lam=0.1), TypeError, "Did you mean strength"),
    "CrossEntropy(reduction=)": (lambda: CrossEntropy(reduction="sum"), TypeError, "mean over the samples"),
    "edunn.train(model)": (lambda: edunn.train(SoftmaxClassifier(4, 3)), ValueError, r"edunn\.descend\("),
    "edunn.train(…, lr=, rate=)": (lambda: edunn.train(TABLES, lr=0.1, rate=0.1), TypeError, "given rate twice"),
    "edunn.load of no run": (lambda: edunn.load("/nowhere"), ValueError, "no such folder"),
    "ax=the figure": (lambda: descended(rate=0.1).plot(ax=plt.figure()), TypeError, "add_subplot"),
    "roc of probabilities of both": (
        lambda: edunn.metrics.roc([0, 1], [[0.1, 0.9], [0.8, 0.2]]), ValueError, r"\[:, 1\]"),
}  # fmt: skip


@pytest.mark.parametrize("guess", ANSWERED)
def test_a_guess_that_is_answered(guess: str) -> None:
    """By one sentence or two with the right name; an EdunnError, and the kind that Python expects."""
    call, kind, message = ANSWERED[guess]
    with pytest.raises(EdunnError, match=message) as raised:
        call()
    assert isinstance(raised.value, kind)
    assert len(str(raised.value).splitlines()) == 1
