"""Names and reasons in the operators' log are text."""

import pytest
import typer

from internal.cli import actor


def test_names_and_reasons_are_kept() -> None:
    assert actor.name_of("Zoë\u00a0Ä.") == "Zoë\u00a0Ä."
    assert actor.reason_of(" the till\nwas down ") == "the till\nwas down"


@pytest.mark.parametrize("text", ["a\x1b[2J", "a\u202eb", "a\x9b"])
def test_what_commands_a_terminal_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"U\+"):
        actor.name_of(text)
    with pytest.raises(typer.BadParameter, match=r"U\+"):
        actor.reason_of(text)


@pytest.mark.parametrize("text", ["a\nb", "a\tb"])
def test_a_name_is_one_line(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"U\+"):
        actor.name_of(text)
