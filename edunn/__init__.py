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

from .version import __version__ as __version__

MODULES = (
    "activations", "data", "descent", "differences", "errors", "exercises", "experiment", "features", "figures",
    "gradcheck", "graph", "history", "landscape", "layers", "lessons", "losses", "metrics", "minimise", "models",
    "neighbours", "penalties", "play", "results", "runtime", "selection", "updates",
)  # fmt: skip

NAMES = {
    "EdunnError": "errors",
    "History": "history",
    "Samples": "data",
    "descend": "descent",
    "load": "experiment",
    "train": "experiment",
}


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in NAMES:
        module = importlib.import_module(f".{NAMES[name]}", __name__)
        # `descent.descend` and the like: kept here, so that the next access is a plain attribute
        globals()[name] = value = getattr(module, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*MODULES, *NAMES, "__version__"])
