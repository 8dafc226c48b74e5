"""What accounts refuse, so that a caller can tell the kinds apart: an API makes 404, 409 and 422 of them."""

from tidegate.core.errors import AccountsError


class AccountNotFound(AccountsError):
    """Nothing of that id or name; the text says where to look."""


class AccountExists(AccountsError):
    """The id, name or secret is taken."""


class AccountInvalid(AccountsError, ValueError):
    """A field that cannot be; the text says what is accepted."""
