"""Reads products from CSV or JSON: all mistakes at once, each with its line. Pure.

CSV opens with its columns. JSON has an object per product: one a line, or in an array. A price is a
plain decimal, with up to six digits more than its currency has.
"""

import decimal
import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from internal.catalogue.messages import Product
from internal.cli.formats import csv_rows, decimals, json_values
from internal.kernel import cards, errors, money, texts, unit_prices

COLUMNS = csv_rows.Columns(("sku", "name", "price", "currency", "tax_code"), ("active",))
NAME_CHARS_MAX = 200
PRODUCTS_MAX = 200_000
EXPONENT_USUAL = 2
"""The decimals of most currencies."""
YES = frozenset({"", "1", "true", "yes"})
NO = frozenset({"0", "false", "no"})

_SHORTENED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]{2}")
"""5.449E+12: a long number as a spreadsheet shows it, with digits that are lost."""

Violation = tuple[str, str]


class Row(msgspec.Struct, frozen=True):
    """A product as the file holds it."""

    sku: str
    name: str
    price: str
    currency: str
    tax_code: str
    active: str = ""
    price_fault: str = ""
    """Why the price cannot be read; empty if nothing is known against it."""


NumberedRow = tuple[int, Row | str]
"""(line from 1, its product or what is wrong with it)."""


class _JsonRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product as JSON holds it. Its price may be a number, which is read exactly."""

    sku: str
    name: str
    price: decimal.Decimal
    currency: str
    tax_code: str
    active: bool = True


_decoder = msgspec.json.Decoder(_JsonRow)


def read(text: str, merchant_id: str, tax_codes: Collection[str]) -> list[Product]:
    """Return the products of a file, or report every mistake in it.

    Raises:
        InvalidInput: one violation for each mistake, its field the line it is on.
    """
    text = text.removeprefix("\ufeff")
    violations: list[Violation] = []
    products: list[Product] = []
    first_lines: dict[str, int] = {}
    for line_no, row in _limited(_rows(text)):
        wrong = [("", row)] if isinstance(row, str) else list(_faults_of(row, tax_codes))
        if isinstance(row, Row) and row.sku:
            first_line = first_lines.setdefault(row.sku, line_no)
            if first_line != line_no:
                wrong.append(("sku", f"{row.sku} is on line {first_line} already"))
        violations += [_at(line_no, field, what) for field, what in wrong]
        if isinstance(row, Row) and not wrong:
            products.append(_product(row, merchant_id))
    if not products and not violations:
        empty = "it is empty: it holds no products"
        violations = [("", "the file holds no products" if text.strip() else empty)]
    if violations:
        raise errors.InvalidInput(violations)
    return products


def _at(line_no: int, field: str, what: str) -> Violation:
    return (f"line {line_no}, {field}" if field else f"line {line_no}"), what


def _limited(rows: Iterator[NumberedRow]) -> Iterator[NumberedRow]:
    """Yield up to PRODUCTS_MAX rows, and a fault in place of the rest."""
    for count, (line_no, row) in enumerate(rows, start=1):
        if count > PRODUCTS_MAX:
            yield line_no, f"more than {PRODUCTS_MAX} products; import the file in parts"
            return
        yield line_no, row


def _rows(text: str) -> Iterator[NumberedRow]:
    """Split a file into rows with their lines; for an unreadable line, yield the reason."""
    return _json_rows(text) if json_values.is_json(text) else _csv_rows(text)


def _json_rows(text: str) -> Iterator[NumberedRow]:
    for line_no, value, fault in json_values.read(text):
        if fault:
            yield line_no, f"{fault}; the fields are {', '.join(COLUMNS.all)}"
            continue
        try:
            row = _decoder.decode(value)
        except msgspec.MsgspecError as error:
            yield line_no, f"{error}; the fields are {', '.join(COLUMNS.all)}"
        else:
            cells = msgspec.structs.asdict(row)
            texts_of = {"sku": row.sku.strip(), "price": str(row.price), "active": str(row.active)}
            yield line_no, Row(**cells | texts_of)


def _csv_rows(text: str) -> Iterator[NumberedRow]:
    """Read CSV. Where columns are separated by semicolons or tabs, decimals may have a comma."""
    sheet = csv_rows.read(text, COLUMNS)
    convention = decimals.Convention(may_be_comma=sheet.separator != ",")
    for line_no, cells in sheet.rows:
        yield line_no, cells if isinstance(cells, str) else _csv_row(line_no, cells, convention)


def _csv_row(line_no: int, cells: Mapping[str, str], convention: decimals.Convention) -> Row:
    """Return a row, its values without any blanks around them; a name keeps those of its script."""
    row = {name: cell if name == "name" else cell.strip() for name, cell in cells.items()}
    exponent = money.EXPONENTS.get(row["currency"], EXPONENT_USUAL)
    row["price"], row["price_fault"] = convention.with_point(row["price"], exponent, line_no)
    return Row(**row)


def _faults_of(row: Row, tax_codes: Collection[str]) -> Iterator[Violation]:
    """Yield what is wrong with a product, field by field."""
    yield from _faults_of_texts(row)
    if row.currency not in money.EXPONENTS:
        yield "currency", f"{row.currency[:8]!r} is not a currency in use (ISO 4217, upper case)"
    else:
        yield from _faults_of_price(row)
    if row.tax_code not in tax_codes:
        known = ", ".join(sorted(tax_codes)) or "none"
        yield "tax_code", f"there is no tax code {row.tax_code[:64]!r}; there are {known}"
    if _active(row.active) is None:
        yield "active", "yes or no"


def _faults_of_texts(row: Row) -> Iterator[Violation]:
    if not texts.is_sku(row.sku):
        yield "sku", texts.fault_of_line(row.sku) or texts.SKU_FORM
    elif cards.find_card_number(row.sku, cards.FieldKind.PRODUCT_CODE):
        yield "sku", "it looks like a card number: every order for it would be refused"
    elif _SHORTENED.fullmatch(row.sku):
        yield "sku", f"{row.sku} is a number without its last digits: format that column as text"
    if not 1 <= len(row.name) <= NAME_CHARS_MAX:
        yield "name", f"1 to {NAME_CHARS_MAX} characters"
    elif fault := texts.fault_of_line(row.name):
        yield "name", fault


def _faults_of_price(row: Row) -> Iterator[Violation]:
    if row.price_fault:
        yield "price", row.price_fault
        return
    try:
        price = unit_prices.from_text(row.price, row.currency)
    except errors.InvalidMoney as error:
        yield "price", str(error)
    else:
        if price.scaled < 0:
            yield "price", "it is below zero"


def _active(text: str) -> bool | None:
    """Return the meaning of yes or no; None for any other text."""
    text = text.lower()
    return text in YES if text in YES | NO else None


def _product(row: Row, merchant_id: str) -> Product:
    return Product(
        merchant_id,
        row.sku,
        row.name,
        unit_prices.from_text(row.price, row.currency),
        row.currency,
        row.tax_code,
        active=bool(_active(row.active)),
    )


def row_of(product: Product) -> dict[str, str | bool]:
    """Return a product as a JSON line holds it."""
    return {
        "sku": product.sku,
        "name": product.name,
        "price": unit_prices.to_text(product.unit_price, product.currency),
        "currency": product.currency,
        "tax_code": product.tax_code,
        "active": product.active,
    }
