"""Generates varied orders from a seed: ordinary sales, and everything that can go wrong. Pure.

The same shop, seed and run name make the same orders, so that a run can be repeated.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from internal.lab.workload import random_drafts, scenarios, shop, special_drafts
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2

PER_MILLE = 1_000
CHUNK_ORDERS = 1_000


class Submission(NamedTuple):
    """An order to be submitted."""

    kind: Kind
    draft: order_pb2.OrderDraft


class Chunk(NamedTuple):
    """Up to a thousand orders. Those in `later` go out once all in `first` are answered."""

    first: list[Submission]
    later: list[Submission]


class RunSpec(NamedTuple):
    """The parameters that determine the orders of one run.

    Every order id begins with the name, which must be new to the server. Numbers in an id are
    separated by points: with dashes some ids would look like card numbers.
    """

    name: str
    seed: int
    mix: scenarios.Mix


def chunks(sells: shop.Shop, run: RunSpec, orders: int) -> Iterator[Chunk]:
    """Yield `orders` orders in chunks."""
    for number, start in enumerate(range(0, orders, CHUNK_ORDERS)):
        rng = random.Random(f"{run.seed}/{number}")  # noqa: S311 - no secrets: orders
        source = random_drafts.DraftSource(sells, rng)
        kinds = _draw_kinds(source, run.mix, min(CHUNK_ORDERS, orders - start))
        yield _make(source, kinds, f"{run.name}.{number:04d}")


def stream(sells: shop.Shop, run: RunSpec, orders: int) -> Iterator[Submission]:
    """Yield `orders` orders one by one."""
    for chunk in chunks(sells, run, orders):
        yield from chunk.first
        yield from chunk.later


def _draw_kinds(source: random_drafts.DraftSource, mix: scenarios.Mix, orders: int) -> list[Kind]:
    """Draw the kinds in random order: each with its share, and at least once if all kinds fit."""
    shares = {kind: share for kind, share in mix.items() if _is_possible(source, kind)}
    if orders < 2 * len(shares):
        return [Kind.ORDINARY] * orders
    kinds = [
        kind for kind, share in shares.items() for _ in range(max(1, orders * share // PER_MILLE))
    ]
    kinds += [Kind.ORDINARY] * (orders - len(kinds))
    source.rng.shuffle(kinds)
    return kinds


def _is_possible(source: random_drafts.DraftSource, kind: Kind) -> bool:
    needed = {Kind.SCARCE: source.scarce, Kind.INACTIVE: source.inactive}
    return bool(needed.get(kind, source.plenty))


def _make(source: random_drafts.DraftSource, kinds: list[Kind], name: str) -> Chunk:
    """Make the orders. Half of the repeated ones follow their original at once, half come later."""
    originals = [kind for kind in kinds if kind not in scenarios.REPEATS]
    first = [_submission(source, kind, f"{name}.{no:04d}") for no, kind in enumerate(originals)]
    repeatable = [made for made in first if made.kind is Kind.ORDINARY]
    later: list[Submission] = []
    for kind in kinds:
        if kind not in scenarios.REPEATS:
            continue
        original = source.rng.choice(repeatable)
        if kind is Kind.AGAIN and source.one_in(2):
            first.insert(first.index(original) + 1, Submission(kind, original.draft))
        else:
            later.append(_repeat(kind, original.draft))
    return Chunk(first, later)


def _submission(source: random_drafts.DraftSource, kind: Kind, order_id: str) -> Submission:
    draft = random_drafts.make(source, kind, order_id)
    special_drafts.apply(source, kind, draft)
    return Submission(kind, draft)


def _repeat(kind: Kind, original: order_pb2.OrderDraft) -> Submission:
    if kind is Kind.AGAIN:
        return Submission(kind, original)
    draft = order_pb2.OrderDraft()
    draft.CopyFrom(original)
    draft.note = "another order, by mistake under the same id"
    return Submission(kind, draft)
