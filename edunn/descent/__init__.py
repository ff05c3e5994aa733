"""The loops: full-batch, mini-batch and single-sample descent, written out.

One step is four verbs: scores, loss, gradient, update. `batch_size=None` takes all samples at once (full; some
lectures call it batch descent), `batch_size=k` takes k at a time (mini; another lecture calls this one batch
descent), and `batch_size=1` takes one at a time (single; stochastic, or online, descent).
"""

from ..penalties import add_penalty, constrain
from .batches import draw
from .checks import check_options, check_part
from .lockstep import Lockstep, lockstep
from .loop import Descent, descend, evaluate, is_linear, restore
from .progress import Ending, Progress
from .stability import largest_curvature, stable_rate
from .stack import Stack, grouped, together, vary
from .steppers import ByAutograd, ByHand, Gradients, Stepper

__all__ = [
    "ByAutograd",
    "ByHand",
    "Descent",
    "Ending",
    "Gradients",
    "Lockstep",
    "Progress",
    "Stack",
    "Stepper",
    "add_penalty",
    "check_options",
    "check_part",
    "constrain",
    "descend",
    "draw",
    "evaluate",
    "grouped",
    "is_linear",
    "largest_curvature",
    "lockstep",
    "restore",
    "stable_rate",
    "together",
    "vary",
]
