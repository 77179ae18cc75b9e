"""The flow as one table, and the six steps every stage takes."""
