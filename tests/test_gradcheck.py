"""The certificate: right code passes, at kinks too; a planted mistake is found in the row that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from edunn import activations, gradcheck, layers, losses, models, penalties
from edunn.cli import main
from edunn.errors import DataError
from edunn.gradcheck import Claim, witnesses


@pytest.fixture(scope="module")
def package() -> gradcheck.Certificate:
    return gradcheck.everything(seed=0)


def samples(count: int = 9, features: int = 3, classes: int = 4, dtype: torch.dtype = torch.float64) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(5)
    return SimpleNamespace(
        features=torch.randn(count, features, dtype=dtype, generator=generator),
        targets=torch.randint(classes, (count,), generator=generator),
    )


def scalar(value, gradient, point: list[float]) -> Claim:
    return Claim(
        "f", lambda p: value(p["x"]), lambda p: {"x": gradient(p["x"])}, {"x": torch.tensor(point, dtype=torch.float64)}
    )


class TestThePackage:
    def test_every_gradient_passes(self, package):
        assert [f"{r.name}, {r.parameter}, {r.term}" for r in package.wrong] == []

    def test_it_is_held_to_the_tight_tolerances(self, package):
        assert max(row.hand_vs_autograd for row in package) <= 1e-12
        assert max(row.hand_vs_numeric for row in package) <= 1e-8

    def test_rows_are_many_and_different(self, package):
        assert len({(r.name, r.parameter, r.term) for r in package}) == len(package) >= 40

    @pytest.mark.parametrize(
        ("kind", "table"),
        [
            ("activation", activations.ACTIVATIONS),
            ("loss", {k: v for k, v in losses.LOSSES.items() if k != "zero-one"}),  # it refuses to give a gradient
            ("penalty", penalties.PENALTIES),
        ],
        ids=["activations", "losses", "penalties"],
    )
    def test_nothing_is_left_out(self, package, kind, table):
        names = [row.name for row in package]
        missing = [name for name in table if not any(n.startswith(kind) and name in n for n in names)]
        assert missing == []

    def test_every_model_is_there(self, package):
        made = {type(make()) for make, _, _ in gradcheck.catalogue.OBJECTIVES.values()}
        assert made == set(models.MODELS.values())

    def test_kinks_are_met_and_said_so(self, package):
        rows = [row for row in package if row.kinks]
        assert len(rows) >= 5
        assert all("kink" in row.note for row in rows)

    @pytest.mark.parametrize("seed", [1])
    def test_other_seeds_pass_as_well(self, seed):
        assert gradcheck.everything(seed).wrong == ()


PLANTED = {
    "sign": lambda g: -g,
    "half": lambda g: g / 2,
    "one entry": lambda g: g + torch.eye(g.shape[-1], dtype=g.dtype)[0] * 1e-5,
    "one part in a million": lambda g: g * (1 + 1e-6),
    "transposed order": lambda g: g.flip(0),
}


class TestPlantedMistakes:
    @pytest.mark.parametrize("mistake", PLANTED.values(), ids=PLANTED.keys())
    @pytest.mark.parametrize("loss", [losses.CrossEntropy(), losses.MulticlassHinge(power=2)], ids=["ce", "svm"])
    def test_in_a_loss(self, mistake, loss):
        class Wrong(type(loss)):
            def gradient(self, scores: Tensor, targets: Tensor, validate: bool = True) -> Tensor:
                return mistake(super().gradient(scores, targets, validate=validate))

        certificate = gradcheck.certify(models.SoftmaxClassifier(3, 4), Wrong(), samples())
        assert not certificate.passed
        assert "loss" in {row.term for row in certificate.wrong}

    def test_only_the_wrong_parameter_fails(self):
        class Wrong(models.SoftmaxClassifier):
            def gradients(self, features, upstream):
                found = super().gradients(features, upstream)
                return {**found, "bias": found["bias"] * 2}

        certificate = gradcheck.certify(Wrong(3, 4), losses.CrossEntropy(), samples())
        assert [(row.term, row.parameter) for row in certificate.wrong] == [("data", "bias")]

    def test_a_forgotten_penalty_shows_however_small_its_strength(self):
        class Forgotten(penalties.L2):
            def gradient(self, weight):
                return torch.zeros_like(weight)

        certificate = gradcheck.certify(
            models.SoftmaxClassifier(3, 4), losses.CrossEntropy(), samples(), Forgotten(1e-12)
        )
        assert {row.term for row in certificate.wrong} == {"penalty Forgotten", "total"}

    def test_a_wrong_gradient_leaves_a_remainder_of_order_one(self):
        (row,) = gradcheck.check(scalar(lambda x: (x**3).sum(), lambda x: 3.1 * x**2, [0.4, -1.2]))
        assert not row.passed
        assert row.order == pytest.approx(1, abs=0.05)
        (row,) = gradcheck.check(scalar(lambda x: (x**3).sum(), lambda x: 3 * x**2, [0.4, -1.2]))
        assert row.passed
        assert row.order == pytest.approx(2, abs=0.05)

    def test_autograd_led_astray_is_caught_by_the_differences(self):
        # detach() hides a factor from autograd; a gradient derived with the same slip agrees with it and is wrong
        (row,) = gradcheck.check(scalar(lambda x: (x * x.detach()).sum(), lambda x: x, [0.4, -1.2]))
        assert row.hand_vs_autograd == 0
        assert row.hand_vs_numeric == pytest.approx(0.5)
        assert not row.passed

    @pytest.mark.parametrize(
        ("gradient", "says"),
        [
            (lambda x: x[:1], "expected a gradient of shape (2,); got (1,)"),
            (lambda x: x * float("nan"), "not finite"),
        ],
        ids=["shape", "nan"],
    )
    def test_what_cannot_be_compared_is_wrong_with_a_reason(self, gradient, says):
        (row,) = gradcheck.check(scalar(lambda x: (x**2).sum(), gradient, [1.0, 2.0]))
        assert not row.passed
        assert says in row.note

    def test_in_a_large_tensor_one_wrong_entry_is_among_those_moved(self):
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(5000, dtype=torch.float64, generator=generator)

        def gradient(x):
            wrong = 2 * x
            wrong[4321] += 0.1
            return wrong

        claim = Claim("f", lambda p: (p["x"] ** 2).sum(), lambda p: {"x": gradient(p["x"])}, {"x": x})
        (row,) = gradcheck.check(claim)
        assert row.hand_vs_numeric > 1e-3
        assert "400 of 5000 entries" in row.note


class TestKinks:
    @pytest.mark.parametrize(("claimed", "right"), [(-1.0, True), (0.0, True), (0.3, True), (1.0, True), (1.1, False)])
    def test_between_the_one_sided_derivatives(self, claimed, right):
        (row,) = gradcheck.check(scalar(lambda x: x.abs().sum(), lambda x: torch.full_like(x, claimed), [0.0]))
        assert row.passed is right
        assert row.kinks == 1

    @pytest.mark.parametrize("distance", [1e-3, 1e-4, 1e-5, 5e-6], ids=str)
    @pytest.mark.parametrize("side", [-1, 1])
    def test_close_to_a_kink_the_step_is_shortened_and_the_side_still_matters(self, distance, side):
        point = [side * distance]
        (row,) = gradcheck.check(scalar(lambda x: x.abs().sum(), torch.sign, point))
        assert row.passed
        (row,) = gradcheck.check(scalar(lambda x: x.abs().sum(), lambda x: torch.zeros_like(x), point))
        assert not row.passed

    @pytest.mark.parametrize("point", [0.0, 0.7, -1.3])
    def test_strong_but_smooth_curvature_is_no_kink(self, point):
        found = witnesses.numeric(lambda x: torch.exp(5 * x).sum(), torch.tensor([point], dtype=torch.float64))
        assert bool(found.smooth.all())
        torch.testing.assert_close(found.low, 5 * torch.exp(torch.tensor([5 * point], dtype=torch.float64)))

    def test_a_bend_in_the_second_derivative_is_no_excuse(self):
        # max(0, x)² has a derivative at 0, and it is 0: nothing else passes
        (row,) = gradcheck.check(scalar(lambda x: (x.clamp(min=0) ** 2).sum(), lambda x: x * 0 + 0.01, [0.0]))
        assert not row.passed


class TestCertify:
    def test_the_model_is_left_as_it_was(self):
        model = models.SoftmaxClassifier(3, 4)
        penalty = penalties.L2(1e-4)
        gradcheck.certify(model, losses.CrossEntropy(), samples(), penalty)
        assert not model.weight.any()
        assert model.weight.dtype == torch.float32
        assert penalty.strength == 1e-4

    def test_dropout_keeps_one_mask_and_the_caller_s_is_left_alone(self):
        model = models.TwoLayerNet(3, 4, hidden=8, dropout=0.5, dtype=torch.float64)
        model(samples(2).features)  # a mask of another batch
        (dropout,) = (layer for layer in model.modules() if isinstance(layer, layers.Dropout))
        before = dropout.mask.clone()
        certificate = gradcheck.certify(model, losses.CrossEntropy(), samples())
        assert certificate.passed, str(certificate)
        assert not dropout.held
        assert torch.equal(dropout.mask, before)

    def test_terms_stand_apart(self):
        certificate = gradcheck.certify(
            models.SoftmaxClassifier(3, 4), losses.CrossEntropy(), samples(), penalties.L2(1e-4)
        )
        assert certificate.passed
        assert [(row.term, row.parameter) for row in certificate] == [
            ("loss", "scores"),
            ("data", "weight"), ("data", "bias"), ("data", "features"),
            ("penalty L2", "weight"), ("penalty L2", "bias"),
            ("total", "weight"), ("total", "bias"),
        ]  # fmt: skip

    def test_float32_is_raised_and_said_so(self):
        certificate = gradcheck.certify(
            models.SoftmaxClassifier(3, 4), losses.CrossEntropy(), samples(dtype=torch.float32)
        )
        assert certificate.passed
        assert any("float32" in note for note in certificate.notes)
        assert max(row.hand_vs_numeric for row in certificate) < 1e-9

    def test_it_saves_and_loads(self, tmp_path):
        certificate = gradcheck.certify(models.SoftmaxClassifier(3, 4), losses.CrossEntropy(), samples())
        certificate.save(tmp_path / "c.json")
        assert gradcheck.Certificate.load(tmp_path / "c.json") == certificate
        (tmp_path / "c.json").write_text("{}")
        with pytest.raises(DataError, match="Expected a certificate"):
            gradcheck.Certificate.load(tmp_path / "c.json")

    def test_it_prints_as_a_table_as_html_and_as_strict_json(self):
        certificate = gradcheck.certify(
            models.LinearRegression(3),
            losses.SquaredError(),
            SimpleNamespace(features=samples().features, targets=samples().targets.double()),
        )
        assert "LinearRegression + SquaredError" in str(certificate)
        assert "4 of 4 gradients are right" in str(certificate)
        assert certificate._repr_html_().count("<tr>") == 5
        back = json.loads(json.dumps(certificate.as_dict(), allow_nan=False))
        assert back["passed"] is True
        assert back["rows"][0].keys() >= {"name", "parameter", "hand_vs_autograd", "hand_vs_numeric", "passed"}


@pytest.mark.parametrize(
    ("error", "says"),
    [(1e-9, "good"), (1e-6, "kink"), (1e-3, "probably wrong"), (0.5, "wrong"), (float("nan"), "wrong")],
)
def test_the_reading_of_a_relative_error(error, says):
    assert says in gradcheck.reading(error)


class TestComponents:
    """One thing at a time, one's own included."""

    def test_a_plain_function_of_two_names(self):
        def value(x, y):
            return (x**2 * y).sum()

        points = {"x": torch.randn(3, generator=torch.Generator().manual_seed(0)), "y": 2.0}
        found = gradcheck.certify_function(value, lambda x, y: {"x": 2 * x * y, "y": (x**2).sum()}, **points)
        assert found.passed
        assert any("float32" in note for note in found.notes)
        found = gradcheck.certify_function(value, lambda x, y: {"x": 2 * x * y, "y": 0 * y}, **points)
        assert [row.parameter for row in found.wrong] == ["y"]

    def test_a_loss_an_activation_a_penalty_and_a_layer(self):
        scores = torch.tensor([0.3, -1.2, 2.0])
        found = gradcheck.certify_loss(losses.Huber(0.5), scores, torch.tensor([1.0, 0.0, 0.5]), name="half a unit")
        assert found.passed
        assert found.rows[0].name == "half a unit"
        assert gradcheck.certify_activation(activations.Tanh(), scores).passed
        assert gradcheck.certify_penalty(penalties.ElasticNet(1e-4), scores).passed
        assert gradcheck.certify_layer(layers.Linear(3, 2), torch.ones(4, 3)).passed
        assert gradcheck.certify_layer(layers.Dropout(0.5), torch.ones(4, 3)).passed

    def test_ones_own_that_are_wrong(self):
        class Cube(activations.Activation):
            def forward(self, scores):
                return scores**3

            def derivative(self, scores):
                return 3 * scores

        class Lost(penalties.L2):
            def gradient(self, weight):
                return 2 * weight

        assert not gradcheck.certify_activation(Cube(), torch.tensor([0.3, -1.2])).passed
        assert not gradcheck.certify_penalty(Lost(1.0), torch.tensor([0.3, -1.2])).passed


class TestParity:
    """Of two devices. Without a GPU the CPU is held against itself, and against a copy that was tampered with."""

    def test_the_cpu_agrees_with_itself_to_the_last_bit(self):
        found = gradcheck.parity.compare_devices("cpu")
        assert found.passed
        assert found.largest() == {"float64": 0.0, "float32": 0.0}
        assert {row.dtype for row in found} == {"float32", "float64"}
        assert len(found.rows) >= 200

    def test_a_difference_is_seen_and_named(self):
        claim = scalar(lambda x: (x**2).sum(), lambda x: 2 * x, [1.0, 2.0])
        tampered = scalar(lambda x: (x**2).sum(), lambda x: 2 * x + 1e-9, [1.0, 2.0])
        row = gradcheck.parity.compare(claim, tampered, "float64")
        assert row.value == 0
        assert row.gradient == pytest.approx(2.5e-10)
        assert not row.passed
        assert gradcheck.parity.compare(claim, tampered, "float32").passed
        report = gradcheck.parity.Parity("cuda", (row,))
        assert "DIFFERS" in str(report)
        assert report.as_dict()["passed"] is False
        assert report._repr_html_().count("<tr>") == 2

    def test_a_device_that_is_not_there(self, capsys):
        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
        assert main(["check", "--device", "cuda", "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "CUDA" in captured.err

    @pytest.mark.gpu
    def test_cuda(self, capsys):
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        assert main(["check", "--device", "cuda", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["parity"]["passed"]
        assert result["parity"]["largest"]["float64"] <= 1e-12


class TestTheCommand:
    def test_the_package(self, capsys):
        assert main(["check", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["passed"] is True
        assert len({(row["name"], row["parameter"]) for row in result["rows"]}) >= 40

    def test_a_config_in_lock_step(self, capsys):
        config = Path(__file__).resolve().parent.parent / "configs" / "digits_softmax.toml"
        assert main(["check", str(config), "--steps", "60", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["largest"] <= 1e-12
        same = {one["name"].split(" (")[0]: one["same"] for one in result["conventions"]}
        # the config's L2 is λ Σ w² with λ = 1e-4: torch's weight_decay is twice that
        assert same["torch.optim with weight_decay=0.0002"] is True
        assert same["torch.optim with weight_decay=0.0001"] is False

    @pytest.mark.parametrize("schedule", ["constant", "cosine"])
    def test_the_rate_inside_the_velocity_is_the_same_while_the_rate_is_constant(self, schedule, capsys):
        config = Path(__file__).resolve().parent.parent / "configs" / "moons_logistic.toml"
        changes = ["--set", "train.rule=momentum", "--set", f"train.schedule={schedule}", "--set", "train.rate=0.1"]
        assert main(["check", str(config), "--steps", "40", "--json", *changes]) == 0
        (first, *_) = json.loads(capsys.readouterr().out)["conventions"]
        assert first["name"].startswith("momentum with the rate inside")
        assert first["same"] is (schedule == "constant")

    @pytest.mark.parametrize("arguments", [["none.toml"], ["--steps", "0", "configs/digits_softmax.toml"], ["what"]])
    def test_wrong_input_is_exit_code_2(self, arguments, capsys):
        assert main(["check", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("edunn: ")
        assert captured.err.count("\n") == 1
