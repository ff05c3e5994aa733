"""The report of a surface: in Python what the command prints; the default window; and a run's plane on one device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes

from edunn import figures, landscape
from edunn.cli import main
from edunn.errors import ConfigError, DataError
from edunn.experiment import surface_of_run, surfaces
from edunn.landscape import study
from edunn.losses import AbsoluteError, BinaryCrossEntropy, Hinge, Huber, SquaredError
from edunn.runtime.files import strict

CONFIG = str(Path(__file__).resolve().parent.parent / "configs" / "digits_softmax.toml")
TIMES = {"seconds", "total_seconds", "out", "figures"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> str:
    """A softmax classifier on the digits, with snapshots along its path."""
    out = str(tmp_path_factory.mktemp("runs") / "digits")
    words = ["--set", "train.epochs=2", "--set", "train.snapshots=7", "--device", "cpu", "--quiet", "--json"]
    assert main(["train", CONFIG, "--out", out, *words]) == 0
    return out


def command(capsys, tmp_path, *words: str) -> tuple[dict, str]:
    """What the command prints as JSON and as text."""
    found = []
    for kind in (["--json"], []):
        out = str(tmp_path / f"out{len(found)}")
        assert main(["landscape", *words, "--out", out, "--no-figures", "--quiet", *kind]) == 0
        found.append(capsys.readouterr().out)
    return json.loads(found[0]), found[1]


def without_times(values: dict) -> dict:
    return {name: value for name, value in values.items() if name not in TIMES}


def lines(text: str) -> list[str]:
    """The table without the line that holds the seconds."""
    return [line for line in text.splitlines() if not line.startswith("method")]


# ---- the report is what the command prints ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "window", "loss"),
    [
        (["--problem", "binary", "--loss", "mse"], {"w": (-6, 6, 21), "b": (-5, 5, 19)}, "mse"),
        (["--loss", "bce"], {"w": (-6, 6, 21), "b": (3, 3, 1)}, "bce"),
        (["--loss", "zero-one"], {"w": (-6, 6, 21), "b": (-5, 5, 19)}, "zero-one"),
        (["--loss", "huber"], {"w": (-1, 1, 9), "b": (-1, 1, 7)}, "huber"),
    ],
    ids=["mse", "bce curve", "zero-one", "huber"],
)
def test_the_report_is_what_the_command_prints(capsys, tmp_path, words, window, loss) -> None:
    flags = [f"--{name}={low}:{high}:{count}" for name, (low, high, count) in window.items()]
    flags = [flag.replace("3:3:1", "3") for flag in flags]
    printed, text = command(capsys, tmp_path, *words, *flags, "--samples", "40", "--basins", "--steps", "30")
    case = study.study(loss, problem="binary" if loss == "mse" else None, samples=40)
    report = case.grid(**window).report(basins=True, steps=30)
    ours = json.loads(json.dumps(strict(report.as_dict())))  # a tensor or a record in it would not pass
    assert without_times(ours) == {name: printed[name] for name in without_times(ours)}
    assert lines(str(report)) == lines(text)[: len(lines(str(report)))]
    assert text.splitlines()[-1].startswith("written to ")


def test_a_run_gives_the_same_in_python(capsys, tmp_path, run_folder) -> None:
    words = ("--run", run_folder, "--plane", "principal", "--a=-1:1:7", "--b=-1:1:5", "--device", "cpu")
    printed, text = command(capsys, tmp_path, *words)
    found = surface_of_run(run_folder, "principal", (-1, 1, 7), (-1, 1, 5))
    report = found.surface.report()
    ours = json.loads(json.dumps(strict(report.as_dict())))
    assert without_times(ours) == {name: printed[name] for name in without_times(ours)}
    assert lines(str(report)) == lines(text)[: len(lines(str(report)))]
    assert found.path is not None
    # the last snapshot is the trained model, which stands at (0, 0)
    torch.testing.assert_close(found.path[-1], torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_it_shows_in_a_notebook_and_escapes() -> None:
    report = study.study("bce", samples=30).grid((-3, 3, 7), (-2, 2, 5)).report()
    shown = report._repr_html_()
    assert shown.startswith("<table>")
    assert "BinaryCrossEntropy, 30 samples" in shown
    assert repr(report) == str(report)


def test_the_figures_draw_a_report() -> None:
    first, second = (
        case.grid((-3, 3, 7), (-2, 2, 5)).report(basins=True, steps=5)
        for case in study.studies(["mse", "bce"], problem="binary", samples=30)
    )
    alone = dict(figures.report_figures({"mse": first}))
    assert list(alone) == list(first.draw()) == ["surface", "contour", "gradient", "basins", "cuts"]
    both = dict(figures.report_figures({"mse": first, "bce": second}, same_scale=True))
    each = [f"{figure}-{name}" for name in ("mse", "bce") for figure in ("surface", "contour", "gradient", "basins")]
    assert list(both) == [*each, "comparison"]
    assert all(isinstance(axes, Axes) for axes in [*alone.values(), *both.values()])
    curve = study.study("bce", samples=30).grid((-3, 3, 7), 1.0).report()
    assert curve.cuts == (1.0,)
    assert next(iter(figures.report_figures({"bce": curve})))[0] == "curve"


def test_default_cuts_are_at_the_quarters_of_the_window() -> None:
    assert study.study("bce", samples=9).grid((-3, 3, 7), (-2, 6, 5)).report().cuts == (0.0, 2.0, 4.0)


def test_a_loaded_surface_has_no_report(tmp_path) -> None:
    study.study("bce", samples=9).grid((-3, 3, 7), (-2, 6, 5)).save(tmp_path / "surface.npz")
    with pytest.raises(DataError, match="loaded from a file"):
        landscape.Surface.load(tmp_path / "surface.npz").report()


# ---- remarks, and the default window ---------------------------------------------------------------------------------

PAY = [1, 2, 3.5, 5, 7], [34100, 43150, 56200, 70300, 88050]


def test_a_minimum_outside_the_window_is_remarked_on() -> None:
    w, b = np.polyfit(*PAY, 1)  # least squares by numpy: w 9003.947, b 25045.395
    (remark,) = landscape.grid(*PAY, SquaredError(), (-2, 2, 9), (-10, 10, 9)).report().remarks
    assert f"outside this window, at w = {w:.5g}, b = {b:.5g}" in remark
    assert landscape.grid(*PAY, SquaredError(), (8000, 10000, 9), (20000, 30000, 9)).report().remarks == ()


@pytest.mark.parametrize("loss", [SquaredError(), AbsoluteError(), Huber(), Huber(1000.0)], ids=repr)
def test_the_default_window_holds_a_minimum_of_any_size(loss) -> None:
    report = landscape.grid(*PAY, loss).report()
    best = report.minima[0]
    assert best["kind"] == "minimum"
    assert 8500 < best["w"] < 9500
    assert report.remarks == ()


@settings(max_examples=30, deadline=None)
@given(
    slope=st.floats(-1e6, 1e6), offset=st.floats(-1e6, 1e6), middle=st.floats(-100, 100),
    spread=st.floats(0.01, 100), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_default_window_holds_the_start_and_the_least_squares_point(slope, offset, middle, spread, seed) -> None:
    rng = np.random.default_rng(seed)
    x = middle + spread * rng.normal(size=20)
    y = slope * x + offset + rng.normal(size=20)
    columns = np.stack([x, np.ones_like(x)], 1)
    point = np.linalg.lstsq(columns, y, rcond=None)[0]
    surface = landscape.grid(x, y, SquaredError())
    for axis, best in zip((surface.first, surface.second), point, strict=True):
        assert float(axis[0]) <= min(0, best)
        assert max(0, best) <= float(axis[-1])


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), Hinge()], ids=repr)
def test_separable_data_keep_a_window_for_people(loss) -> None:
    """The minimum of cross-entropy is at infinity there: the window does not follow it."""
    bits = np.array([0.0, 0, 1, 1])
    surface = landscape.grid([-2.0, -1, 1, 2], bits if loss.labels == "bits" else 2 * bits - 1, loss)
    assert float(surface.first.abs().max()) < 100


# ---- studies ---------------------------------------------------------------------------------------------------------


def test_studies_share_their_data() -> None:
    first, second = study.studies(["mse", "hinge"], problem="binary", samples=12, activation="tanh")
    assert torch.equal(first.x, second.x)
    assert (first.labels, second.labels) == ("-1, +1", "-1, +1")
    assert first.title == "mse through tanh, 12 random samples"
    assert second.title == "hinge, 12 random samples"
    own = study.study("mse", torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]))
    assert (own.problem, own.activation, own.source) == ("binary", "sigmoid", "2 samples")


@pytest.mark.parametrize(
    ("losses", "options", "says"),
    [
        (["bce", "bce"], {}, "are the same loss"),
        (["bce"], {"half": True}, "belongs to the squared error alone"),
        (["bce"], {"activation": "tanh"}, "Only the squared error takes others"),
        (["mse"], {"problem": "binray"}, "Did you mean 'binary'"),
        (["mse"], {"samples": 0}, "1 sample or more"),
    ],
    ids=["twice", "half", "activation", "problem", "samples"],
)
def test_studies_refuse(losses, options, says) -> None:
    with pytest.raises(ConfigError, match=says):
        study.studies(losses, **options)


# ---- a run's plane is computed on one device -------------------------------------------------------------------------


def test_a_plane_moves_model_data_and_directions_together(run_folder, monkeypatch) -> None:
    """The meta device stands in for a GPU. The run was trained on the CPU, so all that stays behind shows up here."""
    asked, seen = [], {}

    def prepare_on(loaded, device):
        asked.append(device.type)
        return surfaces.prepare(loaded.config)  # on the CPU: the caller has to move it

    def plane(model, loss, data, first, second, a, b, **options):
        seen["model"] = list(model.parameters())
        seen["data"] = [data.features, data.targets]
        seen["directions"] = [*first.values(), *second.values()]

    monkeypatch.setattr(surfaces, "prepare_on", prepare_on)
    monkeypatch.setattr(surfaces.landscape, "plane", plane)
    monkeypatch.setattr(surfaces.directions, "project", lambda *given: seen.setdefault("path", given[1]))
    surface_of_run(run_folder, "weight[0,3],weight[0,4]", device="meta")
    assert asked == ["meta"]
    assert len(seen["model"]) == 2
    tensors = [*seen["model"], *seen["data"], *seen["directions"], *(t for step in seen["path"] for t in step.values())]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert {tensor.dtype for tensor in tensors if tensor.dtype.is_floating_point} == {torch.float64}


def test_the_run_is_prepared_on_the_device_that_was_asked(run_folder) -> None:
    loaded = surfaces.load(run_folder)
    assert loaded.config.run.device == "cpu"
    with pytest.raises(ConfigError, match="device"):
        surfaces.prepare_on(loaded, torch.device("meta"))  # refused as a device: so the config's own was replaced


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("plane", ["random", "principal", "hessian", "weight[0,3],weight[0,4]"])
def test_a_plane_on_cuda_equals_the_cpu(run_folder, plane: str) -> None:
    window = (-1, 1, 9), (-1, 1, 7)
    cpu, cuda = (surface_of_run(run_folder, plane, *window, device=device) for device in ("cpu", "cuda"))
    torch.testing.assert_close(cuda.surface.values.cpu(), cpu.surface.values, rtol=1e-6, atol=1e-8)
    assert cuda.surface.report().convexity.convex is True
    assert main(["landscape", "--run", run_folder, "--plane", plane, "--a=-1:1:5", "--b=-1:1:5", "--json",
                 "--device", "cuda", "--no-figures", "--out", f"{run_folder}-{len(plane)}"]) == 0  # fmt: skip


def test_basins_at_too_large_a_rate_are_explained() -> None:
    """2/λmax by numpy. A rate below it needs no remark."""
    x = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    surface = landscape.grid(x, 2 * x + 1, SquaredError(), (-4, 8, 16), (-4, 6, 16))
    design = np.stack([x.numpy(), np.ones(50)], 1)
    stable = 2 / np.linalg.eigvalsh(2 * design.T @ design / 50)[-1]
    report = surface.report(basins=True, rate=1.1 * stable, steps=200)
    assert f"2/λmax = {stable:.4g}" in str(report)
    assert f"(rate {1.1 * stable:g}, 200 steps)" in str(report)
    assert "λmax =" not in str(surface.report(basins=True, rate=0.9 * stable, steps=200))
