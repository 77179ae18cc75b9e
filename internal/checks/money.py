"""I3 and I4 in the database: tenders, ledger entries and order totals agree.

Tenders are compared with their attempts and movements in `checks.tenders`, and the gateway's ledger
in `checks.gateway`. Writes nothing.
"""

import itertools
from collections import Counter

import sqlalchemy as sa

from internal.checks import findings
from internal.ledger import rules as ledger_rules
from internal.ledger import store as ledger_store
from internal.ledger.messages import AccountKind

WINDOW_TRANSACTIONS = 20_000
"""Transactions that are summed by one query."""

_HELD = """
    (SELECT COALESCE(SUM(t.captured_minor - t.refunded_minor), 0) FROM order_tenders t
      WHERE t.order_key = o.order_key)
"""
"""SQL: the money held for an order `o`, which is what its tenders brought and did not give back."""
_DUE = "o.total_minor + o.tip_minor + o.cash_rounding_minor - o.outstanding_minor"
"""SQL: what the tenders of an order `o` have to bring."""

_ANY_STORE = "%"
_RECEIVING = " OR ".join(
    f"e.account {'LIKE' if _ANY_STORE in account else '='} :receiving_{kind.lower()}"
    for kind in AccountKind
    for account in [ledger_rules.receiving_account(kind, _ANY_STORE)]
)
"""SQL: whether the account of an entry `e` receives payments."""


def _booked(parameter: str) -> str:
    """Return the SQL of what the sale of an order `o` credits to the accounts of a parameter."""
    return f"""
        (SELECT COALESCE(SUM(e.credit_minor - e.debit_minor), 0) FROM ledger_entries e
          WHERE e.source_kind = :sale AND e.source_key = o.order_key
            AND e.account LIKE :{parameter})
    """  # noqa: S608 - a name of our own


_FINALIZED_AGREES = findings.Rule(
    "I3",
    "a finalized order's captures, ledger and total are one amount; tax, tip, rounding are booked",
    f"""
    SELECT merchant_id, order_id, due, held, booked, tax, tax_booked, tip, tip_booked,
      rounding, rounding_booked
    FROM (
      SELECT o.merchant_id, o.order_id, {_DUE} AS due, o.tax_minor AS tax, o.tip_minor AS tip,
        o.cash_rounding_minor AS rounding, {_HELD} AS held,
        {_booked("tips")} AS tip_booked, {_booked("rounding")} AS rounding_booked,
        (SELECT COALESCE(SUM(e.debit_minor - e.credit_minor), 0) FROM ledger_entries e
          WHERE e.source_kind = :sale AND e.source_key = o.order_key
            AND ({_RECEIVING})) AS booked,
        {_booked("taxes")} AS tax_booked
      FROM orders o WHERE o.state = :order_finalized
    ) AS q
    WHERE held <> due OR booked <> due OR tax_booked <> tax
       OR tip_booked <> tip OR rounding_booked <> rounding
    """,  # noqa: S608 - a fragment of our own
)
_PAID_AGREES = findings.Rule(
    "I3",
    "a paid order's captures are its total, with tip and rounding",
    f"""
    SELECT merchant_id, order_id, due, held
    FROM (
      SELECT o.merchant_id, o.order_id, {_DUE} AS due, {_HELD} AS held
      FROM orders o
      WHERE o.state = :order_paid AND o.charge_state NOT IN (:charge_pending, :charge_unknown)
    ) AS q
    WHERE held <> due
    """,  # noqa: S608
)
_PAID_RETURNS = findings.Rule(
    "I3",
    "a paid order whose charge is open has a void: its money is being returned",
    """
    SELECT o.merchant_id, o.order_id, o.charge_state FROM orders o
    WHERE o.state = :order_paid AND o.charge_state IN (:charge_pending, :charge_unknown)
      AND NOT EXISTS (SELECT 1 FROM payment_attempts v
        WHERE v.order_key = o.order_key AND v.operation = :request_void)
    """,
)
_NOTHING_HELD = findings.Rule(
    "I3",
    "a rejected or cancelled order holds no money",
    f"""
    SELECT merchant_id, order_id, state, held
    FROM (
      SELECT o.merchant_id, o.order_id, o.state, {_HELD} AS held
      FROM orders o WHERE o.state IN (:order_rejected, :order_cancelled, :order_expired)
    ) AS q
    WHERE held <> 0
    """,  # noqa: S608
)
_NOTHING_OPEN = findings.Rule(
    "I3",
    "no order ends while the gateway's verdict on an attempt is missing",
    """
    SELECT o.merchant_id, o.order_id, o.state, a.attempt_no, a.state AS attempt
    FROM payment_attempts a JOIN orders o ON o.order_key = a.order_key
    WHERE (a.state IN (:attempt_pending, :attempt_unknown)
        OR (a.state = :attempt_different AND NOT EXISTS (SELECT 1 FROM payment_attempts v
          WHERE v.order_key = a.order_key AND v.parent_no = a.attempt_no
            AND v.state = :attempt_succeeded)))
      AND (o.state IN (:order_finalized, :order_rejected, :order_cancelled, :order_expired)
        OR (o.state = :order_paid AND o.charge_state NOT IN (:charge_pending, :charge_unknown)))
    """,
)
_ONE_CAPTURE = findings.Rule(
    "I3",
    "a tender is captured once at most",
    """
    SELECT c.order_key, c.tender_no, c.attempt_no FROM payment_attempts c
    WHERE c.operation = :request_sale AND c.state = :attempt_succeeded
      AND EXISTS (SELECT 1 FROM payment_attempts earlier
        WHERE earlier.order_key = c.order_key AND earlier.attempt_no < c.attempt_no
          AND earlier.operation = :request_sale AND earlier.state = :attempt_succeeded
          AND earlier.tender_no = c.tender_no)
    """,
)
_ATTEMPTS_HAVE_ORDERS = findings.Rule(
    "I3",
    "an attempt belongs to an order, in its currency",
    """
    SELECT a.order_key, a.attempt_no, a.currency, o.currency AS currency_of_order
    FROM payment_attempts a LEFT JOIN orders o ON o.order_key = a.order_key
    WHERE o.order_key IS NULL OR o.currency <> a.currency
    """,
)
_BALANCED_EACH = findings.Rule(
    "I4",
    "debits equal credits in every transaction, of one merchant and currency",
    """
    SELECT source_kind, source_key, SUM(debit_minor - credit_minor) AS difference
    FROM ledger_entries GROUP BY source_kind, source_key
    HAVING SUM(debit_minor - credit_minor) <> 0
        OR MIN(currency) <> MAX(currency) OR MIN(merchant_id) <> MAX(merchant_id)
    """,
)
_ONE_SIDED = findings.Rule(
    "I4",
    "an entry is a debit or a credit, of more than nothing",
    """
    SELECT source_kind, source_key, entry_no, debit_minor, credit_minor FROM ledger_entries
    WHERE debit_minor < 0 OR credit_minor < 0
       OR (debit_minor = 0 AND credit_minor = 0) OR (debit_minor > 0 AND credit_minor > 0)
    """,
)
_ENTRIES_HAVE_ORDERS = findings.Rule(
    "I4",
    "a sale's entry belongs to a finalized order of that merchant and currency",
    """
    SELECT e.source_kind, e.source_key, e.entry_no, o.state
    FROM ledger_entries e LEFT JOIN orders o ON o.order_key = e.source_key
    WHERE e.source_kind = :sale AND (o.order_key IS NULL OR o.state <> :order_finalized
       OR o.merchant_id <> e.merchant_id OR o.currency <> e.currency)
    """,
)
RULES = (
    _FINALIZED_AGREES,
    _PAID_AGREES,
    _PAID_RETURNS,
    _NOTHING_HELD,
    _NOTHING_OPEN,
    _ONE_CAPTURE,
    _ATTEMPTS_HAVE_ORDERS,
    _BALANCED_EACH,
    _ONE_SIDED,
    _ENTRIES_HAVE_ORDERS,
)


def check(connection: sa.Connection) -> list[findings.Finding]:
    """Return the broken rules about money."""
    parameters = {
        **findings.PARAMETERS,
        "sale": "sale",
        **{
            f"receiving_{kind.lower()}": ledger_rules.receiving_account(kind, _ANY_STORE)
            for kind in AccountKind
        },
        "taxes": ledger_rules.tax_payable("%"),
        "tips": ledger_rules.TIPS,
        "rounding": ledger_rules.ROUNDING,
    }
    return findings.evaluate(connection, RULES, parameters) + _balance(connection)


def _balance(connection: sa.Connection) -> list[findings.Finding]:
    """Sum debits less credits of every merchant and currency, window by window."""
    sums: Counter[tuple[str, str]] = Counter()
    entries = ledger_store.LEDGER_ENTRIES.c
    kinds = connection.execute(sa.select(entries.source_kind).distinct()).scalars().all()
    windows = findings.windows(connection, entries.source_key, WINDOW_TRANSACTIONS)
    for kind, window in itertools.product(kinds, windows):
        for row in connection.execute(_DIFFERENCES, {"kind": kind, **window}):
            sums[row.merchant_id, row.currency] += int(row.difference)
    broken = findings.Collector("I4")
    for (merchant_id, currency), difference in sums.items():
        if difference:
            example = findings.show(
                merchant_id=merchant_id, currency=currency, difference=difference
            )
            broken.add("debits equal credits, per merchant and currency", example)
    return broken.findings()


_DIFFERENCES = sa.text(
    """
    SELECT merchant_id, currency, SUM(debit_minor - credit_minor) AS difference
    FROM ledger_entries
    WHERE source_kind = :kind AND source_key > :after AND source_key <= :upto
    GROUP BY merchant_id, currency
    """
)
