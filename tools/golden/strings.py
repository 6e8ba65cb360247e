#!/usr/bin/env python3
"""Writes tests/golden/format/text-*.npy with numpy, tests/golden/format/onnx/text_*.onnx with their inputs
and results (text_*.npz), and tests/golden/format/regex.txt: results are Python's and numpy's.

Run from the source root: /usr/bin/python3 tools/golden/strings.py (needs numpy and onnx)
"""
import re

import numpy as np
from onnx import helper, TensorProto as T

OUT = "tests/golden/format/"
TEXTS = np.array([["a", "", "\u00e4b"], ["\u4e2d\u6587", "\U0001f600!", "abcdef"]])
TYPES = {"U": T.STRING, "i": T.INT64, "f": T.FLOAT, "b": T.BOOL}


def write(name, op, ins, outs, opset=20, **attributes):
    kinds = lambda a: {np.dtype("f8"): T.DOUBLE, np.dtype("f2"): T.FLOAT16}.get(a.dtype, TYPES[a.dtype.kind])
    node = helper.make_node(op, [f"in{i}" for i in range(len(ins))], [f"out{i}" for i in range(len(outs))], **attributes)
    infos = lambda word, arrays: [helper.make_tensor_value_info(f"{word}{i}", kinds(a), a.shape) for i, a in enumerate(arrays)]
    graph = helper.make_graph([node], "g", infos("in", ins), infos("out", outs))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    open(f"{OUT}onnx/text_{name}.onnx", "wb").write(model.SerializeToString())
    if not name.startswith("bad_"):
        arrays = {f"in{i}": a for i, a in enumerate(ins)}
        arrays.update({f"out{i}": a for i, a in enumerate(outs)})
        np.savez_compressed(f"{OUT}onnx/text_{name}.npz", **arrays)


def split(x, delimiter, most):
    pieces = [t.split(delimiter, most) for t in x.ravel()]
    width = max(map(len, pieces), default=0)
    y = np.array([p + [""] * (width - len(p)) for p in pieces], dtype="U")
    return y.reshape(x.shape + (width,)), np.array(list(map(len, pieces))).reshape(x.shape)


def grams(x, pool, n, skips, width, places):
    out = np.zeros(width, "f4")
    for skip in range(skips + 1 if n > 1 else 1):
        for at in range(len(x)):
            gram = [x[at + i * (skip + 1)] for i in range(n) if at + i * (skip + 1) < len(x)]
            for k in range(len(pool) // n):
                if len(gram) == n and gram == list(pool[n * k:n * k + n]):
                    out[places[k]] += 1
    return out


PATTERNS = [
    (r"", ["", "a"]), (r"abc", ["abc", "ab", "abcd", "xabc"]), (r"a|bc|", ["a", "bc", "", "b", "abc"]),
    (r"a*b+c?", ["b", "aaabbc", "ac", "abcc"]), (r"(ab)*", ["", "abab", "aba"]), (r"a{3}", ["aa", "aaa", "aaaa"]),
    (r"a{2,4}b{0}", ["a", "aa", "aaaa", "aaaaa", "aab"]), (r"x{2,}", ["x", "xx", "xxxxx"]),
    (r"[a-c^-]+", ["abc", "^-", "d"]), (r"[^a-z\d]+", ["ABC", "A1", "\u00e4", ""]), (r"[]a]+", ["]a", "b"]),
    (r"[[:alpha:]_]\w*", ["x1", "_", "1x", "\u00e4"]), (r"\d+\.\d*", ["3.14", "3.", ".5", "3x14"]), (r".", ["a", "\u4e2d", "\n", "ab"]),
    (r"..", ["\U0001f600!", "\U0001f600"]), (r"[\u4e00-\u9fff]+", ["\u4e2d\u6587", "a"]), (r"\S+@\S+\.(com|org)", ["a@b.com", "a b@c.org", "a@b.net"]),
    (r"\bfoo\b.*", ["foo bar", "foobar", "foo"]), (r"^a$", ["a", "ba"]), (r"a^b", ["ab", "a^b"]), (r"(?:a(?P<n>b|c)){2}", ["abac", "ab", "acab"]),
    (r"a.*?b", ["axxb", "ab", "abx"]), (r"(a|aa)*b", ["a" * 40 + "b", "a" * 40 + "c"]), (r"(a*)*b", ["b", "aab", "c"]), (r"\x41\t\\", ["A\t\\", "A"]),
    (r"\W\D\s", ["- \t", "a-x"]), (r"\Bo+", ["o", ""]), (r"(((a)?b)?c)?", ["abc", "bc", "c", "", "ac"]),
]


def expected(pattern, text):
    """Python's, where RE2 says the same; [:alpha:] is RE2's own, \\d and \\w are of ASCII alone."""
    pattern = pattern.replace("[:alpha:]", "A-Za-z")
    return bool(re.compile(pattern, re.A).fullmatch(text))


def main():
    for name, order in (("little", "<"), ("big", ">")):
        with open(f"{OUT}text-{name}.npy", "wb") as f:
            np.lib.format.write_array(f, TEXTS.astype(order + TEXTS.dtype.str[1:]), version=(1, 0))
    with open(f"{OUT}text-fortran.npy", "wb") as f:
        np.lib.format.write_array(f, np.asfortranarray(TEXTS), version=(1, 0))
    numbers = ["3.14", "1000", "1e-5", "-1E8", "+7", "NaN", "INF", "+inf", "-Inf", "0.1"]
    plain = [3.14, 1000, 1e-5, -1e8, 7, np.nan, np.inf, np.inf, -np.inf, 0.1]
    write("to_f32", "Cast", [np.array(numbers)], [np.array(plain, "f4")], to=T.FLOAT)
    write("to_f64", "Cast", [np.array(numbers)], [np.array(plain, "f8")], to=T.DOUBLE)
    write("to_i64", "Cast", [np.array(["100.5", "-7", "9223372036854775807", "0"])],
          [np.array([100, -7, 2**63 - 1, 0])], to=T.INT64)
    for name, x in (("f32", np.array([0.1, 1e-5, 1e16, 123456, -0.0, np.nan, np.inf, 1 / 3], "f4")),
                    ("f64", np.array([0.1, 1e22, 1 / 3, -5e-324], "f8")), ("f16", np.array([0.1, 65504, 1e-7], "f2")),
                    ("i64", np.array([-5, 2**63 - 1])), ("bool", np.array([True, False]))):
        write("from_" + name, "Cast", [x], [np.array([str(v) for v in x])], to=T.STRING)
    words = np.array(["Monday", "tuesday", "\u00c4rger", "\u0416\u0443\u043a", "\u03a3\u03c2", "WEDNESDAY"])
    write("lower", "StringNormalizer", [words], [np.char.lower(words)], case_change_action="LOWER", is_case_sensitive=1)
    write("upper", "StringNormalizer", [words[None, 2:]], [np.char.upper(words[None, 3:5])], case_change_action="UPPER",
          stopwords=["wednesday", "\u00e4RGER"])
    write("stops", "StringNormalizer", [words], [words[[0, 2, 3, 4, 5]]], stopwords=["tuesday", "monday"], is_case_sensitive=1)
    write("none_left", "StringNormalizer", [words[:2]], [np.array([""])], stopwords=["MONDAY", "Tuesday"])
    a, b = TEXTS, np.array([["-"], ["\u00e9"]])
    write("concat", "StringConcat", [a, b], [np.char.add(a, b)])
    x = np.array([["a,b,,c", "", ","], [" one  two ", "a, b", "\u4e2d,\u6587"]])
    for name, delimiter, most in (("comma", ",", -1), ("comma_1", ",", 1), ("blank", None, -1), ("blank_1", None, 1), ("long", ", ", -1)):
        options = {"delimiter": delimiter} if delimiter else {}
        if most >= 0:
            options["maxsplit"] = most
        write("split_" + name, "StringSplit", [x], split(x, delimiter, most), **options)
    write("match", "RegexFullMatch", [x], [np.vectorize(lambda t: bool(re.fullmatch("[a-z ,]*", t)))(x)], pattern="[a-z ,]*")
    write("equal", "Equal", [a, np.array(["\u00e4b", "", "\u00e4b"])], [a == np.array(["\u00e4b", "", "\u00e4b"])])
    pool = ["a", "b", "a", "b", "b", "c"]  # two of one word, two of two
    row = [["a", "b", "a", "b"], ["c", "b", "x", "c"]]
    weights = [0.5, 2, 3, 4]
    places = [3, 0, 1, 2]
    count = np.array([grams(r, pool[:2], 1, 1, 4, places[:2]) + grams(r, pool[2:], 2, 1, 4, places[2:]) for r in row])
    scale = np.zeros(4, "f4")
    scale[places] = weights
    for mode, y in (("TF", count), ("IDF", (count > 0) * scale), ("TFIDF", count * scale)):
        write("tf_" + mode.lower(), "TfIdfVectorizer", [np.array(row)], [y.astype("f4")], mode=mode, pool_strings=pool, ngram_counts=[0, 2],
              ngram_indexes=places, weights=weights, min_gram_length=1, max_gram_length=2, max_skip_count=1)
    numbers = np.array([1, 2, 1, 3, 2])
    write("tf_integers", "TfIdfVectorizer", [numbers], [grams(list(numbers), [1, 1, 2, 2], 2, 3, 2, [1, 0])], mode="TF", pool_int64s=[9, 1, 1, 2, 2],
          ngram_counts=[0, 1], ngram_indexes=[0, 1, 0], min_gram_length=2, max_gram_length=2, max_skip_count=3)
    text, flag = np.array(["x", "7"]), np.zeros(2, "bool")
    write("bad_number", "Cast", [text], [np.zeros(2, "f4")], to=T.FLOAT)
    write("bad_add", "Add", [text, text], [text])
    write("bad_type", "StringConcat", [text, np.zeros(2, "f4")], [text])
    write("bad_shape", "StringConcat", [text, np.array(["a", "b", "c"])], [text])
    write("bad_case", "StringNormalizer", [text], [text], case_change_action="TITLE")
    write("bad_rank", "StringNormalizer", [np.array([["a"], ["b"]])], [text])
    write("bad_pattern", "RegexFullMatch", [text], [flag], pattern="a(b")
    write("bad_grams", "TfIdfVectorizer", [text], [np.zeros(2, "f4")], mode="TF", pool_strings=["a"], ngram_counts=[0, 5], ngram_indexes=[0],
          min_gram_length=1, max_gram_length=2, max_skip_count=0)
    with open(f"{OUT}regex.txt", "w", encoding="utf-8") as f:  # pattern, text, 0 or 1; C's escapes in the text
        for pattern, texts in PATTERNS:
            for t in texts:
                f.write("\t".join([pattern.encode().decode("unicode_escape") if "\\u" in pattern else pattern,
                                   t.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n"),
                                   str(int(expected(pattern, t)))]) + "\n")


if __name__ == "__main__":
    main()
