"""Settings of prices: what an operator writes of what a call costs, part of `tidegate.config`."""

from typing import Annotated

import msgspec
from msgspec import Meta


def _help(text: str) -> Meta:
    return Meta(description=text)


class RatesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Per million units, as text: "0.15"."""

    input: Annotated[str, _help("per million input tokens")]
    output: Annotated[str, _help("per million output tokens")]
    cache_read: Annotated[str | None, _help("per million cached input tokens; default: as input")] = None
    cache_creation: Annotated[str | None, _help("per million input tokens written to the cache; default: as input")] = (
        None
    )
    reasoning: Annotated[str | None, _help("per million reasoning tokens; default: as output")] = None
    request: Annotated[str | None, _help("per million requests")] = None
    more: Annotated[
        dict[str, str],
        _help(
            'other rates, e.g. `{ cache_creation_1h = "6", audio_input = "40", web_search = "10000" }`; their names: '
            "`tidegate catalog prices MODEL --format json` and `docs/reference/usage.md`"
        ),
    ] = {}


class WindowConfig(RatesConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates that hold at some hours, in the price's currency: all of them, what is left out here is not the price's."""

    hours: Annotated[
        str,
        _help(
            "when: `16:30-00:30`, `mon-fri 09:00-12:00 14:00-18:00 Asia/Shanghai`; also `from DAY`, `until DAY`, "
            "`except DAY`, and `completed` where the end of a call counts, not its begin"
        ),
    ]


class PriceConfig(RatesConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million units, as text: "0.15". A free model says "0"; an absent price is an error, never zero."""

    currency: Annotated[str, _help("of these rates; others than USD are converted at the day's dated rate")] = "USD"
    windows: Annotated[
        tuple[WindowConfig, ...], _help("hours at which it is another; where two overlap the first counts")
    ] = ()
