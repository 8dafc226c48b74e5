"""Any provider's table, by a mapping file that says which of its columns is which of ours.

columns:                      # day, model, and any of the counts of `day.py`
  day: Date
  model: Model
  input_tokens: Prompt tokens
  output_tokens: Completion tokens
  cost: {from: Amount, unit: usd}      # usd (default), cent or nano_usd
input_excludes: [cache_read_tokens, cache_write_tokens]   # parts that their input leaves out; default: none
"""

from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from tidegate.accounts.reconcile.day import COUNTS, DayUse
from tidegate.core.errors import LedgerError
from tidegate.ledger.imports.records import Fields
from tidegate.ledger.imports.values import Unusable, as_number, as_time_us

_NANO: Final = {"usd": 1_000_000_000, "cent": 10_000_000, "nano_usd": 1}
COLUMNS: Final = ("day", "model", "cost", *(name for name in COUNTS if name != "cost_nano_usd"))


class From(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of their columns, and the unit of an amount."""

    column: str = msgspec.field(name="from")
    unit: Literal["usd", "cent", "nano_usd"] = "usd"


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file, as the module says."""

    columns: dict[str, str | From]
    input_excludes: tuple[Literal["cache_read_tokens", "cache_write_tokens"], ...] = ()

    def read(self, fields: Fields) -> tuple[int, str, DayUse] | None:
        """One record. Raises Unusable."""
        day, model = fields.value(self._name("day")), fields.text(self._name("model"))
        if day is None or model is None:
            raise Unusable("day or model is missing")
        counts = {
            name: fields.count(self._name(name)) for name in COLUMNS if name in self.columns and name not in _PLAIN
        }
        if "input_tokens" in counts:
            counts["input_tokens"] = (counts["input_tokens"] or 0) + sum(
                counts.get(name) or 0 for name in self.input_excludes
            )
        amount = fields.value(self._name("cost")) if "cost" in self.columns else None
        given = self.columns.get("cost")
        unit = given.unit if isinstance(given, From) else "usd"
        cost = None if amount is None else round(as_number("cost", amount) * _NANO[unit])
        use = msgspec.structs.replace(DayUse(cost_nano_usd=cost), **counts)
        return as_time_us("day", day)[0], model, use

    def _name(self, ours: str) -> str:
        given = self.columns[ours]
        return given.column if isinstance(given, From) else given


_PLAIN: Final = frozenset({"day", "model", "cost"})


def read_mapping(file: Path) -> Mapping:
    """Read and check a mapping file. Raises LedgerError naming what it has and what it may have."""
    import yaml

    try:
        found: object = yaml.safe_load(file.read_text("utf-8"))
        mapping = msgspec.convert(found, Mapping)
    except OSError as error:
        raise LedgerError(f"mapping {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LedgerError(f"mapping {file} is not YAML: {str(error).splitlines()[0]}") from error
    except msgspec.ValidationError as error:
        raise LedgerError(f"mapping {file}: {error}") from error
    columns: AnyMapping[str, object] = mapping.columns
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown or not {"day", "model"} <= set(columns):
        said = f"{unknown[0]!r} is none of ours" if unknown else "day and model must be named"
        raise LedgerError(f"mapping {file}: {said}; columns are {', '.join(COLUMNS)}")
    return mapping
