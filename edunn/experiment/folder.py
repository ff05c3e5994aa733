"""A run on disk: what each file is, written whole or not at all.

config.toml            the resolved config
manifest.json          command, versions, device, seed, data and its sha256, and the shapes of what was trained
metrics.jsonl, .csv    the history
model.safetensors      the trained weights;  features.safetensors: the fitted standardisation
checkpoint.safetensors everything needed to go on
snapshots.safetensors  weights along the path, if they were asked for
figures/*.png, summary.json
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ..descent import Progress
from ..errors import RunError
from ..runtime.files import strict, write_atomically
from ..updates import Rule
from . import config as configs
from .config import Config


class RunFolder:
    """The files of one run. Making the object touches nothing; `create` makes the folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def fresh(cls, name: str) -> RunFolder:
        """runs/<name>-<time>/, with a number behind it if two runs start in the same second."""
        stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        path, count = Path("runs") / stem, 1
        while path.exists():
            count += 1
            path = Path("runs") / f"{stem}-{count}"
        return cls(path)

    def begun(self) -> bool:
        """Whether a run was begun here: its config is the last file that is written before the first step."""
        return self.has("config.toml")

    def check_free(self, leftovers: bool = False) -> None:
        """Refuses a folder that holds something: nothing is written over.

        `leftovers`: what a run leaves that was killed while its folder was made is nothing.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"Expected a folder for the run; {self.path} is a file.")
        held = list(self.path.iterdir()) if self.path.is_dir() else []
        if leftovers:
            held = [file for file in held if file.name not in ("figures", "manifest.json") and file.suffix != ".part"]
        if held:
            choices = "Choose another with --out"
            if self.begun():
                choices += f", or go on with the run there: edunn train --resume {self.path}"
            raise RunError(f"Expected an empty or new folder; {self.path} holds files. {choices}.")

    def create(self) -> None:
        try:
            (self.path / "figures").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"Expected to make the folder {self.path}; {error.strerror}.") from None

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
            return self.file(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RunError(f"Expected {name} in {self.path}; there is none. {self.state()}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"Expected to read {self.file(name)}; {error}.") from None

    def read_json(self, name: str) -> dict[str, Any]:
        text = self.read(name)
        try:
            value = json.loads(text)
        except ValueError as error:
            raise RunError(f"Expected JSON in {self.file(name)}; {error}.") from None
        if not isinstance(value, dict):
            raise RunError(f"Expected a JSON object in {self.file(name)}; got {type(value).__name__}.")
        return value

    def read_config(self, overrides: Sequence[str] = ()) -> Config:
        """The run's own config, with overrides laid over it."""
        text = self.read("config.toml")
        try:
            return configs.parse(tomllib.loads(text), overrides)
        except tomllib.TOMLDecodeError as error:
            raise RunError(f"Expected TOML in {self.file('config.toml')}; {error}.") from None

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The tensors and what stands beside them, on the CPU. No code in the file is ever run."""
        path = self.file(name)
        if not path.is_file():
            raise RunError(f"Expected {name} in {self.path}; there is none. {self.state()}")
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (OSError, safetensors.SafetensorError) as error:
            raise RunError(f"Expected tensors in {path}; it is damaged or something else: {error}.") from None

    def state(self) -> str:
        """What the folder is, in a sentence, and the next move."""
        if not self.path.is_dir():
            return "There is no such folder."
        if not self.has("config.toml"):
            return "It is not the folder of a run."
        if not self.has("summary.json"):
            return f"The run was not finished; go on with edunn train --resume {self.path}."
        return "The run's files are incomplete."


def save_checkpoint(folder: RunFolder, model: torch.nn.Module, rule: Rule, at: Progress) -> None:
    """Everything needed to go on from here to the same bits: parameters, the rule's state, and where the run was.

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


Checkpoint = tuple[dict[str, Tensor], dict[str, str]]  # what `RunFolder.read_tensors` gives of its file


def put_back(checkpoint: Checkpoint, folder: RunFolder, model: torch.nn.Module, rule: Rule) -> Progress:
    """Puts model and rule back as they were, and returns where the run was."""
    tensors, metadata = checkpoint
    put_weights(model, {k.removeprefix("model/"): t for k, t in tensors.items() if k.startswith("model/")}, folder)
    device = next(model.parameters()).device
    at = Progress()
    try:
        about = json.loads(metadata["progress"])
        rule.steps = about["rule_steps"]
        at.epoch, at.step, at.seconds, at.rows = about["epoch"], about["step"], about["seconds"], about["rows"]
        at.best_loss, at.best_epoch, at.bad_step = about["best_loss"], about["best_epoch"], about["bad_step"]
        at.rate_factor = about["rate_factor"]
    except (KeyError, ValueError, TypeError):
        raise RunError(f"Expected a checkpoint written by edunn in {folder.path}; it lacks its progress.") from None
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


def put_weights(model: torch.nn.Module, weights: dict[str, Tensor], folder: RunFolder) -> None:
    """Copies weights into a model of the same shapes; anything else is the file of another model."""
    own = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    came = {name: tuple(t.shape) for name, t in weights.items()}
    if own != came:
        raise RunError(f"Expected weights of this run's model, {own}; {folder.path} holds those of another: {came}.")
    model.load_state_dict(weights)
