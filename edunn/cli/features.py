"""Turn images into features: histograms of gradients and colours, or a bag of visual words."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .common import add_common, emit, note, show_progress

if TYPE_CHECKING:
    from ..data import Dataset

EXAMPLE = "edunn features cifar10.zip --kind hog,hue --set cells_per_block=2 --out features.npz"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="images: a folder or zip of class folders, CIFAR-10's archive, or a name")
    parser.add_argument("--kind", default="hog,hue", help="pixels, hog, hue, rgb, patches, or several with commas")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of a kind")
    parser.add_argument("--part", choices=("all", "train", "test"), default="all", help="all: train first")
    parser.add_argument("--standardise", action="store_true", help="each column to mean 0 and deviation 1")
    parser.add_argument("--size", type=int, help="resize all images to a square of this side")
    add_common(parser, "an .npz file: features, targets and classes, as edunn train takes it")


def run(args: argparse.Namespace) -> int:
    """Computes the features and says how many, how fast; with --out they are kept in that file."""
    from .. import data
    from ..experiment.config import split_override
    from ..features.kinds import combination
    from ..features.pipeline import Pipeline
    from ..runtime import devices

    out = None if args.out is None else Path(args.out)
    if out is not None and out.suffix != ".npz":
        raise ConfigError(f"Expected --out with a name that ends in .npz; got {args.out!r}.")
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"Expected a folder to write into; there is no {out.parent}.")
    options = nested(dict(split_override(text) for text in args.set))
    args.kind = combination(args.kind, options).name  # a misspelt option should not wait for 30,000 images
    device = devices.device(args.device or "auto")
    dtype = devices.dtype(args.dtype or "float32")
    if args.seed is not None and "patches" in args.kind.split(","):
        options.setdefault("seed", args.seed)

    started = time.perf_counter()
    dataset = data.load(args.source, progress=decoding_bar(args), **({"size": args.size} if args.size else {}))
    check_images(dataset, args)
    read = time.perf_counter()
    images = dataset.train.loaded().features.to(device)
    pipeline, train = Pipeline.fit_apply(images, args.kind, args.standardise, **options)
    parts, targets = [train.to(dtype)], [dataset.train.targets]
    if dataset.test is not None:
        parts.append(pipeline(dataset.test.loaded().features.to(device), dtype))
        targets.append(dataset.test.targets)
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    seconds = time.perf_counter() - read
    chosen = {"all": slice(None), "train": slice(1), "test": slice(1, None)}[args.part]
    if out is not None:
        write(out, parts[chosen], targets[chosen], dataset.train.classes)
    samples = sum(len(part) for part in parts[chosen])
    result: dict[str, Any] = {
        "source": args.source,
        "kind": args.kind,
        "options": {} if pipeline.extract is None else pipeline.extract.options(),
        "samples": samples,
        "train": len(dataset.train),
        "test": 0 if dataset.test is None else len(dataset.test),
        "width": parts[0].shape[1],
        "seconds": round(seconds, 4),
        "read_seconds": round(read - started, 4),
        "device": str(device),
        "out": None if out is None else str(out),
    }
    text = (
        f"{samples:,} images × {parts[0].shape[1]:,} features ({args.kind}) in {seconds:.2f} s, "
        f"read in {read - started:.1f} s"
    )
    emit(args, result, text + (f"\n{out}" if out is not None else "\nNothing was written: --out FILE.npz keeps them."))
    if out is not None:
        note(args, f"Train on them: [data] path = {str(out)!r}")
    return 0


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """`hue.bins` as {"hue": {"bins": …}}."""
    options: dict[str, Any] = {}
    for key, value in flat.items():
        kind, dot, option = key.partition(".")
        if dot:
            options.setdefault(kind, {})[option] = value
        else:
            options[key] = value
    return options


def check_images(dataset: Dataset, args: argparse.Namespace) -> None:
    if not dataset.train.is_images:
        raise ConfigError(f"Expected images to make features of; {args.source} is a table.")
    if args.part == "test" and dataset.test is None:
        raise ConfigError(f"Expected a test part for --part test; {args.source} has none.")


def write(path: Path, parts: list[Any], targets: list[Any], classes: tuple[str, ...] | None) -> None:
    """The arrays in one file, whole or not at all."""
    import io

    import numpy as np
    import torch

    from ..runtime.files import write_atomically

    arrays: dict[str, Any] = {"features": torch.cat(parts).cpu().numpy()}
    if targets[0] is not None:
        arrays["targets"] = torch.cat(targets).cpu().numpy()
    if classes is not None:
        arrays["classes"] = np.array(classes)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def decoding_bar(args: argparse.Namespace) -> Any:
    from ..experiment.train import decoding_bar

    return decoding_bar(show_progress(args))
