"""Descent on any function: the lecture's figures, and the step study against the theory of differences."""

from __future__ import annotations

import json
import re

import pytest
import torch

from edunn.cli import main
from edunn.differences import derivative
from edunn.errors import ConfigError
from edunn.graph import parse
from edunn.minimise import DELTA, minimise, step_study

BOWL = "x**2 + y**2 + 3*x + 3"
START = {"x": 0.0, "y": 0.0}


class TestTheLecture:
    def test_row_4_1(self):
        # -1.5(1 - 0.98^340): the test fires in pass 341, whose step is not taken
        found = minimise(BOWL, START, rate=0.01, tolerance=1e-7)
        assert found.steps == 340
        assert found.stopped == "tolerance"
        assert found.at["x"] == pytest.approx(-1.5 * (1 - 0.98**340), abs=1e-13)
        assert found.tested["x"] == pytest.approx(-1.5 * (1 - 0.98**341), abs=1e-13)
        assert found.value == pytest.approx(0.7500024317, abs=1e-10)

    def test_row_4_2_is_rounding_noise_and_said_so(self):
        found = minimise(BOWL, START, rate=0.01, tolerance=1e-7, gradient="numeric", delta=1e-15)
        assert found.at["x"] == pytest.approx(-1.5198953207, abs=1e-10)
        (warning,) = found.warnings
        assert "rounding noise" in warning
        assert "6e-06" in warning

    def test_a_delta_that_serves_needs_no_warning(self):
        found = minimise(BOWL, START, gradient="numeric")
        assert found.warnings == ()
        assert found.delta == DELTA
        assert found.at["x"] == pytest.approx(-1.4984406019, abs=1e-7)

    def test_a_delta_that_is_too_large_is_a_chord(self):
        found = minimise("x**4 + x", {"x": 1.0}, gradient="numeric", delta=0.5, steps=20)
        assert "chord" in found.warnings[0]

    # row 4.3: central differences of f at x = -1, where the derivative is 1
    @pytest.mark.parametrize(
        ("delta", "estimate"),
        [(1e-15, 1.2212453271), (1e-14, 1.0214051827), (1e-12, 0.9999778783), (1e-8, 1.0000000161)],
    )
    def test_row_4_3(self, delta, estimate):
        from edunn.graph import parse
        from edunn.minimise import central

        assert central(parse(BOWL), {"x": -1.0, "y": 0.0}, "x", delta) == pytest.approx(estimate, abs=1e-10)


class TestDescent:
    def test_the_three_gradients_agree(self):
        by_hand = minimise(BOWL, START, gradient={"x": "2*x + 3", "y": "2*y"})
        function = minimise(BOWL, START, gradient=lambda x, y: {"x": 2 * x + 3, "y": 2 * y})
        autograd = minimise(BOWL, START)
        assert by_hand.at == pytest.approx(autograd.at)
        assert function.at == by_hand.at

    def test_a_python_function(self):
        found = minimise(lambda x: torch.cosh(x - 2), {"x": 0.0}, rate=0.1, tolerance=1e-12)
        assert found.at["x"] == pytest.approx(2, abs=1e-4)

    def test_divergence_is_a_result(self):
        found = minimise(BOWL, START, rate=1.1)
        assert found.stopped == "diverged"
        assert found.steps > 100
        assert "lower the rate" in str(found)

    def test_steps_run_out(self):
        found = minimise(BOWL, START, steps=5)
        assert (found.stopped, found.steps, len(found.path)) == ("steps", 5, 6)

    def test_the_path_starts_at_the_start_and_ends_at_the_end(self):
        found = minimise(BOWL, {"x": 1.0, "y": 2.0}, rate=1e-3, tolerance=1e-12)
        assert len(found.path) <= 2001
        assert found.path[0] == (1.0, 2.0)
        assert found.path[-1] == tuple(found.at.values())

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ({"rate": 0.0}, "rate must be"),
            ({"rate": float("inf")}, "rate must be"),
            ({"steps": 0}, "steps must be"),
            ({"tolerance": -1.0}, "tolerance must be"),
            ({"gradient": "numeric", "delta": 0.0}, "delta must be"),
            ({"delta": 1e-5}, "delta is a step of"),
            ({"gradient": "newton"}, "got 'newton'"),
            ({"gradient": {"x": "2*x"}}, "The derivative by y is missing"),
        ],
        ids=lambda v: str(v)[:30],
    )
    def test_what_it_refuses(self, arguments, says):
        with pytest.raises(ConfigError, match=says):
            minimise(BOWL, START, **arguments)

    def test_a_start_where_f_is_not_finite(self):
        with pytest.raises(ConfigError, match="nan at the start"):
            minimise("log(x)", {"x": -1.0})


class TestTheStepStudy:
    def test_the_slopes_of_the_v_curve(self):
        study = step_study("exp(sin(3*x))", {"x": 0.7})
        forward = dict(zip(study.deltas, study.errors["forward float64"], strict=True))
        central = dict(zip(study.deltas, study.errors["central float64"], strict=True))
        assert forward[1e-3] / forward[1e-4] == pytest.approx(10, rel=0.05)  # truncation is proportional to delta
        assert central[1e-2] / central[1e-3] == pytest.approx(100, rel=0.05)  # to its square
        assert central[1e-15] > 1e3 * study.best["central float64"]["error"]  # on the left rounding grows again

    def test_the_best_steps_are_where_theory_puts_them(self):
        study = step_study("exp(sin(3*x))", {"x": 0.7})
        assert 1e-9 < study.best["forward float64"]["delta"] < 1e-7  # about the square root of 2^-52
        assert 1e-7 < study.best["central float64"]["delta"] < 1e-4  # about its cube root
        assert study.best["central float32"]["error"] > 1e-7  # float32 never gives more

    def test_truncation_follows_the_theory(self):
        study = step_study("exp(sin(3*x))", {"x": 0.7})
        at = study.deltas.index(1e-3)
        assert study.errors["forward float64"][at] == pytest.approx(study.theory["truncation ½δ|f''|"][at], rel=0.02)
        assert study.errors["central float64"][at] == pytest.approx(study.theory["truncation ⅙δ²|f'''|"][at], rel=0.02)


class TestTheCommand:
    def test_json(self, capsys):
        assert main(["minimise", BOWL, "--start", "x=0", "y=0", "--rate", "0.01", "--tol", "1e-7", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["steps"] == 340
        assert result["stopped"] == "tolerance"
        assert result["at"]["x"] == pytest.approx(-1.4984406019, abs=1e-10)
        assert result["tested"]["x"] == pytest.approx(-1.4984717899, abs=1e-10)

    def test_divergence_is_exit_code_1(self, capsys):
        assert main(["minimise", "x**4", "--start", "x=3", "--rate", "5", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["stopped"] == "diverged"

    @pytest.mark.parametrize(
        "arguments",
        [["x", "--start", "y=1"], ["x**", "--start", "x=1"], ["x", "--start", "x=nan"],
         ["x", "--start", "x=1", "--rate", "-1"], ["x", "--start", "x=1", "--by-hand", "x"]],
        ids=lambda a: " ".join(a),
    )  # fmt: skip
    def test_wrong_input_is_exit_code_2(self, arguments, capsys):
        assert main(["minimise", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("edunn: ")

    @pytest.mark.parametrize("extra", [["--study"], []], ids=["study", "path"])
    @pytest.mark.parametrize("function", ["x**2 + 3*x", "x**2 + y**2 + x*y"], ids=["one", "two"])
    def test_pictures(self, tmp_path, capsys, extra, function):
        start = ["x=1", "y=2"] if "y" in function else ["x=1"]
        assert main(["minimise", function, "--start", *start, "--out", str(tmp_path / "m"), "--quiet", *extra]) == 0
        assert {p.suffix for p in (tmp_path / "m").iterdir()} == {".png", ".svg", ".json"}


NO_MINIMUM = {
    "a jump over the valley": ("x**2", 1.0, 1.0, "gradient is still 2.*Lower the rate"),
    "a jump in another place": ("(x-3)**2 + 5", 4.0, 1.0, "gradient is still 2"),
    "the top of a hill": ("cos(x)", 0.0, 0.1, "f curves downwards along x"),
}


@pytest.mark.parametrize(("text", "start", "rate", "message"), NO_MINIMUM.values(), ids=NO_MINIMUM)
def test_field_26_a_stop_that_is_no_minimum_is_said(text, start, rate, message):
    found = minimise(text, {"x": start}, rate=rate)
    assert found.stopped == "tolerance"
    assert re.search(message, " ".join(found.warnings))
    assert "warning: this is not a minimum" in str(found)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("text", ["x**2", "x**4 + x", "exp(x) - x", "x**2 + cos(x)", "abs(x)**3"])
def test_a_minimum_has_no_warning(text, rate):
    found = minimise(text, {"x": 0.7}, rate=rate)
    if found.stopped == "tolerance":
        assert found.warnings == () or "Lower the rate" in found.warnings[0]
        if found.warnings == ():
            assert abs(derivative(lambda x: parse(text)(x=x), torch.tensor(found.at["x"], dtype=torch.float64))) < 1e-2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "a", True], ids=str)
@pytest.mark.parametrize("name", ["rate", "tolerance", "steps", "delta"])
def test_field_28_options_of_a_descent(name, value):
    options = {"gradient": "numeric", name: value}
    with pytest.raises(ConfigError, match=f"{name} must be"):
        minimise("x**2", {"x": 1}, **options)
