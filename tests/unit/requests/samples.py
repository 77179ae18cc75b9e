"""Requests for tests."""

from typing import Any

from internal.requests.messages import Request, RequestState, SubjectKind


def request(request_id: str = "r-1", **others: Any) -> Request:  # noqa: ANN401 - any field's value
    """Return a request that was answered."""
    values: dict[str, Any] = {
        "merchant_id": "m-1",
        "method": "CancelOrder",
        "request_id": request_id,
        "body_hash": "hash",
        "subject_kind": SubjectKind.ORDER,
        "subject": "o-1",
        "state": RequestState.DONE,
        "answer": '{"version":3}',
        "at_us": 1_000,
    }
    return Request(**(values | others))
