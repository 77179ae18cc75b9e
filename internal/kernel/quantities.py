"""Quantities: whole thousandths of a unit, for pieces and weighed goods alike. Pure.

Must not know what a unit is: a piece, a kilogram, a metre.
"""

import re

MILLI = 1_000
"""One piece, or one unit of weighed goods, is this many thousandths."""
_DECIMAL = re.compile(r"(?P<whole>[0-9]{1,12})(?:\.(?P<part>[0-9]{1,3}))?")


def text(quantity_milli: int) -> str:
    """Return a quantity as people write it: "2", "0.5", "-1.25"."""
    whole, part = divmod(abs(quantity_milli), MILLI)
    sign = "-" if quantity_milli < 0 else ""
    decimals = f"{part:03}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def parse(decimal: str) -> int | None:
    """Return the thousandths of a decimal such as "2" or "0.125"; None if it is not one."""
    match = _DECIMAL.fullmatch(decimal)
    if not match:
        return None
    return int(match["whole"]) * MILLI + int((match["part"] or "").ljust(3, "0"))
