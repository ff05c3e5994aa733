"""One command on several processes, started by torchrun: their ranks, and what they exchange.

    torchrun --standalone --nproc-per-node 4 -m edunn train configs/digits_softmax.toml

torchrun starts the same command several times and numbers the processes: their ranks. All of them read the same config
and data. A batch is shared out by rows, and gradients are summed before the update, so that every process takes the
same step and holds the same weights; a surface is shared out by its grid's rows, a sweep by its runs. Rank 0 alone
writes and prints. Messages go over gloo between CPUs and over NCCL between CUDA devices.

    ranks = edunn.runtime.processes.ranks()               # OneProcess() without torchrun
    edunn.descend(model, loss, samples, rate=0.1, loop=edunn.experiment.share(ranks))

Two rules keep the processes in step. All of them make the same exchanges in the same order. And what may fail on one of
them alone, such as reading a file, ends in an exchange that tells the others (`each`, `lead`), so that all of them end
with the same sentence.
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

TIMEOUT = 25.0  # seconds that a process waits for the others inside a loop; EDUNN_TIMEOUT says otherwise
FAREWELL = 20.0  # that rank 0 waits at its end for processes that have not yet come to theirs
PATIENCE = 3600.0  # and where they may be far apart: reading data, a long share of a sweep, the pictures of rank 0


@dataclass(frozen=True)
class Place:
    """What torchrun tells a process: its rank among `world` processes, and the same on its own machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @classmethod
    def of(cls, environment: os._Environ[str] | dict[str, str]) -> Place:
        """From the environment; alone where RANK or WORLD_SIZE is not set."""
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
                raise ConfigError(f"Expected {name} as a whole number, as torchrun sets it; got {text!r}.")
            numbers[field] = int(text)
        if not numbers["rank"] < numbers["world"]:
            raise ConfigError(f"Expected RANK below WORLD_SIZE = {numbers['world']}; got {numbers['rank']}.")
        return cls(**numbers)


class OneProcess:
    """Used with a single process: every exchange does nothing."""

    place = Place()
    split: Split = staticmethod(whole)  # for a surface

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.place.rank == 0

    def each(self, function: Callable[[], T]) -> T:
        """What every process gets from calling the function; where it fails in one, it fails in all."""
        return function()

    def lead(self, function: Callable[[], T]) -> T:
        """What rank 0 alone gets from calling it: its result, or its error, is everyone's."""
        return function()

    def collect(self, function: Callable[[], T]) -> list[T]:
        """What each process gets from calling it, in the order of the ranks: for rank 0, the others get nothing."""
        return [function()]


class Processes(OneProcess):
    """Several processes, seen from one of them.

    `size`, `rows` and `share` are of the batch that `begin_batch` was given last; see `shared_batch.SharedBatch`.
    """

    def __init__(self, place: Place) -> None:
        """Finds the store of words that all processes can read: MASTER_ADDR and MASTER_PORT say where."""
        import torch
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        self.place, self.dist = place, dist
        self.split = self.split_up
        self.size, self.rows = 0, slice(0, 0)
        self.working = False  # between two exchanges, where no process listens for an error of another
        self.interrupted = False  # this process was
        self.stopping = False  # and all processes know
        self.buffer: Tensor | None = None
        self.limit = seconds_of(os.environ.get("EDUNN_TIMEOUT"))
        try:
            store, *_ = next(iter(rendezvous("env://", timeout=timedelta(seconds=PATIENCE))))
            # torchrun's store outlives its restarts: what a process of the last attempt left would be taken for new
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            self.store = dist.PrefixStore(f"edunn/{attempt}/{place.world}", store)
        except ValueError as error:  # an address is missing
            raise ConfigError(f"Expected the environment that torchrun sets; {error}.") from None
        except RuntimeError as error:
            raise self.lost(error) from error
        if "OMP_NUM_THREADS" not in os.environ:  # torch would take every core in every process
            torch.set_num_threads(max(1, torch.get_num_threads() // place.local_world))

    @functools.cached_property
    def patient(self) -> Any:
        """All processes, connected at the first thing that they have to say to one another: for words, over gloo."""
        place, limit = self.place, timedelta(seconds=PATIENCE)
        try:
            self.dist.init_process_group(
                "gloo", store=self.store, rank=place.rank, world_size=place.world, timeout=limit
            )
            atexit.register(self.dist.destroy_process_group)  # a script's end; its threads would abort the interpreter
            return self.dist.group.WORLD
        except RuntimeError as error:
            raise self.lost(error) from error

    @functools.cached_property
    def quick(self) -> dict[str, Any]:
        """The same for the sums of a loop, by device, with the short time-out."""
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
        """The part of the whole batch that this process has: the weight of its mean in the mean of all."""
        return (self.rows.stop - self.rows.start) / self.size

    def part(self, samples: int) -> slice:
        """Which of so many samples this process has: the slices of all processes follow one another."""
        each, over = divmod(samples, self.place.world)
        start = self.place.rank * each + min(self.place.rank, over)
        return slice(start, start + each + (self.place.rank < over))

    def begin_batch(self, samples: int) -> None:
        """From now on the batch is one of so many samples."""
        self.size, self.rows = samples, self.part(samples)

    def total(self, values: Tensor) -> Tensor:
        """Sums over the processes, into `values`: the same bits in each of them."""
        self.working = True
        try:
            self.dist.all_reduce(values, group=self.quick[values.device.type])
        except KeyError:
            raise ConfigError(
                f"Expected a CUDA device for each of the {self.place.local_world} processes on this machine, and NCCL "
                f"between them. Start fewer processes, or use --device cpu."
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
        """Puts together, along axis 0, what every process has of `samples` rows."""
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
        """While a loop runs: an interrupt waits for a place where all processes can end together."""
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
        """`evaluate(things)`, each process for its part of them; see `sharing.whole` for the shapes."""
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
        """Tells all processes of an error of this one, and returns the error that all of them end with."""
        if isinstance(error, SharedError | LostError | LocalError):
            return error
        text = str(error) if isinstance(error, EdunnError) else "Out of memory."
        if self.working:  # the others are inside a loop and cannot listen: they will lose this process
            return LocalError(f"rank {self.place.rank}: {text}")
        try:
            self.compare_errors(text)
        except (SharedError, LostError) as known:
            return known
        raise AssertionError("an error was shared, and none was raised")

    def compare_errors(self, error: str | None) -> None:
        """Exchanges the errors of all processes. If there is any, the first one is raised in all."""
        errors: list[Any] = [None] * self.place.world
        try:
            self.dist.all_gather_object(errors, error, group=self.patient)
        except RuntimeError as broken:
            raise self.lost(broken) from broken
        rank, first = next(((rank, text) for rank, text in enumerate(errors) if text is not None), (0, None))
        if first is not None:
            raise SharedError(first if rank == 0 else f"rank {rank}: {first}")

    def lost(self, error: BaseException) -> LostError:
        """What a broken connection means."""
        late = "imed out" in str(error) or "imeout" in str(error)
        what = "one did not answer in time" if late else "the connection to one is closed"
        limit = " If a step takes so long, set EDUNN_TIMEOUT to more seconds." if late else ""
        return LostError(
            f"Expected {self.place.world} processes at work; {what}. A run goes on from its last checkpoint with the "
            f"same command and --out DIR --resume.{limit}"
        )

    def first(self, what: str) -> bool:
        """Whether this process is the first to say so: one sentence is enough."""
        try:
            return int(self.store.add(f"said/{what}", 1)) == 1
        except RuntimeError:  # the machine that kept the count is gone
            return self.leads

    def over(self, code: int | None = None) -> int:
        """At the end of the command: rank 0 gives the exit code, and the others wait for it.

        All leave together: torchrun ends the others (SIGTERM) as soon as one has left with a code other than 0, also
        rank 0 in the middle of its files. Who is ended by it while the code is there leaves with that code.
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
        except RuntimeError:  # the machine that kept the words is gone
            return 1 if code is None else code


class SharedError(EdunnError):
    """An error that every process knows of: rank 0 prints it for all."""


class LocalError(EdunnError):
    """An error of one process in the middle of shared work: that process prints it."""


def seconds_of(text: str | None) -> float:
    """EDUNN_TIMEOUT as a number of seconds."""
    try:
        value = TIMEOUT if text is None else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ConfigError(f"Expected EDUNN_TIMEOUT as seconds above 0; got {text!r}.")
    return value


@functools.cache
def ranks() -> OneProcess:
    """Returns the processes that this one was started with: `Processes` under torchrun, else `OneProcess`."""
    place = Place.of(os.environ)
    return OneProcess() if place.world == 1 else Processes(place)
