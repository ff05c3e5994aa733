"""What is lost when commands are killed, the disk is full, or several processes write into one folder.

    python scripts/bench/faults.py --json --moments 100

Each fault is tried on real commands in processes of their own. After it the same command is given again (a training run
goes on with --resume), and its results are compared with those of an undisturbed run. A try is lost if they differ, if
a file is left over, or if any exit is without its one line. A disk is full where a file may not grow beyond a limit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
DIGITS, MOONS = str(CONFIGS / "digits_softmax.toml"), str(CONFIGS / "moons_logistic.toml")
NET = ["--set", "model.kind=two-layer", "--set", "model.hidden=32", "--set", "train.epochs=12"]
TRAIN = {
    "train": ["train", DIGITS, "--set", "train.epochs=60"],
    "train, dropout": ["train", DIGITS, *NET, "--set", "model.dropout=0.5"],
    "train, batch norm": ["train", DIGITS, *NET, "--set", "model.batchnorm=true"],
    "train, feature cache": ["train", "shapes.toml"],
    "train, adam": ["train", DIGITS, *NET, "--set", "train.rule=adam", "--set", "train.rate=0.01"],
}
OTHERS = {
    "sweep": ["sweep", MOONS, "--over", "model.kind=logistic-regression,two-layer", "--over", "train.epochs=50,400",
              "--set", "data.validation=0.2"],
    "landscape": ["landscape", "--loss", "bce", "--w=-5:5:201", "--b=-5:5:201"],
    "shards": ["data", "shards", "rows.npy", "--targets", "labels.npy", "--shard-mib", "1"],
}  # fmt: skip
IMPORT = {"import": ["data", "import", "cifar-10-binary.tar.gz"]}  # into the cache, which is its folder here
COMMANDS = TRAIN | OTHERS | IMPORT
ARCHIVE = 50 * 10**6  # bytes
# the command, to which an archive of zeros is the published one
DRIVER = """
from edunn.runtime import interrupts
interrupts.listen()  # as the command does before it imports the rest
import dataclasses
from edunn.data import cifar10
cifar10.BINARY = dataclasses.replace(cifar10.BINARY, sha256=SHA256, size=SIZE)
from edunn.__main__ import main
main()
"""
SHAPES = """
data = {name = "shapes", samples = 1500, test = 0.2}
features = {kind = "hog,hue", standardise = true}
model = "softmax"
loss = "cross-entropy"
train = {epochs = 5}
"""
SIGNALS = {"killed (SIGKILL)": signal.SIGKILL, "ended (SIGTERM)": signal.SIGTERM, "interrupted": signal.SIGINT}
EXITS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
LIMITS = [0, 100, 1_000, 3_000, 10_000, 20_000, 40_000, 80_000, 200_000, 1_000_000]  # bytes of the largest file


class Lost(Exception):
    """A try that lost something, and what."""


class Bench:
    """Tries each fault in folders below `top`, and counts what was lost."""

    def __init__(self, top: Path, moments: int, seed: int, faults: list[str]) -> None:
        self.top, self.moments, self.random, self.faults = top, moments, random.Random(seed), faults
        self.rows: list[dict[str, object]] = []
        rows = np.random.default_rng(0).normal(size=(40_000, 20)).astype(np.float32)
        np.save(top / "rows.npy", rows)
        np.save(top / "labels.npy", (rows[:, 0] > 0).astype(np.int64))
        (top / "shapes.toml").write_text(SHAPES)
        (top / "file").write_text("nothing can be made below a file")
        (top / "cifar-10-binary.tar.gz").write_bytes(bytes(ARCHIVE))
        digest = hashlib.sha256(bytes(ARCHIVE)).hexdigest()
        (top / "driver.py").write_text(DRIVER.replace("SHA256", repr(digest)).replace("SIZE", str(ARCHIVE)))
        self.whole: dict[str, tuple[Path, float]] = {}

    def command(self, name: str, out: Path) -> list[str]:
        """The words of a command whose results go to `out`."""
        return COMMANDS[name] if name in IMPORT else [*COMMANDS[name], "--out", str(out)]

    def start(self, words: list[str], out: Path, limit: int | None = None) -> subprocess.Popen[bytes]:
        """Starts a command whose cache of features lies beside the folder of its results."""
        imports = words[:2] == ["data", "import"]

        cache = str(out) if imports else f"{out}.cache"
        environment = os.environ | {"EDUNN_CACHE": cache, "OMP_NUM_THREADS": "1"}
        program = [str(self.top / "driver.py")] if imports else ["-m", "edunn"]
        process = subprocess.Popen(
            [sys.executable, *program, *words], cwd=self.top, env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        if limit is not None:  # Python ignores the signal, so that a write fails, as on a full disk
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code; a traceback is a loss."""
        said = process.communicate(timeout=300)[1].decode(errors="replace")
        if "Traceback" in said or "Exception ignored" in said:
            raise Lost(f"exit {process.returncode} with a traceback: {said[-300:]}")
        return process.returncode

    def undisturbed(self, name: str) -> tuple[Path, float]:
        """The folder of the undisturbed command, and its seconds."""
        if name not in self.whole:
            out, begun = self.top / f"whole {name}", time.perf_counter()
            if self.end(self.start(self.command(name, out), out)) != 0:
                raise RuntimeError(f"the undisturbed {name} failed")
            self.whole[name] = out, time.perf_counter() - begun
        return self.whole[name]

    def finish(self, name: str, out: Path) -> None:
        """Gives the command again until it is done, and compares."""
        again = self.command(name, out) + ["--resume"] * (name in TRAIN)
        whole = self.undisturbed(name)[0]
        if name in TRAIN or not is_done(name, out):
            code = self.end(self.start(again, out))
            if code != 0:
                raise Lost(f"given again, it ended with {code}")
        left = [path.name for path in (*out.rglob("*"), *Path(f"{out}.cache").rglob("*")) if path.suffix == ".part"]
        if left:
            raise Lost(f"left over: {', '.join(left)}")
        one, two = contents(whole), contents(out)
        if one != two:
            differ = sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))
            raise Lost(f"other results: {', '.join(differ)}")

    def attempt(self, fault: str, tries: Iterator[Callable[[Path], None]]) -> None:
        """Counts the losses among the tries, each of which gets a folder that does not exist."""
        if self.faults and not any(word in fault for word in self.faults):
            return

        def attempt_one(number: int, action: Callable[[Path], None]) -> bool:
            out = self.top / f"out-{len(self.rows)}-{number}"
            try:
                action(out)
            except (Lost, subprocess.TimeoutExpired) as error:
                print(f"{fault}, try {number}: {error}", file=sys.stderr)
                return False
            finally:
                shutil.rmtree(out, ignore_errors=True)
                shutil.rmtree(f"{out}.cache", ignore_errors=True)
            return True

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # each waits for a process of its own
            done = list(pool.map(attempt_one, *zip(*enumerate(tries), strict=True)))
        self.rows.append({"fault": fault, "tried": len(done), "lost": done.count(False)})
        print(f"{fault}: {len(done)} tried, {done.count(False)} lost", file=sys.stderr)

    # ---- the faults --------------------------------------------------------------------------------------------------

    def signalled(self, name: str, number: signal.Signals) -> Callable[[Path], None]:
        share = self.random.uniform(0.1, 1.1)  # of the time that the command takes

        def action(out: Path) -> None:
            seconds = self.undisturbed(name)[1]
            process = self.start(self.command(name, out), out)
            time.sleep(share * seconds)
            process.send_signal(number)
            code = self.end(process)
            if code not in (0, EXITS[number]):
                raise Lost(f"the signal ended it with {code}")
            self.finish(name, out)

        return action

    def full(self, name: str, limit: int) -> Callable[[Path], None]:
        def action(out: Path) -> None:
            code = self.end(self.start(self.command(name, out), out, limit))
            if code not in (0, 2):
                raise Lost(f"a full disk ended it with {code}")
            self.finish(name, out)

        return action

    def together(self, name: str, count: int) -> Callable[[Path], None]:
        def action(out: Path) -> None:
            processes = [self.start(self.command(name, out), out) for _ in range(count)]
            codes = sorted(self.end(process) for process in processes)
            if codes != [0] + [2] * (count - 1):
                raise Lost(f"they ended with {codes}")
            if contents(out) != contents(self.undisturbed(name)[0]):
                raise Lost("the one that won has other results")

        return action

    def unwritable(self, name: str) -> Callable[[Path], None]:
        def action(out: Path) -> None:
            below = self.top / "file" / "below"
            code = self.end(self.start(self.command(name, below), below if name in IMPORT else out))
            if code != 2:
                raise Lost(f"it ended with {code}")

        return action

    def damaged(self, file: str, damage: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        def action(out: Path) -> None:
            shutil.copytree(self.undisturbed("train, adam")[0], out)
            (out / file).write_bytes(damage((out / file).read_bytes()))
            for words in (["show", str(out)], ["train", "--resume", str(out)]):
                code = self.end(self.start(words, out))
                if code not in (0, 2):
                    raise Lost(f"edunn {words[0]} ended with {code}")

        return action

    def run(self) -> None:
        names = list(COMMANDS)
        for name in names:  # one at a time, as their seconds are the measure of the moments
            self.undisturbed(name)
        for place, (fault, number) in enumerate(SIGNALS.items()):
            turns = range(place, self.moments, len(SIGNALS))
            chosen = [names[(k // len(SIGNALS) + place) % len(names)] for k in turns]
            self.attempt(fault, (self.signalled(name, number) for name in chosen))
        full = ("train", "sweep", "landscape", "shards", "import")
        self.attempt("full disk", (self.full(name, limit) for name in full for limit in LIMITS))
        self.attempt("a place that cannot be written", (self.unwritable(name) for name in COMMANDS))
        for count in (2, 4):
            self.attempt(f"{count} processes in one folder", (self.together(n, count) for n in ("train", *OTHERS)))
        files = ["config.toml", "manifest.json", "summary.json", "metrics.jsonl", "model.safetensors",
                 "features.safetensors", "checkpoint.safetensors"]  # fmt: skip
        half: Callable[[bytes], bytes] = lambda data: data[: len(data) // 2]  # noqa: E731
        self.attempt("half-written file", (self.damaged(file, half) for file in files))
        edited: Callable[[bytes], bytes] = lambda data: data.replace(b"1", b'"x"').replace(b"[", b"{")  # noqa: E731
        self.attempt("hand-edited file", (self.damaged(file, edited) for file in files))


def is_done(name: str, out: Path) -> bool:
    """Whether a command has written all of its results; then it refuses to do so again."""
    if name == "shards":
        return out.exists()
    return (out / "summary.json").is_file() and not (out / "unfinished").exists()


def contents(out: Path) -> dict[str, object]:
    """What a folder holds, without times and paths; a file that should not be there is a difference as well."""
    found: dict[str, object] = {}
    for path in out.rglob("*"):
        name = str(path.relative_to(out))
        if path.is_dir() or path.suffix in (".png", ".svg") or name in ("best.toml", "manifest.json"):
            found[name] = None
        elif name == "summary.json":
            found[name] = sorted(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            *rows, last = path.read_text().splitlines()
            found[name] = rows, {k: v for k, v in json.loads(last)["end"].items() if k != "seconds"}
        elif path.suffix == ".npz":  # an archive, with the times of its members
            with np.load(path) as arrays:
                about = {k: v for k, v in json.loads(str(arrays["about"])).items() if k != "seconds"}
                found[name] = about | {key: arrays[key].tobytes() for key in arrays if key != "about"}
        elif name == "checkpoint.safetensors":  # it holds the seconds
            found[name] = None
        else:
            found[name] = path.read_bytes()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--moments", type=int, default=100, help="random moments at which a signal is sent")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--faults", nargs="*", default=[], metavar="WORD", help="only those whose name has a word")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.moments, args.seed, args.faults)
        bench.run()
    lost = sum(int(str(row["lost"])) for row in bench.rows)
    if args.json:
        print(json.dumps({"rows": bench.rows, "lost": lost}))
    else:
        for row in bench.rows:
            print(f"{row['fault']:<32} {row['tried']:>4} tried  {row['lost']:>4} lost")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
