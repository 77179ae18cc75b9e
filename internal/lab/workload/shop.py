"""The shop that a run orders from: its products, its stores, and which products are scarce.

Orders are made from this alone; the caller of a run hands it in. Does not depend on the database or
the demo shop, so that a run works against any shop whose products are in a file.
"""

from pathlib import Path

import msgspec

from internal.kernel import errors


class Item(msgspec.Struct, frozen=True):
    """A product. `price_minor` is in the shop's currency."""

    sku: str
    price_minor: int
    active: bool = True
    scarce: bool = False
    """A run uses up its stock."""


class Shop(msgspec.Struct, frozen=True):
    """One merchant's shop: stores of one currency, and their products."""

    currency: str
    store_ids: tuple[str, ...]
    items: tuple[Item, ...]

    @property
    def plenty(self) -> tuple[Item, ...]:
        """Products with enough stock for any run."""
        return tuple(i for i in self.items if i.active and not i.scarce and i.price_minor > 0)

    @property
    def scarce(self) -> tuple[Item, ...]:
        """Products that run out."""
        return tuple(i for i in self.items if i.active and i.scarce)

    @property
    def inactive(self) -> tuple[Item, ...]:
        """Products that are no longer sold."""
        return tuple(i for i in self.items if not i.active)


def read(path: Path) -> Shop:
    """Read a shop from a JSON file.

    Raises:
        Misconfigured: the file cannot be read, or does not contain a shop.
    """
    try:
        sells = msgspec.json.decode(path.read_bytes(), type=Shop)
    except OSError as error:
        raise errors.Misconfigured(f"{path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise errors.Misconfigured(f"{path} does not contain a shop: {error}") from error
    return checked(sells, str(path))


def checked(sells: Shop, where: str) -> Shop:
    """Return the shop if a run can order from it.

    Raises:
        Misconfigured: it has no store, or no product with enough stock.
    """
    if not sells.store_ids or not sells.plenty:
        raise errors.Misconfigured(f"{where} has no store, or no product with enough stock")
    return sells
