"""The page of conventions: nothing of the package is missing, and every line holds against the library itself."""

from __future__ import annotations

import warnings

import pytest
import torch
from documentation import conventions
from documentation.counterparts import LIBRARIES, NONE, SAME, Line

from edunn.differences import relative_error
from edunn.gradcheck.catalogue import Draw

PROVED = [line for line in conventions.LINES if line.there != NONE]
NAMES = [name for table in conventions.TABLES.values() for name in table]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", NAMES)
def test_everything_has_a_line_for_every_library(name: str, library: str) -> None:
    """A new loss, penalty, rule or schedule comes with its counterparts, or with the word that there are none."""
    found = [line for line in conventions.LINES if (line.about, line.library) == (name, library)]
    assert found, f"give {name} a line for {library} in scripts/documentation/conventions_*.py"
    assert NONE not in {line.there for line in found} or len(found) == 1


def test_every_line_is_about_something() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {line.about for line in conventions.LINES} == set(NAMES)
    assert {line.library for line in conventions.LINES} == set(LIBRARIES)
    texts = [(line.about, line.library, line.there) for line in conventions.LINES]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("line", PROVED, ids=lambda line: f"{line.about}, {line.library}: {line.there}")
def test_line_holds(line: Line) -> None:
    """Theirs is what the line makes of ours; and where it makes something of it, ours as it is would be wrong."""
    assert line.compare is not None
    for seed in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # scikit-learn announces renamed options in advance
            found = line.compare(Draw(seed, 77))
        assert found.theirs.dtype == found.converted.dtype == torch.float64
        assert found.theirs.abs().max() > 1e-3, "two zeros prove nothing"
        assert relative_error(found.theirs, found.converted) < found.tolerance
        assert (line.relation == SAME) == (found.plain is None)
        if found.plain is not None:
            assert relative_error(found.theirs, found.plain) > 100 * found.tolerance


def test_what_has_no_counterpart_claims_no_relation() -> None:
    for line in conventions.LINES:
        if line.there == NONE:
            assert (line.relation, line.compare) == ("", None)
