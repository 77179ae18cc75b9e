"""Refusals and the google.rpc.Status that each becomes."""

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2

from internal.api import status
from internal.kernel import errors


def test_codes_are_the_canonical_ones() -> None:
    for code in status.Code:
        assert code_pb2.Code.Value(code.name) == code
        assert grpc.StatusCode[code.name].value[0] == code


def test_the_error_info_comes_first_and_other_details_after_it() -> None:
    refused = status.Refused(
        status.Code.INVALID_ARGUMENT,
        "REASON",
        "text",
        {"order_id": "o-1"},
        violations=(("order.note", "is too long"),),
        retry_after_s=1.5,
    )
    proto = status.to_proto(refused)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for packed, detail in zip(proto.details, (info, bad, retry), strict=True):
        assert packed.Unpack(detail)
    assert (proto.code, proto.message) == (3, "text")
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "REASON",
        "souk.v1",
        {"order_id": "o-1"},
    )
    [violation] = bad.field_violations
    assert (violation.field, violation.description) == ("order.note", "is too long")
    assert retry.retry_delay.ToMilliseconds() == 1_500


@pytest.mark.parametrize(
    ("error", "code", "reason", "retry_after_s"),
    [
        (errors.InvalidMoney([("f", "w")]), "INVALID_ARGUMENT", "INVALID_MONEY", None),
        (errors.Overloaded("w", 2.5), "RESOURCE_EXHAUSTED", "BACKLOG_TOO_DEEP", 2.5),
        (errors.BusAway("w"), "UNAVAILABLE", "BROKER_UNAVAILABLE", 1.0),
        (errors.DatabaseAway("w"), "UNAVAILABLE", "DATABASE_UNAVAILABLE", 1.0),
        (errors.TooMuchAtOnce("w"), "UNAVAILABLE", "DATABASE_UNAVAILABLE", 1.0),
        (errors.GatewayAway("w"), "UNAVAILABLE", "TEMPORARILY_UNAVAILABLE", 1.0),
        (TimeoutError(), "DEADLINE_EXCEEDED", "OUTCOME_PENDING", 1.0),
        (KeyError("secret"), "INTERNAL", "INTERNAL_ERROR", None),
    ],
)
def test_any_error_has_its_refusal(
    error: Exception, code: str, reason: str, retry_after_s: float | None
) -> None:
    refused = status.of_error(error)
    assert (refused.code.name, refused.reason) == (code, reason)
    assert refused.retry_after_s == retry_after_s
    assert "secret" not in str(status.to_proto(refused))


def test_many_violations_are_cut_and_never_repeat_a_card_number() -> None:
    refused = status.invalid("R", [(f"f{n}", "4111111111111111" + "x" * 300) for n in range(30)])
    assert len(refused.violations) == status.VIOLATIONS_MAX
    assert refused.text.endswith("; and 27 more")
    assert "4111" not in refused.text + str(refused.violations)
    assert max(len(what) for _, what in refused.violations) <= status.DESCRIPTION_CHARS_MAX
    assert status.to_proto(refused).ByteSize() < 8 * 1024
