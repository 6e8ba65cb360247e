#!/usr/bin/python3
"""Everyday layers by Keras 3's formulas in torch, normalised kernels by torch's own: results and gradients, in double.

    tools/golden/layers.py      writes tests/golden/nn/layers.npz

A case has inputs x0, x1 ..., parameters p_NAME, the result y, a cotangent c, and of each input and parameter of floats
the gradient of sum(c * y). Samples are random; the last two are all zeros and very large.
"""
import pathlib

import numpy as np
import torch

PATH = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/nn/layers.npz"
rng = np.random.default_rng(5)
arrays = {}


def numbers(*shape):
    x = rng.normal(size=(12, *shape))
    x[10], x[11] = 0, rng.choice([-1e4, 1e4], size=shape)
    return x


def weights(*shape):
    return rng.normal(size=shape) * 0.5


def case(name, layer, *inputs, **parameters):
    values = {f"x{i}": x for i, x in enumerate(inputs)} | {f"p_{k}": v for k, v in parameters.items()}
    tensors = {}
    for key, v in values.items():
        if v.dtype.kind == "f":
            v = v.astype(np.float32).astype(np.float64)
        arrays[f"{name}/{key}"] = v
        tensors[key] = torch.tensor(v, requires_grad=v.dtype.kind == "f")
    y = layer(*(t for k, t in tensors.items() if k[0] == "x"), **{k[2:]: t for k, t in tensors.items() if k[:2] == "p_"})
    arrays[f"{name}/y"] = y.detach().numpy()
    if not y.requires_grad:
        return
    c = rng.normal(size=y.shape).astype(np.float32).astype(np.float64)
    arrays[f"{name}/c"] = c
    (y * torch.tensor(c)).sum().backward()
    for key, t in tensors.items():
        if t.requires_grad:
            arrays[f"{name}/d_{key}"] = t.grad.numpy()


def case_of(name, layer, x, **parameters):
    """A layer whose parameters, in this order, are those of layers inside of it."""
    case(name, lambda x, **p: layer(x, *p.values()), x, **parameters)


def unit(x, axis):
    return x * torch.rsqrt((x * x).sum(axis, keepdim=True).clamp(min=1e-12))


def highway(x, kernel, bias, gate_kernel, gate_bias):
    t = torch.sigmoid(x @ gate_kernel + gate_bias)
    return t * torch.tanh(x @ kernel + bias) + (1 - t) * x


def experts(top_k, activation):
    def layer(x, gate_kernel, kernel, bias=None):
        logits = x @ gate_kernel
        chosen = torch.topk(logits, min(top_k, logits.shape[-1]), -1)
        each = torch.einsum("...i,ieu->...eu", x, kernel)
        each = activation(each if bias is None else each + bias)
        index = chosen.indices[..., None].expand(*chosen.indices.shape, each.shape[-1])
        return (torch.softmax(chosen.values, -1)[..., None] * torch.gather(each, -2, index)).sum(-2)
    return layer


def encode(places, depth, mode):
    """Keras's encode_categorical_inputs of places [batch, n]; -1 counts as none."""
    if mode == "int":
        return torch.tensor(places)
    hot = torch.tensor((places[..., None] == np.arange(depth)).astype(np.float64))
    if mode == "one_hot":
        return hot[:, 0] if hot.ndim == 3 and hot.shape[1] == 1 else hot
    return hot.sum(-2) if mode == "count" else hot.amax(-2)


def polynomial(parts, salt, bins):
    """The hash of layers_lookup.c, in whole numbers of any size."""
    p = 2**31 - 1
    k = 2 + ((((salt + 1) * 0x9E3779B97F4A7C15) % 2**64) >> 33) % (p - 2)
    return sum(part * pow(k, i + 1, p) for i, part in enumerate(parts)) % p % bins


def hashed(value, salt, bins):
    if isinstance(value, bytes):
        return polynomial(value, salt, bins)
    return polynomial([(value >> 16 * i) & 0xFFFF for i in range(4)], salt, bins)


def lookup(vocabulary, oov=1, mask=None, mode="int"):
    """Keras's IndexLookup of an array of numbers or bytes; several places for others by remainder, or by our hash."""
    def place(value):
        first = int(mode == "int" and mask is not None)
        if mask is not None and value == mask:
            return 0 if mode == "int" else -1
        if value in vocabulary:
            return first + oov + vocabulary.index(value)
        if oov == 0:
            return -1
        return first + (hashed(value, 0, oov) if isinstance(value, bytes) else value % oov)
    return lambda x: encode(np.vectorize(place, otypes=[np.int64])(values(x)), oov + len(vocabulary), mode)


def hashing(bins, salt=0, mask=None, mode="int"):
    def place(value):
        if mask is not None and bins > 1:
            return 0 if value == mask else 1 + hashed(value, salt, bins - 1)
        return hashed(value, salt, bins)
    return lambda x: encode(np.vectorize(place, otypes=[np.int64])(values(x)), bins, mode)


def values(x):
    """Numbers as Python has them; rows of u8 as bytes without the zeros behind."""
    x = np.ascontiguousarray(x.numpy())
    if x.dtype != np.uint8:
        return x.astype(object)
    return x.view(f"S{x.shape[-1]}")[..., 0].astype(object)


def categories():
    words = [b"red", b"green", b"blue", b"dark, blue", b"it's", "ä".encode(), b"a longer text than fits", b""]
    texts = rng.choice(np.array(words[:6] + [b"", b"re", b"reds", b"Red", b"\xff\xfe\x80", b"0123456789"], dtype="S10"), size=(12, 4))
    rows = texts.view(np.uint8).reshape(12, 4, 10)
    known = words[:6] + [words[6]]
    assert lookup([b"a", b"b", b"c", b"d"])(torch.tensor(np.array([[b"a", b"c", b"d"], [b"d", b"z", b"b"]]).view(np.uint8).reshape(2, 3, 1))).tolist() == [[1, 3, 4], [4, 0, 2]]  # Keras's example
    case("string", lookup(known), rows)
    case("string_one", lookup(known), rows[:, 0])
    case("string_mask", lookup(known, 3, b""), rows)
    case("string_none", lookup(known, 0), rows)
    case("string_count", lookup(known, 1, b"re", "count"), rows)
    case("string_multi_hot", lookup(known, 2, None, "multi_hot"), rows)
    case("string_one_hot", lookup(known, 0, None, "one_hot"), rows[:, :1])
    whole = rng.choice([-3, -2, -1, 0, 1, 2, 7, 9, 2**31, -(2**31) - 1, 2**53, -(2**53), 2**63 - 1, -(2**63)], size=(12, 4))
    numbers_known = [7, 2, -1, 2**53]
    case("integer_oov", lookup(numbers_known, 3), whole)
    case("integer_mask", lookup(numbers_known, 2, 0), whole)
    case("integer_none", lookup(numbers_known, 0, 9), whole)
    case("integer_count", lookup(numbers_known, 2, 0, "count"), whole)
    case("integer_one_hot", lookup(numbers_known, 1, None, "one_hot"), whole)
    table = [0] + [-1] * 2 + numbers_known
    case("integer_invert", lambda x: torch.tensor(np.array([table[i] if 0 <= i < len(table) else -1 for i in x.numpy().ravel()]).reshape(x.shape)), rng.integers(-3, 10, size=(12, 4)))
    case("hashing", hashing(10), whole)
    case("hashing_salt", hashing(1000003, 133), whole)
    case("hashing_one", hashing(1, 5, 0), whole)
    case("hashing_mask", hashing(5, 2**53, -1), whole)
    case("hashing_count", hashing(4, 1, None, "count"), whole)
    case("hashing_text", hashing(10), rows)
    case("hashing_text_salt", hashing(2**31 - 1, 7), rows)
    case("hashing_text_mask", hashing(3, 1, b"", "multi_hot"), rows)
    # Even: 10000 numbers in 10 bins, 5 deviations of a count.
    for salt in range(5):
        counts = np.bincount([hashed(i, salt, 10) for i in range(10000)], minlength=10)
        assert np.abs(counts - 1000).max() < 5 * 30, (salt, counts)
        counts = np.bincount([hashed(str(i).encode(), salt, 10) for i in range(10000)], minlength=10)
        assert np.abs(counts - 1000).max() < 5 * 30, (salt, counts)


def same_pads(n, kernel, stride, dilation):
    """TensorFlow's padding "same" of one axis: what does not divide by two goes behind."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-n // stride) - 1) * stride + reach - n, 0)
    return total // 2, total - total // 2


def convolve(x, w, stride, dilation, same):
    """x [n, spatial..., in], w [out, in, kernel...]."""
    d = w.ndim - 2
    x = x.movedim(-1, 1)
    if same:
        pads = [same_pads(x.shape[2 + i], w.shape[2 + i], stride[i], dilation) for i in range(d)]
        x = torch.nn.functional.pad(x, [p for pair in reversed(pads) for p in pair])
    f = [torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d][d - 1]
    return f(x, w, stride=stride, dilation=dilation).movedim(1, -1)


def attention_weights(width, key, value, bias=True):
    sizes = {"query": width, "key": key, "value": value, "output": width}
    p = {f"{k}_kernel": weights(n, width) for k, n in sizes.items()}
    return p | {f"{k}_bias": weights(width) for k in sizes if bias}


def cross(module):
    """torch.nn.MultiheadAttention of a query and of values and keys of other lengths and widths."""
    def layer(query, value, key=None, **p):
        own = {f"{k[0]}_proj_weight": p[f"{k}_kernel"].T for k in ("query", "key", "value")} | {"out_proj.weight": p["output_kernel"].T}
        if "query_bias" in p:
            own |= {"in_proj_bias": torch.cat([p["query_bias"], p["key_bias"], p["value_bias"]]), "out_proj.bias": p["output_bias"]}
        inputs = query, value if key is None else key, value
        return torch.nn.utils.stateless.functional_call(module.double(), own, inputs)[0]
    return layer


def peephole_lstm(x, kernel, recurrent_kernel, bias, peepholes):
    """Gers and Schmidhuber 2000, TensorFlow's PeepholeLSTMCell: i and f see the state before, o the one after; gates i f g o."""
    h = c = torch.zeros(len(x), recurrent_kernel.shape[1], dtype=x.dtype)
    of_i, of_f, of_o = peepholes.chunk(3)
    steps = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ kernel.T + h @ recurrent_kernel.T + bias).chunk(4, 1)
        c = torch.sigmoid(f + of_f * c) * c + torch.sigmoid(i + of_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + of_o * c) * torch.tanh(c)
        steps.append(h)
    return torch.stack(steps, 1)


def two_lstms(x, **p):
    back = {k[9:]: v for k, v in p.items() if k.startswith("backward_")}
    ahead = {k: v for k, v in p.items() if not k.startswith("backward_")}
    return torch.cat([peephole_lstm(x, **ahead)[:, -1], peephole_lstm(x.flip(1), **back)[:, -1]], 1)


def conv_lstm(d, stride=1, dilation=1, same=False, back=False, sequences=False, a=torch.tanh, s=torch.sigmoid):
    """keras/src/layers/rnn/conv_lstm.py, whose gates are i, f, c, o."""
    strides = stride if isinstance(stride, list) else [stride] * d

    def layer(x, kernel, recurrent_kernel, bias=None):
        steps = [convolve(x[:, t], kernel, strides, dilation, same) for t in range(x.shape[1])]
        if bias is not None:
            steps = [z + bias for z in steps]
        n = kernel.shape[0] // 4
        h = c = torch.zeros(*steps[0].shape[:-1], n, dtype=torch.float64)
        out = []
        for z in reversed(steps) if back else steps:
            z = z + convolve(h, recurrent_kernel, [1] * d, 1, True)
            i, f, g, o = z.split(n, -1)
            c = s(f) * c + s(i) * a(g)
            h = s(o) * a(c)
            out.append(h)
        return torch.stack(out, 1) if sequences else h
    return layer


def bicubic(n, times):
    """Weights [n times, n] of Keys's cubic (a = -1/2) at half pixels; what lies outside does not count."""
    at = (np.arange(n * times) + 0.5) / times - 0.5
    d = np.abs(at[:, None] - np.arange(n))
    w = np.where(d <= 1, (1.5 * d - 2.5) * d * d + 1, np.where(d < 2, ((-0.5 * d + 2.5) * d - 4) * d + 2, 0))
    return torch.tensor(w / w.sum(1, keepdims=True))


def spectral(module):
    """torch's own spectral norm: one step of the power method, from where the layer begins it."""
    module = torch.nn.utils.spectral_norm(module.double())
    module.weight_u.copy_(torch.sin(1 + 2.399963 * torch.arange(len(module.weight_u), dtype=torch.float64)))
    start = module.weight_u.clone()

    def layer(x, kernel, bias):
        linear = isinstance(module, torch.nn.Linear)
        module.weight_u.copy_(start)
        how = {"weight_orig": kernel.T if linear else kernel, "bias": bias}
        y = torch.nn.utils.stateless.functional_call(module, how, x if linear else x.movedim(-1, 1))
        return y if linear else y.movedim(1, -1)
    return layer


def weight(function, dim, **how):
    """torch's weight norm, of every unit or filter."""
    def layer(x, kernel, kernel_length, bias):
        lengths = kernel_length.reshape([-1 if i == dim else 1 for i in range(kernel.ndim)])
        w = torch._weight_norm(kernel, lengths, dim)
        if function is None:
            return x @ w + bias
        return function(x.movedim(-1, 1), w, bias, **how).movedim(1, -1)
    return layer


def hard_sigmoid(x):
    return torch.clamp(x / 6 + 0.5, 0, 1)


def main():
    a, b, c = numbers(3, 4), numbers(3, 4), numbers(3, 4)
    case("add", lambda x, y, z: x + y + z, a, b, c)
    case("subtract", lambda x, y: x - y, a, b)
    case("multiply", lambda x, y, z: x * y * z, a, b, c)
    case("average", lambda x, y, z: (x + y + z) / 3, a, b, c)
    b[10], b[11] = 1, -a[11]  # no ties
    case("maximum", torch.maximum, a, b)
    case("minimum", torch.minimum, a, b)
    case("concatenate", lambda x, y: torch.cat([x, y], 1), a, numbers(2, 4))
    case("dot", lambda x, y: (x * y).sum(1, keepdim=True), numbers(5), numbers(5))
    case("dot_matrix", lambda x, y: torch.einsum("bik,bkj->bij", x, y), numbers(2, 5), numbers(5, 3))
    case("dot_cosine", lambda x, y: torch.einsum("bki,bjk->bij", unit(x, 1), unit(y, 2)), numbers(5, 2), numbers(3, 5))
    case("dot_uneven", lambda x, y: torch.einsum("bik,bk->bi", x, y), numbers(2, 5), numbers(5))
    case("permute", lambda x: x.permute(0, 3, 1, 2), numbers(2, 3, 4))
    case("repeat_vector", lambda x: x[:, None].expand(-1, 3, -1), numbers(4))
    prelu = lambda x, alpha: x.clamp(min=0) + alpha * x.clamp(max=0)  # noqa: E731
    a = numbers(3, 4)
    a[10] = 2  # torch's clamp has a slope of 1 at 0
    case("prelu", prelu, a, alpha=weights(3, 4))
    case("prelu_shared", prelu, a, alpha=weights(1, 4))
    case("highway", highway, numbers(4), kernel=weights(4, 4), bias=weights(4), gate_kernel=weights(4, 4), gate_bias=weights(4))
    a = numbers(5, 6)
    a[10] = 0.5  # gates without ties
    case("experts", experts(2, torch.tanh), a, gate_kernel=weights(6, 4), kernel=weights(6, 4, 3), bias=weights(4, 3))
    case("experts_all", experts(9, lambda x: x), a, gate_kernel=weights(6, 4), kernel=weights(6, 4, 3))
    case("rescaling", lambda x: x * 0.5 - 3, numbers(4))
    mean, variance = torch.tensor([1.0, -2, 3], dtype=torch.float64), torch.tensor([4.0, 0.25, 1e-20], dtype=torch.float64)
    deviation = variance.sqrt().clamp(min=1e-7)
    case("normalization", lambda x: (x - mean) / deviation, numbers(2, 3))
    case("normalization_inverse", lambda x: x * variance.sqrt() + mean, numbers(3))
    bounds = np.array([-1.0, 0.0, 0.5])
    case("discretization", lambda x: torch.tensor(np.digitize(x.detach().numpy(), bounds)), numbers(4))
    whole = rng.integers(-2, 9, size=(12, 4))
    case("integer_lookup", lambda x: torch.tensor(np.select([x == 7, x == 2, x == -1], [1, 2, 3], 0)), whole)
    hot = lambda x: (x[..., None] == torch.arange(5)).double()  # noqa: E731
    case("multi_hot", lambda x: hot(x).amax(1), whole)
    case("count", lambda x: hot(x).sum(1), whole)
    case("one_hot", lambda x: hot(x[:, 0]), whole[:, :1])
    # EinsumDense: Keras's examples, attention's projection to heads, a kernel of two batches, "..." behind.
    def dense(equation, f=lambda y: y):
        return lambda x, kernel, bias=None: f(torch.einsum(equation, x, kernel) + (0 if bias is None else bias))
    def mild(*shape):  # sums over the batch of numbers of 1e4 and 1 have no five digits in float
        return np.concatenate([rng.normal(size=(10, *shape)), np.zeros((1, *shape)), np.full((1, *shape), 30.0)])
    case("einsum_plain", dense("ab,bc->ac", torch.tanh), mild(4), kernel=weights(4, 3), bias=weights(3))
    case("einsum_sequence", dense("abc,cd->abd"), mild(3, 4), kernel=weights(4, 5), bias=weights(5))
    case("einsum_dots", dense("...x,xy->...y"), mild(2, 3, 4), kernel=weights(4, 5), bias=weights(5))
    case("einsum_heads", dense("abc,cde->abde"), mild(3, 4), kernel=weights(4, 2, 3), bias=weights(2, 3))
    case("einsum_steps", dense("abc,bcd->abd"), mild(3, 4), kernel=weights(3, 4, 2), bias=weights(3, 1))
    case("einsum_behind", dense("ab...,bc->ac..."), mild(4, 2, 3), kernel=weights(4, 5), bias=weights(5, 1, 1))
    case("einsum_no_bias", dense("abc,dc->adb"), mild(3, 4), kernel=weights(2, 4))
    categories()
    unit_of = lambda axis: lambda x: x * torch.rsqrt((x * x).sum(axis, keepdim=True).clamp(min=1e-24))  # noqa: E731
    case("unit", unit_of(-1), numbers(3, 4))
    case("unit_axis", unit_of(1), numbers(3, 4))
    case("bicubic", lambda x: torch.einsum("bhwc,yh,xw->byxc", x, bicubic(3, 2), bicubic(4, 3)), numbers(3, 4, 2))
    case("bicubic_1d", lambda x: torch.einsum("bhc,yh->byc", x, bicubic(2, 4)), numbers(2, 2))
    # Of far numbers 30 is enough: gates are then 0 or 1 to the last bit.
    far = lambda *shape: np.clip(numbers(*shape)[2:], -30, 30)  # noqa: E731
    case("conv_lstm1d", conv_lstm(1), far(3, 5, 2), kernel=weights(8, 2, 3), recurrent_kernel=weights(8, 2, 3), bias=weights(8))
    case("conv_lstm1d_back", conv_lstm(1, dilation=2, same=True, back=True, sequences=True, a=torch.sigmoid, s=hard_sigmoid),
         far(3, 4, 1) * 0.07, kernel=weights(8, 1, 2), recurrent_kernel=weights(8, 2, 2), bias=weights(8))
    case("conv_lstm2d", conv_lstm(2, stride=[2, 1], same=True, sequences=True), far(2, 3, 4, 2), kernel=weights(8, 2, 3, 2),
         recurrent_kernel=weights(8, 2, 3, 2), bias=weights(8))
    case("conv_lstm3d", conv_lstm(3), far(2, 2, 3, 2, 1), kernel=weights(4, 1, 2, 2, 2), recurrent_kernel=weights(4, 1, 2, 2, 2))
    dense = {"dense/kernel": weights(4, 3), "dense/bias": weights(3)}
    case_of("time_distributed", lambda x, w, v: torch.tanh(x @ w + v)[:, :, None].expand(-1, -1, 2, -1), numbers(5, 4), **dense)
    two = {"dense/kernel": weights(3, 4), "dense/bias": weights(4), "dense_1/kernel": weights(3, 4), "dense_1/bias": weights(4)}
    case_of("residual", lambda x, w, v, w1, v1: torch.relu(torch.tanh(x @ w + v) + x @ w1 + v1), numbers(2, 3), **two)
    one = {"dense/kernel": weights(3, 3), "dense/bias": weights(3)}
    case_of("residual_plain", lambda x, w, v: x @ w + v + x, numbers(2, 3), **one)
    F, nn = torch.nn.functional, torch.nn
    case("dense_spectral", spectral(nn.Linear(4, 3)), mild(4), kernel=weights(4, 3), bias=weights(3))
    case("conv_spectral", spectral(nn.Conv2d(4, 6, (3, 2), groups=2)), mild(5, 4, 4), kernel=weights(6, 2, 3, 2), bias=weights(6))
    case("transpose_spectral", spectral(nn.ConvTranspose2d(2, 3, 2, stride=2)), mild(3, 2, 2), kernel=weights(2, 3, 2, 2), bias=weights(3))
    case("depthwise_spectral", spectral(nn.Conv1d(3, 6, 2, groups=3)), mild(5, 3), kernel=weights(6, 1, 2), bias=weights(6))
    case("dense_weight", weight(None, 1), mild(4), kernel=weights(4, 3), kernel_length=weights(3), bias=weights(3))
    case("conv_weight", weight(F.conv1d, 0), mild(6, 2), kernel=weights(3, 2, 3), kernel_length=weights(3), bias=weights(3))
    case("transpose_weight", weight(F.conv_transpose1d, 1, stride=2), mild(4, 2), kernel=weights(2, 3, 2), kernel_length=weights(3), bias=weights(3))
    for name, key, more in (("attention_cross", 4, {}), ("attention_value_key", 3, {}), ("attention_no_bias", 4, {"bias": False})):
        module = nn.MultiheadAttention(6, 2, kdim=key, vdim=4, batch_first=True, **more)
        shapes = ((3, 6), (5, 4), (5, key))[:2 + (key != 4)]  # scores of hundreds lose digits of their log-sum, which gradients need
        inputs = [np.clip(mild(*shape), -3, 3) for shape in shapes]
        case(name, cross(module), *inputs, **attention_weights(6, key, 4, **more))
    lstm = {"kernel": weights(12, 5), "recurrent_kernel": weights(12, 3), "bias": weights(12), "peepholes": weights(9)}
    case("lstm_peepholes", peephole_lstm, far(4, 5), **lstm)
    both = {f"{k}{n}": weights(*s) for k in ("", "backward_")
            for n, s in (("kernel", (8, 3)), ("recurrent_kernel", (8, 2)), ("bias", (8,)), ("peepholes", (6,)))}
    case("lstm_peepholes_both", two_lstms, far(5, 3), **both)
    np.savez_compressed(PATH, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
