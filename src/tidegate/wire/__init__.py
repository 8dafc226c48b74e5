"""Dialects: bytes to core values and back. Pure: no sockets, no clocks."""
