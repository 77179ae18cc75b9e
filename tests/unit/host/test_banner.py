"""The start's banner names the API key's file; the key itself is shown once, on a terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from internal.host import banner, demo_key
from internal.infra import settings

SECRET = "souk_0123456789ab_secret"
FILE = Path("some data", "demo-api-key")


def told(key: demo_key.DemoKey, *, is_terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, soft_wrap=True, no_color=True)
    banner.tell(console, 50_051, settings.load(), key)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_key_is_shown_once_on_a_terminal_only(*, is_new: bool, is_terminal: bool) -> None:
    shown = told(demo_key.DemoKey(FILE, SECRET, is_new=is_new), is_terminal=is_terminal)
    assert (SECRET in shown) is (is_new and is_terminal)
    assert str(FILE) in shown


def test_the_example_reads_the_key_from_its_file() -> None:
    shown = told(demo_key.DemoKey(FILE, SECRET, is_new=False))
    assert f"\"authorization: Bearer $(cat '{FILE}')\"" in shown


def test_an_unknown_key_is_replaced_by_a_command() -> None:
    assert "souk merchants rotate-key" in told(demo_key.DemoKey(FILE, "", is_new=False))
