"""`souk stores`: makes stores and changes their rules: currency, days, rounding, prices, holds."""

import dataclasses
import re
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from internal.auth import audit_log
from internal.catalogue import store as catalogue
from internal.catalogue.messages import PricePolicy, RoundingPoint, Store
from internal.cli import actor, database, timestamps
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output, suggestions, values
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.kernel import errors, money, texts
from internal.kernel.money import RoundingMode
from internal.stages import catalogue_changes

app = lazy_groups.new()

NAME_CHARS_MAX = 200
LEGAL_ENTITY_CHARS_MAX = 64
_CUT_OFF = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _text_of(chars_max: int) -> Any:  # noqa: ANN401 - Typer's form of a callback
    def check(value: str | None) -> str | None:
        if value and (fault := texts.fault_of_line(value)):
            raise typer.BadParameter(fault)
        if value and len(value) > chars_max:
            raise typer.BadParameter(f"it has more than {chars_max} characters")
        return value

    return check


@dataclasses.dataclass(frozen=True)
class Rules:
    """The settings of a store that can be changed; None leaves one as it is."""

    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", callback=_text_of(NAME_CHARS_MAX), help="For people."),
    ] = None
    legal_entity: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            callback=_text_of(LEGAL_ENTITY_CHARS_MAX),
            help="The company that sells here.",
        ),
    ] = None
    time_zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Its days are this zone's: Europe/Lisbon, UTC."),
    ] = None
    day_cut_off: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM", help="Its business day begins at this local time: 04:00 for a bar."
        ),
    ] = None
    rounding_mode: Annotated[
        RoundingMode | None,
        typer.Option(case_sensitive=False, help="How fractions of its smallest unit are rounded."),
    ] = None
    rounding_point: Annotated[
        RoundingPoint | None,
        typer.Option(case_sensitive=False, help="Where tax is rounded."),
    ] = None
    cash_rounding: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT", help="Cash is paid in multiples of this: 0.05; 0 for any amount."
        ),
    ] = None
    cash_rounding_mode: Annotated[
        RoundingMode | None, typer.Option(case_sensitive=False, help="How cash is rounded.")
    ] = None
    price_policy: Annotated[
        PricePolicy | None,
        typer.Option(
            case_sensitive=False,
            help="A price that an order expects is compared with the product's (CHECKED), or is"
            " the price of the line (TILL).",
        ),
    ] = None
    hold_default: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long an open order waits: 90s, 15m, 2h, 7d."),
    ] = None
    hold_longest: Annotated[
        str | None, typer.Option(metavar="TIME", help="The longest time that one may ask for.")
    ] = None

    def values(self, currency: str) -> dict[str, Any]:
        """Return the fields of a store that are told, by name.

        Raises:
            typer.BadParameter: one of them has another form.
        """
        told = {
            "name": self.name,
            "legal_entity": self.legal_entity,
            "time_zone": _zone(self.time_zone),
            "day_cut_off_minutes": _minutes(self.day_cut_off),
            "rounding_mode": self.rounding_mode,
            "rounding_point": self.rounding_point,
            "cash_rounding_step_minor": _step(self.cash_rounding, currency),
            "cash_rounding_mode": self.cash_rounding_mode,
            "price_policy": self.price_policy,
            "hold_default_s": timestamps.duration_s(self.hold_default, "--hold-default"),
            "hold_longest_s": timestamps.duration_s(self.hold_longest, "--hold-longest"),
        }
        return {name: value for name, value in told.items() if value is not None}


def _zone(name: str | None) -> str | None:
    """Return the name as a store keeps it: "" is UTC."""
    if name is None:
        return None
    timestamps.zone(name, "--time-zone")
    return "" if name == timestamps.UTC else name


def _minutes(text: str | None) -> int | None:
    if text is None:
        return None
    match = _CUT_OFF.fullmatch(text)
    if match is None:
        what = f"{text!r} is not a time of day such as 04:00"
        raise typer.BadParameter(what, param_hint="--day-cut-off")
    return int(match[1]) * 60 + int(match[2])


def _step(text: str | None, currency: str) -> int | None:
    if text is None:
        return None
    try:
        return money.from_text(text, currency)
    except errors.InvalidMoney as error:
        what = f"{text!r} is not an amount of {currency}: {error}"
        raise typer.BadParameter(what, param_hint="--cash-rounding") from error


def _currency_of(code: str) -> str:
    if code not in money.EXPONENTS:
        raise typer.BadParameter(suggestions.unknown("currency", code, sorted(money.EXPONENTS)))
    return code


def _id_of(value: str) -> str:
    if not values.ID.fullmatch(value):
        raise typer.BadParameter(f"an id is {values.ID_FORM}")
    return value


Id = Annotated[str, typer.Argument(metavar="STORE", help="The store's id.")]


@app.callback()
def stores() -> None:
    """Make stores, and change the rules by which they sell."""


@app.command()
@flattened
def create(
    store_id: Annotated[
        str, typer.Argument(metavar="STORE", callback=_id_of, help="The store's id.")
    ],
    currency: Annotated[
        str, typer.Option(metavar="CODE", callback=_currency_of, help="It sells in it: EUR.")
    ],
    rules: Rules,
    *,
    merchant: MerchantId = "",
    by: actor.By = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a store. What is not told has a default; `souk stores set` changes it later."""
    told, name = rules.values(currency), actor.name_of(by)
    now_us = clock.SystemClock().now_us()

    def write(connection: sa.Connection) -> Store:
        merchant_id = merchants.require(connection, merchant)
        new = Store(**({"name": store_id} | told), **_identity(merchant_id, store_id, currency))
        catalogue_changes.create_store(connection, new, name, now_us)
        return new

    _show(database.write(data, write), as_json=as_json)


def _identity(merchant_id: str, store_id: str, currency: str) -> dict[str, Any]:
    return {"merchant_id": merchant_id, "store_id": store_id, "currency": currency}


@app.command("set")
@flattened
def set_rules(
    store_id: Id,
    rules: Rules,
    *,
    currency: Annotated[
        str,
        typer.Option(
            metavar="CODE",
            callback=lambda code: _currency_of(code) if code else "",
            show_default=False,
            help="It sells in it; fixed from its first order on.",
        ),
    ] = "",
    merchant: MerchantId = "",
    by: actor.By = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change the rules of a store. They hold for orders and tenders that are recorded from now on.

    Recorded days stay as they are. A change of the time zone or the cut-off is refused while it
    would put sales before the newest recorded day; the message says from when on it would not.
    """
    name, now_us = actor.name_of(by), clock.SystemClock().now_us()

    def write(connection: sa.Connection) -> Store:
        before = _require(connection, merchants.require(connection, merchant), store_id)
        told = rules.values(currency or before.currency)
        told |= {"currency": currency} if currency else {}
        if not told:
            raise typer.BadParameter("name what to change: --help lists it", param_hint=store_id)
        return catalogue_changes.change_store(connection, before, told, name, now_us)

    _show(database.write(data, write), as_json=as_json)


@app.command("list")
def list_stores(*, merchant: MerchantId = "", data: Data = None, as_json: AsJson = False) -> None:
    """List the stores of a merchant."""
    found = database.read(data, lambda c: catalogue.list_stores(c, merchants.require(c, merchant)))
    if as_json:
        output.as_json({"stores": [_shown(it) for it in found]})
        return
    table = output.table("Store", "Name", "Currency", "Time zone", "Day begins", "Cash", "Prices")
    for it in found:
        shown = _shown(it)
        names = ("currency", "time_zone", "day_cut_off", "cash_rounding", "price_policy")
        table.add_row(it.store_id, it.name, *(shown[name] for name in names))
    output.terminal().print(table)


@app.command("show")
def show_store(
    store_id: Id, *, merchant: MerchantId = "", data: Data = None, as_json: AsJson = False
) -> None:
    """Show the rules of a store, and who changed them when."""

    def find(connection: sa.Connection) -> tuple[Store, list[audit_log.Action]]:
        found = _require(connection, merchants.require(connection, merchant), store_id)
        return found, catalogue_changes.history_of_store(connection, found)

    found, changes = database.read(data, find)
    if as_json:
        rows = [{"at_us": it.at_us, "by": it.actor, "what": it.detail} for it in changes]
        output.as_json(_shown(found) | {"changes": rows})
        return
    _show(found, as_json=False)
    for it in changes:
        output.say(f"{output.moment(it.at_us)}  {it.actor}  {it.detail}", style="dim")


def _require(connection: sa.Connection, merchant_id: str, store_id: str) -> Store:
    found = catalogue.find_store(connection, merchant_id, store_id)
    if found is None:
        known = [it.store_id for it in catalogue.list_stores(connection, merchant_id)]
        raise errors.InvalidInput([("", suggestions.unknown("store", store_id, known))])
    return found


def _show(it: Store, *, as_json: bool) -> None:
    if as_json:
        output.as_json(_shown(it))
        return
    grid = output.grid()
    for name, value in _shown(it).items():
        grid.add_row(name.replace("_", " "), value)
    output.terminal().print(grid)


def _shown(it: Store) -> dict[str, str]:
    """Return a store as its options have it."""
    hours, minutes = divmod(it.day_cut_off_minutes, 60)
    return {
        "merchant_id": it.merchant_id,
        "store_id": it.store_id,
        "name": it.name,
        "legal_entity": it.legal_entity,
        "currency": it.currency,
        "time_zone": it.time_zone or timestamps.UTC,
        "day_cut_off": f"{hours:02}:{minutes:02}",
        "rounding_mode": it.rounding_mode,
        "rounding_point": it.rounding_point,
        "cash_rounding": money.to_text(it.cash_rounding_step_minor, it.currency),
        "cash_rounding_mode": it.cash_rounding_mode,
        "price_policy": it.price_policy,
        "hold_default": timestamps.duration_text(it.hold_default_s),
        "hold_longest": timestamps.duration_text(it.hold_longest_s),
    }
