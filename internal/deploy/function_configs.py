"""What the functions worker is told of each function, derived from the flow; and the files of it.

The fields are those of Pulsar's FunctionConfig. What is left out matters as much: no output topic
(a stage publishes by itself, keyed), no log topic, no dead-letter topic and no retries (the runtime
ignores or refuses them for Python), no resources (they bind nothing in the process runtime).
"""

from pathlib import Path
from typing import Any

import yaml

from internal.flow import topics
from internal.infra import settings
from internal.pipeline import handler

FOLDER = Path("configs", "functions")
RECEIVER_QUEUE_MESSAGES = 1_000
"""What an instance has waiting at hand: some batches. More would only be taken from the others."""
SERDE = "internal.pipeline.function.Bytes"
"""Messages stay as they are; the runtime's own way guesses numbers in them."""
HEADER = """\
# Written by scripts/deploy_functions --write-configs from internal/flow/topics.py: change that.
# scripts/deploy_functions deploys it; by hand:
#   pulsar-admin functions create --function-config-file {file} --py souk-….whl
"""

Config = dict[str, Any]


def config_of(
    stage: handler.Stage, options: settings.PulsarSettings, parallelism: int = 1
) -> Config:
    """Return a stage's FunctionConfig."""
    return {
        "tenant": options.tenant,
        "namespace": options.namespace,
        "name": str(stage.name),
        "className": class_of(stage),
        "runtime": "PYTHON",
        "inputSpecs": {
            options.topic(stage.topic): {
                "serdeClassName": SERDE,
                "receiverQueueSize": RECEIVER_QUEUE_MESSAGES,
            }
        },
        # A redeployed function goes on where it was: always the same subscription, ...
        "subName": str(stage.subscription),
        # ... which would otherwise begin with what is sent after the first start, ...
        "subscriptionPosition": "Earliest",
        # ... and would be deleted with the function, backlog and all.
        "cleanupSubscription": False,
        # Key_Shared: an order's messages stay in order, whatever the parallelism.
        "retainKeyOrdering": True,
        # The stage acknowledges when an order is recorded and sent on.
        "processingGuarantees": "MANUAL",
        "autoAck": False,
        "parallelism": parallelism,
    }


def class_of(stage: handler.Stage) -> str:
    """Name a stage's class: functions.order_processing.OrderProcessing."""
    camel = "".join(word.capitalize() for word in stage.name.split("_"))
    return f"functions.{stage.name}.{camel}"


def files() -> dict[str, str]:
    """Return {file name: text} of the configurations in the usual tenant and namespace."""
    options = settings.PulsarSettings()
    return {f"{stage.name}.yaml": _text(stage, options) for stage in topics.STAGES}


def write_files(folder: Path) -> list[Path]:
    """Write the configurations; return the files that were not so before."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in files().items():
        file = folder / name
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)
            changed.append(file)
    return changed


def _text(stage: handler.Stage, options: settings.PulsarSettings) -> str:
    header = HEADER.format(file=FOLDER / f"{stage.name}.yaml")
    return header + yaml.safe_dump(config_of(stage, options), sort_keys=False)
