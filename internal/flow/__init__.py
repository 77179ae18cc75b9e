"""The flow of facts: which stage reads which topic, which facts there are, who drives late ones."""
