"""The relations that figures read: each rollup beside what the catalog knows of its models.

Columns of all: source_id, day (or week), model, variant, author, origin, weights, is_reasoning, calls, tokens, spend;
and of each its own, named below. `model` is the name as the source gave it; author to is_reasoning are of the maker,
`unknown` or null where the catalog does not know. tokens: input plus output. spend: nano-USD.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tidegate.ledger.rollup import insert_columns
from tidegate.study.facts import Facts, Source
from tidegate.study.result import NotComputable

Name = Literal["models", "countries", "languages", "apps", "tags", "accounts"]


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """One relation.

    own: SQL of its own columns. lacks: what a source without any row in it lacks, and the row's column. day: the column
    of time. has_byok: it can leave BYOK out.
    """

    rollup: str
    own: str
    lacks: str
    day: str = "day"
    has_byok: bool = True


RELATIONS: Mapping[Name, Relation] = {
    "models": Relation(
        rollup="daily_usage",
        own="provider_name AS provider, finish_class, is_cancelled, unmetered_calls AS unmetered, "
        "usage_input_tokens AS input, usage_output_tokens AS output, usage_reasoning_output_tokens AS reasoning, "
        "usage_cache_read_input_tokens AS cached, tool_calls",
        lacks="no sums by model (response_model)",
    ),
    "countries": Relation(
        rollup="daily_country", own="billing_country, ip_country", lacks="no countries (billing_country, ip_country)"
    ),
    "languages": Relation(rollup="daily_language", own="language, sampled_calls", lacks="no languages (language)"),
    "apps": Relation(rollup="daily_app", own="app", lacks="no applications (app)", has_byok=False),
    "tags": Relation(
        rollup="daily_tags", own="label_rule, tag_path, tool_calls, sampled_calls", lacks="no task labels (task_tags)"
    ),
    "accounts": Relation(
        rollup="weekly_account",
        own="tenant_id AS account, finish_class, usage_input_tokens AS input, usage_output_tokens AS output",
        lacks="no accounts (tenant_id)",
        day="week",
    ),
}


def view_of(figure: str, facts: Facts, source: Source, name: Name) -> str:
    """The relation as a table on the connection of `facts`, made when it is first asked for.

    Raises NotComputable where the source is in none of its rows.
    """
    table = f"study_{name}"
    if table not in facts.tables:
        _create(facts, name, table)
        facts.tables[table] = frozenset(held for (held,) in facts.query(f"SELECT DISTINCT source_id FROM {table}"))
    if source.source_id not in facts.tables[table]:
        raise NotComputable(figure, source.source_id, f"it has {RELATIONS[name].lacks}")
    return table


def _create(facts: Facts, name: Name, table: str) -> None:
    relation = RELATIONS[name]
    _add_models(facts, relation.rollup)
    byok = "is_byok" if relation.has_byok else "CAST(NULL AS BOOLEAN) AS is_byok"
    facts.query(
        f"CREATE TEMP TABLE {table} AS SELECT source_id, {relation.day}, response_model AS model, "
        "coalesce(model_variant, '') AS variant, author, coalesce(origin, 'unknown') AS origin, "
        f"coalesce(weights, 'unknown') AS weights, is_reasoning, {byok}, calls, total_tokens AS tokens, "
        f"cost_nano_usd AS spend, {relation.own} "
        f"FROM {relation.rollup} LEFT JOIN study_makers ON name = response_model"
    )
    if name == "models":  # series that name authors only
        facts.query(
            f"INSERT INTO {table} BY NAME SELECT source_id, day, model, variant, author, origin, weights, is_byok, "
            "calls, tokens, spend, unmetered FROM facts WHERE source_id NOT IN (SELECT source_id FROM daily_usage)"
        )
    elif name == "tags":
        _add_published(facts, table, "'published' AS label_rule, category AS tag_path", "category", "category_author")
    elif name == "apps":
        _add_published(facts, table, "app", "app", "app_model")


def _add_published(facts: Facts, table: str, own: str, *kinds: str) -> None:
    """Add published series of these kinds: sums that somebody else made, by category or by app."""
    held = facts.query(
        "SELECT DISTINCT coalesce(response_model, ''), coalesce(author, '') FROM series "
        "WHERE kind IN (SELECT unnest(?))",
        [list(kinds)],
    )
    makers = [facts.makers.of_model(m) if m else facts.makers.of_author(a, "unknown") for m, a in held]
    facts.query(
        "CREATE OR REPLACE TEMP TABLE study_published (m VARCHAR, a VARCHAR, maker VARCHAR, origin VARCHAR, "
        "weights VARCHAR)"
    )
    columns = [[model for model, _ in held], [author for _, author in held]]
    fields = ([getattr(maker, field) for maker in makers] for field in ("author", "origin", "weights"))
    insert_columns(facts.connection, "study_published", [*columns, *fields])
    facts.query(
        f"INSERT INTO {table} BY NAME SELECT source_id, day, nullif(response_model, '') AS model, "
        "coalesce(model_variant, '') AS variant, maker AS author, origin, weights, calls, total_tokens AS tokens, "
        f"cost_nano_usd AS spend, {own} FROM series JOIN study_published ON m = coalesce(response_model, '') "
        "AND a = coalesce(author, '') WHERE kind IN (SELECT unnest(?))",
        [list(kinds)],
    )


def _add_models(facts: Facts, rollup: str) -> None:
    """Look up those models of a rollup that no relation has met before."""
    facts.query(
        "CREATE TEMP TABLE IF NOT EXISTS study_makers (name VARCHAR, author VARCHAR, origin VARCHAR, weights VARCHAR, "
        "is_reasoning BOOLEAN)"
    )
    names = [
        name
        for (name,) in facts.query(
            f"SELECT DISTINCT response_model FROM {rollup} WHERE response_model IS NOT NULL "
            "AND response_model NOT IN (SELECT name FROM study_makers) ORDER BY 1"
        )
    ]
    makers = [facts.makers.of_model(name) for name in names]
    thinks = [facts.makers.catalog.model_of(name).is_reasoning for name in names]
    fields = ([getattr(maker, field) for maker in makers] for field in ("author", "origin", "weights"))
    insert_columns(facts.connection, "study_makers", [names, *fields, thinks])
