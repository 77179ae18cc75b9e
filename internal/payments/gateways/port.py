"""The port of a payment gateway. Idempotency keys are ours: one never moves money twice."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec


class GatewayStatus(StrEnum):
    """The result of a request, as the gateway reports it."""

    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"


class Answer(msgspec.Struct, frozen=True):
    """The gateway's answer to one request."""

    status: GatewayStatus
    reference: str
    decline_code: str = ""
    amount_minor: int = 0
    """What a charge took, which may differ from what was asked for."""
    currency: str = ""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """Take `amount_minor` from the card behind a token. `key` is the idempotency key."""

    key: str
    merchant_id: str
    amount_minor: int
    currency: str
    card_token: str


class Void(msgspec.Struct, frozen=True):
    """Undo the charge that was sent under `charge_key`, whether or not its answer arrived."""

    key: str
    charge_key: str


class Gateway(Protocol):
    """A service that moves money.

    Every request raises GatewayAway when it certainly had no effect and is safe to send again, and
    GatewaySilent when it may have had its effect: only `lookup` can tell.
    """

    async def charge(self, request: Charge) -> Answer:
        """Take money once per key; the same key again gives the first answer."""
        ...

    async def void(self, request: Void) -> Answer:
        """Return the money of a charge, once per key.

        A charge that has not arrived yet is barred forever: SUCCEEDED.
        """
        ...

    async def lookup(self, key: str) -> Answer | None:
        """Return the answer to the request with this key; None when it never arrived."""
        ...

    async def close(self) -> None:
        """Release connections and files."""
        ...


RecordedRequest = tuple[str | int, ...]
"""One request in a gateway's own ledger, in the gateway's own format."""


class GatewayLedger(Protocol):
    """The requests that a gateway recorded, where this machine can read and change them.

    The checks compare it with the payment attempts; the lab copies and clears it.
    """

    def captured_by_key(self, keys: Collection[str] | None = None) -> dict[str, int]:
        """Return {idempotency key: minor units} of charges that were captured and not voided.

        Of these keys only, if they are given.
        """
        ...

    def requests(self) -> Sequence[RecordedRequest]:
        """Return all recorded requests."""
        ...

    def add_copies(self, requests: Sequence[RecordedRequest], suffix: str) -> None:
        """Record copies of `requests`, each under its key with `suffix` appended."""
        ...

    def clear(self) -> None:
        """Delete the ledger; no gateway may have it open."""
        ...
