import numpy as np

data = np.loadtxt("advertising.csv", delimiter=",")
x, y = data[:, 0], data[:, 1]


def cost(m, b, x, y):
    return np.mean((y - (m * x + b)) ** 2)


def cost_gradient(m, b, x, y):
    n = len(x)
    dm = -(2 / n) * np.sum(x * (y - (m * x + b)))
    db = -(2 / n) * np.sum(y - (m * x + b))
    return dm, db


m, b = 0.0, 0.0
for _ in range(100):
    dm, db = cost_gradient(m, b, x, y)
    m, b = m - 0.01 * dm, b - 0.01 * db
print(m, b)
