"""Makes good drafts by chance: several lines, discounts of both kinds, one tender or two. Pure."""

import random

from google.type import money_pb2

from internal.kernel import money
from internal.lab.workload import scenarios, shop
from internal.wire.souk.v1 import order_pb2

LINES_MAX = 8
LONG_ORDER_LINES = 40
LONG_ORDER_ONE_IN = 200
QUANTITIES = (1, 1, 1, 2, 3)
TILLS = 4
BASIS_POINTS_STEP = 100


class Till:
    """Where drafts are made: a shop, and chance by seed."""

    def __init__(self, sells: shop.Shop, chance: random.Random) -> None:
        self.chance = chance
        self.currency, self.store_ids = sells.currency, sells.store_ids
        self.plenty, self.scarce, self.inactive = sells.plenty, sells.scarce, sells.inactive

    def one_in(self, times: int) -> bool:
        """Tell whether it is the one time in so many."""
        return not self.chance.randrange(times)

    def amount(self, minor: int) -> money_pb2.Money:
        """Return so much of the shop's currency."""
        units, nanos = money.to_parts(minor, self.currency)
        return money_pb2.Money(currency_code=self.currency, units=units, nanos=nanos)


def make(till: Till, kind: scenarios.Kind, order_id: str) -> order_pb2.OrderDraft:
    """Make a draft that is good but for the card it may be paid with."""
    draft = order_pb2.OrderDraft(
        order_id=order_id,
        store_id=till.chance.choice(till.store_ids),
        terminal_id=f"till-{till.chance.randint(1, TILLS)}" if till.one_in(2) else "",
        currency=till.currency,
    )
    gross_minor = _add_lines(till, draft)
    least_minor = gross_minor - _add_discount(till, draft, gross_minor)
    _add_tenders(till, draft, kind, least_minor)
    return draft


def add_line(till: Till, draft: order_pb2.OrderDraft, item: shop.Item) -> int:
    """Add a few of a product; return what they cost."""
    line = draft.lines.add(sku=item.sku, quantity=till.chance.choice(QUANTITIES))
    if till.one_in(5):
        line.expected_price.CopyFrom(till.amount(item.price_minor))
    return int(line.quantity) * item.price_minor


def _add_lines(till: Till, draft: order_pb2.OrderDraft) -> int:
    lines = (
        LONG_ORDER_LINES if till.one_in(LONG_ORDER_ONE_IN) else till.chance.randint(1, LINES_MAX)
    )
    return sum(add_line(till, draft, till.chance.choice(till.plenty)) for _ in range(lines))


def _add_discount(till: Till, draft: order_pb2.OrderDraft, gross_minor: int) -> int:
    """Take up to half off every fourth order; return at least as much as that is."""
    half_minor = gross_minor // 2
    if not half_minor or not till.one_in(4):
        return 0
    if till.one_in(2):
        off_minor = till.chance.randint(1, half_minor)
        draft.discount.amount.CopyFrom(till.amount(off_minor))
        return off_minor
    draft.discount.basis_points = till.chance.randint(1, 50) * BASIS_POINTS_STEP
    return half_minor + 1


def _add_tenders(
    till: Till, draft: order_pb2.OrderDraft, kind: scenarios.Kind, least_minor: int
) -> None:
    """Pay what costs at least so much in cash, by card, or both; the last tender takes the rest."""
    needs_card = kind in scenarios.CARD_TOKENS
    splits = kind is scenarios.Kind.SPLIT_DECLINED or (not needs_card and till.one_in(4))
    if splits and least_minor > 1:
        part_minor = till.chance.randint(1, least_minor // 2)
        draft.tenders.add(cash=order_pb2.CashTender(), amount=till.amount(part_minor))
    if needs_card or splits or till.one_in(2):
        token = scenarios.CARD_TOKENS.get(kind, "tok_ok")
        draft.tenders.add(card=order_pb2.CardTender(token=token))
    else:
        draft.tenders.add(cash=order_pb2.CashTender())
