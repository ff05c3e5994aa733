"""Damages genuine files at random, and counts what the readers say that is not a sentence of edunn's.

    python scripts/bench/fuzz.py --json --cases 5000

Each reader gets files that were right, with one to three changes that know the format: a field of the header has
another value, a pickle another instruction, a zip another member, a JSON or TOML value another type; or with bytes
changed at random. A reader may take the file or raise an EdunnError. Any other exception is `other`, and a case of more
than 5 s is a hang. The cases of a reader run in a process of its own, which is replaced when it hangs or dies.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import pickletools
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SECONDS = 5  # of a case
MEMORY = 4 * 2**30  # bytes that a process may ask for beyond those it starts with
COUNTS = ("cases", "other", "hangs", "accepted")
NUMBERS = [
    0,
    1,
    -1,
    2,
    255,
    2**31,
    2**32,
    2**63 - 1,
    2**64,
    -(2**63),
    10**30,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
]
WORDS = [
    "",
    "x",
    "\0",
    "fast",
    "é",
    "\ud800",
    "../x",
    "/dev/zero",
    "a" * 3000,
    "9" * 5000,
    "1e999",
    "nan",
    "%s%n",
    "[0]",
]
VALUES = [*NUMBERS, *WORDS, None, True, False, [], {}, [[]], [0], {"a": 1}, [[[[0]]]], ["a", 1, None]]

# --- changes of bytes and of values -----------------------------------------------------------------------------------


def change_bytes(r: random.Random, data: bytes) -> bytes:
    """Bits are flipped, bytes replaced, removed, doubled, or the end is cut off."""
    out = bytearray(data)
    for _ in range(r.choice([1, 1, 2, 5, 30])):
        place = r.randrange(len(out) + 1)
        kind = r.randrange(7)
        if kind == 0 and place < len(out):
            out[place] ^= 1 << r.randrange(8)
        elif kind == 1 and place < len(out):
            out[place] = r.choice([0, 1, 0x7F, 0x80, 0xFF, r.randrange(256)])
        elif kind == 2:
            out[place:place] = r.randbytes(r.choice([1, 2, 8, 100]))
        elif kind == 3:
            del out[place : place + r.choice([1, 2, 8, 100])]
        elif kind == 4:
            out[place:place] = out[place : place + r.choice([1, 8, 100])]
        elif kind == 5:
            number = r.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, r.getrandbits(32)])
            form = r.choice(["<I", ">I", "<Q", "<H", ">H"])
            out[place : place + struct.calcsize(form)] = struct.pack(form, number % 2 ** (8 * struct.calcsize(form)))
        else:
            del out[place:]
    return bytes(out)


def change_text(r: random.Random, text: str) -> str:
    """A piece of the text is replaced, removed, moved or repeated; numbers and brackets most often."""
    for _ in range(r.choice([1, 1, 2, 4])):
        place, end = sorted(r.randrange(len(text) + 1) for _ in range(2))
        end = min(end, place + r.choice([1, 3, 20]))
        kind = r.randrange(5)
        if kind == 0:
            text = text[:place] + r.choice([*WORDS, *"[]{}(),:;=\"'\\\n\t-+.eE0_#", "0x", '"""', "'''"]) + text[end:]
        elif kind == 1:
            text = text[:place] + text[end:]
        elif kind == 2:
            text = text[:place] + text[place:end] * r.choice([2, 3, 500]) + text[end:]
        elif kind == 3:
            text = text[:place] + repr(r.choice(NUMBERS)) + text[end:]
        else:
            text = text[:place] + r.choice("[{(") * r.choice([1, 50, 3000]) + text[place:]
    return text


def change_value(r: random.Random, value: Any) -> Any:
    """One value of nested lists and dictionaries is another, missing, moved or renamed."""
    if isinstance(value, dict) and value and r.random() < 0.85:
        key = r.choice(list(value))
        kind = r.randrange(10)
        if kind == 0:
            return {k: v for k, v in value.items() if k != key}
        if kind == 1:
            return {(r.choice(["x", "", "epoch", "\0"]) if k == key else k): v for k, v in value.items()}
        if kind == 2:
            return value | {r.choice(["x", "kind", "__metadata__", *value]): r.choice([*VALUES, *value.values()])}
        return value | {key: change_value(r, value[key])}
    if isinstance(value, list) and value and r.random() < 0.8:
        place = r.randrange(len(value))
        kind = r.randrange(6)
        if kind == 0:
            return value[:place] + value[place + 1 :]
        if kind == 1:
            return [*value, *value[: r.choice([1, 2, 1000])]]
        return [*value[:place], change_value(r, value[place]), *value[place + 1 :]]
    if isinstance(value, int | float) and r.random() < 0.4:
        return r.choice([value + 1, value - 1, -value, value * 2, value * 10**9, float(value), str(value), value / 3])
    if isinstance(value, str) and value and r.random() < 0.4:
        return change_text(r, value)
    return r.choice(VALUES)


def json_text(r: random.Random, value: Any) -> bytes:
    text = json.dumps(value)
    return (change_text(r, text) if r.random() < 0.3 else text).encode(errors="replace")


# --- changes that know a format ---------------------------------------------------------------------------------------

Change = Callable[[random.Random, bytes], bytes]

SHAPES = ["(12, 2)", "(12,)", "(2, 12)", "()", "(0, 2)", "(12, -2)", "(True, 2)", "(2**32, 2**32)",
    "(4294967296, 4294967296)",
          "(12, 2, 1)", "(6, 2, 2, 1)", "12", "(12.0, 2)", "(9223372036854775807, 2)", "(12, 0)", "None",
              "((12,), 2)"]  # fmt: skip
DTYPES = ["'<f4'", "'<f8'", "'>f8'", "'|u1'", "'<i8'", "'|O'", "'<U7'", "'|S8'", "'|b1'", "'<c16'", "'<M8[ns]'",
    "'|V8'", "''", "3",
          "[('a', '<f8')]", "'<f2'", "'<u8'", "('<f8', 2)", "None", "'<U0'", "[('a', '|O')]", "'<f16'",
              "'<U99999999'"]  # fmt: skip


def change_npy(r: random.Random, data: bytes) -> bytes:
    """A .npy file with another shape, dtype, order, version or header."""
    (size,) = struct.unpack("<H", data[8:10])
    header, body = data[10 : 10 + size].decode("latin-1"), data[10 + size :]
    kind = r.randrange(8)
    if kind < 2:
        start = header.index("(")
        header = header[:start] + r.choice(SHAPES) + header[header.index(")") + 1 :]
    elif kind < 4:
        start = header.index("'descr': ") + 9
        header = header[:start] + r.choice(DTYPES) + header[header.index(", 'fortran") :]
    elif kind == 4:
        header = header.replace("False", r.choice(["True", "3", "None", "'x'", "Fals"]))
    elif kind == 5:
        header = change_text(r, header)
    elif kind == 6:
        body = change_bytes(r, body)
    raw = header.encode("latin-1", errors="replace")
    version = r.choice([b"\1\0"] * 8 + [b"\2\0", b"\3\0", b"\0\0", b"\xff\xff"])
    length = len(raw) if r.random() < 0.9 else r.randrange(2**16)
    count = struct.pack("<I", length) if version != b"\1\0" and r.random() < 0.8 else struct.pack("<H", length % 2**16)
    return b"\x93NUMPY" + version + count + raw + body


def change_zip(member: Change) -> Change:
    """A zip with another member, another name, another field of its lists, or bytes changed."""

    def change(r: random.Random, data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
        kind = r.randrange(8)
        if kind == 0:  # a field of the list of contents, or of a member's own header
            raw = bytearray(data)
            sign = r.choice([b"PK\1\2", b"PK\3\4", b"PK\5\6"])
            start = data.index(sign) + r.randrange(4, 46 if sign == b"PK\1\2" else 26 if sign == b"PK\3\4" else 22)
            raw[start : start + 2] = r.choice([b"\0\0", b"\xff\xff", b"\1\0", b"\x63\0", r.randbytes(2)])
            return bytes(raw)
        if kind == 1:
            return change_bytes(r, data)
        place = r.randrange(len(members))
        name, content = members[place]
        if kind == 2:
            others = ["x.npy", "x", "", "../x.npy", "/x.npy", "a/b.npy", "targets.npy", "feature_names.npy",
                "classes.npy", "X_train.npy",
                      "X_test.npy", "y.npy", "é.npy", "features.npy", "images.npy", "train/a/1.png",
                          "test/a/2.png"]  # fmt: skip
            members[place] = (r.choice(others), content)
        elif kind == 3:
            members.append((r.choice([name, "readme.txt", "x/", members[0][0]]), r.choice([b"", content, b"hello"])))
        elif kind == 4:
            del members[place]
        else:
            members[place] = (name, member(r, content))
        buffer = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", r.choice([0, 8, 12, 14])) as archive:
            warnings.simplefilter("ignore")  # of two members with one name
            for name, content in members:
                archive.writestr(name, content)
        return change_bytes(r, buffer.getvalue()) if r.random() < 0.1 else buffer.getvalue()

    return change


def change_pickle(r: random.Random, data: bytes) -> bytes:
    """A pickle with an instruction replaced, removed, doubled or moved, and still of instructions."""
    places = [place for _, _, place in pickletools.genops(data) if place is not None]
    ends = [*places[1:], len(data)]
    pieces = [data[a:b] for a, b in zip(places, ends, strict=True)]
    for _ in range(r.choice([1, 1, 2, 4])):
        place = r.randrange(len(pieces))
        kind = r.randrange(6)
        if kind == 0:
            del pieces[place]
        elif kind == 1:
            pieces.insert(place, r.choice(pieces))
        elif kind == 2:
            pieces[place] = r.choice(ODD)
        elif kind == 3:
            pieces.insert(place, r.choice(ODD))
        elif kind == 4:
            pieces[place] = change_bytes(r, pieces[place])
        else:
            other = r.randrange(len(pieces))
            pieces[place], pieces[other] = pieces[other], pieces[place]
        if len(pieces) < 2:
            break
    return b"".join(pieces)


ODD = [b"cos\nsystem\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"R",
    b"b", b"s", b"t", b"u", b"e",
       b"\x85", b"\x86", b"\x87", b"(", b"}", b"]", b"0", b"2", b"N", b"\x88", b"K\xff", b"J\xff\xff\xff\x7f",
           b"I99999999999\n", b".", b"\x81",
       b"U\x04abcd", b"X\xff\xff\xff\x7f", b"\x8a\xff", b"\x8b\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f",
       b"j\xff\xff\xff\x7f", b"h\xff", b"Pid\n",
       b"\x94", b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
       b"\x96\0\0\0\0\0\0\0\1", b"Fnan\n",
       b"icollections\nCounter\n", b"o", b"B\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f",
       b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x93", b"\x82\1"]  # fmt: skip


def change_tensors(r: random.Random, data: bytes) -> bytes:
    """A safetensors file with another header, and sometimes another text in its metadata, or other numbers."""
    (size,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    kind = r.randrange(6)
    if kind == 0 and "progress" in header.get("__metadata__", {}):
        progress = change_value(r, json.loads(header["__metadata__"]["progress"]))
        header["__metadata__"]["progress"] = json_text(r, progress).decode()
    elif kind < 4:
        names = [name for name in header if name != "__metadata__"]
        name = r.choice(names)
        about = header[name]
        change = r.randrange(6)
        if change == 0:
            about["dtype"] = r.choice(
                ["F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "F4", "X", "C64", "U16"]
            )
        elif change == 1:
            about["shape"] = r.choice(
                [about["shape"][::-1], [*about["shape"], 1], [], [0], [-1], [2**40, 2**40], [1], [2**63]]
            )
        elif change == 2:
            header[
                r.choice(
                    ["x", "model/x", "rule/x", "snapshot/x/y", "snapshot/²/weight", "best/weight", "0/weight", "mean"]
                )
            ] = header.pop(name)
        elif change == 3:
            about["data_offsets"] = r.choice([[0, 0], [0, len(body)], [8, 4], [0, 2**62], [-1, 3]])
        elif change == 4:
            del header[name]
        else:
            numbers = bytearray(body)
            numbers[: len(body) // 2] = r.choice([b"\xff", b"\0", b"\x7f"]) * (len(body) // 2)
            body = bytes(numbers)
    elif kind == 4:
        header = change_value(r, header)
    else:
        return change_bytes(r, data)
    said = json_text(r, header) if kind == 4 else json.dumps(header).encode()
    if r.random() < 0.5 and isinstance(header, dict):  # so that offsets fit, and the reader goes on to what they mean
        said, body = repaired(header, body)
    return struct.pack("<Q", len(said)) + said + body


SIZES = {
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "C64": 8,
}


def repaired(header: dict[str, Any], body: bytes) -> tuple[bytes, bytes]:
    """The header with the offsets that its shapes and dtypes need, and as many bytes, where that is possible."""
    place = 0
    for name, about in header.items():
        if name == "__metadata__" or not isinstance(about, dict):
            continue
        shape, dtype = about.get("shape"), about.get("dtype")
        if (
            not isinstance(shape, list)
            or not all(type(n) is int and 0 <= n < 10**5 for n in shape)
            or dtype not in SIZES
        ):
            return json.dumps(header).encode(errors="replace"), body
        size = SIZES[dtype]
        for n in shape:
            size *= n
        if size > 10**7:
            return json.dumps(header).encode(errors="replace"), body
        about["data_offsets"] = [place, place + size]
        place += size
    return json.dumps(header).encode(errors="replace"), (body * (1 + place // max(1, len(body))))[:place]


def change_csv(r: random.Random, data: bytes) -> bytes:
    """A table with another cell, row, column or sign between the cells."""
    rows = [line.split(",") for line in data.decode().splitlines()]
    for _ in range(r.choice([1, 1, 2])):
        row = r.randrange(len(rows))
        cells = rows[row]
        kind = r.randrange(7)
        odd = [
            *WORDS,
            *map(str, NUMBERS),
            '"',
            '""',
            'a"b',
            '"a,b"',
            "1,5",
            "1_0",
            "0x10",
            "١",
            "½",
            "−1",
            " ",
            "1e5",
            "TRUE",
            "NA",
            "#N/A",
        ]
        if kind < 3 and cells:
            cells[r.randrange(len(cells))] = r.choice(odd)
        elif kind == 3:
            rows[row] = cells * r.choice([0, 2, 500])
        elif kind == 4:
            rows.insert(row, r.choice(rows))
        elif kind == 5:
            rows = [line[: r.choice([1, 2, 9])] for line in rows]
        else:
            del rows[row]
        if not rows:
            break
    sign = r.choice([*[","] * 9, ";", "\t"])
    text = r.choice(["\n", "\n", "\r\n", "\r", "\n\n"]).join(sign.join(line) for line in rows)
    raw = text.encode(r.choice([*["utf-8"] * 12, "utf-8-sig", "latin-1", "utf-16", "cp1252"]), errors="replace")
    return change_bytes(r, raw) if r.random() < 0.2 else raw


def change_toml(r: random.Random, data: bytes) -> bytes:
    """A config with another value, key, table or text."""
    import tomllib

    import tomli_w

    if r.random() < 0.35:
        return change_text(r, data.decode()).encode(errors="replace")
    tables = tomllib.loads(data.decode())
    for _ in range(r.choice([1, 1, 2, 3])):
        tables = change_value(r, tables)
        if not isinstance(tables, dict):
            tables = {"data": tables}
    try:
        return tomli_w.dumps(tables).encode(errors="replace")
    except (TypeError, ValueError, AttributeError):  # None has no TOML
        return change_text(r, data.decode()).encode(errors="replace")


def change_json(r: random.Random, data: bytes) -> bytes:
    return json_text(r, change_value(r, json.loads(data)))


def change_lines(r: random.Random, data: bytes) -> bytes:
    """JSON lines, one of which is another."""
    lines = data.splitlines()
    place = r.choice([r.randrange(len(lines)), len(lines) - 1])
    lines[place] = change_json(r, lines[place])
    if r.random() < 0.2:
        del lines[r.randrange(len(lines))]
    return b"\n".join(lines)


def change_image(r: random.Random, data: bytes) -> bytes:
    """An image with other bytes; in its first hundred, where its fields are, more often."""
    if r.random() < 0.5:
        head = min(100, len(data))
        return change_bytes(r, data[:head]) + data[head:]
    return change_bytes(r, data)


def change_png(r: random.Random, data: bytes) -> bytes:
    """A PNG with a chunk changed, moved, doubled or left out; its checksums are right again, so that it is read on."""
    import zlib

    chunks, place = [], 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    at = r.randrange(len(chunks))
    kind = r.randrange(5)
    if kind == 0:
        del chunks[at]
    elif kind == 1:
        chunks.insert(at, r.choice(chunks))
    elif kind == 2:
        name = r.choice(
            [b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"tEXt", b"zTXt", b"acTL", b"fcTL", b"iTXt", b"gAMA", b"pHYs"]
        )
        chunks.insert(
            1,
            (
                name,
                r.choice(
                    [
                        b"",
                        b"\0",
                        r.randbytes(9),
                        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\1\0\0\0\x06\0\0\0" + r.randbytes(4),
                    ]
                ),
            ),
        )
    elif kind == 3:
        name, content = chunks[at]
        chunks[at] = (
            name,
            zlib.compress(change_bytes(r, zlib.decompress(content))) if name == b"IDAT" else change_bytes(r, content),
        )
    else:
        width, height, depth, colour = (
            r.choice([0, 1, 4, 9, 2**31, 60_000]),
            r.choice([0, 1, 4, 2**31]),
            r.choice([0, 1, 8, 16]),
            r.choice([0, 2, 3, 4, 6, 5]),
        )
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, r.choice([0, 0, 1])))
    out = data[:8]
    for name, content in chunks:
        out += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return out


def either(*changes: Change) -> Change:
    return lambda r, data: r.choice(changes)(r, data)


# --- genuine files ----------------------------------------------------------------------------------------------------


def picture(form: str, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 4), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(pixels).convert("RGB").convert(mode)
    image.save(buffer, form)
    return buffer.getvalue()


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes bytes as Python 2 wrote its strings, as in CIFAR-10's batches; Python 3 would call a function for them."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]  # noqa: RUF012

    def save_string(self, value: bytes) -> None:
        self.write(b"T" + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_string


def python2_pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CONFIG = """
[data]
name = "moons"
samples = 40
validation = 0.25
[model]
kind = "two-layer"
hidden = 4
dropout = 0.5
batchnorm = true
[loss]
kind = "cross-entropy"
label_smoothing = 0.1
[penalty]
kind = "l2"
strength = 0.001
[features]
standardise = true
[train]
rate = 0.1
batch_size = 8
epochs = 2
steps = 9
snapshots = 2
rule = {kind = "adam", beta1 = 0.8}
schedule = {kind = "step", factor = 0.5, every = 2.0}
tolerance = 1e-9
patience = 3
clip_norm = 2.0
[run]
seed = 3
dtype = "float32"
"""


class Fuzz:
    """A reader, genuine files for it, and how they are changed."""

    def __init__(self, genuine: list[bytes], change: Change, read: Callable[[Path], Any], name: str) -> None:
        self.genuine, self.change, self.read, self.name = genuine, change, read, name

    def case(self, r: random.Random, folder: Path) -> None:
        """Changes a file and reads it; raises what the reader raises."""
        data = r.choice(self.genuine)
        for _ in range(r.choice([1, 1, 1, 2])):
            with contextlib.suppress(Exception):  # a second change may no longer understand the file
                data = self.change(r, data)
        path = folder / self.name
        path.write_bytes(data)
        self.read(path)


def fuzzes(top: Path) -> dict[str, Fuzz]:
    """Every reader's, with genuine files made below `top`."""
    import torch

    import edunn
    from edunn import experiment
    from edunn.data import cifar10, read_images, read_npy, read_shards, read_table, read_unsorted_images, write_shards
    from edunn.data.decode import decode
    from edunn.experiment import config as configs
    from edunn.experiment.folder import RunFolder
    from edunn.experiment.sweep import read_finished
    from edunn.features import cache
    from edunn.gradcheck import Certificate
    from edunn.history import History
    from edunn.landscape import Surface

    run = top / "run"
    experiment.train(configs.parse(tables(CONFIG)), run)
    plain = top / "plain"
    experiment.train(
        configs.parse(
            tables('data = {name = "moons"}\nmodel = "softmax"\nloss = "cross-entropy"\ntrain = {epochs = 2}')
        ),
        plain,
    )
    write_shards(top / "shards", edunn.data.load("blobs"))
    edunn.landscape.grid([1.0, 2.0], [0.0, 1.0], edunn.losses.SquaredError(), (-1, 1, 5), (-1, 1, 5)).save(
        top / "surface.npz"
    )
    logistic = edunn.models.LogisticRegression(2, dtype=torch.float64)
    moons = edunn.data.load("moons").train
    edunn.gradcheck.certify(
        logistic, edunn.losses.BinaryCrossEntropy(), edunn.Samples(moons.features, moons.targets.double())
    ).save(top / "certificate.json")
    x, y = np.random.default_rng(0).normal(size=(12, 2)), np.arange(12) % 2
    rows, labels = npy(x.astype(np.float32)), npy(y)
    table = "a,b,kind\n" + "".join(f"{a:.3f},{b:.3f},{'xy'[k % 2]}\n" for k, (a, b) in enumerate(x))
    pictures = [picture(form, mode) for form, mode in [("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("JPEG", "RGB"),
        ("GIF", "P"), ("BMP", "RGB"),
                ("TIFF", "RGB"), ("WEBP", "RGB"), ("PPM", "RGB"), ("TGA", "RGB")]]  # fmt: skip
    (top / "rows.npy").write_bytes(rows)
    (top / "targets.npy").write_bytes(labels)
    for name in "ab":
        (top / "images" / name).mkdir(parents=True)
        (top / "images" / name / "0.png").write_bytes(pictures[0])
    cifar10.ROWS = 20  # of a batch: the genuine ones have 30 MB, which would be written for each case
    pixels = np.random.default_rng(0).integers(0, 255, (cifar10.ROWS, 3072), dtype=np.uint8)
    batch = python2_pickle(
        {b"batch_label": b"one", b"labels": list(range(10)) * 2, b"data": pixels, b"filenames": [b"a.png"] * 20}
    )
    binary = bytes(10) + np.random.default_rng(0).integers(0, 9, 3073 * cifar10.ROWS - 10, dtype=np.uint8).tobytes()
    trained = experiment.load(plain)

    def in_run(folder: Path, name: str, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
        """Reads a run in which one file is the changed one."""

        def action(path: Path) -> Any:
            copy = path.parent / "run"
            if not copy.exists():
                shutil.copytree(folder, copy)
            kept = (copy / name).read_bytes()
            try:
                (copy / name).write_bytes(path.read_bytes())
                return read(copy)
            finally:
                (copy / name).write_bytes(kept)

        return action

    def restore(path: Path) -> Any:
        """A checkpoint, as `train --resume` reads it."""
        from edunn.experiment.build import prepare
        from edunn.experiment.folder import restore_checkpoint

        folder = RunFolder(path)
        prepared = prepare(folder.read_config())
        return restore_checkpoint(
            folder.read_tensors("checkpoint.safetensors"), folder, prepared.model, prepared.descent.rule
        )

    def whole_config(path: Path) -> Any:
        from edunn.experiment.build import prepare

        config = configs.load(path)
        samples = config.data.options.get("samples", 0)
        return config if type(samples) is int and samples > 10**5 else prepare(config)  # else it is made, for seconds

    def state_of_sweep(path: Path) -> Any:
        folder = path.parent / "sweep"
        (folder / "unfinished").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "unfinished" / "000.safetensors")
        shutil.copy(run / "metrics.jsonl", folder / "metrics-000.jsonl")
        return read_finished(RunFolder(folder), [descent])

    from edunn.experiment.build import prepare

    descent = prepare(RunFolder(run).read_config()).descent
    cached = top / "cached"
    os.environ["EDUNN_CACHE"] = str(cached)
    cache.write(
        cached / "features" / "x.safetensors",
        {"features": torch.zeros(3, 4)},
        {"kind": "hog", "samples": 3, "width": 4},
    )

    def from_cache(path: Path) -> Any:
        os.environ["EDUNN_CACHE"] = str(path.parent)
        (path.parent / "features").mkdir(exist_ok=True)
        shutil.copy(path, path.parent / "features" / "x.safetensors")
        return cache.read(path), cache.entries()

    def request(path: Path) -> Any:
        folder = RunFolder(path.parent / "asked")
        folder.file("unfinished").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder.file("unfinished/request.json"))
        return folder.check_free({"command": "sweep", "over": {"a": ["1"]}})

    def shards(path: Path) -> Any:
        copy = path.parent / "shards"
        if not copy.exists():
            shutil.copytree(top / "shards", copy)
        shutil.copy(path, copy / "manifest.json")
        return edunn.data.is_shards(copy), read_shards(copy, "never")

    def shard(path: Path) -> Any:
        copy = path.parent / "shards"
        if not copy.exists():
            shutil.copytree(top / "shards", copy)
        shutil.copy(path, copy / "train-00000.npy")
        manifest = json.loads((top / "shards/manifest.json").read_text())
        manifest["shards"][0]["features"]["bytes"] = path.stat().st_size
        (copy / "manifest.json").write_text(json.dumps(manifest))
        return read_shards(copy, "never")

    def folder_of_images(path: Path) -> Any:
        copy = path.parent / "images"
        if not copy.exists():
            shutil.copytree(top / "images", copy)
        shutil.copy(path, copy / "a/0.png")
        return read_images(copy, size=8)

    def predict(path: Path) -> Any:
        return trained.predict(trained.read(path))

    archive = zipped({"features.npy": npy(x), "targets.npy": labels, "feature_names.npy": npy(np.array(["a", "b"])),
                      "classes.npy": npy(np.array(["x", "y"]))})  # fmt: skip
    parts = zipped({"X_train.npy": rows, "y_train.npy": labels, "X_test.npy": rows, "y_test.npy": labels})
    images_npz = zipped({"images.npy": npy(np.zeros((12, 4, 4, 3), np.uint8)), "labels.npy": labels})
    folders = zipped(
        {
            "train/a/0.png": pictures[0],
            "train/b/1.jpg": pictures[3],
            "test/a/2.gif": pictures[4],
            "test/b/3.png": pictures[1],
        }
    )
    flat = zipped({"a/0.png": pictures[0], "b/1.png": pictures[2]})
    tensors = lambda folder, name: [(folder / name).read_bytes()]  # noqa: E731
    damaged = either(change_tensors, change_tensors, change_tensors, change_bytes)
    text = [(run / "config.toml").read_bytes(), CONFIG.encode(), (plain / "config.toml").read_bytes()]
    asked = json.dumps({"command": "sweep", "over": {"a": ["1"]}, "configs": [{"data": {"name": "moons"}}]}).encode()
    return {
        "npz": Fuzz([archive, parts, images_npz], change_zip(either(change_npy, change_npy, change_bytes)),
            edunn.data.load, "rows.npz"),
        "npy": Fuzz([rows, npy(np.zeros((12, 4, 4, 3), np.uint8))], either(change_npy, change_npy, change_bytes),
                    lambda path: read_npy(path, top / "targets.npy"), "rows.npy"),
        "npy targets": Fuzz([labels, npy(x[:, 0]), npy(np.array(["a", "b"] * 6))], either(change_npy, change_npy,
        change_bytes),
                            lambda path: read_npy(top / "rows.npy", path), "targets.npy"),
        "csv": Fuzz([table.encode(), table.replace("x", "1").replace("y", "2").encode()], either(change_csv,
        change_csv, change_bytes),
                    lambda path: read_table(path), "rows.csv"),
        "image": Fuzz(pictures, either(change_image, change_bytes), lambda path: decode(path.read_bytes(), path.name,
        (8, 8)), "0.png"),
        "image png": Fuzz(pictures[:3], either(change_png, change_png, change_image),
        lambda path: decode(path.read_bytes(), path.name), "0.png"),
        "image folder": Fuzz(pictures, either(change_image, change_png), folder_of_images, "0.png"),
        "image zip": Fuzz([folders, flat], change_zip(either(change_image, change_png)),
        lambda path: read_images(path, size=8), "images.zip"),
        "unsorted images": Fuzz([flat, folders], change_zip(change_image), lambda path: read_unsorted_images(path, 8,
        ("a", "b")), "images.zip"),
        "cifar10 pickle": Fuzz([batch], either(change_pickle, change_pickle, change_bytes),
        lambda path: cifar10.read_batch(path.read_bytes(), path.name), "data_batch_1"),
        "cifar10 binary": Fuzz([binary], change_binary, lambda path: cifar10.unpack_binary(path.read_bytes(),
        path.name), "data_batch_1.bin"),
        "shards manifest": Fuzz(tensors(top, "shards/manifest.json"), either(change_json, change_json, change_bytes),
        shards, "manifest.json"),
        "shards file": Fuzz(tensors(top, "shards/train-00000.npy"), either(change_npy, change_bytes), shard, "x.npy"),
        "config": Fuzz(text, either(change_toml, change_toml, change_toml, change_bytes), whole_config, "config.toml"),
        "run config": Fuzz(text[2:], change_toml, in_run(plain, "config.toml", experiment.load), "x"),
        "run manifest": Fuzz(tensors(plain, "manifest.json"), either(change_json, change_json, change_bytes),
                             in_run(plain, "manifest.json", experiment.load), "x"),
        "run summary": Fuzz(tensors(plain, "summary.json"), either(change_json, change_json, change_bytes),
                            in_run(plain, "summary.json", shown), "x"),
        "run metrics": Fuzz(tensors(plain, "metrics.jsonl"), either(change_lines, change_lines, change_bytes),
                            in_run(plain, "metrics.jsonl", shown), "x"),
        "run weights": Fuzz(tensors(run, "model.safetensors"), damaged, in_run(run, "model.safetensors",
        experiment.load), "x"),
        "run features": Fuzz(tensors(run, "features.safetensors"), damaged, in_run(run, "features.safetensors",
        experiment.load), "x"),
        "run snapshots": Fuzz(tensors(run, "snapshots.safetensors"), damaged, in_run(run, "snapshots.safetensors",
        experiment.load), "x"),
        "run checkpoint": Fuzz(tensors(run, "checkpoint.safetensors"), damaged, in_run(run, "checkpoint.safetensors",
        restore), "x"),
        "history": Fuzz(tensors(run, "metrics.jsonl"), either(change_lines, change_bytes),
        lambda path: repr(History.load(path).table()), "m.jsonl"),
        "sweep state": Fuzz(tensors(run, "model.safetensors"), damaged, state_of_sweep, "x"),
        "unfinished request": Fuzz([asked], either(change_json, change_json, change_bytes), request, "x"),
        "feature cache": Fuzz([next((cached / "features").iterdir()).read_bytes()], damaged, from_cache, "x"),
        "surface": Fuzz(tensors(top, "surface.npz"), change_zip(either(change_npy, change_bytes)),
        lambda path: str(Surface.load(path)), "s.npz"),
        "certificate": Fuzz(tensors(top, "certificate.json"), either(change_json, change_bytes),
        lambda path: str(Certificate.load(path)), "c.json"),
        "predict csv": Fuzz([table.replace("a,b,", "x,y,").encode(), b"x1,x2\n1,2\n3,4\n"], either(change_csv,
        change_bytes), predict, "rows.csv"),
    }  # fmt: skip


def shown(path: Path) -> str:
    """What `edunn show` and a notebook print of a run."""
    from edunn import experiment
    from edunn.cli.show import compare

    run = experiment.load(path)
    return f"{compare({'run': run})}{run.history}{run!r}{run}"


def change_binary(r: random.Random, data: bytes) -> bytes:
    """A batch of CIFAR-10 with another label, or a few rows or bytes more or less."""
    kind = r.randrange(4)
    if kind == 0:
        place = 3073 * r.randrange(len(data) // 3073)
        return data[:place] + bytes([r.randrange(256)]) + data[place + 1 :]
    if kind == 1:
        return data[: r.choice([0, 1, 3073, len(data) - 1, len(data) // 2])]
    if kind == 2:
        return data + bytes(r.choice([1, 3073]))
    return change_bytes(r, data[:100]) + data[100:]


def tables(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


# --- running them -----------------------------------------------------------------------------------------------------


def work(fuzz: Fuzz, name: str, seed: int, cases: range, folder: Path, counts: Any, verbose: bool) -> None:
    """Runs cases in this process, and counts them in shared memory; `counts[4]` is the case that is running."""
    from edunn.errors import EdunnError

    sys.stdin.close()
    quiet = os.open(os.devnull, os.O_WRONLY)
    told = os.dup(2)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for number in cases:
        counts[4] = number
        signal.alarm(SECONDS)
        r = random.Random(f"{name} {seed} {number}")
        try:
            fuzz.case(r, folder)
            counts[3] += 1
        except EdunnError:
            pass
        except Exception:
            counts[1] += 1
            if verbose:
                os.write(told, f"{name}, case {number}: {traceback.format_exc()}\n".encode(errors="replace"))
        signal.alarm(0)
        counts[0] += 1
    counts[4] = cases.stop


def run(fuzz: Fuzz, name: str, seed: int, cases: int, top: Path, verbose: bool) -> dict[str, int]:
    """Runs all cases of a reader. A proces
    s that hangs or dies counts once, and the next one goes on behind the case."""
    memory = SharedMemory(create=True, size=5 * 8)
    counts = memory.buf.cast("q")
    try:
        for place in range(5):
            counts[place] = 0
        begin = 0
        while begin < cases:
            folder = top / "case"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            process = os.fork()
            if process == 0:
                try:
                    work(fuzz, name, seed, range(begin, cases), folder, counts, verbose)
                finally:
                    os._exit(0)
            _, status = os.waitpid(process, 0)
            if counts[4] < cases:
                hung = os.waitstatus_to_exitcode(status) == -signal.SIGALRM
                counts[2 if hung else 1] += 1
                counts[0] += 1
                print(f"{name}, case {counts[4]}: {'hangs' if hung else f'ended with {status}'}", file=sys.stderr)
            begin = counts[4] + 1 if counts[4] < cases else cases
        return {key: int(counts[place]) for place, key in enumerate(COUNTS)}
    finally:
        counts.release()
        memory.close()
        memory.unlink()


def run_all(known: dict[str, Fuzz], seed: int, cases: int, top: Path, verbose: bool) -> dict[str, dict[str, int]]:
    """Runs every reader, as many at a time as there are cores; each process takes every second one, say."""
    jobs = min(len(known), len(os.sched_getaffinity(0)))
    pipes = []
    for job in range(jobs):
        reading, writing = os.pipe()
        if os.fork() == 0:
            code = 1
            try:
                mine = list(known.items())[job::jobs]
                counts = {name: run(fuzz, name, seed, cases, top / f"job-{job}", verbose) for name, fuzz in mine}
                os.write(writing, json.dumps(counts).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(writing)
        pipes.append(reading)
    found: dict[str, dict[str, int]] = {}
    for reading in pipes:
        with open(reading, "rb") as file:
            found |= json.loads(file.read())
        os.wait()
    return {name: found[name] for name in known}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--cases", type=int, default=1000, help="cases of each reader")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    parser.add_argument("--readers", nargs="*", default=[], metavar="WORD", help="only readers whose name has a word")
    parser.add_argument("--verbose", action="store_true", help="print each exception that is not an EdunnError")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        import torch

        torch.set_num_threads(1)  # the processes are forks, which have no threads of their parent's
        top = Path(folder)
        known = {
            name: fuzz
            for name, fuzz in fuzzes(top).items()
            if not args.readers or any(word in name for word in args.readers)
        }
        found = run_all(known, args.seed, args.cases, top, args.verbose)
    if args.json:
        print(json.dumps({"readers": found}))
    else:
        for name, counts in found.items():
            print(f"{name:<20}" + "".join(f"{counts[key]:>8} {key}" for key in COUNTS))
    return 1 if any(counts["other"] or counts["hangs"] for counts in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
