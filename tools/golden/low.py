#!/usr/bin/env python3
"""Writes tests/golden/tensor/low.bin: every code of the floats of 8 and 4 bits as a number, and what
numbers become in them. Nothing here shifts bits: numbers are looked for in the list of all values.

    six types, each 256 doubles (of f4e2m1 the codes 0 to 15 again and again)
    N as a double, N doubles
    six types, each six modes (saturate up, down, nearest, overflow up, down, nearest) of N codes

Run from the source root: python3 tools/golden/low.py
"""
import struct

import numpy as np

# name: exponent bits, mantissa bits, bias, codes (magnitude) of infinity and NaN, is -0 the NaN?
TYPES = {
    "f8e4m3fn": (4, 3, 7, None, [0x7F], False),
    "f8e4m3fnuz": (4, 3, 8, None, [], True),
    "f8e5m2": (5, 2, 15, 0x7C, [0x7D, 0x7E, 0x7F], False),
    "f8e5m2fnuz": (5, 2, 16, None, [], True),
    "f8e8m0": None,
    "f4e2m1": (2, 1, 1, None, [], False),
}


def magnitudes(name):
    """The values of the codes without sign; NaN where a code is none."""
    if name == "f8e8m0":
        return np.array([2.0 ** (code - 127) for code in range(255)] + [np.nan])
    e_bits, m_bits, bias, infinity, nans, _ = TYPES[name]
    out = []
    for e in range(2**e_bits):
        for m in range(2**m_bits):
            fraction = m / 2**m_bits
            out.append((1 + fraction) * 2.0 ** (e - bias) if e else fraction * 2.0 ** (1 - bias))
    if infinity:
        out[infinity] = np.inf
    for code in nans:
        out[code] = np.nan
    return np.array(out)


def values(name):
    m = magnitudes(name)
    if name == "f8e8m0":
        return m
    both = np.concatenate([m, -m])
    if TYPES[name][5]:
        both[len(m)] = np.nan
    return np.tile(both, 256 // len(both))


def nearest(finite, size):
    """The index of the value next to `size`; of two the even index. One past the end: too large."""
    step = finite[-1] - finite[-2]
    ladder = np.append(finite, finite[-1] + step)
    away = np.abs(ladder - size)
    best = int(np.argmin(away))
    ties = np.flatnonzero(away == away[best])
    return int([t for t in ties if t % 2 == 0][0]) if len(ties) > 1 else best


def code_of(name, x, overflow, rounding):
    if name == "f8e8m0":
        size = abs(x)
        if np.isnan(x):
            return 255
        if np.isinf(x) or size > 2.0**128:
            return 255 if overflow else 254
        if size == 0:
            return 255 if overflow else 0
        powers = 2.0 ** np.arange(-1100 if size < 2.0**-128 else -129, 130)
        first = -1100 if size < 2.0**-128 else -129
        low = int(np.searchsorted(powers, size, side="right")) - 1
        up = {"up": size > powers[low], "down": False, "nearest": size >= 1.5 * powers[low]}[rounding]
        code = low + first + 127 + int(up)
        if code < 0:
            return 255 if overflow else 0
        return code if code <= 254 else 255 if overflow else 254
    m = magnitudes(name)
    finite = m[np.isfinite(m)]
    half = len(m)
    unsigned_zero = TYPES[name][5]
    sign = half if np.signbit(x) else 0
    if np.isnan(x):
        return half if unsigned_zero else {"f8e4m3fn": 0x7F, "f8e5m2": 0x7E, "f4e2m1": 0}[name] + (half if name == "f4e2m1" else sign)
    at = len(finite) if np.isinf(x) or abs(x) > 2 * finite[-1] else nearest(finite, abs(x))
    if at == len(finite):
        if not overflow or name == "f4e2m1":
            return sign + len(finite) - 1
        if unsigned_zero:
            return half
        return sign + {"f8e4m3fn": 0x7F, "f8e5m2": 0x7C}[name]
    return 0 if unsigned_zero and at == 0 else sign + at


def inputs():
    rng = np.random.RandomState(3)
    out = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324, -5e-324, 1e-7, -1e-7, 1e6]
    for name in TYPES:
        m = magnitudes(name)
        m = m[np.isfinite(m)]
        if name == "f8e8m0":
            m = np.concatenate([m[:4], m[120:134], m[-4:]])
        step = m[-1] - m[-2]
        middle = (m + np.append(m[1:], m[-1] + step)) / 2
        keep = slice(None, None, 3) if len(m) > 40 else slice(None)
        for group in (m[keep], middle[keep], middle[-4:]):
            out += [*group, *np.nextafter(group, 0), *np.nextafter(group, np.inf), *-group]
    out += list(rng.choice([-1, 1], 300) * 2.0 ** rng.uniform(-20, 20, 300))
    out += list(2.0 ** rng.uniform(-140, 140, 60))
    return np.array(out, "<f8")


def main():
    x = inputs()
    with open("tests/golden/tensor/low.bin", "wb") as f:
        for name in TYPES:
            f.write(values(name).astype("<f8").tobytes())
        f.write(struct.pack("<d", len(x)))
        f.write(x.tobytes())
        for name in TYPES:
            for overflow in (False, True):
                for rounding in ("up", "down", "nearest"):
                    f.write(bytes(code_of(name, v, overflow, rounding) for v in x))


if __name__ == "__main__":
    main()
