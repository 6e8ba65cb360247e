#!/usr/bin/env python3
"""Writes the first inputs of fuzz_jsonl, fuzz_arff, fuzz_svmlight and fuzz_fixed_width to fuzz/corpus/: a byte
that chooses options (0: none) and a small table for each thing a parser knows. Run from the source root."""
import os

head = "@relation r\n@attribute a real\n@attribute b {red,'bl\\'ue'}\n@attribute y {no,yes}\n@data\n"
tables = {
    "jsonl": {
        "objects": '{"a":1.5,"b":"red","y":"no"}\n{"b":"bl\\u00fce","y":"yes","a":-2e3}\n{"a":0,"b":"red","y":"no"}\n',
        "nested": '{"p":{"q":[1,2],"r":{"s":true}},"y":0.5}\n{"p":{"q":[3,4],"r":{"s":false}},"y":1.5}\n',
        "lists": '[1,[2,3],"no"]\r\n[4,[5,6],"yes"]\r\n\r\n[7,[8,null],"no"]',
        "union": '{"a":1}\n{"b":2,"a":3}\n{"c":null,"b":""}\n{}\n',
        "order": '{"a":1,"b":2,"c":3,"y":1}\n{"y":2,"c":3,"b":2,"a":1}\n{"b":{"x":1},"b.x":2}\n',
        "deep": '[' * 70 + ']' * 70,
    },
    "arff": {
        "dense": "% c\n" + head + "1.5,red,no\n-2,'bl\\'ue',yes\n3,red,no\n",
        "sparse": head + "{0 1.5, 2 yes}\n{}\n{2 yes, 1 'bl\\'ue'}, {0.5}\n",
        "weights": head + "1,red,no,{2}\n2 red yes\n3, red, no, {0}\n",
        "missing": head + "?,red,no\n1,?,yes\n1,red,?\n2,red,yes\n",
        "kinds": "@attribute 'a b' INTEGER\n@attribute s string\n@attribute d date \"yyyy\"\n@attribute a {3,1,2}\n"
                 "@data\n1,x,'2020',3\n2,'y z',\"2021\",1\n",
        "broken": head + "1,'red,no\n",
    },
    "svmlight": {
        "plain": "# c\n-1 1:0.5 3:2 # x\n+1 2:-1e3\n-1\n+1 1:1 4:7\n",
        "zero": "1 0:1\n2 1:2\n1 0:3 5:1\n",
        "queries": "0.5 qid:1 1:1\n1.5 qid:1 2:1\n2.5 qid:2 1:4\n",
        "wide": "1 600:1\n" + "2\n" * 40,
        "many labels": "1,2 1:1\n",
        "order": "1 2:1 1:1\n",
    },
    "fixed_width": {
        "header": "a    b    y\n1.5  red  no\n-2   blue yes\n30   red  no\n",
        "plain": "1  2.5\n20 3.5\n\n3  4.5\n",
        "utf8": "ä  1 Zoë\nüü 2 x\n\xff  3 x\n",
        "missing": "a  b  y\n1     2\n3  4  5\n",
        "outside": "a 1\n" * 100 + "a 12\n",
        "tabs": "a\t1\nb\t2\n",
    },
}
for target, files in tables.items():
    folder = os.path.join("fuzz", "corpus", target)
    os.makedirs(folder, exist_ok=True)
    for name, text in files.items():
        for options in (0, 3, 5, 7):
            with open(os.path.join(folder, "%s-%d" % (name.replace(" ", "-"), options)), "wb") as f:
                f.write(bytes([options]) + text.encode("utf-8"))
