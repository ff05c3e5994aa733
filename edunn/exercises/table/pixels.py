"""Pieces of image features as exercises: the histogram of a HOG cell, the norm of its blocks, the histogram of hues."""

from __future__ import annotations

import torch
from torch import Tensor

from ...features import hog, loops
from ...runtime.devices import generator
from ..exercise import Arguments
from .functions import cut_function, edit


def draw_cells(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 8)

    def whole(*shape: int) -> Tensor:
        return torch.randint(-255, 256, shape, generator=source).double()

    zero = torch.zeros(4, 4, dtype=torch.float64)
    turned = torch.tensor([[-2.0, -3.0], [-5.0, -1.0]], dtype=torch.float64)
    down, right = torch.tensor([[[0.0, 3.0, 0.0, -2.0]], [[5.0, 0.0, -4.0, 0.0]]], dtype=torch.float64)
    return {
        "8 × 8 pixels": (whole(8, 8), whole(8, 8), 9),
        "12 directions": (whole(6, 4), whole(6, 4), 12),
        "a flat cell": (zero, zero, 9),
        "angles below 0": (turned, torch.tensor([[1.0, 4.0], [2.0, 7.0]], dtype=torch.float64), 9),
        "along the axes": (down, right, 9),
        "one pixel": (whole(1, 1), whole(1, 1), 9),
    }  # fmt: skip


CELL = cut_function(
    "hog-cell", "nearest-neighbours",
    "the histogram of gradient directions of one cell",
    "h_k = 1/n Σ √(row² + column²) over the cell's pixels whose angle, that of (column, row) modulo 180°, lies in\n"
    "[k, k + 1) · 180°/orientations",
    "row and column (pixel rows, pixel columns), ∂I/∂y and ∂I/∂x of a cell; the answer is (orientations,)",
    ("row", "column", "orientations"), loops.cell_histogram, (loops.cell_histogram,), draw_cells,
    edit("1/n forgotten", "the magnitudes are summed: the mean over the cell's pixels is asked for",
         (" / row.numel()", "")),
    edit("square root forgotten", "the magnitude is √(row² + column²), not its square",
         ("math.hypot(down, right)", "(down**2 + right**2)")),
    edit("pixels counted", "each pixel votes with its magnitude, and not with 1",
         ("+= magnitude", "+= 1")),
    edit("row and column swapped", "the angle is that of (column, row): atan2(row, column)",
         ("atan2(down, right)", "atan2(right, down)")),
    edit("angle modulo 360°", "an angle and its opposite are one direction: modulo 180°, in bins of 180°/n",
         ("% 180", "% 360"), ("* orientations / 180", "* orientations / 360")),
    edit("angle not taken modulo 180°", "an angle beyond 180° is left as it is, and ends in the last bin",
         ("% 180", "% 360")),
    edit("sign of the angle dropped", "|angle| is the mirror image of an angle below 0: take it modulo 180°",
         ("math.degrees(math.atan2(down, right)) % 180", "abs(math.degrees(math.atan2(down, right)))")),
    edit("|row| + |column|", "the magnitude is √(row² + column²), not the sum of the two",
         ("math.hypot(down, right)", "abs(down) + abs(right)")),
    edit("divided by the sum", "the histogram is a mean of magnitudes, not shares that sum to 1",
         ("/ row.numel()", "/ histogram.sum()")),
)  # fmt: skip


def draw_blocks(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 9)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=source)

    strong = draw(2, 9, 3)
    strong[:, 4] += 20
    return {
        "blocks of 36 values": (draw(4, 36, 2),),
        "one strong edge": (strong,),
        "a flat block": (torch.zeros(1, 9, 2, dtype=torch.float64),),
        "values of 1e-5, like ε": (1e-5 * draw(2, 9, 1),),
        "one value": (draw(1, 1, 1),),
        "no image": (draw(2, 9, 0),),
    }


BLOCK = cut_function(
    "hog-block", "nearest-neighbours",
    "the normalisation of a block of cells, and its cut at 0.2",
    f"v / √(Σ v² + ε²), cut off at 0.2, and divided by its norm again in the same way; ε = {hog.EPSILON:g}",
    "blocks (blocks, values, images) without negative values; the sum runs over a block's values, axis 1",
    ("blocks",), hog.l2_hys, (hog.l2, hog.l2_hys), draw_blocks,
    edit("square root forgotten", "v is divided by Σ v² + ε², not by its root", (".sqrt_()", "")),
    edit("not cut off", "0.2 is the most that a value may be after the first division",
         (".clamp_(max=0.2)", "")),
    edit("not divided again", "after the cut the norm of the block is not 1: it is divided once more",
         ("return l2(l2(blocks).clamp_(max=0.2))", "return l2(blocks).clamp_(max=0.2)")),
    edit("cut off first", "the cut comes after the first division, and not before it",
         ("l2(l2(blocks).clamp_(max=0.2))", "l2(l2(blocks.clamp(max=0.2)))")),
    edit("the sum's norm", "Σ |v| + ε is the L1 norm",
         ("(blocks.square().sum(1, keepdim=True) + EPSILON**2).sqrt_()",
          "(blocks.sum(1, keepdim=True) + EPSILON)")),
    edit("mean of the squares", "the norm is the root of the sum of squares, not of their mean",
         (".square().sum(1", ".square().mean(1")),
    edit("ε not squared", "the root is √(Σ v² + ε²), not √(Σ v² + ε)", ("EPSILON**2", "EPSILON")),
    edit("ε forgotten", "without ε a flat block gives 0/0", (" + EPSILON**2", "")),
)  # fmt: skip


def draw_images(seed: int) -> dict[str, Arguments]:
    source = generator(seed, 10)

    def image(*pixels: tuple[float, float, float]) -> Tensor:
        return torch.tensor([pixels], dtype=torch.float64)

    return {
        "8 × 8 pixels": (torch.rand(8, 8, 3, dtype=torch.float64, generator=source), 10),
        "4 bins": (torch.rand(5, 7, 3, dtype=torch.float64, generator=source), 4),
        "grey, black and white": (image((0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), 10),
        "reds on both sides of 0": (image((0.9, 0.4, 0.35), (0.9, 0.35, 0.4), (0.8, 0.1, 0.11)), 10),
        "pure colours": (image((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0)), 7),
        "one pixel": (torch.rand(1, 1, 3, dtype=torch.float64, generator=source), 10),
    }


HUE = cut_function(
    "hue-histogram", "nearest-neighbours",
    "the hue of a pixel, and the histogram of an image's hues",
    "hue = ⅙ · ((g − b)/d if M = r, 2 + (b − r)/d if M = g, 4 + (r − g)/d if M = b), modulo 1; 0 for grey: d = 0;\n"
    "M is the largest of r, g, b and d is M less the smallest; h_k is the share of pixels of hue in [k, k + 1)/bins",
    "image (height, width, 3), red, green and blue in [0, 1]; the answer is (bins,)",
    ("image", "bins"), loops.hue_histogram_by_loops, (loops.hue_of, loops.hue_histogram_by_loops), draw_images,
    edit("1/n forgotten", "pixels are counted: their share is asked for", (" / len(pixels)", "")),
    edit("hue not taken modulo 1", "a red that leans to blue has a negative angle, at the end of the circle",
         ("sector / 6 % 1", "max(sector / 6, 0.0)")),
    edit("sign of the hue dropped", "|hue| is the mirror image of a hue below 0: take it modulo 1",
         ("sector / 6 % 1", "abs(sector / 6)")),
    edit("sectors swapped", "green lies at 2/6 of the circle and blue at 4/6",
         ("4 + (red", "2 + (red"), ("2 + (blue - red)", "4 + (blue - red)")),
    edit("divided by M", "the difference is divided by the spread d, and not by the largest",
         ("(red - green) / spread", "(red - green) / largest"),
         ("(blue - red) / spread", "(blue - red) / largest"),
         ("(green - blue) / spread", "(green - blue) / largest")),
    edit("red and green swapped", "M = g gives b − r, not r − b", ("(blue - red)", "(red - blue)")),
    edit("grey pixels left out", "a grey pixel has no hue and counts as 0",
         ("        histogram[int(", "        if max(red, green, blue) > min(red, green, blue): histogram[int(")),
)  # fmt: skip

EXERCISES = (CELL, BLOCK, HUE)
