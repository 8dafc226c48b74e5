"""How much of the use ends in a tool call, with and without the account that may bend it (State of AI, Figure 12)."""

from tidegate.study.accounts import heaviest
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.quantity import percent
from tidegate.study.result import NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, Table, cells, finish, tabulate

NAME = "tool_call_share"
QUESTION = "How much of the use calls tools?"
GROUPS = ("tool_calls", "none")
_GROUP = (
    "CASE WHEN finish_class = 'tool_calls' THEN 'tool_calls' WHEN finish_class IS NULL THEN 'unknown' ELSE 'none' END"
)


def tool_call_share(facts: Facts, source: Source, params: Params) -> Result:
    """Share of the measure in calls that end in a tool call; calls that do not say how they ended are left out."""
    whole = tabulate(NAME, facts, source, params, Ask(group=_GROUP, of="any"))
    if not whole.total("tool_calls") + whole.total("none"):
        raise NotComputable(NAME, source.source_id, "it does not say how calls ended (finish_reason)")
    table = whole.regrouped(lambda name: None if name == "unknown" else name)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of {params.measure} in each {params.grain} in calls whose normalised finish reason is "
                "`tool_calls`: tools that were called, not tools that were merely offered. Of calls that say how they "
                "ended."
            ),
            rows=cells(table, "tools", GROUPS),
            missing=Missing(whole.share("unknown"), "no finish reason"),
            notes=_account_notes(facts, source, params, table),
        ),
    )


def _account_notes(facts: Facts, source: Source, params: Params, table: Table) -> list[str]:
    """Who holds most of a week's tool calls, and the share of that week without them."""
    told = []
    for found in heaviest(NAME, facts, source, params, where="finish_class = 'tool_calls'"):
        groups = table.sums.get(found.week, {})
        called, other = groups.get("tool_calls", 0), groups.get("none", 0)
        left = called + other - found.everything
        without = f"is {percent((called - found.value) / left)}" if left > 0 else "has nothing left to be a share of"
        told.append(
            f"Account {found.account} holds {percent(found.share)} of the tool calls' {params.measure} in the week of "
            f"{found.week}; without it that week's share {without}, not "
            f"{percent(called / (called + other))} (`--without-account {found.account}` leaves it out)."
        )
    return told
