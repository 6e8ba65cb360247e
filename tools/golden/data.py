#!/usr/bin/python3
"""Golden files of tests/data: CSV cells as Python's csv module reads them, statistics as numpy computes them.

    tools/golden/data.py TABULAR_FOLDER     writes tests/golden/data/
"""
import csv, gzip, os, random, sys
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
out = os.path.join(here, "..", "..", "tests", "golden", "data")
os.makedirs(out, exist_ok=True)

# Cells of all the characters that matter to a CSV reader; no blanks at the ends, which Cajal cuts off.
random.seed(1)
alphabet = ['"', ",", "\n", "\r\n", "a", "B", "7", ".", "é", ";", "x y", "\t|"]
rows = [["".join(random.choice(alphabet) for _ in range(random.randint(0, 6))).strip() for _ in range(5)]
        for _ in range(60)]
with open(os.path.join(out, "cells.csv"), "w", newline="", encoding="utf-8") as f:
    csv.writer(f, lineterminator="\r\n").writerows(rows)
with open(os.path.join(out, "cells.csv"), newline="", encoding="utf-8") as f:
    read = list(csv.reader(f))
with open(os.path.join(out, "cells.hex"), "w") as f:
    for row in read:
        f.write(" ".join(cell.encode("utf-8").hex() or "-" for cell in row) + "\n")

with open(os.path.join(out, "statistics.txt"), "w") as f:
    def write(name, x):
        axes = tuple(range(x.ndim - 1))
        for what in (x.mean(axes), x.std(axes), x.min(axes), x.max(axes)):
            f.write(name + " " + " ".join("%.17g" % v for v in np.atleast_1d(what)) + "\n")
    for name in ("iris", "breast_cancer", "wine_data"):
        x = np.loadtxt(os.path.join(sys.argv[1], name + ".csv"), delimiter=",", skiprows=1)[:, :-1]
        write(name, x.astype(np.float32).astype(np.float64))
    with gzip.open("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz") as g:
        pixels = np.frombuffer(g.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    write("fashion-mnist", pixels.astype(np.float64))
