import numpy as np


def mse(y_true, y_pred):
    return np.mean(np.power(y_true - y_pred, 2))


def mse_prime(y_true, y_pred):
    return 2 * (y_pred - y_true) / np.size(y_true)


def binary_cross_entropy(y_true, y_pred):
    return np.mean(-y_true * np.log(y_pred) - (1 - y_true) * np.log(1 - y_pred))


def binary_cross_entropy_prime(y_true, y_pred):
    return ((1 - y_true) / (1 - y_pred) - y_true / y_pred) / np.size(y_true)


def mae(y_true, y_pred):
    return np.mean(np.abs(y_pred - y_true))


def mae_prime(y_true, y_pred):
    return np.sign(y_pred - y_true) / np.size(y_true)


def tanh(x):
    return np.tanh(x)


def tanh_prime(x):
    return 1 - np.tanh(x) ** 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_derivative(x):
    s = sigmoid(x)
    return s * (1 - s)


def leaky_relu(z):
    return np.where(z > 0, z, 0.1 * z)


def leaky_relu_derivative(z):
    return np.where(z > 0, 1.0, 0.1)


def softplus(z):
    return np.log(1 + np.exp(z))


def softplus_derivative(z):
    return 1 / (1 + np.exp(-z))
