"""ghz reads serialized requests, the key is not on its command line, and its report is parsed."""

import io
import json
import stat
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, proto

from internal.client.access import Access
from internal.kernel import errors
from internal.lab.bench import ghz
from internal.wire.souk.v1 import order_service_pb2

REPORT = {
    "total": 2_000_000_000,
    "statusCodeDistribution": {"OK": 7, "Unavailable": 1},
    "latencyDistribution": [{"percentage": 50, "latency": 3_000_000}],
    "rps": 4,
}


def calls(*requests: bytes) -> ghz.Calls:
    access = Access("127.0.0.1:1", "souk_secret")
    declared = order_service_pb2.DESCRIPTOR
    return ghz.Calls(access, declared, "souk.v1.OrderService/SubmitOrder", requests, 2, 64)


def program(folder: Path, script: str) -> Path:
    file = folder / "program"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(stat.S_IRWXU)
    return file


@pytest.mark.parametrize("length", [0, 1, 127, 128, 300, 65_535, 1_000_000])
def test_lengths_are_written_as_protocol_buffers_do(length: int) -> None:
    value = descriptor_pb2.UninterpretedOption(string_value=b"x" * length)
    wanted = io.BytesIO()
    proto.serialize_length_prefixed(value, wanted)
    assert ghz.varint(value.ByteSize()) + value.SerializeToString() == wanted.getvalue()


async def test_report_is_read(tmp_path: Path) -> None:
    spoken = f"""
    for word; do case "$word" in --output=*) out="${{word#--output=}}";; esac; done
    echo "$@" > {tmp_path}/said
    echo '{json.dumps(REPORT)}' > "$out"
    """
    report, _ = await ghz.run(program(tmp_path, spoken), calls(b"one", b"other"), tmp_path)
    assert (report.answered_ok, report.seconds) == (7, 2.0)
    assert (report.percentile_ms(50), report.percentile_ms(99)) == (3.0, 0.0)
    assert (tmp_path / "requests.bin").read_bytes() == b"\x03one\x05other"
    said = (tmp_path / "said").read_text()
    assert "--concurrency=64" in said
    assert "souk_secret" not in said
    assert "souk_secret" in (tmp_path / "metadata.json").read_text()
    assert stat.S_IMODE((tmp_path / "metadata.json").stat().st_mode) == 0o600


async def test_everything_that_the_method_needs_is_declared(tmp_path: Path) -> None:
    with pytest.raises(errors.Temporary, match="ghz failed: no such method"):
        await ghz.run(program(tmp_path, "echo no such method; exit 1"), calls(b""), tmp_path)
    declared = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "protoset.bin").read_bytes())
    known: set[str] = set()
    for file in declared.file:
        assert known.issuperset(file.dependency)
        known.add(file.name)
    assert "souk/v1/order_service.proto" in known
