"""The loops: full-batch, mini-batch and single-sample descent, written out.

One step is four verbs: scores, loss, gradient, update. `batch_size=None` takes all samples at once (full; some
lectures call it batch descent), `batch_size=k` takes k at a time (mini; another lecture calls this one batch
descent), and `batch_size=1` takes one at a time (single; stochastic, or online, descent).
"""

from ..penalties import add_penalty, constrain
from .batches import draw
from .checks import check_options, check_part
from .loop import Descent, descend, evaluate, is_linear, restore
from .progress import Ending, Progress
from .steppers import ByAutograd, ByHand, Gradients, Stepper

__all__ = [
    "ByAutograd",
    "ByHand",
    "Descent",
    "Ending",
    "Gradients",
    "Progress",
    "Stepper",
    "add_penalty",
    "check_options",
    "check_part",
    "constrain",
    "descend",
    "draw",
    "evaluate",
    "is_linear",
    "restore",
]
