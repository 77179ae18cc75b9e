"""CONTRIBUTING says how to add a tender, a report and a gateway: done here, in the files it names.

Each toy is added to a copy of the source tree and then used there, in a process of its own.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
COPIED = ("functions", "internal", "proto", "scripts", "tests/support", "pyproject.toml")
TIMEOUT_S = 120


class Edit:
    """Puts text behind the one place in a file that says `after`; with "" it makes a file."""

    def __init__(self, after: str, text: str) -> None:
        self.after, self.text = after, text

    def apply(self, file: Path) -> None:
        if not self.after:
            assert not file.exists()
            file.write_text(self.text)
            return
        before = file.read_text()
        assert before.count(self.after) == 1, f"{file}: {self.after!r}"
        file.write_text(before.replace(self.after, self.after + self.text))


def files_named(subject: str, name: str) -> set[str]:
    """Return the files that the recipe of a subject names, NAME replaced."""
    (recipe,) = re.findall(
        rf"^\*\*A {subject}\b.*?(?=^\*\*|^## )", CONTRIBUTING, re.MULTILINE | re.DOTALL
    )
    paths = re.findall(r"`((?:internal|proto)/[\w./]+\.\w+)`", recipe.replace("NAME", name))
    return set(paths)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the source tree."""
    for part in COPIED:
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def add(tree: Path, edits: Mapping[str, list[Edit]]) -> None:
    for path, each in edits.items():
        for edit in each:
            edit.apply(tree / path)


def run(tree: Path, *arguments: str) -> str:
    """Run Python in the copied tree; return what it printed."""
    command = [sys.executable, *arguments]
    environment = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command,
        cwd=tree,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


TENDER = {
    "proto/souk/v1/order.proto": [
        Edit("    CardTender card = 2;\n", "    // By voucher.\n    VoucherTender voucher = 6;\n"),
        Edit("  google.type.Money given = 1;\n}\n", "\n// A voucher.\nmessage VoucherTender {}\n"),
        Edit("  TENDER_KIND_CARD = 2;\n", "  // A voucher.\n  TENDER_KIND_VOUCHER = 3;\n"),
    ],
    "internal/payments/messages.py": [Edit('    CARD = "CARD"\n', '    VOUCHER = "VOUCHER"\n')],
    "internal/payments/tenders.py": [
        Edit(
            "            account=AccountKind.CLEARING,\n        ),\n",
            """        TenderType(
            kind=TenderKind.VOUCHER,
            wire_field="voucher",
            settled_by=SettledBy.TILL,
            account=AccountKind.VOUCHERS,
        ),
""",
        )
    ],
    "internal/ledger/messages.py": [
        Edit('    WRITE_OFF = "WRITE_OFF"\n', '    VOUCHERS = "VOUCHERS"\n')
    ],
    "internal/ledger/rules.py": [
        Edit(
            "    {AccountKind.CASH_DRAWER, AccountKind.CLEARING, AccountKind.RECEIVABLE}\n",
            "    | {AccountKind.VOUCHERS}\n",
        )
    ],
}
PAID_BY_VOUCHER = """
from internal.api import calls
from internal.api.orders import from_wire, to_wire
from internal.checks import invariants
from internal.ledger import store as ledger
from internal.wire.souk.v1 import order_pb2
from tests.support import shop, staged_orders

draft = order_pb2.OrderDraft(
    order_id="o",
    store_id=shop.STORE,
    currency="EUR",
    lines=[order_pb2.DraftLine(sku="tea", quantity_milli=1_000)],
    tenders=[order_pb2.Tender(voucher=order_pb2.VoucherTender())],
)
origin = calls.Origin(shop.MERCHANT, "", shop.NOW_US)
placed = from_wire.placed(draft, origin, "order.").placed
with staged_orders.database() as connection:
    shop.open_for_business(connection)
    line = staged_orders.StagedOrders(connection)
    line.carry(placed)
    view = line.view("o")
    order = to_wire.order_of(view)
    assert not invariants.check(connection)
    print(view.state)
    print(order_pb2.TenderKind.Name(order.tenders[0].kind))
    accounts = {balance.account for balance in ledger.find_balances(connection)}
    print(accounts & {"vouchers:main", "cash_drawer:main", "clearing"})
"""


def test_a_tender(tree: Path) -> None:
    assert set(TENDER) == files_named("tender", "voucher")
    add(tree, TENDER)
    run(tree, "scripts/proto", "generate")
    said = run(tree, "-c", PAID_BY_VOUCHER).splitlines()
    assert said == ["FINALIZED", "TENDER_KIND_VOUCHER", "{'vouchers:main'}"]


REPORT = {
    "internal/reports/biggest_orders.py": [
        Edit(
            "",
            '''"""The biggest orders."""

from collections.abc import Iterator

import sqlalchemy as sa

from internal.kernel import money
from internal.orders import store
from internal.reports import registry
from internal.reports.registry import Column, Kind


def rows(
    connection: sa.Connection, merchant_id: str, parameters: registry.Parameters
) -> Iterator[registry.Row]:
    """Yield the ten biggest."""
    del parameters
    o = store.ORDERS.c
    query = sa.select(o.order_id, o.currency, o.total_minor).where(o.merchant_id == merchant_id)
    for row in connection.execute(query.order_by(o.total_minor.desc()).limit(10)):
        yield row.order_id, row.currency, money.to_text(row.total_minor, row.currency)


REPORT = registry.Report(
    summary="the ten biggest orders",
    columns=(
        Column("order_id", Kind.TEXT, "order"),
        Column("currency", Kind.TEXT, "currency"),
        Column("total", Kind.AMOUNT, "total"),
    ),
    rows=rows,
)
''',
        )
    ]
}
LISTED = "from internal.cli import main; main.main()"


def test_a_report(tree: Path) -> None:
    assert set(REPORT) == files_named("report", "biggest_orders")
    add(tree, REPORT)
    listed = json.loads(run(tree, "-c", LISTED, "reports", "list", "--json"))["reports"]
    assert {"biggest_orders", "sales_by_day"} <= {report["name"] for report in listed}


GATEWAY = {
    "internal/payments/gateways/agreeable.py": [
        Edit(
            "",
            '''"""A gateway that agrees to everything."""

from internal.infra import settings
from internal.payments.gateways.port import Answer, Charge, GatewayStatus, Void


class AgreeableGateway:
    """Remembers the keys that it saw."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    async def charge(self, request: Charge) -> Answer:
        """See Gateway.charge."""
        return self._agree(request.key, request.amount_minor, request.currency)

    async def void(self, request: Void) -> Answer:
        """See Gateway.void."""
        return self._agree(request.key)

    async def lookup(self, key: str) -> Answer | None:
        """See Gateway.lookup."""
        return self._answers.get(key)

    async def close(self) -> None:
        """See Gateway.close."""

    def _agree(self, key: str, amount_minor: int = 0, currency: str = "") -> Answer:
        answer = Answer(GatewayStatus.SUCCEEDED, f"yes-{key}", "", amount_minor, currency)
        return self._answers.setdefault(key, answer)


def open_gateway(options: settings.Settings) -> AgreeableGateway:
    """Open it."""
    del options
    return AgreeableGateway()
''',
        )
    ],
    "internal/payments/gateways/registry.py": [
        Edit("from internal.payments.gateways import simulator", ", agreeable"),
        Edit(
            '    "simulator": Entry(simulator.open_gateway, simulator.find_ledger,'
            " simulator.ledger_file),\n",
            '    "agreeable": Entry(agreeable.open_gateway),\n',
        ),
    ],
}
CHARGED_BY_AGREEABLE = """
from internal.infra import settings
from internal.payments.gateways import registry
from tests.support import shop, staged_orders

gateway = registry.open_gateway(settings.load(gateway={"name": "agreeable"}))
with staged_orders.database() as connection:
    shop.open_for_business(connection)
    line = staged_orders.StagedOrders(connection, gateway)
    line.carry(shop.placed("o", tenders=(shop.card(),)))
    view = line.view("o")
    print(view.state, view.attempts[0].gateway_reference.startswith("yes-"))
"""


def test_a_gateway(tree: Path) -> None:
    assert set(GATEWAY) == files_named("gateway", "agreeable")
    add(tree, GATEWAY)
    assert run(tree, "-c", CHARGED_BY_AGREEABLE).split() == ["FINALIZED", "True"]
