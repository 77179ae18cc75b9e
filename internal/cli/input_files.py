"""Files that commands read, or `-` for standard input: text of limited length."""

import sys
from pathlib import Path

import typer

from internal.cli.formats import encodings

STANDARD_INPUT = Path("-")
BYTES_PER_CHAR_MAX = 4
"""In UTF-8, UTF-16 and UTF-32."""
ENCODING_OPTION = "--encoding"


def checked(value: Path | None) -> Path | None:
    """Return the file if it can be read from; a pipe will do.

    Raises:
        typer.BadParameter: it does not exist, or is a folder.
    """
    if value is not None and value != STANDARD_INPUT and (value.is_dir() or not value.exists()):
        what = "is a folder" if value.is_dir() else "does not exist"
        raise typer.BadParameter(f"the file {value} {what}")
    return value


def read_text(file: Path, chars_max: int, encoding: str | None = None) -> str:
    """Return the text of a file, without a byte order mark.

    Args:
        file: its name, or STANDARD_INPUT.
        chars_max: the most characters it may have.
        encoding: what the command's option --encoding says, perhaps nothing; None for a command
            without it.

    Raises:
        typer.BadParameter: it cannot be read, is not text in its encoding, or is longer than
            `chars_max`.
    """
    bytes_max = BYTES_PER_CHAR_MAX * (chars_max + 1)
    try:
        if file == STANDARD_INPUT:
            data = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(bytes_max + 1)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from error
    text = "" if len(data) > bytes_max else _decoded(file, data, encoding)
    if len(data) > bytes_max or len(text) > chars_max:
        what = f"{file} has more than {chars_max} characters"
        raise typer.BadParameter(what, param_hint="FILE")
    return text


def _decoded(file: Path, data: bytes, encoding: str | None) -> str:
    try:
        return encodings.decode(data, encoding or "", "" if encoding is None else ENCODING_OPTION)
    except typer.BadParameter as error:
        error.message = f"{file} {error.message}" if error.param_hint == "FILE" else error.message
        raise
