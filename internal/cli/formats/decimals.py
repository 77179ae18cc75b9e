"""Decimals of a table with a decimal comma, as spreadsheets of half the world write them. Pure.

A number that has two meanings is refused: "1,250" is 1.25 to some people and 1250 to others. Must
not round or convert: it only exchanges a comma for a point.
"""

import re

_COMMA = re.compile(r"(-?[0-9]+),([0-9]+)")
_POINT = re.compile(r"-?[0-9]+\.([0-9]+)")
_THOUSANDS = 3
"""Digits after a separator of thousands."""


class Convention:
    """The decimal separator of one table: its first price decides, and the others must agree."""

    def __init__(self, *, may_be_comma: bool) -> None:
        self._may_be_comma = may_be_comma
        self._first: tuple[str, int] | None = None

    def with_point(self, text: str, exponent: int, line_no: int) -> tuple[str, str]:
        """Return a number with a decimal point and "", or as it is with the reason against it.

        Args:
            text: the number as the table holds it.
            exponent: how many decimals its currency has.
            line_no: the line it is on.
        """
        if "," in text:
            return self._with_comma(text, line_no)
        if self._may_be_comma and (point := _POINT.fullmatch(text)):
            if len(point[1]) == _THOUSANDS != exponent and not _is_below_one(text):
                return text, _ambiguous(text, *text.split("."))
            return text, self._fault_of("point", line_no)
        return text, ""

    def _with_comma(self, text: str, line_no: int) -> tuple[str, str]:
        comma = _COMMA.fullmatch(text)
        if not comma:
            return text, "write it without separators of thousands, such as 1234.50"
        whole, decimals = comma.groups()
        if not self._may_be_comma:
            return text, f"write a decimal point: {whole}.{decimals}"
        if len(decimals) == _THOUSANDS and not _is_below_one(text):
            return text, _ambiguous(text, whole, decimals)
        return f"{whole}.{decimals}", self._fault_of("comma", line_no)

    def _fault_of(self, separator: str, line_no: int) -> str:
        """Remember the first separator; return what is wrong with another one."""
        first, first_line = self._first = self._first or (separator, line_no)
        if first == separator:
            return ""
        return f"a decimal {separator}, but line {first_line} has a decimal {first}"


def _is_below_one(text: str) -> bool:
    """Tell whether a zero stands before the separator: no thousands do so."""
    return text.lstrip("-")[:2] in {"0,", "0."}


def _ambiguous(text: str, whole: str, decimals: str) -> str:
    exact = f"{whole}.{decimals}".rstrip("0").rstrip(".")
    return f"{text} has two meanings: write {exact} or {whole}{decimals}"
