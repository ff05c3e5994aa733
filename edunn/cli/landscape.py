"""Computes the surface of a loss over (w, b), or over a plane of a run's weights, and reports on it.

The data is random, or two columns of a CSV file. The labels of a binary problem are 0 and 1, or -1
and +1; they are converted to those of the loss. Writes surface.npz, summary.json and the figures to
--out.
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import emit, note
from .drawing import Drawing
from .landscape_options import Options, add_arguments, parse_options
from .table_options import table_options

if TYPE_CHECKING:
    from ..experiment.folder import RunFolder
    from ..runtime.processes import OneProcess

EXAMPLE = (
    "edunn landscape --problem binary --loss mse --activation sigmoid --w=-20:20:512 \\\n"
    "      --b=-20:20:512 --compare bce\n"
    "  edunn landscape --data points.csv --x x --y y --loss bce --w=-10:10:61 \\\n"
    "      --b=-10:10:61 --basins --steps 3000\n"
    "  edunn landscape --run runs/digits_softmax-20260101-120000 --plane principal"
)


arguments = add_arguments


def run(args: argparse.Namespace) -> int:
    """Computes the surfaces, writes their folder, and prints the reports. Returns 0."""
    from ..experiment.folder import RunFolder
    from ..runtime.processes import ranks

    start, processes = time.perf_counter(), ranks()
    options = parse_options(args)

    request = {k: v for k, v in vars(args).items() if k not in ("json", "quiet", "out", "force")}
    request["command"] = "landscape"

    def free_folder() -> RunFolder:
        folder = RunFolder(args.out) if args.out else RunFolder.fresh("landscape")
        folder.force = args.force
        folder.check_free(request)
        return folder

    folder = processes.lead(free_folder)
    drawings, about = from_run(args, options, processes) if args.run else from_problem(args, options, processes)

    def write() -> None:
        folder.claim(request)
        for k, drawing in enumerate(drawings):
            name = "surface.npz" if k == 0 else f"surface-{drawing.name}.npz"
            drawing.report.surface.save(folder.file(name))
        summary = about | drawings[0].summary()
        if len(drawings) > 1:
            summary["compare"] = drawings[1].summary()
        summary |= {"figures": [], "out": str(folder.path), "total_seconds": time.perf_counter() - start}
        folder.write_json("summary.json", summary)
        if not args.no_figures:
            summary["figures"] = draw(args, options, drawings, folder)
            summary["total_seconds"] = time.perf_counter() - start
            folder.write_json("summary.json", summary)
        folder.finish()
        blocks = [str(drawing.report) for drawing in drawings]
        emit(args, summary, "\n\n".join([*blocks, f"written to {shlex.quote(str(folder.path))}"]))

    try:
        processes.lead(write)
    finally:
        folder.release()
    return 0


def from_problem(
    args: argparse.Namespace, options: Options, processes: OneProcess
) -> tuple[list[Drawing], dict[str, Any]]:
    """Computes and reports the (w, b) surfaces of one loss or two, over the same window."""
    from ..landscape import study

    x, y, source = None, None, None
    if args.data:
        x, y = processes.each(lambda: study.read_columns(args.data, args.x, args.y, **table_options(args)))
        source = Path(args.data).name
    names = [args.loss, args.compare] if args.compare else [args.loss]
    studies = study.studies(
        names, x, y, problem=args.problem, activation=args.activation, half=args.half, samples=args.samples,
        seed=options.seed, source=source,
    )  # fmt: skip
    common = {"dtype": options.dtype, "device": options.device, "split": processes.split}
    first = studies[0].grid(options.first, options.second, method=args.method, **common)
    # the second loss has the window of the first
    surfaces = [first, *(case.grid(first.first, first.second, **common) for case in studies[1:])]
    drawings = [
        Drawing(case.name, case.title, surface.report(args.basins, options.rate, options.steps),
                loss=case.name, activation=case.activation, labels=case.labels)
        for case, surface in zip(studies, surfaces, strict=True)
    ]  # fmt: skip
    about = {"problem": studies[0].problem, "data": args.data or "random data", "samples": len(studies[0].x)}
    return drawings, about


def from_run(args: argparse.Namespace, options: Options, processes: OneProcess) -> tuple[list[Drawing], dict[str, Any]]:
    """Computes and reports the surface over a plane of a run's weights."""
    from ..experiment import surface_of_run

    found = surface_of_run(
        args.run, options.plane, options.first, options.second, method=args.method, device=options.device,
        dtype=options.dtype, seed=options.seed, ranks=processes,
    )  # fmt: skip
    surface = found.surface
    drawing = Drawing(
        "run", found.title, surface.report(args.basins, options.rate, options.steps), found.path, loss=surface.loss
    )
    return [drawing], {"run": str(args.run), "plane": found.plane, "samples": surface.known("its samples").samples}


def draw(args: argparse.Namespace, options: Options, drawings: list[Drawing], folder: RunFolder) -> list[str]:
    """Draws the figures as PNG and SVG, and returns their paths."""
    from ..experiment.pictures import save_pictures
    from ..figures.surfaces import report_pictures

    first = drawings[0]
    reports = {drawing.name: drawing.report for drawing in drawings}
    pictures = report_pictures(reports, [d.title for d in drawings], options.cuts, drawings[0].path, args.same_scale)
    written = save_pictures(pictures, folder, lambda text: note(args, text), options.look)
    if args.html and len(first.report.surface.second) > 1:
        from ..figures.interactive import surface_html

        cuts = options.cuts or first.report.cuts
        written.append(str(surface_html(first.report.surface, folder.file("figures/surface.html"), cuts, first.title)))
    note(args, f"figures in {folder.file('figures')}")
    return written
