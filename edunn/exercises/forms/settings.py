"""The shapes that layers of courses take, by the name of the layer and of its parameters (CS231n's assignments).

A layer whose function is no exercise of the package is checked against differences of its own output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ...runtime.devices import generator

# what the letters are: samples, features, outputs, hidden units, 4 · hidden, time, words, channels, filters, height
SIZES = {"N": 3, "D": 4, "M": 5, "H": 3, "Q": 12, "T": 2, "V": 6, "C": 3, "F": 2, "S": 4, "K": 3, "O": 1, "E": 6}

# pattern of the function's name, then of each parameter; a small letter marks class indices below that size
SHAPES: tuple[tuple[str, dict[str, str]], ...] = (
    (r"temporal_?affine", {"x": "NTD", "w": "DM", "b": "M"}),
    (r"temporal_?softmax", {"x": "NTV", "y": "NT", "mask": "NT"}),
    (r"word_?embed|embedding", {"x": "NT", "w": "VD"}),
    (r"lstm_?step", {"x": "ND", "prev_h": "NH", "prev_c": "NH", "wx": "DQ", "wh": "HQ", "b": "Q"}),
    (r"lstm", {"x": "NTD", "h0": "NH", "wx": "DQ", "wh": "HQ", "b": "Q"}),
    (r"rnn_?step", {"x": "ND", "prev_h": "NH", "wx": "DH", "wh": "HH", "b": "H"}),
    (r"rnn", {"x": "NTD", "h0": "NH", "wx": "DH", "wh": "HH", "b": "H"}),
    (r"group_?norm", {"x": "NESS", "gamma": "OEOO", "beta": "OEOO"}),
    (r"spatial_?(batch|layer)", {"x": "NCSS", "gamma": "C", "beta": "C"}),
    (r"conv", {"x": "NCSS", "w": "FCKK", "b": "F"}),
    (r"pool", {"x": "NCSS"}),
    (r"norm", {"x": "SD", "gamma": "D", "beta": "D"}),
    (r"affine|linear|fc|dense|fully", {"x": "NCF", "w": "EM", "b": "M"}),
)


def find_shapes(name: str, words: Sequence[str]) -> dict[str, str] | None:
    """Returns the shape of each parameter that is an array, by the parameter's own name."""
    for pattern, shapes in SHAPES:
        if re.search(pattern, name.lower()) and words:
            found = {word: shapes[word.lower()] for word in words if word.lower() in shapes}
            if found and len(found) >= min(len(shapes), 2):
                return found
    return None


def draw_shapes(name: str, shapes: Mapping[str, str]) -> Callable[[int], dict[str, Any]]:
    """Returns a draw of normal arrays of these shapes; of embeddings and of time steps also of indices and a mask."""
    indices = {"x": SIZES["V"]} if "embed" in name.lower() else {"y": SIZES["V"]} if "softmax" in name.lower() else {}

    def draw(seed: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for k, (word, letters) in enumerate(shapes.items()):
            shape, source = [SIZES[letter] for letter in letters], generator(seed, k)
            if word.lower() in indices:
                found[word] = torch.randint(indices[word.lower()], shape, generator=source)
            elif word == "mask":
                found[word] = torch.rand(shape, generator=source) < 0.7
            else:
                found[word] = torch.randn(shape, dtype=torch.float64, generator=source)
        return found

    return draw
