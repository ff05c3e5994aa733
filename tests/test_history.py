"""History: columns, files and back, strict JSON, and how it shows itself."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edunn.errors import DataError, RunError
from edunn.history import STATUSES, History
from edunn.results import Table, cell
from edunn.runtime.files import strict, write_atomically

ROWS = (
    {"epoch": 1, "step": 4, "rate": 0.1, "running": 2.5},
    {"epoch": 2, "step": 8, "rate": 0.05, "running": 1.25, "loss": 1.0, "accuracy": 0.75},
    {"epoch": 3, "step": 12, "rate": 0.025, "running": 0.1 + 0.2, "loss": 1 / 3, "accuracy": 0.5},
)
HISTORY = History(ROWS, "finished", "all 3 epochs were run", steps=12, seconds=0.5, best_epoch=2)


def test_columns() -> None:
    assert len(HISTORY) == HISTORY.epochs == 3
    assert HISTORY.columns == ["epoch", "step", "rate", "running", "loss", "accuracy"]
    assert HISTORY["step"] == [4, 8, 12]
    assert math.isnan(HISTORY["loss"][0])
    assert HISTORY["loss"][1:] == [1.0, 1 / 3]
    assert HISTORY.evaluated("loss") == ([2, 3], [1.0, 1 / 3])
    assert HISTORY.last("accuracy") == 0.5
    assert HISTORY.last("validation_loss") is None
    assert list(HISTORY) == list(ROWS)


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no column 'acuracy'\. Did you mean 'accuracy'"):
        HISTORY["acuracy"]


ENDINGS = [
    HISTORY,
    replace(HISTORY, status="diverged", message="… 2/λmax …", stable_rate=0.1 + 0.2, best_epoch=None, metric="r2"),
    replace(HISTORY, rows=(), steps=0),
]


@pytest.mark.parametrize("history", ENDINGS, ids=["finished", "diverged", "empty"])
def test_round_trip(history: History, tmp_path: Path) -> None:
    history.save(tmp_path / "metrics.jsonl")
    loaded = History.load(tmp_path / "metrics.jsonl")
    assert loaded == history  # every digit of every float
    assert [type(v) for row in loaded for v in row.values()] == [type(v) for row in history for v in row.values()]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]  # nothing half-written is left beside it


def refuse_constants(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null_in_the_file_and_nan_after(value: float, tmp_path: Path) -> None:
    history = replace(HISTORY, rows=({"epoch": 1, "running": value},), status="diverged")
    history.save(tmp_path / "h.jsonl")
    lines = (tmp_path / "h.jsonl").read_text().splitlines()
    parsed = [json.loads(line, parse_constant=refuse_constants) for line in lines]
    assert parsed[0] == {"epoch": 1, "running": None}
    assert parsed[1]["end"]["status"] == "diverged"
    loaded = History.load(tmp_path / "h.jsonl")
    assert loaded["epoch"] == [1]
    assert math.isnan(loaded["running"][0])


def test_snapshots_are_kept_apart(tmp_path: Path) -> None:
    history = replace(HISTORY, snapshots=((0, {"weight": torch.zeros(2)}),))
    assert history == HISTORY
    assert repr(history) == repr(HISTORY)  # no tensors on the screen
    history.save(tmp_path / "h.jsonl")
    assert History.load(tmp_path / "h.jsonl").snapshots == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.rsplit("\n", 2)[0],
        lambda text: text.replace('"status"', '"state"'),
        lambda text: "not a history",
        lambda text: "[1]\n" + text,
    ],
    ids=["empty", "truncated", "without its end", "another key", "something else", "a row that is none"],
)
def test_a_damaged_file_is_a_sentence(damage: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    HISTORY.save(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=r"h\.jsonl cannot be read as a history written by edunn"):
        History.load(path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        History.load(tmp_path / "none.jsonl")


def test_csv(tmp_path: Path) -> None:
    HISTORY.save_csv(tmp_path / "h.csv")
    with (tmp_path / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == HISTORY.columns
    assert rows[0]["loss"] == ""
    assert float(rows[2]["running"]) == 0.1 + 0.2  # every digit
    assert [r["epoch"] for r in rows] == ["1", "2", "3"]


def test_prints_as_a_table() -> None:
    lines = str(HISTORY).splitlines()
    assert lines == [
        "epoch  step   rate  running      loss  accuracy",
        "    1     4    0.1      2.5",
        "    2     8   0.05     1.25         1      0.75",
        "    3    12  0.025      0.3  0.333333       0.5",
        "finished: all 3 epochs were run",
    ]


def test_a_long_table_leaves_out_its_middle() -> None:
    rows = tuple({"epoch": i} for i in range(1, 101))
    text = Table.of(rows, ["epoch"]).text().splitlines()
    assert len(text) == 22  # a head, ten rows, the note, ten rows
    assert text[11] == "… 80 more …"
    assert [int(line) for line in text[1:11] + text[12:]] == [*range(1, 11), *range(91, 101)]
    assert "80 rows in the middle left out" in replace(HISTORY, rows=rows)._repr_html_()
    assert "more" not in Table.of(rows[:20], ["epoch"]).text()


def test_html_shows_the_same() -> None:
    html = HISTORY._repr_html_()
    assert html.count("<tr>") == 4
    assert html.count("<td>") == 3 * 6
    assert "<th>accuracy</th>" in html
    assert "<td></td>" in html  # an epoch that was not evaluated
    assert "<p>finished: all 3 epochs were run</p>" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (3, "3"),
        (2.0, "2"),
        (1 / 3, "0.333333"),
        (1e12, "1e+12"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (-0.5, "-0.5"),
    ],
)
def test_cell(value: float | None, text: str) -> None:
    assert cell(value) == text


@given(
    st.recursive(
        st.floats() | st.integers() | st.text() | st.none() | st.booleans(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
        max_leaves=8,
    )
)
def test_strict_is_always_json(value: object) -> None:
    text = json.dumps(strict(value), allow_nan=False)
    json.loads(text, parse_constant=refuse_constants)


def test_strict_keeps_what_is_json_already() -> None:
    value = {"a": [1, 2.5, True, None, "x"], "b": {"c": -0.0}}
    assert strict(value) == value
    assert strict((math.nan, 1)) == [None, 1]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    write_atomically(path, b"bytes")
    assert path.read_bytes() == b"bytes"

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(RunError, match=r"Cannot write .*disk full"):
        write_atomically(path, "new")
    assert path.read_bytes() == b"bytes"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_statuses_are_the_five() -> None:
    assert list(STATUSES) == ["finished", "converged", "stopped", "diverged", "interrupted"]
