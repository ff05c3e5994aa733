"""Directions in a model's weights: what a plane is spanned by. Each is a dict of tensors, by parameter name.

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
from .pairs import ScalarLoss, as_loss, pair, weights_of

Weights = Mapping[str, Tensor]


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's parameters, by name."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def random(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Independent standard normal numbers, the whole scaled to length 1."""
    source = generator(seed)
    # drawn in float64 on the CPU: the same direction on every device and in every dtype
    drawn = {
        name: torch.randn(p.shape, dtype=torch.float64, generator=source).to(p) for name, p in parameters(model).items()
    }
    length = norm(drawn)
    return {name: d / length for name, d in drawn.items()}


def filter_normalised(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A random direction whose filters (rows of a weight) are as long as the model's own; biases do not move.

    So a step of 1 changes every filter by its own size, and surfaces of models of different scale can be compared. A
    filter of zeros stays where it is: a model that has not been trained from zero has no such direction.
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
            "Expected a model with weights that are not all 0 for filter-normalised directions. Train it first, or use "
            "random directions."
        )
    return direction


def has_filters(model: nn.Module) -> bool:
    """Whether some weight of two axes or more is not all 0."""
    return any(p.ndim > 1 and bool((p != 0).any()) for p in model.parameters())


def towards(model: nn.Module, other: nn.Module | Weights) -> dict[str, Tensor]:
    """θ1 − θ0: from the model (at 0) to other weights of the same shape (at 1)."""
    target = parameters(other) if isinstance(other, nn.Module) else other
    here = parameters(model)
    check_names(here, target)
    return {name: target[name].to(p) - p for name, p in here.items()}


def parameter(model: nn.Module, which: str) -> dict[str, Tensor]:
    """One number among the parameters, by its name and index: `weight[0,3]`, `bias[0]`, `layers.0.weight[1,2]`."""
    match = re.fullmatch(r"(.+?)\[([\d,\s]+)\]", which.strip())
    here = parameters(model)
    name = match[1] if match else which
    if match is None or name not in here:
        raise errors.ConfigError(
            f"Expected one number of a parameter, as weight[0,3]; got {which!r}. {errors.nearest(name, here)}"
        )
    index = tuple(int(i) for i in match[2].split(","))
    if len(index) != here[name].ndim or any(i >= n for i, n in zip(index, here[name].shape, strict=True)):
        raise errors.ConfigError(f"Expected an index within {errors.shape(here[name])} for {name}; got {which!r}.")
    direction = {key: torch.zeros_like(p) for key, p in here.items()}
    direction[name][index] = 1.0
    return direction


def principal(path: History | Sequence[Weights]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The two directions, of length 1, in which a run's path varies most about its last point.

    They are its principal components. `path`: a history that kept snapshots, or any sequence of weights. See Li et al.
    2018, §7.
    """
    steps: Sequence[Any] = [weights for _, weights in path.snapshots] if isinstance(path, History) else path
    if len(steps) < 3:
        raise errors.ConfigError(
            f"Expected a path of 3 snapshots or more for its principal directions; got {len(steps)}. "
            f"Train with snapshots=…, or use random directions."
        )
    last = steps[-1]
    away = torch.stack([flat({k: w[k].double() - last[k].double() for k in last}) for w in steps[:-1]])
    # few steps and many weights: the Gram matrix of the steps has the same eigenvalues
    values, vectors = torch.linalg.eigh(away @ away.mT)
    found: list[Tensor] = []
    for k in (-1, -2):
        direction = vectors[:, k] @ away
        if float(values[k]) <= 1e-14 * float(values[-1].clamp(min=1e-300)):  # a straight path has one direction only
            direction = complement(away[0], found)
        found.append(direction / direction.norm())
    return unflat(found[0], last), unflat(found[1], last)


def complement(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Any direction at right angles to others: a seeded random one, made so."""
    drawn = torch.randn(vector.shape, dtype=vector.dtype, generator=generator(0))
    for other in others:
        drawn = drawn - (drawn @ other) * other
    return drawn


def hessian(
    model: nn.Module, loss: Any, data: Any, steps: int = 40, seed: int = 0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The two eigenvectors of length 1 with the largest eigenvalues of the loss's Hessian at the model's weights.

    By Lanczos' method: products H v alone, never the matrix. For a linear model H v = Xᵀ ℓ″ X v by hand, from the
    loss's `curvature_product`; for any other module H v = ∇(∇L · v) by torch.func. `loss` and `data` are as in
    `landscape.plane`; a net in training mode is copied, and the copy is evaluated in evaluation mode.
    """
    model, _ = in_evaluation(model)
    features, targets = pair(data, model)
    here = parameters(model)
    with torch.random.fork_rng():
        weights = weights_of(data, next(iter(here.values())), len(features))
        return lanczos(hessian_product(model, as_loss(loss), features, targets, weights), here, steps, seed)


def lanczos(
    product: Callable[[Weights], dict[str, Tensor]], here: dict[str, Tensor], steps: int, seed: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The two eigenvectors of length 1 with the largest eigenvalues of a symmetric matrix, from products with it."""
    size = sum(p.numel() for p in here.values())
    basis: list[Tensor] = []
    vector = torch.randn(size, dtype=torch.float64, generator=generator(seed)).to(next(iter(here.values())).device)
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    for _ in range(min(steps, size)):
        length = vector.norm()
        if basis:
            if float(length) <= 1e-12 * float(torch.stack(alphas).abs().max().clamp(min=1e-300)):
                break
            betas.append(length)
        basis.append(vector / length)
        image = flat(product(unflat(basis[-1], here))).double()
        alphas.append(image @ basis[-1])
        for _ in range(2):  # twice is enough (Kahan): against all earlier ones, or rounding brings copies back
            for other in basis:
                image = image - (image @ other) * other
        vector = image
    diagonal = torch.stack(alphas)
    beside = torch.stack(betas) if betas else diagonal.new_zeros(0)
    tridiagonal = torch.diag(diagonal) + torch.diag(beside, 1) + torch.diag(beside, -1)
    _, vectors = torch.linalg.eigh(tridiagonal)
    found = [vectors[:, -1] @ torch.stack(basis)]
    found.append(
        vectors[:, -2] @ torch.stack(basis) if len(basis) > 1 else complement(found[0].cpu(), [found[0].cpu()])
    )
    first, second = (unflat(v / v.norm(), here) for v in found)
    return first, second


def hessian_product(
    model: nn.Module, loss: Loss | ScalarLoss, features: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Callable[[Weights], dict[str, Tensor]]:
    """v ↦ H v, by parameter name; `weights` of the samples with Σ w = N."""
    if weights is not None and not isinstance(loss, Loss):
        raise errors.ConfigError(
            f"{loss.name} gives one number for all samples, which weights cannot enter. Take one of edunn.losses."
        )
    here = parameters(model)
    if isinstance(model, LinearModel) and isinstance(loss, Loss):

        @torch.no_grad()
        def by_hand(v: Weights) -> dict[str, Tensor]:
            moved = functional_call(model, dict(v), (features,))
            bend = loss.curvature_product(model(features), targets, moved)
            if weights is not None:
                bend = bend * (weights.unsqueeze(-1) if loss.class_axis else weights)
            gradients: dict[str, Tensor] = model.gradients(features, bend / len(features))
            return gradients

        return by_hand

    def value(weights: Weights) -> Tensor:
        scores = functional_call(model, dict(weights), (features,))
        if loss.class_axis is not None and scores.ndim == 2 + loss.class_axis and scores.shape[-1] == 1:
            scores = scores.squeeze(-1)
        if weights is None or not isinstance(loss, Loss):
            return loss(scores, targets, validate=False)
        return loss(scores, targets, weights, validate=False)

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
    """Two sets of weights have the same names and shapes."""
    for name, p in here.items():
        if name not in other or other[name].shape != p.shape:
            got = f"a tensor {errors.shape(other[name])}" if name in other else "none"
            raise errors.ShapeError(
                f"Expected a direction or weights with {name} of shape {errors.shape(p)}; got {got}. "
                f"Both must come from the same model."
            )


def projected(model: nn.Module, path: Sequence[Weights], first: Weights, second: Weights) -> Tensor:
    """A path of weights on the plane through the model's weights: (a, b) of the nearest point to each, (steps, 2)."""
    weights = parameters(model)
    here = flat({k: weights[k] for k in first}).double()  # all in one order: files keep names sorted, models do not
    columns = torch.stack([flat({k: d[k] for k in first}).double() for d in (first, second)], 1)
    away = torch.stack([flat({k: w[k] for k in first}).double() for w in path]) - here
    return torch.linalg.lstsq(columns, away.mT).solution.mT
