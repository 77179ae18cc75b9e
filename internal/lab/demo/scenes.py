"""The scenes of the demo: a few orders at the demo shop, each with its right values. Pure.

The values were worked out by hand, most of them for cases that shops have reported. A scene is
written in the words of the `souk` command, so that a reader can repeat it.
"""

from collections.abc import Iterator

import msgspec

from internal.cli import order_drafts
from internal.lab.demo.scene_values import Line, Step, Tax, Tender, Values
from internal.wire.souk.v1 import order_pb2

COMMAND_CHARS_MAX = 74


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """An order, the tenders that are added later, and the right values."""

    name: str
    title: str
    why: str
    """The rule in one sentence."""
    store_id: str
    currency: str = order_drafts.CURRENCY_DEFAULT
    lines: tuple[str, ...]
    pay: tuple[str, ...] = ()
    keep_open: bool = False
    pay_later: tuple[str, ...] = ()
    right: Values
    """What must come out."""

    def draft(self, order_id: str) -> order_pb2.OrderDraft:
        """Return the order."""
        wanted = order_drafts.Wanted(
            store=self.store_id, line=list(self.lines), currency=self.currency
        )
        placing = order_drafts.Placing(
            pay=list(self.pay), order_id=order_id, keep_open=self.keep_open
        )
        return order_drafts.order_of(wanted, placing)

    def later_tenders(self) -> Iterator[order_pb2.Tender]:
        """Yield the tenders that are added to the order while it is open."""
        return (order_drafts.tender_of(text, self.currency) for text in self.pay_later)

    def commands(self, order_id: str) -> Iterator[str]:
        """Yield the commands that do the same: one for the order, one for each later tender."""
        open_, id_ = (("--keep-open",), ("--order-id", order_id)) if self.keep_open else ((), ())
        currency = ("--currency", self.currency) if self._is_foreign else ()
        head = ("souk orders submit", "--store", self.store_id, *currency, *open_, *id_)
        lines = (f"--line {line}" for line in self.lines)
        rest = (*lines, *(f"--pay {tender}" for tender in self.pay), "--wait")
        whole = " ".join((*head, *rest))
        fits = len(whole) <= COMMAND_CHARS_MAX
        yield whole if fits else f"{' '.join(head)} \\\n  {' '.join(rest)}"
        for tender in self.pay_later:
            yield " ".join(("souk orders pay", order_id, tender, *currency))

    @property
    def _is_foreign(self) -> bool:
        return self.currency != order_drafts.CURRENCY_DEFAULT


_COFFEE = Line("House coffee beans, 250 g", "4.49", 2_000, 898, 59, 898)
_STATIONERY = (
    Line("Pencil", "1.23", 1_000, 123, 9, 123),
    Line("Eraser", "0.43", 1_000, 43, 3, 43),
)

SCENES = (
    Scene(
        name="weights",
        title="Weighed goods",
        why="0.35 kg at 32.50 is 11.375: the line is rounded, not the price of a kilo.",
        store_id="zurich",
        currency="CHF",
        lines=("CHEESE-KG=0.35", "APPLES-KG=1.268"),
        pay=("card:tok_ok",),
        right=Values(
            lines=(
                Line("Gruyère, 1 kg", "32.50", 350, 1_138, 29, 1_138),
                Line("Gala apples, 1 kg", "3.95", 1_268, 501, 13, 501),
            ),
            taxes=(Tax("VAT", 26_000, inclusive=True, tax_minor=42),),
            total_minor=1_639,
            tenders=(Tender("CARD", 1_639, 1_639),),
        ),
    ),
    Scene(
        name="two_taxes",
        title="Two taxes on one product",
        why="Each tax is rounded by itself: 1.92 and 2.69; 12 % at once would be 4.62.",
        store_id="vancouver",
        currency="CAD",
        lines=("KETTLE",),
        pay=("card:tok_ok",),
        right=Values(
            lines=(Line("Tea kettle", "38.48", 1_000, 3_848, 461, 4_309),),
            taxes=(
                Tax("GST", 50_000, inclusive=False, tax_minor=192),
                Tax("PST", 70_000, inclusive=False, tax_minor=269),
            ),
            total_minor=4_309,
            tenders=(Tender("CARD", 4_309, 4_309),),
        ),
    ),
    Scene(
        name="change",
        title="Cash with change",
        why="A note of 20 pays 8.98; the drawer keeps what is due and no more.",
        store_id="berlin",
        lines=("COFFEE-250=2",),
        pay=("cash:20",),
        right=Values(
            lines=(_COFFEE,),
            taxes=(Tax("reduced", 70_000, inclusive=True, tax_minor=59),),
            total_minor=898,
            tenders=(Tender("CASH", 898, 898, given_minor=2_000, change_minor=1_102),),
        ),
    ),
    Scene(
        name="cash_rounding",
        title="Cash without small coins",
        why="1.66 is paid with 1.65; total and tax stay, a centime goes to rounding.",
        store_id="zurich",
        currency="CHF",
        lines=("PENCIL", "ERASER"),
        pay=("cash:2",),
        right=Values(
            lines=_STATIONERY,
            taxes=(Tax("VAT", 81_000, inclusive=True, tax_minor=12),),
            total_minor=166,
            tenders=(
                Tender("CASH", 166, 165, given_minor=200, change_minor=35, rounding_minor=-1),
            ),
        ),
    ),
    Scene(
        name="card_and_cash",
        title="The same by card and cash",
        why="Only what the card leaves is paid in coins: 0.66 with 0.65.",
        store_id="zurich",
        currency="CHF",
        lines=("PENCIL", "ERASER"),
        pay=("card:tok_ok=1.00", "cash"),
        right=Values(
            lines=_STATIONERY,
            taxes=(Tax("VAT", 81_000, inclusive=True, tax_minor=12),),
            total_minor=166,
            tenders=(
                Tender("CARD", 100, 100),
                Tender("CASH", 66, 65, given_minor=65, rounding_minor=-1),
            ),
        ),
    ),
    Scene(
        name="paid_later",
        title="An open order, paid later",
        why="The stock is reserved while the order waits; each tender takes its part.",
        store_id="berlin",
        lines=("COFFEE-250=2",),
        keep_open=True,
        pay_later=("card:tok_ok=6", "cash=6"),
        right=Values(
            lines=(_COFFEE,),
            taxes=(Tax("reduced", 70_000, inclusive=True, tax_minor=59),),
            total_minor=898,
            steps=(Step("ACCEPTED", 898), Step("FULL", 298), Step("FULL")),
            tenders=(
                Tender("CARD", 600, 600),
                Tender("CASH", 298, 298, given_minor=600, change_minor=302),
            ),
        ),
    ),
    Scene(
        name="declined_then_cash",
        title="A declined card, then cash for the same order",
        why="A declined tender ends alone; the order stays open for another one.",
        store_id="berlin",
        lines=("CANDLE-8", "OIL-250"),
        pay=("card:tok_declined:no_funds",),
        keep_open=True,
        pay_later=("cash=10",),
        right=Values(
            lines=(
                Line("House candle, 8 cm", "3.49", 1_000, 349, 56, 349),
                Line("House olive oil, 250 ml", "5.99", 1_000, 599, 39, 599),
            ),
            taxes=(
                Tax("standard", 190_000, inclusive=True, tax_minor=56),
                Tax("reduced", 70_000, inclusive=True, tax_minor=39),
            ),
            total_minor=948,
            steps=(Step("ACCEPTED", 948), Step("FULL")),
            tenders=(
                Tender("CARD", 948, 0, "DECLINED"),
                Tender("CASH", 948, 948, given_minor=1_000, change_minor=52),
            ),
        ),
    ),
)
