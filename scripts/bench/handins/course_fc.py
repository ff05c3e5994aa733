import numpy as np


class ThreeLayerNet:
    """The sigmoid net with squared error, one class."""

    def __init__(self, input_dim, hidden, num_classes):
        rng = np.random.default_rng(1)
        self.W1 = rng.normal(size=(input_dim, 6))
        self.b1 = np.zeros((1, 6))
        self.W2 = rng.normal(size=(6, num_classes))
        self.b2 = np.zeros((1, num_classes))

    def sigmoid(self, z):
        return 1 / (1 + np.exp(-z))

    def loss_and_grad(self, X, Y):
        a1 = self.sigmoid(X @ self.W1 + self.b1)
        a2 = self.sigmoid(a1 @ self.W2 + self.b2)
        m = X.shape[0]
        cost = np.sum((a2 - Y) ** 2) / (2 * m)
        d2 = (a2 - Y) * a2 * (1 - a2) / m
        dW2 = a1.T @ d2
        db2 = np.sum(d2, axis=0, keepdims=True)
        d1 = (d2 @ self.W2.T) * a1 * (1 - a1)
        dW1 = X.T @ d1
        db1 = np.sum(d1, axis=0, keepdims=True)
        return cost, {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
