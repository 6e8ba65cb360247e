#!/usr/bin/python3
"""Makes tests/golden/graph/ops_a.txt: elementwise operators and reductions at ordinary and extreme operands.

Floats come from numpy, scipy and torch in double (gelu, silu: mpmath), on operands that were rounded to the
dtype before, and are rounded to the dtype once.
Integers come from Python's own, wrapped to the width. A case is

    op NAME DTYPE SHAPE [ATTRIBUTES]      every operand has this shape; attributes as in "axes=0,2 keep=true"
    a NUMBERS                             the operands, a line each; floats in C's %a
    y DTYPE SHAPE NUMBERS

    tools/golden/ops_a.py > tests/golden/graph/ops_a.txt
"""
import math

import mpmath
import numpy as np
import scipy.special as special
import torch

np.seterr(all="ignore")
FLOATS = {"f64": np.float64, "f32": np.float32, "f16": np.float16}
INTS = {"i8": (8, True), "u8": (8, False), "i32": (32, True), "i64": (64, True), "u64": (64, False)}
EXTREME = [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 1e-8, -1e-8, 0.999, -0.999, 1e-3, 3, -3, 5.9, -5.9, 9.1,
           -9.1, 20, -20, 87.5, 89, -87.5, -104, 709, 710, -745, -750, 1e4, -1e4, 1e10, 1.7e308, -1.7e308, 3.4e38,
           6e4, 5e-324, 1e-45, 1e-38, 6e-8, math.pi / 2, math.pi, math.inf, -math.inf, math.nan]
PAIR = [0.0, -0.0, 1, -1, 2, -0.5, 3, -3, 1e10, math.inf, -math.inf, math.nan]


def shape_text(shape):
    return ",".join(map(str, shape)) or "scalar"


def number(v):
    if isinstance(v, (bool, np.bool_)):
        return str(int(v))
    if isinstance(v, (int, np.integer)):
        return str(int(v))
    v = float(v)
    if v.is_integer() and abs(v) < 1e6 and (v or math.copysign(1, v) > 0):
        return str(int(v))
    return "nan" if math.isnan(v) else "inf" if v == math.inf else "-inf" if v == -math.inf else v.hex()


def case(name, dtype, operands, y_dtype, y, attributes=""):
    print("op", name, dtype, shape_text(np.shape(operands[0])), attributes)
    for a in operands:
        print("a", *[number(v) for v in np.ravel(a)])
    print("y", y_dtype, shape_text(np.shape(y)), *[number(v) for v in np.ravel(y)])


def exactly(function):
    """In 60 digits, where scipy loses some: NaN and -inf (0 * inf) give NaN, inf gives inf."""
    mpmath.mp.dps = 60

    def one(v):
        return math.nan if math.isnan(v) or v == -math.inf else v if v == math.inf else float(function(mpmath.mpf(v)))
    return lambda x: np.array([one(v) for v in x.tolist()])


def with_torch(function):
    return lambda x: function(torch.from_numpy(np.asarray(x))).numpy()


UNARY = {
    "identity": lambda x: x, "neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x, "exp": np.exp, "expm1": np.expm1, "log": np.log,
    "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "sigmoid": special.expit,
    "softplus": lambda x: np.logaddexp(0, x), "erf": special.erf, "floor": np.floor, "ceil": np.ceil,
    "round": np.rint, "relu": with_torch(torch.relu), "gelu": exactly(lambda x: x * mpmath.ncdf(max(min(x, 100), -100))),
    "silu": exactly(lambda x: x / (1 + mpmath.exp(-max(x, -1e5)))),
}


def unary():
    for name, function in UNARY.items():
        for dtype, kind in FLOATS.items():
            x = np.array(EXTREME).astype(kind)
            case(name, dtype, [x], dtype, function(x.astype(np.float64)).astype(kind))
    for dtype, kind in FLOATS.items():
        x = np.array(EXTREME).astype(kind)
        wide = x.astype(np.float64)
        leaky = with_torch(lambda t: torch.nn.functional.leaky_relu(t, 0.2))
        case("leaky_relu", dtype, [x], dtype, leaky(wide).astype(kind), "negative_slope=0.2")
        elu = np.where(wide < 0, 1.5 * np.expm1(np.minimum(wide, 0)), wide)
        case("elu", dtype, [x], dtype, elu.astype(kind), "alpha=1.5")
        case("is_nan", dtype, [x], "bool", np.isnan(x))
        case("is_inf", dtype, [x], "bool", np.isinf(x))
        for to, other in FLOATS.items():
            case("cast", dtype, [x], to, x.astype(other), f"to={to}")
    x = np.array(EXTREME)
    for to, (bits, signed) in INTS.items():
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        case("cast", "f64", [x], to, np.array([0 if math.isnan(v) else low if v <= low else high if v >= high else int(v)
                                               for v in x.tolist()], dtype=object), f"to={to}")
    case("cast", "f64", [x], "bool", x != 0, "to=bool")
    case("logical_not", "bool", [np.array([False, True])], "bool", np.array([True, False]))


def modulo(a, b):
    return np.where(np.isinf(b) & np.isfinite(a) & (a != 0) & (np.sign(a) != np.sign(b)), b, np.mod(a, b))


BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "mod": modulo,
    "maximum": np.maximum, "minimum": np.minimum,
}
COMPARE = {
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal, "greater": np.greater,
    "greater_equal": np.greater_equal,
}


def binary():
    for dtype, kind in (("f64", np.float64), ("f32", np.float32)):
        a, b = [v.ravel().astype(kind) for v in np.meshgrid(PAIR, PAIR)]
        for name, function in BINARY.items():
            y = function(a.astype(np.float64), b.astype(np.float64)).astype(kind)
            case(name, dtype, [a, b], dtype, y)
        for name, function in COMPARE.items():
            case(name, dtype, [a, b], "bool", function(a, b))
    for name in ("logical_and", "logical_or", "logical_xor"):
        function = getattr(np, name)
        a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
        case(name, "bool", [a, b], "bool", function(a, b))


def wrap(v, bits, signed):
    v &= (1 << bits) - 1
    return v - (1 << bits) if signed and v >> (bits - 1) else v


def truncated(a, b):
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def power(a, b):
    if b >= 0:
        return a ** b
    return 1 if a == 1 else (-1 if b % 2 else 1) if a == -1 else 0


def integers():
    binary_int = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": truncated,
        "mod": lambda a, b: a % b if b else 0, "pow": power, "maximum": max, "minimum": min,
    }
    unary_int = {"neg": lambda a: -a, "abs": abs, "square": lambda a: a * a, "relu": lambda a: max(a, 0),
                 "sign": lambda a: (a > 0) - (a < 0), "identity": lambda a: a}
    compare = {"equal": lambda a, b: a == b, "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b,
               "greater": lambda a, b: a > b, "greater_equal": lambda a, b: a >= b, "not_equal": lambda a, b: a != b}
    for dtype, (bits, signed) in INTS.items():
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        values = sorted({low, low + 1, high, high - 1, 0, 1, 2, 5, 7, 100} | ({-1, -2, -7} if signed else set()))
        array = lambda items: np.array(items, dtype=object)
        for name, function in unary_int.items():
            case(name, dtype, [array(values)], dtype, array([wrap(function(v), bits, signed) for v in values]))
        if dtype == "i32":
            continue
        a = [x for x in values for _ in values]
        b = [y for _ in values for y in values]
        for name, function in binary_int.items():
            if name == "pow":  # Python's powers of huge exponents would never end
                function = lambda u, v: pow(u, v, 1 << bits) if v >= 0 else power(u, v)
            case(name, dtype, [array(a), array(b)], dtype, array([wrap(function(u, v), bits, signed) for u, v in zip(a, b)]))
        for name, function in compare.items():
            case(name, dtype, [array(a), array(b)], "bool", array([function(u, v) for u, v in zip(a, b)]))
        for to, (other, other_signed) in INTS.items():
            case("cast", dtype, [array(values)], to, array([wrap(v, other, other_signed) for v in values]), f"to={to}")
        case("cast", dtype, [array(values)], "f32", np.array(values).astype(np.float32), "to=f32")
        x = array(values[:8]).reshape(2, 4)
        for axis in (0, 1):
            rows = x.T.tolist() if axis == 0 else x.tolist()
            for name, function in {"reduce_sum": sum, "reduce_prod": math.prod, "reduce_max": max, "reduce_min": min}.items():
                case(name, dtype, [x], dtype, array([wrap(function(r), bits, signed) for r in rows]), f"axes={axis}")
            case("argmax", dtype, [x], "i64", array([r.index(max(r)) for r in rows]), f"axis={axis}")
            case("argmin", dtype, [x], "i64", array([r.index(min(r)) for r in rows]), f"axis={axis}")


def reductions():
    random = np.random.default_rng(7)
    special_rows = np.array([[1, 2, math.nan, 4], [math.inf, 1, 2, 3], [-math.inf] * 4, [math.inf, -math.inf, 0, 1],
                             [1e30, 1, -1e30, 3], [0, -0.0, 0, 0], [700, 710, 720, 1], [-800, -801, -900, -1000],
                             [3, 3, 1, 3], [math.nan, math.nan, 1, 0]])
    functions = {
        "reduce_sum": np.sum, "reduce_mean": np.mean, "reduce_max": np.max, "reduce_min": np.min, "reduce_prod": np.prod,
        "logsumexp": special.logsumexp,
    }
    for dtype, kind in FLOATS.items():
        cases = [(special_rows.astype(kind), (1,)), (special_rows.astype(kind), (0,))]
        for shape, axes in (((2, 3, 4), (0, 2)), ((2, 3, 4), (1,)), ((5,), (0,)), ((2, 3, 2, 2), (1, 3)), ((3, 1, 4), (0, 1, 2)),
                            ((65,), (0,))):
            cases.append((random.normal(size=shape).astype(kind), axes))
        for x, axes in cases:
            for name, function in functions.items():
                if name == "logsumexp":
                    y = np.log(np.sum(np.exp(x.astype(np.longdouble)), axis=axes))  # no overflow in 80 bits
                else:
                    y = function(x.astype(np.float64), axis=axes)
                if name in ("reduce_sum", "reduce_mean") and np.abs(x).max() > 1e29:
                    continue  # the order of the sum shows
                case(name, dtype, [x], dtype, np.asarray(y).astype(np.float64).astype(kind), "axes=" + ",".join(map(str, axes)))
            if len(axes) == 1:
                case("argmax", dtype, [x], "i64", np.argmax(x, axis=axes[0]), f"axis={axes[0]}")
                case("argmin", dtype, [x], "i64", np.argmin(x, axis=axes[0]), f"axis={axes[0]}")
                if x.shape[axes[0]] <= 5:
                    wide = x.astype(np.float64)
                    if not np.abs(x).max() > 1e29:
                        case("cumsum", dtype, [x], dtype, np.cumsum(wide, axis=axes[0]).astype(kind), f"axis={axes[0]}")
                        back = np.flip(np.cumsum(np.flip(wide, axes[0]), axis=axes[0]), axes[0])
                        case("cumsum", dtype, [x], dtype, back.astype(kind), f"axis={axes[0]} reverse=true")
        empty = np.zeros((3, 0), kind)
        for name, value in {"reduce_sum": 0, "reduce_mean": math.nan, "reduce_prod": 1, "logsumexp": -math.inf}.items():
            case(name, dtype, [empty], dtype, np.full(3, value), "axes=1")
            case(name, dtype, [empty], dtype, np.zeros((0,)), "axes=0")


unary()
binary()
integers()
reductions()
