"""The limits that one caller meets for the sake of the others: calls, connections, shares."""
