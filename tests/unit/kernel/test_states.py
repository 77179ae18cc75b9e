"""The table of an order's states: no illegal path, an end to every path, no way out of an end."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import states
from internal.kernel.states import OrderState

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "states.md").read_text()
LEGAL_MOVES = {
    ("PLACED", "ACCEPTED"),
    ("PLACED", "REJECTED"),
    ("PLACED", "CANCELLED"),
    ("ACCEPTED", "PAID"),
    ("ACCEPTED", "REJECTED"),
    ("ACCEPTED", "CANCELLED"),
    ("ACCEPTED", "EXPIRED"),
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
    assert states.is_terminal(state) == (state in {"FINALIZED", "REJECTED", "CANCELLED", "EXPIRED"})


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


AXES: dict[str, Mapping[Any, frozenset[Any]]] = {
    "order": states.ORDER_MOVES,
    "stock": states.STOCK_MOVES,
    "returned": states.RETURN_MOVES,
}


def drawing(moves: Mapping[Any, frozenset[Any]]) -> str:
    """Draw an axis for Mermaid, in the order of its enum."""
    members = list(moves)
    steps = [
        f"    {before} --> {after}"
        for before in members
        for after in sorted(moves[before], key=members.index)
    ]
    ends = [f"    {state} --> [*]" for state in members if not moves[state]]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {members[0]}", *steps, *ends])


@pytest.mark.parametrize("axis", AXES)
def test_the_page_of_states_draws_the_tables(axis: str) -> None:
    assert f"## {axis}\n\n" in PAGE
    section = PAGE.split(f"## {axis}\n", 1)[1].split("\n## ", 1)[0]
    assert drawing(AXES[axis]) in section, drawing(AXES[axis])


@pytest.mark.parametrize("moves", AXES.values(), ids=AXES)
def test_no_axis_goes_round(moves: Mapping[Any, frozenset[Any]]) -> None:
    members = list(moves)
    for before, afters in moves.items():
        assert all(members.index(after) > members.index(before) for after in afters)


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    def reachable(start: OrderState) -> set[OrderState]:
        moves = states.ORDER_MOVES[start]
        return {start}.union(*(reachable(after) for after in moves))

    assert reachable(OrderState.PLACED) == set(OrderState)
    assert all(reachable(state) & states.ORDER_TERMINAL for state in OrderState)
