"""litellm's price map (MIT): one JSON file inside its wheel, read without importing or installing the package."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tidegate.catalog.source_fact import (
    SourceFact,
    SourceHours,
    SourcePrice,
    inherited,
    of_other_kind,
    rate_per_unit,
    tier_of,
    without_blanks,
)
from tidegate.core.errors import CatalogError
from tidegate.core.hours import HoursUnclear, parse_window

PACKAGE: Final = "litellm"
MEMBER: Final = "litellm/model_prices_and_context_window_backup.json"
CHAT_MODES: Final = frozenset({"chat", "responses"})
PIECES_BY_MODE: Final[Mapping[str, Mapping[str, str]]] = {  # mode -> ours -> theirs, USD by the piece
    "embedding": {},
    "image_generation": {"image": "output_cost_per_image"},
    "audio_transcription": {"audio_input_s": "input_cost_per_second"},
    "audio_speech": {"audio_output_s": "output_cost_per_second"},
    "rerank": {"request": "input_cost_per_query"},
}
DOWNLOAD_S: Final = 300
MEMBER_BYTES_MAX: Final = 64 * 1024 * 1024
FIELDS: Final = {  # ours -> theirs, USD per token; tiers append `_above_200k_tokens`
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_creation": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
    "cache_creation_1h": "cache_creation_input_token_cost_above_1hr",
    "audio_input": "input_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "video_input": "input_cost_per_video_token",
    "audio_cache_read": "cache_read_input_audio_token_cost",
    "image_cache_read": "cache_read_input_image_token_cost",
    "video_cache_read": "cache_read_input_video_token_cost",
    "audio_output": "output_cost_per_audio_token",
    "image_output": "output_cost_per_image_token",
    "video_output": "output_cost_per_video_token",
    "citation_output": "citation_cost_per_token",
    "request": "input_cost_per_request",
}
OFF_PEAK, HOURS = "off_peak_pricing", "hours_utc"
SEARCHES: Final = "search_context_cost_per_query"  # USD by size of what is found
BY_THE_PIECE = re.compile(
    r"output_cost_per_(image(?!_token)|audio_per|video_per|second)"
)  # no chat reply says how many
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")


def download_wheel(folder: Path) -> Path:
    """Fetch litellm's wheel into a folder with pip, as configured on this machine; nothing is installed.

    Raises CatalogError saying why it cannot be had.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", PACKAGE]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=DOWNLOAD_S)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "no message").strip().splitlines()[-1]
        raise CatalogError(f"the litellm wheel cannot be downloaded: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CatalogError(f"the litellm wheel cannot be downloaded: {error}") from error
    found = sorted(folder.glob("litellm-*.whl"))
    if not found:
        raise CatalogError("pip downloaded no litellm wheel")
    return found[-1]


def read_litellm(wheel: Path, providers: Mapping[str, str]) -> Iterator[SourceFact]:
    """Facts of a wheel's price map. providers: their provider label -> our slug; others are left out.

    Raises CatalogError where the file is not such a wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(MEMBER).file_size > MEMBER_BYTES_MAX:
                raise CatalogError(f"{wheel.name}: {MEMBER} exceeds {MEMBER_BYTES_MAX} bytes; is this a litellm wheel?")
            listed = json.loads(archive.read(MEMBER), parse_float=Decimal)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise CatalogError(f"{wheel} is no litellm wheel: {error}. Name one with --litellm-wheel.") from error
    source = f"{PACKAGE} {wheel.name.split('-')[1]}"
    for key, entry in listed.items():
        label = entry.get("litellm_provider", "")
        ours = providers.get(label, "")
        mode = entry.get("mode")
        if ours and (mode in CHAT_MODES or mode in PIECES_BY_MODE):
            prices = _prices(entry) if mode in CHAT_MODES else _other_prices(entry, PIECES_BY_MODE[mode])
            yield SourceFact(
                source=source,
                provider=ours,
                name=key.removeprefix(f"{label}/").removeprefix(f"{ours}/"),
                prices=prices,
                note=_note(entry, prices),
                context_tokens=_count(entry.get("max_input_tokens")),
                is_reasoning=True if entry.get("supports_reasoning") else None,
                is_other=mode not in CHAT_MODES,
            )


def _prices(entry: dict[str, Any]) -> tuple[SourcePrice, ...]:
    if FIELDS["input"] not in entry or FIELDS["output"] not in entry or _is_by_the_piece(entry):
        return ()
    bounds = sorted(int(match[1]) for key in entry if (match := _ABOVE.fullmatch(key)))
    base = _rates(entry, "") | _searches(entry)
    above = (inherited(base) | _rates(entry, f"_above_{bound}k_tokens") for bound in bounds)
    tiers = (tier_of(b * 1000, r) for b, r in zip((0, *bounds), (base, *above), strict=True))
    return (SourcePrice(valid_from="", tiers=tuple(tiers), windows=_windows(entry, base)),)


def _windows(entry: dict[str, Any], base: Mapping[str, int]) -> tuple[SourceHours, ...]:
    """Hours of the day (UTC) at which rates are lower; none where the schedule says more than hours of a day."""
    lower = entry.get(OFF_PEAK)
    if not isinstance(lower, dict) or lower.keys() - {HOURS, *FIELDS.values()}:
        return ()
    said = lower.get(HOURS, ())
    ranges = [said] if isinstance(said, str) else list(said)
    hours = " ".join("00:00-24:00" if one[:5] == one[6:] else one for one in ranges)
    try:
        parse_window(hours)
    except HoursUnclear:
        return ()
    return (SourceHours(hours=hours, tiers=(tier_of(0, {**base, **_rates(lower, "")}),)),)


def _note(entry: dict[str, Any], prices: Sequence[SourcePrice]) -> str:
    """What is said of hours and could not be read."""
    return "its off-peak hours cannot be read" if OFF_PEAK in entry and prices and not prices[-1].windows else ""


def _other_prices(entry: dict[str, Any], pieces: Mapping[str, str]) -> tuple[SourcePrice, ...]:
    """Of what is no chat. One whose price depends on the number of its tokens is left out: it is none of these."""
    if any(map(_ABOVE.fullmatch, entry)):
        return ()
    by_piece = {ours: rate_per_unit(Decimal(entry[theirs])) for ours, theirs in pieces.items() if entry.get(theirs)}
    rates = of_other_kind({name: rate for name, rate in _rates(entry, "").items() if rate} | by_piece)
    return () if rates is None else (SourcePrice(valid_from="", tiers=(tier_of(0, rates),)),)


def _is_by_the_piece(entry: dict[str, Any]) -> bool:
    """Pictures or films have a price, and none by the token."""
    by_token = FIELDS["image_output"] in entry or FIELDS["video_output"] in entry
    return not by_token and any(map(BY_THE_PIECE.match, entry))


def _rates(entry: dict[str, Any], suffix: str) -> dict[str, int]:
    stated = {ours: entry.get(theirs + suffix) for ours, theirs in FIELDS.items()}
    rates = {ours: rate_per_unit(Decimal(value)) for ours, value in stated.items() if value is not None}
    return without_blanks(rates, is_paid=bool(entry.get(FIELDS["input"])))


def _searches(entry: dict[str, Any]) -> dict[str, int]:
    """What a web search costs, where that does not depend on its size, which no usage report says."""
    costs = set((entry.get(SEARCHES) or {}).values())
    return {"web_search": rate_per_unit(Decimal(costs.pop()))} if len(costs) == 1 and any(costs) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
