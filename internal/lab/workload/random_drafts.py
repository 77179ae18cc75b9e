"""Makes random good drafts: several lines, discounts of all kinds, one tender or two. Pure."""

import random

from google.type import money_pb2

from internal.kernel import money
from internal.kernel.quantities import MILLI
from internal.lab.workload import scenarios, shop
from internal.wire.souk.v1 import order_pb2

LINES_MAX = 8
LONG_ORDER_LINES = 40
LONG_ORDER_ONE_IN = 200
QUANTITIES_MILLI = (1_000, 1_000, 1_000, 2_000, 3_000)
WEIGHED_ONE_IN = 10
LINE_DISCOUNTED_ONE_IN = 10
TERMINALS = 4
BASIS_POINTS_STEP = 100
TIPS_ONE_IN = 8
GIVEN_ONE_IN = 4
GIVEN_TIMES = 5
"""More than any order with its tax and its tip is due."""


class DraftSource:
    """The shop that drafts are made for, and a seeded random generator."""

    def __init__(self, sells: shop.Shop, rng: random.Random) -> None:
        self.rng = rng
        self.currency, self.store_ids = sells.currency, sells.store_ids
        self.plenty, self.scarce, self.inactive = sells.plenty, sells.scarce, sells.inactive

    def one_in(self, times: int) -> bool:
        """Return True with the probability 1 / `times`."""
        return not self.rng.randrange(times)

    def amount(self, minor: int) -> money_pb2.Money:
        """Return an amount in the shop's currency."""
        units, nanos = money.to_parts(minor, self.currency)
        return money_pb2.Money(currency_code=self.currency, units=units, nanos=nanos)


def make(source: DraftSource, kind: scenarios.Kind, order_id: str) -> order_pb2.OrderDraft:
    """Make a draft that is good except for the card it may be paid with."""
    draft = order_pb2.OrderDraft(
        order_id=order_id,
        store_id=source.rng.choice(source.store_ids),
        terminal_id=f"till-{source.rng.randint(1, TERMINALS)}" if source.one_in(2) else "",
        currency=source.currency,
    )
    gross_minor = _add_lines(source, draft)
    least_minor = gross_minor - _add_discount(source, draft, gross_minor)
    _add_tenders(source, draft, kind, least_minor)
    _add_tip_and_given(source, draft, gross_minor)
    return draft


def add_line(source: DraftSource, draft: order_pb2.OrderDraft, item: shop.Item) -> int:
    """Add a line with a few units of a product; return the least that it may cost."""
    milli = source.rng.choice(QUANTITIES_MILLI)
    if source.one_in(WEIGHED_ONE_IN):
        milli = source.rng.randint(MILLI, 2 * MILLI)
    line = draft.lines.add(sku=item.sku, quantity_milli=milli)
    if source.one_in(5):
        line.expected_price.CopyFrom(source.amount(item.price_minor))
    least_minor = milli * item.price_minor // MILLI
    if least_minor == 1 or not source.one_in(LINE_DISCOUNTED_ONE_IN):
        return least_minor
    share = source.rng.randint(1, 50)
    line.adjustments.add(basis_points=share * BASIS_POINTS_STEP)
    return max(least_minor * (100 - share) // 100 - 1, 0)


def _add_lines(source: DraftSource, draft: order_pb2.OrderDraft) -> int:
    lines = (
        LONG_ORDER_LINES if source.one_in(LONG_ORDER_ONE_IN) else source.rng.randint(1, LINES_MAX)
    )
    return sum(add_line(source, draft, source.rng.choice(source.plenty)) for _ in range(lines))


def _add_discount(source: DraftSource, draft: order_pb2.OrderDraft, gross_minor: int) -> int:
    """Discount every fourth order by up to half; return an upper bound of the discount."""
    half_minor = gross_minor // 2
    if not half_minor or not source.one_in(4):
        return 0
    if source.one_in(2):
        off_minor = source.rng.randint(1, half_minor)
        draft.adjustments.add(amount=source.amount(off_minor))
        return off_minor
    draft.adjustments.add(basis_points=source.rng.randint(1, 50) * BASIS_POINTS_STEP)
    return half_minor + 1


def _add_tenders(
    source: DraftSource, draft: order_pb2.OrderDraft, kind: scenarios.Kind, least_minor: int
) -> None:
    """Pay at least `least_minor` in cash, by card, or both; the last tender takes the rest."""
    needs_card = kind in scenarios.CARD_TOKENS
    splits = kind is scenarios.Kind.SPLIT_DECLINED or (not needs_card and source.one_in(4))
    if splits and least_minor > 1:
        cash_minor = source.rng.randint(1, least_minor // 2)
        draft.tenders.add(cash=order_pb2.CashTender(), amount=source.amount(cash_minor))
    if needs_card or splits or source.one_in(2):
        token = scenarios.CARD_TOKENS.get(kind, "tok_ok")
        draft.tenders.add(card=order_pb2.CardTender(token=token))
    else:
        draft.tenders.add(cash=order_pb2.CashTender())


def _add_tip_and_given(source: DraftSource, draft: order_pb2.OrderDraft, gross_minor: int) -> None:
    """Tip with every eighth order, and hand over more cash than is due with every fourth."""
    tender = draft.tenders[-1]
    if source.one_in(TIPS_ONE_IN):
        tender.tip.CopyFrom(source.amount(source.rng.randint(1, 1 + gross_minor // 10)))
    if tender.HasField("cash") and source.one_in(GIVEN_ONE_IN):
        tender.cash.given.CopyFrom(source.amount(GIVEN_TIMES * (gross_minor + LONG_ORDER_LINES)))
