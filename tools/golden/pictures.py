#!/usr/bin/env python3
"""Writes small pictures of other programs to tests/golden/picture/, and what Pillow reads from them to expected.npz
there: for NAME.png the arrays NAME.png.rgb and NAME.png.grey, u8 [height, width, 3 or 1], and NAME.png.index where it
is grey or has a palette, of which these are the numbers. And resize.npz: pictures
and their sizes by Image.resize. And the first inputs of the fuzz targets. Run from the source root; needs Pillow
and numpy. Kinds of files that Pillow reads and does not write are put together here.

    tools/golden/pictures.py

Grey PNGs of 16 bits are the one thing that differs from Pillow on purpose: it cuts them at 255, here the upper byte
counts as in coloured ones."""
import io
import os
import shutil
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = "tests/golden/picture"
random = np.random.RandomState(7)
expected = {}


def path(name):
    return os.path.join(FOLDER, name)


def keep(name, data):
    """Writes a file and notes what Pillow reads from it."""
    with open(path(name), "wb") as f:
        f.write(data)
    picture = Image.open(path(name))
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    deep = picture.mode == "I"
    if deep:
        if name.endswith("png"):
            wide = np.array(picture) >> 8
        else:  # P5 with a maximum above 255, which Pillow scales to 65535
            wide = np.rint(np.array(picture) / 257.0)
        picture = Image.fromarray(wide.astype(np.uint8))
    expected[name + ".rgb"] = np.array(picture.convert("RGB"))
    # Grey of a picture with alpha or palette is the grey of its colours.
    grey = picture if picture.mode in ("1", "L") else picture.convert("RGB")
    expected[name + ".grey"] = np.array(grey.convert("L"))[..., None]
    if picture.mode in ("P", "L") and name[-3:] in ("png", "bmp", "ppm") and not deep:
        expected[name + ".index"] = np.array(picture)[..., None]


def save(name, picture, **options):
    out = io.BytesIO()
    picture.save(out, format={"jpg": "JPEG"}.get(name[-3:], name[-3:].upper()), **options)
    keep(name, out.getvalue())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, kind, rows, extra=b""):
    """A PNG of these rows of packed bytes."""
    data = b"".join(b"\0" + row for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)) +
            extra + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def interlaced(width, height, depth, kind, channels):
    """Adam7: seven pictures, each of every so-manieth pixel, of random bytes."""
    data = b""
    for x, y, step_x, step_y in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                                 (0, 1, 1, 2)):
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        for _ in range(rows if columns > 0 else 0):
            data += b"\0" + random.bytes((columns * depth * channels + 7) // 8)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 1)) +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def smooth(height, width, channels):
    """Waves and a little noise: what a codec of photographs is made for."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / (2.0 + c)) * np.cos(y / (3.0 - 0.5 * c)) + random.randint(-9, 9, (height, width))
              for c in range(channels)]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def pngs():
    w, h = 13, 9
    for depth in (1, 2, 4, 8, 16):
        row = (w * depth + 7) // 8
        keep(f"grey{depth}.png", png(w, h, depth, 0, [random.bytes(row) for _ in range(h)]))
    for depth in (1, 2, 4, 8):
        row = (w * depth + 7) // 8
        palette = chunk(b"PLTE", random.bytes(3 << depth))
        keep(f"palette{depth}.png", png(w, h, depth, 3, [random.bytes(row) for _ in range(h)], palette))
    trns = chunk(b"PLTE", random.bytes(48)) + chunk(b"tRNS", random.bytes(7))
    keep("palette-transparent.png", png(w, h, 4, 3, [random.bytes(7) for _ in range(h)], trns))
    for name, depth, kind, channels in (("rgb8", 8, 2, 3), ("rgb16", 16, 2, 3), ("grey-alpha8", 8, 4, 2),
                                        ("grey-alpha16", 16, 4, 2), ("rgba8", 8, 6, 4), ("rgba16", 16, 6, 4)):
        row = w * channels * depth // 8
        keep(name + ".png", png(w, h, depth, kind, [random.bytes(row) for _ in range(h)]))
    grey_trns = chunk(b"tRNS", struct.pack(">H", 3))
    keep("grey4-transparent.png", png(w, h, 4, 0, [random.bytes(7) for _ in range(h)], grey_trns))
    keep("one.png", png(1, 1, 8, 2, [b"\x01\x80\xff"]))
    save("pillow.png", Image.fromarray(smooth(11, 17, 3)))
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.png", Image.fromarray(smooth(5, 8, 3)), exif=exif)
    gamma = chunk(b"gAMA", struct.pack(">I", 70000))
    keep("gamma.png", png(w, h, 8, 0, [random.bytes(w) for _ in range(h)], gamma))
    keep("interlaced.png", interlaced(w, h, 8, 2, 3))
    keep("interlaced-grey4.png", interlaced(w, h, 4, 0, 1))
    keep("interlaced-tiny.png", interlaced(2, 1, 8, 2, 3))


def jpegs():
    colour, grey = Image.fromarray(smooth(19, 23, 3)), Image.fromarray(smooth(19, 23, 1)[..., 0])
    save("baseline.jpg", colour, quality=80)
    save("full.jpg", colour, quality=95, subsampling=0)
    save("progressive.jpg", colour, quality=70, progressive=True)
    save("grey.jpg", grey, quality=80)
    save("grey-progressive.jpg", grey, quality=60, progressive=True)
    save("cmyk.jpg", Image.fromarray(smooth(19, 23, 4), "CMYK"), quality=90)
    save("one.jpg", Image.fromarray(smooth(1, 1, 3)))
    for way in range(1, 9):
        exif = Image.Exif()
        exif[0x010F] = "maker"
        exif[0x0112] = way
        save(f"turned{way}.jpg", Image.fromarray(smooth(9, 14, 3)), quality=60, exif=exif)
    little = open(path("turned6.jpg"), "rb").read()
    at = little.index(b"Exif\0\0") + 6
    assert little[at:at + 2] in (b"MM", b"II")
    other = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)
    if little[at:at + 2] == b"II":
        other = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"Exif\0\0" + other
    plain = open(path("turned1.jpg"), "rb").read()
    begin = plain.index(b"\xff\xe1")
    length = struct.unpack(">H", plain[begin + 2:begin + 4])[0]
    keep("turned-other-order.jpg", plain[:begin] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment +
         plain[begin + 2 + length:])
    # The same bits, said to be other colours by Adobe's marker: its last byte is the transform.
    inks = bytearray(open(path("cmyk.jpg"), "rb").read())
    at = inks.index(b"Adobe")
    assert inks[at + 11] == 0
    inks[at + 11] = 2
    keep("ycck.jpg", bytes(inks))
    full = open(path("full.jpg"), "rb").read()
    begin = full.index(b"\xff\xe0")
    end = begin + 2 + struct.unpack(">H", full[begin + 2:begin + 4])[0]
    keep("rgb.jpg", full[:begin] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + full[end:])


def bmp(width, height, bits, compression, rows, extra=b""):
    at = 54 + len(extra)
    return (b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) +
            struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0) + extra + rows)


def bmps():
    colour = smooth(6, 7, 3)
    save("rgb24.bmp", Image.fromarray(colour))
    save("grey8.bmp", Image.fromarray(colour[..., 0]))
    save("bits.bmp", Image.fromarray(colour[..., 0] > 127))
    save("palette8.bmp", Image.fromarray(colour).quantize(11))
    save("rgba32.bmp", Image.fromarray(random.randint(0, 256, (6, 7, 4)).astype(np.uint8), "RGBA"))
    keep("rgb555.bmp", bmp(5, 3, 16, 0, random.bytes(12 * 3)))
    keep("rgb565.bmp", bmp(5, 3, 16, 3, random.bytes(12 * 3), struct.pack("<III", 0xf800, 0x7e0, 0x1f)))
    keep("bgrx32.bmp", bmp(5, 3, 32, 3, random.bytes(20 * 3), struct.pack("<III", 0xff0000, 0xff00, 0xff)))
    keep("palette4.bmp", bmp(5, 3, 4, 0, random.bytes(4 * 3), random.bytes(64)))
    keep("palette1.bmp", bmp(5, 3, 1, 0, random.bytes(4 * 3), random.bytes(8)))
    upright = open(path("rgb24.bmp"), "rb").read()
    data = bytearray(upright)
    data[22:26] = struct.pack("<i", -6)
    keep("top-down.bmp", bytes(data))
    rows = b"".join(random.bytes(15) + b"\0" for _ in range(3))  # five pixels of three bytes, padded to 16
    keep("core.bmp", b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26) +
         struct.pack("<IHHHH", 12, 5, 3, 1, 24) + rows)


def pnms():
    colour = smooth(5, 9, 3)
    save("p6.ppm", Image.fromarray(colour))
    save("p5.ppm", Image.fromarray(colour[..., 0]))
    save("p4.ppm", Image.fromarray(colour[..., 0] > 127))
    bits = random.randint(0, 2, (3, 5))
    keep("p1.ppm", b"P1\n# a comment\n5 3\n" + b"\n".join(b"".join(b"%d" % v for v in row) for row in bits) + b"\n")
    keep("p2.ppm", b"P2 4 # width\n3\n15\n" + b" ".join(b"%d" % v for v in random.randint(0, 16, 12)))
    keep("p3.ppm", b"P3\n2 2\n255\n" + b"\n".join(b"%d" % v for v in random.randint(0, 256, 12)))
    keep("p6-100.ppm", b"P6 4 3 100\n" + bytes(random.randint(0, 101, 36).astype(np.uint8)))
    keep("p6-wide.ppm", b"P6 4 3 65535\n" + random.bytes(72))
    keep("p6-two.ppm", b"P6 2 2 2\n" + bytes([0, 1, 2] * 4))


def sizes():
    """Pictures of noise, of the extremes alone, of one pixel, and of lines; each in many sizes."""
    filters = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "area": Image.BOX}
    pictures = [random.randint(0, 256, (17, 23, 3)), random.randint(0, 2, (16, 12, 3)) * 255,
                random.randint(0, 256, (1, 1, 3)), random.randint(0, 256, (1, 40, 3)),
                random.randint(0, 256, (33, 1, 1)), smooth(40, 30, 3), np.full((5, 5, 1), 255),
                random.randint(0, 2, (9, 14, 1)) * 255, random.randint(0, 256, (64, 7, 1)),
                random.randint(0, 256, (28, 28, 1)), random.randint(100, 156, (10, 10, 3))]
    arrays = {}
    for i, pixels in enumerate(pictures):
        pixels = pixels.astype(np.uint8)
        arrays[f"{i}"] = pixels
        picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        for name, kind in filters.items():
            for height, width in ((8, 8), (1, 1), (5, 31), (29, 3), (20, 20), pixels.shape[:2]):
                result = np.array(picture.resize((width, height), kind)).reshape(height, width, -1)
                arrays[f"{i}.{name}.{height}x{width}"] = result
    np.savez(path("resize.npz"), **arrays)


def corpus():
    seeds = {"png": ["grey1.png", "palette4.png", "rgba8.png", "interlaced.png", "turned.png", "grey16.png"],
             "jpeg": ["baseline.jpg", "progressive.jpg", "cmyk.jpg", "turned6.jpg", "grey.jpg", "ycck.jpg"],
             "bmp": ["rgb24.bmp", "palette8.bmp", "rgb565.bmp", "core.bmp", "bits.bmp"],
             "ppm": ["p1.ppm", "p2.ppm", "p4.ppm", "p6.ppm", "p6-wide.ppm"]}
    for target, names in seeds.items():
        folder = os.path.join("fuzz", "corpus", target)
        os.makedirs(folder, exist_ok=True)
        for name in names:
            shutil.copyfile(path(name), os.path.join(folder, name))


os.makedirs(FOLDER, exist_ok=True)
pngs()
jpegs()
bmps()
pnms()
np.savez(path("expected.npz"), **expected)
sizes()
corpus()
