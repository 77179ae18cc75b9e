"""Text that callers write: every script as it is, nothing that commands a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import texts

SCRIPTS = [
    "ideographic\u3000space",
    "no-break\u00a0space",
    "narrow\u202fspace",
    "zero-width\u200cnon-joiner",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u200fright to left\u200e",
    "\u2068isolated\u2069",
    "\u202aembedded\u202c",
    "16½ \N{LATIN SMALL LETTER A}\N{COMBINING ACUTE ACCENT}",
]
REFUSED = [
    ("a\x1b[31m", "U+001B at character 2 is a control character"),
    ("\x00", "U+0000 at character 1 is a control character"),
    ("a\x7f", "U+007F at character 2 is a control character"),
    ("a\x9bb", "U+009B at character 2 is a control character"),
    ("ab\u202e", "U+202E at character 3 overrides the direction of the text"),
    ("\u202d", "U+202D at character 1 overrides the direction of the text"),
]
ONE_LINE_ONLY = ["a\nb", "a\r\nb", "a\tb"]


@pytest.mark.parametrize("text", SCRIPTS)
def test_every_script_is_kept(text: str) -> None:
    assert not texts.fault_of_line(text)
    assert not texts.fault_of_note(text)
    assert texts.is_sku(text)


@pytest.mark.parametrize(("text", "fault"), REFUSED)
def test_a_command_of_a_terminal_is_named(text: str, fault: str) -> None:
    assert texts.fault_of_line(text) == texts.fault_of_note(text) == fault
    assert not texts.is_sku(text)


@pytest.mark.parametrize("text", ONE_LINE_ONLY)
def test_a_note_may_have_lines_and_tabs(text: str) -> None:
    assert not texts.fault_of_note(text)
    assert texts.fault_of_line(text).startswith("U+00")


def test_a_line_break_is_called_one() -> None:
    assert texts.fault_of_line("a\nb") == "U+000A at character 2 is a line break"
    assert texts.fault_of_line("a\u2028b") == "U+2028 at character 2 is a line break"


@given(st.text())
def test_what_is_printable_is_accepted(text: str) -> None:
    shown = "".join(filter(str.isprintable, text))
    assert not texts.fault_of_line(shown)


@given(st.text())
def test_no_control_character_is_accepted(text: str) -> None:
    has_controls = any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text)
    assert not has_controls or texts.fault_of_line(text)


@pytest.mark.parametrize(
    "sku", ["AB/12", "123456 Oaktree", "30612190-5233-8  16½", "A", "x" * 64, "Ä" * 64, "ab", "AB"]
)
def test_skus_as_shops_have_them(sku: str) -> None:
    assert texts.is_sku(sku)


@pytest.mark.parametrize(
    "sku", ["", " ", " A", "A ", "A\u00a0", "\u3000A", "x" * 65, "A\n", "A\nB", "A\tB", "A\u2029B"]
)
def test_other_texts_are_not_skus(sku: str) -> None:
    assert not texts.is_sku(sku)
