"""Composes the sample logs of `tidegate audit --sample`: no real traffic, mistakes planted, the truth written beside.

python tools/compose_audit_sample.py    writes src/tidegate/data/audit/composed-*

The amounts are worked out here, from list prices typed in by hand and in floats, as gateways do: nothing of the audit's
own arithmetic is used, so that finding again what was planted proves it.
"""

import csv
import datetime as dt
import json
import math
import random
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "src" / "tidegate" / "data" / "audit"
SEED = 20261122
FIRST_DAY = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
DAYS = 21
LITELLM_CALLS, NEW_API_CALLS, OPENROUTER_CALLS = 240, 130, 70

# USD per million tokens on these days, from the makers' price pages: input, output, cache read, cache write, write 1 h
PRICES = {
    "gpt-5.6-terra": ("openai", 2.0, 12.0, 0.2, None, None),  # until 2026-07-30: 2.5 and 15
    "gpt-5": ("openai", 1.25, 10.0, 0.125, None, None),
    "gpt-4o-mini": ("openai", 0.15, 0.6, 0.075, None, None),
    "gemini-2.5-pro": ("gemini", 1.25, 10.0, 0.125, None, None),
    "claude-sonnet-4-5": ("anthropic", 3.0, 15.0, 0.3, 3.75, 6.0),
    "claude-haiku-4-5": ("anthropic", 1.0, 5.0, 0.1, 1.25, 2.0),
}
REASONING = {"gpt-5", "gpt-5.6-terra", "gemini-2.5-pro"}
Truth = dict[str, str]


class Counts:
    """Tokens of one composed call; cached ones are parts of the input, reasoning is one of the output."""

    def __init__(self, rng: random.Random, model: str) -> None:
        self.input = int(rng.lognormvariate(8.6, 1.0)) + 200
        self.output = int(rng.lognormvariate(6.0, 0.9)) + 20
        self.read = int(self.input * rng.uniform(0.3, 0.9)) // 128 * 128 if rng.random() < 0.6 else 0
        writes = model.startswith("claude") and rng.random() < 0.5
        self.written = int((self.input - self.read) * rng.uniform(0.2, 0.8)) if writes else 0
        self.hour = self.written if writes and rng.random() < 0.3 else 0
        self.reasoning = int(self.output * rng.uniform(0.3, 0.8)) if model in REASONING else 0

    def usd(self, model: str) -> float:
        """The right price."""
        _, entered, left, read, written, hour = PRICES[model]
        fresh = self.input - self.read - self.written
        total = fresh * entered + self.read * read + self.output * left
        total += (self.written - self.hour) * (written or entered) + self.hour * (hour or written or entered)
        return total / 1e6


def wrong_usd(cause: str, counts: Counts, model: str) -> float | None:
    """What a gateway that makes this mistake charges; None where the call gives no occasion for it."""
    _, entered, left, read, written, hour = PRICES[model]
    right = counts.usd(model)
    more = {
        "cached_full_rate": counts.read * (entered - read),
        "cached_twice": counts.read * entered,
        "cache_write_full_rate": -counts.written * ((written or entered) - entered) if not counts.hour else 0.0,
        "cache_write_1h_as_5m": -counts.hour * ((hour or 0) - (written or 0)),
        "reasoning_dropped": -counts.reasoning * left,
        "reasoning_twice": counts.reasoning * left,
    }[cause] / 1e6
    return right + more if abs(more) > 1e-5 else None


def moment(rng: random.Random) -> dt.datetime:
    return FIRST_DAY + dt.timedelta(seconds=rng.uniform(0, DAYS * 86400), microseconds=rng.randrange(10**6))


def litellm(rng: random.Random) -> tuple[list[dict[str, Any]], Truth]:
    """Spend logs. Planted by model, as such mistakes come: in one version's handling of one provider."""
    planted = {
        "gemini-2.5-pro": "cached_twice",
        "claude-sonnet-4-5": "cached_full_rate",
        "claude-haiku-4-5": "cache_write_1h_as_5m",
        "gpt-5": "reasoning_dropped",
    }
    records, truth = [], {}
    for number in range(LITELLM_CALLS):
        name, model = f"composed-{number:04d}", rng.choice(list(PRICES))
        counts, at = Counts(rng, model), moment(rng)
        spend, status, cause = counts.usd(model), "success", ""
        if model in planted and rng.random() < 0.5 and (wrong := wrong_usd(planted[model], counts, model)) is not None:
            spend, cause = wrong, planted[model]
        elif model == "gpt-5.6-terra" and rng.random() < 0.4:  # a price map of July
            fresh = counts.input - counts.read
            spend, cause = (fresh * 2.5 + counts.read * 0.25 + counts.output * 15.0) / 1e6, "price_out_of_date"
        elif rng.random() < 0.03:
            counts.input = counts.output = counts.read = counts.written = counts.hour = counts.reasoning = 0
            spend, cause = 0.0, "no_usage"
        elif rng.random() < 0.03:
            status, counts.output, counts.reasoning, cause = "failure", 0, 0, "failure_charged"
            spend = counts.input * PRICES[model][1] / 1e6
        if cause:
            truth[name] = cause
        records.append(_spend_log(name, model, counts, at, spend, status))
    unpriced = [record for record in records if record["model"] == "gpt-4o-mini"]
    for record in unpriced:  # a name that the gateway's price map did not have
        record["spend"] = 0.0
        record["metadata"]["model_map_information"] = {"model_map_key": "gpt-4o-mini", "model_map_value": None}
        if truth.get(record["request_id"]) not in ("no_usage",):
            truth[record["request_id"]] = "free_by_mistake"
        if record["status"] == "failure":
            del truth[record["request_id"]]
    records.sort(key=lambda record: str(record["startTime"]))
    return records, truth


def _spend_log(name: str, model: str, counts: Counts, at: dt.datetime, spend: float, status: str) -> dict[str, Any]:
    provider = PRICES[model][0]
    usage = {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {
            "cached_tokens": counts.read,
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": counts.hour},
        },
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
        "cache_creation_input_tokens": counts.written,
        "cache_read_input_tokens": counts.read,
    }
    metadata: dict[str, Any] = {"status": status, "usage_object": usage if counts.input else None}
    if status == "failure":
        metadata["error_information"] = {"error_code": "500", "error_class": "InternalServerError"}
    return {
        "request_id": name,
        "call_type": "acompletion",
        "api_key": "composed",
        "spend": spend,
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "startTime": at.isoformat().replace("+00:00", "Z"),
        "endTime": (at + dt.timedelta(seconds=1 + counts.output / 80)).isoformat().replace("+00:00", "Z"),
        "model": model,
        "custom_llm_provider": provider,
        "status": status,
        "cache_hit": "False",
        "request_tags": ["composed"],
        "metadata": metadata,
    }


def new_api(rng: random.Random) -> tuple[list[dict[str, Any]], Truth]:
    """Table `logs` of new-api: a reseller's group at 0.8 of the list price, and an operator who set no cache ratio."""
    records, truth = [], {}
    for number in range(NEW_API_CALLS):
        name = f"composed-{number:04d}"
        model = rng.choice(["claude-sonnet-4-5", "gpt-5", "gpt-4o-mini"])
        counts, at, group = Counts(rng, model), moment(rng), rng.choice([1, 0.8])
        _, entered, left, read, written, _ = PRICES[model]
        counts.hour, claude = 0, model.startswith("claude")
        cache_ratio = 1 if model == "gpt-5" else read / entered  # planted: cached tokens at the full rate
        if model == "gpt-5" and counts.read:
            truth[name] = "cached_full_rate"
        other = {
            "model_ratio": entered / 2,
            "completion_ratio": left / entered,
            "group_ratio": group,
            "user_group_ratio": -1,
            "cache_tokens": counts.read,
            "cache_ratio": cache_ratio,
            "model_price": -1,
            "frt": 800.0,
        }
        fresh = counts.input - counts.read - counts.written
        units = fresh + counts.read * cache_ratio + counts.written * (written or entered) / entered
        quota = (units + counts.output * left / entered) * entered / 2 * group
        if claude:
            other |= {"claude": True, "cache_creation_tokens": counts.written, "cache_creation_ratio": 1.25}
        if rng.random() < 0.06:  # the caller left, and the count was lost
            counts.output, quota, truth[name] = 0, 0.0, "disconnect_unbilled"
            other["stream_status"] = {"status": "error", "end_reason": "client_gone"}
        records.append(
            {
                "id": number + 1,
                "user_id": 7,
                "created_at": int(at.timestamp()),
                "type": 2,
                "content": "composed",
                "username": "composed",
                "token_name": "composed",
                "model_name": model,
                "quota": math.floor(quota + 0.5),
                "prompt_tokens": fresh if claude else counts.input,
                "completion_tokens": counts.output,
                "use_time": 3,
                "is_stream": 1,
                "channel_id": 2,
                "group": "default" if group == 1 else "wholesale",
                "request_id": name,
                "other": json.dumps(other),
            }
        )
    records.sort(key=lambda record: (int(record["created_at"]), int(record["id"])))
    return records, truth


def openrouter(rng: random.Random) -> tuple[list[dict[str, Any]], Truth]:
    """The Activity page's CSV: right but for cancelled calls that nobody can put right."""
    slugs = {"gpt-5": ("openai/gpt-5", "OpenAI"), "claude-sonnet-4-5": ("anthropic/claude-sonnet-4.5", "Anthropic")}
    records, truth = [], {}
    for number in range(OPENROUTER_CALLS):
        model = rng.choice(list(slugs))
        counts, at, name = Counts(rng, model), moment(rng), f"gen-composed-{number:04d}"
        counts.written = counts.hour = 0
        cost, left = counts.usd(model), rng.random() < 0.08
        if left:
            counts.output = counts.reasoning = 0
            counts.input, counts.read, cost, truth[name] = 0, 0, 0.0, "disconnect_unbilled"
        records.append(
            {
                "generation_id": name,
                "created_at": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
                "cost_total": f"{cost:.9f}",
                "cost_web_search": 0,
                "cost_cache": 0,
                "cost_file_processing": 0,
                "byok_usage_inference": 0,
                "tokens_prompt": counts.input,
                "tokens_completion": counts.output,
                "tokens_reasoning": counts.reasoning,
                "tokens_cached": counts.read,
                "model_permaslug": slugs[model][0],
                "provider_name": slugs[model][1],
                "variant": "standard",
                "cancelled": str(left).lower(),
                "streamed": "true",
                "finish_reason_normalized": "" if left else "stop",
                "app_name": "composed",
            }
        )
    records.sort(key=lambda record: str(record["created_at"]))
    return records, truth


def write_csv(file: Path, records: list[dict[str, Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    spend_logs, planted_litellm = litellm(rng)
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in spend_logs)
    (FOLDER / "composed-litellm-spend-logs.jsonl").write_text(lines, "utf-8")
    logs, planted_new_api = new_api(rng)
    write_csv(FOLDER / "composed-new-api-logs.csv", logs)
    activity, planted_openrouter = openrouter(rng)
    write_csv(FOLDER / "composed-openrouter-activity.csv", activity)
    truth = {
        "note": "Composed by tools/compose_audit_sample.py, no real traffic. What was planted, by file and call id.",
        "seed": SEED,
        "composed-litellm-spend-logs.jsonl": dict(sorted(planted_litellm.items())),
        "composed-new-api-logs.csv": dict(sorted(planted_new_api.items())),
        "composed-openrouter-activity.csv": dict(sorted(planted_openrouter.items())),
    }
    (FOLDER / "composed-truth.json").write_text(json.dumps(truth, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
