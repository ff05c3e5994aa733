import numpy as np


def affine_forward(x, w, b):
    rows = np.reshape(x, (x.shape[0], -1))
    out = rows.dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    dx = np.reshape(dout.dot(w.T), x.shape)
    dw = np.reshape(x, (x.shape[0], -1)).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    out = np.maximum(x, 0)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx


def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    if bn_param["mode"] == "train":
        mean = np.mean(x, axis=0)
        var = np.var(x, axis=0)
        normal = (x - mean) / np.sqrt(var + eps)
        out = gamma * normal + beta
        cache = (normal, gamma, var + eps)
    return out, cache


def batchnorm_backward(dout, cache):
    normal, gamma, var = cache
    N = dout.shape[0]
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * normal, axis=0)
    dnormal = dout * gamma
    dx = (N * dnormal - np.sum(dnormal, axis=0) - normal * np.sum(dnormal * normal, axis=0)) / N / np.sqrt(var)
    return dx, dgamma, dbeta


def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mean = np.mean(x, axis=1, keepdims=True)
    var = np.var(x, axis=1, keepdims=True)
    normal = (x - mean) / np.sqrt(var + eps)
    return gamma * normal + beta, (normal, gamma, var + eps)


def layernorm_backward(dout, cache):
    normal, gamma, var = cache
    d = dout.shape[1]
    dgamma, dbeta = np.sum(dout * normal, axis=0), np.sum(dout, axis=0)
    g = dout * gamma
    dx = (g - np.sum(g, axis=1, keepdims=True) / d - normal * np.sum(g * normal, axis=1, keepdims=True) / d) / np.sqrt(var)
    return dx, dgamma, dbeta


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask, out = None, x
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    cache = (dropout_param, mask)
    return out, cache


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    dx = dout * mask
    return dx


def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_probs = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = np.exp(log_probs)
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def svm_loss(x, y):
    N = x.shape[0]
    margins = np.maximum(0, x - x[np.arange(N), y][:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= np.sum(margins > 0, axis=1)
    dx /= N
    return loss, dx
