"""The formats an import may be called with: what each brings in, which module reads it, and where it is described."""

from typing import Final, Literal

import msgspec

Brings = Literal["calls", "daily", "series"]
"""`calls`: rows. `daily`: units of the rollup daily_usage. `series`: points of the typed table `series`."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One format. text: what the files are, in one line. source: where the format is described."""

    module: str
    brings: Brings
    text: str
    source: str


_OPENROUTER = "https://openrouter.ai/docs/api-reference"
FORMATS: Final[dict[str, Format]] = {
    "openrouter-daily": Format(
        module="openrouter_daily",
        brings="daily",
        text="tokens by model and day: a CSV in billions or in tokens, or OpenRouter's rankings-daily JSON",
        source="https://openrouter.ai/docs/cookbook/administration/data-api",
    ),
    "openrouter-authors": Format(
        module="published",
        brings="series",
        text="weekly tokens by author (top authors and `others`): CSV in billions, or the page's JSON points `{x, ys}`",
        source="https://openrouter.ai/rankings",
    ),
    "openrouter-categories": Format(
        module="published",
        brings="series",
        text="weekly tokens by task category and author, CSV in billions",
        source="https://openrouter.ai/rankings",
    ),
    "openrouter-providers": Format(
        module="published",
        brings="series",
        text="daily tokens by serving provider, CSV in billions",
        source="https://openrouter.ai/rankings",
    ),
    "openrouter-apps": Format(
        module="published",
        brings="series",
        text="tokens by app, or by app and model: CSV in billions or in tokens, with requests where published",
        source="https://openrouter.ai/apps",
    ),
    "openrouter-generations": Format(
        module="openrouter_generation",
        brings="calls",
        text="replies of GET /api/v1/generation: JSON, a list of them, or JSON lines",
        source=f"{_OPENROUTER}/get-a-generation",
    ),
    "openrouter-activity": Format(
        module="openrouter_activity",
        brings="calls",
        text="the CSV of the Activity page, a line a call; or the JSON of GET /api/v1/activity, by day and model",
        source=f"{_OPENROUTER}/analytics/get-user-activity",
    ),
    "litellm": Format(
        module="litellm",
        brings="calls",
        text="LiteLLM spend logs (LiteLLM_SpendLogs, GET /spend/logs): CSV, JSON or JSON lines",
        source="https://docs.litellm.ai/docs/proxy/cost_tracking",
    ),
    "langfuse": Format(
        module="langfuse",
        brings="calls",
        text="Langfuse observations (UI, API or blob export): CSV, JSON or JSON lines",
        source="https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields",
    ),
    "helicone": Format(
        module="helicone",
        brings="calls",
        text="Helicone requests (`npx @helicone/export`, query API): CSV, JSON or JSON lines",
        source="https://docs.helicone.ai/rest/request/post-v1requestquery-clickhouse",
    ),
    "otlp": Format(
        module="otlp",
        brings="calls",
        text="OpenTelemetry GenAI spans as OTLP JSON: one export, or one a line as the file exporter writes",
        source="https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/",
    ),
    "one-api": Format(
        module="one_api",
        brings="calls",
        text="logs of one-api and new-api (table `logs`, GET /api/log/): CSV, JSON or JSON lines",
        source="https://github.com/songquanpeng/one-api/blob/main/model/log.go",
    ),
    "tidegate": Format(
        module="own_rows",
        brings="calls",
        text="rows that another Tidegate ledger exported (`ledger export`): CSV, JSON lines or Parquet",
        source="docs/reference/row.md",
    ),
    "trace": Format(
        module="trace",
        brings="calls",
        text="one call a line (timestamp, input, output): CSV with a header, or JSON lines; also ServeGen's requests",
        source="https://github.com/alibaba/ServeGen",
    ),
    "azure": Format(
        module="trace",
        brings="calls",
        text="Azure LLM inference traces (TIMESTAMP, ContextTokens, GeneratedTokens), CSV; the same as `trace`",
        source="https://github.com/Azure/AzurePublicDataset",
    ),
    "mooncake": Format(
        module="trace",
        brings="calls",
        text="Mooncake traces (timestamp in ms, input_length, output_length), JSON lines; the same as `trace`",
        source="https://github.com/kvcache-ai/Mooncake",
    ),
    "servegen": Format(
        module="servegen",
        brings="series",
        text="ServeGen's load by client and interval: windows (rate) or six-hour sums (requests, mean lengths), CSV",
        source="https://github.com/alibaba/ServeGen",
    ),
    "table": Format(
        module="generic",
        brings="calls",
        text="any CSV, JSON, JSON lines or Parquet with a mapping file (--mapping): our column, their column, unit",
        source="docs/reference/imports.md",
    ),
}
"""By name, in the order in which help lists them."""
