"""Runs one command on several processes, started by torchrun: their ranks, and the data they exchange.

    torchrun --standalone --nproc-per-node 4 -m edunn train configs/digits_softmax.toml

torchrun starts the same command several times and numbers the processes: their ranks. All of them read the same config
and data. A batch is divided by rows, and gradients are summed before the update, so that every process takes the
same step and holds the same weights; a surface is divided by its grid's rows, a sweep by its runs. Only rank 0 writes
and prints. Messages go over gloo between CPUs and over NCCL between CUDA devices.

    ranks = edunn.runtime.processes.ranks()               # OneProcess() without torchrun
    edunn.descend(model, loss, samples, rate=0.1, loop=edunn.experiment.share(ranks))

Two rules keep the processes in step. All of them make the same exchanges in the same order. And work that may fail in
one process, such as reading a file, ends with an exchange of errors (`each`, `lead`), so that all of them raise the
same error.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigError, EdunnError, LostError
from .threads import Split, whole

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

TIMEOUT = 25.0  # seconds that a process waits for the others inside a loop; EDUNN_TIMEOUT changes it
FAREWELL = 20.0  # seconds that rank 0 waits at its end for the other processes
PATIENCE = 3600.0  # seconds outside a loop: reading data, a long part of a sweep, the pictures of rank 0


@dataclass(frozen=True)
class Place:
    """The place of a process: its rank among `world` processes, and its rank on its own machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @classmethod
    def of(cls, environment: os._Environ[str] | dict[str, str]) -> Place:
        """Reads torchrun's environment variables; without RANK or WORLD_SIZE there is one process."""
        if "RANK" not in environment or "WORLD_SIZE" not in environment:
            return cls()
        numbers = {}
        for field, name in (
            ("rank", "RANK"),
            ("world", "WORLD_SIZE"),
            ("local_rank", "LOCAL_RANK"),
            ("local_world", "LOCAL_WORLD_SIZE"),
        ):
            text = environment.get(name, "0" if field == "local_rank" else "1")
            if not text.isdecimal():
                raise ConfigError(f"{name} must be a whole number, as torchrun sets it; got {text!r}.")
            numbers[field] = int(text)
        if not numbers["rank"] < numbers["world"]:
            raise ConfigError(f"RANK must be below WORLD_SIZE = {numbers['world']}; got {numbers['rank']}.")
        return cls(**numbers)


class OneProcess:
    """Used with a single process: functions are simply called, and nothing is sent."""

    place = Place()
    split: Split = staticmethod(whole)  # for a surface

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which writes and prints."""
        return self.place.rank == 0

    def each(self, function: Callable[[], T]) -> T:
        """Calls the function in every process and returns its result. An error in one is raised in all."""
        return function()

    def lead(self, function: Callable[[], T]) -> T:
        """Calls the function in rank 0 alone. All processes return its result, or raise its error."""
        return function()

    def collect(self, function: Callable[[], T]) -> list[T]:
        """Calls the function in every process. Rank 0 returns all results by rank, the others an empty list."""
        return [function()]


class Processes(OneProcess):
    """Several processes, and the exchanges of this one with the others.

    `size`, `rows` and `share` are of the batch that `begin_batch` was given last; see `shared_batch.SharedBatch`.
    """

    def __init__(self, place: Place) -> None:
        """Connects to the store that all processes share, at MASTER_ADDR and MASTER_PORT."""
        import torch
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        self.place, self.dist = place, dist
        self.split = self.split_up
        self.size, self.rows = 0, slice(0, 0)
        self.working = False  # True while no process can receive an error of another
        self.interrupted = False  # this process was
        self.stopping = False  # and all processes know
        self.buffer: Tensor | None = None
        self.limit = parse_timeout(os.environ.get("EDUNN_TIMEOUT"))
        try:
            store, *_ = next(iter(rendezvous("env://", timeout=timedelta(seconds=PATIENCE))))
            # torchrun's store outlives restarts: a prefix keeps the keys of different attempts apart
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            self.store = dist.PrefixStore(f"edunn/{attempt}/{place.world}", store)
        except ValueError as error:  # an address is missing
            raise ConfigError(
                f"The environment that torchrun sets is incomplete: {error}. Start the command with torchrun."
            ) from None
        except RuntimeError as error:
            raise self.lost(error) from error
        if "OMP_NUM_THREADS" not in os.environ:  # torch would take every core in every process
            torch.set_num_threads(max(1, torch.get_num_threads() // place.local_world))

    @functools.cached_property
    def patient(self) -> Any:
        """The group of all processes for results and errors, over gloo, with the long time-out."""
        place, limit = self.place, timedelta(seconds=PATIENCE)
        try:
            self.dist.init_process_group(
                "gloo", store=self.store, rank=place.rank, world_size=place.world, timeout=limit
            )
            atexit.register(
                self.dist.destroy_process_group
            )  # otherwise its threads abort the interpreter at a script's end
            return self.dist.group.WORLD
        except RuntimeError as error:
            raise self.lost(error) from error

    @functools.cached_property
    def quick(self) -> dict[str, Any]:
        """torch's process groups for the sums during training, by device, with a short time-out."""
        import torch

        assert self.patient is not None  # it comes first
        limit = timedelta(seconds=self.limit)
        try:
            groups = {"cpu": self.dist.new_group(backend="gloo", timeout=limit)}
            devices = torch.cuda.device_count() if self.dist.is_nccl_available() else 0
            if devices >= self.place.local_world:
                torch.cuda.set_device(self.place.local_rank)
                groups["cuda"] = self.dist.new_group(backend="nccl", timeout=limit)
            return groups
        except RuntimeError as error:
            raise self.lost(error) from error

    # ---- a loop ------------------------------------------------------------------------------------------------------

    @property
    def share(self) -> float:
        """This process's share of the batch: the weight of its mean in the mean of all."""
        return (self.rows.stop - self.rows.start) / self.size

    def part(self, samples: int) -> slice:
        """Returns which of `samples` samples this process works on, as a slice."""
        each, over = divmod(samples, self.place.world)
        start = self.place.rank * each + min(self.place.rank, over)
        return slice(start, start + each + (self.place.rank < over))

    def begin_batch(self, samples: int) -> None:
        """Sets the size of the current batch."""
        self.size, self.rows = samples, self.part(samples)

    def total(self, values: Tensor) -> Tensor:
        """Sums over the processes, in place. Every process gets the same bits."""
        self.working = True
        try:
            self.dist.all_reduce(values, group=self.quick[values.device.type])
        except KeyError:
            raise ConfigError(
                f"Each of the {self.place.local_world} processes on this machine needs a CUDA device and NCCL. "
                f"Start fewer processes, or use --device cpu."
            ) from None
        except RuntimeError as error:
            raise self.lost(error) from error
        return values

    def reduce(self, value: Tensor, gradients: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums the objective and the gradients over the processes, as one flat buffer."""
        parts = [*gradients.values(), value]
        count = sum(part.numel() for part in parts)
        known = None if self.buffer is None else (len(self.buffer), self.buffer.dtype, self.buffer.device)
        if self.buffer is None or known != (count + 1, value.dtype, value.device):
            self.buffer = value.new_empty(count + 1)
        start = 0
        views = []
        for part in parts:
            view = self.buffer[start : start + part.numel()].view(part.shape)
            views.append(view.copy_(part))
            start += part.numel()
        self.buffer[-1] = float(self.interrupted)  # an interrupt travels with the gradients: no process stops by itself
        self.total(self.buffer)
        # a GPU would have to be waited for: there `check_interrupt` raises, after the epoch
        if self.buffer.device.type == "cpu" and self.buffer[-1] > 0:
            raise KeyboardInterrupt
        return views[-1].clone(), dict(zip(gradients, views[:-1], strict=True))

    def gather(self, own: Tensor, samples: int) -> Tensor:
        """Concatenates the rows of all processes along axis 0, `samples` in all."""
        result = own.new_zeros(samples, *own.shape[1:])
        result[self.part(samples)] = own
        return self.total(result)  # the others add zeros: the bits stay

    def agree(self, numbers: Sequence[float]) -> list[float]:
        """Returns the numbers of rank 0, so that no decision differs in its last bit."""
        import torch

        mine = numbers if self.leads else [0.0] * len(numbers)
        *values, interrupted = self.total(torch.tensor([*mine, float(self.interrupted)], dtype=torch.float64)).tolist()
        self.stopping = interrupted > 0
        return values

    def check_interrupt(self) -> None:
        """Raises KeyboardInterrupt in all processes if any of them was interrupted; else in none."""
        if self.stopping:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def delay_interrupts(self) -> Iterator[None]:
        """Delays interrupts (Ctrl-C, SIGTERM) until all processes can end together; a context for a loop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)
        self.interrupted = self.stopping = False

        def note(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, before)  # a second one ends this process at once

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    # ---- surfaces and sweeps -----------------------------------------------------------------------------------------

    def split_up(self, evaluate: Callable[[Tensor], Tensor], things: Tensor, axis: int) -> Tensor:
        """Returns `evaluate(things)`; each process evaluates its part of them. See `threads.whole` for the shapes."""
        if len(things) < self.place.world:
            return evaluate(things)
        self.working = True
        mine = self.part(len(things))
        own = evaluate(things[mine])
        shape = list(own.shape)
        shape[axis] = len(things)
        result = own.new_zeros(shape)
        result.narrow(axis, mine.start, mine.stop - mine.start).copy_(own)
        return self.total(result)

    def collect(self, function: Callable[[], T]) -> list[T]:
        own = self.each(function)
        found: list[Any] | None = [None] * self.place.world if self.leads else None
        try:
            self.dist.gather_object(own, found, group=self.patient)
        except RuntimeError as error:
            raise self.lost(error) from error
        return found or []

    # ---- errors that all share ---------------------------------------------------------------------------------------

    def each(self, function: Callable[[], T]) -> T:
        self.working = False
        try:
            result = function()
        except (EdunnError, MemoryError) as error:
            raise self.share_error(error) from None
        self.compare_errors(None)
        return result

    def lead(self, function: Callable[[], T]) -> T:
        self.working = False
        box: list[Any] = [None]
        if self.leads:
            try:
                box = [function()]
            except (EdunnError, MemoryError) as error:
                raise self.share_error(error) from None
        self.compare_errors(None)
        try:
            self.dist.broadcast_object_list(box, 0, group=self.patient)
        except RuntimeError as error:
            raise self.lost(error) from error
        result: T = box[0]
        return result

    def share_error(self, error: EdunnError | MemoryError) -> EdunnError:
        """Sends an error of this process to all, and returns the error that all of them raise."""
        if isinstance(error, SharedError | LostError | LocalError):
            return error
        text = str(error) if isinstance(error, EdunnError) else "Out of memory."
        if self.working:  # the others are inside a loop and cannot receive it: they will lose this process
            return LocalError(f"rank {self.place.rank}: {text}")
        try:
            self.compare_errors(text)
        except (SharedError, LostError) as known:
            return known
        raise AssertionError("an error was shared, and none was raised")

    def compare_errors(self, error: str | None) -> None:
        """Exchanges the errors of all processes, and raises the first one, if any, in all."""
        errors: list[Any] = [None] * self.place.world
        try:
            self.dist.all_gather_object(errors, error, group=self.patient)
        except RuntimeError as broken:
            raise self.lost(broken) from broken
        rank, first = next(((rank, text) for rank, text in enumerate(errors) if text is not None), (0, None))
        if first is not None:
            raise SharedError(first if rank == 0 else f"rank {rank}: {first}")

    def lost(self, error: BaseException) -> LostError:
        """Returns the error for a broken connection."""
        late = "imed out" in str(error) or "imeout" in str(error)
        what = "it did not answer in time" if late else "its connection is closed"
        limit = " If a step takes so long, set EDUNN_TIMEOUT to more seconds." if late else ""
        return LostError(
            f"One of {self.place.world} processes is lost: {what}. Continue from the last checkpoint with the same "
            f"command and --out DIR --resume.{limit}"
        )

    def first(self, what: str) -> bool:
        """Returns whether this process is the first to ask: only that one prints the message `what`."""
        try:
            return int(self.store.add(f"said/{what}", 1)) == 1
        except RuntimeError:  # the machine with the store is gone
            return self.leads

    def over(self, code: int | None = None) -> int:
        """Returns rank 0's exit code in every process, at the end of the command.

        All exit together: as soon as one exits with a code other than 0, torchrun ends the others (SIGTERM), even
        rank 0 in the middle of its files. A process that is ended after the code is known exits with that code.
        """
        ended = threading.Event()
        before = signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
        latest = time.monotonic() + FAREWELL
        try:
            if code is None:
                self.store.add("waiting", 1)
                while not self.store.check(["over"]):
                    if ended.is_set():
                        signal.signal(signal.SIGTERM, before)
                        os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(0.01)
                return int(self.store.get("over"))
            while self.store.add("waiting", 0) < self.place.world - 1 and not ended.is_set():
                if time.monotonic() > latest:
                    break
                time.sleep(0.002)
            self.store.set("over", str(code))
            return code
        except RuntimeError:  # the machine with the store is gone
            return 1 if code is None else code


class SharedError(EdunnError):
    """An error that every process raises; rank 0 prints it for all."""


class LocalError(EdunnError):
    """An error of one process in the middle of shared work, printed by that process."""


def parse_timeout(text: str | None) -> float:
    """Returns EDUNN_TIMEOUT in seconds, or the default. Raises ConfigError for other text."""
    try:
        value = TIMEOUT if text is None else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ConfigError(f"EDUNN_TIMEOUT must be a number of seconds above 0; got {text!r}.")
    return value


@functools.cache
def ranks() -> OneProcess:
    """Returns the processes that this one was started with: `Processes` under torchrun, else `OneProcess`."""
    place = Place.of(os.environ)
    return OneProcess() if place.world == 1 else Processes(place)
