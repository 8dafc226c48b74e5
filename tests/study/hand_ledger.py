"""A ledger of some hundred calls written out by rule, and naive sums over its rows: what figures are held against.

Four whole Monday weeks (2026-03-02 to 2026-03-29). Every row is a `Row` in ROWS, so a test can loop over them. Numbers
are small and uneven on purpose; nothing in here calls the code under test.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tidegate.core.ids import generation_id
from tidegate.core.row import Row, TaskTag
from tidegate.ledger.store import Ledger

FIRST = dt.date(2026, 3, 2)
DAYS = 28
WEEKS = [FIRST + dt.timedelta(weeks=number) for number in range(4)]

# model, variant, input, output, reasoning (None: not counted), cost in nano-USD
CALLS: list[tuple[str, str, int, int, int | None, int]] = [
    ("deepseek/deepseek-r1", "", 900, 300, 200, 700_000),  # open, CN, reasoning
    ("deepseek/deepseek-chat-v3-0324", "", 1_500, 200, 0, 310_000),  # open, CN
    ("meta-llama/llama-3.3-70b-instruct", "", 400, 100, None, 52_000),  # open, US, exactly 70 billion
    ("mistralai/mistral-nemo", "free", 250, 50, None, 0),  # open, FR, 12 billion, free
    ("anthropic/claude-sonnet-4", "", 8_000, 500, 100, 31_500_000),  # closed, US, reasoning
    ("openai/gpt-4o-mini", "", 600, 150, None, 180_000),  # closed, US
    ("openrouter/horizon-alpha", "", 300, 80, None, 0),  # cloaked
    ("stranger/unheard-of", "", 120, 30, None, 9_000),  # nobody knows
]
TENANTS = ["acme", "bolt", "cove"]  # the first makes five calls of seven
COUNTRIES = [("US", "US"), ("DE", "DE"), ("SG", "CN"), (None, "FR")]
APPS = ["editor", "chat", None]
LANGUAGES = ["en", "en", "zh-Hans", "ru"]
TAGS = [
    [TaskTag(path="/Computers & Electronics/Programming", confidence_ppm=900_000)],
    [
        TaskTag(path="/Computers & Electronics/Programming/Development Tools", confidence_ppm=800_000),
        TaskTag(path="/Science/Computer Science/Machine Learning & Artificial Intelligence", confidence_ppm=600_000),
    ],
    [TaskTag(path="/Games/Roleplaying Games", confidence_ppm=700_000)],
    [TaskTag(path="/Health", confidence_ppm=510_000), TaskTag(path="/Finance", confidence_ppm=499_999)],
    [TaskTag(path="/Sensitive Subjects", confidence_ppm=950_000)],
    [],
]
OPEN = {
    "deepseek/deepseek-r1": "open_cn",
    "deepseek/deepseek-chat-v3-0324": "open_cn",
    "meta-llama/llama-3.3-70b-instruct": "open_row",
    "mistralai/mistral-nemo": "open_row",
    "anthropic/claude-sonnet-4": "closed",
    "openai/gpt-4o-mini": "closed",
    "openrouter/horizon-alpha": "cloaked",
    "stranger/unheard-of": "unknown",
}
SIZE = {
    "deepseek/deepseek-r1": "large",
    "deepseek/deepseek-chat-v3-0324": "large",
    "meta-llama/llama-3.3-70b-instruct": "large",
    "mistralai/mistral-nemo": "small",
}
REASONS = {"deepseek/deepseek-r1": True, "anthropic/claude-sonnet-4": True, "stranger/unheard-of": None}
CATEGORY = {
    "/Computers & Electronics/Programming": "programming",
    "/Computers & Electronics/Programming/Development Tools": "programming",
    "/Science/Computer Science/Machine Learning & Artificial Intelligence": "science",
    "/Games/Roleplaying Games": "roleplay",
    "/Health": "health",
    "/Sensitive Subjects": None,
}
TOOLS_EVERY, LABEL_EVERY, SAMPLE_WEIGHT = 5, 3, 4


def _rows() -> Iterator[Row]:
    for number in range(280):
        day = number % DAYS
        model, variant, tokens_in, tokens_out, thought, cost = CALLS[(number * 5 + number // 8) % len(CALLS)]
        if model.startswith("anthropic") and day < 7:  # launched in the second week
            model, variant, tokens_in, tokens_out, thought, cost = CALLS[5]
        tenant = TENANTS[0] if number % 7 < 5 else TENANTS[number % 7 - 4]
        if tenant == "bolt":  # two models of one author
            model, variant, tokens_in, tokens_out, thought, cost = CALLS[number // 7 % 2]
        elif tenant == "cove":  # one model only
            model, variant, tokens_in, tokens_out, thought, cost = CALLS[5]
        failed = number % 41 == 40
        byok = number % 29 == 28
        billing, address = COUNTRIES[(number // 3) % len(COUNTRIES)]
        labelled = number % LABEL_EVERY == 0 and not failed
        ts = int(dt.datetime.combine(FIRST + dt.timedelta(days=day), dt.time(12), dt.UTC).timestamp()) * 1_000_000
        yield Row(
            generation_id=generation_id(ts // 1000, number, 0, 0, number),
            ts=ts + number,
            source_id="own",
            tenant_id=tenant,
            app=APPS[number % len(APPS)],
            billing_country=billing,
            ip_country=address,
            response_model=model,
            model_variant=variant,
            provider_name="somewhere",
            is_byok=byok,
            status_code=500 if failed else 200,
            error_type="upstream_error" if failed else None,
            finish_reason=None if failed else "tool_calls" if number % TOOLS_EVERY == 0 else "stop",
            tool_calls=None if failed else int(number % TOOLS_EVERY == 0),
            usage_input_tokens=None if failed else tokens_in + number,
            usage_output_tokens=None if failed else tokens_out + number % 13,
            usage_reasoning_output_tokens=None if failed else thought,
            cost_nano_usd=None if failed else 0 if byok or not cost else cost + 7 * number,
            language=LANGUAGES[(number // 3) % len(LANGUAGES)] if labelled else None,
            task_tags=TAGS[(number // 3) % len(TAGS)] if labelled else None,
            tag_sample_weight=SAMPLE_WEIGHT if labelled else None,
        )


ROWS = list(_rows())


def write(folder: Path) -> Ledger:
    """The rows as a sealed ledger."""
    ledger = Ledger.create(folder)
    ledger.add_rows(ROWS, [], unit="calls", origin="written by hand")
    return ledger


def day_of(row: Row) -> dt.date:
    return dt.datetime.fromtimestamp(row.ts / 1e6, dt.UTC).date()


def week_of(row: Row) -> dt.date:
    return day_of(row) - dt.timedelta(days=day_of(row).weekday())


def tokens(row: Row) -> int:
    """Input plus output; nothing where either is unknown."""
    if row.usage_input_tokens is None or row.usage_output_tokens is None:
        return 0
    return row.usage_input_tokens + row.usage_output_tokens


def spend(row: Row) -> int:
    return row.cost_nano_usd or 0


def one(row: Row) -> int:
    return 1


def weight(row: Row) -> int:
    return row.tag_sample_weight or 1


def is_open(row: Row) -> bool:
    return OPEN[row.response_model or ""].startswith("open")


def top_category(row: Row) -> str | None:
    """The category of the surest label; None without a label, or where it is in none."""
    tags = strong_tags(row)
    return CATEGORY[tags[0]] if tags else None


def weighted(row: Row) -> int:
    """Tokens of a labelled call, as often as it stands for."""
    return tokens(row) * weight(row)


def strong_tags(row: Row) -> list[str]:
    """Paths of at least one half, the surest first; of equals the first by name."""
    held = [tag for tag in row.task_tags or [] if tag.confidence_ppm >= 500_000]
    return [tag.path for tag in sorted(held, key=lambda tag: (-tag.confidence_ppm, tag.path))]


def sums(
    rows: Iterable[Row], group: Callable[[Row], str | None], value: Callable[[Row], int] = tokens
) -> dict[tuple[dt.date, str], int]:
    """By (week, group); None leaves a row out."""
    found: dict[tuple[dt.date, str], int] = defaultdict(int)
    for row in rows:
        if (name := group(row)) is not None:
            found[week_of(row), name] += value(row)
    return dict(found)


def shares(counted: dict[tuple[dt.date, str], int]) -> dict[tuple[str, str], float]:
    """(ISO week, group) -> share of its week, of those that are not nothing."""
    totals: dict[dt.date, int] = defaultdict(int)
    for (week, _), value in counted.items():
        totals[week] += value
    return {(week.isoformat(), name): value / totals[week] for (week, name), value in counted.items() if value}


def totals(
    rows: Iterable[Row], group: Callable[[Row], str | None], value: Callable[[Row], int] = tokens
) -> dict[str, int]:
    """By group over all rows."""
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        if (name := group(row)) is not None:
            found[name] += value(row)
    return dict(found)
