"""Is my gradient right? Hand-derived gradients against autograd, five-point differences and a Taylor test.

certify(model, loss, samples, penalty)   a whole objective, every term and parameter apart
check(subject)                           anything with a scalar value and a gradient
everything(seed)                         all that this package derived by hand
"""

from .catalogue import everything
from .certificate import Certificate, Row, reading
from .compare import check
from .objective import Ingredients, certify
from .subjects import Subject

__all__ = ["Certificate", "Ingredients", "Row", "Subject", "certify", "check", "everything", "reading"]
