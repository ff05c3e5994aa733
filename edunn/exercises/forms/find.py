"""Finds the hand-ins of a file that says of none of them which exercise it is: by names, shapes and values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ...runtime.devices import generator
from ..candidates import ACTIVATIONS, Candidate, add_generic, find_candidates, list_losses
from ..exercise import GradientExercise
from ..handin import Handin
from ..lines import find_lines
from ..signature import assign, describe_match
from ..table import EXERCISES
from ..table.foreign import DROPOUT, FOREIGN
from . import engines, extensions, instances, nets, pairs
from .binding import OPTIONS, is_rate, list_all, list_required
from .settings import draw_shapes, find_shapes

Functions = Mapping[str, Callable[..., Any]]


def find_forms(
    functions: Functions, classes: Mapping[str, type], file: str, as_torch: bool
) -> tuple[list[Handin], set[str]]:
    """Returns the hand-ins among these functions and classes, and the names of the functions that they take up."""
    found: list[Handin] = []
    taken: set[str] = set()
    for value, gradient in pairs.find_pairs(functions):
        made = read_pair(value, gradient, file, as_torch)
        if made is not None:
            found.append(made)
            taken |= {value.__name__, gradient.__name__}
    for thing in classes.values():
        found += read_class(thing, file, as_torch)
    return found, taken


def collect(made: Iterator[Handin]) -> Handin | None:
    several = list(made)
    return replace(several[0], others=tuple(several[1:])) if several else None


# ---- functions ------------------------------------------------------------------------------------------------------


def read_pair(value: Callable[..., Any], gradient: Callable[..., Any], file: str, as_torch: bool) -> Handin | None:
    def make() -> Iterator[Handin]:
        for one, forward in list_pair_candidates(value, gradient):
            pair = pairs.Pair(value, gradient, one.names, forward)
            suffix = gradient.__name__.startswith(value.__name__)  # mse and mse_prime are mse
            yield Handin(
                value.__name__ if suffix else gradient.__name__, file, one.exercise, as_torch, pair.value,
                pair.gradient, forward, one.inputs, declared=False, like=one.like,
                matched=describe_match(value, one.names), functions=(gradient.__name__, value.__name__), helper=True,
                lines=find_lines(gradient),
            )  # fmt: skip

    return collect(make())


def list_pair_candidates(value: Callable[..., Any], gradient: Callable[..., Any]) -> Iterator[tuple[Candidate, bool]]:
    """Yields what a pair may be, and whether it is a layer's, with an upstream."""
    words = [one.name for one in list_required(value) if one.name not in OPTIONS and not is_rate(one.name)]
    optional = [one.name for one in list_all(value) if one.default is not one.empty]
    layer = pairs.is_forward(value, gradient)
    shapes = find_shapes(f"{value.__name__} {gradient.__name__}", words)
    if layer:
        roles = match_roles(words, ("features", "weight", "bias"))
        for exercise in list_layers(words, value.__name__):
            yield Candidate(exercise, exercise.arguments), True
        if shapes:
            yield Candidate(None, tuple(shapes), draw_shapes(value.__name__, shapes)), True
        if roles is not None and len(words) > 1:
            yield Candidate(None, roles, EXERCISES["linear"].draw), True  # type: ignore[attr-defined]
    if len(words) == 1:
        for name in ACTIVATIONS:
            yield Candidate(EXERCISES[name], ("scores",)), True
        for shape in ((3, 4), (4,)):
            yield Candidate(None, ("scores",), draw_normal({"scores": shape})), True
    for one in find_candidates(words, optional):
        yield one, False
    if not layer and words:
        shapes_of_all: tuple[tuple[int, ...], ...] = ((), (4,), (3, 4))
        for one_shape in shapes_of_all:  # a function of numbers, or of vectors, that courses descend on
            yield Candidate(None, tuple(words), draw_normal(dict.fromkeys(words, one_shape))), False


def match_roles(words: Sequence[str], roles: Sequence[str]) -> tuple[str, ...] | None:
    found = assign(words, roles)
    return tuple(found[word] for word in words) if len(found) == len(words) else None


def list_layers(words: Sequence[str], name: str) -> list[GradientExercise]:
    """Returns the layers of the package that take arguments with these names."""
    found = []
    for exercise in (EXERCISES["linear"], EXERCISES["batch-norm"], FOREIGN["layer-norm"]):
        assert isinstance(exercise, GradientExercise)
        matched = match_roles(words, exercise.arguments)
        if matched is not None and set(matched) == set(exercise.arguments):
            found.append(exercise)
    if "dropout" in name.lower() and len(words) == 1:
        found.append(DROPOUT)
    return found


def draw_normal(shapes: Mapping[str, tuple[int, ...]]) -> Callable[[int], dict[str, Any]]:
    def draw(seed: int) -> dict[str, Any]:
        return {
            name: torch.randn(shape, dtype=torch.float64, generator=generator(seed, k))
            for k, (name, shape) in enumerate(shapes.items())
        }

    return draw


# ---- classes --------------------------------------------------------------------------------------------------------


def read_class(thing: type, file: str, as_torch: bool) -> list[Handin]:
    if extensions.is_extension(thing):
        return [one for one in [read_extension(thing, file)] if one is not None]
    if engines.is_engine(thing):
        return [read_engine(thing, file)]
    made = [read_net(thing, file, as_torch), read_instance(thing, file, as_torch)]
    return [one for one in made if one is not None][:1]


def read_engine(thing: type, file: str) -> Handin:
    engine = engines.Engine(thing)

    def draw(seed: int) -> dict[str, Any]:
        return {name: 0.5 + torch.rand(3, dtype=torch.float64, generator=generator(seed, k))
                for k, name in enumerate(engine.names)}  # fmt: skip

    return Handin(
        thing.__name__, file, None, False, engine.value, engine.gradient, False, draw, declared=False,
        functions=(thing.__name__,), explain=engine.explain,
    )  # fmt: skip


def read_extension(thing: type, file: str) -> Handin | None:
    words = [one.name for one in extensions.list_words(thing) if one.default is one.empty and one.name not in OPTIONS]

    def make() -> Iterator[Handin]:
        for one, forward in list_extension_candidates(thing, words):
            made = extensions.Extension(thing, one.names)
            yield Handin(
                thing.__name__, file, one.exercise, True, made.value, made.gradient, forward, one.inputs,
                declared=False, functions=(thing.__name__,), lines=find_lines(thing.backward),  # type: ignore[attr-defined]
            )  # fmt: skip

    return collect(make())


def list_extension_candidates(thing: type, words: Sequence[str]) -> Iterator[tuple[Candidate, bool]]:
    if len(words) == 1:
        for name in ACTIVATIONS:
            yield Candidate(EXERCISES[name], ("scores",)), True
        yield Candidate(None, ("scores",), draw_normal({"scores": (3, 4)})), True
        return
    losses = match_roles(words, ("scores", "targets"))
    if losses is not None:
        for exercise in list_losses():
            assert isinstance(exercise, GradientExercise)
            yield Candidate(replace(exercise, arguments=losses), losses), False
    roles = match_roles(words, ("features", "weight", "bias"))
    if roles is not None and len(roles) == 3:
        exercise = EXERCISES["linear"]
        assert isinstance(exercise, GradientExercise)
        yield Candidate(replace(exercise, arguments=roles), roles), True
    for shape in ((3, 3), (3,)):
        yield Candidate(None, tuple(words), draw_normal(dict.fromkeys(words, shape))), True


def read_net(thing: type, file: str, as_torch: bool) -> Handin | None:
    def make() -> Iterator[Handin]:
        for methods in nets.find_methods(thing):
            yield from make_nets(thing, methods, file, as_torch)

    return collect(make())


def make_nets(thing: type, methods: tuple[str, ...], file: str, as_torch: bool) -> Iterator[Handin]:
    names: tuple[str, ...] = ("features", "targets", *(["strength"] if nets.takes_strength(thing, methods) else []))
    for kind in ("classes", "real", "bits", "rows"):
        for columns in (False, True):
            draw = draw_data(kind, columns)
            try:
                trial = {name: value.numpy() if isinstance(value, torch.Tensor) else value
                         for name, value in draw(0).items() if name in names}  # fmt: skip
                places = nets.find_places(thing, methods, trial)
            except Exception:
                continue
            if not places:
                continue
            order = (*places, *names)
            data = lambda seed, draw=draw: {n: v for n, v in draw(seed).items() if n in names}  # noqa: E731
            drawn = nets.draw_net(thing, places, data)
            made = nets.Net(thing, methods, places, order, drawn, as_torch)
            yield Handin(
                thing.__name__, file, None, as_torch, made.value, made.gradient, False, drawn, declared=False,
                functions=(thing.__name__,), lines=find_lines(getattr(thing, methods[-1])), explain=made.explain,
            )  # fmt: skip


def draw_data(kind: str, columns: bool) -> Callable[[int], dict[str, Any]]:
    """Returns a draw of features, targets and the strength of a penalty for a model with its own sizes."""

    def draw(seed: int) -> dict[str, Any]:
        source = generator(seed, 50)
        samples = instances.SAMPLES + seed % 3
        features = torch.randn((samples, instances.FEATURES), dtype=torch.float64, generator=source)
        targets: torch.Tensor = torch.randint(instances.OUTPUTS, (samples,), generator=source)
        if kind == "rows":
            targets = torch.nn.functional.one_hot(targets, instances.OUTPUTS).double()
        elif kind == "real":
            targets = torch.randn((samples, instances.OUTPUTS), dtype=torch.float64, generator=source)
        elif kind == "bits":
            targets = torch.randint(2, (samples,), generator=source).double()
        if columns:
            features, targets = features.mT, targets.mT if targets.ndim == 2 else targets.reshape(1, -1)
        return {"features": features, "targets": targets, "strength": 0.7}

    return draw


def read_instance(thing: type, file: str, as_torch: bool) -> Handin | None:
    methods = instances.find_methods(thing)
    if methods is None or inspect.isabstract(thing):
        return None
    return collect(list_instances(thing, methods, file, as_torch or issubclass(thing, torch.nn.Module)))


def list_instances(thing: type, methods: tuple[str, str], file: str, as_torch: bool) -> Iterator[Handin]:
    method = getattr(thing, methods[0])
    own = [one for one in list_all(method) if one.name != "self"]

    def make(one: Candidate, places: Mapping[str, str], forward: bool, from_arguments: bool = False) -> Handin:
        made = instances.Instance(thing, methods, one.names, places, forward, from_arguments)
        return Handin(
            thing.__name__, file, one.exercise, as_torch, made.value, made.gradient, forward, one.inputs, like=one.like,
            declared=False, functions=(thing.__name__,), lines=find_lines(getattr(thing, methods[1])),
        )  # fmt: skip

    both = match_roles([one.name for one in own if one.default is one.empty], ("scores", "targets"))
    if both is not None and len(both) == 2:
        for one in add_generic(list_losses()):
            yield make(one, {}, False)
        return
    taken = {one.name.lower() for one in instances.list_arguments(thing)} if instances.takes_arguments(thing) else set()
    if match_roles(sorted(taken), ("weight", "bias")) or match_roles(sorted(taken), ("scale", "shift")):
        yield from make_from_arguments(thing, make)
        return
    for shape in ((5, 4), (4, 5), (4, 1), (1, 4), (4,), (2, 3, 6, 6)):
        trial = {"features": torch.randn(shape, dtype=torch.float64, generator=generator(0))}
        try:
            places = instances.find_places(
                thing, methods, {name: v if as_torch else v.numpy() for name, v in trial.items()}
            )
        except Exception:
            continue
        if not places and len(shape) == 2 and shape == (5, 4):
            for name in ACTIVATIONS:
                yield make(Candidate(EXERCISES[name], ("scores",)), {}, True)
            yield make(Candidate(DROPOUT, ("features",)), {}, True)
        if set(places) == {"weight", "bias"} and len(shape) == 2:
            yield make(linear_candidate(thing, places, shape), places, True)
        if set(places) == {"scale", "shift"} and shape == (5, 4):
            exercise = EXERCISES["batch-norm"]
            assert isinstance(exercise, GradientExercise)
            draw = instances.draw_instance(thing, places, {"features": shape})
            yield make(Candidate(replace(exercise, drawn=draw), exercise.arguments), places, True)
        draw = instances.draw_instance(thing, places, {"features": shape})
        yield make(Candidate(None, ("features", *places), draw), places, True)


def linear_candidate(thing: type, places: Mapping[str, str], shape: tuple[int, ...]) -> Candidate:
    """Returns a dense layer with the sizes that the object has."""
    exercise = EXERCISES["linear"]
    assert isinstance(exercise, GradientExercise)

    def draw(seed: int) -> dict[str, Any]:
        sizes = {"features": (instances.SAMPLES if 1 not in shape else 1, instances.FEATURES),
                 "weight": (instances.OUTPUTS, instances.FEATURES), "bias": (instances.OUTPUTS,)}  # fmt: skip
        return draw_normal(sizes)(seed)

    return Candidate(replace(exercise, drawn=draw), exercise.arguments)


def make_from_arguments(thing: type, make: Callable[..., Handin]) -> Iterator[Handin]:
    """Yields a layer whose constructor takes its parameters: Affine(W, b)."""
    for name in ("linear", "batch-norm"):
        exercise = EXERCISES[name]
        assert isinstance(exercise, GradientExercise)
        words = [one.name for one in instances.list_arguments(thing) if one.default is one.empty]
        roles = match_roles(words, exercise.arguments)
        if roles is None:
            continue
        instance = instances.construct(thing, {role: torch.zeros(3).numpy() for role in roles})
        places = {role: find_place(instance, word) for role, word in zip(roles, words, strict=True)}
        yield make(Candidate(exercise, exercise.arguments), places, True, True)


def find_place(instance: Any, word: str) -> str:
    return next((name for name in vars(instance) if name.strip("_").lower() == word.lower()), word)
