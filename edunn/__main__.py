"""`python -m edunn`, and the console script."""

from __future__ import annotations

import os
import sys

from .runtime import interrupts


def main() -> None:
    """Runs the command line and exits with its code."""
    if "RANK" not in os.environ:  # torchrun's processes agree on an interrupt by themselves
        interrupts.listen()
    try:
        from .cli import main as run

        code = run()
    except KeyboardInterrupt:
        print("edunn: interrupted", file=sys.stderr)
        code = interrupts.exit_code()
    finally:
        interrupts.ignore()
    sys.exit(code)


if __name__ == "__main__":
    main()
