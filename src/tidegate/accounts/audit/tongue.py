"""The language that an audit is told in: English, or Chinese by `data/audit/zh.yml`.

Texts stand in the code in English; `say` looks them up. Evidence (`why`) and notes stay English: they quote the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from tidegate.accounts.audit.finding import CAUSES, Cause

LANGUAGES: Final = ("en", "zh")


class Tongue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A language. words: English text to its own, with the same names in braces. causes: (title, text) by cause."""

    words: dict[str, str] = {}
    causes: dict[str, tuple[str, str]] = {}


_ENGLISH: Final = Tongue()
_spoken: ContextVar[Tongue] = ContextVar("spoken", default=_ENGLISH)


@cache
def read_tongue(language: str) -> Tongue:
    """One of LANGUAGES."""
    if language == "en":
        return _ENGLISH
    text = resources.files("tidegate.data").joinpath(f"audit/{language}.yml").read_bytes()
    return msgspec.yaml.decode(text, type=Tongue)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Within this, audits are told in that language."""
    token = _spoken.set(read_tongue(language))
    try:
        yield
    finally:
        _spoken.reset(token)


def say(text: str, **values: object) -> str:
    """A text in the language spoken now; in English where that has no word for it."""
    found = _spoken.get().words.get(text, text)
    return found.format(**values) if values else found


def cause(name: str) -> Cause:
    """A cause in the language spoken now."""
    found = _spoken.get().causes.get(name)
    return Cause(*found) if found else CAUSES[name]


def language_tag() -> str:
    return "en" if _spoken.get() is _ENGLISH else "zh-CN"
