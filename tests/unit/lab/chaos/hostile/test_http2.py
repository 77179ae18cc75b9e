"""Frames and headers of the hostile client; the integration tests hold it against a real server."""

from hypothesis import given
from hypothesis import strategies as st

from internal.lab.chaos.hostile import http2

NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=300)


@given(st.dictionaries(NAMES, st.text(max_size=20_000), max_size=5))
def test_headers_survive(headers: dict[str, str]) -> None:
    read = http2.decoded(http2.encoded(list(headers.items())))
    assert read == {name: value.encode() for name, value in headers.items()}


@given(st.binary(max_size=70_000))
def test_a_frame_tells_its_size(payload: bytes) -> None:
    made = http2.frame(http2.DATA, http2.END_STREAM, 7, payload)
    assert int.from_bytes(made[:3]) == len(payload)
    assert made[3:5] == bytes([http2.DATA, http2.END_STREAM])
    assert made[9:] == payload
