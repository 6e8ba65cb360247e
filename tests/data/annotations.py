#!/usr/bin/env python3
"""Reads the data sets of test_annotations.sh in another way than Cajal: boxes by xml.etree, pictures and masks by
Pillow. Writes FOLDER/PART.txt: for boxes "picture crc32", the number of boxes and each as class and four numbers with
nine digits, which is a float exactly. The same boxes, those without area too, are written as COCO (FOLDER/coco) and
as YOLO (FOLDER/yolo) has them. For masks "picture crc32" of picture and of classes as int32.

    annotations.py FOLDER
"""
import json
import os
import sys
import xml.etree.ElementTree
import zlib

import numpy as np
from PIL import Image

folder = sys.argv[1]
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def corners_of(name):
    root = xml.etree.ElementTree.parse(os.path.join(folder, "BCCD/Annotations", name + ".xml")).getroot()
    width, height = int(root.find("size/width").text), int(root.find("size/height").text)
    for o in root.findall("object"):
        yield o.find("name").text, [float(o.find("bndbox/" + c).text) for c in CORNERS], (width, height)


def boxes_of(name):
    for label, corners, size in corners_of(name):
        if corners[0] < corners[2] and corners[1] < corners[3]:
            yield label, [c / s for c, s in zip(corners, size * 2)]


def crc(array):
    return "%08x" % zlib.crc32(np.ascontiguousarray(array).tobytes())


def lines(part):
    with open(os.path.join(folder, "BCCD/ImageSets/Main", part + ".txt")) as f:
        return f.read().split()


def write_coco(part):
    images, annotations = [], []
    for i, name in enumerate(lines(part)):
        images.append({"id": 1000 - i, "file_name": name + ".jpg", "width": 640, "height": 480})
        for label, c, _ in corners_of(name):
            annotations.append({"id": len(annotations), "image_id": 1000 - i, "iscrowd": 0,
                                "category_id": 7 * classes.index(label) + 2, "area": (c[2] - c[0]) * (c[3] - c[1]),
                                "bbox": [c[0], c[1], c[2] - c[0], c[3] - c[1]], "segmentation": []})
    categories = [{"id": 7 * i + 2, "name": name, "supercategory": "cell"} for i, name in enumerate(classes)]
    os.makedirs(os.path.join(folder, "coco/annotations"), exist_ok=True)
    if not os.path.exists(os.path.join(folder, "coco/images")):
        os.symlink("../BCCD/JPEGImages", os.path.join(folder, "coco/images"))
    with open(os.path.join(folder, "coco/annotations/instances_%s.json" % part), "w") as f:
        json.dump({"images": images, "annotations": annotations, "categories": categories[::-1]}, f)


def write_yolo(part):
    for kind in ("images", "labels"):
        os.makedirs(os.path.join(folder, "yolo", kind, part), exist_ok=True)
    assert lines(part) == sorted(lines(part))
    for name in lines(part):
        os.symlink("../../../BCCD/JPEGImages/%s.jpg" % name, os.path.join(folder, "yolo/images", part, name + ".jpg"))
        with open(os.path.join(folder, "yolo/labels", part, name + ".txt"), "w") as f:
            for label, c, (w, h) in corners_of(name):
                print(classes.index(label), (c[0] + c[2]) / 2 / w, (c[1] + c[3]) / 2 / h, (c[2] - c[0]) / w,
                      (c[3] - c[1]) / h, file=f)
    with open(os.path.join(folder, "yolo/data.yaml"), "w") as f:
        print("train: images/train\nval: images/val\nnc: %d\nnames: %s" % (len(classes), json.dumps(classes)), file=f)


classes = sorted({name for picture in lines("train") for name, _ in boxes_of(picture)})
for part in ("train", "val", "test"):
    with open(os.path.join(folder, part + ".txt"), "w") as f:
        for name in lines(part):
            picture = np.array(Image.open(os.path.join(folder, "BCCD/JPEGImages", name + ".jpg")).convert("RGB"))
            boxes = list(boxes_of(name))
            print(name, crc(picture), len(boxes), file=f)
            for label, box in boxes:
                print(classes.index(label), *["%.9g" % np.float32(x) for x in box], file=f)
    write_coco(part)
    write_yolo(part)

names = sorted(name for name in os.listdir(os.path.join(folder, "membrane/image")))
masks = {n: np.array(Image.open(os.path.join(folder, "membrane/label", n))) for n in names}
values = np.unique(np.concatenate([m.ravel() for m in masks.values()]))
with open(os.path.join(folder, "masks.txt"), "w") as f:
    for n in sorted(names, key=lambda n: n[:-4]):
        picture = np.array(Image.open(os.path.join(folder, "membrane/image", n)).convert("RGB"))
        small = Image.fromarray(np.searchsorted(values, masks[n]).astype(np.uint8)).resize((100, 60), Image.NEAREST)
        print(n, crc(picture), crc(np.searchsorted(values, masks[n]).astype(np.int32)),
              crc(np.array(small).astype(np.int32)), file=f)
