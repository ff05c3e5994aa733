import numpy as np


def l2_regularization(W, reg_strength):
    loss = reg_strength * np.sum(W**2)
    grad = 2 * reg_strength * W
    return loss, grad


def l1_penalty(w, lam):
    return lam * np.sum(np.abs(w))


def l1_penalty_gradient(w, lam):
    return lam * np.sign(w)


def softmax_with_cross_entropy(predictions, target_index):
    shifted = predictions - np.max(predictions, axis=1, keepdims=True)
    probs = np.exp(shifted) / np.sum(np.exp(shifted), axis=1, keepdims=True)
    n = predictions.shape[0]
    loss = -np.mean(np.log(probs[np.arange(n), target_index]))
    dprediction = probs
    dprediction[np.arange(n), target_index] -= 1
    return loss, dprediction / n


def linear_softmax(X, W, target_index):
    predictions = np.dot(X, W)
    loss, d = softmax_with_cross_entropy(predictions, target_index)
    dW = np.dot(X.T, d)
    return loss, dW
