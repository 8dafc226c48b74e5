"""Wallets and the entries that balance them."""
