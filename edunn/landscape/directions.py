"""Directions in a model's weights, which span a plane. Each is a dict of tensors by parameter name.

first, second = filter_normalised(model, seed=0), filter_normalised(model, seed=1)
first, second = principal(history)
first, second = hessian(model, loss, samples)
first = towards(model, other_weights)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from .. import errors
from ..history import History
from ..losses import Loss
from ..models import LinearModel
from ..runtime.devices import generator
from .modules import in_evaluation
from .pairs import ScalarLoss, as_loss, drop_output_axis, pair, targets_and_weights

Weights = Mapping[str, Tensor]


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of the model's parameters, by name."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def random(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Returns a random direction of length 1: independent standard normal numbers, scaled together."""
    source = generator(seed)
    # drawn in float64 on the CPU: the same direction on every device and in every dtype
    drawn = {
        name: torch.randn(p.shape, dtype=torch.float64, generator=source).to(p) for name, p in parameters(model).items()
    }
    length = norm(drawn)
    return {name: d / length for name, d in drawn.items()}


def filter_normalised(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Returns a random direction whose filters (rows of a weight) are as long as the model's own; biases are 0.

    So a step of 1 changes every filter by its own size, and surfaces of models of different scale can be compared. A
    filter of zeros gets a direction of zeros, so a model whose weights are all 0 is refused.
    See Li, Xu, Taylor, Studer & Goldstein 2018, Visualizing the Loss Landscape of Neural Nets, §4.
    """
    direction = random(model, seed)
    for name, weight in parameters(model).items():
        if weight.ndim < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        filters = direction[name].flatten(1)
        scale = weight.flatten(1).norm(dim=1) / filters.norm(dim=1)
        direction[name] = (filters * scale.unsqueeze(1)).view_as(weight)
    if not has_filters(model):
        raise errors.ConfigError(
            "All weights are 0: filter-normalised directions would be too. Train the model first, or use random "
            "directions."
        )
    return direction


def has_filters(model: nn.Module) -> bool:
    """Returns whether a weight with two axes or more has an entry other than 0."""
    return any(p.ndim > 1 and bool((p != 0).any()) for p in model.parameters())


def towards(model: nn.Module, other: nn.Module | Weights) -> dict[str, Tensor]:
    """Returns θ1 − θ0, the direction from the model (at 0) to other weights of the same shape (at 1)."""
    target = parameters(other) if isinstance(other, nn.Module) else other
    here = parameters(model)
    check_names(here, target)
    return {name: target[name].to(p) - p for name, p in here.items()}


def parameter(model: nn.Module, which: str) -> dict[str, Tensor]:
    """Returns the direction of one parameter entry, by name and index: `weight[0,3]`, `layers.0.weight[1,2]`."""
    match = re.fullmatch(r"(.+?)\[([\d,\s]+)\]", which.strip())
    here = parameters(model)
    name = match[1] if match else which
    if match is None or name not in here:
        raise errors.ConfigError(
            f"{which!r} is not an entry of a parameter; an entry is written weight[0,3]. {errors.nearest(name, here)}"
        )
    index = tuple(int(i) for i in match[2].split(","))
    if len(index) != here[name].ndim or any(i >= n for i, n in zip(index, here[name].shape, strict=True)):
        raise errors.ConfigError(f"{which!r} lies outside {name}, which has shape {errors.shape(here[name])}.")
    direction = {key: torch.zeros_like(p) for key, p in here.items()}
    direction[name][index] = 1.0
    return direction


def principal(path: History | Sequence[Weights]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns the two directions of length 1 in which a run's path varies most about its last point.

    They are its principal components. `path`: a history that kept snapshots, or any sequence of weights. See Li et al.
    2018, §7.
    """
    steps: Sequence[Any] = [weights for _, weights in path.snapshots] if isinstance(path, History) else path
    if len(steps) < 3:
        raise errors.ConfigError(
            f"Principal directions need 3 snapshots or more; this path has {len(steps)}. "
            f"Train with snapshots=…, or use random directions."
        )
    last = steps[-1]
    away = torch.stack([flat({k: w[k].double() - last[k].double() for k in last}) for w in steps[:-1]])
    need_two_parameters(away.shape[1])
    # few steps and many weights: the Gram matrix of the steps has the same eigenvalues
    values, vectors = torch.linalg.eigh(away @ away.mT)
    if not float(values[-1]) > 0:
        raise errors.ConfigError("The path never moves: its snapshots are equal. Use random directions.")
    one = vectors[:, -1] @ away
    one = one / one.norm()
    two = vectors[:, -2] @ away
    if float(values[-2]) <= 1e-14 * float(values[-1]):  # a straight path has one direction only
        two = random_vector(away[0], generator(0))
    return unflat(one, last), unflat(perpendicular(two, [one]), last)


def need_two_parameters(count: int) -> None:
    if count < 2:
        raise errors.ConfigError("The model has a single parameter, and a plane has two directions. Draw a line.")


def random_vector(like: Tensor, source: torch.Generator) -> Tensor:
    """Returns a standard normal vector, the same on every device."""
    return torch.randn(like.shape, dtype=torch.float64, generator=source).to(like.device)


def perpendicular(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Returns the component of a vector orthogonal to `others` (vectors of length 1), scaled to length 1."""
    vector = vector / vector.norm()
    for _ in range(2):  # twice is enough (Kahan), or rounding leaves something of the others
        for other in others:
            vector = vector - (vector @ other) * other
    return vector / vector.norm()


def hessian(
    model: nn.Module, loss: Any, data: Any, steps: int = 40, seed: int = 0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns the two eigenvectors of the loss's Hessian at the model's weights with the largest eigenvalues.

    They have length 1. Lanczos' method needs only products H v, never the matrix. For a linear model H v = Xᵀ ℓ″ X v
    by hand, from the loss's `curvature_product`; for any other module H v = ∇(∇L · v) by torch.func. `loss` and `data`
    are as in `landscape.plane`; a net in training mode is copied, and the copy is evaluated in evaluation mode.
    """
    model, _ = in_evaluation(model)
    features, targets = pair(data, model)
    loss = as_loss(loss)
    here = parameters(model)
    like = flat(here).double()
    need_two_parameters(len(like))
    source = generator(seed)
    with torch.random.fork_rng():
        targets, weights = targets_and_weights(loss, features, targets, getattr(data, "sample_weight", None))
        by_name = hessian_product(model, loss, features, targets, weights)

        def product(vector: Tensor) -> Tensor:
            return flat(by_name(unflat(vector, here))).double()

        found: list[Tensor] = []
        for _ in range(2):
            # the second search stays orthogonal to the first vector and starts from a draw of its own: so it
            # finds the second vector also where both eigenvalues are equal, which one search cannot
            vector, largest = lanczos(product, random_vector(like, source), steps, found)
            if not found and not largest > 0:
                how = "0" if largest == 0 else "not finite"
                raise errors.ConfigError(
                    f"The Hessian of {getattr(loss, 'name', type(loss).__name__)} is {how} at these weights: it has no "
                    f"directions of its own. Use random directions."
                )
            found.append(vector)
    return unflat(found[0], here), unflat(found[1], here)


def lanczos(
    product: Callable[[Tensor], Tensor], start: Tensor, steps: int, others: Sequence[Tensor]
) -> tuple[Tensor, float]:
    """Returns the eigenvector (length 1) with a symmetric matrix's largest eigenvalue, and the largest |eigenvalue|.

    Lanczos' method needs only products with the matrix. The eigenvector is orthogonal to `others`.
    """
    basis: list[Tensor] = []
    vector = start
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    for _ in range(min(steps, len(start) - len(others))):
        length = vector.norm()
        if basis:
            if float(length) <= 1e-12 * float(torch.stack(alphas + betas).abs().max().clamp(min=1e-300)):
                break
            betas.append(length)
        basis.append(perpendicular(vector, [*others, *basis]))  # against all: rounding brings copies back
        image = product(basis[-1])
        alphas.append(image @ basis[-1])
        for other in [*others, *basis]:
            image = image - (image @ other) * other
        vector = image
    diagonal = torch.stack(alphas)
    beside = torch.stack(betas) if betas else diagonal.new_zeros(0)
    tridiagonal = torch.diag(diagonal) + torch.diag(beside, 1) + torch.diag(beside, -1)
    if not bool(tridiagonal.isfinite().all()):
        return start, float("nan")
    values, vectors = torch.linalg.eigh(tridiagonal)
    return perpendicular(vectors[:, -1] @ torch.stack(basis), others), float(values.abs().max())


def hessian_product(
    model: nn.Module, loss: Loss | ScalarLoss, features: Tensor, targets: Tensor, sample_weight: Tensor | None = None
) -> Callable[[Weights], dict[str, Tensor]]:
    """Returns the function v ↦ H v on directions, H the Hessian of the loss at the model's weights.

    `sample_weight` has Σ w = N.
    """
    if sample_weight is not None and not isinstance(loss, Loss):
        raise errors.ConfigError(
            f"{loss.name} gives one number for all samples, so it cannot be weighted. Take one of edunn.losses."
        )
    here = parameters(model)
    if isinstance(model, LinearModel) and isinstance(loss, Loss):

        @torch.no_grad()
        def by_hand(v: Weights) -> dict[str, Tensor]:
            moved = functional_call(model, dict(v), (features,))
            bend = loss.curvature_product(model(features), targets, moved)
            if sample_weight is not None:
                bend = bend * (sample_weight.unsqueeze(-1) if loss.class_axis else sample_weight)
            gradients: dict[str, Tensor] = model.gradients(features, bend / len(features))
            return gradients

        return by_hand

    def value(weights: Weights) -> Tensor:
        scores = functional_call(model, dict(weights), (features,))
        scores = drop_output_axis(scores, loss)
        if sample_weight is None or not isinstance(loss, Loss):
            return loss(scores, targets, validate=False)
        return loss(scores, targets, sample_weight, validate=False)

    def by_autograd(v: Weights) -> dict[str, Tensor]:
        def along(weights: Weights) -> Tensor:
            slopes = grad(value)(dict(weights))
            return torch.stack([(slopes[name] * v[name]).sum() for name in slopes]).sum()

        result: dict[str, Tensor] = grad(along)(here)  # ∇(∇L · v) = H v
        return result

    return by_autograd


def flat(weights: Weights) -> Tensor:
    return torch.cat([w.flatten() for w in weights.values()])


def unflat(vector: Tensor, like: Weights) -> dict[str, Tensor]:
    pieces = vector.split([w.numel() for w in like.values()])
    return {name: piece.view_as(w).to(w) for piece, (name, w) in zip(pieces, like.items(), strict=True)}


def norm(weights: Weights) -> float:
    return float(sum(float(w.double().norm()) ** 2 for w in weights.values())) ** 0.5


def check_names(here: Weights, other: Weights) -> None:
    """Raises an error if the names or shapes of a direction are not those of the model's parameters."""
    for name, p in here.items():
        if name not in other or other[name].shape != p.shape:
            got = f"a tensor {errors.shape(other[name])}" if name in other else "none"
            raise errors.ShapeError(
                f"The direction needs {name} of shape {errors.shape(p)}; it has {got}. Take it from the same model."
            )


def project(model: nn.Module, path: Sequence[Weights], first: Weights, second: Weights) -> Tensor:
    """Returns the coordinates (a, b) of the point of the plane nearest to each weights of a path, (steps, 2).

    The plane is θ0 + a·first + b·second through the model's weights θ0; the points are found by least squares.
    """
    weights = parameters(model)
    here = flat({k: weights[k] for k in first}).double()  # all in one order: files keep names sorted, models do not
    columns = torch.stack([flat({k: d[k] for k in first}).double() for d in (first, second)], 1)
    away = torch.stack([flat({k: w[k] for k in first}).double() for w in path]) - here
    return torch.linalg.lstsq(columns, away.mT).solution.mT
