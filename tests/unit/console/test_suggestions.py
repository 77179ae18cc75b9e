"""Suggestions for a typo."""

from internal.console import suggestions


def test_few_names_are_all_listed() -> None:
    text = suggestions.unknown("store", "berln", ["berlin", "lisbon"])
    assert text == "there is no store 'berln'; there are berlin, lisbon"


def test_of_many_names_similar_ones_are_listed() -> None:
    known = [f"COFFEE-{number}" for number in range(100, 200)]
    text = suggestions.unknown("product", "COFFE-150", known)
    assert "COFFEE-150" in text
    assert "COFFEE-199" not in text


def test_without_similar_names_the_first_are_listed() -> None:
    known = [f"COFFEE-{number}" for number in range(100, 200)]
    assert suggestions.unknown("product", "x", known).endswith("COFFEE-111 and 88 more")


def test_no_names_at_all() -> None:
    assert suggestions.unknown("merchant", "m", []) == "there is no merchant 'm', nor any other"
