"""Tidegate: the honest meter for LLM tokens."""

__version__ = "0.1.0"
