"""Authentication: merchants, their API keys, and the log of what operators did."""
