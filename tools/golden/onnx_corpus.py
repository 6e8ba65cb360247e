#!/usr/bin/env python3
"""Small ONNX models and tensors that use every part of the format, made by the onnx package.

    tools/golden/onnx_corpus.py FOLDER      (fuzz/corpus/onnx is the committed output)

The .onnx files are models, the .pb files tensors. Deterministic: the same files each time.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]


def value(name, shape=(1,), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(graph, **more):
    more.setdefault("opset_imports", OPSET)
    return helper.make_model(graph, ir_version=8, producer_name="corpus", **more)


def mlp():
    w = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "w")
    b = helper.make_tensor("b", TensorProto.FLOAT, [4], [0.5, -1.5, 2.0, 1e-8])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="matmul"),
        helper.make_node("Add", ["m", "b"], ["a"]),
        helper.make_node("LeakyRelu", ["a"], ["r"], alpha=0.125),
        helper.make_node("Softmax", ["r"], ["y"], axis=-1, doc_string="probabilities"),
    ]
    graph = helper.make_graph(nodes, "mlp", [value("x", ("batch", 3))], [value("y", ("batch", 4))], [w, b],
                              doc_string="two lines\nof UTF-8: \u00e9\u4e2d", value_info=[value("m", (None, 4))])
    m = model(graph)
    helper.set_model_props(m, {"classes": "a,b,c,d", "empty": ""})
    return m


def branches():
    def branch(name, op):
        return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [value(name)])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("t", "Neg"), else_branch=branch("e", "Abs"))
    return model(helper.make_graph([node], "if", [value("c", (), TensorProto.BOOL), value("x")], [value("y")]))


def function():
    f = helper.make_function("local", "scaled", ["x"], ["y"], [
        helper.make_node("Constant", [], ["k"], value_float=2.0),
        helper.make_node("Mul", ["x", "k"], ["y"]),
    ], OPSET, ["alpha"])
    reference = onnx.AttributeProto(name="alpha", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT)
    inner = helper.make_node("Elu", ["x"], ["z"])
    inner.attribute.append(reference)
    f.node.append(inner)
    node = helper.make_node("scaled", ["x"], ["y"], domain="local", alpha=1.0)
    graph = helper.make_graph([node], "g", [value("x")], [value("y")])
    return model(graph, functions=[f], opset_imports=OPSET + [helper.make_opsetid("local", 1)])


def attributes():
    strings = helper.make_tensor("s", TensorProto.STRING, [2], [b"ab", b"\xff\x00"])
    node = helper.make_node("Odd", ["", "x"], ["y"], domain="test", f=0.0, i=0, s="", t=strings, floats=[1.5, -2.0],
                            ints=[1, -1, 2**63 - 1, -2**63], strings=["", "b"],
                            tensors=[numpy_helper.from_array(np.float32(3)), numpy_helper.from_array(np.zeros((0, 2)))],
                            graphs=[helper.make_graph([helper.make_node("Neg", ["x"], ["g"])], "sub", [], [value("g")])])
    sparse = helper.make_sparse_tensor(numpy_helper.from_array(np.float32([1, 2]), "sp"),
                                       numpy_helper.from_array(np.int64([1, 5])), [2, 3])
    node.attribute.append(helper.make_attribute("sparse", sparse))
    node.attribute.append(onnx.AttributeProto(name="sparses", type=onnx.AttributeProto.SPARSE_TENSORS,
                                              sparse_tensors=[sparse, sparse]))
    kind = helper.make_tensor_type_proto(TensorProto.INT64, [None, "n"])
    node.attribute.append(helper.make_attribute("tp", kind))
    node.attribute.append(onnx.AttributeProto(name="tps", type=onnx.AttributeProto.TYPE_PROTOS, type_protos=[kind, kind]))
    inputs = [value("x"), helper.make_value_info("s", helper.make_sequence_type_proto(kind)),
              helper.make_value_info("o", helper.make_optional_type_proto(kind)),
              helper.make_tensor_value_info("u", TensorProto.FLOAT, None), onnx.ValueInfoProto(name="untyped"),
              helper.make_sparse_tensor_value_info("sparse", TensorProto.FLOAT, [2, 3])]
    graph = helper.make_graph([node], "g", inputs, [value("y")], sparse_initializer=[sparse])
    return model(graph, opset_imports=OPSET + [helper.make_opsetid("test", 1)])


def external():
    w = numpy_helper.from_array(np.arange(6, dtype=np.float32), "w")
    onnx.external_data_helper.set_external_data(w, "weights.bin", offset=8, length=24)
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    node = helper.make_node("Identity", ["w"], ["y"])
    return model(helper.make_graph([node], "g", [], [value("y", (6,))], [w]))


def tensors():
    """Every numeric type as a list of numbers and as raw_data, with its extreme values."""
    kinds = {"float": [0, -0.0, 1e-45, 3.4e38, float("inf"), float("nan")], "double": [0, -1e300, 5e-324, 0.1],
             "int8": [-128, -1, 0, 127], "uint8": [0, 1, 255], "int16": [-32768, -1, 32767], "uint16": [0, 65535],
             "int32": [-2**31, -1, 2**31 - 1], "uint32": [0, 2**32 - 1], "int64": [-2**63, -1, 2**63 - 1],
             "uint64": [0, 2**64 - 1], "bool": [True, False, True], "float16": [1.5, -65504, 6e-8, 0],
             "bfloat16": [1.0, -3.0, 0.0078125], "string": [b"", b"abc", b"\xff"]}
    for name, values in kinds.items():
        kind = getattr(TensorProto, name.upper())
        listed = helper.make_tensor(name, kind, [len(values), 1], values)
        yield name + "_list.pb", listed
        if name not in ("bfloat16", "string"):
            yield name + "_raw.pb", numpy_helper.from_array(numpy_helper.to_array(listed), name)
    yield "complex64_list.pb", TensorProto(name="c", data_type=TensorProto.COMPLEX64, dims=[2], float_data=[1, 2, 0, -3])
    yield "complex128_list.pb", TensorProto(name="c", data_type=TensorProto.COMPLEX128, dims=[1], double_data=[0.5, -1])
    yield "scalar.pb", helper.make_tensor("", TensorProto.INT64, [], [7])
    yield "empty.pb", helper.make_tensor("e", TensorProto.FLOAT, [0, 3], [])


def main(folder):
    os.makedirs(folder, exist_ok=True)
    made = [(f.__name__ + ".onnx", f()) for f in (mlp, branches, function, attributes, external)]
    for name, message in made + list(tensors()):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(message.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(sys.argv[1])
