import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def compute_cost(x, y, w, b):
    m = x.shape[0]
    cost = 0.0
    for i in range(m):
        cost = cost + (w * x[i] + b - y[i]) ** 2
    return 1 / (2 * m) * cost


def compute_gradient(x, y, w, b):
    m = x.shape[0]
    dj_dw, dj_db = 0, 0
    for i in range(m):
        err = w * x[i] + b - y[i]
        dj_dw += err * x[i]
        dj_db += err
    dj_dw = dj_dw / m
    dj_db = dj_db / m
    return dj_dw, dj_db


def compute_cost_logistic(X, y, w, b, *argv):
    m = X.shape[0]
    total = 0.0
    for i in range(m):
        f = sigmoid(np.dot(X[i], w) + b)
        total += -y[i] * np.log(f) - (1 - y[i]) * np.log(1 - f)
    return total / m


def compute_gradient_logistic(X, y, w, b, *argv):
    m, n = X.shape
    dj_dw = np.zeros((n,))
    dj_db = 0.0
    for i in range(m):
        err = sigmoid(np.dot(X[i], w) + b) - y[i]
        for j in range(n):
            dj_dw[j] = dj_dw[j] + err * X[i, j]
        dj_db = dj_db + err
    return dj_db / m, dj_dw / m


def compute_cost_reg(X, y, w, b, lambda_=1):
    return compute_cost_logistic(X, y, w, b) + lambda_ / (2 * X.shape[0]) * np.sum(w**2)


def compute_gradient_reg(X, y, w, b, lambda_=1):
    dj_db, dj_dw = compute_gradient_logistic(X, y, w, b)
    dj_dw = dj_dw + (lambda_ / X.shape[0]) * w
    return dj_db, dj_dw


def gradient_descent(X, y, w, b, alpha, steps):
    for _ in range(steps):
        db, dw = compute_gradient_logistic(X, y, w, b)
        w, b = w - alpha * dw, b - alpha * db
    return w, b
