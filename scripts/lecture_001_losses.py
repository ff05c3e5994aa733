# %% [markdown]
# # Losses of a linear classifier, and the way down
#
# The multiclass hinge and softmax of three images worked through, their gradients, penalties, and a stop rule.
# Pictures go to `lecture-001/`.

# %%
from pathlib import Path

import torch

import edunn
from edunn import lessons
from edunn.losses import CrossEntropy, MulticlassHinge
from edunn.losses.loops import multiclass_hinge_by_loops
from edunn.models import LinearSVM
from edunn.penalties import L2

OUT = Path("lecture-001")
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## Three images, three classes: cat, car, frog

# %%
scores = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]], dtype=torch.float64)
targets = torch.tensor([0, 1, 2])
hinge = MulticlassHinge()
print("L per image", hinge.pointwise(scores, targets).tolist(), " loss", float(hinge(scores, targets)))
for name, other in {
    "sum over j = y too": MulticlassHinge(include_true=True),
    "mean over C - 1": MulticlassHinge(over="others"),
    "squared": MulticlassHinge(power=2),
    "delta = 100": MulticlassHinge(margin=100.0),
}.items():
    print(f"{name:<20} {other.pointwise(scores, targets).tolist()}  mean {float(other(scores, targets)):.6f}")

# %% [markdown]
# ## Softmax: −ln 0.13 is 2.04; 0.89 is its logarithm to base 10

# %%
print("−ln p_y", CrossEntropy().pointwise(scores, targets).tolist())
print("base 10", (CrossEntropy().pointwise(scores, targets) / 2.302585092994046).tolist())

# %% [markdown]
# ## The gradient by two loops, and by one matrix product: the same numbers

# %%
digits = edunn.data.digits().train[:100]
model = LinearSVM(64, classes=10, scale=0.1, seed=0).double()
features = digits.features.double()
_, by_loops, _ = multiclass_hinge_by_loops(model.weight.detach(), model.bias.detach(), features, digits.targets)
with torch.no_grad():
    by_matrix = model.gradients(features, hinge.gradient(model(features), digits.targets))["weight"]
print("loops against the product: largest difference", float((by_loops - by_matrix).abs().max()))

# %% [markdown]
# The certificate: the same gradient against autograd and against differences, on a small case.

# %%
small = edunn.Samples(features[:20, 20:28], digits.targets[:20])
print(edunn.gradcheck.certify(LinearSVM(8, classes=10, scale=0.1).double(), hinge, small, penalty=L2(0.1)))

# %% [markdown]
# ## What remains: penalties, stop rule, margin, lift. Each is a lesson

# %%
lessons.show("hinge-gradient", "regularisers", "nearest-neighbours", "svm-against-softmax", out=OUT)
lessons.show("stop-rule", "svm-margin", "lift", out=OUT)
