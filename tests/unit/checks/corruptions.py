"""Ways to corrupt a correct database: for each the rule that it breaks, and the SQL that does it.

`$sale` stands for the order_key of the order called "sale", `$now` for the current time.
"""

from collections.abc import Mapping, Sequence


def without_keys(table: str) -> tuple[str, ...]:
    """Return the SQL that removes all keys and checks of a table, and leaves a copy of it."""
    return (
        f"CREATE TABLE bare_{table} AS SELECT * FROM {table}",  # noqa: S608 - a name of our own
        f"DROP TABLE {table}",
        f"CREATE TABLE {table} AS SELECT * FROM bare_{table}",  # noqa: S608
    )


def replaces_tables(statements: Sequence[str]) -> bool:
    """Tell whether the statements replace whole tables."""
    return any(statement.startswith(("CREATE", "DROP", "ALTER")) for statement in statements)


LOG = "stage, event_id, version, state, reason, fact, digest, at_us"
"""The columns that `$log` stands for."""
ATTEMPT = (
    "INSERT INTO payment_attempts (order_key, attempt_no, tender_no, operation, parent_no, state,"
    " asked_minor, currency, attempt_key, at_us, updated_at_us)"
    " SELECT {key}, {no}, 1, '{operation}', {parent}, '{state}', 5, '{currency}', 'key-{no}', 0, 0"
)
SALE = {"no": 8, "operation": "SALE", "parent": 0, "state": "DECLINED", "currency": "EUR"}
TRANSACTION = (
    "INSERT INTO payment_transactions (order_key, transaction_no, tender_no, operation,"
    " amount_minor, currency, business_day, at_us, account_key)"
    " SELECT {key}, 9, 1, 'SALE', {minor}, 'EUR', 0, 0,"
    " (SELECT MAX(account_key) FROM order_tenders WHERE order_key = {key} AND tender_no = 1)"
)
ENTRY = (
    "INSERT INTO ledger_entries (business_day, source_kind, source_key, transaction_no, entry_no,"
    " account_key, amount_minor, recorded_at_us)"
    " SELECT {day}, 'sale', {key}, 1, {no}, MIN(account_key), {minor}, 0 FROM accounts"
    " WHERE merchant_id = 'm-1'"
)
MOVED = (
    "UPDATE ledger_entries SET account_key ="
    " (SELECT r.account_key FROM accounts r JOIN accounts a ON a.merchant_id = r.merchant_id"
    " WHERE r.kind = 'REVENUE' AND a.account_key = ledger_entries.account_key)"
    " WHERE {where} AND account_key IN (SELECT account_key FROM accounts WHERE kind = '{kind}')"
)
AGAIN = (
    "INSERT INTO ledger_entries (business_day, source_kind, source_key, transaction_no, entry_no,"
    " account_key, amount_minor, recorded_at_us)"
    " SELECT business_day + {days}, source_kind, source_key, 2, entry_no, account_key,"
    " amount_minor, 0 FROM ledger_entries WHERE source_key = $sale"
)
REVENUE = (
    "UPDATE ledger_entries SET amount_minor = amount_minor {change} WHERE source_key = {key}"
    " AND account_key IN"
    " (SELECT account_key FROM accounts WHERE merchant_id = 'm-1' AND kind = 'REVENUE')"
)
REBALANCE = (
    "UPDATE account_balances SET debit_minor = 0, credit_minor = 0",
    "UPDATE account_balances SET debit_minor = (SELECT COALESCE(SUM(e.amount_minor), 0)"
    " FROM ledger_entries e WHERE e.account_key = account_balances.account_key"
    " AND e.amount_minor > 0), credit_minor = (SELECT COALESCE(-SUM(e.amount_minor), 0)"
    " FROM ledger_entries e WHERE e.account_key = account_balances.account_key"
    " AND e.amount_minor < 0) WHERE shard = 0",
)
"""Makes the balances agree with the entries again."""
MOVEMENT = (
    "INSERT INTO stock_movements (business_day, source_kind, source_key, movement_no, merchant_id,"
    " location_id, sku, reason, quantity_milli, happened_at_us, recorded_at_us)"
    " VALUES (20231114, '{kind}', {key}, 9, 'm-1', 'main', 'tea', '{reason}', {milli}, 0, 0)"
)
GONE = (
    "UPDATE stock SET on_hand_milli = -1 WHERE merchant_id = 'm-2' AND sku = 'rare'",
    "UPDATE stock_movements SET quantity_milli = -1 WHERE merchant_id = 'm-2' AND sku = 'rare'",
)
"""SQL that takes away all of a product, and a little more."""

HOLD = (
    "INSERT INTO appointments (kind, subject, shard, due_at_us) VALUES ('hold', '{subject}', 0, 0)"
)
LETTER = (
    "INSERT INTO dead_letters (stage, topic, code, explanation, subject_kind, merchant_id,"
    " subject, payload, at_us, closed_at_us, closed_by) VALUES"
    " ('finalization', 'orders.paid', 'BUG', '', '{kind}', 'm-1', '{order}', '', 1, {closed})"
)

CORRUPTIONS: Mapping[str, tuple[str, ...]] = {
    "an order twice": (
        "I2 recorded once",
        *without_keys("orders"),
        "UPDATE bare_orders SET order_key = 999999 WHERE order_key = $unknown_sku",
        "INSERT INTO orders SELECT * FROM bare_orders WHERE order_key = 999999",
        "INSERT INTO order_log (order_key, $log) SELECT 999999, $log FROM order_log"
        " WHERE order_key = $unknown_sku",
    ),
    "a movement of another amount": (
        "I3 sum of its movements",
        "UPDATE payment_transactions SET amount_minor = 1 WHERE order_key = $sale",
    ),
    "a movement that was lost": (
        "I3 sum of its movements",
        "DELETE FROM payment_transactions WHERE order_key = $sale",
    ),
    "a tip that counts as sale": (
        "I3 its tip, its rounding and its change",
        "UPDATE payment_transactions SET operation = 'SALE' WHERE operation = 'TIP'",
    ),
    "rounding that counts as sale": (
        "I3 its tip, its rounding and its change",
        "UPDATE payment_transactions SET operation = 'SALE' WHERE operation = 'ROUNDING'",
    ),
    "change that counts as sale": (
        "I3 its tip, its rounding and its change",
        "UPDATE payment_transactions SET operation = 'SALE' WHERE operation = 'CHANGE'",
    ),
    "a movement in another currency": (
        "I3 in its order's currency",
        "UPDATE payment_transactions SET currency = 'JPY' WHERE order_key = $sale",
    ),
    "a movement on another account": (
        "I3 on its account",
        "UPDATE payment_transactions SET account_key = 1 WHERE order_key = $sale",
    ),
    "a tender whose money is on no account": (
        "I3 that receive money",
        "UPDATE order_tenders SET account_key = 1 WHERE order_key = $sale",
        "UPDATE payment_transactions SET account_key = 1 WHERE order_key = $sale",
    ),
    "a movement of no tender": (
        "I3 movement of money belongs to a tender",
        TRANSACTION.format(key="$cancelled", minor=5),
    ),
    "a tender of no order": (
        "I3 tender belongs to an order",
        "INSERT INTO order_tenders (order_key, tender_no, tender_ref, kind, state, amount_minor,"
        " at_us, updated_at_us) SELECT 999999, 1, 't1', 'CASH', 'NONE', 5, 0, 0",
    ),
    "a tender of another amount": (
        "I3 its amount, its tip and its rounding",
        "UPDATE order_tenders SET amount_minor = amount_minor + 1 WHERE order_key = $paid",
    ),
    "change that was never given": (
        "I3 less its change",
        "UPDATE order_tenders SET given_minor = given_minor + 1 WHERE order_key = $sale",
    ),
    "an order's row of another capture": (
        "I3 sums of its tenders",
        "UPDATE orders SET captured_minor = 1 WHERE order_key = $sale",
    ),
    "an order's row of another authorization": (
        "I3 sums of its tenders",
        "UPDATE orders SET authorized_minor = 1 WHERE order_key = $paid",
    ),
    "a tip on a wrong account": (
        "I3 booked once",
        MOVED.format(where="1 = 1", kind="TIPS"),
        *REBALANCE,
    ),
    "rounding on a wrong account": (
        "I3 booked once",
        MOVED.format(where="1 = 1", kind="ROUNDING"),
        *REBALANCE,
    ),
    "money on a wrong account": (
        "I3 booked once",
        MOVED.format(where="source_key = $sale", kind="CASH_DRAWER"),
        *REBALANCE,
    ),
    "tax on a wrong account": (
        "I3 booked once",
        MOVED.format(where="source_key = $sale", kind="TAX' AND name = 'inside"),
        *REBALANCE,
    ),
    "a sale that was not booked": (
        "I3 booked once",
        "DELETE FROM ledger_entries WHERE source_key = $split",
        *REBALANCE,
    ),
    "a sale booked twice": ("I3 booked once", AGAIN.format(days=0), *REBALANCE),
    "a sale booked again on another day": (
        "I4 finalized order",
        AGAIN.format(days=1),
        *REBALANCE,
    ),
    "a finalized order of another amount": (
        "I3 a finalized order's captures are its total",
        "UPDATE order_tenders SET amount_minor = amount_minor + 1, given_minor = given_minor + 1,"
        " captured_minor = captured_minor + 1 WHERE order_key = $sale",
        "UPDATE payment_transactions SET amount_minor = amount_minor + 1"
        " WHERE order_key = $sale AND operation = 'SALE'",
        "UPDATE orders SET captured_minor = captured_minor + 1 WHERE order_key = $sale",
    ),
    "a paid order of another amount": (
        "I3 a paid order's captures are its total",
        "UPDATE orders SET total_minor = 7, gross_minor = 7, net_minor = 7, tax_minor = 0"
        " WHERE order_key = $paid",
        "UPDATE order_lines SET total_minor = 7, gross_minor = 7 WHERE order_key = $paid",
        "UPDATE order_line_parts SET amount_minor = 0 WHERE order_key = $paid",
    ),
    "a rejected order that holds money": (
        "I3 holds no money",
        "UPDATE order_tenders SET captured_minor = 5 WHERE order_key = $declined AND tender_no = 1",
        TRANSACTION.format(key="$declined", minor=5),
        "UPDATE orders SET captured_minor = 5 WHERE order_key = $declined",
    ),
    "a rejection while a charge is unknown": (
        "I3 verdict on an attempt is missing",
        "UPDATE payment_attempts SET state = 'UNKNOWN'"
        " WHERE operation = 'SALE' AND order_key = $away",
    ),
    "a tender captured twice": (
        "I3 captured once",
        ATTEMPT.format(key="$paid", **(SALE | {"state": "SUCCEEDED"})),
        ATTEMPT.format(
            key="$paid",
            **(SALE | {"no": 9, "operation": "VOID", "parent": 8, "state": "SUCCEEDED"}),
        ),
    ),
    "an attempt of no order": (
        "I3 an attempt belongs to an order",
        ATTEMPT.format(key=999999, **SALE),
    ),
    "an attempt for cash": (
        "I3 tender that the gateway settles",
        ATTEMPT.format(key="$sale", **SALE),
    ),
    "an attempt in another currency": (
        "I3 in its currency",
        ATTEMPT.format(key="$paid", **(SALE | {"currency": "JPY"})),
    ),
    "credits that are wrong but balance in sum": (
        "I4 every transaction",
        REVENUE.format(change="- 1", key="$sale"),
        REVENUE.format(change="+ 1", key="$split"),
        *REBALANCE,
    ),
    "an entry of nothing": (
        "I4 more than nothing",
        ENTRY.format(day="$day", key="$sale", no=9, minor=0),
    ),
    "entries of an account that does not exist": (
        "I4 account that exists",
        ENTRY.format(day="$day", key="$sale", no=8, minor=5).replace("MIN(account_key)", "MIN(1)"),
        ENTRY.format(day="$day", key="$sale", no=9, minor=-5).replace("MIN(account_key)", "MIN(1)"),
        "INSERT INTO account_balances VALUES (1, 0, 5, 5)",
    ),
    "entries of no order": (
        "I4 finalized order",
        ENTRY.format(day="$day", key=999999, no=1, minor=5),
        ENTRY.format(day="$day", key=999999, no=2, minor=-5),
        *REBALANCE,
    ),
    "entries of an order that is not finalized": (
        "I4 finalized order",
        ENTRY.format(day="$day", key="$declined", no=1, minor=5),
        ENTRY.format(day="$day", key="$declined", no=2, minor=-5),
        *REBALANCE,
    ),
    "a balance that is wrong": (
        "I4 sum of its entries",
        "UPDATE account_balances SET debit_minor = debit_minor + 1,"
        " credit_minor = credit_minor + 1 WHERE shard = 3",
    ),
    "stock without a movement": (
        "I5 sum of its movements",
        "UPDATE stock SET on_hand_milli = on_hand_milli + 1"
        " WHERE merchant_id = 'm-2' AND sku = 'tea'",
    ),
    "a reservation of no order": (
        "I5 lines of open orders",
        "UPDATE stock SET reserved_milli = reserved_milli + 1"
        " WHERE merchant_id = 'm-1' AND sku = 'cup'",
    ),
    "a reservation that was forgotten": (
        "I5 lines of open orders",
        "UPDATE stock SET reserved_milli = 0 WHERE merchant_id = 'm-1' AND sku = 'cup'",
    ),
    "a deleted stock row": (
        "I5 sum of its movements",
        "DELETE FROM stock WHERE merchant_id = 'm-2' AND sku = 'rare'",
    ),
    "a negative reservation": (
        "I5 what is reserved is not negative",
        *without_keys("stock"),
        "UPDATE stock SET reserved_milli = -1 WHERE merchant_id = 'm-2' AND sku = 'rare'",
    ),
    "negative stock without an exception": ("I5 has an open exception", *GONE),
    "negative stock whose exception was closed": (
        "I5 has an open exception",
        *GONE,
        "INSERT INTO stock_exceptions (merchant_id, location_id, sku, owner, opened_at_us,"
        " closed_at_us, closed_by) VALUES ('m-2', 'main', 'rare', 'olga', 1, 2, 'olga')",
    ),
    "less stock than is reserved, and no exception": (
        "I5 has an open exception",
        "UPDATE stock SET on_hand_milli = 999 WHERE merchant_id = 'm-1' AND sku = 'cup'",
        "UPDATE stock_movements SET quantity_milli = 3999"
        " WHERE merchant_id = 'm-1' AND sku = 'cup' AND source_kind = 'OPENING'",
    ),
    "a sale whose movement is an adjustment": (
        "I5 have left the stock",
        "UPDATE stock_movements SET source_kind = 'DOCUMENT', reason = 'WRITE_OFF'"
        " WHERE source_kind = 'ORDER' AND source_key = $sale",
    ),
    "a sale of a rejected order": (
        "I5 have left the stock",
        MOVEMENT.format(kind="ORDER", reason="SALE", milli=-1, key="$declined"),
        MOVEMENT.format(kind="DOCUMENT", reason="RECEIPT", milli=1, key=999999),
    ),
    "a sale of no order": (
        "I5 belongs to an order",
        MOVEMENT.format(kind="ORDER", reason="SALE", milli=-1, key=999999),
        MOVEMENT.format(kind="DOCUMENT", reason="RECEIPT", milli=1, key=999999),
    ),
    "a sale of another order's day": (
        "I5 order of its day",
        MOVEMENT.format(kind="ORDER", reason="SALE", milli=-1, key="$sale").replace("14,", "15,"),
        MOVEMENT.format(kind="DOCUMENT", reason="RECEIPT", milli=1, key=999999),
    ),
    "a sale from a document": (
        "I5 belongs to an order",
        MOVEMENT.format(kind="DOCUMENT", reason="SALE", milli=-1, key=998),
        MOVEMENT.format(kind="DOCUMENT", reason="RECEIPT", milli=1, key=999999),
    ),
    "an illegal transition": (
        "I6 path of the table",
        "UPDATE order_log SET state = 'REJECTED'"
        " WHERE version = 2 AND state = 'ACCEPTED' AND order_key = $sale",
    ),
    "a step that was not logged": (
        "I6 path of the table",
        "DELETE FROM order_log WHERE version = 3 AND order_key = $sale",
    ),
    "a first step that was not logged": (
        "I6 path of the table",
        "DELETE FROM order_log WHERE version = 1 AND order_key = $sale",
    ),
    "a log that is missing": (
        "I6 path of the table",
        "DELETE FROM order_log WHERE order_key = $sale",
    ),
    "two entries for one version": (
        "I6 path of the table",
        "INSERT INTO order_log (order_key, $log)"
        " SELECT order_key, 'cancel', 'x', 2, 'REJECTED', '', '{}', 0, 0"
        " FROM orders WHERE order_key = $sale",
    ),
    "an order ahead of its log": (
        "I6 path of the table",
        "UPDATE orders SET version = version + 1 WHERE order_key = $sale",
    ),
    "an order behind its log": (
        "I6 path of the table",
        "UPDATE orders SET version = 1 WHERE order_key = $open",
    ),
    "an order in another state than its log": (
        "I6 path of the table",
        "UPDATE orders SET state = 'CANCELLED', stock_state = 'RELEASED'"
        " WHERE order_key = $unknown_sku",
    ),
    "a state that does not exist": (
        "I6 path of the table",
        "UPDATE order_log SET state = 'LOST' WHERE version = 2 AND order_key = $sale",
    ),
    "a charge state that does not fit the state": (
        "I6 charge and stock agree",
        "UPDATE orders SET charge_state = 'NONE' WHERE order_key = $sale",
    ),
    "a stock state that does not fit the state": (
        "I6 charge and stock agree",
        "UPDATE orders SET stock_state = 'RELEASED' WHERE order_key = $paid",
    ),
    "a log row of no order": (
        "I6 belongs to an order",
        "INSERT INTO order_log (order_key, $log) VALUES"
        " (999999, 'intake', 'placed', 1, 'PLACED', '', '{}', 0, 0)",
    ),
    "an event claimed twice": (
        "I7 claimed once",
        *without_keys("order_log"),
        "INSERT INTO order_log SELECT * FROM order_log WHERE version = 3 AND order_key = $sale",
    ),
    "a gap in the receipts": (
        "I7 without a gap",
        "UPDATE orders SET receipt_no = 4 WHERE receipt_no = 3",
        "UPDATE receipt_counters SET last_no = 4 WHERE last_no = 3",
    ),
    "a receipt number used twice": (
        "I7 number once",
        *without_keys("orders"),
        "UPDATE orders SET receipt_no = 3 WHERE receipt_no = 2",
    ),
    "a counter that ran ahead": (
        "I7 counter stands",
        "UPDATE receipt_counters SET last_no = last_no + 1 WHERE merchant_id = 'm-2'",
    ),
    "a finalized order without a receipt": (
        "I7 no other order",
        "UPDATE orders SET receipt_no = NULL WHERE receipt_no = 3",
        "UPDATE receipt_counters SET last_no = 2 WHERE last_no = 3",
    ),
    "a receipt for a cancelled order": (
        "I7 no other order",
        "UPDATE orders SET receipt_no = 4 WHERE order_key = $cancelled",
        "UPDATE receipt_counters SET last_no = 4 WHERE last_no = 3",
    ),
    "a paid order whose charge is open, and no void": (
        "I3 money is being returned",
        "UPDATE orders SET charge_state = 'PENDING' WHERE order_key = $paid",
    ),
    "an accepted order that nothing drives on": (
        "I11 hold, an open dead letter",
        "UPDATE orders SET due_at_us = NULL WHERE order_key = $open",
    ),
    "a paid order that nothing drives on": (
        "I11 hold, an open dead letter",
        "UPDATE orders SET due_at_us = NULL WHERE order_key = $paid",
    ),
    "an order whose letter was dropped, and that is left behind": (
        "I11 hold, an open dead letter",
        "UPDATE orders SET due_at_us = NULL WHERE order_key = $paid",
        LETTER.format(kind="order", order="paid", closed="7, 'dropped'"),
    ),
    "an order left behind beside the letter of another merchant": (
        "I11 hold, an open dead letter",
        "UPDATE orders SET due_at_us = NULL WHERE order_key = $paid",
        LETTER.format(kind="order", order="paid", closed="NULL, ''").replace("m-1", "m-2"),
    ),
    "an order left behind beside the letter of something else with its name": (
        "I11 hold, an open dead letter",
        "UPDATE orders SET due_at_us = NULL WHERE order_key = $paid",
        LETTER.format(kind="stock", order="paid", closed="NULL, ''"),
    ),
    "a terminal state with a deadline": (
        "I9 has no deadline",
        "UPDATE orders SET due_at_us = $now WHERE order_key = $sale",
    ),
    "a deadline that passed long ago": (
        "I9 long passed",
        "UPDATE orders SET due_at_us = $now - 301000000 WHERE order_key = $open",
    ),
    "an order that costs more than its lines": (
        "I13 sums of its lines",
        "UPDATE orders SET gross_minor = gross_minor + 1 WHERE order_key = $sale",
    ),
    "an order with a discount that no line has": (
        "I13 sums of its lines",
        "UPDATE orders SET discount_minor = discount_minor + 1 WHERE order_key = $split",
    ),
    "a tax that is changed on a line alone": (
        "I13 sums of its lines",
        "UPDATE order_line_parts SET amount_minor = amount_minor + 1"
        " WHERE order_key = $sale AND kind = 'TAX' AND inclusive = 1",
    ),
    "a line with a discount that no part has": (
        "I13 sum of its parts",
        "UPDATE order_lines SET discount_minor = 1, gross_minor = gross_minor + 1"
        " WHERE order_key = $sale",
        "UPDATE orders SET discount_minor = 1, gross_minor = gross_minor + 1"
        " WHERE order_key = $sale",
    ),
    "a part of a price without a line": (
        "I13 belongs to a line",
        "INSERT INTO order_line_parts (order_key, line_no, part_no, kind, rule, rounding_mode,"
        " base_minor, amount_minor) VALUES (999999, 1, 1, 'TAX', 'LINE', 'UP', 1, 1)",
    ),
    "a cancellation that was answered, of an order that was sold": (
        "I12 whose cancellation was answered",
        "UPDATE requests SET subject = 'sale' WHERE subject = 'cancelled'",
    ),
    "a cancellation that was answered, of an order that is not there": (
        "I12 whose cancellation was answered",
        "UPDATE requests SET subject = 'lost' WHERE subject = 'cancelled'",
    ),
    "an order that is kept open, and lost its hold": (
        "I11 has a hold until it is paid or ends",
        "DELETE FROM appointments",
    ),
    "a hold of an order that has ended": (
        "I11 has a hold until it is paid or ends",
        HOLD.format(subject="$sale"),
    ),
    "a hold of no order": ("I11 hold belongs to an order", HOLD.format(subject="999999")),
    "a request that waits beside its order": (
        "I12 waits for an order that is recorded",
        "UPDATE requests SET state = 'WAITING' WHERE subject = 'paid'",
    ),
}
"""{what happened: (invariant and some words of its rule, SQL, ...)}."""
