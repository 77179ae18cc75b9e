"""Deals varied orders by seed: what shops sell on a good day, and everything that goes wrong. Pure.

The same shop, seed and run name make the same orders, so that a run can be repeated.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from internal.lab.workload import invalid_drafts, random_drafts, scenarios, shop
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2

PER_MILLE = 1_000
DECK_ORDERS = 1_000


class Submission(NamedTuple):
    """An order on its way to the door."""

    kind: Kind
    draft: order_pb2.OrderDraft


class Deck(NamedTuple):
    """Up to a thousand orders. Those of `later` go out when all of `first` are answered."""

    first: list[Submission]
    later: list[Submission]


class Run(NamedTuple):
    """What makes the orders of one run. Its name leads every id and must be new to the server.

    Points stand between the numbers of an id: with dashes some would look like card numbers.
    """

    name: str
    seed: int
    mix: scenarios.Mix


def decks(sells: shop.Shop, run: Run, orders: int) -> Iterator[Deck]:
    """Yield `orders` orders, a deck at a time."""
    for number, start in enumerate(range(0, orders, DECK_ORDERS)):
        chance = random.Random(f"{run.seed}/{number}")  # noqa: S311 - no secrets: orders
        till = random_drafts.Till(sells, chance)
        dealt = _deal(till, run.mix, min(DECK_ORDERS, orders - start))
        yield _make(till, dealt, f"{run.name}.{number:04d}")


def stream(sells: shop.Shop, run: Run, orders: int) -> Iterator[Submission]:
    """Yield `orders` orders one after the other."""
    for deck in decks(sells, run, orders):
        yield from deck.first
        yield from deck.later


def _deal(till: random_drafts.Till, mix: scenarios.Mix, orders: int) -> list[Kind]:
    """Draw the kinds in any order: of each its share, at least one if there is room for all."""
    shares = {kind: share for kind, share in mix.items() if _is_possible(till, kind)}
    if orders < 2 * len(shares):
        return [Kind.ORDINARY] * orders
    dealt = [
        kind for kind, share in shares.items() for _ in range(max(1, orders * share // PER_MILLE))
    ]
    dealt += [Kind.ORDINARY] * (orders - len(dealt))
    till.chance.shuffle(dealt)
    return dealt


def _is_possible(till: random_drafts.Till, kind: Kind) -> bool:
    needed = {Kind.SCARCE: till.scarce, Kind.INACTIVE: till.inactive}
    return bool(needed.get(kind, till.plenty))


def _make(till: random_drafts.Till, dealt: list[Kind], name: str) -> Deck:
    """Make the orders. Of those sent again half follow their original at once, half come later."""
    originals = [kind for kind in dealt if kind not in scenarios.REPEATS]
    first = [_submission(till, kind, f"{name}.{no:04d}") for no, kind in enumerate(originals)]
    repeatable = [made for made in first if made.kind is Kind.ORDINARY]
    later: list[Submission] = []
    for kind in dealt:
        if kind not in scenarios.REPEATS:
            continue
        original = till.chance.choice(repeatable)
        if kind is Kind.AGAIN and till.one_in(2):
            first.insert(first.index(original) + 1, Submission(kind, original.draft))
        else:
            later.append(_repeat(kind, original.draft))
    return Deck(first, later)


def _submission(till: random_drafts.Till, kind: Kind, order_id: str) -> Submission:
    draft = random_drafts.make(till, kind, order_id)
    invalid_drafts.spoil(till, kind, draft)
    return Submission(kind, draft)


def _repeat(kind: Kind, original: order_pb2.OrderDraft) -> Submission:
    if kind is Kind.AGAIN:
        return Submission(kind, original)
    draft = order_pb2.OrderDraft()
    draft.CopyFrom(original)
    draft.note = "another order, by mistake under the same id"
    return Submission(kind, draft)
