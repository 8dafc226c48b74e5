"""Accounts so heavy that a figure may be theirs: named, so that they can be left out."""

from tidegate.study.accounts import HEAVY_SHARE, NAMED_MAX, heaviest
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.quantity import percent
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, finish, tabulate

NAME = "outlier_accounts"
QUESTION = "Is there an account that bends the figures?"


def outlier_accounts(facts: Facts, source: Source, params: Params) -> Result:
    """Accounts that hold HEAVY_SHARE or more of a week's measure, or of its tool calls; else the heaviest one."""
    ask = Ask(group="coalesce(account, '')", relation="accounts", of="any")
    table = tabulate(NAME, facts, source, params, ask)
    named = {account: value for account, value in table.totals().items() if account}
    if not named:
        raise NotComputable(NAME, source.source_id, "it does not say who called (tenant_id)")
    if len(named) == 1:
        raise NotComputable(
            NAME, source.source_id, f"it has one account (tenant_id), {next(iter(named))}, which is all"
        )
    rows = []
    for of, where in (("everything", "true"), ("tool calls", "finish_class = 'tool_calls'")):
        found = (
            heaviest(NAME, facts, source, params, where)
            or heaviest(NAME, facts, source, params, where, from_share=0.0)[:1]
        )
        rows += [
            Cell(
                period=heavy.week.isoformat(),
                groups={"account": heavy.account, "of": of},
                value=heavy.value,
                share=heavy.share,
            )
            for heavy in found
        ]
    heavy = next(iter(named))
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Accounts that hold {percent(HEAVY_SHARE)} or more of a week's {params.measure}, or of its tool "
                f"calls' {params.measure}, heaviest first, at most {NAMED_MAX}; where there is none, the heaviest. "
                "`--without-account ID` leaves one out of every figure that can be drawn by account."
            ),
            rows=tuple(rows),
            missing=Missing(table.share(""), "no account"),
            notes=[
                f"{len(named)} accounts; over the whole window the heaviest, {heavy}, holds "
                f"{percent(table.share(heavy))}."
            ],
            down=("period", "account"),
        ),
    )
