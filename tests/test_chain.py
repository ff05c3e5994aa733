"""Layers against autograd and torch.nn."""

import copy
import math

import pytest
import torch
from torch import nn

from edunn.activations import Identity, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from edunn.errors import ConfigError, ShapeError
from edunn.layers import BatchNorm, Chain, Dropout, Linear, kaiming, starting_scale, xavier
from edunn.losses import BinaryCrossEntropy, CrossEntropy, MulticlassHinge, SquaredError
from edunn.models import TwoLayerNet

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def autograd(layer, features, upstream):
    """∂L/∂features and ∂L/∂parameters by torch.autograd, through the same forward."""
    x = features.clone().requires_grad_()
    output = layer(x)
    wanted = [x, *layer.parameters()]
    found = torch.autograd.grad(output, wanted, upstream)
    return found[0], {name: g for (name, _), g in zip(layer.named_parameters(), found[1:], strict=True)}


def hold_masks(module):
    for layer in module.modules():
        if isinstance(layer, Dropout):
            layer.held = True


def randomise(module, seed=1):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return module


LAYERS = {
    "linear": lambda: Linear(5, 3, scale=1.0, dtype=F64),
    "batchnorm": lambda: BatchNorm(5, dtype=F64),
    "dropout": lambda: Dropout(0.4, seed=3),
    "chain": lambda: Chain(Linear(5, 4, scale=1.0, dtype=F64), Tanh(), Linear(4, 3, scale=1.0, dtype=F64)),
    "chain of everything": lambda: Chain(
        first=Linear(5, 8, scale=1.0, dtype=F64), norm=BatchNorm(8, dtype=F64), relu=ReLU(), drop=Dropout(0.3),
        second=Linear(8, 4, scale=1.0, dtype=F64), softmax=Softmax(),
    ),
    "chain in a chain": lambda: Chain(
        Chain(Linear(5, 4, scale=1.0, dtype=F64), Sigmoid()), BatchNorm(4, dtype=F64), LeakyReLU(0.1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_autograd(name, mode):
    layer = randomise(LAYERS[name]()).train(mode == "training")
    features = normal(7, 5)
    layer(features)  # draws the masks, and moves the running statistics away from where they start
    hold_masks(layer)
    output = layer(features)
    upstream = normal(*output.shape, seed=2)
    to_input, to_parameters = autograd(layer, features, upstream)
    layer(features)
    torch.testing.assert_close(layer.input_gradient(features, upstream), to_input, rtol=1e-12, atol=1e-12)
    found = layer.gradients(features, upstream)
    assert found.keys() == to_parameters.keys()
    for parameter, gradient in found.items():
        torch.testing.assert_close(gradient, to_parameters[parameter], rtol=1e-12, atol=1e-12)


def test_batchnorm_is_torchs_over_many_batches_and_afterwards():
    ours, theirs = randomise(BatchNorm(4, momentum=0.3, dtype=F64)), nn.BatchNorm1d(4, momentum=0.3, dtype=F64)
    with torch.no_grad():
        theirs.weight.copy_(ours.scale)
        theirs.bias.copy_(ours.shift)
    for seed in range(5):
        batch = 3 * normal(6 + seed, 4, seed=seed) + 2
        torch.testing.assert_close(ours(batch), theirs(batch), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.running_variance, theirs.running_var, rtol=1e-12, atol=0)
    batch = normal(3, 4, seed=9)
    torch.testing.assert_close(ours.eval()(batch), theirs.eval()(batch), rtol=1e-12, atol=1e-12)


def test_batchnorm_of_one_sample_gives_the_shift_and_keeps_the_statistics():
    layer = randomise(BatchNorm(3, dtype=F64))
    torch.testing.assert_close(layer(normal(1, 3)), layer.shift.detach()[None])
    assert torch.equal(layer.running_variance, torch.ones(3, dtype=F64))
    assert torch.equal(layer.input_gradient(normal(1, 3), normal(1, 3)), torch.zeros(1, 3, dtype=F64))


def test_batchnorm_of_a_constant_feature_is_finite():
    layer = BatchNorm(2, dtype=F64)
    features = torch.full((5, 2), 7.0, dtype=F64)
    assert torch.equal(layer(features), torch.zeros(5, 2, dtype=F64))
    assert layer.input_gradient(features, normal(5, 2)).isfinite().all()


def test_stacked_batchnorm_is_one_by_one():
    stack = randomise(BatchNorm(4, runs=(3,), dtype=F64))
    features, upstream = normal(3, 6, 4), normal(3, 6, 4, seed=1)
    output, found = stack(features), stack.gradients(features, upstream)
    below = stack.input_gradient(features, upstream)
    for run in range(3):
        single = BatchNorm(4, dtype=F64)
        with torch.no_grad():
            single.scale.copy_(stack.scale[run])
            single.shift.copy_(stack.shift[run])
        torch.testing.assert_close(output[run], single(features[run]))
        torch.testing.assert_close(stack.running_mean[run], single.running_mean)
        torch.testing.assert_close(found["scale"][run], single.gradients(features[run], upstream[run])["scale"])
        torch.testing.assert_close(below[run], single.input_gradient(features[run], upstream[run]))


def test_dropout_keeps_the_mean_and_drops_the_share():
    layer = Dropout(0.3)
    output = layer(torch.ones(400, 500))
    values = output.unique().tolist()
    assert values == pytest.approx([0, 1 / 0.7])
    # 200,000 draws: the share dropped is within 5 standard deviations, 5 · √(.3 · .7 / 200,000) = 0.005
    assert float((output == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(output.mean()) == pytest.approx(1, abs=0.008)


def test_dropout_in_evaluation_is_the_identity():
    layer = Dropout(0.5).eval()
    features = normal(4, 3)
    assert layer(features) is features
    assert layer.input_gradient(features, features) is features


def test_dropout_draws_anew_each_time_and_the_same_after_a_resume():
    features = torch.ones(20, 20)
    layer = Dropout(0.5, seed=4)
    first = layer(features)
    state = copy.deepcopy(layer.state_dict())
    second = layer(features)
    assert not torch.equal(first, second)
    resumed = Dropout(0.5, seed=4)
    resumed.load_state_dict(state)
    assert torch.equal(resumed(features), second)
    assert torch.equal(Dropout(0.5, seed=4)(features), first)
    assert not torch.equal(Dropout(0.5, seed=5)(features), first)


def test_a_held_mask_stays_and_refuses_another_shape():
    layer = Dropout(0.5)
    features = torch.ones(4, 6)
    first = layer(features)
    layer.held = True
    assert torch.equal(layer(features), first)
    with pytest.raises(ShapeError, match=r"held mask has shape \(4, 6\) and the features \(5, 6\)"):
        layer(torch.ones(5, 6))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout(1.0), "p must be a number in \\[0, 1\\); got 1.0"),
        (lambda: BatchNorm(0), "features must be a whole number, 1 or more; got 0"),
        (lambda: BatchNorm(3, momentum=0), "momentum must be a number in \\(0, 1\\]; got 0"),
        (lambda: BatchNorm(3, epsilon=0), "epsilon must be a number above 0"),
        (lambda: Chain(), "layers in order"),
        (lambda: Chain(nn.Linear(2, 2)), "Linear has no input_gradient"),
        (lambda: TwoLayerNet(3, 2, activation="rely"), "Did you mean 'relu'"),
        (lambda: TwoLayerNet(3, 2, scale="glorot"), "number or one of auto, xavier, kaiming; got 'glorot'"),
        (lambda: TwoLayerNet(64, 100, 10), r"the hidden one by name: TwoLayerNet\(64, 10, hidden=100\)"),
        (lambda: TwoLayerNet(3, 2, predicts="words"), "predicts is one of real, bits, signs, classes; got 'words'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_wrong_width_is_refused():
    with pytest.raises(ShapeError, match=r"\(samples, 4\); got \(2, 3\)"):
        BatchNorm(4)(torch.ones(2, 3))


def test_scales_are_torchs():
    """The formulas against what torch.nn.init draws: 500 × 300 normal numbers tell the deviation to 0.5 %."""
    torch.manual_seed(0)
    weight = torch.empty(500, 300)
    nn.init.xavier_normal_(weight)
    assert xavier(300, 500) == pytest.approx(float(weight.std()), rel=0.01)
    nn.init.kaiming_normal_(weight, a=0.2, nonlinearity="leaky_relu")
    assert kaiming(300, 0.2) == pytest.approx(float(weight.std()), rel=0.01)
    assert xavier(300, 500) == math.sqrt(2 / 800)
    assert kaiming(50) == math.sqrt(2 / 50)
    assert starting_scale("auto", LeakyReLU(0.5), 10, 4) == kaiming(10, 0.5)
    assert starting_scale("auto", Tanh(), 10, 4) == xavier(10, 4)
    assert starting_scale(0.25, ReLU(), 10, 4) == 0.25


def test_kaiming_keeps_the_mean_square_through_ten_layers():
    """The reason for the 2: without it a tenth layer's values would be 2¹⁰ times smaller in mean square."""
    width = 400
    layers = []
    for depth in range(10):
        layers += [Linear(width, width, scale=kaiming(width), seed=depth, dtype=F64), ReLU()]
    output = Chain(*layers)(normal(200, width, seed=99))
    # the first layer's input did not pass a ReLU: its 2 stays, and half of it is behind the last ReLU
    assert 0.5 < float(output.detach().square().mean()) < 2


NETS = {
    "plain": {},
    "tanh": {"activation": "tanh"},
    "dropout": {"dropout": 0.4},
    "batchnorm": {"batchnorm": True},
    "both": {"dropout": 0.2, "batchnorm": True, "activation": "leaky-relu"},
}
LOSSES = {
    "cross-entropy": (CrossEntropy(), 3, torch.tensor([0, 2, 1, 1, 0, 2])),
    "hinge": (MulticlassHinge(), 3, torch.tensor([0, 2, 1, 1, 0, 2])),
    "binary": (BinaryCrossEntropy(), 1, torch.tensor([0.0, 1, 1, 0, 1, 0], dtype=F64)),
}


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("options", NETS.values(), ids=NETS)
def test_two_layer_gradients_by_hand_are_autograds(options, loss_name):
    loss, outputs, targets = LOSSES[loss_name]
    model = TwoLayerNet(4, outputs, hidden=16, dtype=F64, **options)
    features = normal(6, 4)
    scores = model(features)
    found = model.gradients(features, loss.gradient(scores, targets))
    loss(scores, targets).backward()
    assert set(found) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-11, atol=1e-13)


def test_two_layer_net_is_torchs_sequential():
    model = TwoLayerNet(4, 3, hidden=5, dtype=F64)
    twin = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
            theirs.copy_(ours)
    features = normal(9, 4)
    torch.testing.assert_close(model(features), twin(features))


def test_a_net_starts_with_the_right_scales_and_not_with_the_same_numbers():
    model = TwoLayerNet(1000, 1000, hidden=1000, dtype=F64)
    assert float(model.hidden.weight.detach().std()) == pytest.approx(kaiming(1000), rel=0.01)
    assert float(model.output.weight.detach().std()) == pytest.approx(xavier(1000, 1000), rel=0.01)
    correlation = torch.corrcoef(
        torch.stack([p.detach().flatten() for p in (model.hidden.weight, model.output.weight)])
    )
    assert abs(float(correlation[0, 1])) < 0.005  # 10⁶ pairs: five standard deviations


def test_prediction_is_without_dropout_and_leaves_the_mode():
    model = TwoLayerNet(4, 3, hidden=8, dropout=0.5)
    features = normal(5, 4).float()
    assert torch.equal(model.predict(features), model.predict(features))
    assert torch.equal(model.probabilities(features), model.probabilities(features))
    assert model.training
    torch.testing.assert_close(model.probabilities(features).sum(-1), torch.ones(5))
    labels = model.predict(features)
    assert float(model.score(features, labels)) == 1
    signs = TwoLayerNet(4, 1, predicts="signs")
    assert set(signs.predict(features).tolist()) <= {-1, 1}
    real = TwoLayerNet(4, 1, predicts="real")
    assert real.metric == "r2"
    with torch.no_grad():
        assert float(real.score(features, real(features))) == 1
    assert TwoLayerNet(4, 1).probabilities(features).shape == (5,)


def test_gradients_on_other_features_send_them_through():
    model = TwoLayerNet(4, 3, hidden=8, dtype=F64)
    first, second, upstream = normal(5, 4), normal(5, 4, seed=1), normal(5, 3, seed=2)
    model(second)
    wanted = model.gradients(second, upstream)
    model(first)
    found = model.gradients(second, upstream)
    torch.testing.assert_close(found["hidden.weight"], wanted["hidden.weight"])


def test_a_net_can_be_copied_after_a_forward_with_a_graph():
    model = TwoLayerNet(4, 1, hidden=8)
    SquaredError()(model(torch.ones(2, 4)), torch.ones(2)).backward()
    twin = copy.deepcopy(model)
    assert torch.equal(twin(torch.ones(2, 4)), model(torch.ones(2, 4)))


def test_identity_scale_is_xavier():
    assert starting_scale("auto", Identity(), 3, 5) == xavier(3, 5)
