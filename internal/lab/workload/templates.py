"""Orders for measuring, made beforehand: only the id changes, so that the client costs little.

Three lines each, every fourth with a discount, half in cash, half by card. All are to be finalized.
"""

import random

from internal.lab.workload import random_drafts, shop
from internal.wire.souk.v1 import order_pb2, order_service_pb2

STENCILS = 1_000
LINES = 3
DISCOUNTED_OF_8 = 2
CARD_TOKEN = "tok_ok"  # noqa: S105 - what the simulated gateway calls a good card


class Stencils:
    """Serialized requests by number. The same number is the same order; `name` leads all ids."""

    def __init__(self, sells: shop.Shop, name: str, seed: int) -> None:
        till = random_drafts.Till(sells, random.Random(seed))  # noqa: S311 - no secrets: orders
        self._name = name
        self._drafts = [_make(till, number) for number in range(STENCILS)]

    def order_id(self, number: int) -> str:
        """Name an order."""
        return f"{self._name}.{number:07d}"

    def single(self, number: int, wait_for: order_service_pb2.WaitFor) -> bytes:
        """Return a SubmitOrderRequest."""
        return order_service_pb2.SubmitOrderRequest(
            order=self._draft(number), wait_for=wait_for
        ).SerializeToString()

    def batch(self, numbers: range) -> bytes:
        """Return a SubmitOrdersRequest."""
        request = order_service_pb2.SubmitOrdersRequest(orders=map(self._draft, numbers))
        return request.SerializeToString()

    def _draft(self, number: int) -> order_pb2.OrderDraft:
        draft = self._drafts[number % STENCILS]
        draft.order_id = self.order_id(number)
        return draft


def _make(till: random_drafts.Till, number: int) -> order_pb2.OrderDraft:
    draft = order_pb2.OrderDraft(
        store_id=till.chance.choice(till.store_ids), currency=till.currency
    )
    for item in till.chance.sample(till.plenty, LINES):
        draft.lines.add(sku=item.sku, quantity=1)
    if number % 8 < DISCOUNTED_OF_8:
        draft.discount.basis_points = 1_000
    if number % 2:
        draft.tenders.add(card=order_pb2.CardTender(token=CARD_TOKEN))
    else:
        draft.tenders.add(cash=order_pb2.CashTender())
    return draft
