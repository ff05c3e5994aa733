import numpy as np


def f(x):
    return x**4 - 3 * x**3 + 2


def df(x):
    return 4 * x**3 - 9 * x**2


def g(x, y):
    return x**2 + 3 * y**2 + x * y


def grad_g(x, y):
    return 2 * x + y, 6 * y + x


x = 4.0
for _ in range(50):
    x -= 0.01 * df(x)
