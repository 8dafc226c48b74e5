"""What a construction step raises when the numbers do not allow it."""

from tidegate.core.errors import TidegateError


class MethodRefused(TidegateError):
    """A step of the index cannot be taken on these numbers; the text names the value and what to do instead."""
