"""Prints a scene of the demo as an account of its order, command by command, in plain English."""

from collections.abc import Iterator

from rich import console as rich_console
from rich.text import Text

from internal.cli import order_receipt
from internal.console import output
from internal.kernel import money, quantities
from internal.lab.demo import scene_run, scene_values, scenes

INTRODUCTION = "\nA few orders in detail, through the gRPC API, as these commands place them.\n"
LEFT_CHARS = 50
"""The width of what an amount is for, with the price of a unit if there is one."""
AMOUNT_CHARS = 10


def show(console: rich_console.Console, number: int, played: scene_run.Played) -> None:
    """Print one scene."""
    scene = scenes.SCENES[number - 1]
    console.print(Text(f"{number}. {scene.title}", style="bold"))
    console.print(Text(f"   {scene.why}"))
    for line in _Account(scene, played).lines():
        console.print(line)
    for wrong in played.wrong:
        console.print(Text(f"     WRONG: {output.one_line(wrong)}", style="red"))
    console.print()


class _Account:
    """Describes the lines, the total, the tenders and the end state of an order."""

    def __init__(self, scene: scenes.Scene, played: scene_run.Played) -> None:
        self._scene, self._played = scene, played
        self._commands = tuple(scene.commands(played.order_id))

    def lines(self) -> Iterator[Text]:
        values = self._played.values
        if values is None:
            yield from _command(self._commands[0])
            return
        placed_with = len(self._scene.pay)
        for number, (command, step) in enumerate(zip(self._commands, values.steps, strict=True)):
            yield from _command(command)
            first = placed_with + number - 1 if number else 0
            if not number:
                yield from self._bill(values)
            for tender in values.tenders[first : placed_with + number]:
                yield self._tender(tender)
            if step.left_to_pay_minor:
                yield Text(f"     open: {self._amount(step.left_to_pay_minor)} left to pay")
        yield self._end(values)

    def _bill(self, values: scene_values.Values) -> Iterator[Text]:
        for line in values.lines:
            what = f"{quantities.text(line.quantity_milli)} x {line.name}"
            yield self._row(what, line.gross_minor, price=line.unit_price)
        for tax in values.taxes:
            if not tax.inclusive:
                yield self._row(f"{_tax(tax)} on top", tax.tax_minor)
        yield self._row(f"total {self._scene.currency}", values.total_minor, style="bold")
        for tax in values.taxes:
            if tax.inclusive:
                yield self._row(f"  {_tax(tax)} inside", tax.tax_minor, style="dim")

    def _tender(self, it: scene_values.Tender) -> Text:
        is_paid = it.state == scene_values.PAID
        amounts = {
            "given": it.given_minor if it.change_minor else 0,
            "change": it.change_minor,
            "rounding": it.rounding_minor,
        }
        words = [f"{self._amount(minor)} {name}" for name, minor in amounts.items() if minor]
        what = ", ".join((it.kind.lower(), *words, *(() if is_paid else (it.state.lower(),))))
        return self._row(what, it.captured_minor, style="green" if is_paid else "yellow")

    def _end(self, values: scene_values.Values) -> Text:
        number = self._played.receipt_number
        receipt = f", receipt {number} of {self._scene.store_id}" if number else ""
        return Text.assemble("     ", output.state(values.state), receipt)

    def _row(self, what: str, minor: int, price: str = "", style: str = "") -> Text:
        what_chars = LEFT_CHARS - len(price)
        left = f"     {output.one_line(what):{what_chars}}{price}"
        return Text(f"{left}{self._amount(minor):>{AMOUNT_CHARS}}", style=style)

    def _amount(self, minor: int) -> str:
        return money.to_text(minor, self._scene.currency)


def _command(command: str) -> Iterator[Text]:
    for number, line in enumerate(command.splitlines()):
        yield Text(f"   {' ' if number else '$'} {output.one_line(line)}", style="dim")


def _tax(it: scene_values.Tax) -> str:
    return f"{it.code} {order_receipt.percent(it.rate_ppm)}"
