"""Values of options are checked, and a wrong one is named with what would be right."""

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from internal.console import values


@given(number=st.integers(1, 500))
def test_whole_numbers_in_range_are_taken(number: int) -> None:
    assert values.whole_number(1, 500)(str(number)) == number


@pytest.mark.parametrize("text", ["0", "501", "-1", "1.5", "1e2", "", "x", "\u0661", "9" * 40])
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        values.whole_number(1, 500)(text)
    assert refused.value.message == f"{text!r} is not a whole number from 1 to 500"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_a_number_above_zero(text: str) -> None:
    assert values.positive("0.5") == 0.5
    with pytest.raises(typer.BadParameter, match="is not a number above zero"):
        values.positive(text)


def test_ids_have_the_form_of_the_proto() -> None:
    assert values.ID.fullmatch("A" * 64)
    assert not values.ID.fullmatch("A" * 65)
    assert not values.ID.fullmatch("-a")
