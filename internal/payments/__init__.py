"""Payments: tenders, attempts, and the gateways behind a port."""
