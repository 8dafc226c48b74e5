"""Bytes that nobody should send, and what becomes of them."""
