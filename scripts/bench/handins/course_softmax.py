from builtins import range
from random import shuffle

import numpy as np
from past.builtins import xrange


def softmax_loss_naive(W, X, y, reg):
    loss = 0.0
    dW = np.zeros_like(W)
    num_train, num_classes = X.shape[0], W.shape[1]
    for i in xrange(num_train):
        scores = X[i].dot(W)
        scores -= np.max(scores)
        total = np.sum(np.exp(scores))
        loss += np.log(total) - scores[y[i]]
        for c in range(num_classes):
            prob = np.exp(scores[c]) / total
            if c == y[i]:
                dW[:, c] += (prob - 1) * X[i]
            else:
                dW[:, c] += prob * X[i]
    loss /= num_train
    dW /= num_train
    loss += reg * np.sum(W * W)
    dW += 2 * reg * W
    return loss, dW


def softmax_loss_vectorized(W, X, y, reg):
    num_train = X.shape[0]
    f = X @ W
    f = f - f.max(axis=1).reshape(-1, 1)
    probs = np.exp(f) / np.sum(np.exp(f), axis=1, keepdims=True)
    loss = -np.mean(np.log(probs[np.arange(num_train), y])) + 0.5 * reg * np.sum(W**2)
    probs[np.arange(num_train), y] -= 1
    dW = np.dot(X.T, probs) / num_train + reg * W
    return loss, dW
