"""From a wrong gradient to the name of the mistake: planted in source text, named; strangers get no name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from edunn import exercises, gradcheck, losses, models, penalties
from edunn.gradcheck import diagnosis

BENCH = Path(__file__).resolve().parent.parent / "scripts" / "bench"
sys.path.insert(0, str(BENCH))
import planted  # noqa: E402
import right  # noqa: E402

spec = importlib.util.spec_from_file_location("bench_diagnosis", BENCH / "diagnosis.py")
assert spec is not None
assert spec.loader is not None
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)

NAMED = [edit for edit in planted.PLANTED if edit[3] is not None]
FOREIGN = [edit for edit in planted.PLANTED if edit[3] is None]


def graded(folder: Path, text: str, seed: int = 0) -> exercises.Grade:
    path = folder / "handin.py"
    path.write_text(text, encoding="utf-8")
    (found,) = exercises.load(path)
    return exercises.grade(found, seed)


def label(edit: planted.Edit) -> str:
    return f"{edit[0]}-{edit[3] or 'foreign'}-{edit[2].strip()[:24]}"


class TestPlantedInHandins:
    @pytest.mark.parametrize("task", right.GRADIENTS)
    def test_right_code_is_right(self, task, tmp_path):
        assert graded(tmp_path, right.source(task)).status == "right"

    @pytest.mark.parametrize("edit", NAMED, ids=label)
    def test_the_mistake_is_named(self, edit, tmp_path):
        task, old, new, expected = edit
        grade = graded(tmp_path, right.edited(task, old, new), seed=11)
        assert grade.status == "wrong"
        assert grade.mistakes
        assert all(one.names[0] == expected for one in grade.mistakes), [one.names for one in grade.mistakes]

    @pytest.mark.parametrize("edit", FOREIGN, ids=label)
    def test_what_the_table_does_not_hold_is_wrong_and_gets_no_name(self, edit, tmp_path):
        task, old, new, _ = edit
        grade = graded(tmp_path, right.edited(task, old, new), seed=11)
        assert grade.status == "wrong"
        assert [one.names for one in grade.mistakes] == [()] * len(grade.mistakes)
        assert any(one.worst for one in grade.mistakes)

    def test_there_are_as_many_kinds_as_promised(self):
        assert len({edit[3] for edit in NAMED}) >= 40
        assert len(FOREIGN) >= 10


class TestPlantedInAModel:
    def samples(self):
        draw = gradcheck.catalogue.Draw(3)
        return SimpleNamespace(features=draw.normal(9, 4), targets=draw.targets("classes", 9, 3))

    def explained(self, model, loss, penalty=None):
        certificate = gradcheck.certify(model, loss, self.samples(), penalty)
        assert not certificate.passed
        return {(one.term, one.parameter): one.names for one in diagnosis.explain(certificate)}

    def test_a_mistake_in_the_loss_is_named_in_every_row_that_it_spoils(self):
        class Wrong(losses.CrossEntropy):
            def pointwise_gradient(self, scores, targets):
                return torch.softmax(scores, -1) - self.distribution(scores, targets).roll(1, -1)

        found = self.explained(models.SoftmaxClassifier(4, 3), Wrong(), penalties.L2(0.1))
        assert set(found) >= {("loss", "scores"), ("data", "weight"), ("data", "bias"), ("total", "weight")}
        assert {names[0] for names in found.values()} == {"off by one class"}

    def test_a_mistake_in_the_model(self):
        class Wrong(models.SoftmaxClassifier):
            def gradients(self, features, upstream):
                return {**super().gradients(features, upstream), "bias": upstream.sum().expand(3)}

        found = self.explained(Wrong(4, 3), losses.MulticlassHinge())
        # its entries sum to zero over the classes, so that the sum over everything is zero as well
        assert found.keys() == {("data", "bias")}
        assert found["data", "bias"][0] in ("bias summed over everything", "zero")

    def test_a_mistake_in_the_penalty_shows_in_its_own_term_and_in_the_total(self):
        class Wrong(penalties.L2):
            def gradient(self, weight):
                return self.strength * weight

        found = self.explained(models.SoftmaxClassifier(4, 3), losses.CrossEntropy(), Wrong(1e-5))
        assert found == {
            ("penalty Wrong", "weight"): ("L2 factor 2 missing",),
            ("total", "weight"): ("L2 factor 2 missing",),
        }

    def test_random_noise_gets_no_name(self):
        class Wrong(models.SoftmaxClassifier):
            def gradients(self, features, upstream):
                found = super().gradients(features, upstream)
                return {**found, "weight": found["weight"] + 0.01 * torch.randn_like(found["weight"])}

        found = self.explained(Wrong(4, 3), losses.CrossEntropy())
        assert found == {("data", "weight"): ()}


class TestPlantedInThePackage:
    @pytest.mark.parametrize("edit", planted.IN_PACKAGE, ids=lambda e: f"{e[0]}-{e[3]}-{e[4]}")
    def test_the_mistake_is_named_in_every_row_that_it_spoils(self, edit):
        module, old, new, name, expected = edit
        certificate = bench.objective_of(name, bench.package_with(module, old, new), seed=4)
        assert not certificate.passed
        found = [one.names for one in diagnosis.explain(certificate)]
        assert found
        assert all(names[:1] == (expected,) for names in found), found


def test_every_mistake_of_the_table_says_what_it_is_and_where():
    for mistake in diagnosis.MISTAKES:
        assert mistake.says
        assert mistake.formula
        assert mistake.stage in ("whole", "data", "loss", "penalty")


def test_several_explanations_are_listed_and_the_likeliest_comes_first():
    # with one class score and N = 2, "1/N forgotten" and "a factor 2 too many" give the same gradient
    wrong = diagnosis.WrongGradient("loss", "scores", torch.tensor([2.0, 4.0]), torch.tensor([1.0, 2.0]), samples=2)
    found = diagnosis.diagnose(wrong)
    assert found.names[:2] == ("1/N forgotten", "factor 2 too many")
    assert "; or: " in str(found)
