"""The names of private values, and the form of the references in them."""

from internal.privacy import messages
from internal.privacy.messages import NOTHING, Private


def test_every_value_has_a_name_and_nothing_empty_has_a_row() -> None:
    private = Private("ring twice", {"t1": "tok_1", "t2": ""}, "+49 30 1")
    values = messages.values_of(private)
    assert values == {"note": "ring twice", "contact": "+49 30 1", "token:t1": "tok_1"}
    assert messages.tokens_in(values) == {"t1": "tok_1"}
    assert messages.values_of(NOTHING) == {}


def test_the_reference_of_a_tender_has_the_form_of_an_id() -> None:
    assert NOTHING.flaw() == Private(tokens={"t1": "any text"}).flaw() == ""
    assert Private(tokens={"t1": "a", "t 2": "b"}).flaw() == "tender_ref: 't 2' is not an id"


def test_reasons_are_found_by_their_requests() -> None:
    values = {messages.reason_name("c:1"): "ill", "note": "ring twice", "token:c": "tok"}
    assert messages.reasons_in(values) == {"c:1": "ill"}
