"""Tables in CSV as spreadsheets write them: rows with their lines, and the faults of lines. Pure.

Columns are separated by commas, semicolons or tabs, or as a first line `sep=;` says. Lines end with
LF, CR LF or CR. A value never has a line break: so a stray quote damages its own line only, and the
mistakes after it are found, too.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SEPARATORS = (",", ";", "\t")
BLANKS = " \t"
_SEP = re.compile(r'"?sep=([^"A-Za-z0-9])"?', re.IGNORECASE)
_MESSAGES = {
    "unexpected end of data": "unexpected end of the line: a quote is opened and not closed",
    "expected after": 'a quote within a value is written twice, "", and the value stands in quotes',
    "field larger": "a value is too long",
}
"""Words for the faults that Python's reader finds."""

Line = tuple[int, str]
Cells = list[str] | str
"""The values of a line without blanks around them, or the line's fault."""


class Columns(NamedTuple):
    """The columns that a table may have."""

    required: Sequence[str]
    optional: Sequence[str] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Return every name."""
        return (*self.required, *self.optional)

    def told(self) -> str:
        """Write the columns for a message."""
        more = "".join(f"[,{name}]" for name in self.optional)
        return f"the columns are {','.join(self.required)}{more}"


class Sheet(NamedTuple):
    """A table; its rows are read while they are asked for."""

    separator: str
    rows: Iterator[tuple[int, dict[str, str] | str]]
    """(line from 1, {column: value} or what is wrong with the line)."""


def read(text: str, columns: Columns) -> Sheet:
    """Read a table whose first line names its columns, in any order and case.

    A table without that line has one row: the fault.
    """
    lines = _lines_of(text)
    separator = ""
    if lines and (told := _SEP.fullmatch(lines[0][1].strip(" "))):
        separator = told[1]
        lines = lines[1:]
    if not separator:
        separator = _separator_of(lines[0][1] if lines else "", columns)
    return Sheet(separator, _rows(lines, separator, columns))


def _lines_of(text: str) -> list[Line]:
    """Return the lines that are not blank, without their ends."""
    lines = enumerate(io.StringIO(text, newline=""), start=1)
    return [(line_no, line.rstrip("\r\n")) for line_no, line in lines if line.strip()]


def _separator_of(header: str, columns: Columns) -> str:
    """Return the separator that splits the header into the most known columns."""

    def known(separator: str) -> tuple[int, int]:
        cells = _split(header, separator)
        names = {cell.lower() for cell in cells} if not isinstance(cells, str) else set()
        return len(names.intersection(columns.all)), header.count(separator)

    return max(SEPARATORS, key=known)


def _split(line: str, separator: str) -> Cells:
    try:
        [cells] = csv.reader([line], delimiter=separator, strict=True)
    except csv.Error as error:
        text = str(error)
        return next((words for sign, words in _MESSAGES.items() if sign in text), text)
    return [cell.strip(BLANKS) for cell in cells]


def _rows(
    lines: Sequence[Line], separator: str, columns: Columns
) -> Iterator[tuple[int, dict[str, str] | str]]:
    names: list[str] = []
    for line_no, line in lines:
        cells = _split(line, separator)
        if isinstance(cells, str):
            yield line_no, cells
            if not names:
                return
        elif not any(cells):
            continue
        elif names:
            yield line_no, _row(names, cells, columns, separator)
        else:
            names = [name.lower() for name in _without_empty_end(cells)]
            if fault := _fault_of_header(names, columns):
                yield line_no, fault
                return


def _without_empty_end(cells: Sequence[str]) -> list[str]:
    """Leave out empty values at the end: spreadsheets write some for columns once used."""
    last = max((place for place, cell in enumerate(cells, start=1) if cell), default=0)
    return list(cells[:last])


def _fault_of_header(names: Sequence[str], columns: Columns) -> str:
    """Return what is wrong with the columns; empty when nothing is."""
    if "" in names:
        return f"column {names.index('') + 1} has no name; {columns.told()}"
    unknown = [name[:64] for name in names if name not in columns.all]
    if unknown:
        return f"no column is called {' or '.join(map(repr, unknown))}; {columns.told()}"
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"the column {twice[0]} is there twice; {columns.told()}"
    missing = [name for name in columns.required if name not in names]
    return f"the column {missing[0]} is missing; {columns.told()}" if missing else ""


def _row(
    names: Sequence[str], cells: Sequence[str], columns: Columns, separator: str
) -> dict[str, str] | str:
    """Return a row by column; it may lack optional columns at its end."""
    given = _without_empty_end(cells)
    if len(given) > len(names):
        sign = "tab" if separator == "\t" else f"'{separator}'"
        hint = f"a value that has a {sign} in it stands in quotes"
        return f"{len(given)} values for {len(names)} columns; {hint}"
    if any(name in columns.required for name in names[len(cells) :]):
        return f"{len(cells)} values for {len(names)} columns"
    return dict.fromkeys(names, "") | dict(zip(names, given, strict=False))
