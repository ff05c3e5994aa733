# %% [markdown]
# # From your own table to a model, its surface and its pictures
#
# A few lines: a DataFrame, the training, the loss as a surface over weight and bias, and what the model decides.
# The gradients of this package are derived by hand; `edunn.gradcheck.certify` compares them with autograd.

# %%
import pandas as pd

import edunn

hours = [0.5, 0.8, 1.0, 1.3, 1.8, 1.8, 2.0, 2.3, 2.5, 2.8, 3.0, 3.3, 3.5, 4.0, 4.3, 4.5, 4.8, 5.0, 5.0, 5.5]
frame = pd.DataFrame({"hours": hours, "passed": [*"nnnnnnynynynynyyyyyy"]}).replace({"n": "no", "y": "yes"})
samples = edunn.Samples(frame, "passed")
samples

# %% [markdown]
# One neuron, P(yes | hours) = σ(w · hours + b), trained by full-batch gradient descent. The weights are kept every ten
# steps, for the path on the surface.

# %%
model = edunn.models.LogisticRegression(1)
history = edunn.descend(model, "bce", samples, rate=0.5, epochs=1000, snapshots=10, evaluate=100)
history

# %%
history.plot();

# %% [markdown]
# The loss of all 20 students at every (w, b) of a window. The path starts at (0, 0) and ends near the minimum.

# %%
loss = edunn.losses.BinaryCrossEntropy()
surface = edunn.landscape.grid(samples.features, samples.targets, loss, w=(-1, 4), b=(-8, 2))
surface.plot.contour(path=history)
surface.plot(sections=(-6, -4, -2));

# %% [markdown]
# What the model learned, and how sure it is. `report` prints as a table.

# %%
edunn.figures.fitted_line(model, samples)
report = edunn.metrics.class_report(samples.targets, model.predict(samples.features), samples.classes)
report

# %%
report.plot();

# %% [markdown]
# And are the gradients right? Each is compared with autograd and with finite differences.

# %%
edunn.gradcheck.certify(model, loss, samples)
