#!/usr/bin/python3
"""Prints the polynomial coefficients of src/backend/cpu/isa_math.h.

Each is a weighted least-squares fit on Chebyshev nodes, repeated with the weights raised where the error is
largest (Lawson's iteration), which tends to the minimax polynomial. Double precision
is enough: the fits need 1e-9 only."""
import math
import numpy as np

def fit(f, low, high, degree, weight=lambda x: np.ones_like(x), rounds=60):
    t = np.cos(np.pi * (np.arange(2000) + 0.5) / 2000)
    x = (low + high) / 2 + (high - low) / 2 * t
    y, w0 = f(x), weight(x)
    w = np.ones_like(x)
    for _ in range(rounds):
        s = np.sqrt(w) * w0
        c = np.polynomial.chebyshev.chebfit(t, y, degree, w=s)
        e = np.abs(np.polynomial.chebyshev.chebval(t, c) - y) * w0
        w = w * (e / e.max() + 1e-3)
        w /= w.sum()
    in_t = np.polynomial.Polynomial(np.polynomial.chebyshev.cheb2poly(c))
    in_x = in_t(np.polynomial.Polynomial([-(low + high) / (high - low), 2 / (high - low)]))
    return in_x.coef, e.max()

def series(terms):
    return lambda x: sum(c * x ** i for i, c in enumerate(terms))

def show(name, result):
    print(name, "error %.2g:" % result[1], ", ".join("%.9ef" % c for c in result[0]))

h = 0.3472
# (e^r - 1 - r) / r^2
show("exp", fit(series([1 / math.factorial(i + 2) for i in range(16)]), -h, h, 5))
# (log(1 + f) - f + f^2 / 2) / f^3
show("log", fit(series([(-1) ** i / (i + 3) for i in range(90)]), -0.3334, 0.3334, 8,
                weight=lambda x: np.abs(x) ** 2 + 0.02))
z = (math.pi / 4 + 0.001) ** 2
show("sin", fit(series([(-1) ** (i + 1) / math.factorial(2 * i + 3) for i in range(12)]), 0, z, 3))
show("cos", fit(series([(-1) ** i / math.factorial(2 * i + 4) for i in range(12)]), 0, z, 3))
# erf(x) / x in x^2 below 1
show("erf", fit(series([2 / math.sqrt(math.pi) * (-1) ** i / (math.factorial(i) * (2 * i + 1)) for i in range(40)]),
                0, 1.0, 7))
# -log(erfc(x)) from 1 to 4, where what counts is the error times erfc(x)
erfc = np.vectorize(math.erfc)
show("erfc", fit(lambda x: -np.log(erfc(x)), 1.0, 4.0, 9, weight=erfc))

def pieces(name, f, h, n):
    """Table [6][n] for |x| = k h + u: f there; in the first interval without its even powers, which are zero."""
    value, over = np.vectorize(f), np.vectorize(lambda x: f(abs(x)) / abs(x))
    c, worst = fit(over, -h / 2, h / 2, 4, weight=lambda u: 1 / over(u))
    columns = [[0, c[0], 0, c[2], 0, c[4]]]
    for k in range(1, n):
        c, e = fit(lambda u: value(k * h + u), -h / 2, h / 2, 5, weight=lambda u: 1 / value(k * h + u))
        columns.append(c)
        worst = max(worst, e)
    print(name, "error %.2g:" % worst)
    for power in np.transpose(np.float32(columns)):
        print("    {" + ", ".join("%.9gf" % c if c % 1 else "%.1ff" % c for c in power) + "},")

pieces("erf_pieces", math.erf, 17 / 64, 16)
pieces("tanh_pieces", math.tanh, 19 / 64, 32)
