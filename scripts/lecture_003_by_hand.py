# %% [markdown]
# # Neurons and steps by hand
#
# One neuron by table and by matrix, two that are one, single-sample and batch steps, noise, an arm.
# Pictures go to `lecture-003/`.

# %%
from pathlib import Path

import torch

import edunn
from edunn import lessons
from edunn.losses import SquaredError
from edunn.models import LinearRegression, LogisticRegression, SoftmaxClassifier

OUT = Path("lecture-003")
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## One neuron: z = Xw + b

# %%
x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
neuron = LogisticRegression(2).double()
with torch.no_grad():
    neuron.weight.copy_(torch.tensor([[1.0, 2.0]]))
    neuron.bias.fill_(-10.0)
    print("z", neuron(x).tolist(), " σ(z)", neuron.probabilities(x).tolist())

# %% [markdown]
# ## Two neurons and a softmax: a sigmoid of the difference

# %%
two = SoftmaxClassifier(2, 2).double()
with torch.no_grad():
    two.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    two.bias.copy_(torch.tensor([-10.0, -20.0]))
    z = two(x)
    print("softmax", two.probabilities(x)[:, 1].tolist())
    print("σ(z₂ − z₁)", torch.sigmoid(z[:, 1] - z[:, 0]).tolist())

# %% [markdown]
# ## A batch of three, every number of two steps
# The targets are those before rounding: from the printed 0.99, 3.00, 5.01 nine of its numbers come out otherwise.

# %%
points = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
hidden = torch.tensor([0.9886616166569097, 3.0038431919339965, 5.014965537763705], dtype=torch.float64)
for step in lessons.steps(
    LinearRegression(1).double(), SquaredError(), edunn.Samples(points, hidden), rate=0.1, count=2
):
    print(step.table.text(), "\n")

# %% [markdown]
# ## Single samples, derivatives of 0, noise, and a robot arm: each is a lesson

# %%
lessons.show("single-sample-steps", "batch-steps", "three-descents", "zero-derivatives", "noise", "robot-arm", out=OUT)
