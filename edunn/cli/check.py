"""Hold hand-derived gradients against autograd and finite differences.

Without a target: every activation, loss, penalty, layer and model of this package, in float64.
Exit 0: all right; 1: a gradient is wrong.
"""

from __future__ import annotations

import argparse

from .common import add_common, emit

EXAMPLE = "edunn check --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, out="a file for the certificate, as JSON")


def run(args: argparse.Namespace) -> int:
    from ..gradcheck import everything

    certificate = everything(args.seed or 0)
    emit(args, certificate.as_dict(), str(certificate))
    return 0 if certificate.passed else 1
