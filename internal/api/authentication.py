"""The caller of a request: the API key in its metadata, and the merchant that holds the key.

Keys are looked up through a port and cached for a short while, by their digest. While the database
is away, a key that was valid a short while ago stays valid.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from internal.api import calls, options, status
from internal.auth import rules
from internal.kernel import errors, ids

AUTHORIZATION = "authorization"
API_KEY = "x-api-key"
BEARER = "bearer "
KEY_CHARS_MAX = 256


class Authenticator(Protocol):
    """Knows API keys."""

    async def merchant_of(self, key: str) -> str | None:
        """Return the merchant that holds this key; None for a wrong, unknown or revoked one.

        Raises:
            DatabaseAway: the key cannot be looked up now.
        """
        ...


class Caller(NamedTuple):
    """The merchant that makes a call, and the API key that it used."""

    merchant_id: str
    key_id: str
    """The id of the API key; "" if the key has another form than Souk's own."""


async def caller_of(
    metadata: calls.Metadata, authenticator: Authenticator
) -> Caller | status.Refused:
    """Return who makes a call, or why the call is refused.

    Raises:
        DatabaseAway: the key cannot be looked up now.
    """
    keys = keys_in(metadata)
    if not keys:
        text = "send your API key as `authorization: Bearer <key>` or `x-api-key: <key>`"
        return status.unauthenticated("API_KEY_MISSING", text)
    if len(keys) > 1:
        text = "different API keys came with this call; send one"
        return status.unauthenticated("API_KEY_AMBIGUOUS", text)
    [key] = keys
    merchant_id = await authenticator.merchant_of(key)
    if merchant_id is None:
        return status.unauthenticated("API_KEY_INVALID", "this API key is not known")
    return Caller(merchant_id, rules.key_id_of(key) or "")


def keys_in(metadata: calls.Metadata) -> set[str]:
    """Return the different keys that came with a call, in whatever header."""
    plain, bearer = (_values(metadata.get(name, "")) for name in (API_KEY, AUTHORIZATION))
    found = {value[len(BEARER) :] for value in bearer if value[: len(BEARER)].lower() == BEARER}
    keys = {key.strip() for key in found.union(plain)}
    return {key for key in keys if 0 < len(key) <= KEY_CHARS_MAX}


def _values(header: str | bytes) -> list[str]:
    """Return the values of a header that may have come several times."""
    return [value.strip() for value in header.split(",")] if isinstance(header, str) else []


class _CachedKey(msgspec.Struct):
    merchant_id: str | None
    read_at_s: float


class CachedAuthenticator(Authenticator):
    """Caches the answers of another authenticator.

    Valid and invalid keys have a cache each, so that guessing cannot push out the valid ones.
    """

    def __init__(
        self,
        source: Authenticator,
        limits: options.Limits,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._limits, self._now_s = source, limits, now_s
        self._valid: OrderedDict[str, _CachedKey] = OrderedDict()
        self._invalid: OrderedDict[str, _CachedKey] = OrderedDict()

    async def merchant_of(self, key: str) -> str | None:
        """See Authenticator."""
        digest = ids.digest(key.encode())
        cached = self._valid.get(digest) or self._invalid.get(digest)
        if cached and self._now_s() - cached.read_at_s < self._limits.key_ttl_s:
            return cached.merchant_id
        try:
            merchant_id = await self._source.merchant_of(key)
        except errors.DatabaseAway:
            return self._while_away(cached)
        self._keep(digest, merchant_id)
        return merchant_id

    def _while_away(self, cached: _CachedKey | None) -> str | None:
        """Answer from the cache, if it knows the key; no other key can be checked now."""
        if cached and self._now_s() - cached.read_at_s < self._limits.key_stale_max_s:
            return cached.merchant_id
        raise errors.DatabaseAway("API keys cannot be looked up")

    def _keep(self, digest: str, merchant_id: str | None) -> None:
        self._valid.pop(digest, None)
        self._invalid.pop(digest, None)
        cache = self._invalid if merchant_id is None else self._valid
        cache[digest] = _CachedKey(merchant_id, self._now_s())
        if len(cache) > self._limits.keys_max:
            cache.popitem(last=False)
