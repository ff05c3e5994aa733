# %% [markdown]
# # The cost against problem, loss and activation
#
# Runs as a program (`python scripts/lecture_000_cost_function.py`) and opens as a notebook. Pictures go to
# `lecture-000/` beside where it is run.

# %%
from pathlib import Path

import torch

import edunn
from edunn import lessons
from edunn.activations import Sigmoid
from edunn.data import toys
from edunn.losses import BinaryCrossEntropy, SquaredError

OUT = Path("lecture-000")
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## Three problems, three curves L(w) at b = 0
# A linear problem with squared error is a parabola; labels with cross-entropy a sum of softplus functions; labels with
# squared error through a sigmoid have two horizontal asymptotes.

# %%
line, labels = toys.random_linear(100, seed=0), toys.random_binary(100, seed=0)
mse, bce = SquaredError(through=Sigmoid()), BinaryCrossEntropy()
for name, samples, loss in (("linear", line, SquaredError()), ("labels", labels, bce), ("labels", labels, mse)):
    curve = edunn.landscape.grid(samples.features, samples.targets, loss, w=(-20, 20, 401), b=0.0)
    low = curve.lowest
    ends = float(curve.values[0, 0]), float(curve.values[-1, 0])
    print(f"{name:<7} {curve.loss:<45} lowest {low['loss']:.4f} at w = {low['w']:.2f}")
    print(f"        at w = ∓20: {ends[0]:.3f}, {ends[1]:.3f}")

# %% [markdown]
# ## The closing figure: both surfaces over (w, b), cut at three b, and the cuts below

# %%
window = (-20, 20, 257)
surfaces = [edunn.landscape.grid(labels.features, labels.targets, loss, w=window, b=window) for loss in (mse, bce)]
axes = edunn.figures.comparison(*surfaces, at=(-10.0, 0.0, 10.0), titles=("Squared error through σ", "Cross-entropy"))
edunn.figures.save(axes[0], OUT / "closing_figure.png")
for surface in surfaces:
    flat = surface.plateaus(1e-3)["1e-3"]
    print(f"{surface.loss:<45} convex: {surface.convex()}, flat (slope below 1e-3) over {flat:.0%} of the window")

# %% [markdown]
# ## Why it stops learning: the gradient vanishes where the answer is wrong

# %%
z = torch.tensor([-10.0, -5.0, 0.0], dtype=torch.float64)
ones = torch.ones_like(z)
print("dL/dz at y = 1, z = -10, -5, 0")
print("  squared error ", (SquaredError(half=True, through=Sigmoid()).pointwise_gradient(z, ones)).tolist())
print("  cross-entropy ", bce.pointwise_gradient(z, ones).tolist())

# %% [markdown]
# ## The indexing slip, the bumps and the bad starts: each is a lesson

# %%
lessons.show("indexing-slip", "vanishing-gradient", "limits", "bumps", "bad-start", out=OUT)
