"""How much of an order's money is charged: one function of the amounts of its tenders. Pure."""

from collections.abc import Sequence

import msgspec

from internal.kernel.states import ChargeState


class TenderAmounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a tender's money, in minor units.

    What is captured and was given back later stays captured, and is refunded. A void ends what was
    not captured, or was captured for a moment only: it leaves `captured_minor`.
    """

    pending_minor: int = 0
    """A request is under way."""
    action_minor: int = 0
    """The customer must act first."""
    unknown_minor: int = 0
    """A request may have had its effect, or had another one: nothing is known for certain."""
    authorized_minor: int = 0
    """All that the gateway agreed to hold or to take, ever."""
    captured_minor: int = 0
    voided_minor: int = 0
    expired_minor: int = 0
    declined_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    """Open disputes and lost ones."""
    outstanding_minor: int = 0
    """Owed by the customer: a bank transfer or an invoice."""


def charge_of(due_minor: int, tenders: Sequence[TenderAmounts]) -> ChargeState:
    """Return the charge state of an order, or of one tender, that has to bring `due_minor`.

    What is not certain comes first, then what is captured, then what is held, then what ended.
    """
    return (
        _uncertain(tenders)
        or _captured(due_minor, tenders)
        or _held(due_minor, tenders)
        or _ended(tenders)
    )


def _sum(tenders: Sequence[TenderAmounts], name: str) -> int:
    return sum(getattr(tender, name) for tender in tenders)


def _uncertain(tenders: Sequence[TenderAmounts]) -> ChargeState | None:
    if _sum(tenders, "disputed_minor"):
        return ChargeState.DISPUTED
    if _sum(tenders, "unknown_minor"):
        return ChargeState.UNKNOWN
    if _sum(tenders, "action_minor"):
        return ChargeState.ACTION_REQUIRED
    return ChargeState.PENDING if _sum(tenders, "pending_minor") else None


def _captured(due_minor: int, tenders: Sequence[TenderAmounts]) -> ChargeState | None:
    captured, refunded = _sum(tenders, "captured_minor"), _sum(tenders, "refunded_minor")
    outstanding = _sum(tenders, "outstanding_minor")
    kept = captured - refunded
    if refunded and not kept:
        return ChargeState.REFUNDED
    if kept > due_minor:
        return ChargeState.OVERCHARGED
    if outstanding and kept + outstanding >= due_minor:
        return ChargeState.OUTSTANDING
    if not captured:
        return None
    if kept == due_minor:
        return ChargeState.FULL
    return ChargeState.PARTLY_REFUNDED if refunded else ChargeState.PARTLY_CAPTURED


def _held(due_minor: int, tenders: Sequence[TenderAmounts]) -> ChargeState | None:
    held = sum(max(0, it.authorized_minor - it.voided_minor - it.expired_minor) for it in tenders)
    if not held:
        return None
    return ChargeState.AUTHORIZED if held >= due_minor else ChargeState.PARTLY_AUTHORIZED


def _ended(tenders: Sequence[TenderAmounts]) -> ChargeState:
    if _sum(tenders, "voided_minor"):
        return ChargeState.VOIDED
    if _sum(tenders, "expired_minor"):
        return ChargeState.EXPIRED
    return ChargeState.DECLINED if _sum(tenders, "declined_minor") else ChargeState.NONE
