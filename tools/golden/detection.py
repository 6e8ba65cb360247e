#!/usr/bin/python3
"""Boxes and detectors: losses, overlaps, suppression and mean average precision.

    tools/golden/detection.py   writes tests/golden/nn/{losses_boxes,boxes,metrics_detection}.npz

Losses of boxes, overlaps and suppression are torchvision's (0.14), in double. The loss of detection is written out
cell by cell in PyTorch, with its autograd. Mean average precision is COCOeval of pycocotools, whose evaluateImg,
accumulate and summarize are transcribed for all areas and without crowds. test_losses_rows.c, test_detection.c and
test_metrics.c read the files.
"""
import numpy as np
import torch
import torchvision.ops as ops
from losses import ROOT, rng
from losses_rows import case, save

out = {}


def f32(x):
    return np.asarray(x, np.float32).astype(np.float64)


def boxes(*shape, scale=1.0):
    a, b = rng.random((*shape, 2)), rng.random((*shape, 2))
    return f32(np.concatenate([np.minimum(a, b), np.maximum(a, b)], -1) * scale)


# ---- Losses ----------------------------------------------------------------------------------------------------------


def iou_loss(p, t, eps=1e-7):
    side = (torch.minimum(p[..., 2:], t[..., 2:]) - torch.maximum(p[..., :2], t[..., :2])).clamp(min=0)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    common = side[..., 0] * side[..., 1]
    return 1 - common / (area(p) + area(t) - common + eps)


def pair_losses():
    each = {"giou": ops.generalized_box_iou_loss, "diou": ops.distance_box_iou_loss, "ciou": ops.complete_box_iou_loss}

    for shape, dims in (("vector", ()), ("steps", (3,))):
        # Extremes: far apart, one inside the other, thousands of pixels, nearly a line.
        p = np.concatenate([boxes(14, *dims), np.broadcast_to([[[0.0, 0, 0.1, 0.2]], [[0.1, 0.1, 0.9, 0.9]], [[10, 20, 3000, 4000]],
                                                               [[0.1, 0.2, 0.1001, 0.9]]], (4, 3, 4))[:, :1 if not dims else 3].reshape(4, *dims, 4)])
        t = np.concatenate([boxes(14, *dims), np.broadcast_to([[[0.7, 0.8, 0.9, 1.0]], [[0.3, 0.4, 0.5, 0.6]], [[50, 10, 2000, 5000]],
                                                               [[0.05, 0.3, 0.5, 0.7]]], (4, 3, 4))[:, :1 if not dims else 3].reshape(4, *dims, 4)])
        for text, f in each.items():
            case(text, lambda p, t, f=f: f(p.flatten(0, -2), t.flatten(0, -2)).reshape(p.shape[:-1]).flatten(1).mean(1) if p.dim() > 2 else f(p, t),
                 p, t, shape=shape, float_tolerance=1e-4)
        case("iou", lambda p, t: iou_loss(p, t).flatten(1).mean(1) if p.dim() > 2 else iou_loss(p, t), p, t, shape=shape, float_tolerance=1e-4)


def detection(kind="giou", gamma=2.0, alpha=0.0, box_weight=2.0, radius=1.5, quality=True):
    losses = {"giou": ops.generalized_box_iou_loss, "diou": ops.distance_box_iou_loss, "ciou": ops.complete_box_iou_loss}

    def f(p, t):
        n, rows, columns, width = p.shape
        total, count = [], []
        for i in range(n):
            loss, found = 0.0, 0
            for r in range(rows):
                for c in range(columns):
                    x, y, best = (c + 0.5) / columns, (r + 0.5) / rows, None
                    for box in t[i]:
                        k, x0, y0, x1, y1 = box.tolist()
                        if k < 0 or x1 <= x0 or y1 <= y0:
                            continue
                        dx, dy = abs(x - (x0 + x1) / 2) * columns, abs(y - (y0 + y1) / 2) * rows
                        ours = (x0 < x < x1 and y0 < y < y1 and dx < radius and dy < radius) or (dx <= 0.5 and dy <= 0.5)
                        area = (x1 - x0) * (y1 - y0)
                        if ours and (best is None or area < best[0]):
                            best = (area, int(k), box[1:])
                    target = torch.zeros(width - 4, dtype=p.dtype)
                    cell = p[i, r, c]
                    if best is not None:
                        found += 1
                        mine, true = cell[None, :4], best[2][None].to(p.dtype)
                        loss = loss + box_weight * losses[kind](mine, true).sum()
                        if best[1] < width - 4:
                            target[best[1]] = 1 - iou_loss(mine, true)[0].detach() if quality else 1.0
                    s = cell[4:].clamp(1e-7, 1 - 1e-7)
                    entropy = -(target * s.log() + (1 - target) * (1 - s).log())
                    w = (target - cell[4:]).abs() ** gamma
                    if alpha:
                        w = w * torch.where(target > 0, alpha, 1 - alpha)
                    loss = loss + (w * entropy).sum()
            total.append(loss)
            count.append(float(max(found, 1)))
        return torch.stack(total), torch.tensor(count, dtype=p.dtype)

    return f


def detection_losses():
    n, rows, columns, classes, most = 10, 4, 5, 2, 3
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    reach = rng.uniform(0.05, 0.4, size=(n, rows, columns, 4))
    p = np.concatenate([np.stack([x, y, x, y], -1) + reach * [-1, -1, 1, 1], rng.uniform(0.02, 0.98, size=(n, rows, columns, classes))], -1)
    t = np.concatenate([rng.integers(0, classes, size=(n, most, 1)), boxes(n, most)], -1)
    t[0, :, 0] = -1                                # nothing to be seen
    t[1, 1:, 0] = -1
    t[2, 0, 1:] = [0.31, 0.27, 0.33, 0.29]         # with no cell's middle in it
    t[3, 0, 1:] = [0.5, 0.5, 0.5, 0.9]             # without area
    t[4, 0, 1:], t[4, 1, 1:] = [0, 0, 0.99, 0.96], [0.3, 0.3, 0.71, 0.73]  # one in the other
    p[5, ..., 4:] = rng.choice([0.001, 0.999], size=p[5, ..., 4:].shape)
    for text, options in (("detection", {}), ("detection(iou=ciou, radius=1)", {"kind": "ciou", "radius": 1.0}),
                          ("detection(iou=diou, no_quality=true, alpha=0.25)", {"kind": "diou", "quality": False, "alpha": 0.25}),
                          ("detection(gamma=1.5, box_weight=0.5, radius=2.5)", {"gamma": 1.5, "box_weight": 0.5, "radius": 2.5})):
        case(text, detection(**options), p, t, shape="cells", float_tolerance=1e-4)


# ---- Overlaps and suppression ----------------------------------------------------------------------------------------


def overlaps():
    a, b = boxes(12, scale=100.0), boxes(9, scale=100.0)
    a[0], a[1], b[0] = b[3], [0, 0, 1e4, 1e4], [5, 5, 6, 6]
    ta, tb = torch.tensor(a), torch.tensor(b)
    out["pairs/a"], out["pairs/b"] = a, b
    for kind, f in (("iou", ops.box_iou), ("giou", ops.generalized_box_iou), ("diou", ops.distance_box_iou), ("ciou", ops.complete_box_iou)):
        out[f"pairs/{kind}"] = f(ta, tb).numpy()


def suppression():
    for i in range(12):
        n = [0, 1, 2, 300, 60][i] if i < 5 else int(rng.integers(20, 120))
        b, s, labels = boxes(n), f32(rng.random(n)), rng.integers(0, 3, size=n)
        if i >= 8:
            b[n // 2:] = b[: n - n // 2]            # the same boxes again
        if i == 9:
            b[: n // 3, 2:] = b[: n // 3, :2]       # without area
        if i == 10:
            labels[:] = 1
        iou = [0.5, 0.5, 0.5, 0.3, 0.7, 0.5, 0.1, 0.9, 0.5, 0.5, 0.5, 0.0][i]
        keep = torch.zeros(0, dtype=torch.int64)
        for c in range(3):                          # batched_nms without its trick of moving classes apart
            own = torch.tensor(np.flatnonzero(labels == c))
            keep = torch.cat([keep, own[ops.nms(torch.tensor(b)[own], torch.tensor(s)[own], iou)]]) if len(own) else keep
        keep = keep.numpy()
        keep = keep[np.argsort(-s[keep], kind="stable")]
        if n and i < 9:
            assert set(keep) == set(ops.batched_nms(torch.tensor(b), torch.tensor(s), torch.tensor(labels), iou).tolist())
        out.update({f"nms{i}/boxes": b, f"nms{i}/scores": s, f"nms{i}/labels": labels.astype(np.int64), f"nms{i}/iou": np.float64(iou),
                    f"nms{i}/keep": keep.astype(np.int64)})


# ---- Mean average precision ------------------------------------------------------------------------------------------


def iou_of(d, g):
    w, h = min(d[2], g[2]) - max(d[0], g[0]), min(d[3], g[3]) - max(d[1], g[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((d[2] - d[0]) * (d[3] - d[1]) + (g[2] - g[0]) * (g[3] - g[1]) - w * h)


def evaluate_image(dt, dt_scores, gt, thresholds, max_det):
    """COCOeval.evaluateImg of one picture and class: scores by rank, and whether each is right at each threshold."""
    order = np.argsort(-dt_scores, kind="mergesort")[:max_det]
    ious = [[iou_of(dt[d], g) for g in gt] for d in order]
    right = np.zeros((len(thresholds), len(order)), bool)
    for tind, t in enumerate(thresholds):
        gtm = [0] * len(gt)
        for dind in range(len(order)):
            iou, m = min([t, 1 - 1e-10]), -1
            for gind in range(len(gt)):
                if gtm[gind] > 0 or ious[dind][gind] < iou:
                    continue
                iou, m = ious[dind][gind], gind
            if m == -1:
                continue
            right[tind, dind], gtm[m] = True, 1
    return dt_scores[order], right


def coco(detections, truths, classes, thresholds=None, max_det=100):
    """detections: for each picture [n, 6] (score, class, box); truths [m, 5]. The mean of COCOeval.summarize."""
    thresholds = np.linspace(0.5, 0.95, int(np.round((0.95 - 0.5) / 0.05)) + 1) if thresholds is None else np.array(thresholds)
    recalls = np.linspace(0.0, 1.0, int(np.round((1.0 - 0.0) / 0.01)) + 1)
    precision = -np.ones((len(thresholds), len(recalls), classes))
    for k in range(classes):
        e = []
        npig = 0
        for d, g in zip(detections, truths):
            own, g = d[d[:, 1] == k], g[g[:, 0] == k]
            npig += len(g)
            e.append(evaluate_image(own[:, 2:], own[:, 0], g[:, 1:], thresholds, max_det))
        if npig == 0:
            continue
        scores = np.concatenate([s for s, _ in e])
        inds = np.argsort(-scores, kind="mergesort")
        dtm = np.concatenate([r for _, r in e], axis=1)[:, inds]
        tp_sum, fp_sum = np.cumsum(dtm, axis=1).astype(float), np.cumsum(~dtm, axis=1).astype(float)
        for t, (tp, fp) in enumerate(zip(tp_sum, fp_sum)):
            nd = len(tp)
            rc, pr = tp / npig, (tp / (fp + tp + np.spacing(1))).tolist()
            q = [0.0] * len(recalls)
            for i in range(nd - 1, 0, -1):
                if pr[i] > pr[i - 1]:
                    pr[i - 1] = pr[i]
            for ri, pi in enumerate(np.searchsorted(rc, recalls, side="left")):
                if pi >= nd:
                    break
                q[ri] = pr[pi]
            precision[t, :, k] = q
    s = precision[precision > -1]
    return float(np.mean(s)) if len(s) else np.nan


def suppressed(d, iou):
    """Greedy, class by class, by falling score."""
    keep = []
    for i in np.argsort(-d[:, 0], kind="mergesort"):
        if all(d[k, 1] != d[i, 1] or not iou_of(d[k, 2:], d[i, 2:]) > iou for k in keep):
            keep.append(i)
    return d[keep]


ASKED = (("map(nms=1, score=0)", {}), ("map50(nms=1, score=0)", {"thresholds": [0.5]}), ("map75(nms=1, score=0)", {"thresholds": [0.75]}),
         ("mean_average_precision", {"nms": 0.5, "score": 0.01}), ("map50(nms=0.3, score=0.4)", {"nms": 0.3, "score": 0.4, "thresholds": [0.5]}),
         ("map(nms=1, score=0, most=4, iou=[0.3, 0.6])", {"max_det": 4, "thresholds": [0.3, 0.6]}))


def judged(p, t, chosen, classes, thresholds=None, max_det=100, nms=1, score=0.0):
    detections, truths = [], []
    for i in chosen:
        cells = p[i].reshape(-1, 4 + classes)
        d = np.array([[cell[4 + c], c, *cell[:4]] for cell in cells for c in range(classes)])
        d = d[d[:, 0] > score]
        detections.append(suppressed(d, nms) if nms < 1 else d)
        truths.append(t[i][t[i][:, 0] >= 0])
    return coco(detections, truths, classes, thresholds, max_det)


def precision_case(name, p, t, classes):
    p, t = f32(p), f32(t)
    weight = rng.choice([0, 0.5, 1, 2.0], size=len(p))
    weight[0] = 1
    everyone, some = range(len(p)), np.flatnonzero(weight)
    out[f"{name}/prediction"], out[f"{name}/target"], out[f"{name}/weight"] = p.astype(np.float32), t.astype(np.float32), weight
    out[f"{name}/metrics"] = np.frombuffer("".join(f"1 {text}\n" for text, _ in ASKED).encode(), np.uint8)
    out[f"{name}/values"] = np.array([judged(p, t, everyone, classes, **o) for _, o in ASKED])
    out[f"{name}/weighted"] = np.array([judged(p, t, some, classes, **o) for _, o in ASKED])
    print(name, out[f"{name}/values"].round(3))


def scene(n, cells, classes, most, noise=0.03, found=0.8):
    """Truths, and cells that see them more or less well, or see what is not there."""
    t = np.concatenate([rng.integers(0, classes, size=(n, most, 1)).astype(float), boxes(n, most)], -1)
    t[..., 3:] = np.maximum(t[..., 3:], t[..., 1:3] + 0.05)
    t[rng.random((n, most)) < 0.3, 0] = -1
    p = np.zeros((n, 1, cells, 4 + classes))
    p[..., :4] = boxes(n, 1, cells)
    p[..., 4:] = rng.random((n, 1, cells, classes)) * (rng.random((n, 1, cells, classes)) < 0.4)
    for i in range(n):
        for c in range(cells):
            g = t[i, rng.integers(most)]
            if g[0] >= 0 and rng.random() < found:
                p[i, 0, c, :4] = g[1:] + rng.normal(size=4) * noise * rng.choice([0.1, 1, 2])
                p[i, 0, c, 4 + int(g[0])] = rng.uniform(0.3, 1)
    return p, t


def precisions():
    for i in range(6):
        precision_case(f"detect_random{i}", *scene(9, 14 + i, 1 + i % 3, 3 + i, noise=0.02 * (1 + i % 4)), 1 + i % 3)
    p, t = scene(9, 20, 3, 5)
    p[..., 4:] = np.round(p[..., 4:], 1)
    precision_case("detect_ties", p, t, 3)
    p, t = scene(9, 20, 3, 5)
    t[..., 0] = np.where(t[..., 0] == 1, -1, t[..., 0])
    precision_case("detect_class_without_boxes", p, t, 3)
    p, t = scene(9, 12, 2, 4)
    t[2:5, :, 0] = -1
    p[4:7, ..., 4:] = 0
    precision_case("detect_empty_pictures", p, t, 2)
    precision_case("detect_nothing_found", p * [1, 1, 1, 1, 0, 0], t, 2)
    t[..., 0] = -1
    precision_case("detect_nothing_there", p, t, 2)
    p, t = scene(5, 6, 2, 3)
    p[..., 4:] = 0
    for i in range(5):
        for k in range(3):
            p[i, 0, 2 * k + 1, :4] = t[i, k, 1:]
            if t[i, k, 0] >= 0:
                p[i, 0, 2 * k + 1, 4 + int(t[i, k, 0])] = 0.9
    precision_case("detect_perfect", p, t, 2)
    t[:, 1:] = t[:, :1]  # the same box several times
    precision_case("detect_doubled", p, t, 2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    pair_losses()
    detection_losses()
    save("boxes")
    overlaps()
    suppression()
    np.savez_compressed(ROOT / "boxes.npz", **out)
    out.clear()
    precisions()
    np.savez_compressed(ROOT / "metrics_detection.npz", **out)
