"""The corpus: requests and replies on the edge of HTTP as data, each with its one verdict."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "data"


def corpus(name: str) -> dict[str, dict[str, Any]]:
    """The entries of `data/NAME.yml`, `sent` as bytes."""
    entries = yaml.safe_load((FOLDER / f"{name}.yml").read_text("ascii"))
    for entry in entries.values():
        text, times = entry.get("fill", ("", 0))
        entry["sent"] = entry["sent"].replace("<fill>", text * times).encode("latin-1")
    return entries


def cuts(data: bytes, *, is_long: bool = False) -> list[list[bytes]]:
    """The same bytes whole (unless long), byte by byte where they are few, and in pieces of other sizes."""
    sizes = [1, 3, 7, 64] if len(data) < 3000 else [1000, 4096, 30_000]
    whole = [] if is_long else [[data]]
    return whole + [[data[i : i + size] for i in range(0, len(data), size)] for size in sizes]
