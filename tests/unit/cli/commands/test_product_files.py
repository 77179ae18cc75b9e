"""Products from CSV and JSON lines: all or nothing, every mistake with its line."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue.messages import Product
from internal.cli.commands import product_files
from internal.kernel import errors, money
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


APPLE = Product("m", "A-1", "Apple", 125, "EUR", "standard", active=True)


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
        ("a b,Apple,1,EUR,standard,", "sku"),
        ("4111111111111111,Apple,1,EUR,standard,", "sku"),
        ("A,,1,EUR,standard,", "name"),
        (f"A,{'x' * 201},1,EUR,standard,", "name"),
        ("A,\x1b[31m,1,EUR,standard,", "name"),
        ("A,Apple,1.234,EUR,standard,", "price"),
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


def test_a_number_in_json_is_exact() -> None:
    row = {"sku": "A", "name": "x", "currency": "BHD", "tax_code": "standard"}
    text = json.dumps(row)[:-1] + ', "price": 4503599627370497.123}'
    assert read(text)[0].price_minor == 4_503_599_627_370_497_123


@pytest.mark.parametrize("price", ["1e3", '"NaN"', '"Infinity"', "1e999999999", "true", "null"])
def test_odd_numbers_in_json_are_refused(price: str) -> None:
    row = {"sku": "A", "name": "x", "currency": "EUR", "tax_code": "standard"}
    assert violations(json.dumps(row)[:-1] + f', "price": {price}}}')


PRODUCTS = st.builds(
    Product,
    merchant_id=st.just("m"),
    sku=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,11}", fullmatch=True),
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.isprintable),
    price_minor=st.integers(0, money.INT64_MAX),
    currency=st.sampled_from(["EUR", "JPY", "BHD", "CLF"]),
    tax_code=st.sampled_from(TAX_CODES),
    active=st.booleans(),
)


@given(st.lists(PRODUCTS, min_size=1, max_size=5, unique_by=lambda product: product.sku))
def test_a_listed_product_can_be_imported(products: list[Product]) -> None:
    lines = [json.dumps(product_files.row_of(product)) for product in products]
    assert read("\n".join(lines)) == products


@given(st.text(max_size=200), st.sampled_from(["", HEADER + "\n", "{"]))
def test_any_text_is_products_or_violations(text: str, start: str) -> None:
    with contextlib.suppress(errors.InvalidInput):
        assert read(start + text)
