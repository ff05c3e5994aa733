"""Dead units and vanishing gradients are seen, and a healthy net is left in peace."""

import torch

from edunn.activations import ReLU, Sigmoid
from edunn.data import Samples
from edunn.descent import descend, health
from edunn.layers import Chain, Linear, kaiming
from edunn.losses import CrossEntropy
from edunn.models import TwoLayerNet


def samples(count=200, features=8, seed=0):
    generator = torch.Generator().manual_seed(seed + 77)
    x = torch.randn(count, features, generator=generator)
    return Samples(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long())


def test_dead_units_are_counted():
    model = TwoLayerNet(8, 3, hidden=10)
    with torch.no_grad():
        model.hidden.bias[:4] = -100  # four of ten never fire
    rows = health.layers(model, CrossEntropy(), samples())
    activation = next(row for row in rows if row.layer == "activation")
    assert abs(activation.dead - 0.4) < 1e-6
    assert any("40% of its units are dead" in line for line in health.warnings(rows))
    assert model.training


def test_gradients_are_those_of_autograd_layer_by_layer():
    model, data, loss = TwoLayerNet(8, 3, hidden=10, activation="tanh"), samples(), CrossEntropy()
    rows = health.layers(model, loss, data)
    x = data.features.clone().requires_grad_()
    before = model.hidden(x)
    after = torch.tanh(before)
    total = loss.pointwise(model.output(after), data.targets).sum()
    into = torch.autograd.grad(total, [x, before, after])
    for row, gradient in zip(rows, into, strict=True):
        torch.testing.assert_close(row.gradient, float(gradient.square().mean().sqrt()), rtol=1e-5, atol=0)


def deep(activation, scale):
    layers = []
    for depth in range(8):
        layers += [Linear(30 if depth else 8, 30, scale=scale(30 if depth else 8), seed=depth), activation()]
    return Chain(*layers, Linear(30, 3, scale=0.2, seed=99))


def test_a_gradient_that_vanishes_is_said_and_kaiming_cures_it():
    loss, data = CrossEntropy(), samples()
    faint = health.warnings(health.layers(deep(Sigmoid, lambda inputs: 0.3), loss, data))
    assert any("it vanishes on its way down" in line for line in faint)
    fine = health.warnings(health.layers(deep(ReLU, kaiming), loss, data))
    assert not any("vanishes" in line for line in fine)


def test_saturation_is_said():
    flat = health.layers(TwoLayerNet(8, 3, hidden=10, activation="sigmoid", scale=50.0), CrossEntropy(), samples())
    assert any("are saturated, where sigmoid is flat" in line for line in health.warnings(flat))


def test_watching_changes_nothing():
    """With dropout and batch normalisation, whose masks and statistics a look could disturb."""

    def run(watch):
        model = TwoLayerNet(8, 3, hidden=10, dropout=0.3, batchnorm=True)
        seen = health.Watch(model, CrossEntropy(), samples(50))
        descend(
            model, CrossEntropy(), samples(), rate=0.1, batch_size=32, epochs=4, after_epoch=seen if watch else None
        )
        return model, seen

    (plain, _), (watched, seen) = run(False), run(True)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, watched.state_dict()[name]), name
    assert {row["epoch"] for row in seen.rows} == {1, 2, 3, 4}
    assert len(seen.rows) == 4 * 5
    assert seen.warnings == []
    assert "batchnorm" in str(seen)


def test_one_output_is_looked_at_as_well():
    from edunn.losses import BinaryCrossEntropy

    data = samples()
    bits = Samples(data.features, (data.features[:, 0] > 0).float())
    assert len(health.layers(TwoLayerNet(8, 1, hidden=10), BinaryCrossEntropy(), bits)) == 3
