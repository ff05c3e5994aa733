"""numpy's names on torch tensors: runs a hand-in that is written in numpy so that autograd follows its own value.

It is the oracle of `foreign.py`, and knows nothing of the checker: what autograd says of the value that the hand-in
computes is the truth about its gradient. Setting an entry makes a new tensor, so that no step undoes another's graph.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor


def unwrap(value: Any) -> Any:
    """Returns a value as torch takes it: lists and ranges of indices too."""
    if isinstance(value, Array):
        return value.t
    if isinstance(value, tuple):
        return tuple(unwrap(one) for one in value)
    if isinstance(value, range):
        return list(value)
    if isinstance(value, list):
        return [unwrap(one) for one in value]
    if isinstance(value, numpy.ndarray):
        return torch.from_numpy(numpy.asarray(value))
    return value


def tensor(value: Any) -> Tensor:
    if isinstance(value, list | tuple):
        return torch.stack([tensor(one) for one in value])
    found = unwrap(value)
    if isinstance(found, Tensor):
        return found.double() if found.dtype in (torch.bool, torch.float32) else found
    return torch.as_tensor(found, dtype=torch.float64 if isinstance(found, float) else None)


def index(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(index(one) for one in value)
    found = unwrap(value)
    return [int(one) for one in found] if isinstance(found, list) else found


def number(function: Callable[[Tensor, Tensor], Tensor], swap: bool = False) -> Callable[[Any, Any], Any]:
    def operate(self: Array, other: Any) -> Array:
        first, second = tensor(self), tensor(other)
        return Array(function(second, first) if swap else function(first, second))

    return operate


def compare(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Any], Any]:
    return lambda self, other: Array(function(self.t, torch.as_tensor(unwrap(other))))


class Array:
    """An array of numpy that is a tensor."""

    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    def __init__(self, t: Tensor) -> None:
        self.t = t

    shape = property(lambda self: tuple(self.t.shape))
    ndim = property(lambda self: self.t.ndim)
    size = property(lambda self: self.t.numel())
    dtype = property(lambda self: numpy.float64)
    T = property(lambda self: Array(self.t.permute(*range(self.t.ndim - 1, -1, -1))))
    __add__ = __radd__ = number(torch.add)
    __sub__, __rsub__ = number(torch.sub), number(torch.sub, swap=True)
    __mul__ = __rmul__ = number(torch.mul)
    __truediv__, __rtruediv__ = number(torch.div), number(torch.div, swap=True)
    __pow__ = number(torch.pow)
    __lt__, __le__, __gt__, __ge__ = compare(torch.lt), compare(torch.le), compare(torch.gt), compare(torch.ge)
    __eq__, __ne__ = compare(torch.eq), compare(torch.ne)  # type: ignore[assignment]

    def __iadd__(self, other: Any) -> Array:
        self.t = tensor(self) + tensor(other)
        return self

    def __isub__(self, other: Any) -> Array:
        self.t = tensor(self) - tensor(other)
        return self

    def __imul__(self, other: Any) -> Array:
        self.t = tensor(self) * tensor(other)
        return self

    def __itruediv__(self, other: Any) -> Array:
        self.t = tensor(self) / tensor(other)
        return self

    def __neg__(self) -> Array:
        return Array(-tensor(self))

    def __invert__(self) -> Array:
        return Array(~self.t)

    def __matmul__(self, other: Any) -> Array:
        first, second = tensor(self), tensor(other)
        return Array(first * second if 0 in (first.ndim, second.ndim) else first @ second)

    dot = __matmul__

    def __getitem__(self, key: Any) -> Array:
        return Array(self.t[index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        new = self.t.clone()
        new[index(key)] = tensor(value).to(new.dtype)
        self.t = new

    def __len__(self) -> int:
        return len(self.t)

    def __iter__(self) -> Any:
        return (Array(one) for one in self.t)

    def __bool__(self) -> bool:
        return bool(self.t)

    def __float__(self) -> float:
        return float(self.t)

    def __int__(self) -> int:
        return int(self.t)

    __index__ = __int__

    def sum(self, axis: Any = None, keepdims: bool = False) -> Array:
        t = tensor(self)
        return Array(t.sum() if axis is None else t.sum(axis, keepdim=keepdims))

    def mean(self, axis: Any = None, keepdims: bool = False) -> Array:
        t = tensor(self)
        return Array(t.mean() if axis is None else t.mean(axis, keepdim=keepdims))

    def var(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Array:
        t = tensor(self)
        axes = tuple(range(t.ndim)) if axis is None else axis
        return Array(t.var(axes, correction=ddof, keepdim=keepdims))

    def max(self, axis: Any = None, keepdims: bool = False) -> Array:
        return Array(self.t.max() if axis is None else self.t.amax(axis, keepdim=keepdims))

    def min(self, axis: Any = None, keepdims: bool = False) -> Array:
        return Array(self.t.min() if axis is None else self.t.amin(axis, keepdim=keepdims))

    def reshape(self, *shape: Any) -> Array:
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return Array(self.t.reshape(tuple(int(one) for one in sizes)))

    def copy(self) -> Array:
        return Array(self.t.clone())

    def astype(self, kind: Any) -> Array:
        return Array(self.t.long() if kind in (int, numpy.int64) else self.t.double())

    def flatten(self) -> Array:
        return Array(self.t.reshape(-1))

    ravel = flatten

    def transpose(self, *axes: int) -> Array:
        return Array(self.t.permute(*(axes or range(self.t.ndim - 1, -1, -1))))


def elementwise(function: Callable[[Tensor], Tensor]) -> Callable[[Any], Array]:
    return lambda value: Array(function(tensor(value).double()))


def method(name: str) -> Callable[..., Any]:
    return lambda value, *rest, **options: getattr(Array(tensor(value)), name)(*rest, **options)


def sizes(shape: Any) -> tuple[int, ...]:
    return tuple(int(one) for one in shape) if isinstance(shape, tuple | list) else (int(shape),)


def make_numpy() -> types.ModuleType:
    """Returns a module with the names of numpy that hand-ins use."""
    np = types.ModuleType("numpy")
    names: dict[str, Any] = {
        name: elementwise(getattr(torch, name))
        for name in ("exp", "log", "sqrt", "abs", "tanh", "sign", "square", "log1p")
    }
    names |= {name: method(name) for name in ("sum", "mean", "var", "max", "min", "reshape", "transpose", "ravel")}
    names |= {
        "ndarray": Array, "newaxis": None, "pi": numpy.pi, "e": numpy.e, "float32": numpy.float64,
        "float64": numpy.float64, "int64": numpy.int64, "errstate": numpy.errstate,
        "random": types.SimpleNamespace(
            seed=numpy.random.seed, default_rng=Generator,
            rand=lambda *shape: Array(torch.from_numpy(numpy.asarray(numpy.random.rand(*shape)))),
            randn=lambda *shape: Array(torch.from_numpy(numpy.asarray(numpy.random.randn(*shape)))),
        ),
        "maximum": lambda a, b: Array(torch.maximum(*torch.broadcast_tensors(tensor(a).double(), tensor(b).double()))),
        "minimum": lambda a, b: Array(torch.minimum(*torch.broadcast_tensors(tensor(a).double(), tensor(b).double()))),
        "where": lambda c, a, b: Array(torch.where(unwrap(c), tensor(a).double(), tensor(b).double())),
        "power": lambda a, b: Array(torch.pow(tensor(a), tensor(b))),
        "dot": lambda a, b: Array(tensor(a)) @ b, "matmul": lambda a, b: Array(tensor(a)) @ b,
        "zeros": lambda shape, *_, **__: Array(torch.zeros(sizes(shape), dtype=torch.float64)),
        "ones": lambda shape, *_, **__: Array(torch.ones(sizes(shape), dtype=torch.float64)),
        "zeros_like": lambda a, *_, **__: Array(torch.zeros(tensor(a).shape, dtype=torch.float64)),
        "ones_like": lambda a, *_, **__: Array(torch.ones(tensor(a).shape, dtype=torch.float64)),
        "arange": lambda *given: Array(torch.arange(*(int(one) for one in given))),
        "eye": lambda n: Array(torch.eye(int(n), dtype=torch.float64)),
        "array": lambda a, *_, **__: Array(tensor(a).clone()), "asarray": lambda a, *_, **__: Array(tensor(a)),
        "squeeze": lambda a: Array(tensor(a).squeeze()), "size": lambda a: tensor(a).numel(),
        "shape": lambda a: tuple(tensor(a).shape), "clip": lambda a, low, high: Array(tensor(a).clamp(low, high)),
        "outer": lambda a, b: Array(torch.outer(tensor(a), tensor(b))),
    }  # fmt: skip
    vars(np).update(names)
    return np


class Generator:
    """numpy.random.Generator, whose arrays are these."""

    def __init__(self, seed: Any = None) -> None:
        self.own = numpy.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **options: Array(torch.as_tensor(getattr(self.own, name)(*given, **options)))
