# %%
import numpy as np

# %%
def ridge_loss(w, X, y, lam):
    e = X @ w - y
    return e @ e / len(y) + lam * w @ w


def ridge_gradient(w, X, y, lam):
    e = X @ w - y
    return 2 * X.T @ e / len(y) + 2 * lam * w


# %%
def svm_objective(w, b, X, y, C):
    margins = np.maximum(0, 1 - y * (X @ w + b))
    return np.mean(margins) + C * np.sum(w**2)


def svm_gradient(w, b, X, y, C):
    active = (1 - y * (X @ w + b) > 0) * y
    dw = -X.T @ active / len(y) + 2 * C * w
    db = -np.sum(active) / len(y)
    return dw, db
