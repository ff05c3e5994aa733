"""Folds, cross-validation and grid search."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_neighbours import Rows

from edunn.errors import ConfigError
from edunn.selection import Search, Trial, choose_k, cross_validate, folds, grid_search


def samples(count, classes=3):
    return Rows(torch.arange(count).float().unsqueeze(1), torch.arange(count) % classes)


@given(total=st.integers(2, 60), count=st.integers(2, 60), classes=st.integers(1, 5), seed=st.integers(0, 99))
def test_every_sample_is_held_out_once(total, count, classes, seed):
    if count > total:
        with pytest.raises(ConfigError, match=f"{total} samples .* folds; got {count}"):
            folds(samples(total), count)
        return
    found = folds(samples(total, classes), count, seed)
    assert torch.cat([part for _, part in found]).sort().values.tolist() == list(range(total))
    for rest, part in found:
        assert sorted(rest.tolist() + part.tolist()) == list(range(total))
    sizes = [len(part) for _, part in found]
    assert max(sizes) - min(sizes) <= 1
    for label in range(classes):  # every part has its share of each class
        shares = [int((part % classes == label).sum()) for _, part in found]
        assert max(shares) - min(shares) <= 1


def test_folds_are_seeded_and_shuffled():
    first = [part.tolist() for _, part in folds(samples(40), 4, seed=1)]
    assert first == [part.tolist() for _, part in folds(samples(40), 4, seed=1)]
    assert first != [part.tolist() for _, part in folds(samples(40), 4, seed=2)]
    real = Rows(torch.zeros(12, 1), torch.linspace(0, 1, 12))
    assert torch.cat([part for _, part in folds(real, 3)]).sort().values.tolist() == list(range(12))


def test_grid_search_tries_all_and_marks_the_best():
    seen = []

    def trial(train, part, rate, strength):
        seen.append((rate, strength, len(train), len(part)))
        return -((rate - 0.1) ** 2) - strength

    search = grid_search(trial, samples(10), {"rate": [0.01, 0.1, 1.0], "strength": [0.0, 0.5]}, folds=2)
    assert len(seen) == 12
    assert {entry[2:] for entry in seen} == {(5, 5)}
    assert [t.settings for t in search.trials][:2] == [{"rate": 0.01, "strength": 0.0}, {"rate": 0.01, "strength": 0.5}]
    assert search.best == {"rate": 0.1, "strength": 0.0}
    marked = [line for line in str(search).splitlines() if line.endswith("← chosen")]
    assert len(marked) == 1
    assert marked[0].split()[:2] == ["0.1", "0"]
    assert sum(row["chosen"] for row in search.rows) == 1
    assert search._repr_html_().count("<td>← chosen</td>") == 1


def test_a_validation_part_takes_the_place_of_folds():
    search = grid_search(
        lambda train, part, k: len(train) * 10 + len(part), samples(4), {"k": [1]}, validation=samples(3)
    )
    assert search.trials[0].scores == (43.0,)
    assert search.trials[0].spread == 0


def test_the_first_of_equals_is_chosen_and_nan_never():
    rows = [Trial({"k": k}, (s,)) for k, s in enumerate([math.nan, 0.5, 0.5, math.nan])]
    assert Search(tuple(rows)).best == {"k": 1}


def test_cross_validation_gives_each_fold_a_score():
    trial = cross_validate(lambda train, part, scale: scale * len(part), samples(9), 3, scale=2)
    assert trial.scores == (6.0, 6.0, 6.0)
    assert trial.mean == 6
    assert trial.settings == {"scale": 2}


@pytest.mark.parametrize("grid", [{}, {"rate": []}])
def test_an_empty_grid_is_refused(grid):
    with pytest.raises(ConfigError, match="at least one value"):
        grid_search(lambda *_: 0.0, samples(4), grid)


def test_k_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"k must be 1 or more; got \[0\]"):
        choose_k(samples(10), [0])


def test_choose_k_on_a_validation_part_is_what_predict_scores():
    train, part = samples(60), Rows(torch.arange(0.3, 20).unsqueeze(1), torch.arange(20) % 3)
    search = choose_k(train, [1, 5], validation=part)
    from edunn.neighbours import NearestNeighbours

    for row in search.trials:
        model = NearestNeighbours(row.settings["k"]).fit(train.features, train.targets)
        assert row.scores == (float(model.score(part.features, part.targets)),)
