"""Every exception of Souk, in one tree.

SoukError
├── Temporary            the same thing may work later: retry with jitter, keep the message
│   ├── DatabaseAway     cannot be reached, locked for too long, deadlock, lost connection
│   │   ├── Conflict     another transaction changed the same rows: repeat this one, not forever
│   │   └── TooMuchAtOnce  a transaction was too large or took too long: halves of it may work
│   ├── BusAway          no receipt from the broker
│   ├── GatewayAway      the request certainly did not reach the payment gateway
│   └── Overloaded       the backlog is too deep; carries the delay to wait
├── Permanent            no retry helps: a dead letter for one order, an error for a caller
│   ├── Poison           a message that cannot be read or recorded
│   └── InvalidInput     a caller's mistake, with the fields that are wrong
│       ├── InvalidMoney an amount that its currency cannot express, or out of range
│       ├── CardNumber   a field contains something that looks like a card number
│       ├── OrdersHeldUp letters would be dropped that open orders depend on
│       ├── RequestIdReused another request has this id
│       └── UnknownReport no report has this name; carries the names that exist
├── DatabaseDamaged      a database is damaged, missing or older than it was: stops the process
├── GatewaySilent        the request may have reached the gateway: the result is UNKNOWN
└── Misconfigured        a setting is wrong; stops the start and names it

Business refusals (out of stock, declined) are return values, not exceptions: see each rules.py.
"""


class SoukError(Exception):
    """The base of every exception that Souk raises on purpose."""


class Temporary(SoukError):
    """The same thing may work later."""

    told = ""
    """The cause in words that a caller may read; empty if it is none of a caller's business."""


class DatabaseAway(Temporary):
    """The database cannot be reached, is locked, or ended this transaction in a deadlock.

    `reason` is lower_snake or the database's own number, for grouping; "" if it is not known.
    """

    def __init__(self, message: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class Conflict(DatabaseAway):
    """Rows are not as this transaction read them; repeat the whole of it.

    If that does not help after some tries, it is not a race but a contradiction in the tables, and
    no retry helps.
    """


class TooMuchAtOnce(DatabaseAway):
    """The database ended a transaction or a read for its size or duration.

    The same at once would end in the same way; halves of it may work.
    """


class BusAway(Temporary):
    """The broker gave no receipt."""


class GatewayAway(Temporary):
    """The payment gateway was not reached; the request had no effect."""


class Overloaded(Temporary):
    """The backlog is deeper than the limit; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Permanent(SoukError):
    """No retry helps."""


class Poison(Permanent):
    """A message that cannot be read or recorded; `code` is UPPER_SNAKE, for grouping."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidInput(Permanent):
    """A caller's mistake; `violations` is [(field path, what is wrong)], `code` is UPPER_SNAKE."""

    code = "INVALID_ARGUMENT"

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__(
            "; ".join(f"{field}: {what}" if field else what for field, what in violations)
        )
        self.violations = violations


class InvalidMoney(InvalidInput):
    """An amount that its currency cannot express, of an unknown currency, or out of range."""

    code = "INVALID_MONEY"


class CardNumber(InvalidInput):
    """A field contains something that looks like a card number; the number is never repeated."""

    code = "CARD_NUMBER_REFUSED"


class OrdersHeldUp(InvalidInput):
    """Open orders would be left without anything that moves them; carries what must be said."""

    code = "ORDERS_HELD_UP"


class RequestIdReused(InvalidInput):
    """Another request of this method has this id; it is unchanged."""

    code = "REQUEST_ID_REUSED"


class UnknownReport(InvalidInput):
    """No report is called `name`; `known` are the names that exist."""

    code = "UNKNOWN_REPORT"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__([("", f"there is no report {name!r}; there are {', '.join(known)}")])
        self.name = name
        self.known = known


class DatabaseDamaged(SoukError):
    """The database is damaged, missing, or older than it was; the message says what to do.

    It is not an order's fault, so no order becomes a dead letter for it: the process stops.
    """


class GatewaySilent(SoukError):
    """The gateway may have acted but did not answer in time: the result is UNKNOWN."""


class Misconfigured(SoukError):
    """A setting is missing or wrong; the message names it."""
