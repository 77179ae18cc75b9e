"""`souk products import` beside a running engine: files of spreadsheets, and what is sold."""

from pathlib import Path

import pytest

from tests.integration import test_cli

bare, data, souk = test_cli.bare, test_cli.data, test_cli.souk
MINE = ("--merchant", "demo")
SKU = "Z/ 12  16½"
SHEET = (
    "sep=;\r\nSKU;Name;Price;Currency;Tax_code;;\r\n"
    f"{SKU};Café crème;1,50;EUR;standard;;\r\n"
    "Z/ 13;東京\u3000茶 \U0001f468\u200d\U0001f469;2,50;EUR;standard;;\r\n"
)
IN_BERLIN = ("--store", "berlin")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to import."""
    return tmp_path / "products.csv"


def test_a_file_of_a_spreadsheet_is_imported_and_sold(souk: test_cli.Souk, file: Path) -> None:
    file.write_bytes(SHEET.encode("utf-16"))
    said = souk("products", "import", str(file), *MINE, "--json")
    assert said.json == {"new": 2, "changed": 0, "unchanged": 0}
    listed = souk("products", "list", *MINE, "--after", "Z", "--limit", "1")
    assert f"{SKU} " in listed.out
    assert f"--after '{SKU}'" in listed.err
    assert souk("stock", "receive", f"{SKU}=2", *IN_BERLIN, *MINE).code == 0
    line = ("--line", f"{SKU}=2@1.50", "--pay", "cash", "--wait", "--json")
    sold = souk("orders", "submit", *IN_BERLIN, *line)
    assert (sold.code, sold.json["order"]["lines"][0]["name"]) == (0, "Café crème")
    assert souk("check", "--json").code == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le"])
def test_a_file_may_be_imported_again_in_another_encoding(
    souk: test_cli.Souk, file: Path, encoding: str
) -> None:
    file.write_bytes(SHEET.encode(encoding))
    named = ("--encoding", encoding) if encoding == "utf-16-le" else ()
    assert souk("products", "import", str(file), *MINE, *named).code == 0


def test_an_old_encoding_is_named_and_read_only_when_told(souk: test_cli.Souk, file: Path) -> None:
    file.write_bytes(SHEET.partition("Z/ 13")[0].encode("windows-1252"))
    said = souk("products", "import", str(file), *MINE)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "is not UTF-8: line 3 has the byte 0xBD" in said.err
    assert "--encoding windows-1252" in said.err
    told = souk("products", "import", str(file), *MINE, "--encoding", "windows-1252", "--json")
    assert told.code == 0


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 xl/workbook.xml", "is an Excel workbook (.xlsx): save it as CSV UTF-8"),
        (b"\x00\x01\x02", "is not text"),
    ],
)
def test_a_file_that_is_no_table_is_told_in_one_line(
    souk: test_cli.Souk, file: Path, content: bytes, what: str
) -> None:
    file.write_bytes(content)
    said = souk("products", "import", str(file), *MINE)
    assert said.code != 0
    assert what in said.err
    assert said.err.count("\n") == 1


def test_a_note_forges_no_line_on_the_receipt(souk: test_cli.Souk) -> None:
    note = ("--note", "thanks\nPaid by cash  9.99 EUR\u200f", "--order-id", "forged-1")
    line = ("--line", "COFFEE-250", "--pay", "cash")
    assert souk("orders", "submit", *IN_BERLIN, *line, *note).code == 0
    assert r"note: thanks\nPaid by cash  9.99 EUR\u200f" in souk("orders", "get", "forged-1").out
    shown = souk("orders", "get", "forged-1", "--json")
    assert "\u200f" not in shown.out
    assert shown.json["note"] == note[1]
    refused = souk("orders", "submit", *IN_BERLIN, *line, "--note", "a\x1b[2J")
    assert (refused.code, "no control characters" in refused.err) == (1, True)
