"""`souk products`: a merchant's products. Writes the catalogue; must not touch stock."""

import shlex
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from internal.catalogue import store
from internal.catalogue.messages import Product
from internal.cli import database, input_files, product_files
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output, values
from internal.console.options import AsJson
from internal.infra import clock
from internal.kernel import unit_prices
from internal.stages import catalogue_changes

app = lazy_groups.new()

PAGE_PRODUCTS_DEFAULT = 100
PAGE_PRODUCTS_MAX = 100_000
FILE_CHARS_MAX = 64 * 1024 * 1024
BATCH_PRODUCTS = 5_000
"""In one statement."""


@app.command("list")
def list_products(
    *,
    merchant: MerchantId = "",
    after: Annotated[str, typer.Option(metavar="SKU", help="Only those above this SKU.")] = "",
    limit: Annotated[
        int,
        typer.Option(
            parser=values.whole_number(1, PAGE_PRODUCTS_MAX),
            metavar="N",
            help="Up to this many products.",
        ),
    ] = PAGE_PRODUCTS_DEFAULT,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List products by SKU."""

    def find(connection: sa.Connection) -> list[Product]:
        merchant_id = merchants.require(connection, merchant)
        return store.list_products(connection, merchant_id, after, limit + 1)

    found = database.read(data, find)
    page, next_after = found[:limit], found[limit - 1].sku if len(found) > limit else ""
    if as_json:
        rows = [product_files.row_of(product) for product in page]
        output.as_json({"products": rows, "next_after": next_after})
        return
    _show(page)
    if next_after:
        output.remark(f"more: the same with --after {shlex.quote(next_after)}")


def _show(products: Iterable[Product]) -> None:
    table = output.table("SKU", "Name", "Price", "Tax", "Sold", right=["Price"])
    for it in products:
        price = f"{unit_prices.to_text(it.unit_price, it.currency)} {it.currency}"
        sold = output.yes_or_no(good=it.active, yes="yes", no="no")
        table.add_row(it.sku, it.name, price, it.tax_code, sold)
    output.terminal().print(table)


@app.command("import")
def import_products(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            callback=input_files.checked,
            help="CSV with the columns sku,name,price,currency,tax_code and perhaps active, or"
            " JSON with these fields: an object a line, or an array; `-` is standard input.",
        ),
    ],
    *,
    encoding: Annotated[
        str,
        typer.Option(
            input_files.ENCODING_OPTION,
            metavar="NAME",
            show_default="UTF-8, or as a byte order mark says",
            help="The file's encoding, such as windows-1252.",
        ),
    ] = "",
    merchant: MerchantId = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add the products of a file; a product with the same SKU is replaced.

    One mistake in the file, and nothing is changed; every mistake is shown with its line.
    """
    text = input_files.read_text(file, FILE_CHARS_MAX, encoding)

    def work(connection: sa.Connection) -> dict[str, int]:
        return _import(connection, text, merchant, dry_run=dry_run)

    counts = database.read(data, work) if dry_run else database.write(data, work)
    if as_json:
        output.as_json(counts)
        return
    would = "would be " if dry_run else ""
    new, changed, same = (counts[name] for name in ("new", "changed", "unchanged"))
    output.say(f"{new} new, {changed} {would}changed, {same} unchanged")


def _import(
    connection: sa.Connection, text: str, merchant: str, *, dry_run: bool
) -> dict[str, int]:
    """Save a file's products; return how many are new, changed and unchanged."""
    merchant_id = merchants.require(connection, merchant)
    tax_codes = {rate.tax_code for rate in store.list_tax_rates(connection, merchant_id)}
    products = product_files.read(text, merchant_id, tax_codes)
    known = 0
    changed: list[Product] = []
    for batch in _batches(products):
        before = store.load_snapshot(connection, (), [_key(it) for it in batch]).products
        known += len(before)
        changed += [product for product in batch if before.get(_key(product)) != product]
    if not dry_run:
        now_us = clock.SystemClock().now_us()
        catalogue_changes.save_products(connection, merchant_id, changed, now_us)
    new = len(products) - known
    return {"new": new, "changed": len(changed) - new, "unchanged": len(products) - len(changed)}


def _key(product: Product) -> tuple[str, str]:
    return product.merchant_id, product.sku


def _batches(products: Sequence[Product]) -> Iterable[Sequence[Product]]:
    rest = iter(products)
    while batch := list(islice(rest, BATCH_PRODUCTS)):
        yield batch
