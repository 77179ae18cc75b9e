"""Each error number of a server means one thing: wait, fix a setting, or look for a bug."""

import aiomysql
import pytest
import sqlalchemy as sa

from internal.infra.mysql import errors as mysql_errors
from internal.kernel import errors

NUMBERS = {
    1205: errors.DatabaseAway,  # waited too long for a lock
    1213: errors.DatabaseAway,  # deadlock
    1020: errors.DatabaseAway,  # changed since it was read
    1040: errors.DatabaseAway,  # too many connections
    1053: errors.DatabaseAway,  # shutting down
    1114: errors.DatabaseAway,  # full
    1180: errors.DatabaseAway,  # could not commit
    1290: errors.DatabaseAway,  # read-only
    1815: errors.DatabaseAway,  # an internal error
    2013: errors.DatabaseAway,  # lost
    1153: errors.TooMuchAtOnce,  # larger than max_allowed_packet
    1206: errors.TooMuchAtOnce,  # too many locks
    1969: errors.TooMuchAtOnce,  # ran for longer than MariaDB allows
    3024: errors.TooMuchAtOnce,  # the same on MySQL
    1045: errors.Misconfigured,
    1049: errors.Misconfigured,
    1034: errors.DatabaseDamaged,  # an index of a table
    1194: errors.DatabaseDamaged,  # a table that crashed
    1712: errors.DatabaseDamaged,  # an index of InnoDB
    1064: None,  # a mistake in the SQL
    1062: None,  # a key that exists
    1146: None,  # no such table
    1406: None,  # too long
    1644: None,  # a trigger's
}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_has_its_meaning(number: int) -> None:
    error = aiomysql.OperationalError(number, "said so")
    wrapped = sa.exc.OperationalError("", None, error)
    for found in (mysql_errors.meaning(error), mysql_errors.meaning(wrapped)):
        assert (type(found) if found else None) is NUMBERS[number]
        assert found is None or str(number) in str(found)


def test_lost_races_are_not_conflicts() -> None:
    """A deadlock is never a contradiction in the tables: it is repeated for as long as it takes."""
    deadlock = mysql_errors.meaning(aiomysql.OperationalError(1213, "deadlock"))
    assert not isinstance(deadlock, errors.Conflict)


def test_an_error_without_a_number_is_an_outage_only_on_a_closed_connection() -> None:
    gone = (aiomysql.InterfaceError("(0, 'Not connected')"), aiomysql.InternalError("garbled"))
    for error in gone:
        assert isinstance(mysql_errors.meaning(error), errors.DatabaseAway)
    assert mysql_errors.meaning(aiomysql.ProgrammingError("a bug")) is None


@pytest.mark.parametrize("number", [3819, 4025])
def test_a_failed_check_is_about_integrity(number: int) -> None:
    error = mysql_errors.as_integrity(aiomysql.OperationalError(number, "CHECK"))
    assert isinstance(error, aiomysql.IntegrityError)
    assert mysql_errors.as_integrity(aiomysql.OperationalError(1213, "deadlock")) is None
