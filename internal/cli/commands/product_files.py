"""Reads products from CSV or JSON lines: all mistakes at once, each with its line. Pure.

CSV opens with its columns; JSON lines are recognized by their first character, `{`. A price is a
plain decimal.
"""

import csv
import decimal
import io
from collections.abc import Collection, Iterator

import msgspec

from internal.catalogue.messages import Product
from internal.console import values
from internal.kernel import cards, errors, money

FIELDS = ("sku", "name", "price", "currency", "tax_code", "active")
REQUIRED = FIELDS[:-1]
NAME_CHARS_MAX = 200
LINES_MAX = 200_000
YES = frozenset({"", "1", "true", "yes"})
NO = frozenset({"0", "false", "no"})

Violation = tuple[str, str]


class Row(msgspec.Struct, frozen=True):
    """A product as the file holds it."""

    sku: str
    name: str
    price: str
    currency: str
    tax_code: str
    active: str = ""


class _JsonRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product as a line of JSON. Its price may be a number, which is read exactly."""

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
    violations: list[Violation] = []
    products: list[Product] = []
    first_lines: dict[str, int] = {}
    for line_no, row in _rows(text.removeprefix("\ufeff")):
        wrong = [("", row)] if isinstance(row, str) else list(_faults_of(row, tax_codes))
        if isinstance(row, Row) and first_lines.setdefault(row.sku, line_no) != line_no:
            wrong.append(("sku", f"{row.sku} is on line {first_lines[row.sku]} already"))
        violations += [_at(line_no, field, what) for field, what in wrong]
        if isinstance(row, Row) and not wrong:
            products.append(_product(row, merchant_id))
    if not products and not violations:
        violations = [("", "the file holds no products")]
    if violations:
        raise errors.InvalidInput(violations)
    return products


def _at(line_no: int, field: str, what: str) -> Violation:
    return (f"line {line_no}, {field}" if field else f"line {line_no}"), what


def _rows(text: str) -> Iterator[tuple[int, Row | str]]:
    """Split a file into rows with their lines; for an unreadable line, yield the reason."""
    read_rows = _json_rows if text.lstrip().startswith("{") else _csv_rows
    for line_no, row in read_rows(text):
        if line_no > LINES_MAX:
            yield line_no, f"more than {LINES_MAX} lines; import the file in parts"
            return
        yield line_no, row


def _json_rows(text: str) -> Iterator[tuple[int, Row | str]]:
    for line_no, line in enumerate(io.StringIO(text), start=1):
        if not line.strip():
            continue
        try:
            row = _decoder.decode(line)
        except msgspec.MsgspecError as error:
            yield line_no, f"{error}; the fields are {', '.join(FIELDS)}"
        else:
            cells = msgspec.structs.asdict(row)
            yield line_no, Row(**cells | {"price": str(row.price), "active": str(row.active)})


def _csv_rows(text: str) -> Iterator[tuple[int, Row | str]]:
    header = text.lstrip().partition("\n")[0]
    delimiter = "," if "," in header else ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if columns:
                yield reader.line_num, _csv_row(columns, cells)
                continue
            columns = [value.strip().lower() for value in cells]
            fault = _fault_of_header(columns)
            if fault:
                yield reader.line_num, fault
                return
    except csv.Error as error:
        yield reader.line_num, str(error)


def _fault_of_header(columns: list[str]) -> str:
    """Return what is wrong with the columns; empty when nothing is."""
    allowed = f"the columns are {','.join(REQUIRED)}[,active]"
    for column in columns:
        if column not in FIELDS:
            return f"no column is called {column[:64]!r}; {allowed}"
        if columns.count(column) > 1:
            return f"the column {column} is there twice; {allowed}"
    missing = [column for column in REQUIRED if column not in columns]
    return f"the column {missing[0]} is missing; {allowed}" if missing else ""


def _csv_row(columns: list[str], cells: list[str]) -> Row | str:
    if len(cells) != len(columns):
        return f"{len(cells)} values for {len(columns)} columns"
    return Row(**dict(zip(columns, (value.strip() for value in cells), strict=True)))


def _faults_of(row: Row, tax_codes: Collection[str]) -> Iterator[Violation]:
    """Yield what is wrong with a product, field by field."""
    if not values.ID.fullmatch(row.sku):
        yield "sku", values.ID_FORM
    elif cards.find_card_number(row.sku, cards.FieldKind.PRODUCT_CODE):
        yield "sku", "it looks like a card number: every order for it would be refused"
    if not (1 <= len(row.name) <= NAME_CHARS_MAX and row.name.isprintable()):
        yield "name", f"1 to {NAME_CHARS_MAX} printable characters"
    if row.currency not in money.EXPONENTS:
        yield "currency", f"{row.currency[:8]!r} is not a currency in use (ISO 4217, upper case)"
    else:
        yield from _faults_of_price(row)
    if row.tax_code not in tax_codes:
        known = ", ".join(sorted(tax_codes)) or "none"
        yield "tax_code", f"there is no tax code {row.tax_code[:64]!r}; there are {known}"
    if _active(row.active) is None:
        yield "active", "yes or no"


def _faults_of_price(row: Row) -> Iterator[Violation]:
    try:
        price_minor = money.from_text(row.price, row.currency)
    except errors.InvalidMoney as error:
        yield "price", str(error)
    else:
        if price_minor < 0:
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
        money.from_text(row.price, row.currency),
        row.currency,
        row.tax_code,
        active=bool(_active(row.active)),
    )


def row_of(product: Product) -> dict[str, str | bool]:
    """Return a product as a JSON line holds it."""
    return {
        "sku": product.sku,
        "name": product.name,
        "price": money.to_text(product.price_minor, product.currency),
        "currency": product.currency,
        "tax_code": product.tax_code,
        "active": product.active,
    }
