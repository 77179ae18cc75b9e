"""The payment gateway as a port. Idempotency keys are ours: one never moves money twice."""

from enum import StrEnum
from typing import Protocol

import msgspec


class GatewayStatus(StrEnum):
    """The gateway's own word on a request."""

    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"


class Answer(msgspec.Struct, frozen=True):
    """What the gateway says of one request."""

    status: GatewayStatus
    reference: str
    decline_code: str = ""


class Charge(msgspec.Struct, frozen=True):
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
    """Somebody who moves money for us.

    Every method raises GatewayAway when the request certainly had no effect and is safe to send
    again, and GatewaySilent when it may have had its effect: only `lookup` can tell.
    """

    async def charge(self, request: Charge) -> Answer:
        """Take money once per key; the same key again gives the first answer."""
        ...

    async def void(self, request: Void) -> Answer:
        """Give it back, once per key.

        A charge that never arrived is thereby barred for ever: SUCCEEDED.
        """
        ...

    async def lookup(self, key: str) -> Answer | None:
        """Tell what became of the request with this key; None when it never arrived."""
        ...
