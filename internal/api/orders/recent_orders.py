"""The orders answered OK lately, so that the API can tell of orders that are not recorded yet.

Bounded by the backlog limit and in bytes: an order that falls out is recorded by then, or else no
more orders are accepted (`has_room`). The database takes precedence over what is kept here.
"""

from collections import OrderedDict
from typing import NamedTuple, cast

from internal.kernel import ids
from internal.orders import codec
from internal.orders.messages import OrderPlaced, Submission
from internal.privacy.messages import Private

ENTRY_BYTES = 300
"""Memory of an order besides its fact: two ids and their places in the tables."""
MARGIN = 1.25
"""From four fifths of the bytes on, facts are kept of this many times the orders that wait: those
were counted a moment ago. A larger margin would refuse a backlog below the limit that is set.
"""


class _Kept(NamedTuple):
    fact: bytes
    note: str
    """The only part of the private half that is shown before the order is recorded."""

    @property
    def size_bytes(self) -> int:
        return len(self.fact) + len(self.note.encode()) + ENTRY_BYTES


class RecentOrders:
    """The body hash of each order, oldest first, and the fact of each not seen recorded yet."""

    def __init__(self, orders_max: int, bytes_max: int) -> None:
        self._orders_max, self._bytes_max = orders_max, bytes_max
        self._hashes: OrderedDict[ids.OrderRef, str] = OrderedDict()
        self._facts: dict[ids.OrderRef, _Kept] = {}
        self.bytes_kept = 0
        """The memory of all facts, about."""

    def add(self, submission: Submission) -> None:
        """Keep an order that the broker has."""
        fact = submission.placed
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        self._drop_fact(ref)
        self._hashes[ref] = fact.body_hash
        encoded = codec.encode(fact)  # a third of the memory of the fact itself
        self._facts[ref] = kept = _Kept(encoded, submission.private.note)
        self.bytes_kept += kept.size_bytes
        if len(self._hashes) > self._orders_max:
            oldest, _ = self._hashes.popitem(last=False)
            self._drop_fact(oldest)
        while self.bytes_kept > self._bytes_max and len(self._facts) > 1:
            self._drop_fact(next(iter(self._facts)))

    def has_room(self, unrecorded_orders: int) -> bool:
        """Tell whether the facts of all orders that are not recorded, and of more, can be kept."""
        has_free_bytes = MARGIN * self.bytes_kept <= self._bytes_max
        return has_free_bytes or MARGIN * unrecorded_orders <= len(self._facts)

    def hash_of(self, ref: ids.OrderRef) -> str | None:
        """Return the body hash of an order answered OK lately."""
        return self._hashes.get(ref)

    def has(self, ref: ids.OrderRef) -> bool:
        """Tell whether an order was answered OK lately."""
        return ref in self._hashes

    def unrecorded(self, ref: ids.OrderRef) -> Submission | None:
        """Return an order answered OK lately and not seen recorded yet, without its tokens."""
        kept = self._facts.get(ref)
        if kept is None:
            return None
        return Submission(cast("OrderPlaced", codec.decode(kept.fact)), Private(kept.note))

    def saw_recorded(self, ref: ids.OrderRef, body_hash: str) -> None:
        """Note that an order was found in the database; only its hash is kept from now on.

        It may be the hash of another order, which another server took under the same id.
        """
        if ref in self._hashes:
            self._hashes[ref] = body_hash
        self._drop_fact(ref)

    def _drop_fact(self, ref: ids.OrderRef) -> None:
        kept = self._facts.pop(ref, None)
        if kept is not None:
            self.bytes_kept -= kept.size_bytes
