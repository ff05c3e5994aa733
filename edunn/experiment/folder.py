"""The folder of a run. Each file is written completely or not at all.

config.toml            the resolved config
manifest.json          command, versions, device, seed, data and its sha256, and the shapes of what was trained
metrics.jsonl, .csv    the history
model.safetensors      the trained weights;  features.safetensors: the fitted standardisation
checkpoint.safetensors everything needed to continue
snapshots.safetensors  weights along the path, with train.snapshots
figures/*.png, summary.json
unfinished/            while a sweep, a landscape or a demo runs: its options, and its finished runs
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ..descent import Progress
from ..errors import RunError
from ..runtime import schema
from ..runtime.claims import NAME as CLAIM
from ..runtime.claims import Claim
from ..runtime.files import is_part, read_file, strict, write_atomically
from ..updates import Rule
from . import config as configs
from .config import Config

UNFINISHED = "unfinished"  # the folder of everything needed to continue
LARGEST = 64 * 2**20  # bytes of a text that is read
REQUEST = f"{UNFINISHED}/request.json"
OWN = ("config.toml", "manifest.json", "metrics*.jsonl", "metrics.csv", "*.safetensors", "summary.json", "figures",
       UNFINISHED, "sweep.csv", "best.toml", "surface*.npz")  # fmt: skip


class RunFolder:
    """The folder of one run. The constructor touches no file; `claim` makes the folder for this process alone."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.claimed: Claim | None = None
        self.numbered = False  # `claim` takes the next number if the folder exists
        self.force = False  # `claim` removes the run, sweep or landscape that the folder holds

    @classmethod
    def fresh(cls, name: str) -> RunFolder:
        """Returns runs/<name>-<time>/; `claim` puts a number at the end if two runs start in the same second."""
        folder = cls(Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.numbered = True
        return folder

    def begun(self) -> bool:
        """Returns whether the folder holds a run: its config is the last file written before the first step."""
        return self.has("config.toml")

    def check_free(self, request: Mapping[str, Any] | None = None) -> None:
        """Raises RunError if the folder holds files: nothing is overwritten.

        Empty folders and leftovers of a killed command are ignored, and so are the files of the same unfinished
        command: one with equal values for every key of `request`.
        """
        if self.numbered:
            return
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file, not a folder. Choose another --out.")
        try:
            held = any(self.counts(path) for path in self.path.rglob("*"))
        except OSError as error:
            raise RunError(f"The folder {self.path} cannot be read: {error.strerror}.") from None
        if not held:
            return
        if self.force:
            self.check_own()
            return
        if self.has(REQUEST):
            self.check_same_request(request)
            return
        choices = "Choose another --out"
        if self.has("summary.json"):
            choices += ", or add --force to replace what is there"
        if self.begun():
            choices += f", or continue the run there: edunn train --resume {self.path}"
        raise RunError(f"{self.path} holds files and is not overwritten. {choices}.")

    def interrupted(self) -> bool:
        """Returns whether the folder holds a training run that was cut off before its end."""
        if not self.begun() or self.has(REQUEST):
            return False
        try:
            return not self.has("summary.json") or self.read_json("summary.json").get("status") == "interrupted"
        except RunError:
            return False

    def check_own(self) -> None:
        """Raises RunError if the folder holds anything that edunn did not write: --force removes nothing else."""
        if not any(self.has(name) for name in (REQUEST, "manifest.json", "summary.json")):
            raise RunError(
                f"{self.path} is not the folder of a run, and --force replaces nothing else. Choose another --out."
            )
        strange = [
            path.name for path in self.path.iterdir() if (path.is_dir() or self.counts(path)) and not is_own(path)
        ]
        if strange:
            raise RunError(f"{self.path} also holds {strange[0]}, which --force does not remove. Choose another --out.")

    def clear(self) -> None:
        """Removes the run that the folder holds, the claim aside."""
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != CLAIM:
                path.unlink()

    def counts(self, path: Path) -> bool:
        """Returns whether a path in the folder is more than a leftover of a killed command."""
        if path.is_dir() or path.name == CLAIM or is_part(path):
            return False
        if path == self.file("manifest.json") and not self.begun():  # of a run that was killed before its config
            with contextlib.suppress(RunError):
                return "edunn" not in str(self.read_json("manifest.json").get("versions"))
        return True

    def check_same_request(self, request: Mapping[str, Any] | None) -> None:
        """Raises RunError if the folder holds an unfinished command of another kind, or with other options."""
        before, now = self.read_json(REQUEST), json.loads(json.dumps(strict(request or {})))
        other = next((key for key in ("command", *now) if before.get(key) != now.get(key)), None)
        if other is not None:
            was = before.get("command")
            raise RunError(
                f"{self.path} holds an unfinished {was} with another {other}. "
                f"Repeat the same command to finish it, or choose another --out."
            )

    def claim(self, request: Mapping[str, Any] | None = None) -> None:
        """Makes the folder for this process alone, or raises RunError (see `check_free`), until `release`.

        With a request, the same command may continue here until `finish`.
        """
        stem, count = self.path.name, 1
        while self.claimed is None:
            try:
                self.lock(new=self.numbered)
            except FileExistsError:
                count += 1
                self.path = self.path.with_name(f"{stem}-{count}")
        self.numbered = False
        try:
            self.check_free(request)
            if self.force:
                self.clear()
            for path in self.path.rglob("*.part"):
                if is_part(path):
                    path.unlink(missing_ok=True)
            self.create()
            if request is not None:
                self.file(UNFINISHED).mkdir(exist_ok=True)
                self.write_json(REQUEST, request)
        except OSError as error:
            self.release()
            raise RunError(f"The folder {self.path} cannot be written: {error.strerror}.") from None
        except BaseException:
            self.release()
            raise

    def lock(self, new: bool = False) -> None:
        """Keeps other processes out of the folder; a `new` one must not exist, or FileExistsError is raised."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file, not a folder. Choose another --out.")
        claim = Claim(self.path)
        claim.take(new)
        self.claimed = claim

    def release(self) -> None:
        """Ends the claim. Without a claim nothing happens."""
        if self.claimed is not None:
            self.claimed.release()
            self.claimed = None

    def finish(self) -> None:
        """Removes the files that were kept to continue; the request last, so that until then a repeat finds it."""
        for path in self.file(UNFINISHED).glob("*.safetensors"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.file(UNFINISHED), ignore_errors=True)

    def create(self) -> None:
        """Makes the run's folder and the folder of its figures."""
        try:
            self.file("figures").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"The folder {self.path} cannot be created: {error.strerror}. Choose another --out."
            ) from None

    def file(self, name: str) -> Path:
        return self.path / name

    def write(self, name: str, text: str) -> None:
        write_atomically(self.file(name), text)

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(strict(value), indent=2, allow_nan=False) + "\n")

    def write_tensors(self, name: str, tensors: dict[str, Tensor], about: dict[str, str] | None = None) -> None:
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        write_atomically(self.file(name), safetensors.torch.save(plain, about))

    def has(self, name: str) -> bool:
        return self.file(name).is_file()

    def read(self, name: str) -> str:
        try:
            return read_file(self.file(name), LARGEST).decode()
        except FileNotFoundError:
            raise RunError(f"{self.path} has no {name}. {self.state()}") from None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RunError(
                f"{self.file(name)} cannot be read: {reason}. Check its permissions, or train the run again."
            ) from None

    def read_json(self, name: str, form: Mapping[Any, Any] = {str: ...}) -> dict[str, Any]:
        """Reads a JSON object of the form that `runtime.schema` says."""
        text = self.read(name)
        try:
            value: dict[str, Any] = schema.parse(text, form)
        except ValueError as error:
            raise RunError(f"{self.file(name)} is not a file that edunn wrote: {error}.") from None
        return value

    def read_config(self, overrides: Sequence[str] = ()) -> Config:
        """Reads the run's own config, which the overrides change."""
        return configs.parse(configs.read_toml(self.read("config.toml"), self.file("config.toml")), overrides)

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Reads a file's tensors, on the CPU, and its metadata. No code in the file is ever run."""
        path = self.file(name)
        if not path.is_file():
            raise RunError(f"{self.path} has no {name}. {self.state()}")
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except Exception as error:  # the header can say anything: a dtype that torch lacks is a KeyError
            raise RunError(f"{path} is damaged or does not contain tensors: {error}.") from None

    def state(self) -> str:
        """Returns a sentence on what the folder contains and what can be done."""
        if not self.path.is_dir():
            return "There is no such folder."
        if not self.has("config.toml"):
            return "It is not the folder of a run."
        if not self.has("summary.json"):
            return f"The run is not finished; continue it: edunn train --resume {self.path}."
        return "The run's files are incomplete."


def is_own(path: Path) -> bool:
    """Returns whether a path in a folder is what a run, a sweep, a landscape or a demo writes there."""
    if path.is_dir() and RunFolder(path).has("manifest.json"):  # the runs of a demo
        return True
    return any(fnmatch.fnmatch(path.name, pattern) for pattern in OWN)


def save_checkpoint(folder: RunFolder, model: torch.nn.Module, rule: Rule, at: Progress) -> None:
    """Saves all that a run needs to continue to the same bits: parameters, the rule's state, and its progress.

    Orders of the samples depend on seed and epoch alone, so no generator is kept.
    """
    tensors = {f"model/{name}": t for name, t in model.state_dict().items()}
    tensors |= {f"rule/{name}/{key}": t for name, state in rule.state.items() for key, t in state.items()}
    tensors |= {f"best/{name}": t for name, t in at.best.items()}
    tensors |= {f"snapshot/{step}/{name}": t for step, weights in at.snapshots for name, t in weights.items()}
    about = {
        "epoch": at.epoch,
        "step": at.step,
        "seconds": at.seconds,
        "rows": at.rows,
        "best_loss": at.best_loss,
        "best_epoch": at.best_epoch,
        "bad_step": at.bad_step,
        "rate_factor": at.rate_factor,
        "rule_steps": rule.steps,
    }
    # Python's own JSON here: it keeps inf and nan, and repr-exact floats
    folder.write_tensors("checkpoint.safetensors", tensors, {"progress": json.dumps(about)})


Checkpoint = tuple[dict[str, Tensor], dict[str, str]]  # tensors and metadata, as `RunFolder.read_tensors` returns them


def restore_checkpoint(checkpoint: Checkpoint, folder: RunFolder, model: torch.nn.Module, rule: Rule) -> Progress:
    """Restores model and rule, and returns the progress of the run."""
    tensors, metadata = checkpoint
    load_weights(model, {k.removeprefix("model/"): t for k, t in tensors.items() if k.startswith("model/")}, folder)
    device = next(iter(model.state_dict().values())).device  # nearest neighbours have no parameters
    at = Progress()
    try:
        about = schema.parse(metadata["progress"], schema.PROGRESS, "progress")
        rule.steps = about["rule_steps"]
        at.epoch, at.step, at.seconds, at.rows = about["epoch"], about["step"], about["seconds"], about["rows"]
        at.best_loss, at.best_epoch, at.bad_step = about["best_loss"], about["best_epoch"], about["bad_step"]
        at.rate_factor = about["rate_factor"]
    except (KeyError, ValueError) as error:
        raise RunError(f"The checkpoint in {folder.path} lacks its progress as edunn writes it: {error}.") from None
    check_checkpoint(tensors, folder, model, rule)
    snapshots: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        what, _, rest = key.partition("/")
        if what == "rule":
            name, _, buffer = rest.rpartition("/")
            rule.state.setdefault(name, {})[buffer] = tensor.to(device)
        elif what == "best":
            at.best[rest] = tensor.to(device)
        elif what == "snapshot":
            step, _, name = rest.partition("/")
            snapshots.setdefault(int(step), {})[name] = tensor
    at.snapshots = sorted(snapshots.items(), key=lambda pair: pair[0])
    return at


def check_checkpoint(tensors: dict[str, Tensor], folder: RunFolder, model: torch.nn.Module, rule: Rule) -> None:
    """Raises RunError for tensors that model and rule lack, or of another shape or dtype."""
    state, parameters = model.state_dict(), dict(model.named_parameters())
    buffers = {f"{name}/{buffer}": parameter for name, parameter in parameters.items() for buffer in rule.buffers}
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        what, _, name = key.partition("/")
        if what == "snapshot":
            step, _, name = name.partition("/")
            what = f"snapshot/{int(step)}" if step.isascii() and step.isdigit() else key
        groups.setdefault(what, {})[name] = tensor
    for what, group in groups.items():
        kind = what.partition("/")[0]
        known = {"model": state, "best": state, "rule": buffers, "snapshot": parameters}.get(kind)
        if known is None or (kind == "snapshot" and what.count("/") != 1):
            raise RunError(f"The checkpoint in {folder.path} holds {what[:40]!r}; edunn did not write it.")
        check_like(group, known, folder)


def check_like(given: Mapping[str, Tensor], own: Mapping[str, Tensor], folder: RunFolder) -> None:
    """Raises RunError for tensors of other names, shapes or dtypes than a model's own."""
    differing = [name for name in sorted({*given, *own}) if kind_of(given.get(name)) != kind_of(own.get(name))]
    if differing:
        name = differing[0]
        raise RunError(
            f"The weights in {folder.path} are those of another model: {name[:60]} is {kind_of(given.get(name))}, "
            f"and this run's model has {kind_of(own.get(name))}."
        )


def kind_of(tensor: Tensor | None) -> str:
    """Returns the dtype and shape as text, `float32 (10, 64)`; `not there` for None."""
    return "not there" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def load_weights(model: torch.nn.Module, weights: dict[str, Tensor], folder: RunFolder) -> None:
    """Copies weights into a model. Other names, shapes or dtypes raise RunError: the file belongs to another model."""
    check_like(weights, model.state_dict(), folder)
    model.load_state_dict(weights)
