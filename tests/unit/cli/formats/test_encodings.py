"""Bytes as text: UTF-8 and what says what it is; everything else is called by its name."""

import codecs
import contextlib
import gzip
import io
import zipfile

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from internal.cli.formats import encodings

CAFE = "sku;name\nA-1;Café crème\n"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), min_size=1)


def decode(data: bytes, encoding: str = "") -> str:
    return encodings.decode(data, encoding, "--encoding")


def refused(data: bytes, encoding: str = "", option: str = "--encoding") -> str:
    with pytest.raises(typer.BadParameter) as caught:
        encodings.decode(data, encoding, option)
    return str(caught.value.message)


def archive(*names: str, content: str = "") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name in names:
            opened.writestr(name, content)
    return made.getvalue()


@given(
    TEXT,
    st.sampled_from(
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (codecs.BOM_UTF32_LE, "utf-32-le"),
            (codecs.BOM_UTF32_BE, "utf-32-be"),
        ]
    ),
)
def test_unicode_is_read_by_its_mark(text: str, encoding: tuple[bytes, str]) -> None:
    mark, name = encoding
    data = mark + text.encode(name)
    if not data.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF")):
        assert decode(data) == text


@given(TEXT, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]))
def test_a_named_encoding_is_used(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), encoding) == text


def test_windows_1252_is_named_and_shown_but_not_guessed() -> None:
    data = CAFE.encode("windows-1252")
    said = refused(data)
    assert "is not UTF-8: line 2 has the byte 0xE9" in said
    assert "Windows-1252" in said
    assert "Café crème" in said
    assert "--encoding windows-1252" in said
    assert decode(data, "windows-1252") == CAFE


def test_a_command_without_the_option_does_not_name_it() -> None:
    said = refused(CAFE.encode("windows-1252"), option="")
    assert "Windows-1252" in said
    assert "--encoding" not in said


def test_a_card_number_beside_the_byte_is_not_repeated() -> None:
    assert "4111111111111111" not in refused(b"\xe9 4111111111111111"[:14] + b"11 \xe9")
    assert "411111" not in refused(b"4111111111111\xe9")


@pytest.mark.parametrize("byte", [b"\x81", b"\x9d"])
def test_bytes_that_no_encoding_explains(byte: bytes) -> None:
    assert "not Windows-1252 either" in refused(b"a\r\nb\rc" + byte)
    assert "line 3" in refused(b"a\r\nb\rc" + byte)


@pytest.mark.parametrize(
    ("encoding", "named"), [("utf-16-le", "utf-16-le reads it"), ("utf-16-be", "utf-16-be reads")]
)
def test_utf_16_without_its_mark_is_named(encoding: str, named: str) -> None:
    data = CAFE.encode(encoding)
    assert "UTF-16 without a byte order mark" in refused(data)
    assert named in refused(data)
    assert decode(data, encoding) == CAFE


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx)"),
        (
            archive("mimetype", content="application/vnd.oasis.opendocument.spreadsheet"),
            "an OpenDocument spreadsheet (.ods)",
        ),
        (archive("Index/Document.iwa"), "a Numbers spreadsheet"),
        (archive("readme.txt"), "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an Excel workbook (.xls)"),
        (gzip.compress(CAFE.encode(), mtime=0), "compressed (gzip)"),
        (b"%PDF-1.7 \xe2\xe3", "a PDF"),
        (codecs.BOM_UTF16_LE, "empty but for a byte order mark of UTF-16"),
        (codecs.BOM_UTF16_LE + b"a", "opens as UTF-16, but is damaged"),
        (b"a\nb\x00c", "is not text: line 2 has a zero byte"),
        (b"\x00\x01\x02", "is not text: line 1 has a zero byte"),
        (bytes(64), "is not text: line 1 has a zero byte"),
    ],
)
def test_other_files_are_called_what_they_are(data: bytes, what: str) -> None:
    assert what in refused(data)


def test_a_wrong_name_or_a_wrong_encoding_is_told() -> None:
    assert "no encoding is called 'latin-99'" in refused(b"a", "latin-99")
    assert "no encoding is called 'hex'" in refused(b"61", "hex")
    assert "is not text in shift_jis: see line 2" in refused(b"a\n\xff", "shift_jis")


@given(st.binary(max_size=100), st.sampled_from(["", "windows-1252", "utf-16", "ascii", "hex"]))
def test_any_bytes_are_text_or_a_usage_error(data: bytes, encoding: str) -> None:
    with contextlib.suppress(typer.BadParameter):
        assert isinstance(decode(data, encoding), str)
