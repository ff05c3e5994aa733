"""A pretend CUDA device: values on the CPU, in tensors that say they are on `cuda:0`.

`pretend_device()` makes one. Inside it `tensor.to("cuda")` and factories with `device="cuda"` give a `Pretend`, which
holds a CPU tensor. To torch's own code, which on many machines knows no CUDA, it is on the device `meta:0`; `Calls`
shows `cuda:0` to Python. Every operation goes through `Device.run`, which

- refuses what a GPU refuses: an operation that mixes devices (a CPU number of shape () is allowed where CUDA allows
  it), a CPU generator for numbers drawn on the device, a wait while a graph is recorded;
- notes what makes the host wait for the device (`waits`), each copy from unpinned memory to it (`uploads`), and
  numbers drawn there (`draws`);
- computes the rest on the CPU, so that values decide as they do on a GPU.

A CUDA graph is recorded as the list of its operations, which change nothing until they are replayed.

torch's `FakeTensorMode` refuses mixed devices too, but has no values, and the first check of finite features needs one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
CUDA, META = torch.device("cuda", 0), torch.device("meta", 0)
GETTERS: dict[Any, Any] = {
    Tensor.device.__get__: CUDA,
    Tensor.is_cuda.__get__: True,
    Tensor.is_meta.__get__: False,
}

COPIES = {aten._to_copy.default, aten.copy_.default}
WAITS = {  # the host needs a value, or the size of a result, that only the device knows
    "_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
    "unique_dim_consecutive", "bincount", "repeat_interleave", "_linalg_eigh", "_linalg_svd", "linalg_lstsq",
    "_linalg_solve_ex", "histc",
}  # fmt: skip
TAKE_NUMBERS = {"fill", "fill_", "masked_fill", "masked_fill_", "index_put", "index_put_"}  # besides pointwise ones
TAKE_INDICES = {"index", "index_put", "index_put_"}  # which may be on the CPU


class Mixed(RuntimeError):
    """An operation whose tensors are on different devices."""


class Pretend(Tensor):
    """A tensor on the pretend device. `inner` has its values, on the CPU."""

    inner: Tensor
    owner: Device
    device = property(lambda self: CUDA)  # type: ignore[assignment]
    is_cuda, is_meta = True, False  # type: ignore[assignment]
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor, owner: Device) -> Pretend:
        self: Pretend = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=META,
            requires_grad=False,
        )
        self.inner, self.owner = inner.detach(), owner
        return self

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation where no mode is on, as after `pretend_device`."""
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Pretend)]
        return tensors[0].owner.run(function, args, kwargs or {})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, self.requires_grad)
        memo[id(self)] = copy
        return copy

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Pretend({self.inner!r})"


class Device:
    """The device: runs the operations, and keeps notes."""

    def __init__(self) -> None:
        self.waits: list[str] = []
        self.uploads: list[str] = []
        self.draws: list[str] = []
        self.pinned: dict[int, Tensor] = {}
        self.recording: Graph | None = None

    def run(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Runs one operation of torch."""
        name = function.overloadpacket.__name__
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        there = any(isinstance(value, Pretend) for value in tensors)
        assert all(isinstance(value, Pretend) or value.device != META for value in tensors), f"{name} has no values"
        target = kwargs.get("device")
        to_device = there if target is None else target == META
        if there:
            self.check(function, name, args, tensors)
        if (there or to_device) and torch.Tag.nondeterministic_seeded in function.tags:
            self.draw(name, [*args, kwargs.get("generator")])
        if target == META:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        if function in COPIES:
            into = args[0] if function is aten.copy_.default else None
            source = args[1] if function is aten.copy_.default else args[0]
            to_device = isinstance(into, Pretend) if into is not None else to_device
            self.copy(source, to_device)
        if name == "record_stream":
            return None
        inner_args, inner_kwargs = tree_map(inner, (args, kwargs))
        if not to_device:
            return function(*inner_args, **inner_kwargs)
        if self.recording is not None:
            self.recording.before(function, inner_args, inner_kwargs)
        result = function(*inner_args, **inner_kwargs)
        if self.recording is not None:
            self.recording.after(function, inner_args, inner_kwargs, result)
        same = {id(value.inner): value for value in tensors if isinstance(value, Pretend)}

        def outer(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            found = same.get(id(value))
            if found is None:
                return Pretend(value, self)
            if found.shape != value.shape:  # as `squeeze_` does, also inside torch's own matmul
                with no_dispatch():
                    function(*args, **kwargs)
            return found

        return tree_map(outer, result)

    def check(self, function: Any, name: str, args: Any, tensors: list[Tensor]) -> None:
        """Refuses mixed devices, and notes a wait."""
        if function not in COPIES:
            numbers = torch.Tag.pointwise in function.tags or name in TAKE_NUMBERS
            indices = {id(index) for index in args[1] if index is not None} if name in TAKE_INDICES else set()
            for position, value in enumerate(tensors):
                if isinstance(value, Pretend):
                    continue
                if id(value) in indices:
                    self.uploads.append(f"{name} by an index {where()}")
                elif not (numbers and value.ndim == 0 and not (position == 0 and function._schema.is_mutable)):
                    shapes = ", ".join(f"{tuple(t.shape)} on {t.device}" for t in tensors)
                    raise Mixed(f"{name} mixes devices, {where()}: {shapes}")
            masks = (torch.bool, torch.uint8)
            masked = name in TAKE_INDICES and any(i is not None and i.dtype in masks for i in args[1])
            if masked and (name == "index" or args[2].ndim):  # a number under a mask is a masked_fill
                self.wait(f"{name} by a mask")
        if name in WAITS:
            self.wait(name)

    def copy(self, source: Tensor, to_device: bool) -> None:
        """Notes a copy between the devices."""
        if isinstance(source, Pretend) and not to_device:
            self.wait("a copy to the CPU")
        if not isinstance(source, Pretend) and to_device and source.ndim and id(source) not in self.pinned:
            if self.recording is not None:
                raise RuntimeError(f"A copy from unpinned memory while a graph is recorded, {where()}.")
            self.uploads.append(f"copy {where()}")

    def wait(self, why: str) -> None:
        if self.recording is not None:
            raise RuntimeError(f"{why} waits for the device while a graph is recorded, {where()}.")
        self.waits.append(f"{why} {where()}")

    def draw(self, name: str, values: list[Any]) -> None:
        if any(isinstance(value, torch.Generator) for value in values):
            raise RuntimeError(f"{name} on cuda wants a generator of its device, {where()}.")
        self.draws.append(f"{name} {where()}")

    def synchronize(self, *_: Any) -> None:
        self.wait("synchronize")


class Graph:
    """A recorded graph: its operations are run, undone, and run again at each replay."""

    def __init__(self) -> None:
        self.tape: list[tuple[Any, Any, Any, Any]] = []
        self.undo: list[tuple[Tensor, Tensor]] = []

    def before(self, function: Any, args: Any, kwargs: Any) -> None:
        if function._schema.is_mutable:
            written = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
            self.undo += [(value, value.clone()) for value in written]

    def after(self, function: Any, args: Any, kwargs: Any, result: Any) -> None:
        self.tape.append((function, args, kwargs, result))

    def end(self) -> None:
        for value, before in reversed(self.undo):
            if 0 not in value.stride() or value.numel() == 1:
                value.copy_(before)

    def replay(self) -> None:
        with torch.no_grad():
            for function, args, kwargs, old in self.tape:
                new = function(*args, **kwargs)
                for one, other in zip(tree_flatten(new)[0], tree_flatten(old)[0], strict=True):
                    if isinstance(one, Tensor) and one.data_ptr() != other.data_ptr():  # neither in place nor a view
                        other.copy_(one)


class Stream:
    """A stream or event that does nothing: here every operation ends before the next begins."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> Callable[..., Stream]:
        return lambda *_, **__: self


class Operations(TorchDispatchMode):
    """Hands torch's operations to the device."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.device.run(function, args, kwargs or {})


class Calls(TorchFunctionMode):
    """Rewrites calls: `cuda` reads `meta:0` on the way in and `cuda:0` on the way out, and pinned memory is noted."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in GETTERS:
            value = args[0]
            while torch._C._functorch.is_functorch_wrapped_tensor(value):
                value = torch._C._functorch.get_unwrapped(value)
            return GETTERS[function] if isinstance(value, Pretend) else function(value)
        if function is Tensor.cuda:
            return args[0].to(META)
        if function in (Tensor.numpy, Tensor.__array__) and isinstance(args[0], Pretend):
            raise TypeError(f"A tensor on cuda:0 has no numpy array, {where()}.")
        if function is Tensor.tolist:
            return args[0].cpu().tolist()
        if function == Tensor.data.__set__ and isinstance(args[0], Pretend):
            args[0].inner = args[1].inner
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            index = tuple(torch.tensor(part) if isinstance(part, list) else part for part in index)
            return function(args[0], index, *args[2:])
        pinned = kwargs.get("pin_memory") or function is Tensor.pin_memory
        if function is Tensor.pin_memory:
            function = Tensor.clone
        if function is torch.device:
            return function(*args, **kwargs)
        kwargs = {key: as_meta(value) for key, value in kwargs.items() if key != "pin_memory"}
        if function is Tensor.new_tensor:
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype} | kwargs).to(args[0])
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == META:
            # torch would not even look at the values of a meta tensor
            return function(*args, **{**kwargs, "device": None}).to(META)
        result = function(*map(as_meta, args), **kwargs)
        if pinned:
            self.device.pinned[id(result)] = result
        return result


def as_meta(value: Any) -> Any:
    named = isinstance(value, str) and value.partition(":")[0] == "cuda"
    return META if named or (isinstance(value, torch.device) and value.type == "cuda") else value


def inner(value: Any) -> Any:
    return value.inner if isinstance(value, Pretend) else value


def where() -> str:
    """Returns the line of the package that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "edunn" in path.parts:
            return f"at {'/'.join(path.parts[path.parts.index('edunn') :])}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "in a test"


@contextmanager
def pretend_device() -> Iterator[Device]:
    """Makes `cuda` the pretend device, also in the threads that start inside."""
    device = Device()
    run_thread = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        with Calls(device), Operations(device):
            run_thread(thread)

    @contextmanager
    def record(graph: Graph, **_: Any) -> Iterator[None]:
        device.recording = graph
        try:
            yield
        finally:
            device.recording = None
            graph.end()

    pretended = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: "a pretend device",
        "synchronize": device.synchronize,
        "get_rng_state": lambda *_: None,
        "set_rng_state": lambda *_: None,
        "device": lambda *_: nullcontext(),
        "stream": lambda *_: nullcontext(),
        "current_stream": Stream,
        "Stream": Stream,
        "Event": Stream,
        "CUDAGraph": Graph,
        "graph": record,
    }
    with ExitStack() as stack:
        # `module.to` makes new parameters: `.data = …` would leave a CPU tensor that only says it is elsewhere
        overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrite)
        for name, value in pretended.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(threading.Thread, "run", run))
        stack.enter_context(Calls(device))
        stack.enter_context(Operations(device))
        yield device
