"""The logs that come with Tidegate: composed, no real traffic, with planted mistakes and their truth beside them."""

import json
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "data" / "audit"
LABEL: Final = "composed sample: no real traffic, the mistakes are planted"
FILES: Final = (
    "composed-litellm-spend-logs.jsonl",
    "composed-new-api-logs.csv",
    "composed-openrouter-activity.csv",
)


def sample_files() -> list[Path]:
    return [FOLDER / name for name in FILES]


def planted(name: str) -> dict[str, str]:
    """Of one of FILES: call id -> the cause that was planted; calls that are not named are right."""
    truth = json.loads((FOLDER / "composed-truth.json").read_text("utf-8"))
    return dict(truth[name])
