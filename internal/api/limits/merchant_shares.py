"""Places for calls that stay open, shared out so that no merchant can take all of them.

A merchant may hold as many places as are free for others: alone it gets half of them, and several
greedy ones leave as many as each of them holds. So there is nothing to set, and a new merchant
always finds a place. Source: Choudhury and Hahne, "Dynamic Queue Length Thresholds" (1998).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class MerchantShares:
    """Up to `places_max` places, by merchant."""

    def __init__(self, places_max: int) -> None:
        self._free = places_max
        self._held: Counter[str] = Counter()

    @contextmanager
    def place(self, merchant_id: str) -> Iterator[bool]:
        """Hold a place while the context lasts; yield False if the merchant gets no further one."""
        if not 0 < self._free >= self._held[merchant_id]:
            yield False
            return
        self._free -= 1
        self._held[merchant_id] += 1
        try:
            yield True
        finally:
            self._free += 1
            self._held[merchant_id] -= 1
            if not self._held[merchant_id]:
                del self._held[merchant_id]
