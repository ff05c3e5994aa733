"""Turns images into features: histograms of gradients and colours, or a bag of visual words."""

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
    """Adds the command's options."""
    parser.add_argument(
        "source", help="images: a folder or zip with one folder a class, CIFAR-10's archive, or a data set's name"
    )
    parser.add_argument(
        "--kind", default="hog,hue", help="pixels, hog, hue, rgb or patches; several with commas (default: hog,hue)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="OPTION=VALUE", help="set an option of a kind; may be repeated"
    )
    parser.add_argument(
        "--part",
        choices=("all", "train", "test"),
        default="all",
        help="samples to use (default: all, those of train first)",
    )
    parser.add_argument(
        "--standardise", action="store_true", help="scale each column to mean 0 and standard deviation 1"
    )
    parser.add_argument("--size", type=int, help="resize the images to squares of this many pixels a side")
    add_common(parser, "an .npz file of features, targets and classes, for edunn train")


def run(args: argparse.Namespace) -> int:
    """Computes the features, prints their number and the time, and writes them to --out. Returns 0."""
    from .. import data
    from ..experiment.config import split_override
    from ..features.kinds import combination
    from ..features.pipeline import Pipeline
    from ..runtime import devices

    out = None if args.out is None else Path(args.out)
    if out is not None and out.suffix != ".npz":
        raise ConfigError(f"--out must end in .npz; got {args.out!r}.")
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"There is no folder {out.parent}. Create it, or choose another --out.")
    options = nest_options(dict(split_override(text) for text in args.set))
    args.kind = combination(args.kind, options).name  # a misspelt option is refused before 30,000 images are read
    device = devices.device(args.device or "auto")
    dtype = devices.dtype(args.dtype or "float32")
    if args.seed is not None and "patches" in args.kind.split(","):
        options.setdefault("seed", args.seed)

    started = time.perf_counter()
    dataset = data.load(args.source, progress=decoding_bar(args), **({"size": args.size} if args.size else {}))
    check_images(dataset, args)
    dataset.check_storable("features in an npz")
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
    emit(
        args,
        result,
        text + (f"\n{out}" if out is not None else "\nNothing was written. Add --out FILE.npz to keep them."),
    )
    if out is not None:
        note(args, f"Train on them: [data] path = {str(out)!r}")
    return 0


def nest_options(flat: dict[str, Any]) -> dict[str, Any]:
    """Returns nested dictionaries for keys with a dot: `hue.bins` becomes {"hue": {"bins": …}}."""
    options: dict[str, Any] = {}
    for key, value in flat.items():
        kind, dot, option = key.partition(".")
        if dot:
            options.setdefault(kind, {})[option] = value
        else:
            options[key] = value
    return options


def check_images(dataset: Dataset, args: argparse.Namespace) -> None:
    """Raises ConfigError if the source is a table, or lacks the part that is asked for."""
    if not dataset.train.is_images:
        raise ConfigError(f"{args.source} is a table; edunn features reads images.")
    if args.part == "test" and dataset.test is None:
        raise ConfigError(f"{args.source} has no test part. Leave out --part test.")


def write(path: Path, parts: list[Any], targets: list[Any], classes: tuple[str, ...] | None) -> None:
    """Writes the arrays to one npz file."""
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
    """Returns a progress callback for reading images, or None."""
    from ..experiment.train import decoding_bar

    return decoding_bar(show_progress(args))
