"""Small shops to order from."""

from internal.lab.workload import shop


def small(items: int = 20) -> shop.Shop:
    """Return a shop with plentiful products, a scarce one and a discontinued one."""
    plenty = tuple(shop.Item(f"sku-{number}", 100 + number) for number in range(items))
    rare = (shop.Item("rare", 500, scarce=True), shop.Item("gone", 500, active=False))
    return shop.Shop("EUR", ("berlin", "lisbon"), (*plenty, *rare))
