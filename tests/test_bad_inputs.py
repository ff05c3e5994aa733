"""A table of bad inputs over every command, reader and option. Each is refused in one line, within a budget.

The cases run in forks of one warm process, which this file is when it is run as a program: torch is imported once.
Each fork starts in a folder of its own, and its exit code, its words, its time, its memory and what it leaves on disk
are compared with the budget of any refusal: 5 s, 1 GiB, nothing.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SECONDS, MIB = 5.0, 1024
KILLED = 30  # seconds after which a case is ended: a wait without end costs no processor time
CONFIGS = Path(__file__).resolve().parent.parent / "configs"


@dataclass(frozen=True)
class Case:
    """A bad input: a command's words, what to write first, and what its line must say.

    words : those behind `edunn`; or ["call", code], a call in Python that must raise an EdunnError
    files : writes the input files into the case's folder
    says : words that must be in the line, such as the option's name or the file's
    """

    words: list[str]
    says: str = ""
    files: Callable[[Path], Any] = lambda here: None


CASES: dict[str, Case] = {}


def add(name: str, words: list[str], says: str = "", files: Callable[[Path], Any] = lambda here: None) -> None:
    assert name not in CASES, f"two cases are called {name!r}"
    CASES[name] = Case(words, says, files)


def short(value: str) -> str:
    """A value for an id."""
    return value if len(value) <= 40 else f"{value[:16]}…, {len(value)} letters"


# --- configs: every field of every table, every rule, schedule, penalty, loss, model, toy and kind of features --------

TEXT, LIST, HUGE, DEEP = '"fast"', "[1, 2]", "9" * 400, "[" * 5000 + "]" * 5000
NUMBER = [TEXT, "true", "nan", "inf", LIST]
COUNT = [TEXT, "true", "1.5", "-1", "99999999999999999999"]
FLAG = [TEXT, "1"]
WORD = ["3", "true", LIST, '"no-such-name"', '""', '"a\\u0000b"']
SHARE = [*NUMBER, "-0.1", "1"]

# the other settings that make a field count, the field, and values that are refused
FIELDS: list[tuple[str, str, list[str]]] = [
    ("", "data", ["3", "[]", "true", DEEP]),
    ("", "data.name", [*WORD, "{kind = 1}"]),
    ("", "data.path", ["3", LIST, '"none.csv"', '""', '"a\\u0000b"', '"/dev/full"', '"/dev/zero"', f'"{"x" * 5000}"']),
    ("data.path=table.csv", "data.features", ["3", TEXT, LIST, '["no-such"]', '["y"]', "[]", '["x", "x"]']),
    ("data.path=table.csv", "data.target", ["3", "true", LIST, '"no-such"']),
    ("data.path=table.csv", "data.task", ["3", "true", '"no-such"']),
    ("data.path=table.csv", "data.weight", ["3", "true", LIST, '"no-such"', '"y"']),
    ("", "data.validation", SHARE),
    ("", "data.test", SHARE),
    ("", "data.dtype", ["3", "true", LIST, '"int8"', '"float32"', '"uint8"']),
    ("", "data.no-such-option", ["3"]),
    ("", "features", ["3", "true", LIST, '"no-such-kind"', '"hog"', '""']),
    ("", "features.kind", ["3", "true", LIST, '"no-such-kind"', '"hog,hog"', '"pixels"']),
    ("", "features.standardise", FLAG),
    ("features.kind=hog", "features.no-such-option", ["3"]),
    ("", "model", ["3", "true", LIST, '"no-such-model"', '""']),
    ("", "model.kind", WORD),
    ("", "model.no-such-option", ["3"]),
    ("", "model.features", ["3"]),
    ("", "model.runs", ["3", "[3]"]),
    ("", "model.device", ['"cpu"']),
    ("", "loss", ["3", "true", LIST, '"no-such-loss"', '""']),
    ("", "loss.kind", WORD),
    ("", "loss.no-such-option", ["3"]),
    ("", "loss.class_weight", ["3", "true", TEXT, "[1]", "[1, -1]", "[nan, 1]", '{"no-such" = 2}', "{'0' = -1}"]),
    ("", "penalty", ["3", "true", LIST, '"no-such-penalty"', '""', '"l2"']),
    ("", "penalty.kind", WORD),
    ("", "train", ["3", TEXT, LIST]),
    ("", "train.rate", [*NUMBER, "1e308", HUGE, DEEP, "99999999999999999999"]),
    ("", "train.schedule", ["3", "true", LIST, '"no-such-schedule"', '""', "{}"]),
    ("", "train.rule", ["3", "true", LIST, '"no-such-rule"', '""', "{}"]),
    ("", "train.batch_size", [*COUNT, "0"]),
    ("", "train.epochs", [*COUNT, "0"]),
    ("", "train.steps", [*COUNT, "0"]),
    ("", "train.tolerance", [*NUMBER, "-1"]),
    ("data.validation=0.2", "train.patience", [*COUNT, "0"]),
    ("", "train.evaluate", COUNT),
    ("", "train.snapshots", COUNT),
    ("", "train.clip_norm", [*NUMBER, "0", "-1"]),
    ("", "train.clip_value", [*NUMBER, "0", "-1"]),
    ("", "train.no-such-option", ["3"]),
    ("", "run", ["3", TEXT, LIST]),
    ("", "run.name", ["3", "true", LIST, '""', '"."', '".."', '"a/b"', '"a\\u0000b"', f'"{"x" * 300}"']),
    ("", "run.device", ["3", "true", '"tpu"', '"cuda:99"', '"meta"', '""']),
    ("", "run.dtype", ["3", "true", '"int8"', '"float16"', '"complex64"', '""']),
    ("", "run.precision", ["3", "true", '"half"', '""', '"tf32"']),
    ("", "run.seed", [TEXT, "true", "1.5", "nan", LIST, "99999999999999999999"]),
    ("", "run.no-such-option", ["3"]),
    ("", "no-such-table", ["3", "{a = 1}"]),
    ("train.rule=momentum", "train.rule.momentum", [TEXT, "nan", "-1", "1", "inf"]),
    ("train.rule=nesterov", "train.rule.momentum", [TEXT, "nan", "-1", "1", "inf"]),
    ("train.rule=adagrad", "train.rule.epsilon", [TEXT, "nan", "-1", "inf"]),
    ("train.rule=rmsprop", "train.rule.epsilon", [TEXT, "nan", "-1", "inf"]),
    ("train.rule=rmsprop", "train.rule.decay", [TEXT, "nan", "-1", "1", "inf"]),
    ("train.rule=adam", "train.rule.beta1", [TEXT, "nan", "-1", "1", "inf"]),
    ("train.rule=adam", "train.rule.beta2", [TEXT, "nan", "-1", "1", "inf"]),
    ("train.rule=adam", "train.rule.epsilon", [TEXT, "nan", "-1", "inf"]),
    ("train.rule=adamw", "train.rule.decay", [TEXT, "nan", "-1", "inf"]),
    ("train.rule=adamw", "train.rule.beta1", [TEXT, "nan", "-1", "1"]),
    ("train.rule=adamw", "train.rule.beta2", [TEXT, "nan", "-1", "1"]),
    ("train.rule=adamw", "train.rule.epsilon", [TEXT, "nan", "-1"]),
    ("train.schedule=step", "train.schedule.factor", [TEXT, "nan", "-1", "inf"]),
    ("train.schedule=step", "train.schedule.every", [TEXT, "nan", "-1", "0", "inf"]),
    ("train.schedule=cosine", "train.schedule.final", [TEXT, "nan", "-1", "inf"]),
    ("train.schedule=linear", "train.schedule.final", [TEXT, "nan", "-1", "inf"]),
    ("train.schedule=inverse-time", "train.schedule.decay", [TEXT, "nan", "-5", "inf"]),
    ("penalty=l2", "penalty.strength", [*NUMBER, "-1"]),
    ("penalty=l2 penalty.strength=1", "penalty.half", FLAG),
    ("penalty=l2 penalty.strength=1", "penalty.bias", FLAG),
    ("penalty=l1", "penalty.strength", [*NUMBER, "-1"]),
    ("penalty=l1 penalty.strength=1", "penalty.proximal", FLAG),
    ("penalty=l1 penalty.strength=1", "penalty.bias", FLAG),
    ("penalty=elastic-net", "penalty.strength", [*NUMBER, "-1"]),
    ("penalty=elastic-net penalty.strength=1", "penalty.beta", [*NUMBER, "-1"]),
    ("penalty=elastic-net penalty.strength=1", "penalty.proximal", FLAG),
    ("penalty=elastic-net penalty.strength=1", "penalty.bias", FLAG),
    ("penalty=max-norm", "penalty.limit", [*NUMBER, "-1", "0"]),
    ("loss=squared-error", "loss.half", FLAG),
    ("loss=squared-error", "loss.classes", FLAG),
    ("loss=squared-error", "loss.through", ["3", "true", LIST, '"no-such-activation"']),
    ("loss=huber", "loss.delta", [TEXT, "nan", "-1", "0", "inf"]),
    ("loss=hinge", "loss.margin", [TEXT, "nan", "-1", "inf"]),
    ("loss=hinge", "loss.power", [TEXT, "3", "0", "1.5", "true"]),
    ("model=softmax loss=cross-entropy", "loss.label_smoothing", [TEXT, "nan", "-1", "1", "2"]),
    ("model=softmax loss=multiclass-hinge", "loss.margin", [TEXT, "nan", "-1", "inf"]),
    ("model=softmax loss=multiclass-hinge", "loss.power", [TEXT, "3", "0", "1.5"]),
    ("model=softmax loss=multiclass-hinge", "loss.include_true", FLAG),
    ("model=softmax loss=multiclass-hinge", "loss.over", ["3", "true", '"some"', '""']),
    ("model=softmax loss=one-vs-all-hinge", "loss.margin", [TEXT, "nan", "-1", "inf"]),
    ("model=softmax loss=one-vs-all-hinge", "loss.power", [TEXT, "3", "0", "1.5"]),
    ("model=linear-regression loss=squared-error", "model.bias", FLAG),
    ("model=linear-regression loss=squared-error", "model.scale", [TEXT, "nan", "-1", "inf"]),
    ("model=linear-regression loss=squared-error", "model.seed", [TEXT, "1.5", "true"]),
    ("", "model.bias", ["3", TEXT, '["a"]', "[[1, 2], [3]]", "[nan]", "[1, 2, 3]"]),
    ("", "model.weight", ["3", TEXT, "[1]", "[[1], [2]]", "[[nan, 1]]", "[[inf, 1]]", DEEP]),
    ("", "model.scale", [TEXT, "nan", "-1", "inf", "true"]),
    ("", "model.predicts", ["3", "true", '"no-such"', '"real"', '"classes"']),
    ("model=softmax loss=cross-entropy", "model.classes", ["3"]),
    ("model=softmax loss=cross-entropy", "model.scale", [TEXT, "nan", "-1"]),
    ("model=svm loss=multiclass-hinge", "model.scale", [TEXT, "nan", "-1"]),
    ("model=svm loss=multiclass-hinge", "model.predicts", ["3", "true", '"no-such"']),
    ("model=two-layer", "model.hidden", [*COUNT, "0", "1000000000000", "9223372036854775807"]),
    ("model=two-layer", "model.activation", ["3", "true", LIST, '"no-such"', '""']),
    ("model=two-layer", "model.dropout", [TEXT, "nan", "-1", "1", "2"]),
    ("model=two-layer", "model.batchnorm", FLAG),
    ("model=two-layer", "model.scale", ["true", "nan", "-1", "inf", '"no-such"', LIST]),
    ("model=two-layer", "model.predicts", ["3", "true", '"no-such"']),
    ("model=two-layer", "model.seed", [TEXT, "1.5", "true", "99999999999999999999"]),
    ("model=neighbours", "model.k", [TEXT, "0", "-1", "1.5", "true", "100000", "[]", "[0]", "[1, 1.5]"]),
    ("model=neighbours", "model.metric", ["3", "true", '"no-such"']),
    ("data.name=line", "data.samples", [*COUNT, "0", "1000000000000"]),
    ("data.name=line", "data.noise", [TEXT, "true", "nan", "-1", "inf"]),
    ("data.name=line", "data.seed", [TEXT, "true", "1.5", "99999999999999999999"]),
    ("data.name=random-linear", "data.noise", [TEXT, "nan", "-1"]),
    ("data.name=random-binary", "data.uniform", FLAG),
    ("data.name=random-binary", "data.noise", [TEXT, "nan", "-1"]),
    ("data.name=blobs", "data.classes", [*COUNT, "0", "1", "1000000"]),
    ("", "data.samples", ['"many"', "0", "1", "1000000000"]),
    ("", "data.noise", [TEXT, "nan", "-1", "inf"]),
    ("data.name=circles", "data.noise", [TEXT, "nan", "-1"]),
    ("data.name=spirals", "data.noise", [TEXT, "nan", "-1"]),
    ("data.name=above-curve", "data.curve", ["3", "true", '"no-such"']),
    ("data.name=shapes", "data.samples", [*COUNT, "0", "100000000"]),
    ("data.name=shapes", "data.noise", [TEXT, "nan", "-1"]),
    ("data.name=digits", "data.test", ["0.2"]),
    ("data.name=shapes data.samples=20 features.kind=hog", "features.orientations", [*COUNT, "0", "1000000000"]),
    ("data.name=shapes data.samples=20 features.kind=hog", "features.pixels_per_cell", [TEXT, "0", "-1", "1000",
     "[1]", "[8, 0]"]),
    ("data.name=shapes data.samples=20 features.kind=hog", "features.cells_per_block", [TEXT, "0", "-1", "1000",
     "[1, 2, 3]"]),
    ("data.name=shapes data.samples=20 features.kind=hog", "features.block_norm", ["3", "true", '"no-such"']),
    ("data.name=shapes data.samples=20 features.kind=hog", "features.transform_sqrt", FLAG),
    ("data.name=shapes data.samples=20 features.kind=hue", "features.bins", [*COUNT, "0", "1000000000"]),
    ("data.name=shapes data.samples=20 features.kind=rgb", "features.bins", [*COUNT, "0", "1000000000"]),
    ("data.name=shapes data.samples=20 features.kind=rgb", "features.joint", FLAG),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.words", [*COUNT, "0", "1000000000"]),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.size", [TEXT, "0", "-1", "8.5", "1000"]),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.patches", [TEXT, "0", "-1", "1.5"]),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.rounds", [TEXT, "-1", "1.5"]),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.coding", ["3", "true", '"no-such"']),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.epsilon", [TEXT, "nan", "-1", "inf"]),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.start", ["3", "true", '"no-such"']),
    ("data.name=shapes data.samples=20 features.kind=patches", "features.seed", [TEXT, "true", "1.5"]),
]  # fmt: skip

MOONS = """
data = {name = "moons"}
model = "logistic-regression"
loss = "binary-cross-entropy"
train = {epochs = 1}
"""


def common_files(here: Path) -> None:
    """What every case finds in its folder."""
    (here / "moons.toml").write_text(MOONS)
    (here / "table.csv").write_text("x,z,y\n" + "".join(f"{k},{k % 3},{'ab'[k % 2]}\n" for k in range(12)))


for others, key, values in FIELDS:
    for value in values:
        settings = [word for setting in [*others.split(), f"{key}={value}"] for word in ("--set", setting)]
        add(f"config {others and others + ': '}{key} = {short(value)}", ["train", "moons.toml", *settings])

# --- commands: every option of every command --------------------------------------------------------------------------

INTEGER = ["many", "1.5", "", "1e3"]
PLACE = ["file/below", "x" * 5000]  # where nothing can be written
GRAPH, MINIMISE, LANDSCAPE = ["graph", "a*b", "a=1", "b=2"], ["minimise", "x**2", "--start", "x=1"], ["landscape"]

# a command, and words that make it one that is refused
COMMANDS: list[tuple[list[str], list[str]]] = [
    (["train"], ["", "none.toml", "moons.toml none", "--resume none", "--resume file", "moons.toml --resume"]),
    (["train"], ["moons.toml --resume a --out b", "--resume a moons.toml", "moons.toml --no-such-option", "."]),
    (["train", "moons.toml"], ["--set", "--set x", "--set =1", "--set .=1", "--set a..b=1", "--set train.rate"]),
    (["train", "moons.toml"], ["--by none", "--by", "--device tpu", "--device cuda:99", "--dtype int8", "--out file"]),
    (["train", "moons.toml"], [f"--seed {value}" for value in [*INTEGER, "9" * 30]]),
    (["train", "moons.toml"], [f"--out {value}" for value in PLACE]),
    (["train", "table.csv"], ["--target no-such", "--exclude no-such", "--task no-such", "--features no-such"]),
    (["sweep"], ["", "none.toml --over train.rate=1,2", "moons.toml", "moons.toml --over train.rate=1,2"]),
    (["sweep", "moons.toml"], ["--over", "--over x", "--over =1", "--over train.rate=", "--over train.rate=1,,2"]),
    (["sweep", "moons.toml"], ["--over train.rate=1,1", "--over train.rate=1,2 --over train.rate=3"]),
    (["sweep", "moons.toml", "--set", "data.validation=0.2"], ["--over train.rate=fast,1", "--over no.such=1,2"]),
    (["sweep", "moons.toml", "--set", "data.validation=0.2"], ["--over train.rate=1e999,1",
     "--over model=neighbours,svm"]),
    (["sweep", "moons.toml", "--set", "data.validation=0.2", "--over", "train.rate=1,2"],
     ["--device tpu", "--dtype int8", "--seed many", "--out file", *(f"--out {value}" for value in PLACE)]),
    (["sweep", "moons.toml", "--set", "data.validation=0.2"],
     ["--over train.epochs=" + ",".join(map(str, range(1, 3000))) + " --over run.seed=" + ",".join(map(str,
         range(3000)))]),
    (["predict"], ["", "none", "none table.csv", "file table.csv", ". table.csv"]),
    (["show"], ["", "none", "file", ".", "moons.toml"]),
    (["check"], ["none.py", "none.toml", "none", "none.py:name", "table.csv", "--device tpu", "--template hinge"]),
    (["check", "moons.toml"], [f"--steps {value}" for value in [*INTEGER, "0", "-1"]]),
    (["check", "moons.toml"], ["--set x", "--set train.rate=fast", "--device tpu", "--dtype int8", "--seed many"]),
    (["check", "handin.py"], [f"--time-limit {value}" for value in ["long", "0", "-1", "nan", "inf"]]),
    (["check", "handin.py"], [f"--memory-limit {value}" for value in [*INTEGER, "0", "-1"]]),
    (["check", "handin.py"], [f"--jobs {value}" for value in [*INTEGER, "0", "-1"]]),
    (LANDSCAPE, ["--problem none", "--loss none", "--method none", "--compare none"]),
    (LANDSCAPE, ["--loss cross-entropy", "--loss bce --half", "--problem linear --loss bce"]),
    (LANDSCAPE, [f"--samples {value}" for value in [*INTEGER, "0", "-1", "1000000000000"]]),
    (LANDSCAPE, ["--data none.csv", "--data file", "--data table.csv --x no-such", "--data table.csv --y no-such"]),
    (LANDSCAPE, ["--data table.csv --x y --y x", "--data huge.csv", "--data .", "--data table.npy"]),
    (LANDSCAPE, [f"--w={value}" for value in ["", "a", ":", "1:2", "1:2:3:4", "2:1:10", "1:1:10", "0:1:0", "0:1:-5"]]),
    (LANDSCAPE, [f"--w={value}" for value in ["0:1:1e3", "nan:1:10", "0:inf:10", "0:1:999999999999",
     "-1:1:134000000"]]),
    (LANDSCAPE, [f"--b={value}" for value in ["", "a", "1:2", "2:1:10", "nan", "inf", "0:1:0", "-1:1:134000000",
     "1e308:1e309:5"]]),
    (LANDSCAPE, ["--w=-1:1:20000 --b=-1:1:20000", "--w=-1e308:1e308:5", "--w=1:1.0000000000000000001:5"]),
    (LANDSCAPE, [f"--cuts={value}" for value in ["", "a", "1,2,3,4", "nan", "inf", "1,,2"]]),
    (LANDSCAPE, ["--rate 1", "--steps 5", "--same-scale", "--plane random", "--a=0:1:5", "--run none", "--run file",
     "--run ."]),
    ([*LANDSCAPE, "--basins"], ["--rate 0", "--rate -1", "--rate nan", "--rate inf", "--rate fast", "--steps 0",
     "--steps many"]),
    (LANDSCAPE, ["--device tpu", "--dtype int8", "--dtype float16", "--seed many", "--out file"]),
    (LANDSCAPE, [f"--out {value}" for value in PLACE]),
    (LANDSCAPE, ["--run none --w=0:1:5", "--run none --data table.csv", "--run none --compare mse"]),
    (["graph"], ["", "a", "a a", "a =1", "a 1a=1", "a a=", "a a=b", "a a=1 a=2", "a b=1", "1+ a=1", "( a=1",
     "a() a=1"]),
    (["graph"], ["a.b a=1", "a[0] a=1", "exp a=1", "exp(a,a) a=1", "max(a) a=1", "lambda:a a=1", "a=1 a=1"]),
    (["graph"], ["__import__('os') a=1", "self+a self=1", "'' a=1"]),
    (["graph"], ["+".join(["a"] * 9000) + " a=1", "(" * 5000 + "a" + ")" * 5000 + " a=1", "9" * 5000 + "*a a=1"]),
    (["graph"], ["-" * 5000 + "a a=1", "a\0 a=1", "√a a=1", "a;a a=1", "a if a else a a=1", "1_0*a a=1 2=3",
     "0x1g a=1"]),
    (GRAPH, [f"--out {value}" for value in ["file", *PLACE]]),
    (["minimise"], ["", "x", "x**2 --start", "x**2 --start x", "x**2 --start x=a", "x**2 --start y=1",
     "x+ --start x=1"]),
    (["minimise"], ["x**2 --start x=nan", "x**2 --start x=inf", "log(x) --start x=-1", "1/x --start x=0",
     "1 --start x=1"]),
    (MINIMISE, [f"--rate {value}" for value in ["fast", "0", "-1", "nan", "inf"]]),
    (MINIMISE, [f"--tol {value}" for value in ["fast", "-1", "nan", "inf"]]),
    (MINIMISE, [f"--steps {value}" for value in [*INTEGER, "0", "-1"]]),
    (MINIMISE, ["--gradient none", "--gradient", "--by-hand x", "--by-hand y=1", "--by-hand x=", "--by-hand x=1+"]),
    (MINIMISE, [f"--gradient numeric --delta {value}" for value in ["fast", "0", "-1", "nan", "inf"]]),
    (MINIMISE, [f"--out {value}" for value in ["file", *PLACE]]),
    (["lesson"], ["", "none", "steps", "steps none.toml", "softmax moons.toml", "--format none", "softmax --format",
     "steps table.csv"]),
    (["lesson", "steps", "moons.toml"], [f"--steps {value}" for value in [*INTEGER, "0", "-1", "1000000000"]]),
    (["lesson", "steps", "moons.toml"], ["--set x", "--set train.rate=fast", "--set model=neighbours"]),
    (["lesson", "softmax"], [f"--out {value}" for value in ["file", *PLACE]]),
    (["exercise"], ["", "none", "hinge --out file", *(f"hinge --out {value}" for value in PLACE)]),
    (["features"], ["", "none", "table.csv", "file", "moons", "digits --kind", "digits --kind none",
     "digits --kind hog,hog"]),
    (["features", "digits"], ["--set x", "--set no-such=1", "--set hog.bins=1", "--set orientations=0", "--part none"]),
    (["features", "digits"], [f"--size {value}" for value in [*INTEGER, "0", "-1", "8"]]),
    (["features", "digits"], ["--out x.csv", "--out none/x.npz", "--out file/x.npz", "--device tpu", "--dtype int8",
     "--seed many"]),
    (["data"], ["", "none", "list x", "get", "get mnist", "get cifar10 --url file:///etc/passwd",
     "get cifar10 --url x"]),
    (["data"], ["import", "import none", "import file", "import .", "import table.csv", "import fake.tar.gz",
     "clear x"]),
    (["data"], ["shards", "shards none --out s", "shards digits", "shards digits --out file",
     "shards table.csv --out moons.toml"]),
    (["data", "shards", "digits", "--out", "s"], ["--store int8", "--store uint8x", "--shard-mib 0",
     "--shard-mib many"]),
    (["data", "shards", "digits", "--out", "s"], ["--target x", "--targets x", "--shard-mib -1",
     "--shard-mib 99999999999999"]),
    (["data", "shards", "digits"], [f"--out {value}" for value in PLACE]),
    (["data"], ["verify", "verify none", "verify file", "verify .", "list --out x", "list --store uint8",
     "list --target x"]),
    (["demo"], ["x", "--device tpu", "--dtype int8", "--dtype float16", "--seed many", "--out file"]),
    (["demo"], [f"--out {value}" for value in PLACE]),
    (["bench"], [f"--samples {value}" for value in [*INTEGER, "0", "-1", "1000000000000"]]),
    (["bench"], [f"--runs {value}" for value in [*INTEGER, "0", "1", "1000000000"]]),
    (["bench"], [f"--rounds {value}" for value in [*INTEGER, "0", "-1"]]),
    ([], ["none", "trian", "--no-such-option", "a\0b", "train.rate=1"]),
]  # fmt: skip


def command_files(here: Path) -> None:
    """The other files that the commands are given."""
    (here / "file").write_text("nothing can be made below a file")
    (here / "handin.py").write_text("def hinge(): pass\n")
    (here / "fake.tar.gz").write_bytes(b"\x1f\x8b" + b"0" * 100)
    (here / "huge.csv").write_text("x,y\n1e200,-1e200\n-1e200,1e200\n3e200,1e200\n")
    np.save(here / "table.npy", np.zeros((3, 2), np.float32))


for start, ends in COMMANDS:
    for end in ends:
        add(" ".join([*start, short(end).replace("\0", "NUL")]) or "nothing", [*start,
            *end.split(" ")] if end else start,
            files=command_files)  # fmt: skip

# --- readers ----------------------------------------------------------------------------------------------------------


def with_data(name: str, *settings: str) -> list[str]:
    """A training run on a file of the case's folder."""
    return ["train", "moons.toml", "--set", f"data.path={name}", *(w for s in settings for w in ("--set", s))]


def text(name: str, content: str | bytes) -> Callable[[Path], Any]:
    raw = content.encode() if isinstance(content, str) else content
    return lambda here: (here / name).write_bytes(raw)


def special(name: str, kind: str) -> Callable[[Path], Any]:
    """What is not a regular file of a sensible size."""

    def make(here: Path) -> None:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "sparse":  # it says 20 GiB and takes none
            with path.open("wb") as file:
                file.truncate(20 * 2**30)
        elif kind == "empty":
            path.touch()
        elif kind == "circle":
            path.symlink_to(name)
        else:
            path.symlink_to(kind)  # a device

    return make


SPECIAL = ["pipe", "folder", "sparse", "empty", "circle", "/dev/zero", "/dev/full"]

# tables
CSV = {
    "no rows": "x,y\n", "blank": "\n\n", "blanks": " \n \n", "one cell": "x\n", "no header": "1,2\nnan,4\n",
    "header of bytes": b"\xff\xfe\x00x\n1\n", "latin-1": "größe,y\n1,a\n2,b\n".encode("latin-1"), "NUL": "x,y\n1,\0\n",
    "short row": "x,y\n1,a\n2\n", "long row": "x,y\n1,a\n2,b,c\n", "two names": "x,x\n1,a\n", "no name": "x,\n1,a\n",
    "text feature": "x,y\nred,a\nblue,b\n", "empty cell": "x,y\n,a\n1,b\n", "empty target": "x,y\n1,\n2,b\n",
    "nan": "x,y\nnan,a\n1,b\n", "inf": "x,y\ninf,a\n1,b\n", "one class": "x,y\n1,a\n2,a\n",
    "open quote": 'x,y\n"1,a\n2,b\n',
    "decimal comma": "x;y\n1,5;a\n2,5;b\n", "thousands": 'x,y\n"6,100",a\n"7,100",b\n',
    "underscore": "x,y\n1_0,a\n2,b\n",
    "1e999": "x,y\n1e999,a\n1,b\n", "5,000 digits": f"x,y\n{'9' * 5000},a\n1,b\n", "only commas": ",,,\n,,,\n",
    "long cell": f"x,y\n{'x' * 200_000},a\n1,b\n", "long name": f"{'x' * 200_000},y\nred,a\n1,b\n",
    "12,000 columns": ",".join(f"c{k}" for k in range(12_000)) + "\n1,2\n", "hex": "x,y\n0x10,a\n1,b\n",
    "12,000 empty names": "," * 12_000 + "\n", "mixed": "x,y\n1,a\nred,b\n2,a\n3,b\n", "carriage returns": "x,y\r\r1\r",
    "quotes": '"""' * 999,
    "page": "<html><body>404</body></html>", "zip": b"PK\x03\x04" + b"\0" * 50, "json": '{"x": [1, 2]}',
    "gzip": b"\x1f\x8b\x08\0",
}  # fmt: skip
for name, content in CSV.items():
    add(f"csv, {name}", with_data("rows.csv"), "", text("rows.csv", content))
for kind in SPECIAL:
    for name in (
        "rows.csv",
        "rows.tsv",
        "rows.npz",
        "rows.npy",
        "rows.zip",
        "rows.tar.gz",
        "rows100.tar.gz",
        "rows.none",
    ):
        add(f"data, {name} is {kind}", with_data(name), files=special(name, kind))
    add(f"data, targets.npy is {kind}", with_data("rows.npy", "data.targets=targets.npy"),
        files=lambda here, kind=kind: (np.save(here / "rows.npy", np.zeros((3, 2), np.float32)),
                                       special("targets.npy", kind)(here)))  # fmt: skip
    add(f"config is {kind}", ["train", "c.toml"], "onfig", special("c.toml", kind))
    add(f"predict, rows.csv is {kind}", ["predict", "run", "rows.csv"], files=special("rows.csv", kind))
    add(f"landscape --data is {kind}", ["landscape", "--data", "rows.csv"], files=special("rows.csv", kind))
    add(f"an image is {kind}", with_data("images"), "images",
        lambda here, kind=kind: (special("images/a/0.png", kind)(here), image(here / "images/b/1.png")))  # fmt: skip
    if kind not in ("folder", "empty", "sparse"):
        add(f"check, hand-in is {kind}", ["check", "mine.py"], files=special("mine.py", kind))

# numpy's files


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    """A .npy file with any text for a header."""
    raw = header.encode("latin-1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(raw) if length is None else length) + raw + body


def shaped(shape: str, descr: str = "'<f4'", fortran: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


NPY = {
    "not one": b"x" * 100, "magic alone": b"\x93NUMPY", "version 9": npy(shaped("(3, 2)"), version=b"\x09\x00"),
    "cut header": npy(shaped("(3, 2)"), length=9999), "no bracket": npy(shaped("(3, 2)")[:-3]), "no header": npy(""),
    "cut body": npy(shaped("(3, 2)"), b"\0" * 20), "long body": npy(shaped("(3, 2)"), b"\0" * 30),
    **{f"shape {shape}": npy(shaped(shape), b"\0" * 24) for shape in [
        "(-5, -4)", "(True, 4)", "(2**32, 2**32)", "(4294967296, 4294967296)", "(1e9, 2)", "(3, 2", "3", "()", "(0, 2)",
        "(3, 0)", "(9223372036854775807, 2)", "(99999999999999999999, 1)", "(3, 2, 1)", "None", "'ab'", "[3, 2]",
        "((3,), 2)",
        "(" * 200 + ")" * 200, "(9" + "9" * 5000 + ",)"]},
    **{f"dtype {descr}": npy(shaped("(3, 2)", descr), b"\0" * 24) for descr in [
        "'|O'", "'<i4'", "'>f4'", "'<f2'", "'<U3'", "'|V4'", "'<c8'", "'<M8[D]'", "''", "'<f4,<f4'", "[('a', '<f4')]",
            "3",
        "None", "'|V0'", "('<f4', (2,))", "'<f99999999999'", "[" * 100 + "]" * 100]},
    "columns first": npy(shaped("(3, 2)", fortran="True"), b"\0" * 24), "fortran 3": npy(shaped("(3, 2)",
    fortran="3"), b"\0" * 24),
    "code": npy("__import__('os').system('touch left')"), "extra key": npy(shaped("(3, 2)")[:-1] + "'a': 1}",
    b"\0" * 24),
    "nan": npy(shaped("(3, 2)"), np.full(6, np.nan, "<f4").tobytes()), "bytes of header": npy("\0" * 60),
}  # fmt: skip
for name, content in NPY.items():
    add(f"npy, {name}", with_data("rows.npy", "data.targets=targets.npy"), "",
        lambda here, c=content: ((here / "rows.npy").write_bytes(c), np.save(here / "targets.npy",
            np.arange(3) % 2)))  # fmt: skip
TARGETS: dict[str, Any] = {
    "two columns": np.zeros((3, 2)), "too few": np.zeros(2), "too many": np.zeros(4), "nan": np.full(3, np.nan),
        "one class": [0, 0, 0],
    "negative": [-1, 0, 1], "inf": np.full(3, np.inf), "complex": np.zeros(3, complex), "scalar": 3,
    "empty": np.zeros(0),
    "dates": np.zeros(3, "M8[D]"), "structured": np.zeros(3, "i4,i4"),
}  # fmt: skip
for name, content in TARGETS.items():
    add(f"npy, targets {name}", with_data("rows.npy", "data.targets=targets.npy"),
        files=lambda here, c=content: (np.save(here / "rows.npy", np.zeros((3, 2), np.float32)),
            np.save(here / "targets.npy", c)))  # fmt: skip


def archive(members: dict[str, Any], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members: bytes as they are, arrays as .npy files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as zipped:
        for name, content in members.items():
            if not isinstance(content, bytes):
                raw = io.BytesIO()
                np.save(raw, np.asanyarray(content), allow_pickle=True)
                content = raw.getvalue()
            zipped.writestr(name, content)
    return buffer.getvalue()


def bomb(name: str, member: str, start: bytes) -> Callable[[Path], None]:
    """A zip of little more than a megabyte, one member of which has 1.2 GB."""

    def make(here: Path) -> None:
        with zipfile.ZipFile(here / name, "w", zipfile.ZIP_DEFLATED) as zipped, zipped.open(member, "w") as file:
            file.write(start)
            for _ in range(1200):
                file.write(bytes(10**6))

    return make


X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
NPZ: dict[str, bytes] = {
    "not one": b"x" * 100, "cut": archive({"features.npy": X, "targets.npy": Y})[:-30], "no members": archive({}),
    "a text in it": archive({"readme.txt": b"hello"}), "empty member": archive({"features.npy": b"", "targets.npy": Y}),
    "garbage member": archive({"features.npy": b"x" * 100, "targets.npy": Y}),
    "objects": archive({"features.npy": np.array([{}, None])}),
    "bytes targets": archive({"features.npy": X, "targets.npy": np.array([b"\xff"] * 6)}),
    "lengths differ": archive({"features.npy": X, "targets.npy": Y[:3]}), "no rows": archive({"features.npy": X[:0],
    "targets.npy": Y[:0]}),
    "nan": archive({"features.npy": X * np.nan, "targets.npy": Y}), "text": archive({"features.npy": X.astype(str),
    "targets.npy": Y}),
    "complex": archive({"features.npy": X + 1j, "targets.npy": Y}),
    "dates": archive({"features.npy": X.astype("M8[s]"), "targets.npy": Y}),
    "scalar": archive({"features.npy": np.float64(3), "targets.npy": Y}), "one-hot": archive({"features.npy": X,
    "targets.npy": np.eye(6)}),
    "scalar targets": archive({"features.npy": X, "targets.npy": np.int64(3)}),
    "five axes": archive({"features.npy": np.zeros((6, 1, 1, 1, 2))}),
    "no targets": archive({"features.npy": X}), "unknown keys": archive({"a.npy": X, "b.npy": Y}),
    "feature_names": archive({"features.npy": X, "targets.npy": Y, "feature_names.npy": np.array(["a"])}),
    "feature_names nested": archive({"features.npy": X, "targets.npy": Y, "feature_names.npy": np.array([["a", "b"],
    ["c", "d"]])}),
    "classes": archive({"features.npy": X, "targets.npy": Y, "classes.npy": np.array(["a"])}),
    "classes twice": archive({"features.npy": X, "targets.npy": Y, "classes.npy": np.array(["a", "a"])}),
    "classes a scalar": archive({"features.npy": X, "targets.npy": Y, "classes.npy": np.array("a")}),
    "shape of no size": archive({"features.npy": npy(shaped("(0, 9223372036854775807)")), "targets.npy": Y}),
    "shape too large": archive({"features.npy": npy(shaped("(4294967296, 4294967296)")), "targets.npy": Y}),
    "pickle": archive({"features.npy": npy(shaped("(1,)", "'|O'"), pickle.dumps([1])), "targets.npy": Y}),
    "a directory": archive({"features.npy/": b"", "targets.npy": Y}), "NUL name": archive({"fea\0tures.npy": X}),
    "real classes": archive({"features.npy": X, "targets.npy": Y + 0.5}),
    "images as floats": archive({"images.npy": np.zeros((6, 4, 4, 3)), "y.npy": Y}),
    "checksum": archive({"features.npy": X, "targets.npy": Y}, zipfile.ZIP_STORED).replace(np.float64(11).tobytes(),
    b"\0" * 8),
}  # fmt: skip
for name, content in NPZ.items():
    add(f"npz, {name}", with_data("rows.npz"), files=text("rows.npz", content))
add("npz, bomb", with_data("rows.npz"), "rows.npz", bomb("rows.npz", "features.npy", npy(shaped("(150000000, 2)"))))
add("zip, bomb", with_data("rows.zip"), "rows.zip", bomb("rows.zip", "a/0.png", b""))
for name in ("one-hot", "cut", "objects", "unknown keys", "nan", "complex", "scalar"):
    add(f"predict, npz, {name}", ["predict", "run", "rows.npz"], files=text("rows.npz", NPZ[name]))

# images


def image(path: Path, size: tuple[int, int] = (4, 4), mode: str = "RGB", form: str = "PNG", **options: Any) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, form, **options)


def picture(size: tuple[int, int] = (4, 4), mode: str = "RGB", form: str = "PNG") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


PNG, JPEG = picture(), picture(form="JPEG")
BOMB = PNG[:16] + struct.pack(">II", 60_000, 60_000) + PNG[24:]  # its header alone
IMAGES: dict[str, dict[str, bytes]] = {
    "none": {"readme.txt": b""}, "one class": {"a/0.png": PNG}, "loose": {"0.png": PNG, "1.png": PNG},
        "an empty class": {"a/0.png": PNG, "b/x.txt": b""},
    "too deep": {"a/b/c/0.png": PNG, "b/0.png": PNG}, "other sizes": {"a/0.png": PNG, "b/0.png": picture((5, 5))},
    "text": {"a/0.png": b"hello", "b/0.png": PNG}, "cut": {"a/0.png": PNG[:45], "b/0.png": PNG},
    "cut JPEG": {"a/0.jpg": JPEG[:100], "b/0.png": PNG},
    "empty": {"a/0.png": b"", "b/0.png": PNG}, "60,000 pixels wide": {"a/0.png": BOMB, "b/0.png": PNG},
    "header alone": {"a/0.png": PNG[:33], "b/0.png": PNG},
    "16 bits": {"a/0.png": picture(mode="I;16"), "b/0.png": PNG}, "float": {"a/0.tif": picture(mode="F", form="TIFF"),
    "b/0.png": PNG},
    "no train": {"test/a/0.png": PNG, "test/b/0.png": PNG}, "other test classes": {"train/a/0.png": PNG,
    "train/b/0.png": PNG, "test/c/0.png": PNG},
    "more than parts": {"train/a/0.png": PNG, "train/b/0.png": PNG, "test/a/0.png": PNG, "other/0.png": PNG},
    "GIF header": {"a/0.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0", "b/0.png": PNG},
    "BMP header": {"a/0.bmp": b"BM" + b"\xff" * 60, "b/0.png": PNG},
    "TIFF header": {"a/0.tif": b"II*\0\xff\xff\xff\xff", "b/0.png": PNG},
    "WebP header": {"a/0.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ", "b/0.png": PNG},
    "postscript": {"a/0.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "b/0.png": PNG},
}  # fmt: skip


def laid_out(members: dict[str, bytes]) -> Callable[[Path], None]:
    def make(here: Path) -> None:
        for name, content in members.items():
            (here / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (here / "images" / name).write_bytes(content)

    return make


for name, members in IMAGES.items():
    add(f"image folder, {name}", with_data("images"), "images", laid_out(members))
    add(f"image zip, {name}", with_data("images.zip"), "images.zip", text("images.zip", archive(members)))
for value in (TEXT, "0", "-1", "8.5", "true", "[8]", "[8, 0]", "[8, 8, 8]", "100000", "nan"):
    add(f"image folder, data.size = {value}", with_data("images", f"data.size={value}"), "size",
        laid_out({"a/0.png": PNG, "b/0.png": PNG}))  # fmt: skip
GOOD = archive({"a/0.png": PNG, "b/0.png": PNG})
ZIPS: dict[str, bytes] = {
    "not one": b"x" * 100, "cut": GOOD[:-40], "first half": GOOD[: len(GOOD) // 2], "empty": archive({}),
    "damaged member": GOOD.replace(PNG[40:60], b"\0" * 20,
    1) if PNG[40:60] in GOOD else GOOD[:45] + b"\xff" * 20 + GOOD[65:],
    "declares 4 GiB": GOOD[: GOOD.index(b"PK\x01\x02") + 24] + b"\xfe\xff\xff\xff" + GOOD[GOOD.index(
    b"PK\x01\x02") + 28 :],
    "odd method": GOOD[: GOOD.index(b"PK\x01\x02") + 10] + b"\x63\0" + GOOD[GOOD.index(b"PK\x01\x02") + 12 :],
    "encrypted": GOOD[: GOOD.index(b"PK\x01\x02") + 8] + b"\x01\0" + GOOD[GOOD.index(b"PK\x01\x02") + 10 :],
    "outside": archive({"../a/0.png": PNG, "/b/0.png": PNG}),
}  # fmt: skip
for name, content in ZIPS.items():
    add(f"zip, {name}", with_data("rows.zip"), "rows.zip", text("rows.zip", content))

# CIFAR-10

BATCHES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]


def cifar(folder: str, suffix: str, content: bytes, missing: str = "") -> Callable[[Path], None]:
    def make(here: Path) -> None:
        (here / folder).mkdir()
        for batch in BATCHES:
            if batch != missing:
                (here / folder / f"{batch}{suffix}").write_bytes(content)

    return make


for name, content in {"empty": b"", "short": b"\0" * 3073, "one byte": b"\0", "text": b"hello" * 100}.items():
    add(f"cifar binary, {name}", with_data("batches"), "batches", cifar("batches", ".bin", content))
add("cifar binary, wrong labels", with_data("batches"), "data_batch_1", lambda here: (
    cifar("batches", ".bin", b"")(here),
        (here / "batches/data_batch_1.bin").write_bytes(b"\xff" * 30_730_000)))  # fmt: skip
add(
    "cifar binary, a batch is missing",
    with_data("batches"),
    "data_batch_3",
    cifar("batches", ".bin", b"", "data_batch_3"),
)
for name, content in {
    "empty": b"",
    "genuine kind": pickle.dumps({b"data": [1]}),
    "code": b"cos\nsystem\n(S'touch left'\ntR.",
}.items():
    add(f"cifar pickle, {name}", with_data("batches"), "batches", cifar("batches", "", content))
for kind in ("pipe", "sparse", "/dev/zero", "circle"):
    add(f"cifar binary, a batch is {kind}", with_data("batches"), "batches",
        lambda here, kind=kind: (cifar("batches", ".bin", b"", "data_batch_1")(here),
            special("batches/data_batch_1.bin", kind)(here)))  # fmt: skip
for name, content in {"text": b"hello", "empty gzip": b"\x1f\x8b\x08" + b"\0" * 15, "no bytes": b""}.items():
    add(f"cifar archive, {name}", with_data("c.tar.gz"), "c.tar.gz", text("c.tar.gz", content))

# configs

TOML: dict[str, str | bytes] = {
    "empty": "", "not TOML": "hello", "not UTF-8": b"\xff\xfe", "NUL": "a\0", "open": "[data",
        "twice": "[data]\nname='moons'\n[data]\n", "400 digits": f"a = {HUGE}",
    "5,000 digits": f"a = {'9' * 5000}", "nested lists": "a = " + DEEP,
    "nested tables": "a = " + "{a = " * 3000 + "1" + "}" * 3000,
    "nested keys": "[" + ".".join(["a"] * 5000) + "]\nb = 1", "long dotted key": ".".join(["a"] * 3000) + " = 1",
    "a date": MOONS + "run = 2020-01-01",
    "data alone": 'data = {name = "moons"}', "no model": MOONS.replace("model", "#"), "no loss": MOONS.replace("loss",
    "#"), "no data": MOONS.replace("data", "#"),
    "both sources": MOONS.replace('name = "moons"', 'name = "moons", path = "x.csv"'),
    "unknown table": MOONS + "[models]\na = 1\n", "a dated rate":
    MOONS.replace("epochs = 1", "rate = 12:00:00"), "list of tables": MOONS + "[[run]]\nseed = 1\n",
        "surrogate": 'a = "\\ud800"', "an escape": 'a = "\\x"',
    "name with a NUL": MOONS.replace("moons", "a\\u0000b"), "empty key": MOONS + '"" = 1',
    "2 MB": "#" + "x" * 2_000_000 + "\nhello",
}  # fmt: skip
for name, content in TOML.items():
    for command in (
        ["train", "c.toml"],
        ["sweep", "c.toml", "--over", "train.rate=1,2"],
        ["lesson", "steps", "c.toml"],
        ["check", "c.toml"],
    ):
        if command[0] in ("train", "sweep") or name in ("empty", "not UTF-8", "nested lists", "no model"):
            add(f"{' '.join(command[:-1] if command[0] == 'sweep' else command)}: {name}", command,
                files=text("c.toml", content))  # fmt: skip

# folders of shards


def shard_manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def make(here: Path) -> None:
        shutil.copytree(here.parent / "shards", here / "shards")
        path = here / "shards" / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return make


for key in ("version", "dtype", "shape", "targets", "classes", "feature_names", "target_name", "finite", "shards"):
    for value in (3, "x", [[[0]]], {"a": 1}, True, -(10**30)):
        if (key, value) not in (("finite", True), ("target_name", "x"), ("version", True)):
            add(f"shards, {key} = {value!r}", with_data("shards"), "shards",
                shard_manifest(lambda m, key=key, value=value: m.update({key: value})))  # fmt: skip
    add(f"shards, no {key}", with_data("shards"), "shards", shard_manifest(lambda m, key=key: m.pop(key)))
for key, value in {"file": "../x.npy", "bytes": -1, "sha256": "x", "samples": 10**30, "part": "none"}.items():
    add(f"shards, a shard's {key} = {value!r}", with_data("shards"), "shards",
        shard_manifest(lambda m, k=key,
            v=value: (m["shards"][0] if k in m["shards"][0] else m["shards"][0]["features"]).update({
                k: v})))  # fmt: skip
for kind in SPECIAL:
    add(f"shards, the manifest is {kind}", with_data("shards"), "shards",
        lambda here, kind=kind: (shard_manifest(lambda m: None)(here), (here / "shards/manifest.json").unlink(),
                                 special("shards/manifest.json", kind)(here)))  # fmt: skip
for name, content in {
    "nested": "[" * 100_000,
    "number": "3",
    "list": "[]",
    "digits": '{"format": ' + "9" * 5000 + "}",
    "not UTF-8": b"\xff",
}.items():
    add(f"shards, the manifest is {name}", with_data("shards"), "shards",
        lambda here, c=content: (shard_manifest(lambda m: None)(here), text("shards/manifest.json",
            c)(here)))  # fmt: skip

# folders of runs

RUN_FILES = [
    "config.toml",
    "manifest.json",
    "summary.json",
    "metrics.jsonl",
    "model.safetensors",
    "features.safetensors",
]


def run_file(name: str, change: Callable[[Path], Any]) -> Callable[[Path], None]:
    """A genuine run, one file of which was changed."""

    def make(here: Path) -> None:
        shutil.copytree(here.parent / "genuine", here / "run", dirs_exist_ok=True)
        change(here / "run" / name)

    return make


def first_half(path: Path) -> bytes:
    """The first half of a file. Whole lines of TOML are valid TOML: a config is cut off between a key and its value."""
    content = path.read_bytes()
    middle = len(content) // 2
    return content[: content.index(b"= ", middle) + 1 if path.suffix == ".toml" else middle]


def replaced(kind: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        special(path.name, kind)(path.parent)

    return change


READ = {"show": ["show", "run"], "predict": ["predict", "run", "table.csv"], "landscape": ["landscape", "--run", "run"],
        "resume": ["train", "--resume", "run"]}  # fmt: skip
for file in [*RUN_FILES, "checkpoint.safetensors"]:
    words = READ["resume" if file.startswith("checkpoint") else "show"]
    for kind in SPECIAL:
        if kind in ("sparse", "empty") or not file.startswith("checkpoint"):  # else there is none
            add(f"run, {file} is {kind}", words, "", run_file(file, replaced(kind)))
    if not file.startswith("checkpoint"):
        add(f"run, {file} is missing", words, "run", run_file(file, lambda path: path.unlink()))
    for name, raw in {"half": None, "nested": b"[" * 100_000, "digits": b"9" * 5000, "NUL": b"\0", "null": b"null",
    "not UTF-8": b"\xff\xfe",
                      "a list": b"[1]", "text": b'"x"'}.items():  # fmt: skip
        add(f"run, {file} is {name}", words, "run", run_file(
            file, lambda path,
                raw=raw: path.write_bytes(first_half(path) if raw is None else raw)))  # fmt: skip
for name in ("predict", "landscape", "resume"):
    for file in ("config.toml", "manifest.json"):
        add(f"{name}, {file} is missing", READ[name], "run", run_file(file, lambda path: path.unlink()))
        add(
            f"{name}, {file} is nested",
            READ[name],
            "run",
            run_file(file, lambda path: path.write_bytes(b"[" * 100_000)),
        )


def json_value(keys: tuple[str, ...], value: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        found = inner = json.loads(lines[-1])
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        path.write_text("\n".join([*lines[:-1], json.dumps(found)]) + "\n")

    return change


PLACES = [("manifest.json", "width"), ("manifest.json", "classes"), ("manifest.json", "features.shape"),
    ("manifest.json", "features.kind"),
          ("manifest.json", "feature_names"), ("manifest.json", "data.samples.train"), ("summary.json", "status"),
           ("summary.json", "epochs"),
          ("summary.json", "seconds"), ("summary.json", "figures"), ("metrics.jsonl", "end"), ("metrics.jsonl",
           "end.steps"),
          ("metrics.jsonl", "end.status"), ("metrics.jsonl", "end.metric"), ("metrics.jsonl",
           "end.best_epoch")]  # fmt: skip
for file, place in PLACES:
    for value in ([[[0]]], {"a": {}}, -(10**30), "\0", True):
        if value != "\0" or place not in ("end.metric", "features.kind", "status"):
            add(f"run, {place} of {file} = {value!r}", READ["show"], "run", run_file(file,
                json_value(tuple(place.split(".")), value)))  # fmt: skip


def tensor_header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Changes the header of a safetensors file: eight bytes of length, JSON, and the numbers."""

    def write(path: Path) -> None:
        raw = path.read_bytes()
        (size,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + size])
        change(header)
        said = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(said)) + said + raw[8 + size :])

    return write


HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "negative shape": lambda h: h["weight"].update(shape=[-1, 2]),
        "huge shape": lambda h: h["weight"].update(shape=[2**40, 2**40]),
    "no dtype": lambda h: h["weight"].pop("dtype"), "dtype F99": lambda h: h["weight"].update(dtype="F99"),
    "dtype I8": lambda h: h["weight"].update(dtype="I8"),
    "dtype F8_E4M3": lambda h: h["weight"].update(dtype="F8_E4M3"),
    "offsets beyond": lambda h: h["weight"].update(data_offsets=[0, 10**9]),
    "offsets reversed": lambda h: h["weight"].update(data_offsets=[8, 0]),
    "another name": lambda h: h.update(other=h.pop("weight")),
    "text shape": lambda h: h["weight"].update(shape="x"), "no weight": lambda h: h.pop("weight"),
    "metadata": lambda h: h.update(__metadata__=[1]),
    "BF16": lambda h: h["weight"].update(dtype="BF16"),
    "reshaped": lambda h: h["weight"].update(shape=h["weight"]["shape"][::-1]),
}  # fmt: skip
for name, change in HEADERS.items():
    add(f"run, model.safetensors, {name}", READ["show"], "run", run_file("model.safetensors", tensor_header(change)))
for length in (0, 2**20, 2**40, 2**63, 2**64 - 1):
    add(f"run, model.safetensors, header of {length} bytes", READ["show"], "run", run_file(
        "model.safetensors", lambda path, n=length: path.write_bytes(struct.pack("<Q",
            n) + path.read_bytes()[8:])))  # fmt: skip

# --- Python -----------------------------------------------------------------------------------------------------------

CALLS: list[str] = [
    "layers.Linear(0, 2)", "layers.Linear(2, -1)", "layers.Linear(2.5, 1)", "layers.Linear('2', 1)",
    "layers.Dropout(1)", "layers.Dropout(-0.1)", "layers.Dropout(float('nan'))", "layers.Dropout('half')",
    "layers.BatchNorm(0)",
    "layers.BatchNorm(2, momentum=float('nan'))", "layers.BatchNorm(2, momentum=2)", "layers.BatchNorm(2, epsilon=-1)",
    "layers.BatchNorm(2, epsilon=float('nan'))", "layers.BatchNorm('2')", "layers.Chain(3)", "layers.Chain('linear')",
    "layers.named('none')",
    "activations.LeakyReLU(float('nan'))", "activations.LeakyReLU('a')", "activations.LeakyReLU(float('inf'))",
    "activations.named('no-such')",
    "penalties.L2(-1)", "penalties.L2('a')", "penalties.L2(float('nan'))", "penalties.L1(None)", "penalties.MaxNorm(0)",
    "updates.Momentum('a')", "updates.Momentum(float('nan'))", "updates.Adam(beta1=1)", "updates.Adam(epsilon=-1)",
    "updates.RMSprop(decay=None)",
    "updates.StepDecay(0.5, every=0)", "updates.StepDecay(float('nan'))", "updates.CosineDecay(final=-1)",
    "updates.InverseTimeDecay(decay=-5)",
    "losses.Huber(0)", "losses.Huber(float('nan'))", "losses.Huber('a')", "losses.Hinge(power=3)",
    "losses.Hinge(margin=float('inf'))",
    "losses.CrossEntropy(label_smoothing=2)", "losses.MulticlassHinge(over='some')", "losses.SquaredError(through=3)",
    "losses.named('none')",
    "models.LinearRegression(0)", "models.LinearRegression(2, scale=float('nan'))", "models.SoftmaxClassifier('a', 2)",
    "models.TwoLayerNet(4, 8, 3)", "models.TwoLayerNet(4, 3, hidden=0)", "models.TwoLayerNet(4, 3, dropout=1)",
    "data.load('no-such')", "data.load('')", "data.load('a\\0b')", "data.load('moons', samples=0)",
    "data.load('moons', no_such=1)",
    "data.Samples(None)", "data.Samples('abc')", "data.Samples([[1, 2], [3]])", "data.Samples([[1], [2]], [1])",
    "data.Samples([[float('nan')]], [1])",
    "data.split(data.load('moons').train, 2)", "data.split(data.load('moons').train, 'a')",
    "data.load('moons').train.with_class_weight('none')",
    "neighbours.NearestNeighbours(0)", "neighbours.NearestNeighbours('a')",
    "neighbours.NearestNeighbours(3).neighbours([[1.0]])",
    "features.hog.hog([1, 2, 3])", "features.colour.hue_histogram(None)", "graph.parse('')", "graph.parse(3)",
    "graph.parse('a' * 10**6 + '+')",
    "landscape.grid([1.0, 2.0], [0.0], losses.Huber())", "landscape.grid([], [], losses.Huber())",
    "landscape.grid([1.0], [1.0], losses.Huber(), w=(1, 0, 5))",
 "landscape.grid([1.0], [1.0], losses.Huber(), w='a')",
    "experiment.load('none')", "history.History.load('none')", "descend(None, None, None, rate=1)",
    "descend(models.LogisticRegression(2), losses.Logistic(), data.load('moons').train, rate=float('nan'))",
    "minimise.minimise('x**2', {'x': float('nan')})", "minimise.minimise('x', {'x': 1}, rate=-1)",
]  # fmt: skip
for code in CALLS:
    add(code, ["call", code])

# --- the warm process -------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answers each line on stdin, a case's words and folder, with what a fork of this process did with them."""
    import edunn
    from edunn import cli

    for name in dir(edunn):
        getattr(edunn, name)
    for name in cli.COMMANDS:
        __import__(f"edunn.cli.{name}")
    import pandas  # noqa: F401
    import torch

    import edunn.figures

    torch.set_num_threads(1)  # a fork has no threads of its parent's
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.monotonic()
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.write(writing, str(resident()).encode())
            fork(asked["words"], asked["folder"])
        start = float(os.read(reading, 99))
        _, status, used = os.wait4(process, 0)
        os.close(reading)
        os.close(writing)
        code = os.waitstatus_to_exitcode(status)
        mib = (used.ru_maxrss - start) / 1024
        answer = {"code": code, "seconds": time.monotonic() - begun, "cpu": used.ru_utime + used.ru_stime, "mib": mib}
        print(json.dumps(answer), file=answers, flush=True)


def resident() -> float:
    """KiB of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


def fork(words: list[str], folder: str) -> None:
    """Runs a command in this process, and ends it."""
    signal.alarm(KILLED)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
    os.chdir(folder)
    os.environ.update({"EDUNN_CACHE": f"{folder}.cache", "TMPDIR": folder, "HOME": folder})
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdin = open(os.devnull)  # noqa: SIM115
    code = 70
    try:
        code = call(words[1]) if words[0] == "call" else command(words)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 70
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def command(words: list[str]) -> int:
    from edunn.cli import main

    return main(words)


def call(code: str) -> int:
    """Evaluates a call that must raise an EdunnError. The package's modules are names in it."""
    import edunn

    try:
        print(repr(eval(code, {name: getattr(edunn, name) for name in dir(edunn)})))
    except edunn.EdunnError as error:
        print(f"edunn: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    serve()
    sys.exit()

# --- the tests --------------------------------------------------------------------------------------------------------


class Warm:
    """The warm process, and the folders of its cases."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)  # fmt: skip

    def run(self, words: list[str], folder: Path) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"words": words, "folder": str(folder)}), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        answer["said"] = Path(f"{folder}.err").read_text(errors="replace")
        answer["printed"] = Path(f"{folder}.out").read_text(errors="replace")
        return answer


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """A warm process, and what the cases are made from: a genuine run, and a folder of shards."""
    found = Warm(tmp_path_factory.mktemp("bad"))
    work = found.top / "work"
    work.mkdir()
    common_files(work)
    for words in (
        [
            "train",
            "moons.toml",
            "--set",
            "data.path=table.csv",
            "--set",
            "features.standardise=true",
            "--out",
            "../genuine",
        ],
        ["data", "shards", "moons", "--out", "../shards"],
    ):
        answer = found.run(words, work)
        assert answer["code"] == 0, answer["said"]
    yield found
    with found.process:  # closes its streams: it ends, and is waited for
        pass


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below a folder, a file with its size and time of change."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            state = os.lstat(os.path.join(top, name))
            changed = (0, 0) if name in folders else (state.st_size, state.st_mtime_ns)
            found[os.path.relpath(os.path.join(top, name), folder)] = changed
    return found


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, warm: Warm) -> None:
    case = CASES[name]
    here = warm.top / "case"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    common_files(here)
    case.files(here)
    before = listing(here)
    answer = warm.run(case.words, here)
    said = answer["said"]
    assert "Traceback" not in said, said
    assert answer["code"] == 2, f"exit {answer['code']}: {answer['printed'][:300]} {said}"
    assert answer["printed"] == ""
    (line,) = [line for line in said.splitlines() if not line.startswith("note: ")] or [""]
    assert line.startswith("edunn: ")
    assert len(line) < 1000  # where all exercises are named
    assert case.says in line
    assert answer["cpu"] < SECONDS
    assert answer["mib"] < MIB
    left = {name: state for name, state in listing(here).items() if before.get(name) != state}
    assert left == {}


def test_the_table_is_long() -> None:
    assert len(CASES) >= 400
