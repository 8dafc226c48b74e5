"""Whether an answer is as a JSON schema has it.

The schema is the caller's, so it may say anything: what it cannot be held to in a bounded number of steps, or at all,
is unknown (None), nothing is fetched for it, and its regular expressions are not run: they could hold up a worker.
"""

import functools
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Final

import msgspec

from tidegate.core.errors import ConfigError

PACKAGE: Final = "jsonschema"
SCHEMA_BYTES_MAX: Final = 256 * 1024
TEXT_CHARS_MAX: Final = 1024 * 1024
STEPS_MAX: Final = 20_000  # keywords looked at for one answer: about a tenth of a second
UNIQUE_ITEMS_MAX: Final = 500  # compared with one another; of a longer list nobody says that they are unique
NOT_HELD: Final = ("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)

Fit = Callable[[bytes, str], bool | None]


class _TooMuch(Exception):
    """More steps than one answer is worth."""


class _Steps:
    left = 0


def check_installed(where: str) -> None:
    """Raises ConfigError where the package that reads schemas is missing."""
    if find_spec(PACKAGE) is None:
        raise ConfigError(
            f"{where}: `schema` needs the package {PACKAGE}; install it with `pip install 'tidegate[ladders]'`, "
            "or leave `schema` out of escalate_on"
        )


def parsed(text: str) -> tuple[bool, Any]:
    """Whether a text is JSON, and its value."""
    try:
        return True, msgspec.json.decode(text)
    except _UNREADABLE:
        return False, None


def fits(schema: bytes, text: str) -> bool | None:
    """Whether `text` is JSON as `schema` has it; an empty schema asks for any JSON. None: nobody can tell."""
    if len(schema) > SCHEMA_BYTES_MAX or len(text) > TEXT_CHARS_MAX:
        return None
    is_json, value = parsed(text)
    if not is_json:
        return False
    if not schema:
        return True
    try:
        rules = msgspec.json.decode(schema)
    except _UNREADABLE:
        return None
    _Steps.left = STEPS_MAX
    try:
        return bool(_validator()(rules).is_valid(value))
    except Exception:  # noqa: BLE001 - a caller's schema may be nonsense in any way; such a one is held against nobody
        return None


@functools.lru_cache(maxsize=1)
def _validator() -> Callable[[Any], Any]:
    """Makes a validator of a schema; imported when the first answer is held to one."""
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    base: Any = Draft202012Validator
    rules = {name: _counted(rule) for name, rule in base.VALIDATORS.items() if name not in NOT_HELD}
    rules |= dict.fromkeys(NOT_HELD, _held)
    rules["additionalProperties"] = _counted(_unless_patterns(base.VALIDATORS["additionalProperties"]))
    rules["uniqueItems"] = _counted(_if_short(base.VALIDATORS["uniqueItems"]))
    made: Any = validators.extend(base, rules)
    empty: Any = Registry()
    return lambda schema: made(schema, registry=empty)


def _counted(rule: Any) -> Any:
    def run(*given: Any) -> Any:
        _Steps.left -= 1
        if _Steps.left < 0:
            raise _TooMuch
        return rule(*given)

    return run


def _held(*_: Any) -> Iterator[Any]:
    return iter(())


def _unless_patterns(rule: Any) -> Any:
    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        return iter(()) if "patternProperties" in schema else rule(validator, value, instance, schema)

    return run


def _if_short(rule: Any) -> Any:
    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        is_long = isinstance(instance, list) and len(instance) > UNIQUE_ITEMS_MAX
        return iter(()) if is_long else rule(validator, value, instance, schema)

    return run
