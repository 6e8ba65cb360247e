#!/usr/bin/python3
"""Metrics and classification reports by scikit-learn.

    tools/golden/metrics.py     writes tests/golden/nn/metrics.npz and tests/golden/train/report_*.txt
"""
import pathlib
import warnings

import numpy as np
from sklearn import metrics as m

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden"
rng = np.random.default_rng(11)
warnings.simplefilter("ignore")


def judge(y, p, **how):
    return {"accuracy": m.accuracy_score(y, p), "precision": m.precision_score(y, p, zero_division=0, **how),
            "recall": m.recall_score(y, p, zero_division=0, **how), "f1": m.f1_score(y, p, zero_division=0, **how)}


def main():
    out = {}

    def case(name, prediction, target, scores, matrix=None):
        out[f"{name}/prediction"], out[f"{name}/target"] = prediction, target
        for key, value in scores.items():
            out[f"{name}/{key}"] = np.float64(value)
        if matrix is not None:
            out[f"{name}/confusion"] = matrix.astype(np.int64)

    p = rng.dirichlet(np.ones(4), size=203).astype(np.float32)
    y = rng.integers(0, 4, size=203).astype(np.int32)
    y[:60] = p[:60].argmax(1)
    case("many", p, y, judge(y, p.argmax(1), average="macro"), m.confusion_matrix(y, p.argmax(1)))
    case("one_hot", p, np.eye(4, dtype=np.float32)[y], judge(y, p.argmax(1), average="macro"))

    # One class never occurs, one is never said, one is only said.
    p = rng.dirichlet(np.ones(6), size=50).astype(np.float32)
    y = rng.integers(0, 3, size=50).astype(np.int64)
    p[:, 4] = p[:, 1] = 0
    case("rare", p, y, judge(y, p.argmax(1), average="macro"), m.confusion_matrix(y, p.argmax(1), labels=range(6)))

    p = rng.uniform(size=(101, 1)).astype(np.float32)
    y = (rng.uniform(size=101) < 0.3).astype(np.int32)
    case("binary", p, y, judge(y, p[:, 0] > 0.5), m.confusion_matrix(y, p[:, 0] > 0.5))
    case("binary_none", np.zeros((9, 1), np.float32), np.ones(9, np.int32), judge(np.ones(9, int), np.zeros(9, int)))

    p, y = rng.normal(size=(77, 3)), rng.normal(size=(77, 3))
    case("numbers", p, y, {"mse": m.mean_squared_error(y, p), "mae": m.mean_absolute_error(y, p)})
    np.savez(ROOT / "nn/metrics.npz", **out)

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
