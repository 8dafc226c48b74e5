"""Quotas, their windows, and what each worker holds of them."""
