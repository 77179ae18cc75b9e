"""What all facts of orders share: of a command about one, and of a stage's fact. Pure."""

import msgspec

from internal.kernel import ids

SUBJECT_KIND = "order"
"""The kind of what every fact here is about."""


class OrderCommand(msgspec.Struct, frozen=True):
    """A merchant's message about an order, which may not be recorded yet."""

    merchant_id: str
    order_id: str

    @property
    def subject_kind(self) -> str:
        """See kernel.facts.Fact."""
        return SUBJECT_KIND

    @property
    def key(self) -> str:
        """See kernel.facts.Fact."""
        return self.order_id

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        return ids.flaw(merchant_id=self.merchant_id, order_id=self.order_id)

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return ""


class RecordedFact(msgspec.Struct, frozen=True):
    """A stage's fact about a recorded order. `order_key` is the database's name for the order."""

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    version: int
    at_us: int
    placed_at_us: int

    @property
    def subject_kind(self) -> str:
        """See kernel.facts.Fact."""
        return SUBJECT_KIND

    @property
    def key(self) -> str:
        """See kernel.facts.Fact."""
        return self.order_id

    @property
    def occurred_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.at_us

    @property
    def started_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.placed_at_us

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return ""

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        return ids.flaw(
            merchant_id=self.merchant_id, order_id=self.order_id, store_id=self.store_id
        )
