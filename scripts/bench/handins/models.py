import numpy as np


class LogisticModel:
    def __init__(self, n_features):
        self.w = np.zeros(n_features)
        self.b = np.zeros(1)

    def compute_cost(self, X, y):
        a = 1 / (1 + np.exp(-(X @ self.w + self.b)))
        return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))

    def compute_gradient(self, X, y):
        a = 1 / (1 + np.exp(-(X @ self.w + self.b)))
        dw = X.T @ (a - y) / len(y)
        db = np.mean(a - y)
        return dw, db


class MLP:
    def __init__(self, n_in, n_out):
        self.W1 = np.random.randn(n_in, 7) * 0.1
        self.b1 = np.zeros(7)
        self.W2 = np.random.randn(7, n_out) * 0.1
        self.b2 = np.zeros(n_out)

    def loss(self, X, y):
        self.X, self.y = X, y
        self.h = np.tanh(X @ self.W1 + self.b1)
        s = self.h @ self.W2 + self.b2
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.p[np.arange(len(y)), y]).mean()

    def backward(self):
        n = len(self.y)
        d = self.p.copy()
        d[np.arange(n), self.y] -= 1
        d = d / n
        self.dW2 = self.h.T @ d
        self.db2 = d.sum(axis=0)
        d = (d @ self.W2.T) * (1 - self.h**2)
        self.dW1 = self.X.T @ d
        self.db1 = d.sum(axis=0)
