"""A hand-in that is a plain function, held against the package's own on cases; and mistakes as edits of the source.

A mistake of the table is one or two replacements in the source of the package's own function: what the edited code
gives is what that mistake gives. A source that changes makes its mistakes fail a test, and not drift.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Slip:
    """One typical mistake.

    name : short; says : what it is, for the student
    edits : (what stands in the package's source, what the mistake writes there), each replaced wherever it stands
    """

    name: str
    says: str
    edits: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FunctionTask:
    """One function that can be handed in.

    name, formula : as of a `Task`
    given : what the arguments are and what the answer is, with their shapes
    arguments : in the order of the hand-in's signature
    subject : the package's own: a function, or the class whose methods are asked for
    pieces : the functions or the names of the methods that are the student's part
    cases : by name the arguments, drawn from a seed; the first is an ordinary one
    slips : the typical mistakes, the likeliest first
    through : called as through(subject, *arguments) where the answer is more than subject(*arguments)
    base : what the student's class extends; the subject, if not given
    tolerance : the relative error up to which an answer is the package's
    """

    name: str
    formula: str
    given: str
    arguments: tuple[str, ...]
    subject: Any
    pieces: tuple[Any, ...]
    cases: Callable[[int], dict[str, Arguments]]
    slips: tuple[Slip, ...]
    through: Callable[..., Any] | None = None
    base: type | None = None
    tolerance: float = 1e-7

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The pieces, as functions."""
        return tuple(getattr(self.subject, one) if isinstance(one, str) else one for one in self.pieces)

    @property
    def extends(self) -> type:
        return self.base or self.subject

    def answer(self, subject: Any, arguments: Arguments) -> Tensor:
        """What the package's own, or an edited one, gives for copies of the arguments."""
        copies = [value.clone() if isinstance(value, Tensor) else value for value in arguments]
        with torch.no_grad():
            found = subject(*copies) if self.through is None else self.through(subject, *copies)
        return torch.as_tensor(found).detach()

    def right(self, arguments: Arguments) -> Tensor:
        return self.answer(self.subject, arguments)

    @cached_property
    def source(self) -> str:
        """The pieces as they stand in the package; methods inside a class."""
        pieces = [textwrap.dedent(inspect.getsource(piece)).rstrip() for piece in self.functions]
        if not inspect.isclass(self.subject):
            return "\n\n".join(pieces)
        return f"class _Edited(_Base):\n{textwrap.indent(chr(10).join(pieces), '    ')}"

    def edited(self, slip: Slip) -> Any:
        """The subject with a mistake in it."""
        text = self.source
        for old, new in slip.edits:
            if old not in text:
                raise LookupError(f"{self.name}, {slip.name}: {old!r} does not stand in the package's source any more")
            text = text.replace(old, new)
        # the source is this package's own; what it refers to is what its module does
        names = dict(vars(sys.modules[self.functions[0].__module__])) | {"_Base": self.extends}
        exec(compile(text, f"<{self.name}: {slip.name}>", "exec", dont_inherit=True), names)
        return names["_Edited" if inspect.isclass(self.subject) else self.subject.__name__]
