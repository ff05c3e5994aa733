# %% [markdown]
# ## Logistic regression, cell by cell
# %%
import numpy as np
import matplotlib.pyplot as plt

# %%
def sigmoid(t):
    return 1 / (1 + np.exp(-t))


# %%
def calculate_loss(y, tx, w):
    pred = sigmoid(tx @ w)
    loss = y.T @ np.log(pred) + (1 - y).T @ np.log(1 - pred)
    return -loss / y.shape[0]


def calculate_gradient(y, tx, w):
    return tx.T @ (sigmoid(tx @ w) - y) / y.shape[0]


# %%
train = np.load("train.npz")
w = np.zeros(train["x"].shape[1])
losses = [calculate_loss(train["y"], train["x"], w)]
plt.plot(losses)
plt.show()
