"""The script that shows regularisation: its pictures, and that each regulariser helps where labels are wrong."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "regularisation.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("regularisation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_regulariser_beats_none(script, tmp_path):
    best = script.against_strength(tmp_path)
    plain = script.scores(script.softmax(None)[0], script.validation)
    for name in ("L2", "L1", "elastic net", "max-norm"):
        assert best[name]["validation"] > plain + 0.05
    assert best["dropout"]["validation"] > best["dropout"]["first"] + 0.03
    assert {path.stem for path in tmp_path.glob("*.png")} == {"L2", "L1", "elastic_net", "max-norm", "dropout"}


def test_the_curve_turns_up_and_the_cure_holds_it(script, tmp_path):
    ends = script.cure(tmp_path)
    assert ends["overfitted_last"] > 1.5 * ends["overfitted_lowest"]
    assert ends["cured_last"] < 1.2 * ends["cured_lowest"]
    assert len(list(tmp_path.glob("*.png"))) == 4
