import numpy as np


def softmax_cost(W, b, X, Y):
    """Samples are columns, Y is one-hot (C, N)."""
    Z = W @ X + b
    Z = Z - Z.max(axis=0, keepdims=True)
    P = np.exp(Z) / np.exp(Z).sum(axis=0, keepdims=True)
    m = X.shape[1]
    J = -np.sum(Y * np.log(P)) / m
    dZ = (P - Y) / m
    return J, dZ @ X.T, dZ.sum(axis=1, keepdims=True)
