"""Who is asking: merchants and their API keys."""
