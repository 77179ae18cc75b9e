"""A minute of a world's metrics, and the alerts that Prometheus raises at its end.

The metrics are those that a world really set; promtool evaluates the rules on them.
"""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import prometheus_client
import pytest
import yaml

from internal.flow import lookout, monitor, topics
from internal.infra import metrics
from internal.infra.data_folder import space
from internal.kernel.clock import US_PER_SECOND
from tests.support import shop
from tests.support.pipeline_fixture import World

RULES = Path(__file__).resolve().parents[2] / "configs" / "prometheus" / "alerts.yml"
SCRAPE_S = 10
"""As in prometheus.yml."""
MINUTE_S = 60
FIRING = 'max by (alertname, stage, who) (ALERTS{alertstate="firing"})'


class Minute:
    """Order by order, a world's first minute, scraped at its beginning and every 10 s."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._monitor = monitor.Monitor(world.database, world.clock)
        self._lookout = lookout.Lookout(world.bus, [self._monitor], SCRAPE_S)
        space.measure(world.folder)
        self._scraped = [_scrape()]

    async def pass_by(self, *, drained: bool) -> None:
        """Place an order a second; with `drained` each has ended before the next comes."""
        for second in range(1, MINUTE_S + 1):
            self._world.clock.advance_us(US_PER_SECOND)
            order = shop.placed(f"at-{second}")
            await self._world.publish(
                msgspec.structs.replace(order, placed_at_us=self._world.clock.now_us())
            )
            if drained:
                await self._world.drain()
            if second % SCRAPE_S == 0:
                await self._look()

    async def _look(self) -> None:
        await self._lookout.look()
        await self._monitor.look_at_orders()
        self._monitor.tell()
        self._scraped.append(_scrape())

    def series(self) -> list[dict[str, str]]:
        """Return what was scraped, as promtool reads it."""
        names = sorted({name for scrape in self._scraped for name in scrape})
        return [
            {"series": name, "values": " ".join(scrape.get(name, "_") for scrape in self._scraped)}
            for name in names
        ]


def assert_firing(minute: Minute, folder: Path, expected: dict[str, str]) -> None:
    """Fail unless exactly these alerts, {name: stage}, fire when the minute is over."""
    promtool = shutil.which("promtool")
    if promtool is None:
        assert "CI" not in os.environ, "promtool is missing: see .ci/run"
        pytest.skip("promtool is not installed (on Debian: apt-get install prometheus)")
    samples = [
        {"labels": f'{{alertname="{name}", stage="{stage}"}}', "value": 1}
        for name, stage in sorted(expected.items())
    ]
    asked = {"expr": FIRING, "eval_time": f"{MINUTE_S}s", "exp_samples": samples}
    test = {
        "interval": f"{SCRAPE_S}s",
        "input_series": minute.series(),
        "promql_expr_test": [asked],
    }
    file = folder / "minute.yml"
    rules = {"rule_files": [str(RULES)], "evaluation_interval": f"{SCRAPE_S}s", "tests": [test]}
    file.write_text(yaml.safe_dump(rules))
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stdout + done.stderr


def reset() -> None:
    """Forget the gauges of another world."""
    for stage in topics.STAGES:
        metrics.OLDEST_MESSAGE_SECONDS.labels(stage.name).set(0)
        metrics.BACKLOG_MESSAGES.labels(stage.name).set(0)
    metrics.OLDEST_UNFINISHED_SECONDS.set(0)
    metrics.OLDEST_EVENT_SECONDS.set(0)


def _scrape() -> dict[str, str]:
    return {
        _name_of(sample.name, sample.labels): repr(float(sample.value))
        for family in prometheus_client.REGISTRY.collect()
        for sample in family.samples
        if sample.name.startswith("souk_")
    }


def _name_of(name: str, labels: dict[str, str]) -> str:
    said = ", ".join(f'{k}="{v}"' for k, v in {**labels, "job": "souk"}.items())
    return f"{name}{{{said}}}"
