"""`scripts/bench full` on a real stack: it measures, verifies, and leaves it as it was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from internal.deploy import deploy
from internal.flow import topics
from internal.infra.pulsar_bus import admin
from tests.support import stack as stacks

ROOT = Path(__file__).parents[2]
BENCH_S = 300


@pytest.mark.slow
async def test_drain_is_measured_in_both_kinds_of_messages(stack: stacks.Running) -> None:
    options = stack.settings
    deployed = await deploy.deploy(options, 1)
    assert [it.problem for it in deployed] == [""] * len(topics.STAGES)
    command = [sys.executable, str(ROOT / "cmd" / "bench.py"), "full", "--dir", str(stack.folder)]
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [*command, "--only", "full_drain", "--orders", "300"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BENCH_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = {it["metric"]: it for it in map(json.loads, ended.stdout.splitlines())}
    assert found["orders_per_s"]["must"] == 3_000
    assert found["orders_per_s"]["value"] > 0
    assert found["orders_per_message"]["value"] > 1
    assert found["orders_per_s_single_messages"]["value"] > 0
    assert found["cpu_s_per_1000_orders_database"]["value"] > 0
    assert "full_drain" in ended.stderr
    async with admin.PulsarAdmin(options.pulsar) as api:
        for stage in topics.STAGES:
            for topic in stage.topics:
                stats = await api.topic_stats(topic)
                assert stats is not None
                assert set(stats["subscriptions"]) == {stage.subscription}
                assert stats["subscriptions"][stage.subscription]["msgBacklog"] == 0
