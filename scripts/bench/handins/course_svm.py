import numpy as np


def svm_loss_naive(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_classes = W.shape[1]
    num_train = X.shape[0]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        correct_class_score = scores[y[i]]
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - correct_class_score + 1
            if margin > 0:
                loss += margin
                dW[:, y[i]] -= X[i, :]
                dW[:, j] += X[i, :]
    loss = loss / num_train
    dW = dW / num_train
    loss += 0.5 * reg * np.sum(W * W)
    dW += reg * W
    return loss, dW


def svm_loss_vectorized(W, X, y, reg, delta=1.0):
    n = X.shape[0]
    s = X.dot(W)
    yi = s[range(n), list(y)].reshape(-1, 1)
    hinge = np.maximum(0, s - yi + delta)
    hinge[range(n), list(y)] = 0
    loss = np.sum(hinge) / n + reg * np.sum(W * W)
    coef = np.zeros(hinge.shape)
    coef[hinge > 0] = 1
    coef[range(n), list(y)] = -np.sum(coef, axis=1)
    dW = X.T.dot(coef)
    dW = dW / n + 2 * reg * W
    return loss, dW
