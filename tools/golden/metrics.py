#!/usr/bin/python3
"""Metrics and classification reports by scikit-learn, scipy and, where neither has one, by formula in numpy.

    tools/golden/metrics.py     writes tests/golden/nn/metrics.npz and tests/golden/train/report_*.txt

A case has prediction, target and weight; "metrics", a text of lines "how many numbers, metric"; and these numbers one
after the other, once without the weights ("values") and once with them ("weighted"). Predictions are exact in float32,
so one golden number does for both dtypes.
"""
import pathlib
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics as m

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden"
rng = np.random.default_rng(11)
warnings.simplefilter("ignore")
out = {}


def f32(x):
    return np.asarray(x, np.float32).astype(np.float64)


def case(name, prediction, target, *families):
    n = len(prediction)
    weight = f32(rng.uniform(0.1, 3, n))
    weight[rng.uniform(size=n) < 0.1] = 0
    out[f"{name}/prediction"], out[f"{name}/target"], out[f"{name}/weight"] = prediction.copy(), target.copy(), weight
    values, weighted = ({key: np.atleast_1d(np.asarray(value, np.float64)) for family in families for key, value in
                         family(np.asarray(prediction, np.float64), target, w).items()} for w in (np.ones(n), weight))
    keys = [key for key in values if key in weighted]
    text = "".join(f"{len(values[key])} {key}\n" for key in keys)
    out[f"{name}/metrics"] = np.frombuffer(text.encode(), np.uint8)
    out[f"{name}/values"] = np.concatenate([values[key] for key in keys])
    out[f"{name}/weighted"] = np.concatenate([weighted[key] for key in keys])
    if name in ("many", "rare", "binary", "positions"):
        y, said, k = labels(prediction, target)
        out[f"{name}/confusion"] = m.confusion_matrix(y, said, labels=range(k)).astype(np.int64)


# ---- Classes -------------------------------------------------------------------------------------

def labels(p, t):
    """(truth, said, classes)"""
    if p.shape[-1] == 1:
        return np.asarray(t).reshape(-1).astype(int), (p.reshape(-1) > 0.5).astype(int), 2
    classes = p.shape[-1]
    truth = t.argmax(-1) if np.shape(t) == p.shape else np.asarray(t)
    return truth.reshape(-1).astype(int), p.reshape(-1, classes).argmax(1), classes


def spread(w, p):
    """Weights of samples for each of their positions."""
    return np.repeat(w, np.prod(p.shape[1:-1], dtype=int))


SCORES = {"precision": m.precision_score, "recall": m.recall_score, "f1": m.f1_score, "iou": m.jaccard_score,
          "fbeta(beta=0.5": lambda *a, **k: m.fbeta_score(*a, beta=0.5, **k),
          "fbeta(beta=3": lambda *a, **k: m.fbeta_score(*a, beta=3, **k)}


def specificity(y, p, w, classes, average, zero):
    """By formula: scikit-learn has none."""
    rows = []
    for c in range(classes):
        tn = w[(y != c) & (p != c)].sum()
        fp = w[(y != c) & (p == c)].sum()
        rows.append((tn, tn + fp, w[y == c].sum(), w[(y == c) | (p == c)].sum()))
    each = [tn / d if d else zero for tn, d, _, _ in rows]
    if average == "none":
        return each
    if average == "binary":
        return each[1]
    if average == "micro":
        return sum(r[0] for r in rows) / sum(r[1] for r in rows)
    if average == "macro":
        return np.mean([e for e, r in zip(each, rows) if r[3] > 0])
    return np.average(each, weights=[r[2] for r in rows])


def with_options(name, *options):
    head, _, first = name.partition("(")
    inside = ", ".join([o for o in (first, *options) if o])
    return f"{head}({inside})" if inside else head


def classes(p, t, w):
    y, s, k = labels(p, t)
    w = spread(w, p)
    keep = w > 0
    one = p.shape[-1] == 1
    found = {"accuracy": m.accuracy_score(y, s, sample_weight=w),
             "balanced_accuracy": m.balanced_accuracy_score(y, s, sample_weight=w),
             "matthews": m.matthews_corrcoef(y, s, sample_weight=w)}
    if len(set(y[keep])) > 1:
        found["balanced_accuracy(adjusted=true)"] = m.balanced_accuracy_score(y, s, sample_weight=w, adjusted=True)
    for name, weights in (("cohen_kappa", None), ("cohen_kappa(weights=linear)", "linear"),
                          ("cohen_kappa(weights=quadratic)", "quadratic")):
        found[name] = m.cohen_kappa_score(y, s, labels=range(k), weights=weights, sample_weight=w)
    for average in ("auto", "binary", "micro", "macro", "weighted", "none"):
        if average == "binary" and k != 2:
            continue
        how = average if average != "auto" else "binary" if one else "macro"
        for zero in (0, 1):
            options = [f"average={average}"] * (average != "auto") + [f"zero_division={zero}"] * zero
            for name, score in SCORES.items():
                # What has weight 0 decides for scikit-learn which classes occur; here it does not.
                value = score(y[keep], s[keep], sample_weight=w[keep], zero_division=zero,
                              average=None if how == "none" else how,
                              labels=range(k) if how == "none" else None)
                found[with_options(name, *options)] = value
            found[with_options("specificity", *options)] = specificity(y, s, w, k, how, zero)
    return found


def top_k(p, t, w):
    y, _, k = labels(p, t)
    flat = p.reshape(-1, k)
    found = {}
    for guesses in (1, 2, 3, k, k + 2):
        # By hand for ties: of equal scores the first class comes first.
        order = np.argsort(-flat, axis=1, kind="stable")[:, :guesses]
        hit = (order == y[:, None]).any(1)
        if len(np.unique(flat)) == flat.size and 2 < k > guesses and set(y) == set(range(k)):
            assert abs(m.top_k_accuracy_score(y, flat, k=guesses, sample_weight=spread(w, p)) -
                       np.average(hit, weights=spread(w, p))) < 1e-12
        found[f"top_k_accuracy(k={guesses})"] = np.average(hit, weights=spread(w, p))
    return found


def several_labels(p, t, w):
    s = (p > 0.5).astype(int)
    found = {"binary_accuracy": np.average((s == t).mean(1), weights=w)}
    keep = w > 0
    for average in ("auto", "micro", "macro", "weighted", "none"):
        how = "macro" if average == "auto" else None if average == "none" else average
        options = ["multilabel=true"] + [f"average={average}"] * (average != "auto")
        for name, score in SCORES.items():
            for zero in (0, 1):
                more = [f"zero_division={zero}"] * zero
                value = score(t[keep], s[keep], sample_weight=w[keep], average=how, zero_division=zero)
                found[with_options(name, *options, *more)] = value
        if how != "micro":
            found[with_options("average_precision", *options)] = m.average_precision_score(
                t, p, sample_weight=w, average=how)
            if (np.ptp(t[keep], axis=0) > 0).all():
                found[with_options("roc_auc", *options)] = m.roc_auc_score(t, p, sample_weight=w, average=how)
    return found


# ---- Probabilities -------------------------------------------------------------------------------

def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def probability_scores(p, y, k, w, one, options):
    found = {}
    hot = np.eye(k)[y]
    each = (p[:, 1] - y)**2 if one else ((p - hot)**2).sum(1)
    if one:
        assert abs(m.brier_score_loss(y, p[:, 1], sample_weight=w, pos_label=1) - np.average(each, weights=w)) < 1e-12
    found[with_options("brier", *options)] = np.average(each, weights=w)
    confidence, right = (p[:, 1], y) if one else (p.max(1), p.argmax(1) == y)
    for bins in (15, 4):
        at = np.clip(np.floor(confidence * bins), 0, bins - 1).astype(int)
        rows = [(w[at == b].sum(), abs(np.average(right[at == b].astype(float), weights=w[at == b]) -
                                       np.average(confidence[at == b], weights=w[at == b])))
                for b in range(bins) if w[at == b].sum() > 0]
        share, gap = np.array(rows).T
        more = [*options, *([f"bins={bins}"] * (bins != 15))]
        found[with_options("calibration_error", *more)] = np.average(gap, weights=share)
        found[with_options("calibration_error", *more, "norm=l2")] = np.sqrt(np.average(gap**2, weights=share))
        found[with_options("calibration_error", *more, "norm=max")] = gap.max()
    return found


def probabilities(p, t, w):
    y, _, k = labels(p, t)
    one = p.shape[-1] == 1
    w = spread(w, p)
    flat = p.reshape(-1, p.shape[-1])
    both = np.hstack([1 - flat, flat]) if one else flat
    loss = m.log_loss(y, both, labels=range(k), sample_weight=w)
    return {"log_loss": loss, "perplexity": np.exp(loss), **probability_scores(both, y, k, w, one, [])}


def logits(p, t, w):
    y, _, k = labels(p, t)
    one = p.shape[-1] == 1
    flat = p.reshape(-1, p.shape[-1])
    both = np.hstack([np.zeros_like(flat), flat]) if one else flat
    each = np.logaddexp.reduce(both, axis=1) - both[np.arange(len(y)), y]
    w = spread(w, p)
    loss = np.average(each, weights=w)
    options = ["from_logits=true"]
    with np.errstate(over="ignore"):
        return {"log_loss(from_logits=true)": loss, "perplexity(from_logits=true)": np.exp(loss),
                **probability_scores(softmax(both), y, k, w, one, options)}


# ---- Ranking -------------------------------------------------------------------------------------

def curves(p, t, w):
    y, _, k = labels(p, t)
    found = {}
    keep = w > 0
    flat = p.reshape(len(y), -1)
    if p.shape[-1] == 1:
        both = len(set(y[keep])) == 2
        auc = m.roc_auc_score(y, flat[:, 0], sample_weight=w) if both else np.nan
        ap = m.average_precision_score(y, flat[:, 0], sample_weight=w)
        return {"roc_auc": auc, "average_precision": ap, "roc_auc(average=none)": [auc]}
    hot = np.eye(k)[y]
    present = [c for c in range(k) if hot[keep, c].any()]
    areas = np.array([m.roc_auc_score(hot[:, c], flat[:, c], sample_weight=w) if 0 < hot[keep, c].mean() < 1 else np.nan
                      for c in range(k)])
    precise = np.array([m.average_precision_score(hot[:, c], flat[:, c], sample_weight=w) for c in range(k)])
    support = (hot * w[:, None]).sum(0)
    good = ~np.isnan(areas)
    found["roc_auc(average=none)"] = areas
    found["roc_auc"] = areas[good].mean() if good.any() else np.nan
    found["roc_auc(average=weighted)"] = np.average(areas[good], weights=support[good]) if good.any() else np.nan
    found["average_precision(average=none)"] = precise
    found["average_precision"] = precise[present].mean()
    found["average_precision(average=weighted)"] = np.average(precise, weights=support)
    if len(present) == k > 2 and np.allclose(flat.sum(1), 1):
        assert abs(m.roc_auc_score(y, flat / flat.sum(1, keepdims=True), multi_class="ovr", sample_weight=w) -
                   found["roc_auc"]) < 1e-9
    return found


def pairs(p, t, w):
    """One against one; scikit-learn takes no weights for it, so those are given to a pair's own areas."""
    y, _, k = labels(p, t)
    total, shares = [], []
    for a in range(k):
        for b in range(a + 1, k):
            of = ((y == a) | (y == b)) & (w > 0)
            if len(set(y[of])) < 2:
                continue
            total.append((m.roc_auc_score(y[of] == a, p[of, a], sample_weight=w[of]) +
                          m.roc_auc_score(y[of] == b, p[of, b], sample_weight=w[of])) / 2)
            shares.append(w[of].sum())
    found = {"roc_auc(multi_class=ovo)": np.mean(total),
             "roc_auc(multi_class=ovo, average=weighted)": np.average(total, weights=shares)}
    if (w == 1).all() and len(set(y)) == k > 2:
        q = p / p.sum(1, keepdims=True)
        assert abs(m.roc_auc_score(y, q, multi_class="ovo") - found["roc_auc(multi_class=ovo)"]) < 1e-6
    return found


# ---- Numbers -------------------------------------------------------------------------------------

def columns(p, t):
    return (p.reshape(len(p), -1), np.asarray(t, np.float64).reshape(len(p), -1))


def weighted_rank(x, w):
    """Mean ranks as if sample i were there w[i] times."""
    return np.array([w[x < v].sum() + w[x == v].sum() / 2 for v in x])


def correlation(x, y, w):
    x, y = x - np.average(x, weights=w), y - np.average(y, weights=w)
    size = np.sqrt((w * x * x).sum() * (w * y * y).sum())
    return np.clip((w * x * y).sum() / size, -1, 1) if size > 0 else np.nan


def numbers(p, t, w):
    p, t = columns(p, t)
    mse = m.mean_squared_error(t, p, sample_weight=w)
    norm = np.linalg.norm(p, axis=1) * np.linalg.norm(t, axis=1)
    cosine = np.where(norm > 0, (p * t).sum(1) / np.where(norm > 0, norm, 1), 0)
    found = {"mse": mse, "rmse": np.sqrt(mse), "mae": m.mean_absolute_error(t, p, sample_weight=w),
             "mape": np.average((100 * np.abs(p - t) / np.maximum(np.abs(t), 1e-7)).mean(1), weights=w),
             "cosine_similarity": np.average(cosine, weights=w)}
    for name, score in (("r2", m.r2_score), ("explained_variance", m.explained_variance_score)):
        found[name] = score(t, p, sample_weight=w)
        found[name + "(multioutput=variance_weighted)"] = score(t, p, sample_weight=w, multioutput="variance_weighted")
        found[name + "(multioutput=none)"] = np.atleast_1d(score(t, p, sample_weight=w, multioutput="raw_values"))
    return found


def correlations(p, t, w):
    p, t = columns(p, t)
    keep = w > 0
    pearson, spearman = [], []
    for c in range(p.shape[1]):
        x, y = p[:, c], t[:, c]
        constant = np.ptp(x[keep]) == 0 or np.ptp(y[keep]) == 0
        pearson.append(np.nan if constant else correlation(x, y, w))
        spearman.append(np.nan if constant else correlation(weighted_rank(x, w), weighted_rank(y, w), w))
        if (w == 1).all() and not constant:
            assert abs(pearson[-1] - stats.pearsonr(x, y)[0]) < 1e-9
            assert abs(spearman[-1] - stats.spearmanr(x, y)[0]) < 1e-12
    return {"pearson": np.mean(pearson), "pearson(multioutput=none)": pearson, "spearman": np.mean(spearman),
            "spearman(multioutput=none)": spearman}


# ---- Cases ---------------------------------------------------------------------------------------

def many(n, k, right=0):
    p = rng.dirichlet(np.ones(k), size=n).astype(np.float32)
    y = rng.integers(0, k, size=n).astype(np.int32)
    y[:right] = p[:right].argmax(1)
    return p, y


def class_cases():
    everything = classes, top_k, probabilities, curves, pairs
    p, y = many(203, 4, 60)
    case("many", p, y, *everything)
    case("one_hot", p, np.eye(4, dtype=np.float32)[y], *everything)
    for i in range(6):
        case(f"random{i}", *many(40 + 7 * i, 3 + i, 15), *everything)
    # One class never occurs, one is never said, one is only said.
    p, y = many(50, 6)
    p[:, 4] = p[:, 1] = 0
    case("rare", p, (y % 3).astype(np.int64), *everything)
    # Probabilities of exactly 0 and 1.
    case("certain", np.eye(3, dtype=np.float32)[rng.integers(0, 3, 40)], rng.integers(0, 3, 40).astype(np.int32),
         *everything)
    # Scores of few values: ties within and between samples.
    p = rng.integers(0, 3, size=(60, 4)).astype(np.float32)
    case("ties", p, rng.integers(0, 4, 60).astype(np.int32), classes, top_k, curves)
    p, y = many(30, 3)
    case("one_class", p, np.full(30, 1, np.int32), classes, top_k, probabilities, curves)
    case("perfect", np.eye(3, dtype=np.float32)[y], y, *everything)
    p, _ = many(24, 3)
    case("positions", p.reshape(4, 2, 3, 3), rng.integers(0, 3, size=(4, 2, 3)).astype(np.int32), classes, top_k,
         probabilities)


def binary_cases():
    everything = classes, probabilities, curves
    for i in range(4):
        p = rng.uniform(size=(101 - 17 * i, 1)).astype(np.float32)
        y = (rng.uniform(size=len(p)) < 0.2 + 0.2 * i).astype(np.int32)
        case("binary" if i == 0 else f"binary{i}", p, y, *everything)
    case("binary_ties", rng.integers(0, 4, size=(60, 1)).astype(np.float32) / 3,
         rng.integers(0, 2, 60).astype(np.int32), *everything)
    case("binary_column", p, y[:, None].astype(np.float32), *everything)
    case("binary_none", np.zeros((9, 1), np.float32), np.ones(9, np.int32), *everything)
    case("binary_all", np.ones((9, 1), np.float32), np.zeros(9, np.int32), *everything)
    case("binary_right", np.ones((7, 1), np.float32), np.ones(7, np.int32), *everything)
    two, y = many(50, 2)
    case("two_classes", two, y, classes, top_k, probabilities, curves, pairs)
    p = rng.uniform(size=(60, 5)).astype(np.float32)
    t = (rng.uniform(size=(60, 5)) < 0.4).astype(np.float32)
    case("labels", p, t, several_labels)
    t[:, 2] = 0  # a label nobody has
    p[:, 3] = 0  # one never said
    case("labels_empty", p, t, several_labels)
    case("labels_none", np.zeros((8, 3), np.float32), np.zeros((8, 3), np.float32), several_labels)


def logit_cases():
    for i, scale in enumerate((1, 30, 1e4)):
        z, y = (scale * rng.normal(size=(60, 4))).astype(np.float32), rng.integers(0, 4, 60).astype(np.int32)
        z[:5] = np.float32(scale) * np.eye(4, dtype=np.float32)[y[:5]]
        case(f"logits{i}", z, y, logits, curves, top_k)
        z = (scale * rng.normal(size=(50, 1))).astype(np.float32)
        case(f"logit{i}", z, rng.integers(0, 2, 50).astype(np.int32), logits)


def number_cases():
    everything = numbers, correlations
    case("numbers", f32(rng.normal(size=(77, 3))), f32(rng.normal(size=(77, 3))), *everything)
    for i, (offset, scale) in enumerate(((0, 1), (5, 1), (1e4, 1), (1e6, 1), (-1e6, 4), (0, 1e4), (0, 1e-3))):
        t = f32(offset + scale * rng.normal(size=(60, 2)))
        case(f"offset{i}", f32(t + 0.5 * scale * rng.normal(size=t.shape)), t, *everything)
    t = np.round(rng.normal(size=(50, 1)))
    case("equal_numbers", np.round(2 * t + rng.normal(size=t.shape)), t, *everything)
    t = f32(rng.normal(size=(20, 2)))
    case("exact", t, t, *everything)
    case("constant", f32(rng.normal(size=(20, 2))), np.full((20, 2), f32(0.1)), *everything)
    case("constant_exact", np.full((20, 1), f32(0.1)), np.full((20, 1), f32(0.1)), *everything)
    case("said_constant", np.full((20, 2), f32(0.3)), f32(rng.normal(size=(20, 2))), *everything)
    p, t = f32(rng.normal(size=(20, 3))), f32(rng.normal(size=(20, 3)))
    p[:5], t[3:8] = 0, 0
    p[9], t[10] = 1e4, -1e4
    case("zeros", p, t, *everything)
    case("sorted", np.sort(f32(1e4 + 100 * rng.normal(size=(90, 1))), axis=0), np.arange(90.)[:, None], *everything)


def main():
    class_cases(), binary_cases(), logit_cases(), number_cases()
    np.savez_compressed(ROOT / "nn/metrics.npz", **out)

    def report(name, confusion, classes):
        y = np.repeat(np.arange(len(confusion)), confusion.sum(1))
        p = np.concatenate([np.repeat(np.arange(len(confusion)), row) for row in confusion])
        text = m.classification_report(y, p, labels=range(len(confusion)), target_names=classes, zero_division=0)
        (ROOT / f"train/report_{name}.txt").write_text(text, encoding="utf-8")

    report("iris", np.array([[50, 0, 0], [0, 47, 3], [0, 2, 48]]), ["setosa", "versicolor", "virginica"])
    report("long", np.array([[12345, 67], [89, 0]]), ["a category with a long name", "größe"])
    report("numbers", np.array([[3, 0, 0, 1], [0, 0, 0, 0], [1, 1, 2, 0], [0, 0, 3, 5]]), None)


if __name__ == "__main__":
    main()
