#!/usr/bin/python3
"""Boxes, masks and pictures drawn by Pillow and numpy.

    tools/golden/draw.py        writes tests/golden/picture/draw.npz

Boxes are ImageDraw.rectangle's with `width`, one after another into one picture; some lie partly or wholly
outside of it. A mask is rounded to the nearest, halves up. A picture is pasted where it hangs over.
"""
import pathlib

import numpy as np
from PIL import Image, ImageDraw

OUT = pathlib.Path(__file__).parents[2] / "tests/golden/picture/draw.npz"
COLOURS = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115)])
rng = np.random.default_rng(3)
picture = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
boxes = []
for i in range(24):
    left, top = rng.integers(-30, 60), rng.integers(-30, 40)
    boxes.append((left, top, left + rng.integers(8, 50), top + rng.integers(8, 50), rng.integers(1, 5), i % 3))
boxes = np.array(boxes, dtype=np.int64)
drawn = Image.fromarray(picture)
for left, top, right, bottom, thickness, c in boxes.tolist():
    ImageDraw.Draw(drawn).rectangle((left, top, right, bottom), outline=tuple(COLOURS[c]), width=thickness)
classes = rng.integers(0, 3, (40, 60)).astype(np.int32)
blended = np.floor(picture + 0.3 * (COLOURS[classes] - picture.astype(float)) + 0.5)
masked = np.where((classes == 1)[..., None], picture, blended).astype(np.uint8)
pasted = Image.fromarray(picture)
small = rng.integers(0, 256, (10, 15), dtype=np.uint8)
for at in ((-4, 3), (50, 35), (20, -20), (20, 20)):
    pasted.paste(Image.fromarray(small), at)
np.savez(OUT, picture=picture, boxes=boxes, drawn=np.array(drawn), classes=classes, masked=masked, small=small,
         pasted=np.array(pasted))
