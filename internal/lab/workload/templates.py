"""Orders for benchmarks, made in advance: only the id changes, so that the client costs little.

Each has three lines, every fourth a discount; half are paid in cash, half by card. All of them
should be finalized.
"""

import random

from internal.kernel.quantities import MILLI
from internal.lab.workload import random_drafts, shop
from internal.wire.souk.v1 import order_pb2, order_service_pb2

TEMPLATES = 1_000
LINES = 3
DISCOUNTED_OF_8 = 2
CARD_TOKEN = "tok_ok"  # noqa: S105 - what the simulated gateway calls a good card


class Templates:
    """Serialized requests by number. The same number is the same order; ids begin with `name`."""

    def __init__(
        self, sells: shop.Shop, name: str, seed: int, sold_at_us: int | None = None
    ) -> None:
        """Make the requests; orders without `sold_at_us` are sold when they arrive."""
        source = random_drafts.DraftSource(sells, random.Random(seed))  # noqa: S311 - no secrets: orders
        self._name = name
        self._drafts = [_make(source, number) for number in range(TEMPLATES)]
        if sold_at_us is not None:
            for draft in self._drafts:
                draft.sold_at.FromMicroseconds(sold_at_us)

    def order_id(self, number: int) -> str:
        """Return the id of an order."""
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
        draft = self._drafts[number % TEMPLATES]
        draft.order_id = self.order_id(number)
        return draft


def _make(source: random_drafts.DraftSource, number: int) -> order_pb2.OrderDraft:
    draft = order_pb2.OrderDraft(
        store_id=source.rng.choice(source.store_ids), currency=source.currency
    )
    for item in source.rng.sample(source.plenty, LINES):
        draft.lines.add(sku=item.sku, quantity_milli=MILLI)
    if number % 8 < DISCOUNTED_OF_8:
        draft.adjustments.add(basis_points=1_000)
    if number % 2:
        draft.tenders.add(card=order_pb2.CardTender(token=CARD_TOKEN))
    else:
        draft.tenders.add(cash=order_pb2.CashTender())
    return draft
