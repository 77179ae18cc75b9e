"""Finds the reports: each module of this package with a `REPORT` is one, under the module's name.

A new report is therefore one new file: no list of reports exists anywhere. This module must not
know any report, nor how one is shown.
"""

import datetime
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from internal import reports
from internal.kernel import errors


class Kind(StrEnum):
    """How the values of a column are read."""

    TEXT = "TEXT"
    DATE = "DATE"
    """YYYY-MM-DD, in the requested time zone."""
    COUNT = "COUNT"
    AMOUNT = "AMOUNT"
    """A plain decimal, as text, of the currency in the same row."""


class Column(msgspec.Struct, frozen=True):
    """One value of every row."""

    name: str
    """snake_case: the key in JSON, the heading in CSV."""
    kind: Kind
    meaning: str
    """For people, with the unit."""


class Parameters(msgspec.Struct, frozen=True):
    """The period of a report: instants from `since_us` up to, but not including, `until_us`."""

    since_us: int
    until_us: int
    time_zone: datetime.tzinfo
    """Decides when days begin."""


Row = tuple[int | str, ...]
"""One value per column of the report, in their order."""


class Report(msgspec.Struct, frozen=True):
    """A report, as its module declares it."""

    summary: str
    """One line."""
    columns: tuple[Column, ...]
    rows: Callable[[sa.Connection, str, Parameters], Iterable[Row]]
    """(connection, merchant_id, parameters) -> rows, of this merchant only."""


def find_all() -> dict[str, Report]:
    """Return {name: report}, sorted by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(reports.__path__))
    modules = {name: importlib.import_module(f"{reports.__name__}.{name}") for name in names}
    return {
        name: module.REPORT
        for name, module in modules.items()
        if isinstance(getattr(module, "REPORT", None), Report)
    }


def find(name: str) -> Report:
    """Return the report of this name.

    Raises:
        UnknownReport: it does not exist; the error lists those that do.
    """
    found = find_all()
    if name not in found:
        raise errors.UnknownReport(name, list(found))
    return found[name]
