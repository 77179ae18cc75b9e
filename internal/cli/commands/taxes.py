"""`souk taxes`: the taxes of the tax codes that products name. A rate is added, never changed."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
import typer

from internal.catalogue import store as catalogue
from internal.catalogue.messages import PPM, TaxCategory, TaxRate
from internal.cli import actor, database, timestamps
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output, values
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.kernel import texts
from internal.pricing import percentages
from internal.stages import catalogue_changes

app = lazy_groups.new()

NAME_CHARS_MAX = 128
PPM_PER_PERCENT = PPM // 100
_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,4}))? ?%?")
CATEGORIES = {it.name.lower().replace("_", "-"): it for it in TaxCategory}
_CATEGORY_NAMES = {category: name for name, category in CATEGORIES.items()}


def _id_of(value: str) -> str:
    if value and not values.ID.fullmatch(value):
        raise typer.BadParameter(f"an id is {values.ID_FORM}")
    return value


def _ppm_of(text: str) -> int:
    match = _PERCENT.fullmatch(text)
    if match is None:
        what = f"{text!r} is not a percentage with up to four decimals, such as 8.875"
        raise typer.BadParameter(what)
    return int(match[1]) * PPM_PER_PERCENT + int((match[2] or "").ljust(4, "0"))


def _name_of(value: str) -> str:
    if fault := texts.fault_of_line(value):
        raise typer.BadParameter(fault)
    if len(value) > NAME_CHARS_MAX:
        raise typer.BadParameter(f"it has more than {NAME_CHARS_MAX} characters")
    return value


def _category_of(name: str) -> str:
    if name and name not in CATEGORIES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(CATEGORIES)}")
    return name


@dataclasses.dataclass(frozen=True)
class Tax:
    """A rate, and what is told of its tax; the rest is as the tax's newest rate has it."""

    rate: Annotated[
        int,
        typer.Option(metavar="PERCENT", parser=_ppm_of, help="Such as 5 or 8.875; 0 ends the tax."),
    ]
    name: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            callback=_name_of,
            show_default="the tax and its rate",
            help="As receipts show it: GST 5 %.",
        ),
    ] = ""
    inclusive: Annotated[
        bool | None,
        typer.Option(
            "--inclusive/--on-top",
            show_default=False,
            help="Whether prices contain it; needed for a new tax.",
        ),
    ] = None
    category: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            callback=_category_of,
            show_default="standard",
            help=f"Its category by EN 16931: {', '.join(CATEGORIES)}.",
        ),
    ] = ""
    jurisdiction: Annotated[
        str, typer.Option(metavar="CODE", callback=_id_of, help="Whose tax it is: CA-BC.")
    ] = ""

    since: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TIME",
            show_default="now; always, while no product has the tax code",
            help="It holds for sales from then on: 2027-01-01T00:00+01:00.",
        ),
    ] = ""

    def completed(self, newest: TaxRate | None, rate: TaxRate) -> TaxRate:
        """Complete a new rate of a tax.

        Raises:
            typer.BadParameter: the tax is new, and nothing says whether prices contain it.
        """
        inclusive = self.inclusive if newest is None else newest.inclusive
        if self.inclusive is not None:
            inclusive = self.inclusive
        if inclusive is None:
            what = f"{rate.code} is a new tax of {rate.tax_code}: is it inside prices or on top?"
            raise typer.BadParameter(what, param_hint="--inclusive, --on-top")
        category = newest.category if newest and not self.category else TaxCategory.STANDARD
        return msgspec.structs.replace(
            rate,
            name=self.name or f"{rate.code} {percentages.text(rate.rate_ppm)}",
            inclusive=inclusive,
            category=CATEGORIES[self.category] if self.category else category,
            jurisdiction=self.jurisdiction or (newest.jurisdiction if newest else ""),
        )


@app.callback()
def taxes() -> None:
    """List the taxes of a merchant's tax codes, and set their rates."""


@app.command("list")
def list_rates(
    *,
    merchant: MerchantId = "",
    every: Annotated[
        bool, typer.Option("--all", help="Rates of the past and the future, too.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List the tax codes with the rates that are in force."""
    now_us = clock.SystemClock().now_us()
    found = database.read(
        data, lambda c: catalogue.list_tax_rates(c, merchants.require(c, merchant))
    )
    _show(found if every else _in_force(found, now_us), as_json=as_json)


def _in_force(rates: Sequence[TaxRate], now_us: int) -> list[TaxRate]:
    """Return the rate of each tax that began last; the rates are sorted by age."""
    begun = [it for it in rates if it.valid_from_us <= now_us]
    newest = {(it.tax_code, it.code): it for it in begun}
    return [it for it in begun if newest[it.tax_code, it.code] is it]


@app.command("set")
@flattened
def set_rate(
    tax_code: Annotated[
        str,
        typer.Argument(metavar="TAX_CODE", callback=_id_of, help="The code that products name."),
    ],
    code: Annotated[
        str, typer.Argument(metavar="TAX", callback=_id_of, help="One of its taxes: GST, PST.")
    ],
    tax: Tax,
    *,
    merchant: MerchantId = "",
    by: actor.By = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Set the rate of one tax of a tax code, from one instant on. Products may name the code then.

    A tax code may have several taxes: set each of them. Recorded orders keep their taxes.
    """
    name, now_us = actor.name_of(by), clock.SystemClock().now_us()
    since_us = timestamps.parse(tax.since, now_us, "--from") if tax.since else None

    def write(connection: sa.Connection) -> TaxRate:
        merchant_id = merchants.require(connection, merchant)
        known = catalogue.list_tax_rates(connection, merchant_id)
        of_tax = [it for it in known if (it.tax_code, it.code) == (tax_code, code)]
        told = TaxRate(merchant_id, tax_code, code, "", tax.rate, inclusive=False)
        rate = tax.completed(of_tax[-1] if of_tax else None, told)
        return catalogue_changes.add_tax_rate(connection, rate, since_us, name, now_us)

    _show([database.write(data, write)], as_json=as_json)


def _show(rates: Sequence[TaxRate], *, as_json: bool) -> None:
    if as_json:
        output.as_json({"tax_rates": [_as_json(it) for it in rates]})
        return
    headings = ("Tax code", "Tax", "Rate", "Name", "Price", "Category", "Jurisdiction", "From")
    table = output.table(*headings, right=["Rate"])
    for it in rates:
        price = "contains it" if it.inclusive else "without it"
        since = output.moment(it.valid_from_us) if it.valid_from_us else "always"
        what = (it.name, price, _CATEGORY_NAMES[it.category], it.jurisdiction, since)
        table.add_row(it.tax_code, it.code, percentages.text(it.rate_ppm), *what)
    output.terminal().print(table)


def _as_json(it: TaxRate) -> dict[str, str | bool | int]:
    return {
        "tax_code": it.tax_code,
        "tax": it.code,
        "name": it.name,
        "rate_ppm": it.rate_ppm,
        "inclusive": it.inclusive,
        "category": _CATEGORY_NAMES[it.category],
        "jurisdiction": it.jurisdiction,
        "valid_from_us": it.valid_from_us,
    }
