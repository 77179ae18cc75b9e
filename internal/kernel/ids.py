"""Names of things: the shard an order belongs to, digests of bodies, random references.

An order is known to its merchant as (merchant_id, order_id). Inside, the order stage gives it an
`order_key`: a small, growing integer from the database, so that every table appends at its end.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from internal.kernel import texts

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""The form of ids that callers choose. As in proto/souk/v1."""
_SHOWN_CHARS_MAX = 80
SHORT_DIGEST_BYTES = 16


def shard_keys(number: int) -> list[str]:
    """Return all keys of an installation that has this many."""
    return [_shard_key(shard) for shard in range(number)]


def shard_of(merchant_id: str, order_id: str, shard_keys: int) -> str:
    """Return the key of an order's messages, one of `shard_keys`; stable over time and machines."""
    return _shard_key(zlib.crc32(f"{merchant_id}/{order_id}".encode()) % shard_keys)


def _shard_key(shard: int) -> str:
    return f"{shard:02d}"


def flaw(**named: str) -> str:
    """Return what is wrong with the first of these ids that breaks the form; "" if none does."""
    for name, value in named.items():
        if not ID.fullmatch(value):
            return f"{name}: {value[:_SHOWN_CHARS_MAX]!r} is not an id"
    return ""


def flaw_of_given(**named: str) -> str:
    """Return what `flaw` returns; those that are empty were not given, and are not looked at."""
    return flaw(**{name: value for name, value in named.items() if value})


def flaw_among(values: Iterable[str], path: str) -> str:
    """Return what `flaw` returns; `path` names a value by its place in {}: "taxes[{}]"."""
    for place, value in enumerate(values):
        if not ID.fullmatch(value):
            return flaw(**{path.format(place): value})
    return ""


def sku_flaw(skus: Iterable[str]) -> str:
    """Return what is wrong with the first of these that is no SKU; "" if all are."""
    for sku in skus:
        if not texts.is_sku(sku):
            return f"sku: {sku[:_SHOWN_CHARS_MAX]!r} is not a SKU"
    return ""


def digest(body: bytes) -> str:
    """Return the SHA-256 of `body` as 64 hex digits."""
    return hashlib.sha256(body).hexdigest()


def short_digest(data: bytes) -> str:
    """Return the BLAKE2b of `data` as 32 hex digits."""
    return hashlib.blake2b(data, digest_size=SHORT_DIGEST_BYTES).hexdigest()


def random_token(size_bytes: int = 16) -> str:
    """Return `2 * size_bytes` random hex digits, fit for keys and trace ids."""
    return secrets.token_hex(size_bytes)


class OrderRef(NamedTuple):
    """A merchant's name for an order, which identifies it everywhere."""

    merchant_id: str
    order_id: str


class Subject(NamedTuple):
    """What a fact is about: its kind, and its name, which is unique for its merchant."""

    kind: str
    merchant_id: str
    key: str
