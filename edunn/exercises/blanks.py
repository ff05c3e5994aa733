"""The student's file: formula, the package's own functions with blanks, and a class that `edunn check` grades.

The functions are copied from the package's source, so that the two always agree. The solution is the same file with the
source in place of the blanks.
"""

from __future__ import annotations

from .cut import write_imports
from .table import named

FILE = '''"""Exercise {name}: {asked}.

{formula}

{task}, from {files}. Check it:

    edunn check THIS_FILE.py
"""

{imports}


{functions}


class HandIn:
    """What `edunn check` grades: it calls your part, and the package for the rest."""

    task = "{name}"
{adapter}'''


def write_blank(name: str, solution: bool = False) -> str:
    """Returns the text of the student's file; with `solution` the package's code fills the blanks."""
    exercise = named(name)
    imports = [*write_imports(exercise.cut), *exercise.imports]
    return FILE.format(
        name=name, asked=exercise.asked, formula="\n".join(filter(None, [exercise.formula, exercise.given])),
        task="The blanks are filled in with the package's own code" if solution else "Fill in the blanks (every ...)",
        files=", ".join(dict.fromkeys(cut.file for cut in exercise.cut)),
        imports="\n".join(sorted(imports, key=lambda line: line.startswith("from"))),
        functions="\n\n\n".join(cut.write(blank=not solution) for cut in exercise.cut), adapter=exercise.adapter,
    )  # fmt: skip
