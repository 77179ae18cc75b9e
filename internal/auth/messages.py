"""Merchants and their API keys. A key is shown once, when it is made; only its hash is stored."""

import msgspec


class Merchant(msgspec.Struct, frozen=True):
    """A business that sends orders."""

    merchant_id: str
    name: str


class IssuedKey(msgspec.Struct, frozen=True):
    """A new API key: the merchant sends `secret`, the database stores `key_hash`."""

    key_id: str
    secret: str
    key_hash: str
