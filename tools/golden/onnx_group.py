"""Groups of ONNX nodes with what numpy gives: what onnx_cases.py and onnx_cells.py share."""
import os

import numpy as np
import onnx
from onnx import helper, numpy_helper

TO = "tests/golden/format/onnx"


def tensor(name, a):
    return numpy_helper.from_array(np.asarray(a), name)


def value(name, a):
    return helper.make_tensor_value_info(name, tensor("", a).data_type, a.shape)


def node(op, ins, outs, domain="", **attributes):
    return helper.make_node(op, ins, outs, name=outs[0] or outs[-1], domain=domain, **attributes)


def graph(nodes, ins, outs, initializers=()):
    return helper.make_graph(nodes, "g", ins, outs, list(initializers))


class Known(np.ndarray):
    """An operand that is an initializer, not an input."""


def known(v, dtype=None):
    return np.array(v, dtype).view(Known)


class Group:
    def __init__(self, name, opset, domains=()):
        self.name, self.opset, self.domains = name, opset, domains
        self.nodes, self.ins, self.outs, self.initializers, self.arrays = [], [], [], [], {}

    def add(self, op, ins, outs, domain="", **attributes):
        """One node. ins: arrays, or None for those that are absent; outs: what is expected."""
        at = f"{op.lower()}_{len(self.nodes)}"
        names = []
        for i, a in enumerate(ins):
            name = f"{at}_i{i}" if a is not None else ""
            names.append(name)
            if isinstance(a, Known):
                self.initializers.append(tensor(name, np.asarray(a)))
            elif a is not None:
                a = np.asarray(a)
                self.ins.append(value(name, a))
                self.arrays[name] = a
        results = []
        for k, a in enumerate(outs):
            results.append(f"{at}_o{k}" if a is not None else "")
            if a is not None:
                self.outs.append(value(results[-1], np.asarray(a)))
                self.arrays[results[-1]] = np.asarray(a)
        self.nodes.append(node(op, names, results, domain, **attributes))

    def bytes(self):
        g = graph(self.nodes, self.ins, self.outs, self.initializers)
        opsets = [helper.make_opsetid(d, v) for d, v in (("", self.opset), *self.domains)]
        return helper.make_model(g, ir_version=3, opset_imports=opsets).SerializeToString()

    def write(self, arrays=True):
        os.makedirs(TO, exist_ok=True)
        with open(f"{TO}/{self.name}.onnx", "wb") as f:
            f.write(self.bytes())
        if arrays:
            np.savez(f"{TO}/{self.name}.npz", **self.arrays)


random = np.random.default_rng(1)


def numbers(*shape, dtype="f8", low=-2.0, high=2.0):
    return random.uniform(low, high, shape).astype(dtype)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def normalized(x, scale, bias, mean, variance, epsilon, shape):
    scale, bias, mean, variance = (v.reshape(shape) for v in (scale, bias, mean, variance))
    return scale * (x - mean) / np.sqrt(variance + epsilon) + bias


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
