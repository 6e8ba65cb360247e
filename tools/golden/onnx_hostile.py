#!/usr/bin/env python3
"""ONNX files that mean harm: each must be refused quickly and with little memory.

    tools/golden/onnx_hostile.py tests/golden/format/hostile

The bytes are written by hand, since no library writes what is not allowed. Deterministic. What the
files say is in hostile.txt beside the folder: tests/format/test_onnx_hostile.c reads each file
without values of its inputs, and with zeros. Files that are large are made by that test itself.
"""
import pathlib
import struct
import sys

FOLDER = pathlib.Path(sys.argv[1])
F32, U8, I32, I64, STRING, BOOL, F16, F64, I4 = 1, 2, 6, 7, 8, 9, 10, 11, 22
HUGE = 2**62


# ---- The wire format -------------------------------------------------------------------------------


def varint(n):
    n &= 2**64 - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def fields(number, values):
    return b"".join(field(number, v) for v in values)


def entry(key, value):
    return field(1, key) + field(2, value)


# ---- ONNX ------------------------------------------------------------------------------------------


def tensor(name, kind, dims, raw=None, more=b""):
    return fields(1, dims) + field(2, kind) + field(8, name) + (b"" if raw is None else field(9, raw)) + more


def ints(name, values):
    return tensor(name, I64, [len(values)], struct.pack(f"<{len(values)}q", *values))


def scalar(name, value):
    return tensor(name, I64, [], struct.pack("<q", value))


def floats(name, values):
    return tensor(name, F32, [len(values)], struct.pack(f"<{len(values)}f", *values))


def flag(name, value):
    return tensor(name, BOOL, [], bytes([value]))


class Graph(bytes):
    pass


class Tensor(bytes):
    pass


def attribute(name, value):
    out = field(1, name)
    if isinstance(value, Graph):
        return out + field(6, bytes(value)) + field(20, 5)
    if isinstance(value, Tensor):
        return out + field(5, bytes(value)) + field(20, 4)
    if isinstance(value, float):
        return out + field(2, value) + field(20, 1)
    if isinstance(value, int):
        return out + field(3, value) + field(20, 2)
    if isinstance(value, (str, bytes)):
        return out + field(4, value) + field(20, 3)
    return out + fields(8, value) + field(20, 7)


def node(op, inputs, outputs, domain="", raw=b"", **attributes):
    return (fields(1, inputs) + fields(2, outputs) + field(4, op)
            + fields(5, [attribute(k, v) for k, v in attributes.items()]) + (field(7, domain) if domain else b"") + raw)


def value(name, kind=F32, shape=()):
    dims = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def graph(nodes, inputs=(), outputs=(), initializers=(), name="g", raw=b""):
    return Graph(fields(1, nodes) + field(2, name) + fields(5, initializers) + fields(11, inputs)
                 + fields(12, outputs) + raw)


def function(name, inputs, outputs, nodes, domain="f"):
    return field(1, name) + fields(4, inputs) + fields(5, outputs) + fields(7, nodes) + field(10, domain) + field(
        9, entry2("", 17))


def entry2(domain, version):
    return field(1, domain) + field(2, version)


def model(g, functions=(), opset=17, ir=8, raw=b""):
    return (field(1, ir) + field(7, bytes(g)) + field(8, entry2("", opset)) + field(8, entry2("f", 1))
            + fields(25, functions) + raw)


def save(name, data):
    (FOLDER / f"{name}.onnx").write_bytes(data)


def simple(name, nodes, initializers=(), inputs=None, outputs=None, **more):
    inputs = [value("x", F32, [2, 3])] if inputs is None else inputs
    save(name, model(graph(nodes, inputs, outputs or [value("y", F32, ["n"])], initializers), **more))


# ---- Structure -------------------------------------------------------------------------------------

good = model(graph([node("MatMul", ["x", "w"], ["m"]), node("Relu", ["m"], ["y"])], [value("x", F32, ["batch", 3])],
                   [value("y", F32, ["batch", 2])], [tensor("w", F32, [3, 2], bytes(24))]))
save("whole", good)  # fine itself: the test truncates it everywhere, and changes every byte
save("length_beyond", field(1, 8) + varint(7 << 3 | 2) + varint(1000) + b"short")
save("length_huge", field(1, 8) + varint(7 << 3 | 2) + varint(2**63 - 1) + b"short")
save("length_wraps", field(1, 8) + varint(7 << 3 | 2) + varint(2**64 - 8) + b"short")
save("varint_endless", field(1, 8) + varint(7 << 3) + b"\xff" * 40)
save("group", field(1, 8) + varint(7 << 3 | 3) + varint(7 << 3 | 4))
save("field_zero", field(1, 8) + b"\x02\x00")
save("graph_twice", good + field(7, bytes(graph([node("Relu", ["x"], ["y"])], [value("x")], [value("y")]))))
save("graph_none", field(1, 8) + field(8, entry2("", 17)))
save("graph_is_int", field(1, 8) + field(7, 5))
save("no_outputs", model(graph([node("Relu", ["x"], ["y"])], [value("x")])))
for version in (0, -1, 10**18, 5):
    simple(f"opset_{version}".replace("-", "minus"), [node("Relu", ["x"], ["y"])], opset=version)
nested = b"\x08\x01"
for _ in range(200):
    nested = field(6, field(1, field(5, field(1, "b") + nested + field(20, 5)) + field(4, "If")) + field(2, "g"))
save("deep_messages", field(1, 8) + field(7, field(1, field(5, field(1, "b") + nested + field(20, 5)) + field(4, "If"))))

# ---- Names and order -------------------------------------------------------------------------------

simple("cycle", [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])])
simple("cycle_of_one", [node("Add", ["x", "y"], ["y"])])
simple("name_twice", [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])])
simple("input_made_again", [node("Relu", ["x"], ["x"])])
simple("initializer_twice", [node("Relu", ["x"], ["y"])], [ints("i", [1]), ints("i", [2])])
simple("inputs_twice", [node("Relu", ["x"], ["y"])], inputs=[value("x"), value("x")])
simple("operand_missing", [node("Add", ["x", "nowhere"], ["y"])])
simple("operand_too_few", [node("Add", ["x"], ["y"])])
simple("operand_none", [node("Add", [], ["y"])])
simple("operand_many", [node("Relu", ["x"] * 500, ["y"])])
simple("output_missing", [node("Relu", ["x"], ["z"])])
simple("outputs_many", [node("Relu", ["x"], ["y", "z"])])
simple("name_with_nul", [node("Relu", ["x"], ["y\0z"])], outputs=[value("y\0z")])
simple("name_no_utf8", [node("Relu", ["x"], [b"\xff\xfe"])], outputs=[field(1, b"\xff\xfe")])
simple("operator_unknown", [node("Rm\0-rf", ["x"], ["y"])])
simple("domain_unknown", [node("Relu", ["x"], ["y"], domain="evil")])
simple("operator_none", [fields(1, ["x"]) + fields(2, ["y"])])

# ---- Tensors ---------------------------------------------------------------------------------------

keep = [node("Identity", ["w"], ["y"])]
for name, bad in {
        "dims_overflow": tensor("w", F32, [2**40, 2**40], bytes(4)),
        "dims_overflow_to_zero": tensor("w", F32, [2**32, 2**32], b""),
        "dims_bits_overflow": tensor("w", F64, [2**60], bytes(8)),
        "dims_negative": tensor("w", F32, [-1], bytes(4)),
        "dims_huge": tensor("w", F32, [2**40], bytes(4)),
        "dims_many": tensor("w", F32, [1] * 70, bytes(4)),
        "dims_nine": tensor("w", F32, [1] * 9, bytes(4)),
        "data_short": tensor("w", F32, [4], bytes(15)),
        "data_long": tensor("w", F32, [4], bytes(17)),
        "data_none": tensor("w", F32, [4]),
        "data_twice": tensor("w", F32, [1], bytes(4), field(4, 1.0)),
        "data_other_list": tensor("w", F32, [1], None, field(5, 1)),
        "type_zero": tensor("w", 0, [1], bytes(4)),
        "type_unknown": tensor("w", 99, [1], bytes(4)),
        "type_negative": tensor("w", -1, [1], bytes(4)),
        "packed_bits_short": tensor("w", I4, [5], bytes(2)),
        "packed_bits_long": tensor("w", I4, [5], bytes(4)),
        "packed_floats_odd": tensor("w", F32, [1], None, field(4, b"\0\0\0\0\0")),
        "packed_varint_cut": tensor("w", I64, [1], None, field(7, b"\xff")),
        "strings_too_few": tensor("w", STRING, [2], None, field(6, "a")),
        "strings_raw": tensor("w", STRING, [1], b"a"),
        "segment": tensor("w", F32, [1], bytes(4), field(3, field(1, 0) + field(2, 1))),
        "location_unknown": tensor("w", F32, [1], bytes(4), field(14, 7)),
        "name_none": tensor("", F32, [1], bytes(4)),
}.items():
    simple(f"tensor_{name}", keep, [bad])
sparse = lambda indices, dims: field(1, floats("w", [1.0])) + field(2, indices) + fields(3, dims)  # noqa: E731
for name, bad in {"outside": sparse(ints("i", [100]), [3]), "negative": sparse(ints("i", [-1]), [3]),
                  "huge": sparse(ints("i", [1]), [HUGE, HUGE]), "no_values": field(2, ints("i", [0])) + fields(3, [3])
                  }.items():
    save(f"sparse_{name}", model(graph(keep, [value("x")], [value("y")], raw=field(15, bad))))

# ---- External data ---------------------------------------------------------------------------------


def external(name, *pairs, dims=(2, )):
    simple(f"external_{name}", keep, [tensor("w", F32, dims, None, fields(13, [entry(*p) for p in pairs]) + field(14, 1))])


external("up", ("location", "../hostile/data.bin"))
external("up_inside", ("location", "a/../data.bin"))
external("absolute", ("location", "/etc/passwd"))
external("nul", ("location", "data.bin\0x"))
external("backslash", ("location", "..\\data.bin"))
external("folder", ("location", "."))
external("none", ("offset", "0"))
external("missing", ("location", "not_there.bin"))
external("link", ("location", "link.bin"))
external("link_folder", ("location", "link/data.bin"))
external("offset_beyond", ("location", "data.bin"), ("offset", "12"))
external("offset_huge", ("location", "data.bin"), ("offset", str(2**63 - 1)))
external("offset_overflow", ("location", "data.bin"), ("offset", str(2**64 - 8)))
external("offset_negative", ("location", "data.bin"), ("offset", "-8"))
external("offset_no_number", ("location", "data.bin"), ("offset", "8x"))
external("length_other", ("location", "data.bin"), ("length", "4"))
external("length_huge", ("location", "data.bin"), ("length", str(2**63 - 1)))
external("dims_huge", ("location", "data.bin"), dims=(2**40, ))
(FOLDER / "data.bin").write_bytes(bytes(16))

# ---- Attributes ------------------------------------------------------------------------------------

simple("attribute_type", [node("Softmax", ["x"], ["y"], axis="one")])
simple("attribute_float", [node("Softmax", ["x"], ["y"], axis=1.5)])
simple("attribute_axis", [node("Softmax", ["x"], ["y"], axis=-3)])
simple("attribute_axis_huge", [node("Softmax", ["x"], ["y"], axis=-2**63)])
simple("attribute_perm", [node("Transpose", ["x"], ["y"], perm=[0, 0])])
simple("attribute_perm_huge", [node("Transpose", ["x"], ["y"], perm=[2**62, 1])])
simple("attribute_many", [node("Transpose", ["x"], ["y"], perm=list(range(3000)))])
simple("attribute_lies", [node("Softmax", ["x"], ["y"], raw=field(5, field(1, "axis") + field(3, 1) + field(20, 7)))])
simple("attribute_two_values", [node("Softmax", ["x"], ["y"], raw=field(5, field(1, "axis") + field(3, 1) + field(4, "s")))])
simple("attribute_no_graph", [node("If", ["c"], ["y"])], [flag("c", 1)])
simple("attribute_nul", [node("AveragePool", ["x"], ["y"], kernel_shape=[1], auto_pad=b"SAME\0UPPER")])
simple("attribute_reference", [node("Softmax", ["x"], ["y"], raw=field(5, field(1, "axis") + field(20, 2) + field(21, "a")))])
image = [value("x", F32, [1, 1, 8, 8])]
for name, more in {"kernel_zero": {"kernel_shape": [0, 0]}, "kernel_huge": {"kernel_shape": [HUGE, HUGE]},
                   "stride_zero": {"kernel_shape": [1, 1], "strides": [0, 0]},
                   "stride_negative": {"kernel_shape": [1, 1], "strides": [-1, -1]},
                   "pads_huge": {"kernel_shape": [1, 1], "pads": [HUGE] * 4},
                   "pads_least": {"kernel_shape": [1, 1], "pads": [-2**63] * 4},
                   "dilation_huge": {"kernel_shape": [3, 3], "dilations": [HUGE, HUGE]}}.items():
    simple(f"pool_{name}", [node("MaxPool", ["x"], ["y"], **more)], inputs=image)
simple("conv_groups", [node("Conv", ["x", "w"], ["y"], group=-5)], [tensor("w", F32, [1, 1, 1, 1], bytes(4))],
       inputs=image)
simple("conv_groups_zero", [node("Conv", ["x", "w"], ["y"], group=0)], [tensor("w", F32, [1, 1, 1, 1], bytes(4))],
       inputs=image)

# ---- Sizes -----------------------------------------------------------------------------------------

big, over = ints("s", [2**20, 2**20]), ints("s", [2**40, 2**40])
for name, shape in {"big": big, "over": over, "negative": ints("s", [-5]), "huge": ints("s", [HUGE])}.items():
    simple(f"fill_{name}", [node("ConstantOfShape", ["s"], ["y"])], [shape])
    simple(f"expand_{name}", [node("Expand", ["v", "s"], ["y"])], [shape, floats("v", [1.0])])
    simple(f"tile_{name}", [node("Tile", ["v", "s"], ["y"])], [shape, floats("v", [1.0])])
    simple(f"reshape_{name}", [node("Reshape", ["x", "s"], ["y"])], [shape])
    simple(f"sum_of_fill_{name}", [node("ConstantOfShape", ["s"], ["f"]), node("ReduceSum", ["f"], ["t"], keepdims=0),
                                   node("Cast", ["t"], ["k"], to=I64), node("Unsqueeze", ["k", "zero"], ["k1"]),
                                   node("Reshape", ["x", "k1"], ["y"])], [shape, ints("zero", [0])])
for name, (start, limit, delta) in {"huge": (0, HUGE, 1), "zero_step": (0, 5, 0), "least": (-2**63, 2**63 - 1, 1)}.items():
    simple(f"range_{name}", [node("Range", ["a", "b", "c"], ["y"])],
           [scalar("a", start), scalar("b", limit), scalar("c", delta)])
simple("pad_huge", [node("Pad", ["x", "p"], ["y"])], [ints("p", [HUGE, HUGE, HUGE, HUGE])])
simple("pad_least", [node("Pad", ["x", "p"], ["y"])], [ints("p", [-2**63] * 4)])
simple("resize_huge", [node("Resize", ["x", "", "", "s"], ["y"])], [ints("s", [1, 1, 2**40, 2**40])], inputs=image)
simple("resize_scale_huge", [node("Resize", ["x", "", "s"], ["y"])], [floats("s", [1.0, 1.0, 1e30, 1e30])], inputs=image)
simple("resize_scale_nan", [node("Resize", ["x", "", "s"], ["y"])], [floats("s", [1.0, 1.0, float("nan"), 1.0])], inputs=image)
simple("one_hot_huge", [node("OneHot", ["i", "d", "v"], ["y"])], [ints("i", [0]), scalar("d", HUGE), floats("v", [0.0, 1.0])])
simple("eye_huge", [node("ConstantOfShape", ["s"], ["f"]), node("EyeLike", ["f"], ["y"])], [ints("s", [2**31, 2**31])])
simple("random_huge", [node("RandomNormal", [], ["y"], shape=[2**40, 2**40])])
simple("random_negative", [node("RandomNormal", [], ["y"], shape=[-2])])
simple("window_huge", [node("HannWindow", ["n"], ["y"])], [scalar("n", HUGE)])
simple("slice_extreme", [node("Slice", ["x", "a", "b", "c", "d"], ["y"])],
       [ints("a", [-2**63]), ints("b", [2**63 - 1]), ints("c", [-2**63]), ints("d", [-2**63])])
simple("split_negative", [node("Split", ["x", "s"], ["y", "z"])], [ints("s", [-1, 3])])
simple("split_huge", [node("Split", ["x", "s"], ["y", "z"])], [ints("s", [2**62, 2**62])])
simple("top_k_huge", [node("TopK", ["x", "k"], ["y", "i"])], [ints("k", [HUGE])])
simple("top_k_negative", [node("TopK", ["x", "k"], ["y", "i"])], [ints("k", [-1])])
simple("unsqueeze_many", [node("Unsqueeze", ["x", "a"], ["y"])], [ints("a", list(range(20)))])
simple("einsum_many", [node("Einsum", ["x"], ["y"], equation="ab->" + "a" * 200)])
simple("input_huge", [node("Flatten", ["x"], ["y"])], inputs=[value("x", F32, [2**40, 2**40])])
simple("input_negative", [node("Relu", ["x"], ["y"])], inputs=[value("x", F32, [-7])])
simple("input_rank", [node("Relu", ["x"], ["y"])], inputs=[value("x", F32, [1] * 100)])
simple("input_type", [node("Relu", ["x"], ["y"])], inputs=[value("x", 77, [1])])
simple("doubles", [node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(70)],
       inputs=[value("c0", F32, [1])], outputs=[value("c70")])
simple("doubles_symbol", [node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(70)],
       inputs=[value("c0", F32, ["n"])], outputs=[value("c70")])
# A size that is an expression of itself, twice, again and again: written out it has 2^40 terms.
chain, last = [], "c0"
for i in range(40):
    chain += [node("MaxPool", [last], [f"a{i}"], kernel_shape=[1], strides=[2]),
              node("MaxPool", [last], [f"b{i}"], kernel_shape=[1], strides=[3]),
              node("Concat", [f"a{i}", f"b{i}"], [f"c{i + 1}"], axis=2)]
    last = f"c{i + 1}"
simple("sizes_grow", chain + [node("Shape", [last], ["s"]), node("Reshape", [last, "two"], ["y"])], [ints("two", [7, 13])],
       inputs=[value("c0", F32, [1, 1, "n"])])

# ---- Functions -------------------------------------------------------------------------------------


def call(name, inputs, outputs):
    return node(name, inputs, outputs, domain="f")


def calls(name, functions):
    simple(name, [call("f0", ["x"], ["y"])], functions=functions)


calls("function_itself", [function("f0", ["a"], ["b"], [call("f0", ["a"], ["b"])])])
calls("function_each_other", [function("f0", ["a"], ["b"], [call("f1", ["a"], ["b"])]),
                              function("f1", ["a"], ["b"], [call("f0", ["a"], ["b"])])])
calls("function_twice_each", [function(f"f{i}", ["a"], ["b"], [call(f"f{i + 1}", ["a"], ["c"]),
                                                               call(f"f{i + 1}", ["c"], ["b"])]) for i in range(28)]
      + [function("f28", ["a"], ["b"], [node("Relu", ["a"], ["b"])])])
calls("function_empty_twice", [function(f"f{i}", ["a"], ["a"], [call(f"f{i + 1}", ["a"], [f"c{j}"]) for j in range(8)])
                               for i in range(20)] + [function("f20", ["a"], ["a"], [])])
calls("function_output_none", [function("f0", ["a"], ["nothing"], [node("Relu", ["a"], ["b"])])])
calls("function_inputs_none", [function("f0", [], ["b"], [node("Relu", ["a"], ["b"])])])
calls("function_name_long", [function("f0", ["a"], ["b"], [node("Relu", ["a"], ["n" * 3000])] + [
    call("f1", ["n" * 3000], [f"v{i}"]) for i in range(12)] + [node("Relu", ["v0"], ["b"])]),
    function("f1", ["n" * 2000], ["q" * 2000], [node("Relu", ["n" * 2000], ["m" * 2000]), node("Relu", ["m" * 2000], ["q" * 2000])])])

# ---- Branches and loops ----------------------------------------------------------------------------

inner = graph([node("Relu", ["x"], ["r"])], outputs=[value("r")])
for i in range(14):
    inner = graph([node("If", ["c"], ["r"], then_branch=inner, else_branch=inner if i < 5 else
                        graph([node("Relu", ["x"], ["r"])], outputs=[value("r")]))], outputs=[value("r")])
simple("branches_deep", [node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)],
       inputs=[value("x", F32, [2, 3]), value("c", BOOL)])


def loop(name, nodes, state, limit=None, condition=True, inputs=None, initializers=(), carried=("v", "w"), after=()):
    body = graph(nodes + [node("Identity", ["go"], ["on"])] if condition else nodes,
                 [value("i", I64), value("go", BOOL), value(carried[0])], [value("on", BOOL), value(carried[1])],
                 name="body")
    simple(name, [node("Loop", ["limit" if limit is not None else "", "true" if condition is True else "", state], ["y"],
                       body=body), *after],
           [flag("true", 1), *([scalar("limit", limit)] if limit is not None else []), *initializers], inputs=inputs)


double = [node("Concat", ["v", "v"], ["w"], axis=0)]
grow = [node("Concat", ["v", "one"], ["w"], axis=0)]
one = [value("x", F32, [1])]
shape = [node("Cast", ["y"], ["k"], to=I64), node("Reshape", ["x", "k"], ["z"])]
loop("loop_endless_grows", grow, "x", 2**62, inputs=one, initializers=[floats("one", [1.0])])
loop("loop_endless_doubles", double, "x", 2**62, inputs=one)
loop("loop_endless_no_limit", grow, "x", None, inputs=one, initializers=[floats("one", [1.0])])
loop("loop_negative", grow, "x", -2**63, inputs=one, initializers=[floats("one", [1.0])])
loop("loop_asks_each_step", grow + [node("ReduceSum", ["w"], ["s"], keepdims=0), node("Less", ["s", "far"], ["on"])],
     "x", 2**62, False, one, [floats("one", [1.0]), tensor("far", F32, [], struct.pack("<f", 1e30))])
count = [node("Add", ["v", "one"], ["w"])]
needs = dict(inputs=[value("x", F32, [6])], after=[node("Reshape", ["x", "y"], ["z"])],
             initializers=[ints("one", [1]), ints("zero", [0])])
for name, limit in {"2_62": 2**62, "no_limit": None, "million": 10**6}.items():
    loop(f"loop_computed_{name}", count, "zero", limit, **needs)
body = graph([node("Identity", ["go"], ["on"]), node("ConstantOfShape", ["s"], ["row"])],
             [value("i", I64), value("go", BOOL)], [value("on", BOOL), value("row", F32, [2**12])], [ints("s", [2**12])], "body")
simple("loop_stacks", [node("Loop", ["limit", "true"], ["rows"], body=body), node("ReduceSum", ["rows"], ["t"], keepdims=0),
                       node("Cast", ["t"], ["k"], to=I64), node("Unsqueeze", ["k", "zero"], ["k1"]),
                       node("Reshape", ["x", "k1"], ["y"])],
       [scalar("limit", 2**40), flag("true", 1), ints("zero", [0])])
body = Graph(double[0])
nest = graph([*double, node("Identity", ["go"], ["on"])], [value("i", I64), value("go", BOOL), value("v")],
             [value("on", BOOL), value("w")], name="body")
for _ in range(14):
    nest = graph([node("Loop", ["limit", "true", "v"], ["w"], body=nest), node("Identity", ["go"], ["on"])],
                 [value("i", I64), value("go", BOOL), value("v")], [value("on", BOOL), value("w")], name="body")
simple("loop_nested", [node("Loop", ["limit", "true", "x"], ["y"], body=nest)], [flag("true", 1), scalar("limit", 3)], inputs=one)
simple("loop_body_inputs", [node("Loop", ["limit", "true", "x"], ["y"], body=graph([node("Relu", ["x"], ["r"])],
                                                                                outputs=[value("r")]))],
       [flag("true", 1), scalar("limit", 3)])
simple("scan_sequences", [node("Scan", ["x"], ["y"], num_scan_inputs=2**62, body=nest)])
simple("scan_negative", [node("Scan", ["x"], ["y"], num_scan_inputs=-1, body=nest)])

# ---- Sequences and optional values -----------------------------------------------------------------

simple("sequence_as_tensor", [node("SequenceConstruct", ["x"], ["s"]), node("Relu", ["s"], ["y"])])
simple("sequence_as_output", [node("SequenceConstruct", ["x"], ["y"])])
simple("sequence_of_tensor", [node("SequenceAt", ["x", "i"], ["y"])], [scalar("i", 0)])
simple("sequence_position", [node("SequenceConstruct", ["x"], ["s"]), node("SequenceAt", ["s", "i"], ["y"])], [scalar("i", -2**63)])
simple("sequence_insert", [node("SequenceConstruct", ["x"], ["s"]), node("SequenceInsert", ["s", "x", "i"], ["t"]),
                           node("SequenceAt", ["t", "i"], ["y"])], [scalar("i", 2**62)])
simple("sequence_split_many", [node("SplitToSequence", ["x"], ["s"]), node("ConcatFromSequence", ["s"], ["y"], axis=0)],
       inputs=[value("x", F32, [2**40])])
simple("sequence_split_million", [node("Expand", ["x", "n"], ["e"]), node("SplitToSequence", ["e"], ["s"]),
                                  node("SequenceAt", ["s", "i"], ["y"])], [scalar("i", 0), ints("n", [10**6])], inputs=one)
simple("sequence_doubles", [node("SequenceConstruct", ["x"] * 16, ["s"])] + [
    node("SequenceMap", ["s" if i == 0 else f"s{i}", "x"], [f"s{i + 1}"],
         body=graph([node("Concat", ["p", "q"], ["r"], axis=0)], [value("p"), value("q")], [value("r")])) for i in range(60)]
       + [node("SequenceAt", ["s60", "i"], ["y"])], [scalar("i", 0)], inputs=one)
simple("optional_none", [node("Optional", [], ["o"]), node("OptionalGetElement", ["o"], ["y"])])

# ---- Computing -------------------------------------------------------------------------------------

simple("compute_product", [node("ConstantOfShape", ["s"], ["a"]), node("MatMul", ["a", "a"], ["b"]), node("MatMul", ["b", "b"], ["c"]),
                           node("ReduceSum", ["c"], ["t"], keepdims=0), node("Cast", ["t"], ["k"], to=I64),
                           node("Unsqueeze", ["k", "zero"], ["k1"]), node("Reshape", ["x", "k1"], ["y"])],
       [ints("s", [1000, 1000]), ints("zero", [0])])
simple("compute_often", [n for i in range(120) for n in (
    node("Mul", [f"v{i}", "x"], [f"v{i + 1}"]), node("ReduceSum", [f"v{i + 1}"], [f"t{i}"], keepdims=1),
    node("Cast", [f"t{i}"], [f"k{i}"], to=I64), node("Expand", ["x", f"k{i}"], [f"e{i}"]))],
       inputs=[value("x", F32, [1]), value("v0", F32, [1])], outputs=[value("v120")])
print(len(list(FOLDER.glob("*.onnx"))), "files,", sum(p.stat().st_size for p in FOLDER.glob("*.onnx")), "bytes")
