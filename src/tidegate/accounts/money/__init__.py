"""Money that comes in: vouchers, top-ups, exchange rates; and what tenants are charged: price groups."""
