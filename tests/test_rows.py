"""Rows behave as the tensor that they stand for, whatever they are read from; the background changes nothing."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edunn import errors
from edunn.data import Samples
from edunn.features import Standardise, pixels
from edunn.runtime import prefetch
from edunn.runtime.prefetch import batches_of, in_background
from edunn.runtime.rows import Rows, check_finite, chunk_of, through

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def numbers(samples: int, width: int = 3) -> Tensor:
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(samples))


def in_parts(whole: Tensor, sizes: list[int]) -> Rows:
    return Rows(whole.split(sizes))


@settings(deadline=None)
@given(SIZES, st.data())
def test_rows_are_the_tensor_that_they_stand_for(sizes: list[int], data: st.DataObject) -> None:
    whole = numbers(sum(sizes))
    rows = in_parts(whole, sizes)
    index = torch.tensor(data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=20)))
    chunk = data.draw(st.integers(1, len(whole) + 1))
    assert rows.shape == whole.shape
    assert rows.dtype == whole.dtype
    assert rows.nbytes == whole.nbytes
    assert torch.equal(rows.index_select(0, index), whole[index])
    assert torch.equal(rows.loaded(), whole)
    assert all(torch.equal(a, b) for a, b in zip(rows.split(chunk), whole.split(chunk), strict=True))
    cut = rows[index]
    assert torch.equal(cut.loaded(), whole[index])
    assert all(torch.equal(a, b) for a, b in zip(cut.split(chunk), whole[index].split(chunk), strict=True))


@settings(deadline=None)
@given(SIZES, st.data())
def test_a_cut_of_a_cut(sizes: list[int], data: st.DataObject) -> None:
    whole = numbers(sum(sizes))
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))))
    start, stop = data.draw(st.tuples(st.integers(-5, 12), st.integers(-5, 12)))
    step = data.draw(st.integers(1, 3))
    found, wanted = in_parts(whole, sizes)[mask][start:stop:step], whole[mask][start:stop:step]
    assert len(found) == len(wanted)
    assert torch.equal(found.loaded(), wanted)


@settings(deadline=None, max_examples=40)
@given(SIZES, st.integers(1, 7), st.integers(0, 3), st.booleans())
def test_the_background_gives_what_reading_gives(sizes: list[int], batch: int, seed: int, standardised: bool) -> None:
    whole = numbers(sum(sizes))
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed)).split(batch)
    scale = Standardise.fit(whole)
    rows = through(in_parts(whole, sizes), scale) if standardised else in_parts(whole, sizes)
    wanted = scale(whole) if standardised else whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefetch, "BLOCK", 30)  # bytes: a batch or two
        for ahead in (True, False):
            with closing(batches_of(rows, order, ahead)) as batches:
                found = [one.clone() for one in batches]
            assert all(torch.equal(a, wanted[index]) for a, index in zip(found, order, strict=True))
    assert no_threads()


@pytest.mark.parametrize(
    "make",
    [lambda x: pixels(x), lambda x: pixels(x, torch.float64), lambda x: pixels(x).double()],
    ids=["float32", "float64", "widened"],
)
def test_bytes_are_made_numbers_as_all_at_once(make: Callable[[Tensor], Tensor]) -> None:
    images = torch.randint(0, 256, (50, 4, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = through(Rows(images.split(20), finite=True), make)
    assert rows.shape == (50, 60)
    assert torch.equal(rows.loaded(), make(images))
    assert torch.equal(rows.index_select(0, torch.arange(50).flip(0)), make(images).flip(0))


def test_many_rows_are_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edunn.runtime.rows.AT_ONCE", 100)
    seen = []

    def double(x: Tensor) -> Tensor:
        seen.append(len(x))
        return 2 * x

    whole = numbers(40)
    rows = through(in_parts(whole, [15, 25]), double)
    assert torch.equal(rows.index_select(0, torch.arange(40)), 2 * whole)
    assert torch.equal(next(rows.split(40)), 2 * whole)
    assert max(seen) == 100 // 12


def test_standardise_is_fitted_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edunn.features.standardise.CHUNK", 30)
    whole = numbers(50)
    whole[:, 1] = 0.1
    found, wanted = Standardise.fit(in_parts(whole, [13, 7, 30])), Standardise.fit(whole)
    assert torch.equal(found.mean, wanted.mean)
    assert torch.equal(found.scale, wanted.scale)


def test_what_is_known_finite_is_not_read_again() -> None:
    bad = numbers(40)
    bad[33, 2] = torch.nan
    rows = in_parts(bad, [15, 25])
    with pytest.raises(errors.DataError, match="got nan at row 33, column 2"):
        check_finite(rows)
    check_finite(Rows(rows.parts, finite=True))  # its word is taken
    assert not Rows(rows.parts, finite=True).through(lambda x: x / 0).finite
    assert Rows(rows.parts, finite=True).to(dtype=torch.float64).finite
    assert not Rows([bad.double()], finite=True).to(dtype=torch.float32).finite  # 1e300 would be inf


def test_a_row_further_on_is_counted_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edunn.runtime.rows.CHUNK", 12 * 10)
    bad = numbers(40)
    bad[33, 2] = torch.inf
    assert chunk_of(in_parts(bad, [40])) == 10
    with pytest.raises(errors.DataError, match="got inf at row 33, column 2"):
        check_finite(in_parts(bad, [15, 25]))


@pytest.mark.parametrize(
    "use",
    [lambda rows: rows @ torch.ones(3), lambda rows: torch.mm(rows, torch.ones(3, 1)), torch.isfinite],
    ids=["@", "mm", "isfinite"],
)
def test_what_needs_a_tensor_says_what_to_do(use: Callable[[Any], Any]) -> None:
    with pytest.raises(errors.DataError, match=r"samples\.loaded\(\)"):
        use(in_parts(numbers(9), [9]))


def test_attributes_of_a_tensor_are_named() -> None:
    with pytest.raises(AttributeError, match="have no 'mT'"):
        in_parts(numbers(9), [9]).mT  # noqa: B018


def test_parts_are_alike() -> None:
    with pytest.raises(errors.ShapeError, match="one shape and dtype"):
        Rows([numbers(3), numbers(3, width=4)])


def test_a_device_has_the_name_that_its_tensors_have() -> None:
    """`cuda` and `cuda:0` are one device and two names; so are `cpu` and `cpu:0`, which can be tried anywhere."""
    x = torch.zeros(3, 1)
    rows = Rows([x], device="cpu:0")
    assert rows.device == x.device
    assert rows.to("cpu:0") is rows
    assert len(Samples(cast(Any, rows), torch.zeros(3))) == 3


def test_an_index_outside_is_refused() -> None:
    with pytest.raises(IndexError, match="from -9 to 8"):
        in_parts(numbers(9), [9])[torch.tensor([9])]


# the thread


def no_threads() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name == "edunn-prefetch"]


def test_work_is_done_in_order_and_ahead() -> None:
    done: list[int] = []
    third = threading.Event()

    def work(number: int) -> int:
        done.append(number)
        if number == 2:
            third.set()
        return number * number

    results = in_background(work, 6, ahead=3)
    assert next(results) == 0
    assert third.wait(10)  # 1 and 2 are worked on while 0 is in use
    assert max(done) <= 3
    assert list(results) == [1, 4, 9, 16, 25]
    assert done == [0, 1, 2, 3, 4, 5]
    assert no_threads()


def test_an_error_in_the_background_reaches_the_caller() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise OSError("the disk is gone")
        return number

    results = in_background(work, 5, ahead=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
    assert no_threads()


def test_pages_that_are_in_memory_are_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, groups = in_parts(numbers(40), [15, 25]), [[index] for index in torch.arange(40).split(1)]
    looked: list[int] = []
    monkeypatch.setattr(Rows, "touch", lambda _, where: looked.append(len(where.places)))
    clock = iter([0.0, 9.0, 10.0, 19.0, *(20.0 + i for i in range(2) for _ in range(2)), 30.0, 30.0])
    monkeypatch.setattr(prefetch.time, "perf_counter", lambda: next(clock))
    fetch = prefetch.Fetch(rows, groups, touch=True)
    counts = []
    for number in range(2 + 2 * prefetch.PROBE):
        assert fetch(number).sizes == [1]
        counts.append(len(looked))
    # two that took seconds, one that was quick, and so the next only after PROBE blocks
    assert [n for n in range(len(counts)) if counts[n] > (counts[n - 1] if n else 0)] == [0, 1, 2, 2 + prefetch.PROBE]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_early_end_leaves_no_thread(error: type[BaseException]) -> None:
    rows, order = in_parts(numbers(40), [15, 25]), torch.arange(40).split(1)

    def loop() -> None:
        with closing(batches_of(rows, order)) as batches:
            for number, _ in enumerate(batches):
                if number == 3:
                    raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefetch, "BLOCK", 12)
        with pytest.raises(error):
            loop()
        assert no_threads()
        forgotten = batches_of(rows, order)
        next(forgotten)
        del forgotten
        gc.collect()
        assert no_threads()


def test_a_failing_step_is_raised_at_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "BLOCK", 12)

    def wary(x: Tensor) -> Tensor:
        if (x == 7).any():
            raise errors.DataError("seven")
        return x

    rows = Rows([torch.arange(10.0).view(-1, 1)]).through(wary)
    found = batches_of(rows, torch.arange(10).split(1))
    assert [int(next(found)) for _ in range(7)] == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(errors.DataError, match="seven"):
        next(found)
    assert no_threads()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("parts", [[100], [40, 60]], ids=["one part", "two parts"])
def test_batches_arrive_on_a_device(monkeypatch: pytest.MonkeyPatch, parts: list[int]) -> None:
    monkeypatch.setattr(prefetch, "BLOCK", 1 << 10)
    images = torch.randint(0, 256, (100, 4, 4, 3), dtype=torch.uint8)
    rows = through(Rows(images.split(parts), device="cuda"), pixels)
    order = torch.randperm(100).cuda().split(7)
    wanted = pixels(images.cuda())
    with closing(batches_of(rows, order)) as found:
        for batch, index in zip(found, order, strict=True):
            assert torch.equal(batch, wanted[index])
    resident = through(Rows([images.cuda()], device="cuda"), pixels)
    for batch, index in zip(batches_of(resident, order), order, strict=True):
        assert torch.equal(batch, wanted[index])
    assert no_threads()
