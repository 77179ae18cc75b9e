"""`souk reports` on a database with orders: what it prints, and its exit codes."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from internal.auth import store as auth_store
from internal.auth.messages import Merchant
from internal.cli import database, main
from internal.cli.commands import merchants
from tests.unit.reports import samples

REPORT = ("reports", "show", "sales_by_day")
MARCH = ("--since", "2026-03-01", "--until", "2026-04-01")
MINE = ("--merchant", "m-1")


class Printed(NamedTuple):
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All of it, without frames and line breaks."""
        return re.sub(r"[\s│]+", " ", self.out + self.err)

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        """What --json printed."""
        return json.loads(self.out)


Souk = Callable[..., Printed]


@pytest.fixture
def souk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Souk:
    """The command on a database with three finalized orders of two merchants."""

    def run(*arguments: str) -> Printed:
        capsys.readouterr()
        code = main.run(["--data", str(tmp_path), *arguments])
        return Printed(code, *capsys.readouterr())

    run("migrate")
    database.write(tmp_path, _trade)
    return run


def _trade(connection: sa.Connection) -> None:
    for merchant_id in ("m-1", "m-2"):
        merchant = Merchant(merchant_id, "A shop")
        auth_store.add_merchant(connection, merchant, merchants.new_key(), 1)
    samples.add_order(connection, "2026-03-01T23:30:00+00:00", 1_000)
    samples.add_order(connection, "2026-03-31T22:30:00+00:00", 2_000)
    samples.add_order(connection, "2026-03-10T12:00:00+00:00", 4_000, merchant_id="m-2")


def test_reports_are_listed(souk: Souk) -> None:
    assert "sales_by_day finalized orders and their amounts" in souk("reports", "list").words
    (listed,) = souk("reports", "list", "--json").json["reports"]
    assert listed["name"] == "sales_by_day"
    assert listed["columns"][0] == {
        "name": "day",
        "kind": "DATE",
        "meaning": "day on which the orders were placed",
    }


def test_a_report_is_a_table(souk: Souk) -> None:
    said = souk(*REPORT, *MARCH, *MINE)
    assert said.code == 0
    assert "2026-03-01 main EUR 1 10.05 0.05 9.84 0.16 10.00" in said.words
    assert "2026-03-31 main EUR 1" in said.words
    assert "m-1, from 2026-03-01T00:00:00+00:00 until 2026-04-01T00:00:00+00:00, UTC" in said.err
    assert "40.00" not in said.out


def test_a_report_in_json(souk: Souk) -> None:
    said = souk(*REPORT, *MARCH, "--merchant", "m-2", "--json").json
    assert (said["report"], said["merchant_id"], said["time_zone"]) == (
        "sales_by_day",
        "m-2",
        "UTC",
    )
    assert said["since"] == "2026-03-01T00:00:00+00:00"
    (row,) = said["rows"]
    assert row == {
        "day": "2026-03-10",
        "store_id": "main",
        "currency": "EUR",
        "orders": 1,
        "gross": "40.05",
        "discount": "0.05",
        "net": "39.84",
        "tax": "0.16",
        "total": "40.00",
    }


def test_a_report_in_csv(souk: Souk) -> None:
    said = souk(*REPORT, *MARCH, *MINE, "--csv")
    first, second = csv.DictReader(io.StringIO(said.out))
    assert (first["day"], first["total"]) == ("2026-03-01", "10.00")
    assert (second["day"], second["orders"]) == ("2026-03-31", "1")
    assert said.err == ""


def test_the_period_and_the_days_are_those_of_the_zone(souk: Souk) -> None:
    """In Berlin the first order was placed on 2 March, the second on 1 April."""
    zone = ("--time-zone", "Europe/Berlin", "--json")
    said = souk(*REPORT, *MARCH, *MINE, *zone).json
    assert said["since"] == "2026-03-01T00:00:00+01:00"
    assert said["until"] == "2026-04-01T00:00:00+02:00"
    assert [row["day"] for row in said["rows"]] == ["2026-03-02"]
    told = souk(*REPORT, "--since", "2026-04-01", "--until", "2026-04-02", *MINE, *zone).json
    assert [row["day"] for row in told["rows"]] == ["2026-04-01"]


def test_without_a_period_it_is_the_last_month_in_whole_days(souk: Souk) -> None:
    said = souk(*REPORT, *MINE, "--time-zone", "Asia/Kathmandu", "--json").json
    assert said["since"].endswith("T00:00:00+05:45")
    assert said["rows"] == []


def test_a_report_is_one_file(souk: Souk, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("reports")
    (folder / "toy.py").write_text(samples.TOY_REPORT)
    assert souk("reports", "show", "toy", *MINE).code == 2
    with samples.one_more_folder(folder):
        assert "toy how long the period is" in souk("reports", "list").words
        said = souk("reports", "show", "toy", *MARCH, *MINE, "--csv")
    assert said.out == f"merchant,seconds\nm-1,{31 * 86_400}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sales_by_dya"], "there is no report 'sales_by_dya'; there are sales_by_day"),
        (["sales_by_day", "--time-zone", "Europe/Berln"], "did you mean Europe/Berlin"),
        (["sales_by_day", "--time-zone", "../etc/passwd"], "there is no time zone"),
        (["sales_by_day", "--json", "--csv"], "choose one of --json and --csv"),
        (["sales_by_day", "--since", "x"], "15m"),
        (["sales_by_day", "--since", "0s", "--until", "1h"], "must end after it begins"),
        (["sales_by_day", "--since", "1999-01-01"], "within 3660 days"),
        (["sales_by_day", "--since", "9999-12-01", "--until", "9999-12-31"], "before 9999"),
    ],
)
def test_typos_are_exit_code_2_and_name_what_is_right(
    souk: Souk, arguments: list[str], told: str
) -> None:
    said = souk("reports", "show", *arguments, *MINE)
    assert said.code == 2
    assert told in said.words


def test_several_merchants_are_told_apart(souk: Souk) -> None:
    said = souk(*REPORT)
    assert said.code == 1
    assert "--merchant: m-1, m-2" in said.words
    assert "there are m-1, m-2" in souk(*REPORT, "--merchant", "m-3").words
