"""Products from CSV and JSON lines: all or nothing, every mistake with its line."""

import contextlib
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue.messages import Product
from internal.cli import product_files
from internal.kernel import errors, money, texts
from internal.kernel.unit_prices import UnitPrice
from tests.support import card_numbers

HEADER = "sku,name,price,currency,tax_code,active"
GOOD = "A-1,Apple,1.25,EUR,standard,yes"
TAX_CODES = ("reduced", "standard")


def read(text: str) -> list[Product]:
    """Read a file of merchant m."""
    return product_files.read(text, "m", TAX_CODES)


def violations(text: str) -> list[tuple[str, str]]:
    """Return what is wrong with a file."""
    with pytest.raises(errors.InvalidInput) as caught:
        read(text)
    return caught.value.violations


APPLE = Product("m", "A-1", "Apple", UnitPrice(125), "EUR", "standard", active=True)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{GOOD}\n",
        f"\ufeff{HEADER}\r\n{GOOD}\r\n\r\n",
        f"{HEADER}\n{GOOD}\n".replace(",", ";"),
        "Name, SKU,price,currency,tax_code\nApple ,A-1, 1.250,EUR,standard\n",
        '{"sku":"A-1","name":"Apple","price":1.25,"currency":"EUR","tax_code":"standard"}',
        '\n{"sku":"A-1","name":"Apple","price":"1.25","currency":"EUR","tax_code":"standard"}\n',
    ],
)
def test_one_product_in_many_forms(text: str) -> None:
    assert read(text) == [APPLE]


def test_quotes_and_line_breaks_of_csv() -> None:
    text = f'{HEADER}\n"A-1","Apple, ""red""",1,EUR,standard,no\nA-2,x,y,EUR,standard,\n'
    assert [field for field, _ in violations(text)] == ["line 3, price"]
    [product] = read(text.partition("A-2")[0])
    assert (product.name, product.active) == ('Apple, "red"', False)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (",Apple,1,EUR,standard,", "sku"),
        ("a\tb,Apple,1,EUR,standard,", "sku"),
        ("4111111111111111,Apple,1,EUR,standard,", "sku"),
        ("A,,1,EUR,standard,", "name"),
        (f"A,{'x' * 201},1,EUR,standard,", "name"),
        ("A,\x1b[31m,1,EUR,standard,", "name"),
        ("A,Apple,1.123456789,EUR,standard,", "price"),
        ("A,Apple,-1,EUR,standard,", "price"),
        ("A,Apple,99999999999999999999,EUR,standard,", "price"),
        ("A,Apple,1,eur,standard,", "currency"),
        ("A,Apple,1,EUR,standart,", "tax_code"),
        ("A,Apple,1,EUR,standard,maybe", "active"),
    ],
)
def test_each_mistake_is_shown_with_its_line(row: str, field: str) -> None:
    assert [place for place, _ in violations(f"{HEADER}\n{GOOD}\n{row}")] == [f"line 3, {field}"]


def test_all_mistakes_are_shown_in_the_order_of_the_file() -> None:
    text = f"{HEADER}\n,x,1,EUR,no,\n{GOOD}\nA,b\n{GOOD}\n"
    places = [place for place, _ in violations(text)]
    assert places == ["line 2, sku", "line 2, tax_code", "line 4", "line 5, sku"]


@pytest.mark.parametrize("gtin", ["5449000000996", "4006381330060", "96385074", "10614141000415"])
def test_a_gtin_is_a_product_code_even_if_it_could_be_a_card_number(gtin: str) -> None:
    [product] = read(f"{HEADER}\n{gtin},Cola,1.25,EUR,standard,yes\n")
    assert product.sku == gtin


@pytest.mark.parametrize("number", card_numbers.OF_SCHEMES.values(), ids=card_numbers.OF_SCHEMES)
def test_a_card_number_is_not_a_product_code(number: str) -> None:
    [(where, what)] = violations(f"{HEADER}\n{number},Cola,1.25,EUR,standard,yes\n")
    assert where == "line 2, sku"
    assert "card number" in what


def test_an_unknown_tax_code_names_those_there_are() -> None:
    [(_, what)] = violations(f"{HEADER}\nA,Apple,1,EUR,x,")
    assert what == "there is no tax code 'x'; there are reduced, standard"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no products"),
        (HEADER, "no products"),
        ("sku,name,prise,currency,tax_code\n", "no column is called 'prise'"),
        ("sku,name,price,currency\n", "the column tax_code is missing"),
        ("sku,sku,name,price,currency,tax_code\n", "twice"),
        (f'{HEADER}\n"A-1', "unexpected end"),
        ('{"sku": 1}', "Expected `str`"),
        ('{"sku": "A", "prise": 1}', "the fields are sku, name, price"),
        ("{", "the fields are"),
    ],
)
def test_unreadable_files(text: str, what: str) -> None:
    [(_, said)] = violations(text)
    assert what in said


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("0.23267", UnitPrice(23_267, 3)),
        ("0.495", UnitPrice(495, 1)),
        ("1.25000000", UnitPrice(125)),
        ("0.00000001", UnitPrice(1, 6)),
    ],
)
def test_a_price_may_be_below_a_cent(written: str, price: UnitPrice) -> None:
    assert read(f"{PLAIN}\nA,Screw,{written},EUR,standard\n")[0].unit_price == price
    comma = written.replace(".", ",")
    semicolons = PLAIN.replace(",", ";")
    assert read(f"{semicolons}\nA;Screw;{comma};EUR;standard\n")[0].unit_price == price


def test_a_number_in_json_is_exact() -> None:
    row = {"sku": "A", "name": "x", "currency": "BHD", "tax_code": "standard"}
    text = json.dumps(row)[:-1] + ', "price": 4503599627370497.123}'
    assert read(text)[0].unit_price == UnitPrice(4_503_599_627_370_497_123)


@pytest.mark.parametrize("price", ["1e3", '"NaN"', '"Infinity"', "1e999999999", "true", "null"])
def test_odd_numbers_in_json_are_refused(price: str) -> None:
    row = {"sku": "A", "name": "x", "currency": "EUR", "tax_code": "standard"}
    assert violations(json.dumps(row)[:-1] + f', "price": {price}}}')


PRODUCTS = st.builds(
    Product,
    merchant_id=st.just("m"),
    sku=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,11}", fullmatch=True),
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.isprintable),
    unit_price=st.integers(0, money.INT64_MAX).map(UnitPrice),
    currency=st.sampled_from(["EUR", "JPY", "BHD", "CLF"]),
    tax_code=st.sampled_from(TAX_CODES),
    active=st.booleans(),
)


PRODUCT_LISTS = st.lists(PRODUCTS, min_size=1, max_size=5, unique_by=lambda product: product.sku)


@given(PRODUCT_LISTS)
def test_a_listed_product_can_be_imported(products: list[Product]) -> None:
    lines = [json.dumps(product_files.row_of(product)) for product in products]
    assert read("\n".join(lines)) == products


@given(
    PRODUCT_LISTS,
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from(["ascii", "utf-8"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_json_may_be_spread_over_lines_and_be_an_array(
    products: list[Product], indent: int | str | None, charset: str, line_end: str
) -> None:
    rows = [product_files.row_of(product) for product in products]
    array = json.dumps(rows, indent=indent, ensure_ascii=charset == "ascii")
    objects = "\n".join(
        json.dumps(row, indent=indent, ensure_ascii=charset == "ascii") for row in rows
    )
    assert read(array.replace("\n", line_end)) == products
    assert read(objects.replace("\n", line_end)) == products


NAMES = (
    st.text(st.characters(codec="utf-8"))
    .map(str.strip)
    .filter(lambda name: 1 <= len(name) <= 20 and not texts.fault_of_line(name))
)
SKUS = st.text(
    st.one_of(st.sampled_from("AZaz09/ ;,\"'½=\u3000"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=12,
).filter(texts.is_sku)
SHEETS = st.lists(
    st.tuples(SKUS, NAMES, st.integers(0, 10**6)), min_size=1, unique_by=lambda row: row[0]
)


@given(
    SHEETS,
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "sep"]),
    st.integers(0, 3),
)
def test_a_spreadsheet_may_write_csv_in_its_own_way(
    rows: list[tuple[str, str, int]], separator: str, line_end: str, opening: str, unused: int
) -> None:
    written = io.StringIO(newline="")
    if opening:
        written.write(f"sep={separator}{line_end}")
    writer = csv.writer(written, delimiter=separator, lineterminator=line_end)
    empty = [""] * unused
    writer.writerow([*HEADER.split(","), *empty])
    decimal_sign = "." if separator == "," else ","
    for sku, name, cents in rows:
        price = f"{cents // 100}{decimal_sign}{cents % 100:02}"
        writer.writerow([sku, name, price, "EUR", "standard", "", *empty])
    assert [(it.sku, it.name, it.unit_price.scaled) for it in read(written.getvalue())] == rows


STARTS = st.sampled_from(["", HEADER + "\n", "{", "[", "sep=;\n", "[{}", "[{},"])


@given(st.text(max_size=200), STARTS)
def test_any_text_is_products_or_violations(text: str, start: str) -> None:
    with contextlib.suppress(errors.InvalidInput):
        assert read(start + text)


PLAIN = "sku,name,price,currency,tax_code"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f'{PLAIN}\nA-1,"App"le,1,EUR,standard\nA-2,b,x,EUR,standard\n',
            ["line 2", "line 3, price"],
        ),
        (
            f'{PLAIN}\nA-1,"Apple,1,EUR,standard\nA-2,b,x,EUR,standard\nA-3,"c",1,EUR,standard\n',
            ["line 2", "line 3, price"],
        ),
        (
            f"{PLAIN}\n\n\rA-1,b,x,EUR,standard\r\nA-2,b,x,EUR,standard",
            ["line 4, price", "line 5, price"],
        ),
        (
            f"sep=;\n{PLAIN}\nA-1,b,x,EUR,standard".replace(",", ";"),
            ["line 3, price"],
        ),
        (
            '[\n{"sku": "A" "name": 1},\n{"sku": "B"},\n{"sku": 1}\n]',
            ["line 2", "line 3", "line 4"],
        ),
        (
            '{"sku": "A"\n{"sku": "B"}\n\n{"sku": "C",\n"name": 3}',
            ["line 1", "line 2", "line 4"],
        ),
        ('[{"sku": "A"},\n{"sku": "B"}', ["line 1", "line 2", "line 2"]),
        ('[{"sku": "A"}\n{"sku": "B"}]', ["line 1", "line 2", "line 2"]),
        ('[{"sku": "A"},\n]', ["line 1", "line 1"]),
        ('{"sku": "A", "price": 1, "price": 2}\n{"sku": "B"}', ["line 1", "line 2"]),
        ('[{"sku": "A"}]\n[]', ["line 1", "line 2"]),
        ('[{"sku": "A"} x,\n{"sku": "B"}]', ["line 1", "line 1", "line 2"]),
    ],
)
def test_a_broken_line_does_not_hide_the_mistakes_after_it(text: str, said: list[str]) -> None:
    assert [place for place, _ in violations(text)] == said


def test_a_sku_that_comes_twice_is_told_with_both_lines() -> None:
    text = f"{PLAIN}\nAB/1,x,1,EUR,standard\nab/1,x,1,EUR,standard\n AB/1 ,x,1,EUR,standard"
    assert violations(text) == [("line 4, sku", "AB/1 is on line 2 already")]
    array = '[{"sku": "A"},\n{"sku": " A "}]'.replace(
        "}", ', "name": "x", "price": 1, "currency": "EUR", "tax_code": "standard"}'
    )
    assert violations(array) == [("line 2, sku", "A is on line 1 already")]


@pytest.mark.parametrize("sku", ["AB/12", "123456 Oaktree", "30612190-5233-7  16½"])
def test_skus_as_shops_have_them(sku: str) -> None:
    assert [it.sku for it in read(f"{PLAIN}\n {sku}\u00a0,x,1,EUR,standard")] == [sku]


@pytest.mark.parametrize(
    "name",
    ["a\u3000b", "\u3000a", "a\u00a0b", "a\u202fb", "a\u200cb", "\U0001f468\u200d\U0001f469"],
)
def test_names_are_kept_as_written(name: str) -> None:
    assert [it.name for it in read(f"{PLAIN}\nA,{name},1,EUR,standard")] == [name]


@pytest.mark.parametrize("name", ["a\x00", "a\u202eb", "\u202d", "a\x9b", "a\u2028b"])
def test_names_that_command_a_terminal_are_refused(name: str) -> None:
    [(place, what)] = violations(f"{PLAIN}\nA,{name},1,EUR,standard")
    assert (place, what[:2]) == ("line 2, name", "U+")


def test_a_number_that_a_spreadsheet_has_shortened_is_refused() -> None:
    [(place, what)] = violations(f"{PLAIN}\n5.449E+12,x,1,EUR,standard")
    assert (place, "as text" in what) == ("line 2, sku", True)


def test_a_comma_that_splits_a_price_is_explained() -> None:
    [(place, what)] = violations(f"{PLAIN}\nA,x,1,25,EUR,standard")
    assert (place, "stands in quotes" in what) == ("line 2", True)


def test_decimal_commas_and_points_in_one_file_are_told() -> None:
    text = f"{PLAIN}\nA|x|1,25|EUR|standard\nB|x|1.25|EUR|standard"
    [(place, what)] = violations(text.replace(",", ";", 4).replace("|", ";"))
    assert (place, what) == ("line 3, price", "a decimal point, but line 2 has a decimal comma")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("sku,,name,price,currency,tax_code", "column 2 has no name"),
        ("artikel;bezeichnung;preis", "no column is called 'artikel' or 'bezeichnung' or 'preis'"),
        ('sku,"name,price', "a quote is opened and not closed"),
    ],
)
def test_headers_that_cannot_be_read(header: str, what: str) -> None:
    [(place, said)] = violations(f"{header}\nA,b,c,d,e\n")
    assert (place, what in said) == ("line 1", True)


@pytest.mark.parametrize("text", ["", "\ufeff", " \r\n"])
def test_an_empty_file_is_called_empty(text: str) -> None:
    assert violations(text) == [("", "it is empty: it holds no products")]


def test_the_last_empty_value_may_be_left_out() -> None:
    assert read(f"{HEADER}\nA-1,Apple,1.25,EUR,standard") == [APPLE]
