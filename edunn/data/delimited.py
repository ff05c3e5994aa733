"""Text between commas, semicolons, tabs, bars or blanks, read through pandas into columns and their names.

pandas parses the cells. What is decided here, and said: the delimiter, whether the first line is a header, the lines
that are not data, and which line of the file a row stands on.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import statistics
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from . import files
from .columns import MISSING, SIGNS, parse_number
from .table_options import BLANKS, TableError, TableOptions

DELIMITERS = "\t,;|"  # of those that do as well, the first
LARGEST = 256 * 2**20  # bytes of a file, which take several times as much while they are read
SNIFFED = 200  # lines in which the delimiter is looked for
LONGEST_LINE = 2**16  # characters of such a line that are looked at
TITLED = 8  # lines from which a title is looked for
ODD = 0.8  # the share of lines with the same number of cells, above which other lines at the top are a title


@dataclass(frozen=True)
class Text:
    """The columns of a text, as pandas has parsed them: numbers, or text as it is written.

    header : whether the names are the file's own; names : "" for a column without one
    lines : the line that each row begins on
    notes : what was decided and can be decided otherwise
    """

    names: list[str]
    values: list[np.ndarray]
    lines: list[int]
    header: bool
    notes: list[str] = field(default_factory=list)


def read_text(path: Path, options: TableOptions) -> Text:
    """Reads a file of text, or a gzip of one."""
    try:
        return Parser(path, options, decode(path, read_content(path), options.encoding)).table()
    except csv.Error as problem:  # a cell of more than 131,072 characters
        raise DataError(
            f"'{path}' cannot be read as a table: {problem}. Look for a double quote without its partner."
        ) from problem


def read_content(path: Path) -> bytes:
    """Returns the bytes of a file, unpacked if they are a gzip."""
    content = files.read_bytes(path, "a table", LARGEST)
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"'{path}' is damaged or cut short ({problem}). Copy or download it again.") from problem
    files.check_size(len(content), str(path), LARGEST)
    return content


def decode(path: Path, content: bytes, encoding: str | None) -> str:
    """Returns the text of a file: UTF-8 with or without a mark, UTF-16 with one, or as `encoding` says."""
    if encoding is None:
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except LookupError:
        raise DataError(
            f"There is no encoding {encoding!r}. Known are utf-8, utf-16, cp1252, latin-1, gbk, …"
        ) from None
    except UnicodeError as problem:
        where = f": byte {content[problem.start]:#04x} at {problem.start}" if hasattr(problem, "start") else ""
        if b"\0" in content[:1000]:
            raise DataError(f"'{path}' is not text. Save the table as CSV.") from problem
        raise TableError(
            f"'{path}' is not text in {'UTF-8' if encoding == 'utf-8-sig' else encoding}{where}.",
            {"encoding": "cp1252"},
            "(Or another encoding that the file was written in; a spreadsheet's own format is not CSV.)",
        ) from problem
    if "\0" in text:
        raise DataError(f"'{path}' holds NUL characters and is not a table of text. Save it as CSV in UTF-8.")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class Parser:
    """The lines of one file that have content, and what is found in them."""

    def __init__(self, path: Path, options: TableOptions, text: str) -> None:
        self.path, self.options, self.notes = path, options, list[str]()
        numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        numbered = self.without_comments(numbered)
        if type(options.header) is int:
            numbered = [(number, line) for number, line in numbered if number >= options.header]
        marked = re.fullmatch(r'"?sep=(.)"?', numbered[0][1].strip()) if numbered else None
        if marked:  # a line that Excel writes and reads
            numbered = numbered[1:]
        self.numbers = [number for number, _ in numbered]
        self.lines = [line for _, line in numbered]
        if not any(line.strip(DELIMITERS + '" \t') for line in self.lines):
            raise DataError(f"'{path}' is empty.")
        self.delimiter = options.delimiter or (marked.group(1) if marked else find_delimiter(self.lines))
        blank = set(self.delimiter + " \t")
        kept = [i for i, line in enumerate(self.lines) if not blank >= set(line)]
        if len(kept) < len(self.lines):
            self.notes.append(f"{len(self.lines) - len(kept)} rows of '{path}' are empty and left out")
            self.numbers, self.lines = [self.numbers[i] for i in kept], [self.lines[i] for i in kept]
        self.quoted = any('"' in line for line in self.lines)

    def without_comments(self, numbered: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Leaves out comments. Without the option these are lines at the top that begin with # or %, and a word."""
        sign = self.options.comment
        if sign is not None:
            cut = [(number, line if '"' in line else line.split(sign)[0]) for number, line in numbered]
            return [(number, line) for number, line in cut if line.strip() and not line.lstrip().startswith(sign)]
        top = 0
        while top < len(numbered) and re.match(r"\s*[#%]+\s*[\w@]", numbered[top][1]):
            top += 1
        if top in (0, len(numbered)):
            return numbered
        # numpy.savetxt writes its header as a comment
        number, line = numbered[top - 1]
        bare = re.sub(r"^\s*[#%]+\s*", "", line)
        sign = find_delimiter([item for _, item in numbered[top : top + SNIFFED]])
        header = len(split(bare, sign)) == len(split(numbered[top][1], sign)) and not is_number(split(bare, sign)[0])
        self.notes.append(
            f"line{'s' if top > 1 else ''} {numbered[0][0]}{f' to {number}' if top > 1 else ''} of '{self.path}' "
            f"{'are comments' if top > 1 else 'is a comment'}" + (", the last with the names" if header else "")
        )
        return [*([(number, bare)] if header else []), *numbered[top:]]

    def table(self) -> Text:
        """Finds the header, and reads the columns."""
        starts, widths = self.records()
        rest = widths[1:] or widths
        width = statistics.mode(rest)
        starts, widths = self.without_title(starts, widths, width)
        first = split(self.line_of(starts, 0), self.delimiter)
        offset = len(first) - width
        named = (offset == 1 and not first[-1]) or offset == -1
        expected = width if named or offset == 0 else len(first)
        body = range(1, len(starts))
        frame = self.read(starts, widths, body, expected) if len(starts) > 1 else []
        if offset == -1 and frame and all(text == "" for text in frame[-1]):
            frame, expected = frame[:-1], width - 1  # each row ends with a delimiter
        elif offset == -1:
            first = ["", *first]  # R writes no name above the names of the rows
        header = self.decide_header(first, frame)
        if not header:
            expected = width
            body = range(len(starts))
            frame = self.read(starts, widths, body, expected)
            first = []
        elif not len(body):
            raise DataError(f"'{self.path}' has no rows under its header.")
        names = self.names_of(first[:expected], expected)
        lines = [self.numbers[starts[row]] for row in body]
        return Text(names, frame, lines, header, self.notes)

    def records(self) -> tuple[list[int], list[int]]:
        """Returns for each record the first of its lines, and its number of cells. A quoted cell may span lines."""
        if not self.quoted or self.delimiter == BLANKS:
            return list(range(len(self.lines))), [count(line, self.delimiter) for line in self.lines]
        starts, widths, start = list[int](), list[int](), 0
        reader = csv.reader((line + "\n" for line in self.lines), delimiter=self.delimiter, skipinitialspace=True,
                            strict=True)  # fmt: skip
        try:
            for cells in reader:
                starts.append(start)
                widths.append(len(cells))
                start = reader.line_num
        except csv.Error as problem:
            raise DataError(
                f"'{self.path}', line {self.numbers[start]}: expected cells between {self.delimiter!r}; got something "
                f"else ({problem}). Look for a double quote without its partner."
            ) from problem
        return starts, widths

    def line_of(self, starts: list[int], record: int) -> str:
        stop = starts[record + 1] if record + 1 < len(starts) else len(self.lines)
        return "\n".join(self.lines[starts[record] : stop])

    def without_title(self, starts: list[int], widths: list[int], width: int) -> tuple[list[int], list[int]]:
        """Leaves out lines at the top that have other numbers of cells than nearly all below them, and notes it."""
        alike = next((i for i, cells in enumerate(widths) if abs(cells - width) <= 1), 0)
        if not alike or self.options.header is not None or len(widths) < TITLED:
            return starts, widths
        if widths.count(width) < ODD * len(widths):
            return starts, widths
        line = self.numbers[starts[alike]]
        self.notes.append(
            f"the table of '{self.path}' begins in line {line}: the lines above have other numbers of cells and are "
            f"left out; header={line} says so, if that line has the names"
        )
        return starts[alike:], widths[alike:]

    def read(self, starts: list[int], widths: list[int], body: range, width: int) -> list[np.ndarray]:
        """Returns the columns of some records, each an array of numbers or of text."""
        for row, record in enumerate(body):
            if widths[record] != width:
                others = sum(widths[r] != width for r in body) - 1
                more = f" So do {others} other rows." if others else ""
                as_in = "as in the header" if body.start else "as in most rows"
                raise DataError(
                    f"'{self.path}', row {row + 1} (line {self.numbers[starts[record]]}): expected {width} cells, "
                    f"{as_in}; got {widths[record]}.{more} A cell that holds the delimiter goes in double quotes."
                )
        return parse("\n".join(self.lines[starts[body.start] :]), self.delimiter, width, len(body), self.path)

    def decide_header(self, first: list[str], frame: list[np.ndarray]) -> bool:
        """Whether the first line holds names and not data."""
        asked = self.options.header
        if asked is not None:
            return asked is not False
        if self.options.names is not None:
            if frame and looks_like_names(first, frame):
                raise TableError(
                    f"The first line of '{self.path}' looks like a header ({', '.join(first[:3])}, …), and names are "
                    f"given as well.",
                    {"header": True},
                    "(Then names replaces the header; header=False makes it a row.)",
                )
            return False
        if not frame:  # one line
            return not all(is_number(cell) for cell in first)
        if looks_like_names(first, frame):
            return True
        listed = ", ".join(first[:3]) + (", …" if len(first) > 3 else "")
        self.notes.append(
            f"the first line of '{self.path}' ({listed}) is data and not a header; its columns are called "
            f"{'x1' if len(first) == 1 else f'x1 … x{len(frame)}'}; "
            f"header=False or names=[…] says so, header=True the opposite"
        )
        return False

    def names_of(self, first: list[str], width: int) -> list[str]:
        """Returns the columns' names: the option's, the header's, or x1, x2, …"""
        if self.options.names is not None:
            if len(self.options.names) != width:
                raise DataError(f"'{self.path}' has {width} columns; names has {len(self.options.names)}.")
            return list(self.options.names)
        if not first:
            return [f"x{i}" for i in range(1, width + 1)]
        seen: dict[str, int] = {}
        for index, name in enumerate(first):
            if name and name in seen:
                raise TableError(
                    f"{name!r} is the name of two columns, {seen[name] + 1} and {index + 1} of '{self.path}'.",
                    {
                        "header": True,
                        "names": [n if n not in first[:i] else f"{n}.{i + 1}" for i, n in enumerate(first)],
                    },
                )
            seen[name] = index
        return first


def parse(text: str, delimiter: str, width: int, rows: int, path: Path) -> list[np.ndarray]:
    """Returns the columns of a text without a header, as pandas reads them: numbers to the last digit, or text."""
    import io

    import pandas

    options: dict[str, Any] = {"float_precision": "round_trip"}  # a later pandas has no other
    if tuple(int(part) for part in pandas.__version__.split(".")[:2]) >= (3, 1):
        options = {}
    sep = r"\s+" if delimiter == BLANKS else delimiter

    def read(**more: Any) -> Any:
        try:
            return pandas.read_csv(
                io.StringIO(text), sep=sep, header=None, names=range(width), index_col=False, keep_default_na=False,
                na_values=[], skipinitialspace=True, low_memory=False, **options, **more,
            )  # fmt: skip
        except (pandas.errors.ParserError, ValueError, OverflowError) as problem:
            raise DataError(f"'{path}' cannot be read as a table: {str(problem).strip()}.") from problem

    frame = read()
    # "TRUE" is kept as it is written
    truths = [name for name in frame.columns if frame[name].dtype == bool]
    if truths:
        frame = frame.astype(dict.fromkeys(truths, object))
        frame[truths] = read(usecols=truths, dtype=str)[truths]
    if len(frame) != rows:
        raise DataError(f"'{path}' has {rows} rows, of which {len(frame)} were read. Look for stray double quotes.")
    columns = [frame[name].to_numpy() for name in frame.columns]
    return [values if values.dtype.kind in "iuf" else values.astype(object) for values in columns]


def split(line: str, delimiter: str) -> list[str]:
    """Splits one record into its cells, stripped."""
    if delimiter == BLANKS:
        return [cell.strip('"') for cell in re.findall(r'(?:"[^"]*"|[^\s"])+', line)]
    cells = next(csv.reader([line] if "\n" not in line else line.splitlines(keepends=True), delimiter=delimiter,
                            skipinitialspace=True), [])  # fmt: skip
    return [cell.strip() for cell in cells]


def count(line: str, delimiter: str) -> int:
    """The number of cells of a line; without quotes, unless blanks are the delimiter."""
    if delimiter == BLANKS:
        return len(split(line, delimiter)) if '"' in line else len(line.split())
    return line.count(delimiter) + 1


def find_delimiter(lines: list[str]) -> str:
    """Finds the sign between the cells: the one that splits the rows alike, into most numbers.

    `temp, C;kind` over `1,0;2` has two cells a row with a comma as with a semicolon; but `0;2` is no number, and `1,0`
    is one with a decimal comma. Blanks separate only where no sign does as well: text has blanks of its own.
    """
    lines = [line[:LONGEST_LINE] for line in lines[:SNIFFED]]

    def merit(sign: str) -> tuple[bool, float, bool, float, int]:
        try:
            header, *body = [split(line, sign) for line in lines]
        except csv.Error:
            return False, 0.0, False, 0.0, 0
        if sign != BLANKS and any('"' in line for line in lines):  # a quoted cell may span lines
            try:
                reader = csv.reader((line + "\n" for line in lines), delimiter=sign, skipinitialspace=True)
                header, *body = [cells for cells in reader if cells]
            except csv.Error:
                return False, 0.0, False, 0.0, 0
        width = statistics.mode(map(len, body)) if body else len(header)
        alike = [cells for cells in body if len(cells) == width]
        cells = [cell.strip() for row in alike[:20] for cell in row]
        numbers = sum(is_number(cell) or (sign != "," and is_number(european(cell))) for cell in cells)
        # a title above the table has other widths: the share of the rows decides
        valid = width > 1 and (abs(len(header) - width) <= 1 or (len(alike) >= ODD * len(body) and len(body) > 5))
        share = round(len(alike) / max(1, len(body)), 1)
        return valid, share, len(header) == width, width * numbers / max(1, len(cells)), width

    best = max(DELIMITERS, key=merit)
    valid, alike, fits, numbers, _ = merit(best)
    blank_valid, blank_alike, blank_fits, blank_numbers, width = merit(BLANKS)
    if not blank_valid or (blank_alike < 1 and blank_alike <= alike) or (fits and valid and not blank_fits):
        return best if valid else max(DELIMITERS, key=lambda sign: len(split(lines[0], sign)))
    better = blank_numbers > numbers + 0.5 and blank_numbers >= width / 2
    return BLANKS if not valid or blank_alike > alike or better else best


def bare(cell: str) -> str:
    """Writes $1,200 and 5% as 1200 and 5."""
    return cell.strip(SIGNS + "% ").replace(",", "")


def european(cell: str) -> str:
    """Writes 1.234,5 as 1234.5."""
    return cell.replace(".", "").replace(",", ".")


def looks_like_names(first: list[str], frame: list[np.ndarray]) -> bool:
    """Whether a first line is a header: text above numbers, or text that never comes again below.

    It is data if it has numbers above numbers, or labels that come again. Numbers that count (0, 1, 2, … or 1960,
    1961, …) are names: pandas and spreadsheets write them.
    """
    names = data = came_again = texts = 0
    for cell, values in zip(first, frame, strict=False):
        if values.dtype.kind in "iuf":
            numeric, again = True, False
        else:
            known = [text for text in map(str.strip, map(str, values)) if text.lower() not in MISSING]
            some = known[:1000]
            numbers = sum(is_number(bare(text)) for text in some)
            numeric, again = bool(some) and numbers >= ODD * len(some), cell in known
        if cell.lower() in MISSING:
            continue
        if numeric:
            data += is_number(bare(cell))
            names += not is_number(bare(cell))
        else:
            texts += 1
            came_again += again
    if counts(first):
        return True
    if came_again and 2 * came_again >= texts and names < data + came_again:
        return False
    return names > 0 if names or data else came_again == 0


def counts(first: list[str]) -> bool:
    """Whether at least four of the cells are whole numbers, each one more than the one before."""
    found = [int(cell) for cell in first if cell.isdecimal()]
    return len(found) > 3 and all(b == a + 1 for a, b in itertools.pairwise(found))


def is_number(cell: str) -> bool:
    number = parse_number(cell, None, None)
    return number is not None and bool(np.isfinite(number))
