"""Waiting ends when nothing moves any more, or after a limit; never before, never later."""

from hypothesis import given
from hypothesis import strategies as st

from internal.stack import patience

QUIET_S, LONGEST_S = 10.0, 100.0
steps_s = st.lists(st.floats(0.1, 9.9), max_size=30)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_s(self) -> float:
        return self.now


def made() -> tuple[patience.Patience, Clock]:
    clock = Clock()
    return patience.Patience(QUIET_S, LONGEST_S, clock.now_s), clock


@given(steps_s)
def test_it_lasts_as_long_as_something_moves_within_the_limit(steps: list[float]) -> None:
    left, clock = made()
    for number, step_s in enumerate(steps):
        clock.now += step_s
        assert left.is_over == (clock.now >= LONGEST_S)
        left.look(number)
    moved_s = clock.now
    clock.now = moved_s + QUIET_S - 0.01
    assert left.is_over == (clock.now >= LONGEST_S)
    clock.now = moved_s + QUIET_S
    assert left.is_over


@given(steps_s)
def test_the_same_sign_again_is_no_progress(steps: list[float]) -> None:
    left, clock = made()
    left.look("a sign")
    for step_s in steps:
        clock.now += step_s
        left.look("a sign")
    assert left.is_over == (clock.now >= QUIET_S)


def test_until_holds_as_soon_as_the_condition_does() -> None:
    looks = iter([False, False, True, True])
    assert patience.until(lambda: next(looks), lambda: None, quiet_s=60.0)


def test_until_gives_up_without_a_sign() -> None:
    assert not patience.until(lambda: False, lambda: "the same", quiet_s=0.0)


def test_until_goes_on_while_signs_change() -> None:
    signs, needed = iter(range(1_000)), iter([False] * 3 + [True] * 2)
    assert patience.until(lambda: next(needed), lambda: next(signs), quiet_s=0.05)
