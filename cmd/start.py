"""Starts the embedded engine: migrates, seeds the demo shop, serves until Ctrl-C, drains.

See scripts/start.
"""

from pathlib import Path

from internal.admin import demo_shop
from internal.host import start

if __name__ == "__main__":
    start.run(demo_shop.seed, Path(__file__).with_name("demo.py"))
