"""The table of an order's states: no illegal path, an end to every path, no way out of an end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import states
from internal.kernel.states import OrderState

LEGAL_MOVES = {
    ("PLACED", "ACCEPTED"),
    ("PLACED", "REJECTED"),
    ("PLACED", "CANCELLED"),
    ("ACCEPTED", "PAID"),
    ("ACCEPTED", "REJECTED"),
    ("ACCEPTED", "CANCELLED"),
    ("PAID", "FINALIZED"),
    ("PAID", "REJECTED"),
}
LONGEST = ["PLACED", "ACCEPTED", "PAID", "FINALIZED"]


@st.composite
def walks(draw: st.DrawFn) -> list[OrderState]:
    """A walk along the table, from PLACED to any state."""
    history = [OrderState.PLACED]
    steps = draw(st.integers(min_value=0, max_value=len(LONGEST)))
    for _ in range(steps):
        moves = sorted(states.ORDER_MOVES[history[-1]])
        if moves:
            history.append(draw(st.sampled_from(moves)))
    return history


def test_the_table_knows_every_state() -> None:
    assert set(states.ORDER_MOVES) == set(OrderState)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(OrderState, repeat=2)))
def test_moves(before: OrderState, after: OrderState) -> None:
    assert states.may_move(before, after) == ((before, after) in LEGAL_MOVES)


@pytest.mark.parametrize("state", OrderState)
def test_a_terminal_state_has_no_exit(state: OrderState) -> None:
    exits = [after for after in OrderState if states.may_move(state, after)]
    assert states.is_terminal(state) == (not exits)
    assert states.is_terminal(state) == (state in {"FINALIZED", "REJECTED", "CANCELLED"})


@given(walks())
def test_walks_are_legal_and_end(history: list[OrderState]) -> None:
    assert states.is_legal_history(history)
    assert len(history) <= len(LONGEST)
    assert len(set(history)) == len(history)
    assert not any(states.is_terminal(state) for state in history[:-1])


@given(walks(), st.sampled_from(OrderState))
def test_a_history_is_legal_as_far_as_its_moves_are(
    history: list[OrderState], after: OrderState
) -> None:
    legal = (history[-1], after) in LEGAL_MOVES
    assert states.is_legal_history([*history, after]) == legal


@given(st.lists(st.sampled_from(OrderState), max_size=6))
def test_any_history_is_judged_move_by_move(history: list[OrderState]) -> None:
    from_placed = history[:1] == [OrderState.PLACED]
    legal = from_placed and all(move in LEGAL_MOVES for move in itertools.pairwise(history))
    assert states.is_legal_history(history) == legal


@pytest.mark.parametrize(
    "history", [["PLACED"], LONGEST, ["PLACED", "REJECTED"], ["PLACED", "ACCEPTED", "CANCELLED"]]
)
def test_legal_histories_by_hand(history: list[str]) -> None:
    assert states.is_legal_history([OrderState(state) for state in history])


@pytest.mark.parametrize(
    "history",
    [
        [],
        ["ACCEPTED"],
        ["PLACED", "PLACED"],
        ["PLACED", "PAID"],
        ["PLACED", "REJECTED", "ACCEPTED"],
        ["PLACED", "ACCEPTED", "PAID", "CANCELLED"],
    ],
)
def test_illegal_histories_by_hand(history: list[str]) -> None:
    assert not states.is_legal_history([OrderState(state) for state in history])


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    def reachable(start: OrderState) -> set[OrderState]:
        moves = states.ORDER_MOVES[start]
        return {start}.union(*(reachable(after) for after in moves))

    assert reachable(OrderState.PLACED) == set(OrderState)
    assert all(reachable(state) & states.ORDER_TERMINAL for state in OrderState)
