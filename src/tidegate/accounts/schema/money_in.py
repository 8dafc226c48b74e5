"""Vouchers, top-ups, exchange rates, and group prices."""
