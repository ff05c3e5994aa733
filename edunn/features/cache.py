"""Features on disk, so that the second run over the same images does not compute them again.

One file for each combination of images, kinds, options and fitted tensors: its name is their sha256, so a file never
becomes outdated. In
`EDUNN_CACHE` (default ~/.cache/edunn; empty: nothing is kept), listed and emptied by `edunn data list` and
`edunn data clear`.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ..errors import EdunnWarning, RunError
from ..runtime import files, schema
from ..runtime.files import write_atomically
from .kinds import Combination

VERSION = 1  # of what the features mean: to be raised when a kind gives other numbers for the same options
FEWEST = 1000  # images: fewer are computed faster than they are looked up
LARGEST = 4 * 2**30  # bytes of a file
ABOUT = {"kind": str, "samples": schema.COUNT, "width": schema.COUNT}


@dataclass(frozen=True)
class Entry:
    """A file of the cache: what it holds, and its size in bytes."""

    path: Path
    kind: str
    samples: int
    width: int
    size: int


def entries() -> list[Entry]:
    """Lists what is stored, largest first. Files that are damaged are listed as well, as kind "damaged"."""
    top = files.cache()
    if top is None or not (top / "features").is_dir():
        return []
    found = []
    for path in (top / "features").glob("*.safetensors"):
        about: dict[str, Any] = {}
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = schema.parse((file.metadata() or {})["about"], ABOUT)
        except Exception:  # the header can say anything
            about = {}
        kind, samples, width = about.get("kind", "damaged"), about.get("samples", 0), about.get("width", 0)
        found.append(Entry(path, kind, samples, width, path.stat().st_size))
    return sorted(found, key=lambda entry: -entry.size)


def clear() -> int:
    """Empties the cache, remains of interrupted writes included; returns the number of bytes freed."""
    top = files.cache()
    freed = 0
    if top is not None and (top / "features").is_dir():
        for path in [*(top / "features").glob("*.safetensors"), *(top / "features").glob(".*.part")]:
            freed += path.stat().st_size
            path.unlink()
    return freed


def fit(kinds: Combination, images: Tensor) -> Combination:
    """Returns `kinds.fit(images)`, from the cache if an earlier call had the same images."""
    if not any(hasattr(kind, "dictionary") for kind in kinds.kinds):
        return kinds.fit(images)
    path = place("fitted", kinds, images)
    kept = None if path is None else read(path)
    if kept is not None:
        return kinds.restore({key: tensor.to(images.device) for key, tensor in kept.items()})
    fitted = kinds.fit(images)
    write(path, fitted.state(), {"kind": f"{kinds.name} (fitted)", "samples": len(images), "width": 0})
    return fitted


def compute(kinds: Combination, images: Tensor) -> Tensor:
    """Returns `kinds(images)`, from the cache if an earlier call had the same images."""
    path = place("features", kinds, images)
    kept = None if path is None else read(path)
    if kept is not None and "features" in kept and len(kept["features"]) == len(images):
        return kept["features"].to(images.device)
    features = kinds(images)
    write(path, {"features": features}, {"kind": kinds.name, "samples": len(images), "width": features.shape[1]})
    return features


def place(what: str, kinds: Combination, images: Tensor) -> Path | None:
    """Returns the file for this input, or None where it is not to be stored."""
    top = files.cache()
    if top is None or len(images) < FEWEST:
        return None
    about = {
        "version": VERSION,
        "what": what,
        "kinds": kinds.options(),
        "order": kinds.name,
        "shape": list(images.shape),
        "dtype": str(images.dtype),
        "device": images.device.type,  # rounding differs in the last digits
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for tensor in (images, *(tensor for _, tensor in sorted(kinds.state().items()))):
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return top / "features" / f"{digest.hexdigest()}.safetensors"


def read(path: Path) -> dict[str, Tensor] | None:
    """Returns the tensors of a stored file; None where there is none, or it is damaged."""
    try:
        return safetensors.torch.load_file(path)
    except Exception:  # the header can say anything
        return None


def write(path: Path | None, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Stores tensors. On a disk that is full or read-only it warns and stores nothing."""
    if path is None or sum(t.numel() * t.element_size() for t in tensors.values()) > LARGEST:
        return
    plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.remove_leftovers(path.parent)
        write_atomically(path, safetensors.torch.save(plain, {"about": json.dumps(about)}))
    except (OSError, RunError) as error:
        warnings.warn(
            f"features are not kept in {path.parent}: {getattr(error, 'strerror', None) or error}",
            EdunnWarning,
            stacklevel=2,
        )
