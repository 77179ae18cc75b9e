"""I3 against the gateway's ledger: it holds the captures that the attempts record, and no other.

Reads the attempts window by window; writes nothing. While the gateway's verdict on a charge or on
its void is missing, the charge may or may not be at the gateway.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, Scope
from internal.kernel import states
from internal.payments import store
from internal.payments.messages import AttemptState

Captured = Mapping[str, int]
"""{idempotency key: minor units} that the gateway captured and did not give back."""

WINDOW_ORDERS = 5_000
"""Orders whose charges are in memory at the same time."""

_CHARGES = sa.text(
    """
    SELECT c.order_key, c.tender_no, c.attempt_no, c.attempt_key, c.asked_minor, c.answered_minor,
      c.state, o.state AS order_state,
      (SELECT MIN(CASE WHEN v.state = :attempt_succeeded THEN 0 ELSE 1 END)
         FROM payment_attempts v WHERE v.order_key = c.order_key
           AND v.operation = :request_void AND v.parent_no = c.attempt_no) AS void_open
    FROM payment_attempts c LEFT JOIN orders o ON o.order_key = c.order_key
    WHERE c.order_key > :after AND c.order_key <= :upto
      AND c.operation = :request_sale
    """
)

_NO_ATTEMPT = "the gateway holds money that no attempt knows of"
_AGREES = "the gateway and the attempts agree on what is captured"
_ONE_CAPTURE = "the gateway captured a tender once at most"


class _Charge(msgspec.Struct, frozen=True):
    """One charge at the gateway."""

    order_key: int
    tender_no: int
    attempt_no: int
    attempt_key: str
    asked_minor: int
    answered_minor: int
    state: AttemptState
    order_state: str | None
    void_open: int | None
    """1 if a void is open, 0 if it is done, None without a void."""


def check(
    connection: sa.Connection,
    captured: Captured,
    scope: Scope = EVERYTHING,
) -> list[findings.Finding]:
    """Return where the gateway's ledger and the attempts disagree.

    Args:
        connection: a snapshot.
        captured: the gateway's ledger.
        scope: what is checked.
    """
    captured = {key: minor for key, minor in captured.items() if key not in scope.moving}
    broken, known = findings.Collector("I3"), 0
    for window in _windows(connection, scope):
        tenders: dict[tuple[int, int], str] = {}
        for charge in window:
            if charge.attempt_key in scope.moving:
                continue
            there = captured.get(charge.attempt_key)
            if there is not None:
                known += 1
                _check_second(broken, tenders, charge)
            if not _agrees(charge, there):
                broken.add(_AGREES, _show(charge, there))
    if known < len(captured):
        _add_unknown(connection, broken, captured, scope)
    return broken.findings()


def keys_of(connection: sa.Connection, scope: Scope) -> set[str]:
    """Return the idempotency keys of the scope's charges."""
    return {charge.attempt_key for window in _windows(connection, scope) for charge in window}


def _windows(connection: sa.Connection, scope: Scope) -> Iterator[list[_Charge]]:
    keys = store.PAYMENT_ATTEMPTS.c.order_key
    for window in findings.windows(connection, keys, WINDOW_ORDERS, keys > scope.after):
        rows = connection.execute(_CHARGES, {**findings.PARAMETERS, **window})
        yield [_charge(row) for row in rows]


def _charge(row: sa.Row[tuple[Any, ...]]) -> _Charge:
    values = dict(row._asdict())
    values["state"] = AttemptState(row.state)
    return _Charge(**values)


def _check_second(
    broken: findings.Collector, tenders: dict[tuple[int, int], str], charge: _Charge
) -> None:
    first = tenders.setdefault((charge.order_key, charge.tender_no), charge.attempt_key)
    if first != charge.attempt_key:
        example = findings.show(order_key=charge.order_key, first=first, second=charge.attempt_key)
        broken.add(_ONE_CAPTURE, example)


def _agrees(charge: _Charge, there: int | None) -> bool:
    """Tell whether the gateway may hold `there` for this charge.

    While its answer is missing it may have taken less than was asked for.
    """
    is_answered = charge.state in {AttemptState.SUCCEEDED, AttemptState.DIFFERENT}
    if there is not None and is_answered and there != charge.answered_minor:
        return False
    if there is not None and not is_answered and there > charge.asked_minor:
        return False
    is_open = charge.state in {AttemptState.PENDING, AttemptState.UNKNOWN} or charge.void_open == 1
    if is_open or (charge.state is AttemptState.FAILED and not _is_order_terminal(charge)):
        return True
    return (is_answered and charge.void_open is None) == (there is not None)


def _is_order_terminal(charge: _Charge) -> bool:
    state = charge.order_state
    return state is None or states.is_terminal(states.OrderState(state))


def _add_unknown(
    connection: sa.Connection, broken: findings.Collector, captured: Captured, scope: Scope
) -> None:
    """Add the captures that have no attempt. Reads the attempts again, only if there are any."""
    unknown = set(captured)
    for window in _windows(connection, scope):
        unknown.difference_update(charge.attempt_key for charge in window)
    for key in sorted(unknown):
        broken.add(_NO_ATTEMPT, findings.show(key=key, captured=captured[key]))


def _show(charge: _Charge, there: int | None) -> str:
    return findings.show(
        order_key=charge.order_key,
        key=charge.attempt_key,
        asked=charge.asked_minor,
        answered=charge.answered_minor,
        state=charge.state,
        at_gateway=there,
    )
