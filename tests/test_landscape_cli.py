"""The command: keys, files, figures, refusals; and the figures' own promises."""

from __future__ import annotations

import json

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from edunn import figures, landscape
from edunn.activations import Sigmoid
from edunn.cli import main
from edunn.landscape.surface import Surface
from edunn.losses import BinaryCrossEntropy, SquaredError


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys, *words: str) -> dict:
    assert main(["landscape", *words, "--json", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


SMALL = ("--w=-6:6:21", "--b=-6:6:19")


def write_points(path, x, y) -> str:
    path.write_text("x,y\n" + "".join(f"{a!r},{b}\n" for a, b in zip(x.tolist(), y.tolist(), strict=True)))
    return str(path)


def test_the_study_of_the_lecture(capsys, tmp_path) -> None:
    words = ("--problem", "binary", "--loss", "mse", "--activation", "sigmoid", *SMALL, "--samples", "50")
    found = run(capsys, *words, "--out", "out")
    assert {"method", "error", "seconds", "min", "minima", "plateau_fraction", "convex", "figures"} <= set(found)
    assert set(found["min"]) == {"w", "b", "loss"}
    assert found["convex"] is False
    assert found["plateau_fraction"].keys() == {"1e-3", "1e-6"}
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == found
    with np.load(tmp_path / "out" / "surface.npz") as arrays:
        assert arrays["values"].shape == (21, 19)
        assert arrays["values"].min() == found["min"]["loss"]
    for name in ("surface", "contour", "gradient", "cuts"):
        for kind in ("png", "svg"):
            path = tmp_path / "out" / "figures" / f"{name}.{kind}"
            assert path.stat().st_size > 1000
            assert str(path.relative_to(tmp_path)) in found["figures"]


def test_methods_write_the_same_values(capsys, tmp_path) -> None:
    words = ("--problem", "binary", "--loss", "mse", *SMALL, "--samples", "50", "--dtype", "float64", "--no-figures")
    for method in ("direct", "spectral"):
        assert run(capsys, *words, "--method", method, "--out", method)["method"] == method
    one, two = (np.load(tmp_path / m / "surface.npz")["values"] for m in ("direct", "spectral"))
    assert abs(one - two).max() <= 1e-10 * one.max()


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_basins_of_a_csv(capsys, tmp_path, loss: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = (rng.random(40) < 1 / (1 + np.exp(-2 * x))).astype(int)
    data = write_points(tmp_path / "points.csv", x, y)
    words = ("--data", data, "--x", "x", "--y", "y", "--loss", loss, "--activation", "sigmoid", "--no-figures")
    found = run(capsys, *words, "--w=-5:5:11", "--b=-5:5:11", "--basins", "--rate", "1", "--steps", "200")
    w, b = (t.ravel().copy() for t in np.meshgrid(np.linspace(-5, 5, 11), np.linspace(-5, 5, 11), indexing="ij"))
    for step in range(200):
        p = 1 / (1 + np.exp(-(w[:, None] * x + b[:, None])))
        slope = p - y if loss == "bce" else 2 * (p - y) * p * (1 - p)
        gw, gb = (slope * x).mean(1), slope.mean(1)
        if step == 0:
            assert found["plateau_fraction"]["1e-3"] == (np.hypot(gw, gb) < 1e-3).mean()
        w, b = w - gw, b - gb
    z = w[:, None] * x + b[:, None]
    p = 1 / (1 + np.exp(-z))
    ends = (np.logaddexp(0, z) - y * z).mean(1) if loss == "bce" else ((p - y) ** 2).mean(1)
    assert found["basins"]["best_loss"] == pytest.approx(ends.min(), abs=1e-12)
    assert found["basins"]["best_fraction"] == pytest.approx((ends <= ends.min() + 1e-3).mean(), abs=1e-12)
    assert found["basins"]["steps"] == 200


def test_two_losses_side_by_side(capsys, tmp_path) -> None:
    found = run(capsys, "--problem", "binary", "--compare", "bce", "--same-scale", "--cuts=-2,0,2", *SMALL,
                "--samples", "40", "--out", "out")  # fmt: skip
    assert found["compare"]["convex"] is True
    assert (tmp_path / "out" / "figures" / "comparison.png").exists()
    first, second = (Surface.load(tmp_path / "out" / name) for name in ("surface.npz", "surface-bce.npz"))
    assert torch.equal(first.first, second.first)


def test_a_curve(capsys) -> None:
    found = run(capsys, "--loss", "bce", "--w=-6:6:21", "--b", "0", "--samples", "30", "--out", "out")
    assert found["limits"]["plus"]["slope"] > 0 > found["limits"]["minus"]["slope"]
    assert [path.rpartition("/")[2] for path in found["figures"]] == ["curve.png", "curve.svg"]


def test_labels_are_brought_to_the_loss(capsys, tmp_path) -> None:
    x = np.linspace(-2, 2, 12)
    bits = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1])
    results = []
    for name, y in (("bits", bits), ("signs", 2 * bits - 1)):
        data = write_points(tmp_path / f"{name}.csv", x, y)
        for loss in ("hinge", "bce"):
            found = run(capsys, "--data", data, "--loss", loss, *SMALL, "--no-figures", "--out", f"{name}-{loss}")
            results.append((loss, found["min"], found["labels"]))
    assert results[0] == results[2]
    assert results[1] == results[3]
    assert (results[0][2], results[1][2]) == ("-1, +1", "0, 1")


def test_without_out_it_writes_to_runs(capsys, tmp_path) -> None:
    found = run(capsys, "--no-figures", *SMALL)
    assert found["out"].startswith("runs/landscape-")
    assert (tmp_path / found["out"] / "surface.npz").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--w=3:-3:10"], "low < high"),
        (["--w=-3:3"], "LOW:HIGH:COUNT"),
        (["--w=-3:3:ten"], "whole number"),
        (["--w=-3:x:10"], "must be a number"),
        (["--w=nan:3:10"], "is finite"),
        (["--loss", "mean"], "Unknown loss 'mean'"),
        (["--loss", "bce", "--activation", "tanh"], "activation sigmoid"),
        (["--method", "exakt"], "--method"),
        (["--method", "exact", "--loss", "bce"], "method exact"),
        (["--problem", "linear", "--loss", "bce"], "Targets must lie in"),
        (["--data", "none.csv"], "does not exist"),
        (["--rate", "0", "--basins"], "step size above 0"),
        (["--steps", "0"], "--steps"),
        (["--cuts", "1,2,3,4"], "one to three"),
        (["--compare", "mean_squared_error"], "are the same loss"),
        (["--a=-1:1:3"], "--run"),
        (["--run", "nowhere"], "no such folder"),
        (["--samples", "0"], "from 1 to"),
        (["--half", "--loss", "bce"], "belongs to the squared error alone"),
        (["--run", "nowhere", "--compare", "bce"], "a run has one loss"),
        (["--run", "nowhere", "--data", "x.csv"], "its own data"),
        (["--rate", "0.1"], "--rate needs --basins"),
        (["--w=-1:1:134000000"], "134,000,000 ×"),
        (["--device", "cuda" if not torch.cuda.is_available() else "cpux"], "device"),
        (["--dtype", "float16"], "dtype is float32 or float64"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_refusals_are_one_line_and_leave_nothing(capsys, tmp_path, words: list[str], says: str) -> None:
    small = [word for word in SMALL if not any(w.startswith(word[:3]) for w in words)]
    if "--run" in words:
        small = []
    assert main(["landscape", *small, *words, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_refused(capsys, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep me")
    assert main(["landscape", *SMALL, "--out", "out"]) == 2
    assert "holds files" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


# ---- figures ------------------------------------------------------------------------------------------------------


def surface(count: int = 40, loss=None) -> Surface:
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    y = (rng.random(50) < 1 / (1 + np.exp(1 - 2 * x))).astype(float)
    return landscape.grid(x, y, loss or SquaredError(through=Sigmoid()), (-8, 8, count), (-6, 6, count - 1))


def test_figures_return_axes_and_leave_rcparams() -> None:
    before = dict(matplotlib.rcParams)
    drawn = surface()
    for axes in (
        figures.surface_3d(drawn, sections=(-2, 0, 2)),
        figures.contour(drawn, path=[[0, 0], [1, 0.5], [2, -1]]),
        figures.cuts({"mse": drawn, "bce": surface(loss=BinaryCrossEntropy())}, at=(0, 1)),
        figures.basin_map(drawn, drawn.basins(1.0, 20)),
        figures.gradient_field(drawn),
        *figures.comparison(drawn, surface(loss=BinaryCrossEntropy()), same_scale=True),
    ):
        assert isinstance(axes, Axes)
        assert figures.style.render(axes, "png", 40).startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before


def test_a_dense_surface_is_reduced_on_purpose_and_keeps_its_lowest_point() -> None:
    dense = surface(700)
    rows, columns = figures.surfaces.pick_points(dense)
    assert (len(rows), len(columns)) == (512, 512)
    values = dense.values.numpy()
    assert values[np.ix_(rows, columns)].min() == values.min()
    assert (rows[0], rows[-1], columns[-1]) == (0, 699, 698)
    small = surface(30)
    assert [len(k) for k in figures.surfaces.pick_points(small)] == [30, 29]
    axes = figures.surface_3d(small)
    figures.style.render(axes, "png", 30)
    assert len(axes.collections[0].get_paths()) == 29 * 28  # every facet, not matplotlib's silent 50 × 50
    big = figures.surface_3d(surface(80))
    figures.style.render(big, "png", 30)
    assert len(big.collections[0].get_paths()) == 79 * 78


def test_the_caption_says_what_was_left_out() -> None:
    drawn = surface()
    values = drawn.values.clone()
    values[3, 4] = float("nan")
    values[5, 6] = float("inf")
    import dataclasses

    holed = dataclasses.replace(drawn, values=values)
    assert "2 of 1560 values are not finite" in figures.contour(holed).get_title(loc="left")
    assert "2 of 1560 values are not finite" in figures.surface_3d(holed).get_title(loc="left")


def test_a_surface_of_one_value_is_drawn() -> None:
    flat = landscape.grid([0.0], [0.5], SquaredError(), (-1, 1, 5), (0.5, 0.6, 4))
    constant = landscape.grid([0.0, 0.0], [0.5, 0.5], SquaredError(), (-1, 1, 5), (-1, 1, 4))
    for drawn in (flat, constant):
        figures.style.render(figures.contour(drawn), "png", 30)
        figures.style.render(figures.surface_3d(drawn), "png", 30)


def test_an_interactive_file_needs_plotly(tmp_path) -> None:
    from edunn.errors import ConfigError
    from edunn.figures.interactive import surface_html

    try:
        import plotly  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="pip install plotly"):
            surface_html(surface(), tmp_path / "surface.html")
        return
    path = surface_html(surface(), tmp_path / "surface.html", sections=(0,))
    assert path.stat().st_size < 10 * 2**20
    assert "cdn.plot.ly" not in path.read_text()[:20000]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), SquaredError(through=Sigmoid())], ids=["bce", "mse-sigmoid"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("samples", [1, 77, 5000])
def test_the_cuda_kernel_is_the_plain_formula(loss, dtype, samples: int) -> None:
    from edunn.landscape import direct, kernels

    x = torch.randn(samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = (x > 0.2).double()
    plane = landscape.build.one_feature(x, y, loss, None, torch.float64, None)
    w, b = torch.linspace(-20, 15, 61, dtype=torch.float64), torch.linspace(-9, 20, 83, dtype=torch.float64)
    reference = direct.plain(plane, w, b)[0]
    on_gpu = plane.to(dtype, "cuda")
    if kernels.available():
        assert kernels.fits(on_gpu, 0)
    values = direct.grid(on_gpu, w, b)[0].cpu().double()
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(values, reference, rtol=0, atol=tolerance * float(reference.max()))
    for order in (1, 2):
        jets, _ = landscape.methods.evaluate(on_gpu.to(torch.float64), w, b, order, "direct")
        torch.testing.assert_close(jets.cpu(), direct.plain(plane, w, b, order), rtol=1e-9, atol=1e-11)
