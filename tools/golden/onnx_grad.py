#!/usr/bin/python3
"""tests/golden/cli/grad.onnx, calls.onnx, dropout.onnx and grad.npz: what cajal grad is to give.

The graph is made with the onnx package and its gradients with PyTorch's autograd in double, of the
same formulas written again. It has what a file may have: an input of integers, one that nothing
uses, an output of integers, an initializer that is a scalar, one that nothing uses, names with "/",
two of which would be one file, a ratio that is read as a number, batch normalisation, dropout.
calls.onnx calls a function of its own twice, each time with other weights, one of them by the name
that an Identity gives it.
"""
import os

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

FOLDER = os.path.join(os.path.dirname(__file__), "../../tests/golden/cli")
rng = np.random.default_rng(6)


def values(*shape, low=-1.0, high=1.0):
    return rng.uniform(low, high, shape).astype(np.float32)


WEIGHTS = {
    "layer/w": values(4, 3),
    "layer/b": values(3),
    "layer_b": values(3),
    "bn.scale": values(3, low=0.5, high=1.5),
    "bn.shift": values(3),
    "bn.mean": values(3),
    "bn.variance": values(3, low=0.5, high=1.5),
    "table": values(5, 3),
    "factor": np.float32(1.5),
    "low": np.float32(-1.25),
    "high": np.float32(1.25),
    "unused": values(2, 2),
}
RATIO = np.float32(0.0)


def model():
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "layer/w"], ["h0"]),
        node("Add", ["h0", "layer/b"], ["h1"]),
        node("Mul", ["h1", "layer_b"], ["h2"]),
        node("BatchNormalization", ["h2", "bn.scale", "bn.shift", "bn.mean", "bn.variance"], ["h3"],
             epsilon=1e-3),
        node("Gather", ["table", "ids"], ["e"]),
        node("Tanh", ["h3"], ["t"]),
        node("Add", ["t", "e"], ["s"]),
        node("Mul", ["s", "factor"], ["m"]),
        node("Dropout", ["m", "ratio"], ["d"]),
        node("Clip", ["d", "low", "high"], ["y"]),
        node("ArgMax", ["y"], ["k"], axis=1, keepdims=0),
        node("Exp", ["t"], ["u"]),
    ]
    info = helper.make_tensor_value_info
    f32, i64 = TensorProto.FLOAT, TensorProto.INT64
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in WEIGHTS.items()]
    tensors.append(numpy_helper.from_array(np.asarray(RATIO), "ratio"))
    graph = helper.make_graph(
        nodes, "grad",
        [info("x", f32, ["batch", 4]), info("ids", i64, ["batch"]), info("z", f32, ["batch", 2])],
        [info("y", f32, ["batch", 3]), info("k", i64, ["batch"]), info("u", f32, ["batch", 3])],
        tensors)
    return finish(graph, "grad.onnx")


own = np.random.default_rng(7)
CALLS = {"%s.%s" % (at, name): own.uniform(low, 1, shape).astype(np.float32)
         for at in ("first", "second")
         for name, shape, low in (("w", (4, 4), -1), ("scale", (4,), 0.5), ("shift", (4,), -1),
                                  ("mean", (4,), -1), ("variance", (4,), 0.5))}


def calls():
    node, info = helper.make_node, helper.make_tensor_value_info
    names = ["w", "scale", "shift", "mean", "variance"]
    opset = [helper.make_opsetid("", 17)]
    block = helper.make_function(
        "own", "Block", ["a"] + names, ["y"],
        [node("MatMul", ["a", "w"], ["b"]),
         node("BatchNormalization", ["b"] + names[1:], ["c"], epsilon=1e-3),
         node("Tanh", ["c"], ["y"])], opset)
    first, second = (["%s.%s" % (at, name) for name in names] for at in ("first", "second"))
    nodes = [node("Block", ["x"] + first, ["h"], domain="own"),
             node("Identity", [second[0]], ["alias"]),
             node("Block", ["h", "alias"] + second[1:], ["y"], domain="own")]
    graph = helper.make_graph(
        nodes, "calls", [info("x", TensorProto.FLOAT, ["batch", 4])],
        [info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(v, n) for n, v in CALLS.items()])
    finish(graph, "calls.onnx", [block])


def calls_gradients(x):
    w = {n: torch.tensor(v, dtype=torch.double, requires_grad=True) for n, v in CALLS.items()}
    x = y = torch.tensor(x, dtype=torch.double, requires_grad=True)
    for at in ("first.", "second."):
        h = (y @ w[at + "w"] - w[at + "mean"]) / torch.sqrt(w[at + "variance"] + 1e-3)
        y = torch.tanh(h * w[at + "scale"] + w[at + "shift"])
    y.sum().backward()
    out = {"grad_" + name: v.grad for name, v in w.items()}
    out["grad0"] = x.grad
    return {k: v.numpy().astype(np.float32) for k, v in out.items()}


def finish(graph, file, functions=()):
    domains = [helper.make_opsetid(f.domain, 1) for f in functions]
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)] + domains,
                          ir_version=8, functions=list(functions))
    m.producer_name = ""
    onnx.checker.check_model(m, full_check=True)
    onnx.save(m, os.path.join(FOLDER, file))


def dropout():
    info = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("Dropout", ["x", "rate"], ["y"])], "dropout",
                              [info("x", TensorProto.FLOAT, ["n", 8])],
                              [info("y", TensorProto.FLOAT, ["n", 8])],
                              [numpy_helper.from_array(np.float32(0.5), "rate")])
    finish(graph, "dropout.onnx")


def gradients(x, ids, z, dy, du, training):
    w = {n: torch.tensor(np.asarray(v), dtype=torch.double, requires_grad=True)
         for n, v in WEIGHTS.items()}
    x = torch.tensor(x, dtype=torch.double, requires_grad=True)
    h = (x @ w["layer/w"] + w["layer/b"]) * w["layer_b"]
    mean, variance = w["bn.mean"], w["bn.variance"]
    if training:
        mean, variance = h.mean(0), h.var(0, unbiased=False)
    h = (h - mean) / torch.sqrt(variance + 1e-3) * w["bn.scale"] + w["bn.shift"]
    t = torch.tanh(h)
    y = torch.clip((t + w["table"][torch.tensor(ids)]) * w["factor"], w["low"], w["high"])
    total = (y * torch.tensor(dy)).sum() + (torch.exp(t) * torch.tensor(du)).sum()
    total.backward()
    out = {"grad0": x.grad, "grad1": torch.zeros(z.shape)}
    for name, v in w.items():
        file = name.replace("/", "_") + ("_" if name == "layer/b" else "")
        out["grad_" + file] = v.grad if v.grad is not None else torch.zeros(v.shape)
    out["grad_ratio"] = torch.zeros(())
    return {k: v.detach().numpy().astype(np.float32) for k, v in out.items()}


def main():
    model()
    dropout()
    calls()
    x, ids, z = values(6, 4), rng.integers(0, 5, 6), values(6, 2)
    dy, du = values(6, 3), values(6, 3)
    arrays = {"x": x, "ids": ids, "z": z, "dy": dy, "du": du}
    one = np.ones((6, 3), np.float32)
    for name, a, b, training in (("ones", one, one, False), ("given", dy, du, False),
                                 ("training", dy, du, True)):
        for key, value in gradients(x, ids, z, a, b, training).items():
            arrays["%s.%s" % (name, key)] = value
    for key, value in calls_gradients(x).items():
        arrays["calls." + key] = value
    np.savez(os.path.join(FOLDER, "grad.npz"), **arrays)


main()
