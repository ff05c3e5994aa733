"""Counts what the surface kernels cost on a GPU, without one: compiled by Triton, read back from the machine code.

    python scripts/bench/kernel.py [--json] [--samples N]

Needs the extra `kernels` (Triton), whose wheel brings the assembler and the disassembler. For each kernel, on sm_80 and
sm_90: registers, spills, and per grid point and sample the instructions, special-function operations (MUFU), float64
operations and shuffles. They are counted over the innermost loop, and the loops around it by their share; what happens
once a row (the coefficients) is left out: over 1,024 columns it is a hundredth of the whole.

`estimate` is the roofline that follows for an A100 or H100, in evaluations of the loss at a sample per second: the
least of what the schedulers issue, what the special-function units and what the float64 units deliver. It is an
estimate, not a measurement. `before` is the first kernel of this package, whose lanes lay along the samples.

The largest relative errors are those of Triton's interpreter against float64: N samples, and w = 0 among the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")  # multiply-adds, as on every GPU so far

import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from edunn import landscape, losses
from edunn.activations import Sigmoid
from edunn.landscape.kernels import factored, ramps, softmax
from edunn.landscape.kernels.pieces import LANES

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"

# streaming multiprocessors, GHz, and what one of them does in a cycle: lanes issued, MUFU, float64
CARDS = {80: ("A100", 108, 1.41, 128, 16, 32), 90: ("H100", 132, 1.755, 128, 16, 64)}


@triton.jit
def before(
    w_ptr, b_ptr, x_ptr, y_ptr, out_ptr, rows, columns, samples,
    SQUARES: tl.constexpr, R: tl.constexpr, C: tl.constexpr, N: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """The first kernel: 16 samples lie across the lanes, and every step ends in a reduction over them."""
    i = tl.program_id(0) * R + tl.arange(0, R)
    j = tl.program_id(1) * C + tl.arange(0, C)
    w = tl.load(w_ptr + i, mask=i < rows, other=0.0)
    b = tl.load(b_ptr + j, mask=j < columns, other=0.0)
    total = tl.zeros((R, C), dtype=T)
    for start in range(0, samples, N):
        k = start + tl.arange(0, N)
        inside = k < samples
        x = tl.load(x_ptr + k, mask=inside, other=0.0)
        y = tl.load(y_ptr + k, mask=inside, other=0.0)
        z = w[:, None, None] * x[None, None, :] + b[None, :, None]
        if SQUARES:
            e = tl.exp(-tl.abs(z))
            p = tl.where(z >= 0, 1.0, e) / (1.0 + e)
            term = (p - y[None, None, :]) * (p - y[None, None, :])
        else:
            term = tl.maximum(z, 0.0) - y[None, None, :] * z + tl.log(1.0 + tl.exp(-tl.abs(z)))
        total += tl.sum(tl.where(inside[None, None, :], term, 0.0), axis=2)
    tl.store(out_ptr + i[:, None] * columns + j[None, :], total, mask=(i < rows)[:, None] & (j < columns)[None, :])


@dataclass(frozen=True)
class Subject:
    """A kernel to compile. A round of its innermost loop serves `points` grid points, and `samples` for each `loads`
    loads that stand in it (the assembler may unroll it); the loop around it goes round once in `rounds` of them."""

    function: Any
    signature: dict[str, str]
    constants: dict[str, Any]
    warps: int
    points: float
    samples: float
    loads: int
    rounds: int


def subjects() -> dict[str, Subject]:
    """Returns the kernels, as they are launched for a wide grid and many samples."""
    result = {}
    for dtype, name in (("fp32", "f32"), ("fp64", "f64")):
        single = dtype == "fp32"
        for loss, squares in (("bce", False), ("mse", True)):
            loss_of = losses.SquaredError(through=Sigmoid()) if squares else losses.BinaryCrossEntropy()
            how = factored.recipe(
                one_feature(loss_of, torch.zeros(1, dtype=torch.float32 if single else torch.float64))
            )
            tensors = {
                "coefficient_ptr": f"*{dtype}",
                "tile_ptr": f"*{dtype}",
                "shift_ptr": "*fp64",
                "out_ptr": "*fp64",
            }
            sizes = {"groups": "i32", "columns": "i32", "stride": "i32"}
            constants = {"K": how.group, "RUN": how.run, "C": 1024}
            function = factored.sum_squares if squares else factored.sum_logarithms
            result[f"{name}_{loss}"] = Subject(
                function, tensors | sizes, constants, 4, LANES, how.group, how.coefficients, how.run
            )
            old = dict.fromkeys(("w_ptr", "b_ptr", "x_ptr", "y_ptr", "out_ptr"), f"*{dtype}")
            old |= {"rows": "i32", "columns": "i32", "samples": "i32"}
            constants = {"SQUARES": squares, "R": 8, "C": 32, "N": 16, "T": tl.float32 if single else tl.float64}
            result[f"{name}_{loss}_before"] = Subject(before, old, constants, 4, 8 * 32 / 128, 16, 0, 1)
        tensors = dict.fromkeys(("power_ptr", "slope_ptr", "about_ptr"), f"*{dtype}") | {"shift_ptr": "*fp64"}
        signature = tensors | {"out_ptr": "*fp64", "samples": "i32", "columns": "i32", "stride": "i32"}
        constants = {"CLASSES": 10, "RUN": softmax.RUN, "C": 1024}
        result[f"{name}_softmax"] = Subject(softmax.sum_logarithms, signature, constants, 4, LANES, 1, 2, 10)
        names = ("a_ptr", "b_ptr", "base_ptr", "first_ptr", "second_ptr")
        signature = dict.fromkeys(names, f"*{dtype}") | {"out_ptr": "*fp64", "delta_ptr": f"*{dtype}"}
        signature |= {"terms": "i32", "columns": "i32"}
        constants = {"KIND": ramps.RAMP, "RUN": ramps.RUN, "C": 1024}
        result[f"{name}_hinge"] = Subject(ramps.sum_ramps, signature, constants, 4, LANES, 1, 3, ramps.RUN)
    return result


# ---- the machine code ------------------------------------------------------------------------------------------------

OPERATION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*)")
LABEL = re.compile(r"^\s*(\.L_\w+):")


@dataclass(frozen=True)
class Loop:
    """A backward branch: the operations between its label and itself."""

    first: int
    last: int


def compile_for(subject: Subject, architecture: int) -> tuple[str, str]:
    """Returns a kernel's machine code as text, and the assembler's account of its resources."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = ASTSource(
            subject.function, subject.signature | dict.fromkeys(subject.constants, "constexpr"), subject.constants
        )
        compiled = triton.compile(source, GPUTarget("cuda", architecture, 32), {"num_warps": subject.warps})
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder, "kernel.cubin")
        binary.write_bytes(compiled.asm["cubin"])
        code = subprocess.run([TOOLS / "nvdisasm", "-c", binary], capture_output=True, text=True, check=True).stdout
        usage = subprocess.run([TOOLS / "cuobjdump", "-res-usage", binary], capture_output=True, text=True, check=True)
    return code, usage.stdout


def read(code: str) -> tuple[list[str], list[Loop]]:
    """Returns the operations in order, and the loops among them, innermost first."""
    operations: list[str] = []
    labels: dict[str, int] = {}
    branches: list[tuple[int, str]] = []
    for line in code.splitlines():
        if found := LABEL.match(line):
            labels[found[1]] = len(operations)
        elif found := OPERATION.search(line):
            if found[2].startswith("BRA") and (target := re.search(r"\.L_\w+", found[3])):
                branches.append((len(operations), target[0]))
            operations.append(found[2])
    loops = [Loop(labels[name], at) for at, name in branches if name in labels and labels[name] < at]
    return operations, sorted(loops, key=lambda loop: loop.last - loop.first)


def tally(operations: list[str], start: str | tuple[str, ...] = "") -> int:
    """Returns how many operations begin with a name; all, without one. NOP fills space and is not issued."""
    return sum(operation.startswith(start or "") and operation != "NOP" for operation in operations)


KINDS: dict[str, str | tuple[str, ...]] = {
    "instructions": "", "special": "MUFU", "shuffles": "SHFL", "double": ("DFMA", "DADD", "DMUL", "DSETP"),
    "barriers": "BAR",
}  # fmt: skip


def measure(subject: Subject, architecture: int) -> dict[str, float]:
    """Returns the counts of a kernel per grid point and sample, and the roofline that follows."""
    code, usage = compile_for(subject, architecture)
    operations, loops = read(code)
    nest = [loops[0]]  # the innermost, and those around it
    nest += [loop for loop in loops[1:] if loop.first <= loops[0].first and loops[0].last <= loop.last]
    inner = operations[nest[0].first : nest[0].last + 1]
    unrolled = max(1, tally(inner, "LDG") // subject.loads) if subject.loads else 1
    work = subject.points * subject.samples * unrolled
    result = {name: tally(inner, kind) / work for name, kind in KINDS.items()}
    if len(nest) > 1:  # what the next loop adds, once in `rounds` groups
        outer = operations[nest[1].first : nest[0].first] + operations[nest[0].last + 1 : nest[1].last + 1]
        for name, kind in KINDS.items():
            result[name] += tally(outer, kind) / (subject.points * subject.samples * subject.rounds)
    _, processors, clock, lanes, special, double = CARDS[architecture]
    cycles = {"issue": result["instructions"] / lanes, "special": result["special"] / special}
    cycles["double"] = result["double"] / double
    bound = max(cycles, key=lambda name: cycles[name])
    result |= {"registers": int(re.search(r"REG:(\d+)", usage)[1]), "spills": tally(operations, ("STL", "LDL"))}  # type: ignore[index]
    return result | {"estimate": processors * clock * 1e9 / cycles[bound], "bound": bound}  # type: ignore[dict-item]


# ---- the numbers, in the interpreter ---------------------------------------------------------------------------------


def one_feature(loss: losses.Loss, x: torch.Tensor) -> Any:
    """Returns the plane of a loss on (w, b), with bits for targets."""
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(2, (len(x),), generator=generator).to(x)
    ones = torch.ones_like(x)
    return landscape.planes.Plane(loss, y, torch.zeros_like(x), x, ones, one_feature=True)


def interpreted_error(dtype: torch.dtype, samples: int) -> float:
    """Returns the largest relative error of cross-entropy on a small grid whose rows include w = 0."""
    from edunn.landscape import kernels

    x = torch.randn(samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    plane = one_feature(losses.BinaryCrossEntropy(), x)
    a, b = torch.tensor([-1.5, 0.0], dtype=torch.float64), torch.linspace(-3, 3, 5, dtype=torch.float64)
    found = kernels.grid(plane, a, b)[0].double()
    true = landscape.direct.plain(plane.to(torch.float64), a, b)[0]
    return float(((found - true) / true).abs().max())


def interpret(dtype: str, samples: int) -> float:
    """Returns `interpreted_error` from a process of its own, because Triton is either compiled or interpreted."""
    command = [sys.executable, __file__, "--interpret", dtype, "--samples", str(samples)]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--samples", type=int, default=100_000, help="samples in the interpreter (default: 100,000)")
    parser.add_argument("--interpret", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.interpret:
        print(interpreted_error(getattr(torch, given.interpret), given.samples))
        return
    rows = {}
    for architecture, card in CARDS.items():
        for name, subject in subjects().items():
            rows[f"sm_{architecture} {name}"] = {"card": card[0]} | measure(subject, architecture)
    of = {name.removeprefix("sm_90 "): row for name, row in rows.items() if name.startswith("sm_90")}
    ours = [row for name, row in rows.items() if not name.endswith("before")]
    result = {
        "spills": sum(row["spills"] for row in ours),
        "f32_bce_instructions": of["f32_bce"]["instructions"],
        "f32_mse_instructions": of["f32_mse"]["instructions"],
        "f64_bce_instructions": of["f64_bce"]["instructions"],
        "shuffles": max(row["shuffles"] for row in ours),
        "estimated_over_before": min(
            of[name]["estimate"] / of[f"{name}_before"]["estimate"] for name in ("f32_bce", "f64_bce")
        ),
        "f32_error": interpret("float32", given.samples),
        "f64_error": interpret("float64", given.samples),
        "kernels": rows,
    }
    if given.json:
        print(json.dumps(result))
        return
    heads = ("registers", "instructions", "MUFU", "float64", "shuffles", "estimate")
    print(f"{'kernel':24}" + "".join(f"{head:>13}" for head in heads) + "  bound")
    for name, row in rows.items():
        print(
            f"{name:24}{row['registers']:13}{row['instructions']:13.2f}{row['special']:13.3f}{row['double']:13.2f}"
            f"{row['shuffles']:13.3f}{row['estimate']:13.2g}  {row['bound']}"
        )
    print(json.dumps({name: value for name, value in result.items() if name != "kernels"}, indent=2))


if __name__ == "__main__":
    main()
