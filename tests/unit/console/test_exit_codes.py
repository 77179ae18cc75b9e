"""Errors as text and exit codes."""

import pytest

from internal.console import exit_codes
from internal.console.exit_codes import ExitCode
from internal.kernel import errors

CARD_NUMBER = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.InvalidInput([("store", "there is no such store")]), ExitCode.FAILED),
        (errors.Poison("UNREADABLE_FACT", "no JSON"), ExitCode.FAILED),
        (errors.Misconfigured("a setting is wrong"), ExitCode.USAGE),
        (errors.DatabaseAway("locked"), ExitCode.AWAY),
        (errors.BusAway("no receipt"), ExitCode.AWAY),
        (errors.Overloaded("too deep", 1.0), ExitCode.AWAY),
    ],
)
def test_exit_codes(error: errors.SoukError, exit_code: ExitCode) -> None:
    problem = exit_codes.of_error(error)
    assert problem.exit_code == exit_code
    assert problem.text


def test_one_mistake_is_a_sentence_and_many_are_a_list() -> None:
    one = exit_codes.of_error(errors.InvalidInput([("line 1", "is empty")]))
    assert (one.text, one.violations) == ("line 1: is empty", ())
    two = exit_codes.of_error(errors.InvalidInput([("line 1", "is empty"), ("line 2", "too")]))
    assert (two.text, len(two.violations)) == ("2 mistakes", 2)


def test_notes_become_hints() -> None:
    error = errors.DatabaseAway("locked")
    error.add_note("Wait a little.")
    assert exit_codes.of_error(error).hints == ("Wait a little.",)


def test_card_numbers_are_not_repeated() -> None:
    many = errors.InvalidInput([("line 1", CARD_NUMBER), ("line 2", CARD_NUMBER)])
    for error in (errors.Misconfigured(CARD_NUMBER), many):
        assert "1111" not in repr(exit_codes.of_error(error))
