"""The loops: full-batch, mini-batch and single-sample descent, written out.

One step is four verbs: scores, loss, gradient, update. `batch_size=None` takes all samples at once (full; some
lectures call it batch descent), `batch_size=k` takes k at a time (mini; another lecture calls this one batch
descent), and `batch_size=1` takes one at a time (single; stochastic, or online, descent).
"""

from ..penalties import add_penalty, constrain
from .batches import draw
from .checks import check_options, check_part
from .journal import Ending, Journal, Progress
from .lockstep import Lockstep, lockstep
from .loop import Descent, Loop, descend, evaluate, scores_of
from .options import Options
from .rate_range import RateRange, find_rate
from .stability import largest_curvature, stable_rate
from .stack import Stack, group_by_kind, train_together, vary
from .steppers import ByAutograd, ByHand, Stepper

__all__ = [
    "ByAutograd",
    "ByHand",
    "Descent",
    "Ending",
    "Journal",
    "Lockstep",
    "Loop",
    "Options",
    "Progress",
    "RateRange",
    "Stack",
    "Stepper",
    "add_penalty",
    "check_options",
    "check_part",
    "constrain",
    "descend",
    "draw",
    "evaluate",
    "find_rate",
    "group_by_kind",
    "largest_curvature",
    "lockstep",
    "scores_of",
    "stable_rate",
    "train_together",
    "vary",
]
