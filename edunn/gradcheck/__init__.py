"""Checks hand-derived gradients against autograd, five-point differences and a Taylor test.

    certify(model, loss, samples, penalty)     a whole objective, each term and parameter separately
    certify_function(value, gradient, x=…)     a plain function; likewise certify_loss, _activation, _penalty, _layer
    everything(seed)                           every hand-derived gradient of this package

`edunn.gradcheck.diagnosis.explain(certificate)` names the likely mistake in each row that is wrong.
"""

from . import parity
from .catalogue import everything
from .certificate import Certificate, Row, reading
from .claim import Claim
from .compare import check
from .components import certify_activation, certify_function, certify_layer, certify_loss, certify_penalty
from .objective import Ingredients, certify

__all__ = [
    "Certificate",
    "Claim",
    "Ingredients",
    "Row",
    "certify",
    "certify_activation",
    "certify_function",
    "certify_layer",
    "certify_loss",
    "certify_penalty",
    "check",
    "everything",
    "parity",
    "reading",
]
