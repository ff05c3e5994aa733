"""The multiclass hinge worked through: three images, three classes, and every question of the lecture."""

from __future__ import annotations

import torch
from torch import Tensor

from ..activations import Softmax
from ..data import Samples
from ..gradcheck import certify
from ..losses import CrossEntropy, Hinge, MulticlassHinge
from ..losses.loops import multiclass_hinge_by_loops
from ..models import LinearSVM
from ..penalties import ElasticNet
from .engine import Lesson, Row, Table
from .tools import numbers, set_weights

DERIVATION = """\
Scores of three images (rows: cat, car, frog) for the classes cat, car, frog; Δ = 1:
    L_i = Σ_{j ≠ y_i} max(0, s_j − s_{y_i} + Δ)        loss = 1/N Σ_i L_i
Image 1: max(0, 5.1 − 3.2 + 1) + max(0, −1.7 − 3.2 + 1) = max(0, 2.9) + max(0, −3.9) = 2.9.
Summing over j = y_i too adds Δ to every L_i; a mean over the classes divides it: neither moves the minimum. The square
weighs a large miss more than several small ones, and does move it."""

SCORES = ((3.2, 5.1, -1.7), (1.3, 4.9, 2.0), (2.2, 2.5, -3.1))
NAMES = ("cat", "car", "frog")
HINGE = MulticlassHinge()


def scores() -> Tensor:
    return numbers(SCORES)


def truth() -> Tensor:
    return torch.tensor([0, 1, 2])


def each(loss: MulticlassHinge) -> list[float]:
    """Returns the loss of each image."""
    return [float(value) for value in loss.pointwise(scores(), truth())]


def mean(loss: MulticlassHinge) -> float:
    return float(loss(scores(), truth()))


def slack() -> list[float]:
    """Returns s_y − s_j − Δ for each other class: by how much the car's score may fall before the loss is above 0."""
    short = HINGE.shortfall(scores(), truth())[1]
    return [float(-short[j]) for j in (0, 2)]


def rows() -> list[Row]:
    terms = HINGE.shortfall(scores(), truth())[0, 1:]
    others, classes = MulticlassHinge(over="others"), MulticlassHinge(over="classes")
    squared, far, also = MulticlassHinge(power=2), MulticlassHinge(margin=100.0), MulticlassHinge(include_true=True)
    three = torch.zeros(1, 3, dtype=torch.float64)
    wide = numbers([[0.0, 1e6, 0.0]])
    return [
        Row("1.1", each(HINGE), "holds", [2.9, 0.0, 12.9], digits=1),
        Row("1.2", mean(HINGE), "holds", 5.27, digits=2),
        Row("1.3", terms.tolist(), "holds", [2.9, -3.9], digits=1, note="Inside the max(0, ·) of image 1."),
        Row("1.4", dict(zip(("cat", "frog"), slack(), strict=True)), "derived",
            note="What the car's score may lose against each other class before the loss moves."),
        Row("1.5", {"min": float(HINGE(numbers([[9.0, 0.0, 0.0]]), torch.tensor([0]))), "max": float("inf")}, "derived",
            note=f"Unbounded: a wrong score of 1e6 costs {float(HINGE(wide, torch.tensor([0])))!r}."),
        Row("1.6", float(HINGE(three, torch.tensor([0]))), "derived",
            note="C − 1: a first check of any implementation, before the first step."),
        Row("1.7", {"each": each(also), "mean": mean(also)}, "derived", note="Every L + Δ."),
        Row(
            "1.8",
            {"over_others": each(others), "over_others_mean": mean(others),
             "over_classes": each(classes), "over_classes_mean": mean(classes)},
            "derived",
            note="Over C it is torch's MultiMarginLoss.",
        ),
        Row("1.9", {"each": each(squared), "mean": mean(squared)}, "derived"),
        Row("1.10", each(far), "derived", note="Δ = 100."),
        Row(
            "001.f",
            mean(squared),
            "wrong",
            5.27,
            "loss = 5.27 is left standing beside the squared hinge: it is that of the hinge.",
            mean(HINGE),
            digits=2,
        ),
    ]  # fmt: skip


def tables() -> list[Table]:
    switches = {
        "Δ = 1, Σ over j ≠ y": HINGE,
        "Σ over all j": MulticlassHinge(include_true=True),
        "mean over C − 1": MulticlassHinge(over="others"),
        "mean over C": MulticlassHinge(over="classes"),
        "squared": MulticlassHinge(power=2),
        "Δ = 100": MulticlassHinge(margin=100.0),
    }
    cells = [[name, *each(loss), mean(loss)] for name, loss in switches.items()]
    work = [
        [NAMES[i], *scores()[i].tolist(), *torch.relu(HINGE.shortfall(scores(), truth()))[i].tolist(), each(HINGE)[i]]
        for i in range(3)
    ]
    columns = ("image", *(f"s {n}" for n in NAMES), *(f"max(0, ·) {n}" for n in NAMES), "L")
    return [
        Table("Scores, terms (the true class's own is Δ and not summed) and losses", columns, work),
        Table("The lecture's questions as switches", ("question", *NAMES, "mean"), cells),
    ]


# ---- its gradient ---------------------------------------------------------------------------------------------------

GRADIENT = """\
With the indicator 1[s_j − s_y + Δ > 0]:
    (∇_W L)_j = 1[…] x for j ≠ y             (∇_W L)_y = −Σ_{j≠y} 1[…] x
Each violated term pushes x into its own row and pulls it from the true class's row. All samples at once: put the
indicators, and minus their sum at y, into a matrix `binary` (samples, classes); then ∇_W = binaryᵀ x / N, one product.
Here: two samples with y_1 = 2, y_2 = 3 (counted from 1), three classes, three features."""

TWO_X = ((1.0, 2.0, -1.0), (0.5, -1.0, 3.0))
TWO_W = ((0.2, 1.1, 0.3), (1.0, -0.4, 0.1), (0.0, 0.3, -0.5))
TWO_Y = (1, 2)


def two() -> tuple[LinearSVM, Samples]:
    model = set_weights(LinearSVM(3, classes=3), TWO_W, [0.0, 0.0, 0.0])
    assert isinstance(model, LinearSVM)
    return model, Samples(numbers(TWO_X), torch.tensor(TWO_Y))


def by_matrix() -> Tensor:
    model, samples = two()
    with torch.no_grad():
        return model.gradients(samples.features, HINGE.gradient(model(samples.features), torch.tensor(TWO_Y)))["weight"]


def by_loops() -> Tensor:
    model, samples = two()
    assert model.bias is not None
    weight, bias = model.weight.detach(), model.bias.detach()
    return multiclass_hinge_by_loops(weight, bias, samples.features, torch.tensor(TWO_Y))[1]


def gradient_rows() -> list[Row]:
    right = HINGE.pointwise_gradient(scores(), truth())
    short = HINGE.shortfall(scores(), truth())
    every = (short != 0).double().scatter_(1, truth().unsqueeze(1), 0.0)  # a number that is not 0 counts as true
    slip = every - torch.diag(every.sum(1))
    model, samples = two()
    passed = certify(model, HINGE, samples).passed
    difference = float((by_matrix() - by_loops()).abs().max())
    return [
        Row(
            "1.11",
            (right + 0.0).tolist(),
            "derived",
            note=f"Not averaged. The loops and the matrix product differ by {difference:g} on the two-sample example, "
            f"whose certificate {'passes' if passed else 'FAILS'}.",
        ),
        Row(
            "001.c",
            (right + 0.0).tolist(),
            "wrong",
            "the indicator is I(w_j x − w_y x + Δ), of a number",
            "It lacks '> 0': any number but 0 counts as true, and classes that were beaten are pushed too.",
            slip.tolist(),
        ),
        Row(
            "001.i",
            {"pairs": int((right > 0).sum())},
            "wrong",
            "∂L/∂w_ij = (x_i)_j",
            "Only where the indicator is 1, for i not y; it is 0 elsewhere.",
            {"pairs": int(every.sum())},
            note="Pairs of an image and a wrong class that pull: of six, those that miss the margin.",
        ),
    ]


def gradient_tables() -> list[Table]:
    model, samples = two()
    with torch.no_grad():
        made = model(samples.features)
        binary = HINGE.pointwise_gradient(made, torch.tensor(TWO_Y))
    lines = [[f"class {k + 1}", *by_loops()[k].tolist(), *by_matrix()[k].tolist()] for k in range(3)]
    return [
        Table(
            "The matrix `binary` of the two samples",
            ("sample", "y", "s 1", "s 2", "s 3", "binary 1", "binary 2", "binary 3"),
            [[i + 1, TWO_Y[i] + 1, *made[i].tolist(), *binary[i].tolist()] for i in range(2)],
        ),
        Table(
            "∇_W of the mean: by two loops (left) and as binaryᵀ x / N (right)",
            ("row", "x₁", "x₂", "x₃", "x₁ ", "x₂ ", "x₃ "),
            lines,
        ),
    ]


def hinge_picture() -> object:
    """Draws the hinge of a margin, and the first image's loss as a function of the cat's score, with slopes."""
    from ..figures.slopes import Piecewise, with_slopes

    m = torch.linspace(-2, 3, 501, dtype=torch.float64)
    one, binary = torch.ones_like(m), Hinge()
    cat = torch.linspace(-3, 9, 1201, dtype=torch.float64)
    table = scores()[:1].repeat(len(cat), 1)
    table[:, 0] = cat
    labels = torch.zeros(len(cat), dtype=torch.long)
    _, car, frog = SCORES[0]
    return with_slopes(
        [
            Piecewise("Two classes: max(0, 1 − m)", "margin m = y·s", "loss", "dL/dm", m, binary.pointwise(m, one),
                      binary.pointwise_gradient(m, one), [1.0],
                      [(-1.6, "too low: slope −1"), (1.05, "reached: nothing pulls")]),
            Piecewise("Cat's score moves against car 5.1 and frog −1.7", "score of cat", "loss of image 1",
                      "dL/d(score of cat)", cat,
                      HINGE.pointwise(table, labels), HINGE.pointwise_gradient(table, labels)[:, 0],
                      [frog + 1, car + 1],
                      [(-2.5, "both pull"), (1.0, "only car pulls"), (6.6, "no one does")],
                      (SCORES[0][0], "s = 3.2: loss 2.9")),
        ]
    )  # fmt: skip


# ---- softmax on the same scores -------------------------------------------------------------------------------------

SOFTMAX = """\
    p_j = e^{s_j} / Σ_k e^{s_k}        L = −ln p_y = −s_y + ln Σ_k e^{s_k}
Image 1: e^s = (24.53, 164.02, 0.18), their sum 188.74, p = (0.13, 0.87, 0.00), L = −ln 0.13 = 2.04.
The logarithm is natural, because the second form, ln Σ e^s − s_y, is L only then. −log₁₀ 0.13 = 0.89 is 0.4343 of it:
the same minimum, but neither the slide's formula nor a gradient p − 1[y]."""

CE = CrossEntropy()


def softmax_rows() -> list[Row]:
    first = scores()[:1]
    exps, p = torch.exp(first), Softmax()(first)
    losses = CE.pointwise(scores(), truth())
    natural = float(losses[0])
    every = [float(CE.pointwise(first, torch.tensor([j]))) for j in range(3)]
    weight = numbers([[2.0, -1.0]])
    net = {beta: ElasticNet(1.0, beta=beta).gradient(weight)[0].tolist() for beta in (0.0, 1.0)}
    return [
        Row("1.12", {"exp": exps[0].tolist(), "p": p[0].tolist(), "p_true": float(p[0, 0])}, "holds",
            {"p_true": 0.13}, digits=2),
        Row(
            "1.13",
            natural,
            "wrong",
            0.89,
            "−log(0.13) was taken to base 10; the slide's own formula, −f_y + log Σ e^f, is natural.",
            -float(torch.log10(torch.tensor(0.13, dtype=torch.float64))),
            digits=2,
            note=f"From the rounded p: {-float(torch.log(torch.tensor(0.13, dtype=torch.float64)))!r}. Base 10 of the "
            f"exact p: {-float(torch.log10(p[0, 0]))!r}.",
        ),
        Row("1.14", {"each": losses.tolist(), "mean": float(CE(scores(), truth()))}, "derived"),
        Row(
            "001.a",
            natural,
            "wrong",
            0.89,
            "0.89 is log10.",
            -float(torch.log10(p[0, 0])),
            digits=2,
        ),
        Row(
            "001.h",
            {"of_the_true_class": natural, "minus_log_p": every,
             "elastic_gradient_beta_0": net[0.0], "elastic_gradient_beta_1": net[1.0]},
            "wrong",
            "L = −log P(Y = j | X = x_i)",
            "It should say y_i: there is one such number for each j, and only the true class's is the loss. In the "
            "elastic net only L2 has the β.",
            {"of_the_true_class": every[1]},
            note="The mistake, at j = car, makes a loss of the wrong answer. The elastic net's gradient at w = (2, "
            "−1): β changes the L2 part alone, sign w stays.",
        ),
    ]  # fmt: skip


def softmax_tables() -> list[Table]:
    p, losses = Softmax()(scores()), CE.pointwise(scores(), truth())
    cells = [
        [NAMES[i], *scores()[i].tolist(), *p[i].tolist(), float(losses[i]), float(losses[i]) / 2.302585092994046]
        for i in range(3)
    ]
    columns = ("image", *(f"s {n}" for n in NAMES), *(f"p {n}" for n in NAMES), "−ln p_y", "−log₁₀ p_y")
    return [Table("Softmax of the three images", columns, cells)]


# ---- one against the other ------------------------------------------------------------------------------------------

AGAINST = """\
The hinge asks only that the true class win by Δ; beyond that nothing pulls. Cross-entropy always wants more: its
gradient p − 1[y] is never exactly 0. Move one wrong score far down: the hinge does not notice, cross-entropy does."""


def against_tables() -> list[Table]:
    cells = []
    for low in (9.0, 2.0, 0.0, -2.0, -10.0, -100.0):
        s, y = numbers([[10.0, low, 9.5]]), torch.tensor([0])
        t = numbers([[10.0, low, -2.0]])
        cells.append([low, *(float(loss(u, y)) for u in (s, t) for loss in (HINGE, CE))])
    columns = ("second score", "hinge of (10, ·, 9.5)", "CE", "hinge of (10, ·, −2)", "CE ")
    return [Table("True class first: what each loss notices of the second score", columns, cells)]


def against_picture() -> object:
    from ..figures.lessons import curves

    s = torch.linspace(-4, 12, 321, dtype=torch.float64)
    both = torch.stack([s, torch.full_like(s, 4.0), torch.zeros_like(s)], -1)
    y = torch.zeros(len(s), dtype=torch.int64)
    return curves(
        s,
        {"multiclass hinge, Δ = 1": HINGE.pointwise(both, y), "cross-entropy": CE.pointwise(both, y)},
        title="Loss against the true class's score; the others have 4 and 0",
        x="score of the true class",
        y="loss",
    )


LESSONS = (
    Lesson("multiclass-hinge", "001", "What is the multiclass hinge of three images, and when does it change?",
           DERIVATION,
           rows, tables),
    Lesson("hinge-gradient", "001", "How is the hinge's gradient computed without loops?", GRADIENT, gradient_rows,
           gradient_tables, {"hinge": hinge_picture}),
    Lesson("softmax", "001", "What is −log 0.13, and why not 0.89?", SOFTMAX, softmax_rows, softmax_tables),
    Lesson("svm-against-softmax", "001", "Which changes of the scores change one loss and not the other?", AGAINST,
           make_tables=against_tables, figures={"svm_against_softmax": against_picture}),
)  # fmt: skip
