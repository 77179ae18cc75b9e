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


def sums_of(tenders: Sequence[TenderAmounts]) -> TenderAmounts:
    """Add up the amounts of tenders."""
    if len(tenders) == 1:
        return tenders[0]
    names = TenderAmounts.__struct_fields__
    return TenderAmounts(**{name: sum(getattr(it, name) for it in tenders) for name in names})


def charge_of(due_minor: int, tenders: Sequence[TenderAmounts]) -> ChargeState:
    """Return the charge state of an order, or of one tender, that has to bring `due_minor`.

    What is not certain comes first, then what is captured, then what is held, then what ended.
    """
    sums = sums_of(tenders)
    return (
        _uncertain(sums) or _captured(due_minor, sums) or _held(due_minor, tenders) or _ended(sums)
    )


def _uncertain(sums: TenderAmounts) -> ChargeState | None:
    if sums.disputed_minor:
        return ChargeState.DISPUTED
    if sums.unknown_minor:
        return ChargeState.UNKNOWN
    if sums.action_minor:
        return ChargeState.ACTION_REQUIRED
    return ChargeState.PENDING if sums.pending_minor else None


def _captured(due_minor: int, sums: TenderAmounts) -> ChargeState | None:
    kept = sums.captured_minor - sums.refunded_minor
    if sums.refunded_minor and not kept:
        return ChargeState.REFUNDED
    if kept > due_minor:
        return ChargeState.OVERCHARGED
    if sums.outstanding_minor and kept + sums.outstanding_minor >= due_minor:
        return ChargeState.OUTSTANDING
    if not sums.captured_minor:
        return None
    if kept == due_minor:
        return ChargeState.FULL
    return ChargeState.PARTLY_REFUNDED if sums.refunded_minor else ChargeState.PARTLY_CAPTURED


def _held(due_minor: int, tenders: Sequence[TenderAmounts]) -> ChargeState | None:
    """Add up tender by tender: a void without an authorization ends no other one's."""
    held = sum(max(0, it.authorized_minor - it.voided_minor - it.expired_minor) for it in tenders)
    if not held:
        return None
    return ChargeState.AUTHORIZED if held >= due_minor else ChargeState.PARTLY_AUTHORIZED


def _ended(sums: TenderAmounts) -> ChargeState:
    if sums.voided_minor:
        return ChargeState.VOIDED
    if sums.expired_minor:
        return ChargeState.EXPIRED
    return ChargeState.DECLINED if sums.declined_minor else ChargeState.NONE
