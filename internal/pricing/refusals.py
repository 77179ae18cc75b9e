"""Makes the refusals of pricing. Pure; must not decide anything."""

from internal.pricing import messages


def of_order(reason: messages.RefusalReason, explanation: str) -> messages.Refusal:
    """Return a refusal of the whole order."""
    return messages.Refusal(reason=reason, explanation=explanation)


def of_line(
    reason: messages.RefusalReason, line_no: int, wanted: messages.WantedLine, what: str
) -> messages.Refusal:
    """Return a refusal that names a line."""
    return of_order(reason, f"line {line_no} ({wanted.sku}): {what}")
