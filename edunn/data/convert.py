"""Files that are not tables of text, recognised by their suffix or first bytes: the two lines that convert each."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import DataError

ARFF = (
    "import pandas, scipy.io.arff; t = pandas.DataFrame(scipy.io.arff.loadarff({path!r})[0])\n"
    "t.map(lambda v: v.decode() if isinstance(v, bytes) else v).to_csv({csv!r}, index=False)"
)
HDF5 = (
    "import h5py, numpy; f = h5py.File({path!r})\n"
    "numpy.savez({npz!r}, x=f['NAME_OF_FEATURES'][:], y=f['NAME_OF_TARGETS'][:])  # names: list(f)"
)
IDX = (
    "import gzip, numpy; b = {open}({path!r}, 'rb').read(); d = b[3]\n"
    "numpy.save({npy!r}, numpy.frombuffer(b, 'u1', offset=4 + 4 * d).reshape([int.from_bytes(b[4 + 4 * i : 8 + 4 * i]) "
    "for i in range(d)]))"
)
LIBSVM = (
    "import numpy; from sklearn.datasets import load_svmlight_file; x, y = load_svmlight_file({path!r})\n"
    "numpy.savez({npz!r}, x=x.toarray(), y=y)"
)
PANDAS = "import pandas\npandas.{function}({path!r}).to_csv({csv!r}, index=False)"

SUFFIXES = {
    ".arff": ("ARFF", ARFF),
    ".h5": ("HDF5", HDF5), ".hdf5": ("HDF5", HDF5), ".hdf": ("HDF5", HDF5),
    ".json": ("JSON", PANDAS.replace("{function}", "read_json")),
    ".jsonl": ("JSON", PANDAS.replace("{function}({path!r})", "read_json({path!r}, lines=True)")),
    ".xls": ("an old Excel file", PANDAS.replace("{function}", "read_excel") + "  # pip install xlrd"),
    ".dta": ("a Stata file", PANDAS.replace("{function}", "read_stata")),
    ".sas7bdat": ("a SAS file", PANDAS.replace("{function}", "read_sas")),
    ".sav": ("an SPSS file", PANDAS.replace("{function}", "read_spss")),
    ".pkl": ("a pickle, which can run code", PANDAS.replace("{function}", "read_pickle") + "  # if you trust it"),
    ".pickle": ("a pickle, which can run code", PANDAS.replace("{function}", "read_pickle") + "  # if you trust it"),
}  # fmt: skip
STARTS = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unzip it, or call it .xlsx",
    b"PAR1": "parquet; call it .parquet",
    b"\x93NUMPY": "a numpy array; call it .npy",
    b"%PDF": "a PDF, not a table. Save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save it as .xlsx or CSV",
    b"\x80\x04": "a pickle, which can run code; save the table as CSV",
    b"<!DOC": "a web page, not a table. Download the file itself",
    b"<html": "a web page, not a table. Download the file itself",
}


def refuse_other_kinds(path: Path) -> None:
    """Raises an error for a file that is no text, with the two lines that convert it."""
    with path.open("rb") as file:
        start = file.read(512)
    packed = start[:2] == b"\x1f\x8b"
    if packed:
        import gzip

        try:
            with gzip.open(path) as unpacked:
                start = unpacked.read(512)
        except (OSError, EOFError):
            start = b""
    suffix = path.with_suffix("").suffix.lower() if packed and path.suffix.lower() == ".gz" else path.suffix.lower()
    found = SUFFIXES.get(suffix)
    if start[:4] == b"\x89HDF":
        found = ("HDF5", HDF5)
    elif start[:3] == b"\0\0\x08" and start[3:4] in (b"\1", b"\2", b"\3", b"\4"):
        found = ("idx, as MNIST is published", IDX)
    elif re.match(rb"[+-]?[\d.]+( +\d+:[-+\d.eE]+)+ *\r?\n", start):
        found = ("in the format of LIBSVM", LIBSVM)
    elif b"@relation" in start.lower() and b"@attribute" in start.lower():
        found = ("ARFF", ARFF)
    if found is not None:
        what, lines = found
        stem = path.name.split(".")[0]
        text = lines.format(path=str(path), csv=f"{stem}.csv", npz=f"{stem}.npz", npy=f"{stem}.npy",
                            open="gzip.open" if packed else "open")  # fmt: skip
        raise DataError(f"'{path}' is {what}. Two lines of Python convert it:\n{text}")
    for signature, hint in STARTS.items():
        if start.startswith(signature):
            raise DataError(f"'{path}' is {hint}.")
