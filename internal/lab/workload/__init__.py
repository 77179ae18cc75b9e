"""Orders, clients and measurements that all instruments share."""
