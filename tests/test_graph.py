"""The computation graph: the lecture's numbers, torch.autograd as the oracle, and expressions that must be refused."""

from __future__ import annotations

import json

import hypothesis
import mpmath
import pytest
import torch
from hypothesis import strategies

from edunn import graph
from edunn.cli import main
from edunn.errors import ConfigError, GradientError
from edunn.graph import build
from edunn.minimise import minimise

LECTURE = "(2*a+b)*(c-d)"
VALUES = {"a": 3.0, "b": 4.0, "c": 5.0, "d": 6.0}


def autograd(expression: str, values: dict[str, float]) -> dict[str, float]:
    leaves = {n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in values.items()}
    result = graph.parse(expression)(**leaves)
    found = torch.autograd.grad(result, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return {name: float(g) for name, g in zip(leaves, found, strict=True)}


class TestTheLecturesGraph:
    def test_values_and_gradients(self):
        # ledger row 2.12: L = (2a+b)(c-d) at 3, 4, 5, 6
        found = graph.build(LECTURE, **VALUES)
        assert float(found.value) == -10
        assert {n: float(g) for n, g in found.gradients.items()} == {"a": -2, "b": -1, "c": 10, "d": -10}

    def test_each_step_is_shown(self):
        text = str(graph.build(LECTURE, **VALUES))
        assert "v2 = v1 + b = 10" in text
        assert "∂f/∂d  = ∂f/∂v3·∂v3/∂d = 10·(-1) = -10" in text

    def test_going_backward_twice_gives_the_same(self):
        first, second = graph.build(LECTURE, **VALUES), graph.build(LECTURE, **VALUES)
        assert first.as_dict() == second.as_dict()
        assert first.as_dict() == first.as_dict()

    def test_html_has_a_row_a_node(self):
        found = graph.build(LECTURE, **VALUES)
        assert found._repr_html_().count("<tr>") == len(found.nodes) + 1


EXPRESSIONS = (
    "a*a + a", "a**3/b - b", "exp(-a**2/2)*sin(b)", "log(1 + exp(a))", "sigmoid(a*b)*tanh(a - b)", "sqrt(a*a + b*b)",
    "max(a, b) + min(a, 2)", "abs(a - 2*b)*relu(a)", "2**a", "-a*-b", "a/b/2", "cos(a)**2 + sin(a)**2", "b + 0*a",
    "tan(a) + pi*e",
)  # fmt: skip


class TestAgainstAutograd:
    @pytest.mark.parametrize("expression", EXPRESSIONS)
    def test_gradients(self, expression):
        values = {name: value for name, value in {"a": 0.7, "b": 1.3}.items() if name in graph.parse(expression).names}
        found = graph.build(expression, **values)
        assert {n: float(g) for n, g in found.gradients.items()} == pytest.approx(
            autograd(expression, values), rel=1e-13
        )

    @hypothesis.given(
        strategies.lists(strategies.sampled_from(["a", "b", "+", "*", "-", "t"]), min_size=1, max_size=25),
        strategies.floats(-2, 2),
        strategies.floats(-2, 2),
    )
    @hypothesis.settings(max_examples=60, deadline=None)
    def test_random_expressions(self, steps, a, b):
        text = "a"
        for step in steps:
            more = f"({text}+{len(text) % 5})"
            text = {"a": f"({text}+a)", "b": f"({text}*b)", "+": more, "*": f"({text}*0.5)",
                    "-": f"(b-{text})", "t": f"tanh({text})"}[step]  # fmt: skip
        values = {name: v for name, v in {"a": a, "b": b}.items() if name in graph.parse(text).names}
        found = graph.build(text, **values)
        expected = autograd(text, values)
        assert {n: float(g) for n, g in found.gradients.items()} == pytest.approx(expected, rel=1e-12, abs=1e-12)

    def test_a_function_of_tensors_with_a_module_in_it(self):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
        x = torch.randn(5, 3, dtype=torch.float64)
        found = graph.build(lambda x: (net(x) ** 2).mean(), x=x)
        x.requires_grad_()
        (expected,) = torch.autograd.grad((net(x) ** 2).mean(), x)
        torch.testing.assert_close(found.gradients["x"], expected)

    def test_local_derivatives_of_a_product(self):
        node = graph.build("a*b", a=2.0, b=5.0).nodes[-1]
        assert [float(slope) for slope in node.local] == [5, 2]

    def test_two_thousand_nodes_deep(self):
        def deep(x):
            for _ in range(2000):
                x = 0.999 * x + 0.001
            return x

        found = graph.build(deep, x=2.0)
        assert len(found.nodes) == 4001
        assert float(found.gradients["x"]) == pytest.approx(0.999**2000, rel=1e-12)
        assert "forward" in str(found)


REFUSED = (
    "__import__('os').system('true')", "().__class__", "a.real", "[1][0]", "(lambda: 1)()", "x if 1 else 2", "'a'*9",
    "f'{a}'", "exec('1')", "open('x')", "a@b", "a<b", "not a", "a and b", "{a}", "exp(x=1)", "exp(*a)", "__a", "1j",
    "True", "a:=3", "a;b", "", "(" * 500, "+".join(["a"] * 9000), "exp", "exp(1, 2)", "max(1)", "a//b", "a % b", "~a",
)  # fmt: skip


class TestWhatIsRefused:
    @pytest.mark.parametrize("text", REFUSED, ids=[t[:24] or "empty" for t in REFUSED])
    def test_on_the_command_line_with_exit_code_2(self, text, capsys):
        assert main(["graph", text, "a=1", "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("edunn: ")
        assert "Traceback" not in captured.err

    def test_code_is_not_run(self, tmp_path, capsys):
        target = tmp_path / "made"
        assert main(["graph", f"open({str(target)!r}, 'w')"]) == 2
        assert not target.exists()

    def test_the_error_names_the_next_move(self):
        with pytest.raises(ConfigError, match=r"Powers are written \*\*"):
            graph.parse("a^2")
        with pytest.raises(ConfigError, match="Did you mean 'exp'"):
            graph.parse("ex(a)")
        with pytest.raises(ConfigError, match="Add b=1"):
            graph.build("a*b", a=1)

    def test_a_branch_on_the_argument(self):
        with pytest.raises(GradientError, match="no branches"):
            graph.build(lambda x: x if x > 0 else -x, x=1.0)

    def test_a_result_of_many_numbers(self):
        with pytest.raises(GradientError, match="Sum it"):
            graph.build(lambda x: 2 * x, x=torch.ones(3))

    def test_large_powers_end_at_once_in_infinity(self):
        assert float(graph.build("9**9**9**9*a", a=1).value) == float("inf")


class TestTheCommand:
    def test_json(self, capsys):
        assert main(["graph", LECTURE, "a=3", "b=4", "c=5", "d=6", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["value"] == -10
        assert result["gradients"] == {"a": -2, "b": -1, "c": 10, "d": -10}

    def test_values_that_are_not_finite_are_null(self, capsys):
        assert main(["graph", "log(a)", "a=0", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["value"] is None

    @pytest.mark.parametrize("pair", ["a", "a=x", "3=a", "a=1 a=2"])
    def test_values_that_are_none(self, pair, capsys):
        assert main(["graph", "a", *pair.split()]) == 2
        assert "edunn: " in capsys.readouterr().err

    def test_a_folder_that_cannot_be_made(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        for command in (["graph", "a", "a=1"], ["minimise", "x**2", "--start", "x=1", "--steps", "3"]):
            assert main([*command, "--out", str(tmp_path / "file")]) == 2
            captured = capsys.readouterr()
            assert captured.out == ""
            assert "cannot be created" in captured.err

    def test_pictures(self, tmp_path, capsys):
        assert main(["graph", LECTURE, "a=3", "b=4", "c=5", "d=6", "--out", str(tmp_path / "g"), "--quiet"]) == 0
        assert {p.name for p in (tmp_path / "g").iterdir()} == {"graph.png", "graph.svg", "graph.json"}


class TestTheFigure:
    def test_no_two_boxes_overlap_and_every_node_is_named(self):
        from edunn.figures.graphs import BOX_HIGH, BOX_WIDE, HIGH, WIDE, computation_graph, layout

        text = "sigmoid(w1*x1+w2*x2+b)*tanh(w1*x2-b)+exp(-x1**2/2)*log(1+exp(w2*x1))+max(w1,w2)*relu(b*x1)"
        found = graph.build(text, x1=1, x2=-0.5, w1=2, w2=-1.5, b=0.3)
        assert len(found.nodes) >= 29
        places, _ = layout(found)
        spots = list(places.values())
        for i, (x, y) in enumerate(spots):
            for u, v in spots[:i]:
                assert abs(x - u) >= BOX_WIDE / WIDE or abs(y - v) >= BOX_HIGH / HIGH
        for node in found.nodes:  # every edge points to the right
            assert all(places[name][0] < places[node.name][0] for name in node.inputs)
        shown = {text.get_text() for text in computation_graph(found).texts}
        assert any("v24" in text for text in shown)


@pytest.mark.parametrize("x", [-700.0, -40.0, -3.0, 0.0, 3.0, 19.0, 20.0, 40.0, 300.0])
def test_field_22_derivatives_where_the_function_is_flat(x):
    """Against mpmath, to all digits but the last two."""
    with mpmath.workdps(400):
        sigmoid = mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2
        tanh = 1 / mpmath.cosh(x) ** 2
    for name, expected in (("sigmoid", sigmoid), ("tanh", tanh)):
        function = getattr(torch, name)
        for built in (build(f"{name}(x)", x=x), build(lambda x, f=function: f(x), x=x),
                      build(lambda x, n=name: getattr(x, n)(), x=x)):  # fmt: skip
            found = float(built.gradients["x"])
            assert found == pytest.approx(float(expected), rel=1e-14, abs=1e-320), (name, built.text)
    assert float(build("sigmoid(x)", x=40).gradients["x"]) == pytest.approx(4.248354255e-18, rel=1e-9)
    assert float(build("tanh(x)", x=20).gradients["x"]) == pytest.approx(1.699341702e-17, rel=1e-9)


def test_field_36_a_variable_called_self(capsys):
    assert float(build("self + a", self=1, a=1).value) == 2
    assert main(["graph", "self+a", "self=1", "a=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 2
    assert minimise("(self-1)**2 + function**2", {"self": 0, "function": 1}, rate=0.1).stopped == "tolerance"
