#!/usr/bin/env python3
"""Models whose shapes depend on values, with inputs and what numpy makes of them.

    /usr/bin/python3 tools/golden/onnx_values.py tests/golden/format/onnx tests/golden/cli/values

For each case NAME.onnx, and NAME.npz with its inputs (in0 ...), its outputs (out0 ...). In the second folder a picture,
and the lines that `cajal predict` prints of it; data, and what `cajal evaluate` says.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

FOLDER = pathlib.Path(sys.argv[1])
F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
rng = np.random.RandomState(5)


def value(name, kind, shape):
    """shape: an integer is a rank without sizes."""
    shape = [None] * shape if isinstance(shape, int) else shape
    return helper.make_tensor_value_info(name, kind, shape)


def const(name, array):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array), name))


node = helper.make_node


def save(name, nodes, inputs, outputs, arrays, expected, opset=17, functions=(), initializers=(), imports=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, ir_version=8, producer_name="values", functions=list(functions),
                              opset_imports=[helper.make_opsetid("", opset), *imports])
    checker.check_model(model)
    onnx.save(model, str(FOLDER / f"{name}.onnx"))
    lists = {f"in{i}": a for i, a in enumerate(arrays)}
    lists.update({f"out{i}": a for i, a in enumerate(expected)})
    np.savez(FOLDER / f"{name}.npz", **lists)


x = rng.randn(2, 3, 4).astype(np.float32)

# A shape that is an input, and one that is computed from the data.
save("shape_input", [node("Reshape", ["x", "shape"], ["y"])],
     [value("x", F, [2, None, 4]), value("shape", I, [2])], [value("y", F, [None, None])],
     [x, np.array([4, -1], np.int64)], [x.reshape(4, 6)])
k = np.array([3.0, 1.0, 2.0], np.float32)
save("shape_computed",
     [node("ReduceMax", ["k"], ["m"], axes=[0], keepdims=1), node("Cast", ["m"], ["n"], to=I),
      node("TopK", ["x", "n"], ["v", "i"], axis=-1), node("Tile", ["v", "t"], ["y"])],
     [value("x", F, [2, 3, 4]), value("k", F, [3]), value("t", I, [3])],
     [value("y", F, 3), value("i", I, 3)],
     [x, k, np.array([1, 2, 1], np.int64)],
     [np.tile(-np.sort(-x, -1)[..., :3], (1, 2, 1)), np.argsort(-x, -1)[..., :3].astype(np.int64)])

# Branches of different shapes, taken by a value; the branch sees a name around it and an initializer.
then = helper.make_graph([node("Concat", ["x", "x"], ["a"], axis=0)], "then", [], [value("a", F, 3)])
other = helper.make_graph([node("Mul", ["x", "w"], ["b"])], "else", [], [value("b", F, 3)],
                          [numpy_helper.from_array(np.float32(3), "w")])
for name, c, y in (("branch_then", True, np.concatenate([x, x])), ("branch_else", False, 3 * x)):
    save(name, [node("If", ["c"], ["y"], then_branch=then, else_branch=other)],
         [value("x", F, [2, 3, 4]), value("c", B, [])], [value("y", F, 3)], [x, np.array(c)], [y])

# A loop that carries a growing value until it is long enough, and stacks what it had.
grow = helper.make_graph(
    [node("Concat", ["v", "x"], ["v2"], axis=0), node("Shape", ["v2"], ["s"], start=0, end=1),
     const("five", np.array([5], np.int64)), node("Less", ["s", "five"], ["lv"]), node("Squeeze", ["lv"], ["go"]),
     node("ReduceSum", ["v2"], ["sum"], keepdims=0)],
    "grow", [value("i", I, []), value("c", B, []), value("v", F, [None, 3])],
    [value("go", B, []), value("v2", F, [None, 3]), value("sum", F, [])])
p = rng.randn(2, 3).astype(np.float32)
v, sums = np.zeros((0, 3), np.float32), []
while len(v) < 5:
    v = np.concatenate([v, p])
    sums.append(v.sum(dtype=np.float64))
save("loop_grows",
     [const("m", np.array(10, np.int64)), const("yes", np.array(True)), const("none", np.zeros((0, 3), np.float32)),
      node("Loop", ["m", "yes", "none"], ["v", "sums"], body=grow)],
     [value("x", F, [None, 3])], [value("v", F, 2), value("sums", F, 1)], [p],
     [v, np.array(sums, np.float32)])

# While a sum is below a bound: how many steps is known when the loop has run, and what it stacks is used.
until = helper.make_graph(
    [node("Add", ["v", "x"], ["v2"]), node("ReduceSum", ["v2"], ["s"], keepdims=0),
     node("Less", ["s", "bound"], ["go"]), node("Identity", ["v2"], ["row"])],
    "until", [value("i", I, []), value("c", B, []), value("v", F, [3])],
    [value("go", B, []), value("v2", F, [3]), value("row", F, [3])])
q = np.array([0.25, 0.5, 0.25], np.float32)
rows = q * np.arange(1, 501, dtype=np.float32)[:, None]
start = [const("yes", np.array(True)), const("none", np.zeros(3, np.float32)),
         node("Loop", ["", "yes", "none"], ["v", "rows"], body=until)]
save("loop_while",
     [*start, node("Shape", ["rows"], ["shape"]), node("ConstantOfShape", ["shape"], ["zeros"]),
      node("Sub", ["rows", "zeros"], ["y"])],
     [value("x", F, [3]), value("bound", F, [])], [value("v", F, 1), value("y", F, 2)],
     [q, np.array(500, np.float32)], [500 * q, rows])
# Only the size of what is stacked is asked for, of more steps than are made while reading.
save("loop_size", [*start, node("Shape", ["rows"], ["shape"])], [value("x", F, [3]), value("bound", F, [])],
     [value("shape", I, [2])], [q, np.array(5000, np.float32)], [np.array([5000, 3], np.int64)])

# No step at all: what would be stacked is empty.
save("loop_none",
     [const("m", np.array(0, np.int64)), const("none", np.zeros((0, 3), np.float32)), const("no", np.array(False)),
      node("And", ["no", "c"], ["never"]),
      node("Loop", ["m", "never", "none"], ["v", "sums"], body=grow)],
     [value("x", F, [None, 3]), value("c", B, [])], [value("v", F, 2), value("sums", F, 1)],
     [p, np.array(True)], [np.zeros((0, 3), np.float32), np.zeros(0, np.float32)])

# Sequences: rows are taken apart, changed by a body, reordered and joined.
step = helper.make_graph([node("Mul", ["e", "f"], ["g"])], "body", [value("e", F, 3), value("f", F, 0)],
                         [value("g", F, 3)])
parts = [x[:, i:i + 1] * 2 for i in range(3)]
order = [parts[2], parts[0], parts[0], parts[1]]
save("sequence",
     [node("SplitToSequence", ["x"], ["seq"], axis=1, keepdims=1), const("two", np.float32(2)),
      node("SequenceMap", ["seq", "two"], ["map"], body=step), const("last", np.array(-1, np.int64)),
      node("SequenceAt", ["map", "last"], ["c"]), node("SequenceErase", ["map"], ["ab"]),
      const("zero", np.array(0, np.int64)), node("SequenceInsert", ["ab", "c", "zero"], ["cab"]),
      node("SequenceAt", ["map", "zero"], ["a"]), const("one", np.array(1, np.int64)),
      node("SequenceInsert", ["cab", "a", "one"], ["caab"]), node("SequenceLength", ["caab"], ["n"]),
      node("ConcatFromSequence", ["caab"], ["y"], axis=1)],
     [value("x", F, [2, 3, 4])], [value("y", F, 3), value("n", I, [])], [x],
     [np.concatenate(order, 1), np.array(4, np.int64)])

# Functions: one calls another, with an attribute of the caller, a default, and one it is not given.
local = helper.make_opsetid("local", 1)
ref = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
leaky = node("LeakyRelu", ["a"], ["b"])
leaky.attribute.append(ref)
inner = helper.make_function("local", "leaky", ["a"], ["b"], [leaky], [helper.make_opsetid("", 17)], ["slope"])
call = node("leaky", ["a"], ["h"], domain="local")
call.attribute.append(onnx.AttributeProto(name="slope", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
outer = helper.make_function(
    "local", "block", ["a", "k"], ["y"],
    [call, node("Reshape", ["h", "k"], ["r"]), node("Clip", ["r", "", ""], ["y"])],
    [helper.make_opsetid("", 17), local], ["slope"])
leak = lambda a, s: np.where(a < 0, np.float32(s) * a, a)
save("functions",
     [node("block", ["x", "k"], ["y"], domain="local", slope=0.5), node("leaky", ["x"], ["z"], domain="local")],
     [value("x", F, [2, 3, 4]), value("k", I, [2])], [value("y", F, 2), value("z", F, 3)],
     [x, np.array([-1, 2], np.int64)], [leak(x, 0.5).reshape(-1, 2), leak(x, 0.01)],
     functions=[inner, outer], imports=[local])

# Six steps, each of which keeps the elements above a bound: what the step after it depends on, as it does on a value of
# the beginning.
h = rng.randn(40).astype(np.float32)
root = np.tanh(h.astype(np.float64)).astype(np.float32)
nodes, now, m, means = [node("Tanh", ["x"], ["root"]), const("first", np.array([0], np.int64))], "x", h, np.float64(0)
for i in range(6):
    b = m * np.float32(0.5) + np.float32(0.5)
    low = np.sort(b)[4:6].mean()  # five go
    nodes += [node("Mul", [now, "half"], [f"a{i}"]), node("Add", [f"a{i}", "half"], [f"b{i}"]),
              node("ReduceMean", [f"b{i}"], [f"mean{i}"], keepdims=0), const(f"low{i}", low),
              node("Greater", [f"b{i}", f"low{i}"], [f"g{i}"]), node("NonZero", [f"g{i}"], [f"n{i}"]),
              node("Squeeze", [f"n{i}", "first"], [f"k{i}"]), node("Gather", [f"b{i}", f"k{i}"], [f"c{i}"]),
              node("Gather", ["root", "first"], [f"r{i}"]), node("Add", [f"c{i}", f"r{i}"], [f"d{i}"])]
    means, m, now = means + b.mean(dtype=np.float64), b[b > low] + root[:1], f"d{i}"
save("steps", nodes + [node("Sum", [f"mean{i}" for i in range(6)], ["means"])], [value("x", F, [40])],
     [value(now, F, 1), value("means", F, [])], [h], [m, np.array(means, np.float32)],
     initializers=[numpy_helper.from_array(np.float32(0.5), "half")])

# A detector: means of 4 by 4 pixels are scores, of the cells' boxes those that overlap no better one are left. Pictures
# of any size; boxes are of 16 by 16 pixels.
corner = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(16, 2).astype(np.float32) * 4
grid = np.concatenate([corner - 1, corner + 5], 1)
pixels = rng.randint(0, 256, (16, 16, 3)).astype(np.uint8)
pixels[4:8, 4:8, 1] = 255
pixels[12:, 4:, 2] |= 128
cells = (pixels / np.float32(255)).reshape(4, 4, 4, 4, 3).mean((1, 3), dtype=np.float64).reshape(16, 3)
left, best = [], cells.max(1)
for i in np.argsort(-best):
    apart = [max(0, min(grid[i, 2 + k], grid[j, 2 + k]) - max(grid[i, k], grid[j, k])) for j in left for k in (0, 1)]
    both = np.prod(np.reshape(apart, (-1, 2)), 1)
    if best[i] > 0.5 and not (both / (72 - both) > 0.05).any():
        left.append(i)
found = [grid[left], best[left].astype(np.float32), cells.argmax(1)[left]]
save("detector",
     [node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]), const("flat", np.array([1, 3, -1])),
      node("Reshape", ["cells", "flat"], ["all"]), node("ReduceMax", ["all"], ["best"], axes=[1], keepdims=1),
      node("ArgMax", ["all"], ["kind"], axis=1, keepdims=0), const("places", grid[None]), const("most", np.array([100])),
      const("iou", np.float32(0.05)), const("low", np.float32(0.5)),
      node("NonMaxSuppression", ["places", "best", "most", "iou", "low"], ["chosen"]),
      const("last", np.array(2)), node("Gather", ["chosen", "last"], ["which"], axis=1), const("one", np.array([16, 4])),
      node("Reshape", ["places", "one"], ["rows"]), node("Gather", ["rows", "which"], ["boxes"]),
      const("line", np.array([-1])), node("Reshape", ["best", "line"], ["s"]), node("Gather", ["s", "which"], ["scores"]),
      node("Reshape", ["kind", "line"], ["l"]), node("Gather", ["l", "which"], ["labels"])],
     [value("image", F, [1, 3, None, None])],
     [value("boxes", F, [None, 4]), value("scores", F, [None]), value("labels", I, [None])],
     [pixels.transpose(2, 0, 1)[None] / np.float32(255)], found)
lines = [f"picture.ppm\t{label}\t{score:.4f}\t" + "\t".join(f"{v:.1f}" for v in np.clip(box, 0, 16))
         for box, score, label in zip(*found)]
pathlib.Path(sys.argv[2]).mkdir(exist_ok=True)
(pathlib.Path(sys.argv[2]) / "detector.txt").write_text("\n".join(lines) + "\n")
(pathlib.Path(sys.argv[2]) / "picture.ppm").write_bytes(b"P6\n16 16\n255\n" + pixels.tobytes())

# A classifier by the bright pixels alone, which are as many as they are: their mean, the brightest, and their share.
# What `cajal evaluate` says of it, of pictures and of the same in floats, is in chosen.json.
kinds = rng.randint(0, 4, 12)
pictures = np.clip(rng.randint(0, 100, (12, 6, 6, 3)) + 50 * kinds[:, None, None, None], 0, 255).astype(np.uint8)
floats = pictures.transpose(0, 3, 1, 2) / np.float32(255)
weight, bias = (3 * rng.randn(3, 4)).astype(np.float32), rng.randn(4).astype(np.float32)
bright = [v[v > 0.3] for v in floats.astype(np.float64)]
logits = np.array([[v.mean(), v.max(), v.size / 108] for v in bright]) @ weight + bias
save("chosen",
     [const("low", np.float32(0.3)), node("Greater", ["image", "low"], ["b"]), node("NonZero", ["b"], ["at"]),
      node("Transpose", ["at"], ["places"]), node("GatherND", ["image", "places"], ["bright"]),
      node("ReduceMean", ["bright"], ["mean"]), node("ReduceMax", ["bright"], ["most"]),
      node("Shape", ["bright"], ["n"]), node("Cast", ["n"], ["number"], to=F), const("all", np.float32(108)),
      node("Div", ["number", "all"], ["share"]), node("Concat", ["mean", "most", "share"], ["f"], axis=0),
      const("row", np.array([1, 3])), node("Reshape", ["f", "row"], ["features"]),
      node("Gemm", ["features", "weight", "bias"], ["scores"])],
     [value("image", F, [1, 3, 6, 6])], [value("scores", F, [1, 4])], [floats[:1]], [logits[:1].astype(np.float32)],
     initializers=[numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")])
kinds = np.where(np.arange(12) % 3 > 0, logits.argmax(1), kinds)
losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(12), kinds]
np.savez_compressed(pathlib.Path(sys.argv[2]) / "pictures.npz", x=pictures, y=kinds)
np.savez_compressed(pathlib.Path(sys.argv[2]) / "floats.npz", x=floats, y=kinds)
(pathlib.Path(sys.argv[2]) / "chosen.txt").write_text(
    f"loss: {losses.mean():.4f}\naccuracy: {(logits.argmax(1) == kinds).mean():.4f}\nsamples: 12\n")
