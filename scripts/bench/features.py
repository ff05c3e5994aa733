# %% [markdown]
# Times features and neighbours, ours and those of other packages, in one process.
#
#     python scripts/bench/features.py [--data ZIP] [--json]
#
# Keys: skimage_over_ours (scikit-image's HOG with the same options, matplotlib's hue and numpy's histogram, over ours),
# knn_over_product (our exact 5 nearest neighbours of 1,000 queries among 10,000 × 3,072, over the bare product),
# sklearn_over_ours (scikit-learn's brute force for the same), *_us: microseconds an image. Medians; decoding is not
# timed.

# %%
from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from edunn import data
from edunn.features import colour, hog, patches
from edunn.neighbours import NearestNeighbours
from edunn.runtime import devices

OPTIONS = {"orientations": 9, "pixels_per_cell": 8, "cells_per_block": 2}


def seconds(call: Callable[[], Any], device: torch.device) -> float:
    """One call, with the device waited for."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def side_by_side(calls: dict[str, Callable[[], Any]], device: torch.device, repeats: int) -> dict[str, float]:
    """The median of each, taken in turns, so that a slow moment of the machine meets all of them; one turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            spent = seconds(call, device)
            if turn:
                times[name].append(spent)
    return {name: statistics.median(spent) for name, spent in times.items()}


def peers() -> Callable[[np.ndarray], np.ndarray] | None:
    """One image's features by scikit-image, matplotlib and numpy; None without scikit-image."""
    try:
        from matplotlib.colors import rgb_to_hsv
        from skimage.feature import hog as skimage_hog
    except ImportError:
        print("scikit-image is not installed: its keys are null (pip install edunn-torch[bench])", file=sys.stderr)
        return None

    def both(image: np.ndarray) -> np.ndarray:
        gradients = skimage_hog(image, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2), channel_axis=-1)
        counts = np.histogram(rgb_to_hsv(image / 255.0)[..., 0], bins=10, range=(0, 1))[0]
        return np.concatenate([gradients, counts / (image.shape[0] * image.shape[1])])

    return both


def features(images: torch.Tensor, device: torch.device, repeats: int) -> dict[str, Any]:
    """HOG and hue, ours and the peers', and whether they agree."""
    here = images.to(device)
    few = images[:: max(1, len(images) // 400)][:400].numpy()
    ours: dict[str, Callable[[], Any]] = {
        "hog": lambda: hog.hog(here, **OPTIONS),
        "hue": lambda: colour.hue_histogram(here),
        "both": lambda: (hog.hog(here, **OPTIONS), colour.hue_histogram(here)),
    }
    theirs = peers()
    if theirs is not None:
        ours["peers"] = lambda: [theirs(image) for image in few]
    median = side_by_side(ours, device, repeats)
    result: dict[str, Any] = {f"{name}_us": 1e6 * median[name] / len(images) for name in ("hog", "hue", "both")}
    result |= {"skimage_us": None, "skimage_over_ours": None, "largest_difference": None}
    if theirs is not None:
        expected = np.stack([theirs(image) for image in few])
        sample = torch.from_numpy(few).to(device)
        found = torch.cat([hog.hog(sample, **OPTIONS), colour.hue_histogram(sample)], 1).cpu().numpy()
        result["skimage_us"] = 1e6 * median["peers"] / len(few)
        result["skimage_over_ours"] = result["skimage_us"] / result["both_us"]
        result["largest_difference"] = float(np.abs(found - expected).max())
    dictionary = patches.learn(here[:2000], words=400, patches=20_000, rounds=3)
    coded = here[:500]
    spent = side_by_side({"patches": lambda: dictionary(coded)}, device, 2)["patches"]
    result["patches_400_us"] = 1e6 * spent / len(coded)
    return result


def neighbours(images: torch.Tensor, device: torch.device, repeats: int) -> dict[str, Any]:
    """1,000 queries among 10,000 samples of 3,072 numbers: images where there are enough, else made ones."""
    wanted, width = 11_000, 3072
    if len(images) >= wanted and images[0].numel() == width:
        rows = images[torch.randperm(len(images), generator=devices.generator(0))[:wanted]].flatten(1).float()
    else:
        rows = torch.randn(wanted, width, generator=devices.generator(0))
    train, queries = rows[:10_000].to(device), rows[10_000:].to(device)
    model, out = NearestNeighbours(5).fit(train), torch.empty(1000, 10_000, device=device)
    calls: dict[str, Callable[[], Any]] = {
        "product": lambda: torch.mm(queries, train.mT, out=out),
        "ours": lambda: model.neighbours(queries),
    }
    try:
        from sklearn.neighbors import NearestNeighbors as Reference

        reference = Reference(n_neighbors=5, algorithm="brute").fit(train.cpu().numpy())
        asked = queries.cpu().numpy()
        calls["sklearn"] = lambda: reference.kneighbors(asked)
    except ImportError:
        print("scikit-learn is not installed: its keys are null (pip install edunn-torch[bench])", file=sys.stderr)
    median = side_by_side(calls, device, repeats)
    return {
        "knn_seconds": median["ours"],
        "knn_over_product": median["ours"] / median["product"],
        "sklearn_over_ours": median["sklearn"] / median["ours"] if "sklearn" in median else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="images; without it 2,000 made ones")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    device = devices.device(args.device)
    images = (data.load(args.data).train if args.data else data.shapes(2000)).features
    result = {
        **features(images, device, args.repeats),
        **neighbours(images, device, args.repeats),
        "images": len(images),
        "image_shape": list(images.shape[1:]),
        "data": args.data or "made: shapes",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if args.json:
        print(json.dumps(result, allow_nan=False))
        return
    for key, value in result.items():
        print(f"{key:<20} {value:.4g}" if isinstance(value, float) else f"{key:<20} {value}")


if __name__ == "__main__":
    main()
