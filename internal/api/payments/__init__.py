"""The methods of souk.v1.PaymentService."""
