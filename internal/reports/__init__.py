"""Read models across rooms: the order view and the invariants."""
