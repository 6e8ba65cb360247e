#!/usr/bin/env python3
"""keras_files.py FOLDER: tests/golden/keras: models as Keras 2 (.h5) and Keras 3 (.keras) write them, and what
they give (.npz), by the formulas of Keras's documentation in double precision with torch and numpy alone.

Needs h5py, numpy, torch; not Keras. The layout of both kinds of files follows keras's legacy_h5_format.py and
saving_lib.py: see docs/keras.md. Every model has many outputs, one for each thing that is tried.
"""
import json
import os
import re
import sys
import zipfile
from io import BytesIO

import h5py
import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(7)
DTYPE = "float64"


def t(a):
    return torch.tensor(np.asarray(a), dtype=torch.float64)


def rand(*shape):
    return rng.normal(size=shape) * 0.4


class Layer:
    """kind, name, config; weights: (path in archives, name, array) in Keras's order; call: tensors -> tensor(s)."""

    def __init__(self, kind, name, call, weights=(), inner=None, **config):
        self.kind, self.name, self.call, self.weights, self.inner = kind, name, call, list(weights), inner
        self.config = {"name": name, "trainable": True, "dtype": DTYPE, **config}
        self.calls, self.function = [], None
        self.key, self.told, self.told_3, self.second = None, {}, {}, "y"  # of an operator

    def __call__(self, *args, **keywords):
        """args: results of layers, as (layer, node, tensor); keywords: the same or constants."""
        values = [n.value if isinstance(n, Ref) else n for n in args]
        more = {k: v.value if isinstance(v, Ref) else v for k, v in keywords.items()}
        y = self.call(*values, **more)
        self.calls.append((args, keywords))
        many = isinstance(y, (tuple, list))
        refs = [Ref(self, len(self.calls) - 1, i, v) for i, v in enumerate(y if many else [y])]
        return refs if many else refs[0]


class Ref:
    def __init__(self, layer, node, tensor, value):
        self.layer, self.node, self.tensor, self.value = layer, node, tensor, value


def Input(name, value, shape=None, dtype=None):
    value = np.asarray(value)
    layer = Layer("InputLayer", name, None)
    layer.array = value
    layer.batch_shape = [None] + list(value.shape[1:] if shape is None else shape)
    layer.config["dtype"] = dtype or str(value.dtype)
    layer.calls = [((), {})]
    if value.dtype.kind in "US":
        layer.config["dtype"] = "string"
        return Ref(layer, 0, 0, value)
    return Ref(layer, 0, 0, torch.tensor(value))


def snake(name):
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


MODELS = []  # that were saved


class Model:
    """A functional model, or (chain) a Sequential; also a layer of another model."""

    training = None  # training_config of a .h5, compile_config of a .keras
    assets = ()  # of a .keras: layers and what they know

    def __init__(self, name, layers, inputs, outputs, chain=False):
        self.name, self.layers, self.inputs, self.outputs, self.chain = name, layers, inputs, outputs, chain

    # ---- configurations

    def ref(self, r, version):
        offset = 1 if isinstance(r.layer.inner, Model) else 0
        if version == 2:
            return [r.layer.name, r.node + offset, r.tensor]
        return {"class_name": "__keras_tensor__",
                "config": {"shape": list(r.value.shape), "dtype": DTYPE,
                           "keras_history": [r.layer.name, r.node + offset, r.tensor]}}

    def nodes(self, layer, version):
        if layer.kind == "InputLayer":
            return []
        nodes = []
        for args, keywords in layer.calls:
            if layer.function:
                a, b = ([self.ref(r, version) if isinstance(r, Ref) else r for r in args] + [None])[:2]
                if isinstance(b, np.ndarray):
                    b = b.tolist() if version == 2 else {"class_name": "__tensor__", "config": {
                        "value": b.reshape(1, 1, 1, -1).tolist(), "dtype": DTYPE}}
                first = a if isinstance(args[0], Ref) else ["_CONSTANT_VALUE", -1, a]
                more = [layer.key[1]] if layer.key else []
                told = layer.told if version == 2 else {}
                if layer.key and version == 2:
                    told = {"slice_spec": layer.key[0]}
                nodes.append({"args": [a, b][:len(args)] + more, "kwargs": {}} if version == 3 else
                             first + [{layer.second: b, "name": None} if len(args) == 2 else {**told, "name": None}])
            elif version == 2:
                extra = {k: self.ref(v, 2) if isinstance(v, Ref) else v for k, v in keywords.items()}
                node = [self.ref(a, 2) + [{}] for a in args]
                node[0][3] = extra
                nodes.append(node)
            else:
                refs = [self.ref(a, 3) for a in args]
                merge = layer.kind in ("Add", "Multiply", "Concatenate", "Average", "Maximum", "Minimum", "Subtract",
                                       "Dot", "Attention", "AdditiveAttention")
                nodes.append({"args": [refs] if merge else refs,
                              "kwargs": {k: self.ref(v, 3) if isinstance(v, Ref) else v
                                         for k, v in keywords.items()}})
        return nodes

    def layer_config(self, layer, version, nodes=True):
        if isinstance(layer.inner, Model):
            config = layer.inner.config(version)
            kind = "Sequential" if layer.inner.chain else "Functional"
        else:
            config, kind = dict(layer.config), layer.kind
            if layer.function and version == 2:
                config = {k: v for k, v in config.items() if k not in layer.told_3}
                config["function"] = layer.function
                kind = "SlicingOpLambda" if layer.key else "TFOpLambda"
            if layer.kind == "InputLayer":
                config["batch_input_shape" if version == 2 else "batch_shape"] = layer.batch_shape
            if version == 3:
                config["dtype"] = {"module": "keras", "class_name": "DTypePolicy",
                                   "config": {"name": config["dtype"]}, "registered_name": None}
                if layer.kind in ("InputLayer", "Cast"):
                    config["dtype"] = layer.config["dtype"]
            for key in ("layer", "backward_layer"):
                if isinstance(config.get(key), Layer):
                    config[key] = self.layer_config(config[key], version, False)
        out = {"class_name": kind, "config": config}
        if version == 3:
            out = {"module": "keras.layers", **out, "registered_name": None}
        if nodes and not self.chain:
            out["name"] = layer.name
            out["inbound_nodes"] = self.nodes(layer, version)
        return out

    def config(self, version):
        config = {"name": self.name, "trainable": True,
                  "layers": [self.layer_config(layer, version) for layer in self.layers]}
        if not self.chain:
            refs = [[[r.layer.name, r.node + (1 if isinstance(r.layer.inner, Model) else 0), r.tensor] for r in rs]
                    for rs in (self.inputs, self.outputs)]
            if version == 3:  # one alone is no list of one; they may have names
                refs = [r[0] if len(r) == 1 else r for r in refs]
                if self.name == "texts":
                    refs[0] = {r[0]: r for r in refs[0]}
            config["input_layers"], config["output_layers"] = refs
        return config

    # ---- weights

    def all_weights(self):
        """Of all layers: those that are trained, then the others."""
        all_ = [(n if isinstance(layer.inner, Model) else layer.name + "/" + n, a, fixed)
                for layer in self.layers for n, a, fixed in weights_of(layer)]
        return sorted(all_, key=lambda w: w[2])

    def save_h5(self, path, keras_version="2.13.1", backend="tensorflow"):
        with h5py.File(path, "w") as f:
            f.attrs["backend"] = backend
            f.attrs["keras_version"] = keras_version
            kind = "Sequential" if self.chain else "Functional" if keras_version[0] == "2" else "Model"
            if self.training:
                f.attrs["training_config"] = json.dumps(self.training[0]).encode("utf8")
            f.attrs["model_config"] = json.dumps({"class_name": kind, "config": self.config(2)}).encode("utf8")
            g = f.create_group("model_weights")
            g.attrs["layer_names"] = [layer.name.encode() for layer in self.layers]
            g.attrs["backend"] = b"tensorflow"
            g.attrs["keras_version"] = b"2.13.1"
            for layer in sorted(self.layers, key=lambda x: x.name):
                lg = g.create_group(layer.name)
                prefix = "" if isinstance(layer.inner, Model) else layer.name + "/"
                found = [(("%s%s:0" % (prefix, n)).encode(), a) for n, a, _ in weights_of(layer)]
                lg.attrs["weight_names"] = [n for n, _ in found]
                for n, a in found:
                    lg.create_dataset(n, a.shape, dtype=a.dtype)[...] = a

    def save_vars(self, store, path):
        used = {}
        for layer in self.layers:
            kind = ("Sequential" if layer.inner.chain else "Functional") if isinstance(layer.inner, Model) else layer.kind
            name = snake(kind)
            number = used[name] = used.get(name, -1) + 1
            at = path + "layers/" + (name if not number else "%s_%d" % (name, number))
            save_layer(store, at, layer)

    def save_keras(self, path):
        store = BytesIO()
        with h5py.File(store, "w") as f:
            self.save_vars(f, "")
        kind = "Sequential" if self.chain else "Functional"
        config = {"module": "keras", "class_name": kind, "config": self.config(3), "registered_name": kind}
        if self.training:
            config["compile_config"] = self.training[1]
        with zipfile.ZipFile(path, "w") as z:
            assets = [("assets/layers/%s/vocabulary.txt" % path, "\n".join(lines)) for path, lines in self.assets]
            for name, data in [("metadata.json", json.dumps({"keras_version": "3.3.3", "date_saved": "2024-01-01"})),
                               ("config.json", json.dumps(config)), ("model.weights.h5", store.getvalue())] + assets:
                z.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data)

    def alone(self, layer):
        """A model of nothing but this layer and what it needs."""
        found, waiting = [layer], [layer]
        while waiting:
            for args, keywords in waiting.pop().calls:
                for r in list(args) + list(keywords.values()):
                    if isinstance(r, Ref) and r.layer not in found:
                        found.append(r.layer)
                        waiting.append(r.layer)
        return Model("m", [x for x in self.layers if x in found], [r for r in self.inputs if r.layer in found],
                     [Ref(layer, 0, 0, None)])

    def save(self, folder, h5=True, **old):
        """old: only as .h5, of this keras_version and backend."""
        MODELS.append(self)
        path = os.path.join(folder, self.name)
        if h5:
            self.save_h5(path + ".h5", **old)
        if not old:
            self.save_keras(path + ".keras")
        arrays = {"in%d" % i: r.layer.array for i, r in enumerate(self.inputs)}
        arrays.update({"out%d" % i: np.asarray(r.value) for i, r in enumerate(self.outputs)})
        np.savez(path + ".npz", **arrays)


def weights_of(layer):
    """(name, array, is it one that is not trained?)"""
    if isinstance(layer.inner, Model):
        return layer.inner.all_weights()
    if layer.kind == "TimeDistributed":
        return weights_of(layer.inner)
    never = ("moving_mean", "moving_variance", "mean", "variance", "count")
    return [((p + "/" if p else "") + n, a, not layer.config["trainable"] or n in never) for p, n, a in layer.weights]


def save_layer(store, at, layer):
    if isinstance(layer.inner, Model):
        layer.inner.save_vars(store, at + "/")
        return
    if layer.kind == "TimeDistributed":
        save_layer(store, at + "/layer", layer.inner)
        return
    counts = {}
    for path, name, a in layer.weights:
        number = counts[path] = counts.get(path, -1) + 1
        key = name if name == "idf_weights" else "%d" % number  # IndexLookup.save_own_variables has a name for it
        store["%s%s/vars/%s" % (at, "/" + path if path else "", key)] = a


# ---- Layers by their formulas ------------------------------------------------------------------------------------

ACT = {None: lambda x: x, "linear": lambda x: x, "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
       "softmax": lambda x: torch.softmax(x, -1), "elu": F.elu, "selu": F.selu, "gelu": F.gelu,
       "softplus": F.softplus, "softsign": F.softsign, "swish": F.silu, "exponential": torch.exp}


def Dense(name, n, units, activation="linear", bias=True):
    w, b = rand(n, units), rand(units)
    ws = [("", "kernel", w)] + ([("", "bias", b)] if bias else [])
    return Layer("Dense", name, lambda x: ACT[activation](x @ t(w) + (t(b) if bias else 0)), ws, units=units,
                 activation=activation, use_bias=bias)


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def same_pads(sizes, kernel, strides, dilation):
    pads = []
    for n, k, s, d in zip(sizes, kernel, strides, dilation):
        reach = (k - 1) * d + 1
        total = max((-(-n // s) - 1) * s + reach - n, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def pad(x, pads, value=0.0):
    flat = [p for pair in reversed(pads) for p in pair]
    return F.pad(x, flat, value=value)


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONVT = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def convolve(x, w, bias, rank, strides, padding, dilation, groups=1, activation=None):
    """x [n, ..., c], w as Keras has it [k..., c / groups, f]."""
    x = first(x)
    kernel = w.shape[:rank]
    if padding == "same":
        x = pad(x, same_pads(x.shape[2:], kernel, strides, dilation))
    if padding == "causal":
        x = F.pad(x, ((kernel[0] - 1) * dilation[0], 0))
    w = t(w).permute(rank + 1, rank, *range(rank))
    y = CONV[rank](x, w, None if bias is None else t(bias), strides, 0, dilation, groups)
    return ACT[activation](last(y))


def Conv(rank, name, c, filters, kernel, strides=None, padding="valid", dilation=None, groups=1, activation="linear",
         bias=True, data_format="channels_last"):
    strides, dilation = strides or [1] * rank, dilation or [1] * rank
    w, b = rand(*kernel, c // groups, filters), rand(filters) if bias else None
    ws = [("", "kernel", w)] + ([("", "bias", b)] if bias else [])

    def call(x):
        if data_format == "channels_first":
            return first(convolve(last(x), w, b, rank, strides, padding, dilation, groups, activation))
        return convolve(x, w, b, rank, strides, padding, dilation, groups, activation)
    return Layer("Conv%dD" % rank, name, call, ws, filters=filters, kernel_size=list(kernel), strides=strides,
                 padding=padding, data_format=data_format, dilation_rate=dilation, groups=groups,
                 activation=activation, use_bias=bias)


def ConvTranspose(rank, name, c, filters, kernel, strides, padding):
    w, b = rand(*kernel, filters, c), rand(filters)

    def call(x):
        wt = t(w).permute(rank + 1, rank, *range(rank))
        y = CONVT[rank](first(x), wt, None, strides)  # (n - 1) s + k
        for i in range(rank):
            n = x.shape[1 + i] * strides[i]
            if padding == "valid":
                n += max(kernel[i] - strides[i], 0)
                begin = 0
            else:
                begin = max(kernel[i] - strides[i], 0) // 2
            size = y.shape[2 + i]
            if begin + n > size:
                y = pad(y, [(0, 0)] * i + [(0, begin + n - size)] + [(0, 0)] * (rank - 1 - i))
            y = y.narrow(2 + i, begin, n)
        return last(y) + t(b)
    return Layer("Conv%dDTranspose" % rank, name, call, [("", "kernel", w), ("", "bias", b)], filters=filters,
                 kernel_size=list(kernel), strides=strides, padding=padding, data_format="channels_last",
                 dilation_rate=[1] * rank, output_padding=None, activation="linear", use_bias=True)


def deep(x, w, rank, strides, padding, dilation):
    """w [k..., c, m]: as a convolution in c groups."""
    k, c, m = w.shape[:rank], w.shape[rank], w.shape[rank + 1]
    return convolve(x, w.reshape(*k, 1, c * m), None, rank, strides, padding, dilation, c)


def Depthwise(rank, name, c, m, kernel, strides, padding):
    w, b = rand(*kernel, c, m), rand(c * m)
    return Layer("DepthwiseConv%dD" % rank, name, lambda x: deep(x, w, rank, strides, padding, [1] * rank) + t(b),
                 [("", "depthwise_kernel", w), ("", "bias", b)], kernel_size=list(kernel), strides=strides,
                 padding=padding, depth_multiplier=m, data_format="channels_last", dilation_rate=[1] * rank,
                 activation="linear", use_bias=True)


def Separable(rank, name, c, m, filters, kernel, padding):
    w, p, b = rand(*kernel, c, m), rand(*[1] * rank, c * m, filters), rand(filters)

    def call(x):
        y = deep(x, w, rank, [1] * rank, padding, [1] * rank)
        return torch.relu(convolve(y, p, b, rank, [1] * rank, "valid", [1] * rank))
    return Layer("SeparableConv%dD" % rank, name, call,
                 [("", "depthwise_kernel", w), ("", "pointwise_kernel", p), ("", "bias", b)], filters=filters,
                 kernel_size=list(kernel), strides=[1] * rank, padding=padding, depth_multiplier=m,
                 data_format="channels_last", dilation_rate=[1] * rank, activation="relu", use_bias=True)


MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def Pool(rank, kind, name, size, strides, padding, data_format="channels_last"):
    def call(x):
        x = first(x) if data_format == "channels_last" else x
        pads = same_pads(x.shape[2:], size, strides, [1] * rank) if padding == "same" else [(0, 0)] * rank
        if kind == "Max":
            y = MAX[rank](pad(x, pads, -np.inf), size, strides)
        else:  # pads do not count
            y = MEAN[rank](pad(x, pads), size, strides) / MEAN[rank](pad(torch.ones_like(x), pads), size, strides)
        return last(y) if data_format == "channels_last" else y
    return Layer("%sPooling%dD" % (kind, rank), name, call, pool_size=size, strides=strides, padding=padding,
                 data_format=data_format)


def Global(rank, kind, name, keepdims=False):
    axes = list(range(1, rank + 1))
    return Layer("Global%sPooling%dD" % (kind, rank), name,
                 (lambda x: x.amax(axes, keepdims)) if kind == "Max" else (lambda x: x.mean(axes, keepdims)),
                 data_format="channels_last", keepdims=keepdims)


def BatchNorm(name, n, axis=-1, scale=True, center=True, epsilon=1e-3, rank=4):
    gamma, beta, mean, var = 1 + rand(n), rand(n), rand(n), 1 + rng.uniform(size=n)
    ws = ([("", "gamma", gamma)] if scale else []) + ([("", "beta", beta)] if center else [])
    ws += [("", "moving_mean", mean), ("", "moving_variance", var)]
    shape = [1] * rank
    shape[axis] = n

    def call(x):
        y = (x - t(mean).view(shape)) / torch.sqrt(t(var).view(shape) + epsilon)
        y = y * t(gamma).view(shape) if scale else y
        return y + t(beta).view(shape) if center else y
    return Layer("BatchNormalization", name, call, ws, axis=[axis % rank], momentum=0.99, epsilon=epsilon, scale=scale,
                 center=center)


def LayerNorm(name, shape, axes):
    gamma, beta = 1 + rand(*shape), rand(*shape)
    return Layer("LayerNormalization", name, lambda x: F.layer_norm(x, shape, t(gamma), t(beta), 1e-3),
                 [("", "gamma", gamma), ("", "beta", beta)], axis=axes, epsilon=1e-3, center=True, scale=True)


def GroupNorm(name, n, groups):
    gamma, beta = 1 + rand(n), rand(n)
    return Layer("GroupNormalization", name,
                 lambda x: last(F.group_norm(first(x), groups, t(gamma), t(beta), 1e-3)),
                 [("", "gamma", gamma), ("", "beta", beta)], groups=groups, axis=-1, epsilon=1e-3, center=True,
                 scale=True)


def cell(kind, u, w, r, b, act, gate, reset_after=True):
    """One step: (x, states) -> states, the first of which is the result."""
    w, r = t(w), t(r)
    f, s = ACT[act], ACT[gate] if gate != "hard_sigmoid" else lambda x: torch.clip(0.2 * x + 0.5, 0, 1)
    if kind == "SimpleRNN":
        return lambda x, h: [f(x @ w + h[0] @ r + t(b))]
    if kind == "LSTM":
        def lstm(x, h):
            i, g, c, o = (x @ w + h[0] @ r + t(b)).split(u, -1)
            c = s(g) * h[1] + s(i) * f(c)
            return [s(o) * f(c), c]
        return lstm

    def gru(x, h):
        if reset_after:
            x3, h3 = (x @ w + t(b[0])).split(u, -1), (h[0] @ r + t(b[1])).split(u, -1)
            z, g = s(x3[0] + h3[0]), s(x3[1] + h3[1])
            n = f(x3[2] + g * h3[2])
        else:
            x3, r3 = (x @ w + t(b)).split(u, -1), r.split(u, -1)
            z, g = s(x3[0] + h[0] @ r3[0]), s(x3[1] + h[0] @ r3[1])
            n = f(x3[2] + (g * h[0]) @ r3[2])
        return [z * h[0] + (1 - z) * n]
    return gru


GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def run(step, x, states, backwards=False, mask=None):
    """All results [n, steps, u] in the order they are made in, and the last states."""
    results, y = [], torch.zeros_like(states[0])
    steps = range(x.shape[1])
    for i in reversed(steps) if backwards else steps:
        new = step(x[:, i], states)
        if mask is None:
            states, y = new, new[0]
        else:
            m = mask[:, i, None]
            states = [torch.where(m, a, b) for a, b in zip(new, states)]
            y = torch.where(m, new[0], y)
        results.append(y)
    return torch.stack(results, 1), states


def RNN(kind, name, n, u, act="tanh", gate="sigmoid", reset_after=True, mask=None, **config):
    k = GATES[kind]
    w, r = rand(n, k * u), rand(u, k * u)
    b = rand(2, k * u) if kind == "GRU" and reset_after else rand(k * u)
    step = cell(kind, u, w, r, b, act, gate, reset_after)
    if kind != "SimpleRNN":
        config["recurrent_activation"] = gate
    if kind == "GRU":
        config["reset_after"] = reset_after

    def call(x, *initial):
        states = list(initial) or [torch.zeros(x.shape[0], u, dtype=torch.float64)] * (2 if kind == "LSTM" else 1)
        all_, states = run(step, x, states, config.get("go_backwards", False), mask)
        y = all_ if config.get("return_sequences") else all_[:, -1]
        return [y] + states if config.get("return_state") else y
    layer = Layer(kind, name, call, [("cell", "kernel", w), ("cell", "recurrent_kernel", r), ("cell", "bias", b)],
                  units=u, activation=act, use_bias=True, **config)
    layer.step, layer.u = step, u
    return layer


def Bidirectional(name, kind, n, u, mode="concat", sequences=False, state=False):
    make = [RNN(kind, "forward_" + name, n, u, return_sequences=sequences, return_state=state),
            RNN(kind, "backward_" + name, n, u, return_sequences=sequences, return_state=state, go_backwards=True)]

    def call(x):
        zero = [torch.zeros(x.shape[0], u, dtype=torch.float64)] * (2 if kind == "LSTM" else 1)
        (a, sa), (b, sb) = run(make[0].step, x, zero), run(make[1].step, x, zero, True)
        a, b = (a, b.flip(1)) if sequences else (a[:, -1], b[:, -1])
        y = {"concat": lambda: torch.cat([a, b], -1), "sum": lambda: a + b, "mul": lambda: a * b,
             "ave": lambda: (a + b) / 2}[mode]()
        return [y] + sa + sb if state else y
    ws = [(d + "_layer/cell", n_, a) for d, m in zip(("forward", "backward"), make) for _, n_, a in m.weights]
    return Layer("Bidirectional", name, call, ws, layer=make[0], backward_layer=make[1], merge_mode=mode)


def ConvLSTM(name, c, f, kernel, padding, sequences):
    w, r, b = rand(*kernel, c, 4 * f), rand(*kernel, f, 4 * f), rand(4 * f)

    def call(x):
        h = cc = None
        out = []
        for i in range(x.shape[1]):
            z = convolve(x[:, i], w, b, 2, [1, 1], padding, [1, 1])
            if h is None:
                h = cc = torch.zeros(*z.shape[:-1], f, dtype=torch.float64)
            z = z + convolve(h, r, None, 2, [1, 1], "same", [1, 1])
            a, g, n, o = z.split(f, -1)
            cc = torch.sigmoid(g) * cc + torch.sigmoid(a) * torch.tanh(n)
            h = torch.sigmoid(o) * torch.tanh(cc)
            out.append(h)
        return torch.stack(out, 1) if sequences else h
    return Layer("ConvLSTM2D", name, call,
                 [("cell", "kernel", w), ("cell", "recurrent_kernel", r), ("cell", "bias", b)], filters=f,
                 kernel_size=list(kernel), strides=[1, 1], padding=padding, data_format="channels_last",
                 dilation_rate=[1, 1], activation="tanh", recurrent_activation="sigmoid", use_bias=True,
                 return_sequences=sequences, go_backwards=False, return_state=False)


def Heads(name, n, heads, d, dv=None, output=None):
    dv, out = dv or d, output or n
    ws = []
    for part, size in (("query", d), ("key", d), ("value", dv)):
        ws += [(part + "_dense", part + "/kernel", rand(n, heads, size)), (part + "_dense", part + "/bias", rand(heads, size))]
    ws += [("output_dense", "attention_output/kernel", rand(heads, dv, out)),
           ("output_dense", "attention_output/bias", rand(out))]
    a = [t(w) for _, _, w in ws]

    def call(q, v, k=None, use_causal_mask=False, attention_mask=None, key=None):
        k = key if key is not None else v if k is None else k
        q, k, v = (torch.einsum("btc,chd->bthd", x, a[2 * i]) + a[2 * i + 1] for i, x in enumerate((q, k, v)))
        s = torch.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(d)
        if use_causal_mask:
            s = s.masked_fill(torch.ones_like(s).triu(1).bool(), -np.inf)
        if attention_mask is not None:
            s = s.masked_fill(~attention_mask[:, None], -np.inf)
        y = torch.einsum("bhqk,bkhd->bqhd", torch.softmax(s, -1), v)
        return torch.einsum("bqhd,hdc->bqc", y, a[6]) + a[7]
    return Layer("MultiHeadAttention", name, call, ws, num_heads=heads, key_dim=d, value_dim=dv, dropout=0.0,
                 use_bias=True, output_shape=output, attention_axes=None)


def plain(kind, name, call, **config):
    return Layer(kind, name, call, **config)


# ---- Models ------------------------------------------------------------------------------------------------------

class Net:
    """Collects layers in the order of their making, and outputs."""

    def __init__(self, name):
        self.name, self.layers, self.inputs, self.outputs = name, [], [], []

    def input(self, name, value, shape=None):
        r = Input(name, value, shape)
        self.layers.append(r.layer)
        self.inputs.append(r)
        return r

    def add(self, layer, *args, **keywords):
        if layer not in self.layers:
            self.layers.append(layer)
        return layer(*args, **keywords)

    def out(self, layer, *args, **keywords):
        y = self.add(layer, *args, **keywords)
        self.outputs += y if isinstance(y, list) else [y]
        return y

    def model(self):
        return Model(self.name, self.layers, self.inputs, self.outputs)


def images(folder):
    m = Net("images")
    x = m.input("image", rand(2, 7, 6, 4))
    m.out(Conv(2, "conv", 4, 3, [3, 2], activation="relu"), x)
    m.out(Conv(2, "conv_same", 4, 3, [3, 2], [2, 2], "same"), x)
    m.out(Conv(2, "conv_dilated", 4, 3, [2, 2], dilation=[2, 1], padding="same", bias=False), x)
    m.out(Conv(2, "conv_groups", 4, 6, [3, 3], groups=2), x)
    m.out(ConvTranspose(2, "up", 4, 3, [3, 2], [2, 3], "same"), x)
    m.out(ConvTranspose(2, "up_valid", 4, 3, [3, 2], [2, 1], "valid"), x)
    m.out(ConvTranspose(2, "up_wide", 4, 2, [2, 2], [3, 3], "valid"), x)
    m.out(Depthwise(2, "deep", 4, 2, [3, 3], [2, 2], "same"), x)
    m.out(Separable(2, "separable", 4, 2, 5, [3, 3], "valid"), x)
    m.out(Pool(2, "Max", "max", [2, 2], [2, 2], "valid"), x)
    m.out(Pool(2, "Max", "max_same", [3, 3], [2, 2], "same"), x)
    m.out(Pool(2, "Average", "mean_same", [3, 2], [2, 2], "same"), x)
    m.out(Global(2, "Max", "global_max"), x)
    m.out(Global(2, "Average", "global_mean", True), x)
    m.out(BatchNorm("norm", 4), x)
    m.out(BatchNorm("norm_plain", 4, scale=False, epsilon=0.1), x)
    m.out(LayerNorm("rows", [4], [3]), x)
    m.out(LayerNorm("planes", [6, 4], [2, 3]), x)
    m.out(GroupNorm("groups", 4, 2), x)
    m.out(plain("ZeroPadding2D", "pad", lambda x: F.pad(x, (0, 0, 3, 4, 1, 2)), padding=[[1, 2], [3, 4]],
                data_format="channels_last"), x)
    m.out(plain("Cropping2D", "crop", lambda x: x[:, 1:-2, 2:-1], cropping=[[1, 2], [2, 1]],
                data_format="channels_last"), x)
    m.out(plain("UpSampling2D", "nearest", lambda x: x.repeat_interleave(2, 1).repeat_interleave(3, 2), size=[2, 3],
                data_format="channels_last", interpolation="nearest"), x)
    m.out(plain("UpSampling2D", "bilinear",
                lambda x: last(F.interpolate(first(x), scale_factor=(2, 2), mode="bilinear")), size=[2, 2],
                data_format="channels_last", interpolation="bilinear"), x)
    m.out(plain("SpatialDropout2D", "drop", lambda x: x, rate=0.4, data_format="channels_last"), x)
    f = m.add(plain("Flatten", "flatten", lambda x: x.reshape(x.shape[0], -1), data_format="channels_last"), x)
    m.out(Dense("dense", 168, 3, "softmax"), f)
    c = m.add(plain("Permute", "permute", lambda x: x.permute(0, 3, 1, 2), dims=[3, 1, 2]), x)
    m.out(Conv(2, "first", 4, 3, [3, 3], [2, 1], "same", data_format="channels_first"), c)
    m.out(Pool(2, "Average", "first_mean", [2, 2], [2, 2], "valid", "channels_first"), c)
    m.out(BatchNorm("first_norm", 4, 1), c)
    m.out(plain("Resizing", "resize", lambda x: last(F.interpolate(first(x), size=(5, 9), mode="bilinear")), height=5,
                width=9, interpolation="bilinear", crop_to_aspect_ratio=False, data_format="channels_last"), x)
    m.out(plain("CenterCrop", "centre", lambda x: x[:, 2:5, 1:5], height=3, width=4, data_format="channels_last"), x)
    m.out(plain("RandomFlip", "flip", lambda x: x, mode="horizontal", seed=None), x)
    m.out(plain("RandomRotation", "turn", lambda x: x, factor=[-0.1, 0.1], fill_mode="reflect", fill_value=0.0,
                interpolation="bilinear", seed=None), x)
    m.out(plain("RandomZoom", "zoom", lambda x: x, height_factor=0.2, width_factor=None, fill_mode="reflect",
                fill_value=0.0, interpolation="bilinear", seed=None), x)
    m.out(plain("Flatten", "first_flatten", lambda x: last(x).reshape(x.shape[0], -1), data_format="channels_first"), c)
    m.model().save(folder)


def lines(folder):
    m = Net("lines")
    x = m.input("series", rand(2, 8, 4), [None, 4])
    m.out(Conv(1, "causal", 4, 3, [3], dilation=[2], padding="causal", activation="tanh"), x)
    m.out(Conv(1, "same", 4, 3, [4], [3], "same"), x)
    m.out(ConvTranspose(1, "up", 4, 3, [3], [2], "same"), x)
    m.out(Depthwise(1, "deep", 4, 2, [3], [1], "same"), x)
    m.out(Separable(1, "separable", 4, 1, 5, [3], "same"), x)
    m.out(Pool(1, "Max", "max", [2], [2], "same"), x)
    m.out(Pool(1, "Average", "mean", [3], [2], "valid"), x)
    m.out(Global(1, "Max", "global_max"), x)
    m.out(Global(1, "Average", "global_mean"), x)
    m.out(plain("ZeroPadding1D", "pad", lambda x: F.pad(x, (0, 0, 2, 1)), padding=[2, 1]), x)
    m.out(plain("Cropping1D", "crop", lambda x: x[:, 1:-1], cropping=[1, 1]), x)
    m.out(plain("UpSampling1D", "double", lambda x: x.repeat_interleave(2, 1), size=2), x)
    v = m.input("volume", rand(2, 4, 5, 4, 2))
    m.out(Conv(3, "conv3", 2, 3, [2, 3, 2], [1, 2, 1], "same"), v)
    m.out(ConvTranspose(3, "up3", 2, 3, [2, 2, 2], [2, 1, 1], "valid"), v)
    m.out(Pool(3, "Max", "max3", [2, 2, 2], [2, 2, 2], "valid"), v)
    m.out(Pool(3, "Average", "mean3", [2, 3, 2], [1, 2, 2], "same"), v)
    m.out(Global(3, "Average", "global_mean3"), v)
    m.out(plain("ZeroPadding3D", "pad3", lambda x: F.pad(x, (0, 0, 1, 1, 2, 0, 0, 1)),
                padding=[[0, 1], [2, 0], [1, 1]], data_format="channels_last"), v)
    m.out(plain("UpSampling3D", "double3", lambda x: x.repeat_interleave(2, 1).repeat_interleave(2, 2)
                .repeat_interleave(2, 3), size=[2, 2, 2], data_format="channels_last"), v)
    m.out(ConvLSTM("conv_lstm", 2, 3, [3, 2], "same", True), v)
    m.out(ConvLSTM("conv_lstm_last", 2, 3, [2, 2], "valid", False), v)
    m.model().save(folder)


def recurrent(folder):
    m = Net("recurrent")
    x = m.input("x", rand(3, 6, 4), [None, 4])
    for kind in ("SimpleRNN", "LSTM", "GRU"):
        low = kind.lower()
        m.out(RNN(kind, low, 4, 3), x)
        m.out(RNN(kind, low + "_all", 4, 3, return_sequences=True), x)
        m.out(RNN(kind, low + "_back", 4, 3, return_sequences=True, go_backwards=True), x)
        m.out(RNN(kind, low + "_state", 4, 3, return_sequences=True, return_state=True), x)
        m.out(Bidirectional("both_" + low, kind, 4, 3), x)
    m.out(RNN("GRU", "gru_before", 4, 3, reset_after=False, return_sequences=True), x)
    m.out(RNN("LSTM", "lstm_relu", 4, 3, act="relu"), x)
    m.out(Bidirectional("both_sum", "LSTM", 4, 3, "sum", True), x)
    m.out(Bidirectional("both_mul", "GRU", 4, 3, "mul"), x)
    m.out(Bidirectional("both_state", "LSTM", 4, 3, "ave", state=True), x)
    h, c = m.input("h", rand(3, 3)), m.input("c", rand(3, 3))
    m.out(RNN("LSTM", "lstm_begun", 4, 3), x, h, c)
    dense = Dense("inner", 4, 2, "tanh")
    m.out(plain("TimeDistributed", "steps", dense.call, inner=dense, layer=dense), x)
    ids = m.input("ids", np.array([[1, 2, 0, 0], [3, 1, 4, 2], [4, 0, 0, 0]], "int32"))
    table = rand(5, 4)
    mask = torch.tensor(np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]) > 0)
    words = Layer("Embedding", "words", lambda i: t(table)[i.long()], [("", "embeddings", table)], input_dim=5,
                  output_dim=4, mask_zero=False)
    # ours gives zeros where mask_zero masks; what follows reads the mask, so nothing depends on it
    padded = Layer("Embedding", "padded", lambda i: t(table)[i.long()], [("", "embeddings", table)], input_dim=5,
                   output_dim=4, mask_zero=True)
    m.out(words, ids)
    e = m.add(padded, ids)
    m.out(RNN("LSTM", "lstm_masked", 4, 3, mask=mask), e)
    m.out(RNN("GRU", "gru_masked", 4, 3, mask=mask, return_sequences=True), e)
    m.model().save(folder)


def attention(folder):
    m = Net("attention")
    q, v = m.input("q", rand(2, 5, 6)), m.input("v", rand(2, 4, 6))
    m.out(Heads("self_attention", 6, 2, 3), q, q)
    m.out(Heads("cross", 6, 2, 3, 4, 5), q, v)
    m.out(Heads("causal", 6, 3, 2), q, q, use_causal_mask=True)
    m.out(Heads("with_key", 6, 2, 3), q, v, key=v)

    def dot(q, v, k=None, use_causal_mask=False):
        s = q @ (v if k is None else k).transpose(1, 2)
        if use_causal_mask:
            s = s.masked_fill(torch.ones_like(s).triu(1).bool(), -np.inf)
        return torch.softmax(s, -1) @ v
    m.out(plain("Attention", "luong", dot, use_scale=False, score_mode="dot", dropout=0.0), q, v)
    scale = np.array(0.3)
    m.out(Layer("Attention", "scaled", lambda q, v: dot(q * 0.3, v), [("", "scale", scale)], use_scale=True,
                score_mode="dot", dropout=0.0), q, v)
    m.model().save(folder)


def activations(folder):
    m = Net("activations")
    x = m.input("x", rand(3, 5) * 4)
    for name in ("relu", "tanh", "sigmoid", "softmax", "elu", "selu", "gelu", "softplus", "softsign", "swish",
                 "exponential", "linear"):
        m.out(plain("Activation", "f_" + name, ACT[name], activation=name), x)
    m.out(plain("ReLU", "relu6", lambda x: torch.where(x >= 0.5, x, 0.1 * (x - 0.5)).clip(max=1.5), max_value=1.5,
                negative_slope=0.1, threshold=0.5), x)
    m.out(plain("LeakyReLU", "leaky", lambda x: F.leaky_relu(x, 0.2), alpha=0.2), x)
    m.out(plain("ELU", "elu2", lambda x: F.elu(x, 0.7), alpha=0.7), x)
    m.out(plain("Softmax", "soft", lambda x: torch.softmax(x, 1), axis=1), x)
    alpha = rng.uniform(size=5)
    m.out(Layer("PReLU", "prelu", lambda x: torch.where(x > 0, x, t(alpha) * x), [("", "alpha", alpha)],
                shared_axes=None), x)
    m.out(plain("Rescaling", "rescaling", lambda x: x * 0.5 - 1, scale=0.5, offset=-1.0), x)
    mean, var = rand(5), 1 + rng.uniform(size=5)
    m.out(Layer("Normalization", "normal", lambda x: (x - t(mean)) / torch.sqrt(t(var)),
                [("", "mean", mean), ("", "variance", var), ("", "count", np.array(9))], axis=[-1], invert=False,
                mean=None, variance=None), x)
    m.out(plain("RepeatVector", "repeat", lambda x: x[:, None].repeat(1, 3, 1), n=3), x)
    m.out(plain("Reshape", "reshape", lambda x: x.reshape(-1, 5, 1), target_shape=[5, 1]), x)
    m.out(plain("Dropout", "dropout", lambda x: x, rate=0.5, noise_shape=None, seed=None), x)
    m.out(plain("GaussianNoise", "noise", lambda x: x, stddev=0.5), x)
    m.out(plain("UnitNormalization", "unit", lambda x: x / x.norm(dim=-1, keepdim=True), axis=[-1]), x)
    m.model().save(folder)


def branches(folder):
    """Several inputs and outputs, merges, layers that are shared, models that are layers (one of them twice)."""
    m = Net("branches")
    a, b = m.input("a", rand(3, 4)), m.input("b", rand(3, 4))
    shared = Dense("shared", 4, 5, "relu")
    u, v = m.add(shared, a), m.add(shared, b)
    m.out(plain("Add", "sum", lambda *x: sum(x)), u, v)
    m.out(plain("Subtract", "less", lambda x, y: x - y), u, v)
    m.out(plain("Multiply", "product", lambda x, y: x * y), u, v)
    m.out(plain("Average", "average", lambda x, y: (x + y) / 2), u, v)
    m.out(plain("Maximum", "larger", torch.maximum), u, v)
    m.out(plain("Minimum", "smaller", torch.minimum), u, v)
    both = m.out(plain("Concatenate", "both", lambda *x: torch.cat(x, -1), axis=-1), u, v, a)
    m.out(plain("Dot", "dot", lambda x, y: (x * y).sum(-1, keepdim=True), axes=1, normalize=False), u, v)

    inner = Net("encoder")
    i = inner.input("code", rand(1, 4))
    h = inner.add(Dense("shared", 4, 3, "tanh"), i)  # a name of the outer model as well
    n = BatchNorm("norm", 3, rank=2)
    h = inner.add(n, h)
    inner.out(Dense("out", 3, 2), h)
    encoder = inner.model()

    def call(x):
        for layer in encoder.layers[1:]:
            x = layer.call(x)
        return x
    layer = Layer("Functional", "encoder", call, inner=encoder)
    ea, eb = m.add(layer, a), m.add(layer, b)
    m.out(plain("Add", "codes", lambda *x: sum(x)), ea, eb)
    chain = Model("tower", [Input("tower_input", rand(1, 14)).layer, Dense("one", 14, 4, "relu"),
                            Dense("two", 4, 2)], None, None, True)
    tower = Layer("Sequential", "tower", lambda x: chain.layers[2].call(chain.layers[1].call(x)), inner=chain)
    m.out(tower, both)
    m.model().save(folder)


def follow(layers):
    def call(x):
        for layer in layers:
            x = layer.call(x)
        return x
    return call


def Normal(name, n):
    mean, var = rand(n), 1 + rng.uniform(size=n)
    return Layer("Normalization", name, lambda x: (x - t(mean)) / torch.sqrt(t(var)),
                 [("", "mean", mean), ("", "variance", var), ("", "count", np.array(9))], axis=[-1], invert=False,
                 mean=None, variance=None)


def nested(folder):
    """A backbone in a model, as is usual: a Normalization in it, layers that are frozen, another model."""
    m = Net("nested")
    x = m.input("x", rand(3, 4))
    chain = [Input("chain_input", rand(1, 5)).layer, Normal("normal_2", 5), Dense("one", 5, 3, "tanh"),
             BatchNorm("norm", 3, rank=2)]
    backbone = Net("backbone")
    y = backbone.input("code", rand(1, 4))
    layers = [Normal("normal", 4), Dense("frozen", 4, 5, "relu"),
              Layer("Sequential", "chain", follow(chain[1:]), inner=Model("chain", chain, None, None, True)),
              Dense("last", 3, 2)]
    layers[1].config["trainable"] = False
    for layer in layers:
        y = backbone.add(layer, y)
    backbone.outputs.append(y)
    y = m.add(Layer("Functional", "backbone", follow(layers), inner=backbone.model()), x)
    m.out(Dense("head", 2, 3, "softmax"), y)
    m.model().save(folder)


def sequential(folder):
    """Float32, as nearly all files are; names with characters that ours have not."""
    global DTYPE
    DTYPE = "float32"
    x = Input("conv_input", rng.normal(size=(2, 8, 8, 1)).astype("float32"))
    layers = [x.layer, Conv(2, "block/conv 1", 1, 4, [3, 3], activation="relu"),
              Pool(2, "Max", "pool", [2, 2], [2, 2], "valid"), BatchNorm("norm", 4),
              plain("Flatten", "flatten", lambda x: x.reshape(x.shape[0], -1), data_format="channels_last"),
              plain("Dropout", "dropout", lambda x: x, rate=0.5), Dense("dense", 36, 3, "softmax")]
    for layer in layers:
        layer.weights = [(p, n, a.astype("float32")) for p, n, a in layer.weights]
    y = x.value.double()
    for layer in layers[1:]:
        y = layer.call(y)
    m = Model("sequential", layers, [x], [Ref(layers[-1], 0, 0, y)], True)
    m.training = ({"loss": "categorical_crossentropy", "loss_weights": None, "weighted_metrics": None,
                   "metrics": [[{"class_name": "MeanMetricWrapper",
                                 "config": {"name": "accuracy", "dtype": "float32", "fn": "categorical_accuracy"}}]],
                   "optimizer_config": {"class_name": "Adam", "config": {"learning_rate": 0.001}}},
                  {"optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.001}},
                   "loss": {"module": "keras.losses", "class_name": "SparseCategoricalCrossentropy",
                            "config": {"name": "s", "reduction": "sum_over_batch_size", "from_logits": False,
                                       "ignore_class": None}, "registered_name": None},
                   "loss_weights": None, "metrics": ["accuracy", "mae"], "weighted_metrics": None})
    m.save(folder)
    DTYPE = "float64"


def cells(folder):
    """RNN of one cell and of several, and two directions that are not merged."""
    m = Net("cells")
    x = m.input("x", rand(3, 5, 4), [None, 4])
    h = m.input("h", rand(3, 3))
    zero = lambda u: torch.zeros(3, u, dtype=torch.float64)

    def one(name, kind, u, number="", **config):
        layer = RNN(kind, name, 4, u)
        keys = ("units", "activation", "use_bias", "recurrent_activation", "reset_after")
        cell = {"class_name": kind + "Cell", "config": {"name": kind.lower() + "_cell" + number,
                                                        **{k: layer.config[k] for k in keys if k in layer.config}}}
        return layer, cell

    for kind in ("SimpleRNN", "LSTM", "GRU"):
        layer, cell_config = one("r", kind, 3)
        states = 2 if kind == "LSTM" else 1

        def call(x, layer=layer, states=states):
            all_, last_ = run(layer.step, x, [zero(3)] * states)
            return [all_] + last_
        m.out(Layer("RNN", "rnn_" + kind.lower(), call, layer.weights, cell=cell_config, return_sequences=True,
                    return_state=True, go_backwards=False), x)
    layer, cell_config = one("r", "GRU", 3)
    m.out(Layer("RNN", "rnn_begun", lambda x, h: run(layer.step, x, [h])[0][:, -1], layer.weights, cell=cell_config,
                return_sequences=False, return_state=False, go_backwards=False), x, h)

    parts = [RNN("LSTM", "a", 4, 3), RNN("LSTM", "b", 3, 2), RNN("GRU", "c", 2, 4)]
    names = ("lstm_cell", "lstm_cell_1", "gru_cell")
    configs = [{"class_name": p.kind + "Cell", "config": {"name": n, "units": p.u, "activation": "tanh",
                                                          "recurrent_activation": "sigmoid", "use_bias": True,
                                                          **({"reset_after": True} if p.kind == "GRU" else {})}}
               for p, n in zip(parts, names)]
    weights = [("cell/cells/" + n, w, a) for p, n in zip(parts, names) for _, w, a in p.weights]

    def stack(x):
        state = [[zero(3)] * 2, [zero(2)] * 2, [zero(4)]]
        all_ = []
        for i in reversed(range(x.shape[1])):
            y = x[:, i]
            for j, p in enumerate(parts):
                state[j] = p.step(y, state[j])
                y = state[j][0]
            all_.append(y)
        return [torch.stack(all_, 1)] + [s for one_ in state for s in one_]
    m.out(Layer("RNN", "stack", stack, weights, cell={"class_name": "StackedRNNCells",
                                                      "config": {"name": "stacked", "cells": configs}},
                return_sequences=True, return_state=True, go_backwards=True), x)

    both = [RNN("GRU", d + "_apart", 4, 3, return_sequences=True, go_backwards=d == "backward")
            for d in ("forward", "backward")]
    ws = [(d + "_layer/cell", n_, a) for d, b in zip(("forward", "backward"), both) for _, n_, a in b.weights]

    def apart(x):
        return [run(both[0].step, x, [zero(3)])[0], run(both[1].step, x, [zero(3)], True)[0].flip(1)]
    m.out(Layer("Bidirectional", "apart", apart, ws, layer=both[0], backward_layer=both[1], merge_mode=None), x)
    m.model().save(folder)


def others(folder):
    """Layers that came later, or are rare."""
    m = Net("others")
    q, v = m.input("q", rand(3, 5, 6)), m.input("v", rand(3, 4, 6))

    def scores(s, v, use_causal_mask=False):
        if use_causal_mask:
            s = s.masked_fill(torch.ones_like(s).triu(1).bool(), -np.inf)
        return torch.softmax(s, -1) @ v
    pairs = lambda q, k: torch.tanh(q[:, :, None] + k[:, None])
    scale = rand(6)
    additive = lambda q, v, k=None, **how: scores((t(scale) * pairs(q, v if k is None else k)).sum(-1), v, **how)
    m.out(Layer("AdditiveAttention", "bahdanau", additive, [("", "scale", scale)], use_scale=True, dropout=0.0), q, v)
    m.out(Layer("AdditiveAttention", "bahdanau_causal", lambda q, v, **how: scores(pairs(q, v).sum(-1), v, **how),
                use_scale=False, dropout=0.0), q, q, use_causal_mask=True)
    m.out(Layer("Attention", "concat", lambda q, v: scores(0.7 * torch.tanh(0.3 * (q[:, :, None] + v[:, None])).sum(-1), v),
                [("", "scale", np.array(0.3)), ("", "concat_score_weight", np.array(0.7))], use_scale=True,
                score_mode="concat", dropout=0.0), q, v)

    ws = []
    for part, n in (("query", 4), ("key", 2), ("value", 2)):
        ws += [("_%s_dense" % part, part + "/kernel", rand(6, n, 3)), ("_%s_dense" % part, part + "/bias", rand(n, 3))]
    ws += [("_output_dense", "attention_output/kernel", rand(4, 3, 6)),
           ("_output_dense", "attention_output/bias", rand(6))]
    a = [t(w) for _, _, w in ws]

    def grouped(q, v):
        q, k, v = (torch.einsum("btc,chd->bthd", x, a[2 * i]) + a[2 * i + 1] for i, x in enumerate((q, v, v)))
        k, v = (x.repeat_interleave(2, 2) for x in (k, v))
        y = torch.softmax(torch.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(3), -1)
        return torch.einsum("bhqk,bkhd,hdc->bqc", y, v, a[6]) + a[7]
    m.out(Layer("GroupedQueryAttention", "grouped", grouped, ws, head_dim=3, num_query_heads=4, num_key_value_heads=2,
                dropout=0.0, use_bias=True, use_gate=False), q, v)

    w, b = rand(6, 2, 3), rand(2, 1)
    m.out(Layer("EinsumDense", "einsum", lambda x: torch.tanh(torch.einsum("abc,cde->abde", x, t(w)) + t(b)),
                [("", "kernel", w), ("", "bias", b)], equation="abc,cde->abde", output_shape=[None, 2, 3],
                activation="tanh", bias_axes="d"), q)
    w2, b2 = rand(6, 4), rand(4)
    m.out(Layer("EinsumDense", "einsum_dots", lambda x: x @ t(w2) + t(b2), [("", "kernel", w2), ("", "bias", b2)],
                equation="...x,xy->...y", output_shape=4, activation="linear", bias_axes="y"), q)

    inner = Dense("inner", 6, 3)
    m.out(Layer("SpectralNormalization", "spectral", inner.call,
                [("layer", "kernel", inner.weights[0][2]), ("layer", "bias", inner.weights[1][2]),
                 ("", "vector_u", rand(1, 3))], layer=inner, power_iterations=1), q)

    x = m.input("image", np.abs(rand(3, 7, 6, 3)) * 50)
    m.out(plain("AdaptiveMaxPooling2D", "largest", lambda x: last(F.adaptive_max_pool2d(first(x), (3, 4))),
                output_size=[3, 4], data_format="channels_last"), x)
    m.out(plain("AdaptiveAveragePooling2D", "means", lambda x: last(F.adaptive_avg_pool2d(first(x), (2, 5))),
                output_size=[2, 5], data_format="channels_last"), x)
    m.out(plain("RandomBrightness", "light", lambda x: x, factor=[-0.2, 0.2], value_range=[0, 255], seed=None), x)
    m.out(plain("RandomContrast", "contrast", lambda x: x, factor=0.3, seed=None), x)
    m.out(plain("RandomHue", "hue", lambda x: x, factor=[0.0, 0.2], value_range=[0, 255]), x)
    m.out(plain("RandomCrop", "cut", lambda x: x, height=7, width=6, seed=None), x)
    low, high = x.value.amin((1, 2), True), x.value.amax((1, 2), True)
    m.out(plain("AutoContrast", "auto", lambda x: (x - low) * 255 / (high - low), value_range=[0, 255]), x)
    y = m.input("open", rand(3, 4, 4, 3), [None, None, 3])
    m.out(plain("RandomFlip", "flip", lambda x: x, mode="horizontal", seed=None), y)
    m.out(plain("Pipeline", "pipeline", lambda x: x / 255 * 2,
                layers=[{"class_name": "Rescaling", "config": {"name": "rescale", "scale": 1 / 255, "offset": 0.0}},
                        {"class_name": "Rescaling", "config": {"name": "again", "scale": 2.0, "offset": 0.0}}]), x)
    ids = m.input("ids", np.array([[1, 12, 7], [30, 7, 5], [5, 5, 12]], "int64"))
    m.out(plain("IntegerLookup", "places", lambda i: torch.tensor([[0, 1, 3], [0, 3, 2], [2, 2, 1]]), vocabulary=[12, 5, 7],
                num_oov_indices=1, mask_token=None, output_mode="int", invert=False), ids)
    words = m.input("words", np.array([[1, 2, 0, 0], [3, 1, 4, 2], [4, 0, 0, 0]], "int32"))
    table, seen = rand(5, 6), words.value > 0
    e = m.add(Layer("Embedding", "padded", lambda i: t(table)[i.long()], [("", "embeddings", table)], input_dim=5,
                    output_dim=6, mask_zero=True), words)

    def masked(s, v):
        y = torch.softmax(torch.where(seen[:, None], s, s - 1e9), -1) @ v
        return torch.where(seen[..., None], y, torch.zeros_like(y))
    m.out(plain("AdditiveAttention", "bahdanau_masked", lambda q, v: masked(pairs(q, v).sum(-1), v), use_scale=False,
                dropout=0.0), e, e)
    m.out(plain("Attention", "luong_masked", lambda q, v: masked(q @ v.transpose(1, 2), v), use_scale=False,
                score_mode="dot", dropout=0.0), e, e)
    m.model().save(folder)


def scores(folder):
    """Layers of attention that give their weights, too."""
    m = Net("scores")
    q, v = m.input("q", rand(2, 5, 6)), m.input("v", rand(2, 4, 6))
    look = m.input("look", (rng.uniform(size=(2, 5, 4)) < 0.7) | (np.arange(4) == 0))
    n, d = 3, 2
    for name, a, b, how in (("cross", q, v, {}), ("causal", q, q, {"use_causal_mask": True}),
                            ("masked", q, v, {"attention_mask": look})):
        layer = Heads(name, 6, n, d)
        w = [t(x) for _, _, x in layer.weights]

        def call(x, y, attention_mask=None, use_causal_mask=False, return_attention_scores=False, w=w, layer=layer,
                 plain=layer.call):
            s = torch.einsum("bqhd,bkhd->bhqk", torch.einsum("btc,chd->bthd", x, w[0]) + w[1],
                             torch.einsum("btc,chd->bthd", y, w[2]) + w[3]) / np.sqrt(d)
            if use_causal_mask:
                s = s.masked_fill(torch.ones_like(s).triu(1).bool(), -np.inf)
            if attention_mask is not None:
                s = s.masked_fill(~attention_mask[:, None], -np.inf)
            return [plain(x, y, attention_mask=attention_mask, use_causal_mask=use_causal_mask), torch.softmax(s, -1)]
        layer.call = call
        m.out(layer, a, b, return_attention_scores=True, **how)
    scale = rand(6)

    def rows(s, v, use_causal_mask):
        if use_causal_mask:
            s = s.masked_fill(torch.ones_like(s).triu(1).bool(), -np.inf)
        return [torch.softmax(s, -1) @ v, torch.softmax(s, -1)]
    m.out(Layer("Attention", "dots", lambda q, v, use_causal_mask=False, return_attention_scores=True:
                rows(0.3 * q @ v.transpose(1, 2), v, use_causal_mask), [("", "scale", np.array(0.3))], use_scale=True,
                score_mode="dot", dropout=0.0), q, q, use_causal_mask=True, return_attention_scores=True)
    m.out(Layer("AdditiveAttention", "sums", lambda q, v, use_causal_mask=False, return_attention_scores=True:
                rows((t(scale) * torch.tanh(q[:, :, None] + v[:, None])).sum(-1), v, use_causal_mask),
                [("", "scale", scale)], use_scale=True, dropout=0.0), q, v, return_attention_scores=True)
    m.model().save(folder)


def local(name, x, f, size, step, activation="linear", bias=True):
    """LocallyConnected of one or two axes: another kernel at each place."""
    rank = len(size)
    n = [(a - k) // s + 1 for a, k, s in zip(x.value.shape[1:], size, step)]
    w = rand(int(np.prod(n)), int(np.prod(size)) * x.value.shape[-1], f)
    b = rand(*n, f)

    def call(x):
        y = torch.zeros(x.shape[0], *n, f, dtype=torch.float64)
        for at, place in enumerate(np.ndindex(*n)):
            window = x[(slice(None),) + tuple(slice(i * s, i * s + k) for i, s, k in zip(place, step, size))]
            y[(slice(None),) + place] = window.reshape(x.shape[0], -1) @ t(w[at])
        return ACT[activation](y + t(b) if bias else y)
    return Layer("LocallyConnected%dD" % rank, name, call,
                 [("", "kernel", w)] + ([("", "bias", b)] if bias else []), filters=f, kernel_size=list(size),
                 strides=list(step), padding="valid", data_format="channels_last", activation=activation,
                 use_bias=bias, implementation=1)


def Spectrogram(name, mode, length, step=None, fft=None, padding="valid", apart=False, data_format="channels_last"):
    """Keras's kernels are those of a transform; here any, as only what is in the file counts."""
    bins = (fft or 2 ** int(np.ceil(np.log2(length)))) // 2 + 1
    real, imag = rand(length, 1, bins), rand(length, 1, bins)
    every = step or length // 2

    def call(x):
        x = x if data_format == "channels_first" else x.transpose(1, 2)
        parts = [torch.stack([convolve(x[:, c, :, None], w, None, 1, [every], padding, [1])
                              for c in range(x.shape[1])], 1) for w in (real, imag)]  # [batch, channel, frame, bin]
        r, i = parts
        power = r ** 2 + i ** 2
        middle = power.clone()
        middle[..., 0] = middle[..., -1] = 0
        eps = torch.tensor(1e-7, dtype=torch.float64)
        size = torch.sqrt(torch.maximum(power, eps))
        y = {"real": r, "imag": i, "stft": torch.cat(parts, -1), "psd": power + middle, "angle": torch.atan2(i, r), "magnitude": size,
             "log": torch.log(torch.maximum(size, eps))}[mode]
        if apart:
            return y if data_format == "channels_first" else y.permute(0, 2, 3, 1)
        y = y.permute(0, 1, 3, 2).reshape(x.shape[0], -1, y.shape[2])
        return y if data_format == "channels_first" else y.transpose(1, 2)
    ws = [("", n, w) for n, w in (("real_kernel", real), ("imag_kernel", imag)) if mode not in ("real", "imag")
          or n.startswith(mode)]
    return Layer("STFTSpectrogram", name, call, ws, mode=mode, frame_length=length, frame_step=step, fft_length=fft,
                 window="hann", periodic=False, scaling="density", padding=padding, expand_dims=apart,
                 data_format=data_format)


def Mel(name, fft, step, length=None, window="hann", rate=8000, bands=5, low=20.0, high=None, db=True, power=2.0):
    size = length or fft

    def call(x):
        i = np.arange(size)
        w = {"hann": 0.5 - 0.5 * np.cos(2 * np.pi * i / size), "hamming": 0.54 - 0.46 * np.cos(2 * np.pi * i / size),
             None: np.ones(size)}[window] if not isinstance(window, list) else np.array(window)
        w = np.pad(w, ((fft - size) // 2, fft - size - (fft - size) // 2))
        x = np.pad(x.numpy(), [(0, 0), (fft // 2, fft // 2)], mode="reflect")
        s = np.stack([np.abs(np.fft.rfft(x[:, j:j + fft] * w)) for j in range(0, x.shape[1] - fft + 1, step)], 1)
        mel = lambda f: 1127.0 * np.log(1 + f / 700)
        edges = np.linspace(mel(low), mel(high or rate // 2), bands + 2)
        at = mel(np.linspace(0, rate / 2, fft // 2 + 1)[1:])[:, None]
        up, down = (at - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - at) / (edges[2:] - edges[1:-1])
        y = s ** power @ np.pad(np.maximum(0, np.minimum(up, down)), [(1, 0), (0, 0)])
        if db:
            y = 10 * np.log10(np.maximum(y, 1e-10)) - 10 * np.log10(2.0)
            y = np.maximum(y, y.max() - 30)
        return t(y.swapaxes(1, 2).copy())
    return Layer("MelSpectrogram", name, call, fft_length=fft, sequence_stride=step, sequence_length=size,
                 window=window, sampling_rate=rate, num_mel_bins=bands, min_freq=low, max_freq=high, power_to_db=db,
                 top_db=30.0, mag_exp=power, min_power=1e-10, ref_power=2.0)


def Lookup(kind, name, words, special=(), mode="int", unknown=1, **config):
    """special: the mask, and what stands for what is unknown; places of Keras's documentation."""
    mask, oov = (list(special) + [None, None])[:2]
    first = (mask is not None and mode == "int") + unknown

    def call(x):
        x = np.asarray(x)
        place = {w: i + first for i, w in enumerate(words)}

        def of(w):
            if w == mask:
                return 0 if mode == "int" else -1
            other = int(w) % unknown if kind == "IntegerLookup" and unknown > 1 else 0
            return place.get(w, other + first - unknown if unknown else -1)
        y = np.array([of(w) for w in x.ravel().tolist()]).reshape(x.shape)
        if mode == "int":
            return torch.tensor(y)
        hot = (y[..., None] == np.arange(len(words) + unknown)).astype("f8")
        return t(hot.sum(-2) if mode == "count" else hot.max(-2) if mode == "multi_hot" else hot)
    return Layer(kind, name, call, mask_token=mask, oov_token=oov, output_mode=mode, num_oov_indices=unknown,
                 invert=False, sparse=False, pad_to_max_tokens=False, **{"vocabulary": list(words), **config})


def texts(folder):
    """Vocabularies of texts and numbers, in the configuration."""
    m = Net("texts")
    x = m.input("words", np.array([["red", "it's", "grün"], ['a"b, \\c', "blue", ""]]))
    words = ["red", "grün", 'a"b, \\c', "it's"]
    m.out(Lookup("StringLookup", "places", words, (None, "[UNK]")), x)
    m.out(Lookup("StringLookup", "masked", words, ("", "[UNK]"), vocabulary=["", "[UNK]"] + words), x)
    m.out(Lookup("StringLookup", "counted", words, ("", "[UNK]"), "count"), x)
    m.out(Lookup("StringLookup", "hot", words[1:], ("red", "[UNK]"), "multi_hot", vocabulary=["[UNK]"] + words[1:]), x)
    i = m.input("numbers", np.array([[12, 5, 7], [0, 30, 12]], "int64"))
    m.out(Lookup("IntegerLookup", "several", [12, 5, 7], (0, -1), unknown=3), i)
    z = m.input("z", rand(2, 3))
    bounds = [-0.3, 0.0, 0.25]
    bins = lambda z: np.digitize(z.numpy(), bounds)
    m.out(plain("Discretization", "bins", lambda z: torch.tensor(bins(z)), bin_boundaries=bounds, output_mode="int"), z)
    hot = lambda z: t((bins(z)[..., None] == np.arange(4)).astype("f8"))
    m.out(plain("Discretization", "hot_bins", hot, bin_boundaries=bounds, output_mode="one_hot"), z)
    m.out(plain("Discretization", "all_bins", lambda z: hot(z).amax(1), bin_boundaries=bounds, output_mode="multi_hot"), z)
    m.out(plain("Softmax", "soft", lambda z: torch.softmax(z, 1), axis=[1]), z)
    m.out(Lookup("IntegerLookup", "one_hot", [12, 5, 7], (None, -1), "one_hot"), i)
    m.model().save(folder)


def adapted(folder):
    """The same that adapt() made: in .keras files alone."""
    m = Net("adapted")
    x = m.input("words", np.array([["red", "green"], ["blue", "red"]]))
    m.out(Lookup("StringLookup", "places", ["green", "red"], ("", "[UNK]"), vocabulary=None), x)
    i = m.input("numbers", np.array([[12, 5, 7], [0, 30, 12]], "int64"))
    m.out(Lookup("IntegerLookup", "hot", [7, 12], (None, -1), "multi_hot", vocabulary=None), i)
    m.out(weighed("weights", "IntegerLookup", [7, 12], (None, -1), "tf_idf", 1, 5, [0.5, 1.5, 0.25], vocabulary=None), i)
    m.layers[-1].weights = [("", "idf_weights", np.array([0.5, 1.5, 0.25, 0, 0], "float32"))]
    model = m.model()
    model.assets = [("string_lookup", ["", "[UNK]", "green", "red"]), ("integer_lookup", ["-1", "7", "12", ""]),
                    ("integer_lookup_1", ["-1", "7", "12"])]
    model.save(folder, False)


def rare(folder):
    """Layers that are others of ours with nodes around them."""
    m = Net("rare")
    x = m.input("series", rand(2, 9, 3))
    m.out(local("local1", x, 4, [3], [2], "tanh"), x)
    picture = m.input("picture", rand(2, 5, 6, 2))
    m.out(local("local2", picture, 3, [2, 3], [1, 2]), picture)
    m.out(local("local_plain", picture, 3, [3, 1], [2, 1], bias=False), picture)
    m.out(Spectrogram("log", "log", 4), x)
    m.out(Spectrogram("size", "magnitude", 3, 2, 6, "same", True), x)
    m.out(Spectrogram("psd", "psd", 4, 3), x)
    m.out(Spectrogram("real", "real", 4, 1), x)
    m.out(Spectrogram("imag", "imag", 4, 1, apart=True), x)
    m.out(Spectrogram("stft", "stft", 4, 1), x)
    m.out(Spectrogram("first", "psd", 3, 1, data_format="channels_first"), x)
    m.out(Spectrogram("first_apart", "real", 2, 1, apart=True, data_format="channels_first"), x)
    sound = m.input("sound", rand(2, 70))
    m.out(Mel("mel", 32, 8), sound)
    m.out(Mel("mel_window", 32, 10, 20, "hamming", low=100.0, high=3000, db=False, power=1.0), sound)
    m.out(Mel("mel_list", 16, 7, 5, [0.1, 0.5, 1.0, 0.5, 0.2], rate=16000, bands=3), sound)
    m.out(plain("Rescaling", "channels", lambda x: x * t([0.5, 3.0]) + 1.0, scale=[0.5, 3.0], offset=1.0), picture)
    mean, var = rand(5), 1 + rng.uniform(size=5)
    m.out(Layer("Normalization", "rows", lambda x: (x - t(mean)[:, None, None]) / torch.sqrt(t(var))[:, None, None],
                axis=[1], invert=False, mean=mean.tolist(), variance=var.tolist()), picture)
    m.out(plain("CustomScaleLayer", "scaled", lambda a, b: a + 0.2 * b, scale=0.2), picture, picture)
    gamma = rand(2)
    m.out(Layer("LayerScale", "scale", lambda x: x * t(gamma), [("", "gamma", gamma)], init_values=1e-6,
                projection_dim=2), picture)
    ids = m.input("ids", np.array([[1, 2, 0], [3, 1, 4]], "int32"))
    table = rand(5, 3)
    words = Layer("ReversibleEmbedding", "words",
                  lambda i, reverse=False: torch.tanh(i @ t(table).T / 0.5) * 0.5 if reverse else t(table)[i.long()],
                  [("", "embeddings", table)], input_dim=5, output_dim=3, tie_weights=True, mask_zero=False,
                  logit_soft_cap=0.5, reverse_dtype=None)
    m.out(words, m.add(words, ids), reverse=True)
    v = m.input("volume", rand(2, 4, 5, 4, 2))
    both = [ConvLSTM(d, 2, 3, [3, 2], "same", True) for d in ("forward_video", "backward_video")]
    both[1].config["go_backwards"] = True

    def two(layers, mode):
        def call(x):
            a, b = layers[0].call(x), layers[1].call(x.flip(1)).flip(1)
            return torch.cat([a, b], -1) if mode == "concat" else a * b
        return call
    ws = lambda layers: [(d + "_layer" + "/" * bool(p) + p, n, a) for d, x in zip(("forward", "backward"), layers)
                         for p, n, a in x.weights]
    m.out(Layer("Bidirectional", "video", two(both, "concat"), ws(both), layer=both[0], backward_layer=both[1],
                merge_mode="concat"), v)
    last_ = [ConvLSTM(d, 2, 2, [2, 2], "valid", False) for d in ("forward_last", "backward_last")]
    m.out(Layer("Bidirectional", "video_last", lambda x: (last_[0].call(x) + last_[1].call(x.flip(1))) / 2, ws(last_),
                layer=last_[0], merge_mode="ave"), v)
    ways = []
    for d in ("forward", "backward"):
        parts = [RNN("LSTM", d, 3, 2, return_sequences=True), RNN("GRU", d, 2, 4, return_sequences=True,
                                                                   return_state=True)]
        cells_ = [{"class_name": p.kind + "Cell", "config": {
            "name": p.kind.lower() + "_cell", "units": p.u, "activation": "tanh", "recurrent_activation": "sigmoid",
            "use_bias": True, **({"reset_after": True} if p.kind == "GRU" else {})}} for p in parts]
        rnn = Layer("RNN", d + "_cells", lambda x, parts=parts: run(parts[1].step, run(
            parts[0].step, x, [torch.zeros(2, 2, dtype=torch.float64)] * 2)[0], [torch.zeros(2, 4, dtype=torch.float64)])[0],
            [("cell/cells/" + c["config"]["name"], n, a) for p, c in zip(parts, cells_) for _, n, a in p.weights],
            cell={"class_name": "StackedRNNCells", "config": {"name": "stacked", "cells": cells_}},
            return_sequences=True, return_state=False, go_backwards=d == "backward")
        ways.append(rnn)
    unlike = [RNN("LSTM", "forward_unlike", 3, 4, return_sequences=True),
              RNN("GRU", "backward_unlike", 3, 4, return_sequences=True, go_backwards=True)]
    m.out(Layer("Bidirectional", "unlike", lambda x: unlike[0].call(x) + unlike[1].call(x).flip(1), ws(unlike),
                layer=unlike[0], backward_layer=unlike[1], merge_mode="sum"), x)
    m.out(Layer("Bidirectional", "both_cells", two(ways, "mul"), ws(ways), layer=ways[0], backward_layer=ways[1],
                merge_mode="mul"), x)
    m.model().save(folder)


def operators(folder):
    """Operators that are written between layers; function: TensorFlow's name of it."""
    m = Net("operators")
    a, b = m.input("a", rand(2, 3)), m.input("b", rand(2, 3))

    def op(kind, name, function, call, *operands):
        layer = plain(kind, name, call)
        layer.function = function
        return m.out(layer, *operands)
    x = op("Add", "plus", "__operators__.add", lambda x, y: x + y, a, 3.0)
    x = op("Multiply", "times", "math.multiply", lambda x, y: x * y, x, 0.25)
    x = op("Subtract", "less", "math.subtract", lambda x, y: x - y, 1.0, x)
    x = op("TrueDivide", "over", "math.truediv", lambda x, y: x / y, x, b)
    op("Add", "both", "__operators__.add", lambda x, y: x + y, a, x)
    op("TrueDivide", "inverse", "math.truediv", lambda x, y: x / y, 2, a)
    op("Negative", "negative", "math.negative", lambda x: -x, a)
    op("Sigmoid", "gate", "math.sigmoid", torch.sigmoid, a)
    op("Power", "power", "math.pow", lambda x, y: x ** y, a, 2)
    op("Silu", "silu", "nn.silu", F.silu, a)
    c = m.input("c", rand(2, 4, 5, 3))
    d = m.input("d", rand(2, 6, 3), [None, 3])

    def told(kind, name, function, call, x, theirs, ours):
        """ours: what Keras 3 has in the configuration, theirs: TensorFlow among the keywords."""
        layer = plain(kind, name, call, **ours)
        layer.function, layer.told, layer.told_3 = function, theirs, ours
        return m.out(layer, x)
    axes = {"axis": [1, 2], "keepdims": False}
    told("Mean", "mean", "math.reduce_mean", lambda x: x.mean((1, 2)), c, axes, axes)
    axes = {"axis": -1, "keepdims": True}
    told("Max", "max", "math.reduce_max", lambda x: x.amax(-1, True), c, axes, axes)
    told("Sum", "sum", "math.reduce_sum", lambda x: x.sum(1), d, {"axis": 1}, {"axis": [1], "keepdims": False})
    told("Min", "min", "math.reduce_min", lambda x: x.amin(), c, {}, {"axis": None, "keepdims": False})
    told("Reshape", "shape", "reshape", lambda x: x.reshape(-1, 20, 3), c, {"shape": [-1, 20, 3]}, {"newshape": [-1, 20, 3]})
    told("Transpose", "turn", "transpose", lambda x: x.permute(0, 3, 1, 2), c, {"perm": [0, 3, 1, 2]}, {"axes": [0, 3, 1, 2]})
    told("ExpandDims", "grow", "expand_dims", lambda x: x[:, None], d, {"axis": 1}, {"axis": 1})
    told("Cast", "cast", "cast", lambda x: x.trunc().int(), c, {"dtype": "int32"}, {"dtype": "int32"})
    told("Clip", "clip", "clip_by_value", lambda x: x.clip(-0.2, 0.3), a,
         {"clip_value_min": -0.2, "clip_value_max": 0.3}, {"x_min": -0.2, "x_max": 0.3})
    picture = m.input("picture", np.abs(rand(2, 3, 2, 3)) * 99)  # as preprocess_input has it

    def with_list(kind, name, function, second, call, x, values):
        layer = plain(kind, name, call)
        layer.function, layer.second, layer.array = function, second, np.array(values)
        return m.out(layer, x, layer.array)
    with_list("Add", "centred", "nn.bias_add", "bias", lambda x, b: x + t(b), picture, [-103.939, -116.779, -123.68])
    with_list("TrueDivide", "deviations", "math.truediv", "y", lambda x, b: x / t(b), picture, [0.229, 0.224, 0.225])
    told("Gelu", "gelu", "nn.gelu", F.gelu, a, {}, {"approximate": False})
    told("Gelu", "rough", "nn.gelu", lambda x: F.gelu(x, approximate="tanh"), a, {"approximate": True},
         {"approximate": True})
    told("LeakyRelu", "leaky", "nn.leaky_relu", lambda x: F.leaky_relu(x, 0.3), a, {"alpha": 0.3}, {"negative_slope": 0.3})
    told("LogSoftmax", "log_soft", "nn.log_softmax", lambda x: F.log_softmax(x, 1), d, {"axis": 1}, {"axis": 1})
    told("Normalize", "unit", "math.l2_normalize", lambda x: x / x.norm(dim=-1, keepdim=True), d, {"axis": -1},
         {"axis": -1, "order": 2, "epsilon": None})
    blocks = m.input("blocks", rand(2, 3, 2, 8))
    told("DepthToSpace", "blocks_apart", "nn.depth_to_space",
         lambda x: x.reshape(2, 3, 2, 2, 2, 2).permute(0, 1, 3, 2, 4, 5).reshape(2, 6, 4, 2), blocks, {"block_size": 2},
         {"block_size": 2, "data_format": "channels_last"})
    product = plain("Matmul", "product", lambda x, y: x @ y)
    product.function, product.second = "linalg.matmul", "b"
    e = m.input("e", rand(2, 3, 4))
    m.out(product, d, e)

    def item(name, x, *key):
        def old(k):
            return {"start": k.start, "stop": k.stop, "step": k.step} if isinstance(k, slice) else \
                {"class_name": "__ellipsis__"} if k is Ellipsis else k

        def new(k):
            return {"class_name": "__slice__", "config": old(k)} if isinstance(k, slice) else \
                {"class_name": "__ellipsis__", "config": {}} if k is Ellipsis else k
        backwards = [i for i, k in enumerate(key) if isinstance(k, slice) and (k.step or 1) < 0]
        layer = plain("GetItem", name, lambda x: x.flip(-1 if Ellipsis in key else 1) if backwards else x[key])
        layer.function, layer.key = "__operators__.getitem", ([old(k) for k in key], [new(k) for k in key])
        return m.out(layer, x)
    s = slice
    item("first", c, s(None), 0)
    item("last", c, s(None), s(None), -1)
    item("part", c, s(None), s(1, 3), s(None, None, 2))
    item("end", c, s(None), s(-2, None), s(None, -1))
    item("channel", c, Ellipsis, 1)
    item("new", c, s(None), None, Ellipsis, s(0, 2))
    item("back", c, s(None), s(None, None, -1))
    item("open", d, s(None), s(1, None))
    item("open_end", d, s(None), s(0, -2))
    item("reverse", picture, Ellipsis, s(None, None, -1))
    item("token", d, s(None), -1, s(None))
    m.model().save(folder)


def cudnn(folder):
    """Keras 2 before TensorFlow 2: the kernels as cuDNN has them."""
    m = Net("cudnn")
    x = m.input("x", rand(3, 5, 4), [None, 4])

    def make(name, kind, n, u, **config):
        gates = GATES[kind]
        k, r, b = rand(n, gates * u), rand(u, gates * u), rand(2 * gates * u)
        native = [np.hstack([g.T.reshape(g.shape, order="F") for g in np.hsplit(k, gates)]),
                  np.hstack([g.T for g in np.hsplit(r, gates)]),
                  b[:4 * u] + b[4 * u:] if kind == "LSTM" else b.reshape(2, -1)]
        step = cell(kind, u, *native, "tanh", "sigmoid")

        def call(x):
            zero = [torch.zeros(x.shape[0], u, dtype=torch.float64)] * (2 if kind == "LSTM" else 1)
            all_, states = run(step, x, zero, config.get("go_backwards", False))
            return all_ if config.get("return_sequences") else all_[:, -1]
        return Layer("CuDNN" + kind, name, call, [("", "kernel", k), ("", "recurrent_kernel", r), ("", "bias", b)],
                     units=u, **config)
    m.out(make("lstm", "LSTM", 4, 3, return_sequences=True), x)
    m.out(make("gru", "GRU", 4, 3), x)
    parts = [make("forward", "LSTM", 4, 2, return_sequences=True),
             make("backward", "LSTM", 4, 2, return_sequences=True, go_backwards=True)]
    m.out(Layer("Bidirectional", "both", lambda x: torch.cat([parts[0].call(x), parts[1].call(x).flip(1)], -1),
                [(p.name, n_, a) for p in parts for _, n_, a in p.weights], layer=parts[0], merge_mode="concat"), x)
    m.model().save(folder, keras_version="2.2.4-tf")


def old(folder):
    """Keras 1 with Theano: the gates of a recurrent layer apart, kernels turned around, channels first."""
    m = Net("old")
    x = m.input("x", rand(3, 5, 4), [None, 4])

    def make(name, kind, n, u, how="cpu", **config):
        order = {"LSTM": "icfo", "GRU": "zrh"}[kind]
        w = {g: (rand(n, u), rand(u, u), rand(u)) for g in order}
        now = [w[g] for g in {"LSTM": "ifco", "GRU": "zrh"}[kind]]
        native = [np.concatenate(a, -1) for a in zip(*now)]
        step = cell(kind, u, *native, "tanh", "hard_sigmoid", False)

        def call(x):
            zero = [torch.zeros(x.shape[0], u, dtype=torch.float64)] * (2 if kind == "LSTM" else 1)
            all_, _ = run(step, x, zero, config.get("go_backwards", False))
            return all_ if config.get("return_sequences") else all_[:, -1]
        apart = [("", "%s_%s" % (a, g), w[g][i]) for g in order for i, a in enumerate("WUb")]
        whole = [("", a, n_) for a, n_ in zip("WUb", native)]
        return Layer(kind, name, call, whole if how == "gpu" else apart, output_dim=u, activation="tanh",
                     inner_activation="hard_sigmoid", consume_less=how, **config)
    m.out(make("lstm", "LSTM", 4, 3, return_sequences=True), x)
    m.out(make("lstm_gpu", "LSTM", 4, 3, "gpu"), x)
    m.out(make("gru", "GRU", 4, 3), x)
    parts = [make("forward", "LSTM", 4, 2), make("backward", "LSTM", 4, 2, go_backwards=True)]
    m.out(Layer("Bidirectional", "both", lambda x: torch.cat([p.call(x) for p in parts], -1),
                [(p.name, n_, a) for p in parts for _, n_, a in p.weights], layer=parts[0], merge_mode="concat"), x)
    w, b = rand(2, 1, 4, 3), rand(3)
    m.out(Layer("Convolution1D", "line", lambda x: convolve(x, w[::-1, 0].copy(), b, 1, [1], "valid", [1]),
                [("", "W", w), ("", "b", b)], nb_filter=3, filter_length=2, subsample_length=1, border_mode="valid",
                activation="linear", bias=True), x)
    picture = m.input("picture", rand(3, 3, 6, 5))
    w2, b2 = rand(4, 3, 3, 2), rand(4)
    turned = w2[:, :, ::-1, ::-1].transpose(2, 3, 1, 0).copy()
    m.out(Layer("Convolution2D", "plane", lambda x: first(convolve(last(x), turned, b2, 2, [1, 1], "same", [1, 1])),
                [("", "W", w2), ("", "b", b2)], nb_filter=4, nb_row=3, nb_col=2, subsample=[1, 1], border_mode="same",
                dim_ordering="th", activation="linear", bias=True), picture)
    m.model().save(folder, keras_version="1.2.2", backend="theano")


def older(folder):
    """Keras 1 with TensorFlow: layers that are no more."""
    m = Net("older")
    a, b = m.input("a", rand(3, 4)), m.input("b", rand(3, 4))
    x, y = m.input("x", rand(3, 8, 4)), m.input("y", rand(3, 8, 4))
    merged = lambda name, mode, call, *inputs, concat_axis=-1, dot_axes=-1: m.out(
        Layer("Merge", name, call, mode=mode, mode_type="raw", concat_axis=concat_axis, dot_axes=dot_axes,
              output_shape=None, output_shape_type="raw", output_mask=None, output_mask_type="raw", arguments={}), *inputs)
    merged("sum", "sum", lambda a, b: a + b, a, b)
    merged("product", "mul", lambda a, b: a * b, a, b)
    merged("mean", "ave", lambda a, b: (a + b) / 2, a, b)
    merged("largest", "max", torch.maximum, a, b)
    merged("both", "concat", lambda x, y: torch.cat([x, y], 1), x, y, concat_axis=1)
    merged("dots", "dot", lambda x, y: x @ y.transpose(1, 2), x, y, dot_axes=[2, 2])
    merged("cosine", "cos", lambda a, b: ((a * b).sum(-1) / a.norm(dim=-1) / b.norm(dim=-1))[:, None, None], a, b,
           dot_axes=[1, 1])
    w, c = rand(3, 4, 5), rand(3, 5)
    m.out(Layer("MaxoutDense", "maxout", lambda a: (torch.einsum("ab,cbd->acd", a, t(w)) + t(c)).amax(1),
                [("", "W", w), ("", "b", c)], output_dim=5, nb_feature=3, bias=True), a)
    k, g, kb, gb = rand(4, 4), rand(4, 4), rand(4), rand(4)

    def highway(a):
        gate = torch.sigmoid(a @ t(g) + t(gb))
        return gate * torch.tanh(a @ t(k) + t(kb)) + (1 - gate) * a
    m.out(Layer("Highway", "highway", highway, [("", "W", k), ("", "W_carry", g), ("", "b", kb), ("", "b_carry", gb)],
                activation="tanh", bias=True, transform_bias=None), a)
    d, e = rand(4, 2), rand(2)
    m.out(Layer("TimeDistributedDense", "steps", lambda x: torch.relu(x @ t(d) + t(e)), [("", "W", d), ("", "b", e)],
                output_dim=2, activation="relu", bias=True), x)
    l, lb = rand(3, 1, 4, 2), rand(2)
    m.out(Layer("AtrousConvolution1D", "holes", lambda x: convolve(x, l[:, 0], lb, 1, [1], "valid", [2]),
                [("", "W", l), ("", "b", lb)], nb_filter=2, filter_length=3, subsample_length=1, atrous_rate=2,
                border_mode="valid", activation="linear", bias=True), x)
    picture = m.input("picture", rand(3, 6, 7, 2))
    p, pb = rand(3, 2, 2, 4), rand(4)
    m.out(Layer("AtrousConvolution2D", "holes2", lambda x: convolve(x, p, pb, 2, [1, 1], "same", [2, 3]),
                [("", "W", p), ("", "b", pb)], nb_filter=4, nb_row=3, nb_col=2, subsample=[1, 1], atrous_rate=[2, 3],
                border_mode="same", dim_ordering="tf", activation="linear", bias=True), picture)
    m.model().save(folder, keras_version="1.2.2", backend="tensorflow")


def many_heads(folder):
    """Attention that is more than one axis of query, key and value: einsum by einsum."""
    m = Net("many_heads")

    def heads(name, kind, shapes, axes, heads_, size, value=None, output=None, shared=None, gate=False, window=None,
              **config):
        q_shape, rank = shapes[0], len(shapes[0]) - 1  # without the batch
        value, shared, out = value or size, shared or heads_, output or [q_shape[-1]]
        parts = [("query", heads_, size), ("key", shared, size)] + [("gate", heads_, value)] * gate + [("value", shared, value)]
        ws = []
        for part, n, d in parts:
            ws += [("_%s_dense" % part, part + "/kernel", rand(q_shape[-1], n, d)), ("_%s_dense" % part, part + "/bias", rand(n, d))]
        ws += [("_output_dense", "attention_output/kernel", rand(heads_, value, *out)),
               ("_output_dense", "attention_output/bias", rand(*out))]
        w = {n: t(a) for _, n, a in ws}
        letters = "bcde"[:rank]
        others = "".join(c.upper() if i in axes else c for i, c in enumerate(letters))
        keys = "".join(others[i] for i in axes)
        rest = "".join(c for i, c in enumerate(letters) if i not in axes)
        weights = rest + "h" + "".join(letters[i] for i in axes) + keys

        def call(x, y, attention_mask=None, use_causal_mask=False, return_attention_scores=False):
            part = lambda n, x: torch.einsum("...m,mhd->...hd", x, w[n + "/kernel"]) + w[n + "/bias"]
            q, k, v = part("query", x), *(part(n, y).repeat_interleave(heads_ // shared, -2) for n in ("key", "value"))
            s = torch.einsum("%shz,%shz->%s" % (letters, others, weights), q, k) / np.sqrt(size)
            at, key = torch.arange(s.shape[-2])[:, None], torch.arange(s.shape[-1])
            if use_causal_mask:
                s = s.masked_fill(key > at, -np.inf)
            if window:
                s = s.masked_fill(abs(key - at) >= window, -np.inf)
            if attention_mask is not None:
                shape = [s.shape[0]] + [1] * (s.dim() - attention_mask.dim()) + list(attention_mask.shape[1:])
                s = s.masked_fill(~attention_mask.reshape(shape), -np.inf)
            n = len(axes)
            s = torch.softmax(s.flatten(-n), -1).reshape(s.shape)
            z = torch.einsum("%s,%shz->%shz" % (weights, others, letters), s, v)
            if gate:
                z = z * torch.sigmoid(part("gate", x))
            z = torch.einsum("...hz,hz%s->...%s" % ("pq"[:len(out)], "pq"[:len(out)]), z, w["attention_output/kernel"])
            z = z + w["attention_output/bias"]
            return [z, s] if return_attention_scores else z
        own = {"head_dim": size, "num_query_heads": heads_, "num_key_value_heads": shared} \
            if kind != "MultiHeadAttention" else {"num_heads": heads_, "key_dim": size, "value_dim": value,
                                                  "output_shape": output, "attention_axes": config.pop("told", None)}
        return Layer(kind, name, call, ws, dropout=0.0, use_bias=True, use_gate=gate, sliding_window=window, **own)

    q, v = m.input("q", rand(2, 5, 6), [None, 6]), m.input("v", rand(2, 4, 6))
    multi, grouped = "MultiHeadAttention", "GroupedQueryAttention"
    m.out(heads("gated", multi, [(2, 5, 6)], [1], 2, 3, value=4, gate=True), q, v)
    m.out(heads("window", multi, [(2, 5, 6)], [1], 2, 3, window=2), q, q, use_causal_mask=True)
    m.out(heads("wide", multi, [(2, 5, 6)], [1], 2, 3, output=[3, 4]), q, v)
    m.out(heads("groups", grouped, [(2, 5, 6)], [1], 4, 3, shared=2), q, v, return_attention_scores=True)
    m.out(heads("groups_gated", grouped, [(2, 5, 6)], [1], 4, 3, shared=2, gate=True, window=3), q, q)
    plane, other = m.input("plane", rand(2, 3, 4, 6)), m.input("other", rand(2, 2, 5, 6))
    same = m.input("same", rand(2, 3, 5, 6))
    m.out(heads("both_axes", multi, [(2, 3, 4, 6)], [1, 2], 2, 3), plane, other, return_attention_scores=True)
    m.out(heads("second_axis", multi, [(2, 3, 4, 6)], [2], 2, 3, told=[2]), plane, same)
    m.out(heads("told_axes", multi, [(2, 3, 4, 6)], [1, 2], 1, 2, told=[-3, -2]), plane, other)
    m.out(heads("turned_axes", multi, [(2, 3, 4, 6)], [2, 1], 1, 2, told=[2, 1]), plane, other, return_attention_scores=True)
    look = m.input("look", (rng.uniform(size=(2, 4, 5)) < 0.7) | (np.arange(5) == 0))
    m.out(heads("second_masked", multi, [(2, 3, 4, 6)], [2], 2, 3, told=[2]), plane, same, attention_mask=look)
    m.model().save(folder)


def variants(folder):
    """Options that are rare."""
    m = Net("variants")
    x = m.input("x", rand(3, 3, 4, 5))

    def soft(x, axes):
        y = torch.exp(x)
        return y / y.sum(axes, keepdim=True)
    m.out(plain("Softmax", "soft_end", lambda x: soft(x, (2, 3)), axis=[-2, -1]), x)
    m.out(plain("Softmax", "soft_apart", lambda x: soft(x, (1, 3)), axis=[3, 1]), x)
    mean, var = rand(3, 5), 1 + rng.uniform(size=(3, 5))
    m.out(Layer("Normalization", "planes", lambda x: (x - t(mean)[:, None]) / torch.sqrt(t(var)[:, None]),
                [("", "mean", mean), ("", "variance", var), ("", "count", np.array(9))], axis=[1, 3], invert=False,
                mean=None, variance=None), x)
    m.out(plain("Normalization", "planes_back", lambda x: x * torch.sqrt(t(var)[:, None]) + t(mean)[:, None], axis=[-1, 1],
                invert=True, mean=mean.tolist(), variance=var.tolist()), x)
    m.out(plain("Normalization", "one", lambda x: (x - 0.5) / np.sqrt(2), axis=None, invert=False, mean=0.5, variance=2.0), x)
    norm = BatchNorm("renorm", 5)
    norm.weights += [("", n, rand(5)) for n in ("moving_stddev", "renorm_mean", "renorm_stddev")]
    norm.config.update(renorm=True, renorm_clipping={}, renorm_momentum=0.99)
    m.out(norm, x)
    for name, axes in (("deviations", [3]), ("deviations_apart", [1, 3])):
        gamma = 1 + rand(*(x.value.shape[a] for a in axes))
        shape = [x.value.shape[a] if a in axes else 1 for a in range(4)]
        m.out(Layer("LayerNormalization", name, lambda x, axes=axes, g=t(gamma).reshape(shape):
                    x / torch.sqrt(x.var(axes, unbiased=False, keepdim=True) + 1e-3) * g, [("", "gamma", gamma)],
                    axis=axes, epsilon=1e-3, center=True, scale=True, rms_scaling=True), x)
    ids = m.input("ids", np.array([[1, 2, 0, 0], [3, 1, 4, 2], [4, 0, 0, 0]], "int32"))
    table, back = rand(5, 4), rand(4, 5)
    words = Layer("ReversibleEmbedding", "words", lambda i, reverse=False: i @ t(back) if reverse else t(table)[i.long()],
                  [("", "embeddings", table), ("", "reverse_embeddings", back)], input_dim=5, output_dim=4,
                  tie_weights=False, mask_zero=False, logit_soft_cap=None, reverse_dtype=None)
    m.out(words, m.add(words, ids), reverse=True)
    steps = m.input("steps", rand(3, 2, 4))
    for name, all_ in (("major", False), ("major_all", True)):
        layer = RNN("LSTM", name, 4, 3, return_sequences=all_, return_state=True)
        run_ = layer.call
        layer.call = lambda x, run_=run_, all_=all_: [y.transpose(0, 1) if all_ and not i else y
                                                      for i, y in enumerate(run_(x.transpose(0, 1)))]
        layer.config["time_major"] = True
        m.out(layer, steps)
    both = Bidirectional("major_both", "LSTM", 4, 3, "sum", True, True)
    both.config["layer"].config["time_major"] = both.config["backward_layer"].config["time_major"] = True
    two_ways = both.call
    both.call = lambda x: [y.transpose(0, 1) if not i else y for i, y in enumerate(two_ways(x.transpose(0, 1)))]
    m.out(both, steps)
    unlike = [RNN("LSTM", "forward_major", 4, 3, return_sequences=True, time_major=True),
              RNN("GRU", "backward_major", 4, 3, return_sequences=True, go_backwards=True, time_major=True)]
    zero = torch.zeros(2, 3, dtype=torch.float64)
    m.out(Layer("Bidirectional", "major_unlike", lambda x: torch.cat(
        [run(unlike[0].step, x.transpose(0, 1), [zero] * 2)[0], run(unlike[1].step, x.transpose(0, 1), [zero], True)[0].flip(1)],
        -1).transpose(0, 1), [(d + "_layer/cell", n, a) for d, p in zip(("forward", "backward"), unlike) for _, n, a in p.weights],
        layer=unlike[0], backward_layer=unlike[1], merge_mode="concat"), steps)

    def fit(name, height, width, pad=False, mode="bilinear"):
        def call(x):
            h, w = x.shape[1:3]
            across, down = int(np.float32(w * height) / width), int(np.float32(h * width) / height)
            if pad:
                top, left = (max(across, h) - h) // 2, (max(down, w) - w) // 2
                x = F.pad(x, (0, 0, left, left, top, top), value=0.25)
            else:
                h2, w2 = max(min(h, across), 1), max(min(w, down), 1)
                x = x[:, (h - h2) // 2:(h - h2) // 2 + h2, (w - w2) // 2:(w - w2) // 2 + w2]
            return last(F.interpolate(first(x), size=(height, width), mode=mode))
        return plain("Resizing", name, call, height=height, width=width, interpolation=mode, crop_to_aspect_ratio=not pad,
                     pad_to_aspect_ratio=pad, fill_mode="constant", fill_value=0.25, data_format="channels_last")
    picture = m.input("picture", rand(3, 7, 10, 3))
    m.out(Spectrogram("angle", "angle", 4, 1), m.input("series", torch.cat([t(rand(3, 9, 2)), torch.zeros(3, 6, 2)], 1)))
    flat = m.input("flat", rand(3, 4))
    kernel, offset = rand(4, 6), rand(6)
    features = Layer("RandomFourierFeatures", "features", lambda x: torch.cos(x @ t(kernel) / 1.5 + t(offset)),
                     [("", "kernel_scale", np.array([1.5])), ("", "unscaled_kernel", kernel), ("", "bias", offset)],
                     output_dim=6, kernel_initializer="gaussian", scale=1.5)
    features.config["trainable"] = False
    m.out(features, flat)
    m.out(fit("cut_across", 4, 4), picture)
    m.out(fit("cut_down", 3, 8), picture)
    m.out(fit("edges_above", 5, 5, True), picture)
    m.out(fit("edges_beside", 4, 9, True), picture)
    m.model().save(folder)


def zeroed(folder):
    """Recurrent layers that give 0 where a step is masked."""
    m = Net("zeroed")
    ids = m.input("ids", np.array([[1, 2, 0, 0], [3, 1, 4, 2], [4, 0, 0, 0]], "int32"))
    table2 = rand(5, 4)
    mask = torch.tensor(np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]) > 0)
    e = m.add(Layer("Embedding", "padded", lambda i: t(table2)[i.long()], [("", "embeddings", table2)], input_dim=5,
                    output_dim=4, mask_zero=True), ids)

    def zero(layer, all_):
        plain_call = layer.call
        seen = mask.flip(1) if layer.config.get("go_backwards") else mask
        layer.call = lambda x: torch.where(seen[:, :, None] if all_ else seen[:, -1:], plain_call(x), torch.tensor(0.0).double())
        layer.config["zero_output_for_mask"] = True
        return layer
    m.out(zero(RNN("LSTM", "zero_all", 4, 3, mask=mask, return_sequences=True), True), e)
    m.out(zero(RNN("GRU", "zero_back", 4, 3, mask=mask, return_sequences=True, go_backwards=True), True), e)
    m.out(zero(RNN("SimpleRNN", "zero_last", 4, 3, mask=mask), False), e)
    m.model().save(folder)


def weighed(name, kind, words, special, mode, unknown, most=None, idf=None, **config):
    """A Lookup whose places are weighed, or padded to max_tokens; idf: of all places, or of the words alone."""
    layer = Lookup(kind, name, words, special, "count" if mode == "tf_idf" else mode, unknown, **config)
    plain_call, n = layer.call, unknown + len(words)
    weights = np.ones(n) if idf is None else np.r_[[np.mean(idf)] * (n - len(idf)), idf]

    def call(x):
        y = plain_call(x) * t(weights)
        return F.pad(y, (0, (most or n) - n))
    layer.call = call
    layer.config.update(output_mode=mode, max_tokens=most, pad_to_max_tokens=most is not None,
                        idf_weights=None if idf is None or not layer.config["vocabulary"] else list(idf))
    return layer


def inverse(name, words, mask, unknown):
    """Texts of places."""
    of = ([mask] if mask is not None else []) + ["[UNK]"] * unknown + words
    call = lambda i: np.array([of[p] if 0 <= p < len(of) else "[UNK]" for p in i.numpy().ravel()]).reshape(i.shape)
    return plain("StringLookup", name, call, vocabulary=words, mask_token=mask, oov_token="[UNK]", output_mode="int",
                 num_oov_indices=unknown, invert=True, sparse=False, pad_to_max_tokens=False)


def indices(folder):
    """Lookups that weigh, pad, or go from places to texts."""
    m = Net("indices")
    x = m.input("words", np.array([["red", "red", "grün"], ["blue", "red", ""]]))
    i = m.input("numbers", np.array([[12, 5, 12], [0, 30, 12]], "int64"))
    words = ["red", "grün", "it's"]
    m.out(weighed("weights", "StringLookup", words, ("", "[UNK]"), "tf_idf", 1, idf=[0.5, 1.25, 2.0]), x)
    m.out(weighed("weights_all", "StringLookup", words, ("", "[UNK]"), "tf_idf", 1, 7, [0.75, 0.5, 1.25, 2.0],
                  vocabulary=["[UNK]"] + words), x)
    m.out(weighed("padded", "IntegerLookup", [12, 5, 7], (0, -1), "multi_hot", 2, 8), i)
    m.out(weighed("padded_one", "IntegerLookup", [12, 5, 7], (None, -1), "one_hot", 1, 6), i)
    p = m.input("places", np.array([[0, 1, 2], [4, 9, -3]], "int64"))
    m.out(inverse("texts", words, "", 1), p)
    m.out(inverse("texts_plain", words, None, 0), p)
    m.model().save(folder)


def local_as(name, x, f, size, step, implementation, padding="valid", first_=False, activation="linear"):
    """LocallyConnected whose kernel lies in the file as implementations 1, 2 and 3 have it: connections by
    conv_utils.conv_connected_inputs, output by output."""
    rank, value = len(size), x.value
    sizes, c = (value.shape[2:], value.shape[1]) if first_ else (value.shape[1:-1], value.shape[-1])
    n = [-(-a // s) if padding == "same" else (a - k) // s + 1 for a, k, s in zip(sizes, size, step)]
    dense = np.zeros((*sizes, c, *n, f))  # what connects; the rest is noise in implementation 2
    mask = np.zeros((*sizes, 1, *n, 1), bool)
    for o in np.ndindex(*n):
        window = []
        for at, s, k, a in zip(o, step, size, sizes):
            middle = at * s + (k // 2 if padding == "valid" else 0)
            window.append(slice(max(0, middle - k // 2), min(a, middle + k - k // 2)))
        mask[(*window, slice(None), *o, slice(None))] = True
    dense = np.where(mask, rand(*dense.shape), 0)
    bias = rand(*n, f)
    to_file = [rank] + list(range(rank)) + [2 * rank + 1] + list(range(rank + 1, 2 * rank + 1))  # channels first
    noisy = np.where(mask, dense, 9.0)
    if implementation == 2:
        kernel = noisy.transpose(to_file) if first_ else noisy
    elif implementation == 3:
        where = np.broadcast_to(mask, dense.shape)
        order = to_file if first_ else list(range(2 * rank + 2))
        values, flat = dense.transpose(order), where.transpose(order)
        inputs, outputs = int(np.prod(values.shape[:rank + 1])), int(np.prod(values.shape[rank + 1:]))
        kernel = values.reshape(inputs, outputs).T[flat.reshape(inputs, outputs).T]  # sorted by output, then input
    else:
        kernel = np.stack([
            np.stack([dense[(Ellipsis, *o, i)].transpose([rank] + list(range(rank)) if first_ else list(range(rank + 1)))[
                mask[(Ellipsis, 0, *o, 0)][None].repeat(c, 0) if first_ else mask[(Ellipsis, 0, *o, 0)]].ravel()
                for i in range(f)], -1) for o in np.ndindex(*n)])

    def call(x):
        x = last(x) if first_ else x
        y = torch.tensordot(x, t(dense), rank + 1) + t(bias)
        return ACT[activation](first(y) if first_ else y)
    return Layer("LocallyConnected%dD" % rank, name, call, [("", "kernel", kernel), ("", "bias", bias)], filters=f,
                 kernel_size=list(size), strides=list(step), padding=padding,
                 data_format="channels_first" if first_ else "channels_last", activation=activation, use_bias=True,
                 implementation=implementation)


def locals_(folder):
    """Kernels of LocallyConnected in all implementations."""
    m = Net("local")
    x, z = m.input("series", rand(2, 7, 3)), m.input("first_series", rand(2, 3, 7))
    p, q = m.input("picture", rand(2, 5, 4, 2)), m.input("first_picture", rand(2, 2, 5, 4))
    for i in (1, 2, 3):
        m.out(local_as("line_%d" % i, x, 4, [3], [2], i, activation="tanh"), x)
        m.out(local_as("line_first_%d" % i, z, 4, [3], [2], i, first_=True), z)
        m.out(local_as("plane_%d" % i, p, 3, [2, 3], [2, 1], i), p)
        m.out(local_as("plane_first_%d" % i, q, 3, [3, 2], [1, 1], i, first_=True), q)
    for i in (2, 3):
        m.out(local_as("line_same_%d" % i, x, 2, [4], [2], i, "same"), x)
        m.out(local_as("plane_same_%d" % i, p, 3, [3, 2], [1, 2], i, "same"), p)
        m.out(local_as("plane_same_first_%d" % i, q, 3, [2, 3], [2, 1], i, "same", True), q)
    m.model().save(folder)


def wrapped(folder):
    """Cells in the wrappers of TensorFlow 1."""
    m = Net("wrapped")
    x = m.input("x", rand(3, 5, 4), [None, 4])

    def wrap(cell, *kinds):
        for i, kind in enumerate(kinds):
            more = {"DropoutWrapper": {"input_keep_prob": 1.0, "output_keep_prob": 1.0, "state_keep_prob": 1.0},
                    "DeviceWrapper": {"device": "cpu"}}.get(kind, {})
            cell = {"class_name": kind, "config": {"name": "wrapper_%d" % i, **more, "cell": cell}}
        return cell

    def cell_of(kind, name):
        return {"class_name": kind + "Cell", "config": {
            "name": name, "units": 4, "activation": "tanh", "use_bias": True,
            **({"recurrent_activation": "sigmoid"} if kind != "SimpleRNN" else {}),
            **({"reset_after": True} if kind == "GRU" else {})}}

    def one(name, kind, kinds, back=False, all_=True):
        layer, n = RNN(kind, "r", 4, 4), kinds.count("ResidualWrapper")

        def call(x):
            y, states = run(layer.step, x, [torch.zeros(3, 4, dtype=torch.float64)] * (2 if kind == "LSTM" else 1), back)
            y = y + n * (x.flip(1) if back else x)
            return [y if all_ else y[:, -1]] + states
        m.out(Layer("RNN", name, call, [("cell" + "/cell" * len(kinds), w, a) for _, w, a in layer.weights],
                    cell=wrap(cell_of(kind, "c"), *kinds), return_sequences=all_, return_state=True, go_backwards=back), x)
    one("residual", "GRU", ["ResidualWrapper"])
    one("residual_back", "LSTM", ["ResidualWrapper"], True)
    one("residual_last", "SimpleRNN", ["ResidualWrapper", "ResidualWrapper"], True, False)
    one("device", "LSTM", ["DropoutWrapper", "DeviceWrapper"], all_=False)
    parts = [RNN(kind, kind.lower(), 4, 4) for kind in ("LSTM", "GRU", "GRU")]
    paths = ("residual_wrapper/cell", "gru_cell", "residual_wrapper_1/cell/cell")
    cells_ = [wrap(cell_of("LSTM", "a"), "ResidualWrapper"), cell_of("GRU", "b"),
              wrap(cell_of("GRU", "c"), "DeviceWrapper", "ResidualWrapper")]

    def stack(x):
        for p, n in zip(parts, (1, 0, 1)):
            zero = torch.zeros(3, 4, dtype=torch.float64)
            x = run(p.step, x, [zero] * (2 if p.kind == "LSTM" else 1))[0] + n * x
        return x[:, -1]
    two = [RNN("LSTM", "a", 4, 4), RNN("GRU", "b", 4, 4)]

    def around(x):
        y = x.flip(1)
        for p in two:
            y = run(p.step, y, [torch.zeros(3, 4, dtype=torch.float64)] * (2 if p.kind == "LSTM" else 1))[0]
        return y + x.flip(1)
    m.out(Layer("RNN", "around", around, [("cell/cell/cells/" + p, n, a) for p, q in zip(("lstm_cell", "gru_cell"), two)
                                          for _, n, a in q.weights],
                cell=wrap({"class_name": "StackedRNNCells", "config": {"name": "stacked", "cells": [
                    cell_of("LSTM", "a"), cell_of("GRU", "b")]}}, "ResidualWrapper"),
                return_sequences=True, return_state=False, go_backwards=True), x)
    m.out(Layer("RNN", "stack", stack, [("cell/cell/cells/" + p, n, a) for p, q in zip(paths, parts) for _, n, a in q.weights],
                cell=wrap({"class_name": "StackedRNNCells", "config": {"name": "stacked", "cells": cells_}}, "DeviceWrapper"),
                return_sequences=False, return_state=False, go_backwards=False), x)
    m.model().save(folder)


def Vectorize(name, words, standardize="lower_and_strip_punctuation", split="whitespace", mode="int", length=None,
              idf=None, most=None, vocabulary=True, ngrams=None):
    """Keras's documentation, text by text, with Python's own means; tf.strings.lower knows ASCII alone."""
    def tokens(text):
        if standardize and "lower" in standardize:
            text = "".join(c.lower() if c < "\x80" else c for c in text)
        if standardize and "strip" in standardize:
            text = re.sub(r'[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']', "", text)
        found = re.findall(r"[^ \t\n\v\f\r]+", text) if split == "whitespace" else list(text) if split else [text]
        widths = range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams
        return [" ".join(found[i:i + w]) for w in widths for i in range(len(found) - w + 1)] if ngrams else found
    first = 2 if mode == "int" else 1
    place = {w: i + first for i, w in enumerate(words)}

    def call(x):
        found = [[0 if w == "" else place.get(w, first - 1) for w in tokens(text.decode())] for text in np.ravel(x)]
        if mode == "int":
            wide = length or max(map(len, found))
            return torch.tensor([(f + [0] * wide)[:wide] for f in found])
        found = [[p for w, p in zip(tokens(text.decode()), f) if w] for text, f in zip(np.ravel(x), found)]
        y = np.array([np.bincount(f, minlength=len(words) + 1) if f else np.zeros(len(words) + 1) for f in found], "f8")
        y = np.minimum(y, 1) if mode == "multi_hot" else y * (np.r_[np.mean(idf), idf] if mode == "tf_idf" else 1)
        return t(np.pad(y, ((0, 0), (0, (most or len(words) + 1) - len(words) - 1))))
    layer = Layer("TextVectorization", name, call, max_tokens=most, standardize=standardize, split=split, ngrams=ngrams,
                  output_mode=mode, output_sequence_length=length, pad_to_max_tokens=most is not None, sparse=False,
                  ragged=False, vocabulary=list(words) if vocabulary else None, encoding="utf-8",
                  idf_weights=list(idf) if idf is not None and vocabulary else None)
    layer.config["dtype"] = "string"
    return layer


TEXTS = ["The cat, the CAT; and the dog!", "  don't\tstop-now \n", "", "?!", "grün Grün GRÜN\u00a0x", "a - b", "dont stop",
         "the the the the the the the", "supercalifragilistic cats", "caT"]


def documents(folder):
    """Texts that a TextVectorization takes apart."""
    m = Net("documents")
    encoded = np.char.encode(np.array(TEXTS), "utf-8")
    x, z = m.input("documents", encoded[:, None]), m.input("titles", encoded)
    words = ["the", "cat", "dont", "dog", "grün", "stopnow", "x", "cats", "ca"]
    m.out(Vectorize("places", words, length=6), x)
    m.out(Vectorize("few", words, "lower", length=2), z)
    m.out(Vectorize("plain", words + ["CAT;", "-", "?!"], None, length=7), x)
    m.out(Vectorize("stripped", words + ["CAT", "Grün"], "strip_punctuation", length=4), x)
    m.out(Vectorize("letters", ["t", "h", " ", "ü", "e", "T", "\u00a0"], None, "character", length=12), x)
    m.out(Vectorize("soft_letters", ["t", "h", " ", "ü", "e", "n"], split="character", length=9), z)
    m.out(Vectorize("whole", ["cat", "dont stop", "the cat the cat and the dog"], split=None), x)
    m.out(Vectorize("whole_plain", ["caT"], None, None, length=2), x)
    m.out(Vectorize("hot", words, mode="multi_hot"), x)
    m.out(Vectorize("counted", words, "lower", mode="count", most=12), z)
    m.out(Vectorize("weighed", words, mode="tf_idf", idf=[0.5 + 0.25 * i for i in range(9)]), x)
    pairs = ["the", "the cat", "cat", "a b", "the the the", "dont", "stop", "dont stop", "cats x", "and the dog"]
    m.out(Vectorize("pairs", pairs, mode="multi_hot", ngrams=2), x)
    m.out(Vectorize("threes", pairs, mode="count", ngrams=3), z)
    m.out(Vectorize("only_pairs", pairs, mode="tf_idf", idf=list(np.arange(10) / 4 + 1), ngrams=[2]), x)
    m.out(Vectorize("pair_places", pairs, length=9, ngrams=[2, 1]), x)
    m.out(Vectorize("single", pairs, length=5, ngrams=1), x)
    m.out(Vectorize("no_fours", pairs, mode="count", ngrams=[4]), x)
    m.out(Vectorize("hot_whole", ["cat", "dont stop"], split=None, mode="count"), x)
    m.out(Vectorize("one", ["the"], mode="count"), x)
    lookup = Lookup("StringLookup", "titles_known", ["caT", "?!", "dont stop"], ("", "[UNK]"))
    places = lookup.call
    lookup.call = lambda x: places(np.char.decode(x, "utf-8"))
    m.out(lookup, z)
    table = rand(11, 3)
    e = m.add(Vectorize("tokens", words, length=5), x)
    m.out(Layer("Embedding", "vectors", lambda i: t(table)[i.long()], [("", "embeddings", table)], input_dim=11, output_dim=3,
                mask_zero=False), e)
    table2 = rand(11, 3)
    masks = {}

    def vectors(i):
        masks["seen"] = i > 0
        return t(table2)[i.long()]
    for name, split in (("open", "whitespace"), ("open_letters", "character")):
        e = m.add(Vectorize(name, words if split == "whitespace" else list("thecadog"), split=split), x)
        e = m.add(Layer("Embedding", name + "_vectors", vectors, [("", "embeddings", table2)], input_dim=11, output_dim=3,
                        mask_zero=True), e)
        rnn = RNN("GRU", name + "_rnn", 3, 4)
        rnn.call = lambda x, step=rnn.step: run(step, x, [torch.zeros(len(x), 4, dtype=torch.float64)],
                                                mask=masks["seen"])[1][0]
        m.out(rnn, e)
    m.model().save(folder)


def learned(folder):
    """The same that adapt() made: in .keras files alone."""
    m = Net("learned")
    x = m.input("documents", np.char.encode(np.array(TEXTS), "utf-8")[:, None])
    words = ["the", "cat", "grün"]
    m.out(Vectorize("places", words, length=4, vocabulary=False), x)
    m.out(Vectorize("weighed", words, mode="tf_idf", idf=[0.5, 1.0, 0.75], most=6, vocabulary=False), x)
    m.layers[-1].weights = [("_lookup_layer", "idf_weights", np.array([0.75, 0.5, 1.0, 0.75, 0, 0], "float32"))]
    model = m.model()
    model.assets = [("text_vectorization", ["", "[UNK]"] + words), ("text_vectorization_1/_lookup_layer", ["[UNK]"] + words)]
    model.save(folder, False)
    np.save(os.path.join(folder, "texts.npy"), np.array(TEXTS)[:, None])  # of numpy's U, as people have them


def gates(folder):
    """Keras 3's hard_sigmoid, relu6(x + 3) / 6, in recurrent layers: in .keras files alone."""
    m = Net("gates")
    x = m.input("x", rand(3, 6, 4) * 3, [None, 4])
    before = dict(ACT)
    ACT["slow"] = lambda x: F.relu6(x + 3) / 6
    for kind in ("LSTM", "GRU"):
        m.out(RNN(kind, kind.lower(), 4, 3, gate="slow", return_sequences=True), x)
        m.out(Bidirectional("both_" + kind.lower(), kind, 4, 3), x)  # of sigmoid: nothing changes there
    m.out(RNN("GRU", "before", 4, 3, act="slow", gate="slow", reset_after=False), x)
    m.out(RNN("GRU", "state", 4, 3, act="slow"), x)
    m.out(RNN("SimpleRNN", "simple", 4, 3, act="slow", return_sequences=True), x)
    layer = RNN("LSTM", "r", 4, 3, gate="slow")
    m.out(Layer("RNN", "cells", layer.call, layer.weights, cell={"class_name": "LSTMCell", "config": {
        "name": "cell", "units": 3, "activation": "tanh", "recurrent_activation": "slow", "use_bias": True}},
        return_sequences=False, return_state=False, go_backwards=False), x)
    both = [RNN("LSTM", d + "_slow", 4, 3, gate="slow", go_backwards=d == "backward") for d in ("forward", "backward")]
    m.out(Layer("Bidirectional", "both_slow", lambda x: torch.cat([b.call(x) for b in both], -1),
                [(d + "_layer/cell", n, a) for d, b in zip(("forward", "backward"), both) for _, n, a in b.weights],
                layer=both[0], backward_layer=both[1], merge_mode="concat"), x)
    for layer in m.layers + both:
        for config in (layer.config, layer.config.get("cell", {}).get("config", {})):
            for key, value in config.items():
                if value == "slow":
                    config[key] = "hard_sigmoid"
    ACT.clear()
    ACT.update(before)
    m.model().save(folder, False)


def oldest(folder):
    """More layers of Keras 1 that are no more."""
    m = Net("oldest")
    a, x = m.input("a", rand(3, 4) * 3), m.input("x", rand(3, 5, 6, 2))
    alpha, beta = rand(4), rand(4)
    m.out(Layer("ParametricSoftplus", "plus", lambda x: t(alpha) * torch.log(1 + torch.exp(t(beta) * x)),
                [("", "alphas", alpha), ("", "betas", beta)], alpha_init=0.2, beta_init=5.0), a)

    def bent(name, x):
        tl, al, tr, ar = (rand(*x.value.shape[1:]) for _ in range(4))
        end = tl + abs(tr)

        def call(x):
            x = x.numpy()
            return t(np.where(x < tl, tl + al * (x - tl), np.where(x < end, x, end + ar * (x - end))))
        return Layer("SReLU", name, call, [("", n, w) for n, w in zip(("t_left", "a_left", "t_right", "a_right"),
                                                                      (tl, al, tr, ar))])
    m.out(bent("bent", a), a)
    m.out(bent("bent_planes", x), x)

    def back(name, x, kernel, stride, mode, first_=False):
        w, b = rand(*kernel, 2, 3), rand(3)  # [rows, columns, of x, filters]
        wt = t(w).permute(2, 3, 0, 1)

        def call(x):
            y = F.conv_transpose2d(x if first_ else first(x), wt, None, stride)
            for i in range(2):
                n = x.shape[i + (2 if first_ else 1)] * stride[i]
                cut = max(kernel[i] - stride[i], 0)
                begin, n = (cut // 2, n) if mode == "same" else (0, n + cut)
                y = y.narrow(2 + i, begin, n)
            y = y + t(b)[:, None, None]
            return y if first_ else last(y)
        shape = list(call(x.value).shape)
        file_ = w.transpose(3, 2, 0, 1) if first_ else w
        return Layer("Deconvolution2D", name, call, [("", "W", file_), ("", "b", b)], nb_filter=3, nb_row=kernel[0],
                     nb_col=kernel[1], output_shape=[None] + shape[1:], subsample=stride, border_mode=mode,
                     dim_ordering="th" if first_ else "tf", activation="linear", bias=True)
    def norm(name, x, mode, axis):
        own = x.value.shape[axis]
        gamma, beta, shape = rand(own), rand(own), [own if i == axis % x.value.dim() else 1 for i in range(x.value.dim())]
        axes = [-1] if mode == 1 else [i for i in range(x.value.dim()) if i != axis % x.value.dim()]

        def call(x):
            mean, var = x.mean(axes, True), x.var(axes, unbiased=False, keepdim=True)
            y = (x - mean) / (torch.sqrt(var + 1e-3) + (1e-3 if mode == 1 else 0))
            return y * t(gamma).reshape(shape) + t(beta).reshape(shape)
        return Layer("BatchNormalization", name, call, [("", "gamma", gamma), ("", "beta", beta), ("", "moving_mean", rand(own)),
                                                        ("", "moving_variance", rand(own))], mode=mode, axis=axis, epsilon=1e-3,
                     momentum=0.99)
    m.out(norm("samples", x, 1, -1), x)
    m.out(norm("batch", x, 2, 1), x)
    m.out(norm("batch_rows", a, 2, -1), a)
    m.out(back("back", x, [3, 2], [2, 2], "valid"), x)
    m.out(back("back_same", x, [3, 3], [2, 1], "same"), x)
    z = m.input("z", rand(3, 2, 4, 5))
    m.out(back("back_first", z, [2, 3], [1, 2], "valid", True), z)
    m.model().save(folder, keras_version="1.2.2", backend="tensorflow")


def table(folder):
    """Three numbers to one, compiled with the mean absolute error: what `cajal evaluate` is to tell."""
    global DTYPE
    DTYPE = "float32"
    x = Input("columns", np.array([[1, 2, 3], [0, -1, 2]], "float32"))
    dense = Layer("Dense", "dense", lambda v: v.double() @ t([[1.0], [2.0], [-0.5]]) + 0.25,
                  [("", "kernel", np.array([[1], [2], [-0.5]], "float32")), ("", "bias", np.array([0.25], "float32"))],
                  units=1, activation="linear", use_bias=True,
                  kernel_regularizer={"class_name": "L2", "config": {"l2": 0.1}})
    m = Model("table", [x.layer, dense], [x], [dense(x)], True)
    m.training = ({"loss": "mae", "metrics": ["mse"]}, {"loss": "mae", "metrics": ["mse"]})
    m.save(folder)
    DTYPE = "float64"


def wrong(folder):
    """Files that are refused for what is in them."""
    def one(name, config, weights, attribute="model_config"):
        with h5py.File(os.path.join(folder, name + ".h5"), "w") as f:
            f.attrs[attribute] = np.array(json.dumps(config).encode())
            f.attrs["keras_version"] = np.array(b"2.2.4")
            g = f.create_group("model_weights/dense")
            g.attrs["weight_names"] = [n.encode() for n, _ in weights]
            for n, a in weights[:2]:
                g[n] = a
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "Dense", "config": {"name": "dense", "units": 2, "batch_input_shape": [None, 3]}}]}}
    kernel, bias = ("kernel:0", np.zeros((3, 2), "f4")), ("bias:0", np.zeros(2, "f4"))
    one("wrong-shape", config, [("kernel:0", np.zeros((2, 3), "f4")), bias])
    one("wrong-type", config, [("kernel:0", np.zeros((3, 2), "i4")), bias])
    one("wrong-missing", config, [kernel])
    one("wrong-more", config, [kernel, bias, bias])
    one("wrong-weights-only", ["dense"], [kernel, bias], "layer_names")
    one("wrong-nothing", ["dense"], [kernel, bias], "something")
    config["config"]["layers"][0]["config"]["units"] = 1 << 30
    one("wrong-bomb", config, [kernel, bias])


def corpus(golden, folder):
    """What fuzz_keras and fuzz_keras_json begin with: small files, and a configuration for each class of layer."""
    for kind in ("h5", "keras"):
        with open("%s/sequential.%s" % (golden, kind), "rb") as f, open("%s/keras/sequential-%s" % (folder, kind), "wb") as g:
            g.write(f.read())
    configs = {}
    for m in MODELS:
        if m.name in ("branches", "sequential"):
            configs[m.name] = m
        for layer in m.layers if not m.chain else []:
            if layer.kind != "InputLayer":
                configs.setdefault(layer.kind, m.alone(layer))
    for name, m in configs.items():
        for version in (2, 3):
            config = {"class_name": "Sequential" if m.chain else "Functional", "config": m.config(version)}
            with open("%s/keras_json/%s-%d" % (folder, name, version), "w") as g:
                g.write("%c%s" % (version - 1, json.dumps(config, separators=(",", ":"))))


def main():
    folder, fuzz = os.path.join(sys.argv[1], "tests/golden/keras"), os.path.join(sys.argv[1], "fuzz/corpus")
    os.makedirs(folder, exist_ok=True)
    for make in (images, lines, recurrent, attention, activations, branches, sequential, cells, others, cudnn, old, table, nested, rare, texts, adapted, operators, scores, older, many_heads, variants, zeroed, gates, indices, locals_, wrapped, oldest, documents, learned):
        make(folder)
    wrong(folder)
    corpus(folder, fuzz)


main()
