"""Names of things: the shard an order belongs to, digests of bodies, random references.

An order is known to its merchant as (merchant_id, order_id). Inside, the order stage gives it an
`order_key`: a small, growing integer from the database, so that every table appends at its end.
"""

import hashlib
import secrets
import zlib
from typing import NamedTuple

SHARDS = 16
"""Partition keys in use: the most function instances that can share a topic. Few, so that batches
stay whole; fixed, because an order must always map to the same shard.
"""

SHARD_KEYS = tuple(f"{number:02d}" for number in range(SHARDS))


def shard_of(merchant_id: str, order_id: str) -> str:
    """Return the partition key of an order: two digits, stable over time and machines."""
    return SHARD_KEYS[zlib.crc32(f"{merchant_id}/{order_id}".encode()) % SHARDS]


def digest(body: bytes) -> str:
    """Return the SHA-256 of `body` as 64 hex digits."""
    return hashlib.sha256(body).hexdigest()


def random_token(size_bytes: int = 16) -> str:
    """Return `2 * size_bytes` random hex digits, fit for keys and trace ids."""
    return secrets.token_hex(size_bytes)


class OrderRef(NamedTuple):
    """A merchant's name for an order, which identifies it everywhere."""

    merchant_id: str
    order_id: str
