"""The forms in which courses hand out gradients: how each is called, as a value and its gradients by argument.

    pairs        functions that belong together by their names: cost and gradient, NAME_forward and NAME_backward
    instances    classes that are constructed, keep parameters, and have forward and backward
    nets         classes with a method that returns (loss, gradients) in the parameters that they keep
    engines      numbers that record what is done with them, and a backward that fills in their grad
    extensions   torch.autograd.Function

Each makes `Handin`s: one that the names of its arguments allow to be several exercises has the others beside it.
"""

from .find import find_forms

__all__ = ["find_forms"]
