"""Starts the embedded engine: migrates, seeds the demo shop, serves until Ctrl-C, drains.

See scripts/start.
"""

from pathlib import Path

from internal.host import start
from internal.seeds import demo_shop

if __name__ == "__main__":
    start.run(demo_shop.seed, Path(__file__).with_name("demo.py"))
