# %% [markdown]
# # The 0/1 error, its surrogate, and descent on x² + y² + 3x + 3
#
# Pictures go to `lecture-004/`.

# %%
from pathlib import Path

import edunn
from edunn import lessons
from edunn.data import toys
from edunn.losses import Logistic, ZeroOne
from edunn.minimise import minimise

OUT = Path("lecture-004")
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## Stairs and a slope
# The 0/1 error of a threshold is flat almost everywhere: no step of descent leads down. The logistic loss, minus the
# logarithm of the product of the probabilities of being right, is convex.

# %%
made = toys.random_binary(60, seed=7)
signs = (2 * made.targets - 1).double()
for loss in (ZeroOne(), Logistic()):
    surface = edunn.landscape.grid(made.features, signs, loss, w=(-10, 10, 201), b=(-10, 10, 201))
    low = surface.lowest
    print(
        f"{surface.loss:<25} lowest {low['loss']:.4f} at ({low['w']:.2f}, {low['b']:.2f}), convex: {surface.convex()}"
    )

# %% [markdown]
# ## Descent by the exact gradient, and by a difference of step 1e-15

# %%
f, start = "x**2 + y**2 + 3*x + 3", {"x": 0.0, "y": 0.0}
print(minimise(f, start, rate=0.01, tolerance=1e-7, gradient={"x": "2*x + 3", "y": "2*y"}))
print(minimise(f, start, rate=0.01, tolerance=1e-7, gradient="numeric", delta=1e-15))
print(minimise(f, start, rate=0.01, tolerance=1e-7, gradient="numeric", delta=1e-4))

# %% [markdown]
# ## What was printed, and what follows

# %%
lessons.show("zero-one", "quadratic-descent", "delta-study", "numeric-limits", out=OUT)
