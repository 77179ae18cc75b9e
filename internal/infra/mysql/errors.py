"""The meaning of MySQL's and MariaDB's errors: repeat later, a wrong setting, or a bug.

Numbers are the server's own (the same for both) or the client library's (2000 and above). A number
that is not listed here is a bug or broken data, and reaches the statement's caller unchanged.
"""

import aiomysql
import sqlalchemy as sa

from internal.kernel import errors

REPEAT = frozenset({
    1020,  # a row changed since it was read
    1205,  # waited too long for a row
    1213,  # deadlock
    1412,  # a table was altered under a snapshot
    3101,  # another member of the cluster won: one that was the writer before a failover
})  # fmt: skip
"""The transaction has lost against another one; it is repeated as a whole."""
REASONS = {1205: "row_lock", 1213: "deadlock", 1020: "row_changed", 2003: "not_reachable"}
"""The names of the most usual reasons of a wait, for metrics and logs."""
AWAY = frozenset({
    1021, 1026, 1030, 1114,  # the disk is full, or a write failed
    1037, 1038, 1041, 1135,  # no memory
    1040, 1129, 1203, 1226,  # too many connections
    1047,  # a member of the cluster that is not ready
    1053, 1077, 1079, 1080,  # shutting down
    1152, 1158, 1159, 1160, 1161, 1184, 1927, 3168, 3169, 4031,  # the connection is gone
    1180, 1815, 3100,  # the storage engine or the cluster could not commit
    1290, 1836,  # read-only
    1317,  # interrupted by an operator
    1637,  # too many transactions
    2002, 2003, 2006, 2013, 2014, 2055,  # not reachable, or lost while it answered
})  # fmt: skip
"""The server is unavailable at the moment."""
TOO_MUCH = frozenset({
    1153,  # a statement is longer than max_allowed_packet
    1197, 1705,  # a transaction or statement is larger than the cache of the binary log
    1206,  # more row locks than the buffer pool has room for
    1969, 3024,  # ran for longer than the server's own limit
})  # fmt: skip
"""The server has ended a transaction for its size or duration; no row of it is at fault."""
WRONG_SETTINGS = {
    1044: "SOUK_MYSQL__USER",  # may not use this database
    1045: "SOUK_MYSQL__USER or SOUK_MYSQL__PASSWORD",
    1049: "SOUK_MYSQL__DATABASE",
    1102: "SOUK_MYSQL__DATABASE",
    1130: "SOUK_MYSQL__HOST",  # the server takes no connections from here
    1142: "SOUK_MYSQL__USER",  # may not do this with a table
    1251: "SOUK_MYSQL__USER",  # uses a login method that this client does not know
    1419: "log_bin_trust_function_creators of the server must be ON while `souk migrate` runs",
    1698: "SOUK_MYSQL__USER or SOUK_MYSQL__PASSWORD",
    2059: "SOUK_MYSQL__USER",
    2061: "SOUK_MYSQL__USER",
}
DAMAGED = frozenset({
    1034,  # an index of a table is damaged
    1194,  # a table is marked as crashed
    1712,  # an index of InnoDB is corrupt
})  # fmt: skip
"""A table is damaged: no order's fault, and no retry cures it."""
KNOWN_KEY = frozenset({1022, 1062, 1586})
"""A key exists already."""
CHECK_FAILED = frozenset({3819, 4025})
"""A CHECK failed: MySQL's number and MariaDB's. The driver does not raise IntegrityError for it."""


def meaning(error: sa.exc.DBAPIError | aiomysql.Error) -> errors.SoukError | None:
    """Return the exception to raise instead of `error`; None to raise `error` itself."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    number = number_of(original)
    if number in WRONG_SETTINGS:
        return errors.Misconfigured(f"{WRONG_SETTINGS[number]}: {_text(original)}")
    if number in DAMAGED:
        return errors.DatabaseDamaged(
            f"a table of the database is damaged ({_text(original)}): repair or restore it;"
            " docs/operations.md#a-damaged-table"
        )
    if number in TOO_MUCH:
        return errors.TooMuchAtOnce(_text(original), str(number))
    is_garbled = not number and isinstance(original, aiomysql.InternalError)
    is_closed = isinstance(original, aiomysql.InterfaceError)
    if number in REPEAT or number in AWAY or is_closed or is_garbled:
        return errors.DatabaseAway(_text(original), REASONS.get(number) or str(number))
    return None


def number_of(error: BaseException | None) -> int:
    """Return the error's number; 0 if it has none."""
    number = error.args[0] if error is not None and error.args else 0
    return number if isinstance(number, int) else 0


def as_integrity(error: BaseException) -> aiomysql.IntegrityError | None:
    """Return an IntegrityError for a failed CHECK, as SQLite raises; None for other errors."""
    if number_of(error) in CHECK_FAILED:
        return aiomysql.IntegrityError(*error.args)
    return None


def as_sqlalchemy(dialect: sa.Dialect, error: Exception) -> BaseException:
    """Return SQLAlchemy's error for a driver's, without the parameters: it goes into logs."""
    error = as_integrity(error) or error
    return sa.exc.DBAPIError.instance(
        "bulk statement", None, error, dialect.loaded_dbapi.Error, hide_parameters=True
    )


def _text(error: BaseException | None) -> str:
    return " ".join(map(str, error.args)) if error is not None else ""
