"""Merchants and their API keys. A key is shown once, when it is made; only its hash is kept."""

import msgspec


class Merchant(msgspec.Struct, frozen=True):
    """Somebody who sells."""

    merchant_id: str
    name: str


class IssuedKey(msgspec.Struct, frozen=True):
    """A new API key: `secret` is what the merchant sends, `key_hash` what is stored."""

    key_id: str
    secret: str
    key_hash: str
