"""A statement as JSON: the fields of `Statement`, and totals in the other currency where there is one."""

import msgspec

from tidegate.accounts.books.statement import Statement


def json_text(found: Statement) -> str:
    """Amounts are integers of nano-USD; those of `other_currency` decimal text of that currency."""
    fields = msgspec.to_builtins(found)
    rate = fields.pop("rate")
    if found.rate is not None:
        totals = ("opening", "credited", "charged", "closing")
        fields["other_currency"] = {
            "currency": rate["currency"],
            "day": rate["day"],
            "source": rate["source"],
            **{name: str(found.worth(getattr(found, f"{name}_nano_usd"))) for name in totals},
        }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n"
