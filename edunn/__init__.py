"""edunn: losses, linear models and descent loops with hand-derived gradients, on PyTorch.

    import edunn
    digits = edunn.data.digits()
    model = edunn.models.SoftmaxClassifier(64, 10)
    edunn.descend(model, edunn.losses.CrossEntropy(), digits.train, rate=1.0, batch_size=128, epochs=50)

Every public name is loaded on first use (PEP 562), so that `import edunn` and `edunn --help` load neither torch nor
matplotlib.
"""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UnknownNameError
from .runtime import guesses, late
from .version import __version__ as __version__

MODULES = (
    "activations", "data", "descent", "differences", "errors", "exercises", "experiment", "features", "figures",
    "gradcheck", "graph", "history", "landscape", "layers", "lessons", "losses", "metrics", "minimise", "models",
    "neighbours", "penalties", "play", "results", "runtime", "selection", "updates",
)  # fmt: skip

# name -> its module, and what it is called there
NAMES = {
    "EdunnError": ("errors", "EdunnError"),
    "History": ("history", "History"),
    "Samples": ("data", "Samples"),
    "descend": ("descent", "descend"),
    "load": ("experiment", "load"),
    "read_csv": ("data", "read_csv"),
    "train": ("experiment", "train"),
}

# What users of torch, scikit-learn, Keras and pandas look for here.
HINTS = {
    "fit": "Train a model with edunn.descend(model, loss, samples, rate=0.1), or model.fit(X, y).",
    "nn": "Models are in edunn.models, layers in edunn.layers, losses in edunn.losses.",
    "optim": "Update rules are in edunn.updates: edunn.descend(…, rule=edunn.updates.Adam()).",
    "optimizers": "Update rules are in edunn.updates: edunn.descend(…, rule=edunn.updates.Adam()).",
    "keras": "Models are in edunn.models, losses in edunn.losses; edunn.descend trains.",
    "datasets": "Data sets are in edunn.data: edunn.data.digits(), edunn.data.load('moons').",
    "utils": "Samples are split by samples.split(0.2); devices and threads are in edunn.runtime.",
    "plot": "Results draw themselves, as history.plot(); all figures are in edunn.figures.",
    "plt": "Results draw themselves, as history.plot(); all figures are in edunn.figures.",
    "model_selection": "Samples are split by samples.split(0.2); edunn.selection.grid_search tries values.",
    "train_test_split": "Write train, test = edunn.Samples(X, y).split(0.2).",
    "GridSearchCV": "It is edunn.selection.grid_search.",
    "cross_val_score": "It is edunn.selection.cross_validate.",
    "KNeighborsClassifier": "It is edunn.neighbours.NearestNeighbours(k).",
    "StandardScaler": "It is edunn.features.Standardise.fit(X).",
    "preprocessing": "Columns are scaled by edunn.features.Standardise.fit(X).",
    "DataLoader": "A loader is not needed: edunn.descend(…, samples, batch_size=32).",
    "Dataset": "It is edunn.Samples(X, y), which takes arrays, frames, tensors and torch datasets.",
    "DataFrame": "edunn.Samples(frame, 'target') takes a DataFrame of pandas.",
    "Tensor": "Tensors are torch's.",
    "tensor": "Tensors are torch's: torch.tensor(…).",
    "Sequential": "Layers are joined by edunn.layers.Chain; edunn.models.TwoLayerNet has one hidden layer.",
    "grad": "edunn.gradcheck.certify compares gradients; edunn.differences.gradient is the numeric one.",
    "check_gradients": "It is edunn.gradcheck.certify(model, loss, samples).",
    "gradient_check": "It is edunn.gradcheck.certify(model, loss, samples).",
    "manual_seed": "Each function that draws random numbers has seed=….",
    "set_seed": "Each function that draws random numbers has seed=….",
    "predict": "It is model.predict(X), or edunn.load(run).predict(X).",
    "save": "edunn.train writes a run's folder; torch.save(model.state_dict(), path) saves weights alone.",
    "load_csv": "It is edunn.read_csv(path, target='column').",
    "read_table": "It is edunn.read_csv(path, target='column').",
}

# where a name is looked for that is not here, before the message is written
SHELVES = (
    "losses", "models", "updates", "penalties", "activations", "layers", "data", "features", "landscape", "figures",
    "gradcheck", "metrics", "neighbours", "selection", "descent", "experiment",
)  # fmt: skip

late.FUNCTIONS["fit"] = lambda: importlib.import_module(".descent.fit", __name__).fit


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in NAMES:
        place, there = NAMES[name]
        module = importlib.import_module(f".{place}", __name__)
        # `descent.descend` and the like: kept here, so that the next access is a plain attribute
        globals()[name] = value = getattr(module, there)
        return value
    raise UnknownNameError(missing(name))


def missing(name: str) -> str:
    """Returns the message for a name that is not here, and says where it is if another module has it."""
    if name not in HINTS and not name.startswith("_"):
        for exactly in (True, False):
            for shelf in SHELVES:
                module = importlib.import_module(f".{shelf}", __name__)
                if found := guesses.same_thing(name, dir(module), exactly):
                    return f"edunn has no {name!r}. It is edunn.{shelf}.{found}."
    return guesses.unknown_name(name, [*MODULES, *NAMES], "edunn", HINTS)


def __dir__() -> list[str]:
    return sorted([*MODULES, *NAMES, "__version__"])
