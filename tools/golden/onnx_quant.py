#!/usr/bin/env python3
"""Writes tests/golden/format/onnx/quant_*.onnx with inputs and results (quant_*.npz): quantised operators as
their formulas say, in numpy's integers and doubles. Low types travel as raw bits, as in .npy files.

Run from the source root: /usr/bin/python3 tools/golden/onnx_quant.py (needs numpy and onnx; types that this
onnx does not know are given by their numbers).
"""
import numpy as np
import low  # beside this file
from onnx import helper, TensorProto as T

U4, I4, F4, E4M3, U2, I2 = 21, 22, 23, 17, 25, 26
RANGE = {T.UINT8: (0, 255), T.INT8: (-128, 127), T.UINT16: (0, 65535), T.INT16: (-32768, 32767), U4: (0, 15),
         I4: (-8, 7), U2: (0, 3), I2: (-2, 1)}
RAW = {T.UINT8: "u1", T.INT8: "i1", T.UINT16: "u2", T.INT16: "i2", U4: "u1", I4: "i1", U2: "u1", I2: "i1", F4: "u1",
       E4M3: "u1", T.FLOAT: "f4", T.INT32: "i4", T.INT64: "i8", T.UINT64: "u8", T.FLOAT16: "f2"}


def write(name, op, opset, ins, outs, **attributes):
    """ins, outs: (type, array) or None"""
    inputs = [f"in{i}" if x else "" for i, x in enumerate(ins)]
    node = helper.make_node(op, inputs, [f"out{i}" for i in range(len(outs))], **attributes)
    info = [helper.make_tensor_value_info(n, x[0], x[1].shape) for n, x in zip(inputs, ins) if x]
    results = [helper.make_tensor_value_info(f"out{i}", x[0], x[1].shape) for i, x in enumerate(outs)]
    model = helper.make_model(helper.make_graph([node], "g", info, results), opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    open(f"tests/golden/format/onnx/quant_{name}.onnx", "wb").write(model.SerializeToString())
    if name.startswith("bad_"):
        return
    given = [x for x in ins if x]
    arrays = {f"in{i}": x[1].astype(RAW[x[0]]) for i, x in enumerate(given)}
    arrays.update({f"out{i}": x[1].astype(RAW[x[0]]) for i, x in enumerate(outs)})
    np.savez_compressed(f"tests/golden/format/onnx/quant_{name}.npz", **arrays)


def quantized(x, scale, zero, kind):
    """x / scale in f32, as ONNX divides."""
    q = np.rint((x.astype("f4") / scale.astype("f4")).astype("f4")).astype("f8") + zero
    return np.clip(q, *RANGE[kind])


def column(values, axis, rank):
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def main():
    rng = np.random.RandomState(11)
    real = lambda *s: (rng.randn(*s) * 20).astype("f4")
    step = lambda *s: rng.uniform(0.05, 3, s).astype("f4")
    whole = lambda kind, *s: rng.randint(RANGE[kind][0], RANGE[kind][1] + 1, s)
    halves = np.append(np.arange(-12, 13) / 2, [1e9, -1e9, 300, -300, 70000, -70000]).astype("f4")
    one = np.array(1, "f4")
    for kind, word in ((T.UINT8, "u8"), (T.INT8, "i8"), (T.UINT16, "u16"), (T.INT16, "i16"), (U4, "u4"), (I4, "i4"),
                       (U2, "u2"), (I2, "i2")):
        zero = np.array(1)
        y = quantized(halves, one, zero, kind)  # every half, and far too much
        write(f"ties_{word}", "QuantizeLinear", 25, [(T.FLOAT, halves), (T.FLOAT, one), (kind, zero)], [(kind, y)])
        x, s, z = whole(kind, 3, 4), step(4), whole(kind, 4)
        write(f"back_{word}", "DequantizeLinear", 25, [(kind, x), (T.FLOAT, s), (kind, z)],
              [(T.FLOAT, ((x - z).astype("f4") * s))], axis=-1)
    x, s = real(2, 3, 5), step(3)
    write("axis", "QuantizeLinear", 13, [(T.FLOAT, x), (T.FLOAT, s), (T.INT8, whole(T.INT8, 3) * 0)],
          [(T.INT8, quantized(x, column(s, 1, 3), 0, T.INT8))])
    write("default", "QuantizeLinear", 10, [(T.FLOAT, x), (T.FLOAT, s[0])], [(T.UINT8, quantized(x, s[0], 0, T.UINT8))])
    s, z = step(2, 3, 3), whole(I4, 2, 3, 3)  # 5 elements in blocks of 2, 2 and 1
    spread = lambda v: np.repeat(v, 2, 2)[:, :, :5]
    q = quantized(x, spread(s), spread(z), I4)
    write("blocked", "QuantizeLinear", 21, [(T.FLOAT, x), (T.FLOAT, s), (I4, z)], [(I4, q)], axis=2, block_size=2)
    write("unblocked", "DequantizeLinear", 21, [(I4, q), (T.FLOAT, s), (I4, z)],
          [(T.FLOAT, (q - spread(z)).astype("f4") * spread(s))], axis=-1, block_size=2)
    for kind, word in ((F4, "f4e2m1"), (E4M3, "f8e4m3fn")):
        name = word
        code = np.vectorize(lambda v: low.code_of(name, float(v), False, "up"))
        y = code((x / np.float32(1.5)).astype("f4"))
        write(f"{word}", "QuantizeLinear", 23, [(T.FLOAT, x), (T.FLOAT, np.array(1.5, "f4"))], [(kind, y)], output_dtype=kind)
        write(f"back_{word}", "DequantizeLinear", 23, [(kind, y), (T.FLOAT, np.array(1.5, "f4"))],
              [(T.FLOAT16, low.values(name)[y].astype("f4") * np.float32(1.5))], output_dtype=T.FLOAT16)
    over = np.array([[500, -500, 1, np.inf]], "f4")
    code = np.vectorize(lambda v: low.code_of("f8e4m3fn", float(v), True, "up"))
    write("overflow", "QuantizeLinear", 19, [(T.FLOAT, over), (T.FLOAT, one), (E4M3, np.array(0))], [(E4M3, code(over))], saturate=0)
    for word, x in (("mixed", real(4, 5)), ("positive", np.abs(real(7)) + 1), ("nothing", np.zeros((3,), "f4"))):
        high, least = np.maximum(x.max(), np.float32(0)), np.minimum(x.min(), np.float32(0))
        scale = (np.float32(1) if high == least else high - least) / np.float32(255)
        zero = np.rint(np.clip(-least / scale, 0, 255))
        write(f"dynamic_{word}", "DynamicQuantizeLinear", 11, [(T.FLOAT, x)],
              [(T.UINT8, quantized(x, scale, zero, T.UINT8)), (T.FLOAT, np.array(scale)), (T.UINT8, np.array(zero))])
    a, b = whole(T.UINT8, 2, 3, 40), whole(T.INT8, 40, 6)
    az, bz = whole(T.UINT8, 3), whole(T.INT8, 6)
    product = (a - az[:, None]).astype("i8") @ (b - bz)
    write("matmul_integer", "MatMulInteger", 10, [(T.UINT8, a), (T.INT8, b), (T.UINT8, az), (T.INT8, bz)], [(T.INT32, product)])
    write("matmul_plain", "MatMulInteger", 10, [(T.UINT8, a), (T.INT8, b)], [(T.INT32, a.astype("i8") @ b)])
    s = step(3), step(6), np.array(90, "f4")
    y = product * (s[0].astype("f8")[:, None] * s[1].astype("f8") / s[2].astype("f8"))
    y = np.clip(np.rint(y) + 3, -128, 127)
    write("matmul", "QLinearMatMul", 10, [(T.UINT8, a), (T.FLOAT, s[0]), (T.UINT8, az), (T.INT8, b), (T.FLOAT, s[1]),
          (T.INT8, bz), (T.FLOAT, s[2]), (T.INT8, np.array(3))], [(T.INT8, y)])
    x, w = whole(T.UINT8, 2, 4, 7, 6), whole(T.INT8, 6, 2, 3, 3)
    xz, wz, bias = np.array([120]), whole(T.INT8, 6), rng.randint(-5000, 5000, 6)

    def conv(x, w):  # 2 groups, pads 1 0 1 1, strides 2 1
        x = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 1)])
        out = np.zeros((2, 6, 4, 5), "i8")
        for o in range(6):
            g = o // 3 * 2
            for i in range(4):
                for j in range(5):
                    out[:, o, i, j] = (x[:, g:g + 2, 2 * i:2 * i + 3, j:j + 3] * w[o]).sum((1, 2, 3))
        return out

    window = dict(group=2, pads=[1, 0, 1, 1], strides=[2, 1])
    sums = conv(x - xz, w - column(wz, 0, 4))
    write("conv_integer", "ConvInteger", 10, [(T.UINT8, x), (T.INT8, w), (T.UINT8, xz.reshape(())), (T.INT8, wz)], [(T.INT32, sums)], **window)
    sx, sw, sy = np.array(0.02, "f4"), step(6), np.array(9, "f4")
    y = (sums + column(bias, 1, 4)) * (sx.astype("f8") * column(sw, 1, 4).astype("f8") / sy.astype("f8"))
    y = np.clip(np.rint(y) + 99, 0, 255)
    write("conv", "QLinearConv", 10, [(T.UINT8, x), (T.FLOAT, sx), (T.UINT8, xz), (T.INT8, w), (T.FLOAT, sw), (T.INT8, wz),
          (T.FLOAT, sy), (T.UINT8, np.array(99)), (T.INT32, bias)], [(T.UINT8, y)], **window)
    a, b = whole(T.INT16, 3, 4), whole(T.INT16, 4)
    for op, f in (("And", np.bitwise_and), ("Or", np.bitwise_or), ("Xor", np.bitwise_xor)):
        write(op.lower(), "Bitwise" + op, 18, [(T.INT16, a), (T.INT16, b)], [(T.INT16, f(a, b))])
    write("not", "BitwiseNot", 18, [(T.INT16, a)], [(T.INT16, ~a)])
    u, n = np.array([1, 2**63 + 5, 77, 2**64 - 1], "u8"), np.array([3, 1, 6, 63], "u8")
    write("left", "BitShift", 11, [(T.UINT64, u), (T.UINT64, n)], [(T.UINT64, u << n)], direction="LEFT")
    write("right", "BitShift", 11, [(T.UINT64, u), (T.UINT64, n)], [(T.UINT64, u >> n)], direction="RIGHT")
    x, s = real(4, 6), step(3)  # what is refused
    def bad(name, op, ins, out, **attributes):
        write("bad_" + name, op, 25, ins, [(out, np.zeros((4, 6)))], **attributes)
    bad("types", "QuantizeLinear", [(T.FLOAT, x), (T.FLOAT, one), (T.INT8, np.array(0))], T.UINT8, output_dtype=T.UINT8)
    bad("dtype", "QuantizeLinear", [(T.FLOAT, x), (T.FLOAT, one)], T.UINT8, output_dtype=T.COMPLEX64)
    bad("axis", "QuantizeLinear", [(T.FLOAT, x), (T.FLOAT, s)], T.UINT8, axis=2)
    bad("rank", "DequantizeLinear", [(T.UINT8, x), (T.FLOAT, step(2, 2, 2))], T.FLOAT)
    bad("blocks", "QuantizeLinear", [(T.FLOAT, x), (T.FLOAT, step(4, 2))], T.UINT8, block_size=2)
    bad("round", "Cast", [(T.FLOAT, x)], T.UINT8, to=24, round_mode="sideways")
    bad("direction", "BitShift", [(T.UINT8, x), (T.UINT8, x)], T.UINT8, direction="UP")
    bad("bits", "BitCast", [(T.FLOAT, x)], T.INT64, to=T.INT64)
    bad("packed", "BitCast", [(T.UINT8, x)], U4, to=U4)
    f = np.array([1, -2.5, 0, np.inf], "f4")
    write("bits", "BitCast", 26, [(T.FLOAT, f)], [(T.INT32, f.view("i4"))], to=T.INT32)


if __name__ == "__main__":
    main()
