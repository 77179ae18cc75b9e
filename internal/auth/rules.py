"""Makes and compares API keys. Pure: the caller passes the random part in.

A key is souk_<key id>_<64 hex digits>. It has 256 random bits and cannot be guessed like a
password, so a plain SHA-256 is a safe hash for it and costs a microsecond. Source: GitHub's and
Stripe's prefixed tokens.
"""

import hmac
import re

from internal.auth.messages import IssuedKey
from internal.kernel import ids

KEY = re.compile(r"^souk_(?P<key_id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64})$")


def issue(key_id: str, random_part: str) -> IssuedKey:
    """Make a key from 12 and 64 random hex digits."""
    secret = f"souk_{key_id}_{random_part}"
    return IssuedKey(key_id, secret, ids.digest(secret.encode()))


def key_id_of(secret: str) -> str | None:
    """Return the part of a key by which its row is found; None if `secret` is not a key."""
    match = KEY.match(secret)
    return match["key_id"] if match else None


def is_right(secret: str, key_hash: str) -> bool:
    """Tell whether `secret` has this hash. Compares in constant time."""
    return hmac.compare_digest(ids.digest(secret.encode()), key_hash)
