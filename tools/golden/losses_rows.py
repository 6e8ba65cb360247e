#!/usr/bin/python3
"""Every row of the table of losses, by PyTorch in double and in float: values, means, gradients.

    tools/golden/losses_rows.py     writes tests/golden/nn/losses_{numbers,binary,classes,regions,pairs,sequences,embeddings}.npz

A case is called "loss|activation|shape": the text that names the loss and its options, what the prediction goes
through first (plain, softmax, sigmoid), and a word. It has a batch (random samples, then extremes), the loss of each
sample, its gradient by autograd with a cotangent, and the mean with weights of samples, sum(weight loss) /
sum(weight count). Where float cannot have five digits (float_tolerance), its numbers are those of double. Where PyTorch has the loss it is called; else the formula of Keras 3, TensorFlow Addons or the paper
is written out. test_losses_rows.c reads the cases by their names.
"""
import itertools

import numpy as np
import torch
import torch.nn.functional as F
from losses import EPSILON, ROOT, SAMPLES, logits, one_hot, per_sample, probabilities, rng, scaled_log, unit

out = {}


def case(text, loss, prediction, target, through="plain", shape="vector", float_tolerance=None):
    """loss(x, t) gives [batch], or that and what each sample counts for."""
    name = f"{text}|{through}|{shape}"
    assert f"{name}/target" not in out, name
    prediction = prediction.astype(np.float32).astype(np.float64)
    if target.dtype.kind == "f":
        target = target.astype(np.float32).astype(np.float64)
    n = len(prediction)
    cotangent = rng.normal(size=n).astype(np.float32).astype(np.float64)
    weight = rng.choice([0, 0.5, 1, 2.0], size=n)
    out.update({f"{name}/prediction": prediction, f"{name}/target": target, f"{name}/cotangent": cotangent, f"{name}/weight": weight})
    if float_tolerance:
        out[f"{name}/float_tolerance"] = np.float64(float_tolerance)
    for dtype, suffix in ((torch.float64, "f64"), (torch.float32, "f32")):
        x = torch.tensor(prediction, dtype=dtype, requires_grad=True)
        t = torch.tensor(target) if target.dtype.kind == "i" else torch.tensor(target, dtype=dtype)
        y = loss(x, t)
        y, count = y if isinstance(y, tuple) else (y, torch.ones_like(y))
        (y * torch.tensor(cotangent, dtype=dtype)).sum().backward()
        w = torch.tensor(weight, dtype=dtype)
        mean = (w * y).sum() / max((w * count).sum(), 1e-30)
        for part, value in (("loss", y), ("gradient", x.grad), ("mean", mean)):
            out[f"{name}/{part}_{suffix}"] = value.detach().numpy()
            if float_tolerance:
                out[f"{name}/{part}_f32"] = out[f"{name}/{part}_f64"]


def save(name):
    np.savez_compressed(ROOT / f"losses_{name}.npz", **out)
    out.clear()


# ---- Numbers, distributions, directions ------------------------------------------------------------------------------

SHAPES = (("vector", (5,)), ("steps", (3, 4)))


def numbers(*shape):
    """Random rows, then 0, +-1e4, tiny."""
    signs = np.where(rng.random(shape) < 0.5, -1.0, 1.0)
    return np.concatenate([rng.normal(size=(SAMPLES, *shape)) * 3, [np.zeros(shape), 1e4 * signs, 1e-6 * signs]])


def elements(f):
    return lambda p, t: per_sample(f(p, t))


def log_cosh(p, t):
    """ln cosh, by what is exact near 0 and far out."""
    e = p - t
    near = torch.log1p(2 * torch.sinh(e.clamp(-1, 1) / 2) ** 2)
    return torch.where(e.abs() < 1, near, e.abs() + torch.log1p(torch.exp(-2 * e.abs())) - np.log(2))


def msle(p, t):
    return (torch.log(p.clamp(min=EPSILON) + 1) - torch.log(t.clamp(min=EPSILON) + 1)) ** 2


def pinball(q):
    """torch.maximum shares the slope at 0; so does |d|, whose slope is 0 there."""
    return lambda p, t: torch.maximum(q * (t - p), (q - 1) * (t - p))


def gaussian(log_variance=False, full=False, epsilon=1e-6):
    def f(p, t):
        k = p.shape[-1] // 2
        mean, v = p[..., :k], p[..., k:]
        if log_variance:
            y = 0.5 * (v + (mean - t) ** 2 * torch.exp(-v))
            return per_sample(y + 0.5 * np.log(2 * np.pi) if full else y)
        v = v.clamp(min=epsilon)  # PyTorch's own clamp has a slope below epsilon
        return per_sample(F.gaussian_nll_loss(mean, t, v, full=full, eps=epsilon, reduction="none"))
    return f


def kl_keras(p, t):
    p, t = p.clamp(EPSILON, 1), t.clamp(EPSILON, 1)
    return per_sample((t * torch.log(t / p)).sum(-1))


def kl_logits(z, t):
    return per_sample(F.kl_div(F.log_softmax(z, -1), t, reduction="none").sum(-1))


def unit_length(x):
    norm = (x * x).sum(-1, keepdim=True)
    return x * torch.rsqrt(norm.clamp(min=EPSILON**2))


def cosine(p, t):
    return per_sample(-(unit_length(p) * unit_length(t)).sum(-1))


def regression():
    for shape, dims in SHAPES:
        p, t = numbers(*dims), numbers(*dims)[::-1].copy()
        t[0, ..., 0] = p[0, ..., 0]  # no error at all
        each = {
            "mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss, "smooth_l1": F.smooth_l1_loss,
            "huber(delta=0.3)": lambda p, t: F.huber_loss(p, t, delta=0.3, reduction="none"),
            "smooth_l1(beta=2.5)": lambda p, t: F.smooth_l1_loss(p, t, beta=2.5, reduction="none"),
            "smooth_l1(beta=0)": lambda p, t: F.l1_loss(p, t, reduction="none"),
        }
        for text, f in each.items():
            case(text, elements(f if "(" in text else lambda p, t, f=f: f(p, t, reduction="none")), p, t, shape=shape)
        case("log_cosh", elements(log_cosh), p, t, shape=shape)
        nonzero = np.where(np.abs(t) < 0.1, 0.5, t)
        nonzero[0, ..., 1], nonzero[1, ..., 1], p[1, ..., 1] = 1e-5, 0, 2
        case("mape", elements(lambda p, t: 100 * ((t - p) / t.abs().clamp(min=EPSILON)).abs()), p, nonzero, shape=shape)
        case("msle", elements(msle), p, np.abs(t), shape=shape)
        apart = t.copy()
        apart[0, ..., 0] += 0.5
        for q in (0.5, 0.9, 0, 1):
            case("quantile" if q == 0.5 else f"quantile(quantile={q})", elements(pinball(q)), p, apart, shape=shape)
        counts = rng.poisson(3, size=p.shape).astype(float)
        counts[-1] = 1e4
        rate = np.abs(p)
        case("poisson", elements(lambda p, t: p - t * torch.log(p + EPSILON)), rate, counts, shape=shape)
        low = np.clip(p, -1e4, 30)
        for text, full in (("poisson(log_input=true)", False), ("poisson(log_input=true, full=true)", True)):
            case(text, elements(lambda p, t, full=full: F.poisson_nll_loss(p, t, log_input=True, full=full, reduction="none")), low, counts, shape=shape)
        case("poisson(full=true)", elements(lambda p, t: F.poisson_nll_loss(p, t, log_input=False, full=True, eps=EPSILON, reduction="none")), rate, counts, shape=shape)
        both = np.concatenate([p, np.abs(numbers(*dims)) + 0.05], -1)
        both[3, ..., dims[-1]:] = 1e-9  # less than epsilon
        near = p + rng.normal(size=p.shape)
        near[3] = p[3] + 0.01
        case("gaussian_nll", gaussian(), both, near, shape=shape)
        case("gaussian_nll(full=true, epsilon=0.01)", gaussian(full=True, epsilon=0.01), both, near, shape=shape)
        both[..., dims[-1]:] = np.clip(numbers(*dims), -5, 1e4)
        case("gaussian_nll(log_variance=true)", gaussian(log_variance=True), both, near, shape=shape)
        case("gaussian_nll(log_variance=true, full=true)", gaussian(log_variance=True, full=True), both, near, shape=shape)
        p, z = probabilities(*dims), logits(*dims)
        t = rng.dirichlet(np.ones(dims[-1]), size=(len(z), *dims[:-1]))
        t[1], t[2, ..., 0] = one_hot(np.zeros(dims[:-1], int), dims[-1]), 0
        case("kl_divergence", kl_keras, p, t[:len(p)], shape=shape)
        case("kl_divergence", kl_logits, z, t, "softmax", shape)
        case("kl_divergence(from_logits=true)", kl_logits, z, t, shape=shape)
        # The slope is a difference of directions over the length, and lengths begin at 1e-6: digits go in float.
        case("cosine_similarity", cosine, numbers(*dims), numbers(*dims)[::-1].copy(), shape=shape, float_tolerance=1e-3)
    save("numbers")


# ---- Classes ---------------------------------------------------------------------------------------------------------

def binary_weighted(w):
    def f(z, t):
        return per_sample(F.binary_cross_entropy_with_logits(z, t, pos_weight=torch.tensor(w, dtype=z.dtype), reduction="none"))
    return f


def binary_weighted_plain(w):
    def f(p, t):
        p = p.clamp(EPSILON, 1 - EPSILON)
        return per_sample(-(w * t * p.log() + (1 - t) * (1 - p).log()))
    return f


def weighted_mean(loss, count):
    return per_sample(loss), per_sample(count)


def sparse(weights=None, smoothing=0.0, ignored=(), log=None):
    """PyTorch's cross_entropy; probabilities come as their logarithms, whose sum it would scale again."""
    def f(z, t):
        log_p = F.log_softmax(z, -1) if log is None else log(z)
        w = torch.ones(z.shape[-1], dtype=z.dtype) if weights is None else torch.tensor(weights, dtype=z.dtype)
        out_ = torch.zeros_like(t, dtype=torch.bool)
        for label in ignored:
            out_ |= t == label
        t = torch.where(out_, torch.tensor(-100), t)
        if log is None:
            y = F.cross_entropy(z.movedim(-1, 1), t, weight=w, ignore_index=-100, label_smoothing=smoothing, reduction="none")
        else:
            safe = t.clamp(min=0)
            y = -(1 - smoothing) * w[safe] * log_p.gather(-1, safe[..., None])[..., 0] - smoothing * (w * log_p).mean(-1)
            y = torch.where(out_, torch.zeros_like(y), y)
        count = torch.where(out_, torch.zeros_like(y), w[t.clamp(min=0)])
        return weighted_mean(y, count)
    return f


def categorical(weights=None, smoothing=0.0, log=None):
    def f(z, t):
        w = torch.tensor(weights or 1, dtype=z.dtype)
        smooth = t * (1 - smoothing) + smoothing / t.shape[-1]
        log_p = F.log_softmax(z, -1) if log is None else log(z)
        y = -(w * smooth * log_p).sum(-1)
        return weighted_mean(y, (w * t).sum(-1)) if weights else per_sample(y)
    return f


def power(x, gamma):
    """x^gamma with a slope of 0 instead of inf at 0."""
    return x.clamp(min=1e-30) ** gamma if gamma else torch.ones_like(x)


def binary_focal(gamma=2.0, alpha=None, smoothing=0.0, from_logits=False):
    """Keras's BinaryFocalCrossentropy, from logits by logarithms that do not round to 0."""
    def f(x, t):
        t = t * (1 - smoothing) + 0.5 * smoothing
        if from_logits:
            p, q = torch.sigmoid(x), torch.sigmoid(-x)
            bce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        else:
            p, q = x, 1 - x
            clipped = x.clamp(EPSILON, 1 - EPSILON)
            bce = -(t * clipped.log() + (1 - t) * (1 - clipped).log())
        y = power(t * q + (1 - t) * p, gamma) * bce
        return per_sample(y if alpha is None else y * (t * alpha + (1 - t) * (1 - alpha)))
    return f


def categorical_focal(gamma=2.0, alpha=0.25, smoothing=0.0, from_logits=False):
    """Keras's CategoricalFocalCrossentropy."""
    def f(x, t):
        if t.dim() < x.dim():
            t = F.one_hot(t, x.shape[-1]).to(x.dtype)
        t = t * (1 - smoothing) + smoothing / t.shape[-1]
        log_p = F.log_softmax(x, -1) if from_logits else scaled_log(x)
        y = -torch.tensor(alpha, dtype=x.dtype) * power(-torch.expm1(log_p), gamma) * t * log_p
        return per_sample(y.sum(-1))
    return f


def class_list(n):
    weights = [0.25, 3, 1, 0.5, 2][:n]
    return weights, "[" + ", ".join(str(w) for w in weights) + "]"


def two_classes():
    for shape, dims in SHAPES:
        z, u = logits(*dims), unit(*dims)
        t = (rng.random(z.shape) < 0.4).astype(float)
        t[1] = rng.random(dims)
        list_, words = class_list(dims[-1])
        case("binary_crossentropy", binary_weighted([1.0]), z, t, "sigmoid", shape)
        case("binary_crossentropy(pos_weight=2.5)", binary_weighted([2.5]), z, t, "sigmoid", shape)
        case(f"binary_crossentropy(from_logits=true, pos_weight={words})", binary_weighted(list_), z, t, shape=shape)
        case("binary_crossentropy(pos_weight=2.5)", binary_weighted_plain(2.5), u, t[:len(u)], shape=shape)
        for options, arguments in (("", {}), ("(gamma=0.5)", {"gamma": 0.5}), ("(gamma=0)", {"gamma": 0}),
                                   ("(apply_class_balancing=true, alpha=0.3, gamma=3)", {"alpha": 0.3, "gamma": 3}),
                                   ("(label_smoothing=0.1)", {"smoothing": 0.1})):
            case(f"binary_focal_crossentropy{options}", binary_focal(**arguments), u, t[:len(u)], shape=shape)
            case(f"binary_focal_crossentropy{options}", binary_focal(**arguments, from_logits=True), z, t, "sigmoid", shape)
        case("binary_focal_crossentropy(from_logits=true)", binary_focal(from_logits=True), z, t, shape=shape)
    save("binary")


def many_classes():
    for shape, dims in SHAPES:
        n = dims[-1]
        list_, words = class_list(n)
        z, u = logits(*dims), probabilities(*dims)
        labels = rng.integers(0, n, size=z.shape[:-1])
        labels[4] = 3  # a batch with one class alone in places
        soft = one_hot(labels, n)
        soft[:3] = rng.dirichlet(np.ones(n), size=(3, *dims[:-1]))
        spoiled = labels.copy()
        spoiled[1], spoiled[2, ...] = -1, 255
        if len(dims) > 1:
            spoiled[5:9, 1] = -1
            spoiled[7, 0] = 255
        for through, x, log in (("softmax", z, None), ("plain", u, scaled_log)):
            k = len(x)
            name = "sparse_categorical_crossentropy"
            case(name, sparse(log=log), x, labels[:k], through, shape)
            case(f"{name}(class_weights={words})", sparse(list_, log=log), x, labels[:k], through, shape)
            case(f"{name}(label_smoothing=0.2)", sparse(smoothing=0.2, log=log), x, labels[:k], through, shape)
            case(f"{name}(ignore_class=-1)", sparse(ignored=(-1,), log=log), x, np.where(spoiled == 255, -1, spoiled)[:k], through, shape)
            case(f"{name}(ignore_class=[-1, 255], class_weights={words}, label_smoothing=0.3)", sparse(list_, 0.3, (-1, 255), log), x, spoiled[:k], through, shape)
            name = "categorical_crossentropy"
            case(name, categorical(log=log), x, soft[:k], through, shape)
            case(f"{name}(class_weights={words}, label_smoothing=0.2)", categorical(list_, 0.2, log), x, soft[:k], through, shape)
            name = "categorical_focal_crossentropy"
            focal = lambda **options: categorical_focal(**options, from_logits=log is None)
            case(name, focal(), x, soft[:k], through, shape)
            case(f"{name}(alpha={words}, gamma=0.7, label_smoothing=0.1)", focal(alpha=list_, gamma=0.7, smoothing=0.1), x, soft[:k], through, shape)
            case(f"{name}(gamma=0)", focal(gamma=0), x, labels[:k], through, shape)
        case(f"{name}(from_logits=true, alpha=1)", categorical_focal(alpha=1, from_logits=True), z, soft, shape=shape)
        case(f"sparse_categorical_crossentropy(from_logits=true, ignore_class={int(labels[4].flat[0])})", sparse(ignored=(3,)), z, labels, shape=shape)
    save("classes")


# ---- Margins and regions ---------------------------------------------------------------------------------------------

def sign(t):
    return torch.where(t > 0, 1.0, -1.0).to(t.dtype)


def categorical_hinge(p, t):
    if t.dim() < p.dim():
        t = F.one_hot(t, p.shape[-1]).to(p.dtype)
    positive, negative = (t * p).sum(-1), ((1 - t) * p).amax(-1)
    return per_sample(F.relu(negative - positive + 1))


def flat(f):
    """Functions of [n, classes], over positions too."""
    def g(p, t):
        y = f(p.reshape(-1, p.shape[-1]), t.reshape(-1) if t.dim() < p.dim() else t.reshape(-1, t.shape[-1]))
        return per_sample(y.reshape(p.shape[:-1]))
    return g


def index_lists(t):
    """Rows of 0 and 1 as PyTorch's lists of classes, ended by -1."""
    lists = torch.full(t.shape, -1, dtype=torch.long)
    for row, given in zip(lists, t):
        classes = torch.nonzero(given)[:, 0]
        row[:len(classes)] = classes
    return lists


def region(alpha, beta, smooth, epsilon, per_class):
    def f(p, t):
        if t.dim() < p.dim():
            t = F.one_hot(t, p.shape[-1]).to(p.dtype)
        axes = tuple(range(1, p.dim() - per_class))
        total = (lambda x: x.sum(axes)) if axes else (lambda x: x)
        overlap = total(t * p)
        y = 1 - (overlap + smooth) / (overlap + alpha * total((1 - t) * p) + beta * total(t * (1 - p)) + smooth + epsilon)
        return per_sample(y)
    return f


def dice_keras(p, t):
    axes = tuple(range(1, p.dim()))
    return 1 - 2 * (p * t).sum(axes) / (t.sum(axes) + p.sum(axes) + EPSILON)


def tversky_keras(alpha, beta):
    def f(p, t):
        axes = tuple(range(1, p.dim()))
        n, fp, fn = (t * p).sum(axes), ((1 - t) * p).sum(axes), (t * (1 - p)).sum(axes)
        return 1 - n / (n + fp * alpha + fn * beta + EPSILON)
    return f


def margins_and_regions():
    for shape, dims in SHAPES:
        n = dims[-1]
        z = logits(*dims)
        t = (rng.random(z.shape) < 0.4).astype(float)
        t[4], t[5] = 0, 1
        both = np.where(t > 0, 1.0, -1.0)
        for text, f in (("hinge", lambda p, t: F.relu(1 - sign(t) * p)), ("squared_hinge", lambda p, t: F.relu(1 - sign(t) * p) ** 2),
                        ("soft_margin", lambda p, t: F.soft_margin_loss(p.clamp(-80, 80), sign(t), reduction="none") + F.relu(-sign(t) * p - 80))):
            case(text, elements(f), z, t, shape=shape)
            case(text, elements(f), z, both, shape=f"{shape}_signs")
        labels = rng.integers(0, n, size=z.shape[:-1])
        list_, words = class_list(dims[-1])
        case("categorical_hinge", categorical_hinge, z, one_hot(labels, n), shape=shape)
        case("categorical_hinge", categorical_hinge, z, labels, shape=f"{shape}_numbers")
        margin = lambda **o: flat(lambda p, t: F.multi_margin_loss(p, t, reduction="none", **{k: torch.tensor(v, dtype=p.dtype) if k == "weight" else v for k, v in o.items()}))
        case("multi_margin", margin(), z, labels, shape=shape)
        case(f"multi_margin(p=2, margin=0.5, class_weights={words})", margin(p=2, margin=0.5, weight=list_), z, labels, shape=shape)
        case("multilabel_margin", flat(lambda p, t: F.multilabel_margin_loss(p, index_lists(t), reduction="none")), z, t, shape=shape)
        soft = lambda w: flat(lambda p, t: F.multilabel_soft_margin_loss(p, t, weight=w and torch.tensor(w, dtype=p.dtype), reduction="none"))
        case("multilabel_soft_margin", soft(None), z, t, shape=shape)
        case(f"multilabel_soft_margin(class_weights={words})", soft(list_), z, t, shape=shape)
        u = unit(*dims)
        t = t[:len(u)]
        t[-4] = 0  # nothing there, nothing said
        case("dice", dice_keras, u, t, shape=shape)
        case("tversky", tversky_keras(0.5, 0.5), u, t, shape=shape)
        case("tversky(alpha=0.3, beta=0.7)", tversky_keras(0.3, 0.7), u, t, shape=shape)
        case("dice(smooth=1, per_class=true)", region(0.5, 0.5, 1, EPSILON / 2, True), u, t, shape=shape)
        case("tversky(alpha=0.2, beta=2, smooth=0.5, per_class=true)", region(0.2, 2, 0.5, EPSILON, True), u, labels[:len(u)], shape=shape)
        case("dice", lambda z, t: dice_keras(torch.softmax(z, -1), one_hot_of(t, n, z.dtype)), z, labels, "softmax", shape)
    save("regions")


def one_hot_of(t, n, dtype):
    return F.one_hot(t, n).to(dtype)


# ---- Pairs -----------------------------------------------------------------------------------------------------------

def between(x, kind):
    """All distances, from the differences themselves; no slope at 0."""
    if kind == "cosine":
        return 1 - unit_length(x) @ unit_length(x).T
    square = ((x[:, None] - x[None]) ** 2).sum(-1)
    if kind == "squared_euclidean":
        return square
    apart = square > 0
    return torch.where(apart, torch.sqrt(torch.where(apart, square, torch.ones_like(square))), torch.zeros_like(square))


def triplet(mining="semi_hard", margin=1.0, distance="euclidean", soft=False):
    """TensorFlow Addons' TripletSemiHardLoss and TripletHardLoss, one anchor after the other; anchors in no triplet do not count."""
    def f(x, labels):
        d, n = between(x, distance), len(x)
        losses, counts = [], []
        for i in range(n):
            positive = [j for j in range(n) if j != i and labels[j] == labels[i]]
            negative = [k for k in range(n) if labels[k] != labels[i]]
            y, count = d[i, i] * 0, 0
            if positive and negative and mining == "hard":
                gap = d[i, positive].amax() - d[i, negative].amin()
                y, count = (F.softplus(gap) if soft else F.relu(gap + margin)), 1
            elif positive and negative:
                for j in positive:
                    beyond = [k for k in negative if d[i, k] > d[i, j]]
                    chosen = d[i, beyond].amin() if beyond else d[i, negative].amax()
                    y, count = y + F.relu(d[i, j] - chosen + margin), count + 1
            losses.append(y)
            counts.append(count)
        return torch.stack(losses), torch.tensor(counts, dtype=x.dtype)
    return f


def info_nce(temperature=0.07, symmetric=False):
    def f(p, t):
        scores = unit_length(p) @ unit_length(t).T / temperature
        own = torch.arange(len(p))
        y = F.cross_entropy(scores, own, reduction="none")
        return (y + F.cross_entropy(scores.T, own, reduction="none")) / 2 if symmetric else y
    return f


def nt_xent(temperature=0.5):
    """SimCLR's loss of 2 n views."""
    def f(p, t):
        n = len(p)
        x = unit_length(torch.cat([p, t]))
        scores = (x @ x.T / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
        y = F.cross_entropy(scores, (torch.arange(2 * n) + n) % (2 * n), reduction="none")
        return (y[:n] + y[n:]) / 2
    return f


def pairs():
    d = np.concatenate([np.abs(rng.normal(size=(SAMPLES, 1))), [[0.0], [1e4], [1e-6], [2.0]]])
    alike = (rng.random(d.shape) < 0.5).astype(float)
    for margin in (1, 0.4):
        case("contrastive" if margin == 1 else f"contrastive(margin={margin})",
             elements(lambda d, t, m=margin: t * d**2 + (1 - t) * F.relu(m - d) ** 2), d, alike, shape="one")
    x = rng.normal(size=(SAMPLES + 2, 2, 6))
    x[-2:] *= 1e4
    t = rng.choice([-1.0, 1.0], size=len(x))
    for margin in (0, 0.3):
        case("cosine_embedding" if not margin else f"cosine_embedding(margin={margin})",
             lambda x, t, m=margin: F.cosine_embedding_loss(x[:, 0], x[:, 1], t, margin=m, reduction="none"), x, t)
    x = rng.normal(size=(SAMPLES + 3, 3, 6))
    x[-3:-1] *= 1e4
    x[-1] = 0
    for text, options in (("triplet_margin", {}), ("triplet_margin(margin=0.3, swap=true)", {"margin": 0.3, "swap": True})):
        chosen = x[:-1] if "swap" in options else x  # of two equal distances either may have the slope
        case(text, lambda x, t, o=options: F.triplet_margin_loss(x[:, 0], x[:, 1], x[:, 2], reduction="none", **o), chosen, t[:1].repeat(len(chosen)))
    x = rng.normal(size=(14, 4))
    labels = rng.integers(0, 4, size=14)
    labels[13] = 9  # alone in its class
    big = np.round(x * 1000) * 16  # squares add up exactly in double
    collapsed = np.ones((12, 4))
    for text, options in (("triplet", {}), ("triplet(margin=0.2, distance=squared_euclidean)", {"margin": 0.2, "distance": "squared_euclidean"}),
                          ("triplet(distance=cosine)", {"distance": "cosine"}), ("triplet(mining=hard)", {"mining": "hard"}),
                          ("triplet(mining=hard, margin=0.1, distance=cosine)", {"mining": "hard", "margin": 0.1, "distance": "cosine"}),
                          ("triplet(mining=hard, soft=true)", {"mining": "hard", "soft": True})):
        case(text, triplet(**options), x, labels)
        case(text, triplet(**options), big, labels, shape="big")
        case(text, triplet(**options), collapsed, labels[:12], shape="collapsed")
        case(text, triplet(**options), x, labels * 0, shape="one_class")
        case(text, triplet(**options), x, np.arange(14), shape="all_classes")
    p, t = rng.normal(size=(SAMPLES + 3, 6)), rng.normal(size=(SAMPLES + 3, 6))
    t[:4] = p[:4]
    p[-1], p[-2], t[-3] = 0, p[-2] * 1e4, -1e4 * p[-3]
    for text, f in (("info_nce", info_nce()), ("info_nce(temperature=1, symmetric=true)", info_nce(1, True)), ("nt_xent", nt_xent()), ("nt_xent(temperature=0.1)", nt_xent(0.1))):
        case(text, f, p, t)
        case(text, f, p[:1], t[:1], shape="one")
    save("pairs")


# ---- Sequences -------------------------------------------------------------------------------------------------------

def ctc(blank=0, zero_infinity=False, log=lambda x: F.log_softmax(x, -1)):
    def f(x, t):
        is_label = (t >= 0) & (t != blank)
        lengths = is_label.sum(1)
        log_p = log(x).transpose(0, 1)
        steps = torch.full((len(x),), x.shape[1])
        return F.ctc_loss(log_p, t.clamp(min=0), steps, lengths, blank=blank, reduction="none", zero_infinity=zero_infinity)
    return f


def brute_force(log_p, labels, blank):
    """The definition: all ways that read as the labels."""
    total = -np.inf
    for way in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        read = [c for i, c in enumerate(way) if c != blank and (i == 0 or way[i - 1] != c)]
        if read == list(labels):
            total = np.logaddexp(total, sum(log_p[i, c] for i, c in enumerate(way)))
    return -total


def sequences():
    z = rng.normal(size=(SAMPLES, 9, 5)) * 2
    z[3] = 0
    t = rng.integers(1, 5, size=(SAMPLES, 4))
    t[5], t[6, 2:], t[7] = [2, 2, 2, 2], 0, 0
    case("ctc", ctc(), z, t, "softmax", "steps")
    case("ctc(from_logits=true)", ctc(), z, np.where(t == 0, -1, t), shape="steps")
    u = rng.dirichlet(np.ones(5), size=(SAMPLES, 9))
    case("ctc", ctc(log=scaled_log), u, t, shape="steps")
    # Logarithms near -1e4 have steps of 1e-3 in float, and so have the shares of the ways.
    case("ctc", ctc(), z * 1e3, t, "softmax", "large", float_tolerance=5e-3)
    last = np.where(t == 0, 4, t - 1)
    case("ctc(blank=4)", ctc(blank=4), z, last, "softmax", "steps")
    t = rng.integers(1, 4, size=(SAMPLES, 3))
    t[0] = [1, 1, 1]  # four steps are too few for three equal labels
    case("ctc(zero_infinity=true)", ctc(zero_infinity=True), z[:, :4, :4], t, "softmax", "few")
    for i in range(1, 5):
        log_p = F.log_softmax(torch.tensor(z[i, :4, :4].astype(np.float32).astype(np.float64)), -1).numpy()
        found, expected = out["ctc(zero_infinity=true)|softmax|few/loss_f64"][i], brute_force(log_p, t[i], 0)
        assert np.isinf(expected) and found == 0 or abs(found - expected) < 1e-10 * max(1, abs(expected)), (i, found, expected)
    save("sequences")


# ---- More of pairs: last, so that the random numbers above stay ------------------------------------------------------

def circle(gamma=80.0, margin=0.4, own=False):
    """Keras 3's Circle with its own embeddings as reference; anchors without a pair of both kinds do not count."""
    def f(x, labels):
        d = (1 - x @ x.T).clamp(min=0)
        same = labels[:, None] == labels[None, :]
        positive = same if own else same & ~torch.eye(len(x), dtype=torch.bool)
        losses, counts = [], []
        for i in range(len(x)):
            near, far = d[i][positive[i]], d[i][~same[i]]
            if len(near) == 0 or len(far) == 0:
                losses.append(d[i, i] * 0)
                counts.append(0.0)
                continue
            p = -gamma * (margin + near).clamp(min=0) * (margin - near)
            n = gamma * (1 + margin - far).clamp(min=0) * (1 - margin - far)
            total = torch.logsumexp(p, 0) + torch.logsumexp(n, 0)
            losses.append(torch.logaddexp(total, total * 0))  # F.softplus is x itself from 20 on
            counts.append(1.0)
        return torch.stack(losses), torch.tensor(counts, dtype=x.dtype)
    return f


def embeddings():
    for shape, size in (("one", (1,)), ("vector", (5,))):
        d = np.concatenate([np.abs(rng.normal(size=(SAMPLES, *size))), np.zeros((1, *size)), np.full((1, *size), 1e4),
                            np.full((1, *size), 1e-6), np.full((1, *size), -3.0)])
        alike = rng.choice([-1.0, 1.0], size=d.shape)
        for margin in (1.0, 0.25):
            case("hinge_embedding" if margin == 1 else f"hinge_embedding(margin={margin})",
                 elements(lambda d, t, m=margin: F.hinge_embedding_loss(d, t, margin=m, reduction="none")), d, alike, shape=shape)
    x = np.concatenate([rng.normal(size=(SAMPLES, 2)), [[1e4, -1e4], [-1e4, 1e4], [1e-6, 0], [0, 2e-6]]])
    better = rng.choice([-1.0, 1.0], size=len(x))
    for margin in (0.0, 0.5):
        case("margin_ranking" if not margin else f"margin_ranking(margin={margin})",
             lambda x, t, m=margin: F.margin_ranking_loss(x[:, 0], x[:, 1], t, margin=m, reduction="none"), x, better)
    x = rng.normal(size=(14, 4))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    labels = rng.integers(0, 4, size=14)
    labels[13] = 9  # alone in its class
    for text, options in (("circle", {}), ("circle(gamma=2, margin=0.25)", {"gamma": 2.0, "margin": 0.25}),
                          ("circle(gamma=64, margin=0, remove_diagonal=false)", {"gamma": 64.0, "margin": 0.0, "own": True})):
        # Of the pair of a sample and itself the distance is the rounding of 1 - 1, and its slope 0 or not.
        chosen = x * 0.999 if "own" in options else x
        case(text, circle(**options), chosen, labels)
        case(text, circle(**options), chosen * 30, labels, shape="long")  # of no length 1: distances up to 900
        case(text, circle(**options), chosen, labels * 0, shape="one_class")
        case(text, circle(**options), chosen, np.arange(14), shape="all_classes")
    save("embeddings")


if __name__ == "__main__":
    torch.set_num_threads(1)
    regression()
    two_classes()
    many_classes()
    margins_and_regions()
    pairs()
    sequences()
    embeddings()
