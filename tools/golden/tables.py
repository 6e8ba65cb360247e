#!/usr/bin/python3
"""Golden files of tests/data/test_formats.c: tables of every text format beside what others read in them.

    tools/golden/tables.py     writes tests/golden/data/

    iris.*            the iris data of scikit-learn in each format (the fields of one data set)
    FORMAT.EXT        random tables with what is difficult in the format
    FORMAT.hex        their cells: a line a row, bytes in hexadecimal, - for a missing one; the first line
                      has the names. jsonl: Python's json and the rules of pandas.read_json(lines=True) and
                      json_normalize; fixed_width: the rules of pandas.read_fwf (which Debian lacks here, so
                      they are written out below)
    svmlight*.txt     label and features of scikit-learn's load_svmlight_file, as f32
    arff.txt          values of scipy's loadarff, of nominal attributes the number of the value
"""
import io
import json
import os
import random

import numpy as np
from scipy.io import arff
from sklearn.datasets import dump_svmlight_file, load_iris, load_svmlight_file

here = os.path.dirname(os.path.abspath(__file__))
out = os.path.join(here, "..", "..", "tests", "golden", "data")
random.seed(4)
generator = np.random.default_rng(4)


def save(name, text):
    with open(os.path.join(out, name), "w", newline="", encoding="utf-8") as f:
        f.write(text)


def save_cells(name, rows):
    save(name, "".join(" ".join("-" if c is None else c.encode("utf-8").hex() or "-" for c in row) + "\n"
                       for row in rows))


def save_numbers(name, y, x):
    x = x.astype(np.float32)
    save(name, "".join(" ".join("%.9g" % v for v in [label, *row]) + "\n" for label, row in zip(y, x)))


# ---- Iris in every format -------------------------------------------------------------------------
iris = load_iris()
names = ["sepallength", "sepalwidth", "petallength", "petalwidth", "class"]
kinds = ["Iris-" + n for n in iris.target_names]
rows = [[repr(float(v)) for v in x] + [kinds[k]] for x, k in zip(iris.data, iris.target)]
save("iris.csv", "\n".join([",".join(names)] + [",".join(r) for r in rows]) + "\n")
save("iris.jsonl", "".join(json.dumps(dict(zip(names, [float(v) for v in r[:4]] + [r[4]]))) + "\n" for r in rows))
save("iris.arff", "%% the iris data set\n@RELATION iris\n\n%s@ATTRIBUTE class {%s}\n\n@DATA\n%s\n" % (
    "".join("@ATTRIBUTE %s\tREAL\n" % n for n in names[:4]), ",".join(kinds), "\n".join(",".join(r) for r in rows)))
widths = [13, 12, 13, 12, 15]
save("iris.fwf", "".join("".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() + "\n" for r in [names] + rows))
dump_svmlight_file(iris.data, iris.target, os.path.join(out, "iris.svm"), zero_based=False)

# ---- SVMlight -------------------------------------------------------------------------------------
for zero_based in (False, True):
    name = "svmlight0" if zero_based else "svmlight"
    x = generator.standard_normal((60, 40)) * 10.0 ** generator.integers(-30, 30, (60, 40))
    x[generator.random(x.shape) > 0.1] = 0
    x[0, 0], x[0, 39], x[5] = 1e-45, 3.4e38, 0
    y = generator.integers(0, 2, 60) * 2 - 1
    path = os.path.join(out, name + ".svm")
    dump_svmlight_file(x, y, path, zero_based=zero_based, comment="two classes,\nmany zeros",
                       query_id=np.arange(60) // 7 if zero_based else None)
    read, labels = load_svmlight_file(path)[:2]
    assert read.shape == (60, 40)
    save_numbers(name + ".txt", labels, read.toarray())

# ---- ARFF -----------------------------------------------------------------------------------------
# scipy reads neither escapes nor sparse rows nor weights: those have tests of their own.
colours = ["red", "light blue", "dark_green", "10%"]
def quoted(word): return "'%s'" % word if set(word) & set(" ,%") else word
lines = ["% made by tools/golden/tables.py", "@relation 'a test'", "", "@attribute 'first one' real",
         "@ATTRIBUTE second INTEGER", "@attribute colour {%s}" % ", ".join(map(quoted, colours)),
         "@attribute y {no,yes}", "", "@data"]
for i in range(50):
    cells = ["%.*g" % (random.randint(1, 17), random.gauss(0, 1) * 10.0 ** random.randint(-30, 30)),
             str(random.randint(-9, 9)), quoted(random.choice(colours)), random.choice(["no", "yes"])]
    if i == 0: cells[2] = "'light blue'" # from this line scipy learns what quotes are
    if i in (7, 31): cells[i == 7] = "?"
    lines += ["% a remark"] * (i % 17 == 3) + [",".join(cells)]
save("arff.arff", "\n".join(lines) + "\n")
data, meta = arff.loadarff(io.StringIO("\n".join(lines)))
with open(os.path.join(out, "arff.txt"), "w") as f:
    for a, b, c, y in data:
        if not np.isnan(a) and not np.isnan(b):
            f.write("%d %.9g %.9g %d\n" % (["no", "yes"].index(y.decode()), np.float32(a), np.float32(b),
                                           colours.index(c.decode())))

# ---- JSON lines -----------------------------------------------------------------------------------
letters = ["a", "B", "7", " ", ".", "é", "Σ", "😀", "\"", "\\", "\n", "\t", "/", ","]
def text(): return "".join(random.choice(letters) for _ in range(random.randint(1, 6)))
def number(): return random.choice([random.randint(-2**63, 2**64), random.gauss(0, 1), 1e-300, -0.0, 5])
def value(depth):
    kind = random.randint(0, 7)
    if kind < 2: return text()
    if kind < 4: return number()
    if kind == 4: return random.choice([True, False, None])
    if kind == 5 and depth: return [value(depth - 1) for _ in range(2)]
    if kind >= 6 and depth: return {k: value(depth - 1) for k in random.sample(["p", "q", "long key", "Ä"], 2)}
    return None
objects = []
for i in range(40):
    keys = random.sample(["k", "ключ", "x y", "z", "new%d" % (i // 13)], random.randint(1, 4))
    objects.append({k: value(2) for k in keys})
lines = [json.dumps(o, ensure_ascii=bool(i % 2)) for i, o in enumerate(objects)]
save("jsonl.jsonl", "\ufeff" + "\r\n\n".join(lines))
class number_text(str): pass
def flatten(path, v, into):
    if isinstance(v, dict): items = v.items()
    elif isinstance(v, list): items = enumerate(v)
    else: into[path] = v if v is None or isinstance(v, str) else json.dumps(v); return
    for k, item in items: flatten("%s.%s" % (path, k) if path else k, item, into)
columns, table = [], []
for line in lines:
    row = {}
    flatten("", json.loads(line, parse_int=str, parse_float=str), row)
    columns += [k for k in row if k not in columns]
    table.append(row)
save_cells("jsonl.hex", [columns] + [[row.get(k) for k in columns] for row in table])

# ---- Fixed width ----------------------------------------------------------------------------------
def read_fwf(lines):
    """FixedWidthReader of pandas.io.parsers.python_parser, with colspecs="infer"."""
    rows = lines[:100]
    mask = np.zeros(max(map(len, rows)) + 1, dtype=int)
    for row in rows:
        for i, c in enumerate(row):
            if c not in "\n\r\t ": mask[i] = 1
    shifted = np.roll(mask, 1)
    shifted[0] = 0
    edges = np.where((mask ^ shifted) == 1)[0]
    spans = list(zip(edges[::2], edges[1::2]))
    cells = [[line[a:b].strip("\n\r\t ") for a, b in spans] for line in lines]
    return [row for row in cells if any(row)]
words = ["a", "ß", "Zoë", "двор", "10", "-3.25", "1e5", "x y", "\"q\"", "日本"]
lines = []
for i in range(130):
    cells = [random.choice(words), str(random.randint(0, 9999)).rjust(6), random.choice(words + [""]),
             ("%.3f" % random.gauss(0, 100)).rjust(10)]
    line = "  " + " ".join(c.ljust(w) for c, w in zip(cells, (6, 6, 7, 10)))
    lines.append("" if i % 29 == 9 else line.rstrip() if i % 3 else line)
save("fixed_width.fwf", "\n".join(lines))
save_cells("fixed_width.hex", read_fwf(lines))
