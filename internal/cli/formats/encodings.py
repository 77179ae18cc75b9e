"""Bytes of a file as text: UTF-8, or the encoding that a byte order mark or the caller names. Pure.

An encoding is never guessed: a wrong guess changes names without a word. A file of another kind is
called what it is, with the way out of it.
"""

import codecs
import re

import typer

from internal.kernel import cards, texts

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # opens like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZIP = b"PK\x03\x04"
_ZIPPED = (
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)"),
    (b"Index/Document.iwa", "a Numbers spreadsheet"),
    (b"xl/", "an Excel workbook (.xlsx)"),
)
_KINDS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls) or another Office file"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"%PDF-", "a PDF"),
)
_SPREADSHEET = "save it as CSV UTF-8 and use that file"
_LINE_END = re.compile(rb"\r\n|\r|\n")
LOOK_BYTES = 4_096
SHOWN_BYTES = 12
"""On either side of a byte that is not UTF-8."""
OLD_WINDOWS = "windows-1252"


def decode(data: bytes, encoding: str, option: str) -> str:
    """Return the text of a file, without its byte order mark.

    Args:
        data: the whole file.
        encoding: its encoding, by a name that Python knows; empty for UTF-8 or its mark.
        option: the option that names an encoding; empty for a command that has none.

    Raises:
        typer.BadParameter: it is not text in this encoding; the message goes after the file's name.
    """
    if encoding:
        return _named(data, encoding, option)
    if kind := _kind_of(data):
        raise _refused(kind)
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return _marked(data.removeprefix(mark), marked)
    if b"\0" in data[:LOOK_BYTES]:
        raise _refused(_of_zeros(data, option))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _refused(_of_old_windows(data, error.start, option)) from error


def _refused(what: str) -> typer.BadParameter:
    return typer.BadParameter(what, param_hint="FILE")


def _named(data: bytes, encoding: str, option: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        what = f"no encoding is called {encoding!r}; two are utf-8 and {OLD_WINDOWS}"
        raise typer.BadParameter(what, param_hint=option) from error
    except UnicodeError as error:
        line_no = _line_of(data, getattr(error, "start", 0))
        raise _refused(f"is not text in {encoding}: see line {line_no}") from error


def _marked(data: bytes, encoding: str) -> str:
    """Decode the bytes after a byte order mark."""
    name = encoding[:6].upper()
    if not data:
        raise _refused(f"is empty but for a byte order mark of {name}; text in UTF-8 is expected")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _refused(f"opens as {name}, but is damaged after {error.start} bytes") from error


def _kind_of(data: bytes) -> str:
    """Return the kind of a file that is not text; empty for text, perhaps."""
    if data.startswith(_ZIP):
        kind = next((kind for part, kind in _ZIPPED if part in data), "a ZIP archive")
        return f"is {kind}: {_SPREADSHEET}"
    kind = next((kind for opening, kind in _KINDS if data.startswith(opening)), "")
    return f"is {kind}: {_SPREADSHEET}" if kind else ""


def _of_zeros(data: bytes, option: str) -> str:
    """Describe bytes with zeros among them: UTF-16 without its mark, or not text."""
    opening = data[:LOOK_BYTES]
    even, odd = opening[::2].count(0), opening[1::2].count(0)
    name = "utf-16-be" if even > odd else "utf-16-le"
    shown = opening.decode(name, errors="ignore")
    is_rare = 3 * max(even, odd) < len(opening)
    if is_rare or min(even, odd) or texts.fault_of_note(shown):
        return f"is not text: line {_line_of(data, data.index(0))} has a zero byte"
    hint = f"{option} {name} reads it" if option else "save it as UTF-8"
    return f"is UTF-16 without a byte order mark: {hint}"


def _of_old_windows(data: bytes, place: int, option: str) -> str:
    """Describe bytes that are not UTF-8: most often an older encoding of Windows."""
    fault = f"is not UTF-8: line {_line_of(data, place)} has the byte 0x{data[place]:02X}"
    around = data[max(0, place - SHOWN_BYTES) : place + SHOWN_BYTES + 1]
    try:
        shown = _LINE_END.split(around)
        text = cards.redact(b" ".join(shown).decode(OLD_WINDOWS))
    except UnicodeDecodeError:
        return f"{fault}, which is not Windows-1252 either"
    reads = f"as Windows-1252, which spreadsheets write, it reads {text!r}"
    hint = f"if that is right, {option} {OLD_WINDOWS}; or " if option else ""
    return f"{fault}; {reads}: {hint}save it as UTF-8 (in Excel: CSV UTF-8)"


def _line_of(data: bytes, place: int) -> int:
    return len(_LINE_END.findall(data, 0, place)) + 1
