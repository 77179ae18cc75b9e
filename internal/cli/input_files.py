"""Files that commands read, or `-` for standard input: text of limited length."""

import sys
from pathlib import Path

import typer

STANDARD_INPUT = Path("-")


def checked(value: Path | None) -> Path | None:
    """Return the file if it exists.

    Raises:
        typer.BadParameter: the file does not exist.
    """
    if value is not None and value != STANDARD_INPUT and not value.is_file():
        what = "is a folder" if value.is_dir() else "does not exist"
        raise typer.BadParameter(f"the file {value} {what}")
    return value


def read_text(file: Path, chars_max: int) -> str:
    """Return the text of a file.

    Raises:
        typer.BadParameter: it cannot be read, is not UTF-8, or is longer than `chars_max`.
    """
    try:
        if file == STANDARD_INPUT:
            text = sys.stdin.buffer.read(4 * chars_max).decode()
        else:
            with file.open(encoding="utf-8", newline="") as opened:
                text = opened.read(chars_max + 1)
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not text in UTF-8", param_hint="FILE") from error
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from error
    if len(text) > chars_max:
        what = f"{file} has more than {chars_max} characters"
        raise typer.BadParameter(what, param_hint="FILE")
    return text
