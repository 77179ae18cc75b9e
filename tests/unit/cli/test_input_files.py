"""Files that commands read."""

import os
import threading
from pathlib import Path

import pytest
import typer

from internal.cli import input_files


def refused(file: Path, chars_max: int = 100) -> str:
    with pytest.raises(typer.BadParameter) as caught:
        input_files.read_text(input_files.checked(file) or file, chars_max, "")
    return str(caught.value.message)


def test_a_missing_file_and_a_folder_are_told_in_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.csv") == f"the file {tmp_path / 'no.csv'} does not exist"
    assert refused(tmp_path) == f"the file {tmp_path} is a folder"


def test_the_file_is_named_in_front_of_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"PK\x03\x04 xl/workbook.xml")
    assert refused(file).startswith(f"{file} is an Excel workbook (.xlsx)")


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("é"))
    writer.start()
    assert input_files.read_text(input_files.checked(pipe) or pipe, 100) == "é"
    writer.join()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_the_limit_is_in_characters(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "long"
    file.write_bytes(("é" * 100).encode(encoding))
    assert len(input_files.read_text(file, 100)) == 100
    file.write_bytes(("é" * 101).encode(encoding))
    assert "more than 100 characters" in refused(file)


def test_no_more_is_read_than_the_limit_needs() -> None:
    assert "more than 100 characters" in refused(Path("/dev/zero"))
