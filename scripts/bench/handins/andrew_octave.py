import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def costFunction(theta, X, y):
    m = y.size
    h = sigmoid(X.dot(theta))
    J = -(1 / m) * (y.dot(np.log(h)) + (1 - y).dot(np.log(1 - h)))
    grad = (1 / m) * X.T.dot(h - y)
    return J, grad


def costFunctionReg(theta, X, y, lambda_):
    m = y.size
    h = sigmoid(X.dot(theta))
    J = -(1 / m) * (y.dot(np.log(h)) + (1 - y).dot(np.log(1 - h))) + (lambda_ / (2 * m)) * np.sum(theta[1:] ** 2)
    grad = (1 / m) * X.T.dot(h - y)
    grad[1:] = grad[1:] + (lambda_ / m) * theta[1:]
    return J, grad


def linearRegCostFunction(X, y, theta, lambda_=0.0):
    m = y.size
    r = X.dot(theta) - y
    J = np.sum(r**2) / (2 * m) + lambda_ / (2 * m) * np.sum(theta[1:] ** 2)
    grad = X.T.dot(r) / m
    reg = theta * lambda_ / m
    reg[0] = 0
    grad = grad + reg
    return J, grad
