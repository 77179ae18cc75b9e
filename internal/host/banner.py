"""What `scripts/start` prints once the engine takes orders. Must not print a key into a log."""

import json
import shlex

from rich.console import Console

from internal.host.demo_key import DemoKey
from internal.infra import settings
from internal.infra.data_folder import files

ROTATE = "souk merchants rotate-key demo"


def tell(console: Console, port: int, options: settings.Settings, key: DemoKey) -> None:
    """Print where everything is, and a first order to paste."""
    address = f"{options.intake.host}:{port}"
    console.print(f"[bold]Souk[/bold] takes orders on [bold]{address}[/bold] (gRPC)")
    if options.metrics.port:
        console.print(f"  metrics   http://{options.metrics.host}:{options.metrics.port}/metrics")
    for name, place in _places(options):
        console.print(f"  {name:9} {place}", markup=False)
    console.print(f"  logs      {options.log.file or options.storage.data_dir / files.LOG}")
    where = str(key.file) if key.text else f"not known here; {ROTATE}"
    console.print(f"  API key   {where}", markup=False)
    if key.is_new and console.is_terminal:
        console.print(f"            {key.text}", markup=False)
    console.print("\nTry it:\n")
    console.print(_example(address, key, tls=options.intake.tls_key_file is not None), markup=False)
    console.print("\nCtrl-C drains and stops.")


def _places(options: settings.Settings) -> list[tuple[str, object]]:
    if options.storage.engine == "embedded":
        return [("data", options.storage.data_dir / files.DATABASE)]
    database = f"{options.mysql.database} on {options.mysql.host}:{options.mysql.port}"
    topics = f"{options.pulsar.service_url} {options.pulsar.topic('*')}"
    return [("database", database), ("topics", topics)]


def _example(address: str, key: DemoKey, *, tls: bool) -> str:
    order = {
        "order_id": "my-first-order",
        "store_id": "berlin",
        "currency": "EUR",
        "lines": [{"sku": "COFFEE-250", "quantity_milli": 2000}],
        "tenders": [{"card": {"token": "tok_ok"}}],
    }
    body = json.dumps({"order": order, "wait_for": "WAIT_FOR_FINALIZED"})
    plain = "" if tls else "-plaintext "
    bearer = f"$(cat {shlex.quote(str(key.file))})" if key.text else "YOUR-KEY"
    return (
        f"grpcurl {plain}-H \"authorization: Bearer {bearer}\" -d '{body}'"
        f" {address} souk.v1.OrderService/SubmitOrder"
    )
