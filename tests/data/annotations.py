#!/usr/bin/env python3
"""Reads the data sets of test_annotations.sh in another way than Cajal: boxes by xml.etree, pictures and masks by
Pillow. Writes FOLDER/PART.txt: for boxes "picture crc32", the number of boxes and each as class and four numbers with
nine digits, which is a float exactly; for masks "picture crc32" of picture and of classes as int32.

    annotations.py FOLDER
"""
import os
import sys
import xml.etree.ElementTree
import zlib

import numpy as np
from PIL import Image

folder = sys.argv[1]
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def boxes_of(name):
    root = xml.etree.ElementTree.parse(os.path.join(folder, "BCCD/Annotations", name + ".xml")).getroot()
    width, height = int(root.find("size/width").text), int(root.find("size/height").text)
    for o in root.findall("object"):
        corners = [float(o.find("bndbox/" + c).text) for c in CORNERS]
        if corners[0] < corners[2] and corners[1] < corners[3]:
            yield o.find("name").text, [c / s for c, s in zip(corners, (width, height) * 2)]


def crc(array):
    return "%08x" % zlib.crc32(np.ascontiguousarray(array).tobytes())


def lines(part):
    with open(os.path.join(folder, "BCCD/ImageSets/Main", part + ".txt")) as f:
        return f.read().split()


classes = sorted({name for picture in lines("train") for name, _ in boxes_of(picture)})
for part in ("train", "val", "test"):
    with open(os.path.join(folder, part + ".txt"), "w") as f:
        for name in lines(part):
            picture = np.array(Image.open(os.path.join(folder, "BCCD/JPEGImages", name + ".jpg")).convert("RGB"))
            boxes = list(boxes_of(name))
            print(name, crc(picture), len(boxes), file=f)
            for label, box in boxes:
                print(classes.index(label), *["%.9g" % np.float32(x) for x in box], file=f)

names = sorted(name for name in os.listdir(os.path.join(folder, "membrane/image")))
masks = {n: np.array(Image.open(os.path.join(folder, "membrane/label", n))) for n in names}
values = np.unique(np.concatenate([m.ravel() for m in masks.values()]))
with open(os.path.join(folder, "masks.txt"), "w") as f:
    for n in sorted(names, key=lambda n: n[:-4]):
        picture = np.array(Image.open(os.path.join(folder, "membrane/image", n)).convert("RGB"))
        small = Image.fromarray(np.searchsorted(values, masks[n]).astype(np.uint8)).resize((100, 60), Image.NEAREST)
        print(n, crc(picture), crc(np.searchsorted(values, masks[n]).astype(np.int32)),
              crc(np.array(small).astype(np.int32)), file=f)
