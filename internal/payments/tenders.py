"""The kinds of tenders, one row each: name on the wire, who settles it, which account receives it.

A new kind takes a row here, its name in `TenderKind`, its messages in the .proto, and a ledger
account unless an existing one receives it. Pure.
"""

from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache

import msgspec

from internal.kernel import errors
from internal.ledger import rules
from internal.ledger.messages import Account, AccountKind, AccountRef
from internal.payments.messages import Captured, TenderKind


class SettledBy(Enum):
    """The party that takes the money and gives it back."""

    TILL = auto()
    """The merchant, on the spot: settled as soon as it is recorded, without a call."""
    GATEWAY = auto()
    """The payment gateway, by the token that the tender carries."""


class TenderType(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of one kind of tender."""

    kind: TenderKind
    """As facts and rows name it; the wire's enum says TENDER_KIND_ before it."""
    wire_field: str
    """Its field in the oneof `kind` of souk.v1.Tender; the command line uses the same name."""
    settled_by: SettledBy
    account: AccountKind
    """Receives the money when the sale is booked."""
    is_cash: bool = False
    """Paid in coins and notes: it gives change, and is rounded as the store rounds cash."""

    @property
    def has_token(self) -> bool:
        """Tell whether the tender carries a token for the gateway."""
        return self.settled_by is SettledBy.GATEWAY


TYPES: dict[str, TenderType] = {
    row.kind: row
    for row in (
        TenderType(
            kind=TenderKind.CASH,
            wire_field="cash",
            settled_by=SettledBy.TILL,
            account=AccountKind.CASH_DRAWER,
            is_cash=True,
        ),
        TenderType(
            kind=TenderKind.CARD,
            wire_field="card",
            settled_by=SettledBy.GATEWAY,
            account=AccountKind.CLEARING,
        ),
    )
}
"""By kind."""


def of_kind(kind: str) -> TenderType:
    """Return the type of a recorded tender.

    Raises:
        Poison: the kind is unknown.
    """
    if kind not in TYPES:
        raise errors.Poison("UNKNOWN_TENDER", f"unknown kind of tender: {kind!r}")
    return TYPES[kind]


def of_wire_field(wire_field: str | None, path: str) -> TenderType:
    """Return the type of a tender by the field that is set in it; `path` leads to the oneof.

    Raises:
        InvalidInput: no field is set, or one that is not accepted.
    """
    for row in TYPES.values():
        if row.wire_field == wire_field:
            return row
    what = f"a tender of the kind {wire_field} is not accepted" if wire_field else NO_FIELD
    raise errors.InvalidInput([(path, what)])


NO_FIELD = "exactly one field is required in oneof"
"""As protovalidate says it, which refuses such a request first."""


def received(captured: Iterable[Captured], store_id: str) -> tuple[tuple[AccountRef, int], ...]:
    """Return (account, amount) of every capture in a store.

    Raises:
        Poison: one of them is of no known kind.
    """
    return tuple(
        (rules.ref(of_kind(it.tender_kind).account, store_id), it.amount_minor) for it in captured
    )


@lru_cache(maxsize=rules.KEYS_REMEMBERED_MAX)
def account_key(kind: str, merchant_id: str, store_id: str, currency: str) -> int:
    """Return the key of the account that receives the money of a tender of this kind.

    Raises:
        Poison: the kind is unknown.
    """
    account = rules.ref(of_kind(kind).account, store_id)
    return rules.key_of(Account(merchant_id, account, currency))


def kinds_settled_by(party: SettledBy) -> list[str]:
    """Return the kinds of tenders that this party settles."""
    return [row.kind for row in TYPES.values() if row.settled_by is party]
