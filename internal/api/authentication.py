"""Who is calling: the API key from a call's metadata, and the merchant behind it.

Keys are looked up through a port and remembered for a short while, by their digest. While the
database is away a key that was good a short while ago still opens the door.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

from internal.api import options
from internal.api.orders import ports
from internal.kernel import errors, ids

AUTHORIZATION = "authorization"
API_KEY = "x-api-key"
BEARER = "bearer "
KEY_CHARS_MAX = 256

Metadata = Mapping[str, str | bytes]


def key_in(metadata: Metadata) -> str | None:
    """Return the key that came with a call, from `authorization: Bearer` or else `x-api-key`."""
    key, bearer = metadata.get(API_KEY, ""), metadata.get(AUTHORIZATION, "")
    if isinstance(bearer, str) and bearer[: len(BEARER)].lower() == BEARER:
        key = bearer[len(BEARER) :]
    key = key.strip() if isinstance(key, str) else ""
    return key if 0 < len(key) <= KEY_CHARS_MAX else None


class _Known(msgspec.Struct):
    merchant_id: str | None
    read_at_s: float


class CachedAuthenticator(ports.Authenticator):
    """An authenticator that asks another one, and not more often than it must.

    Right and wrong keys are remembered apart, so that guessing cannot push the right ones out.
    """

    def __init__(
        self,
        behind: ports.Authenticator,
        limits: options.Limits,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._behind, self._limits, self._now_s = behind, limits, now_s
        self._right: OrderedDict[str, _Known] = OrderedDict()
        self._wrong: OrderedDict[str, _Known] = OrderedDict()

    async def merchant_of(self, key: str) -> str | None:
        """See ports.Authenticator."""
        digest = ids.digest(key.encode())
        known = self._right.get(digest) or self._wrong.get(digest)
        if known and self._now_s() - known.read_at_s < self._limits.key_ttl_s:
            return known.merchant_id
        try:
            merchant_id = await self._behind.merchant_of(key)
        except errors.DatabaseAway:
            return self._while_away(known)
        self._keep(digest, merchant_id)
        return merchant_id

    def _while_away(self, known: _Known | None) -> str | None:
        """Let a merchant in that was known lately; nobody else can be told right from wrong now."""
        if known and self._now_s() - known.read_at_s < self._limits.key_stale_max_s:
            return known.merchant_id
        raise errors.DatabaseAway("API keys cannot be looked up")

    def _keep(self, digest: str, merchant_id: str | None) -> None:
        self._right.pop(digest, None)
        self._wrong.pop(digest, None)
        room = self._wrong if merchant_id is None else self._right
        room[digest] = _Known(merchant_id, self._now_s())
        if len(room) > self._limits.keys_max:
            room.popitem(last=False)
