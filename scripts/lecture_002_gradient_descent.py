# %% [markdown]
# # Linear regression by gradient descent: rates, epochs, and a divergence foretold
#
# Pictures go to `lecture-002/`.

# %%
from pathlib import Path

import torch

import edunn
from edunn import lessons
from edunn.data import toys
from edunn.lessons import linear_regression
from edunn.losses import SquaredError
from edunn.models import LinearRegression

OUT = Path("lecture-002")
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## The six experiments
# One hundred points around y = 2x + 3.5; the start and the random seed, which the lecture does not give, were recovered
# from its own table.

# %%
samples = toys.lecture_line()


def train(rate, epochs):
    model = LinearRegression(1).double()
    with torch.no_grad():
        model.weight.fill_(0.33)
        model.bias.fill_(0.48)
    history = edunn.descend(model, SquaredError(), samples, rate=rate, epochs=epochs)
    return model, history


histories = {}
for number, (rate, epochs) in enumerate(
    [(0.01, 1000), (0.01, 200), (0.001, 1000), (0.01, 2000), (0.1, 1000), (0.1, 100)]
):
    model, history = train(rate, epochs)
    print(f"e{number} rate {rate:<6} epochs {epochs:<5} m {model.weight.item()!r:<25} b {model.bias.item()!r:<25} "
          f"{history.status}, mse {history.last('loss')!r}")  # fmt: skip
    histories[f"e{number}: rate {rate:g}, {epochs} epochs"] = history

# %% [markdown]
# ## Before the run: what will rate 0.1 do?
# 2/λmax of the Hessian is 0.0292. At 0.1 the error along the steep direction grows by 5.85 a step.

# %%
print(linear_regression.forecast(0.1))
print("the run:", linear_regression.run_past_overflow(0.1))
print(histories["e4: rate 0.1, 1000 epochs"].message)

# %%
shown = {name: h for name, h in histories.items() if h.status != "diverged" and "rate 0.1" not in name}
edunn.figures.save(edunn.figures.loss_curves(shown, column="loss", log=True), OUT / "loss.png")
edunn.figures.save(edunn.figures.fitted_line(train(0.01, 1000)[0], samples), OUT / "fit.png")

# %% [markdown]
# ## The computation graph of (2a + b)(c − d)

# %%
print(edunn.graph.build("(2*a + b)*(c - d)", a=3, b=4, c=5, d=6))

# %% [markdown]
# ## What was printed, and what follows

# %%
lessons.show("linear-regression", "sigmoid", "computation-graph", out=OUT)
