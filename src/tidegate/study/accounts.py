"""Accounts that weigh so much that a figure may be theirs alone."""

import datetime as dt

import msgspec

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import NotComputable
from tidegate.study.select import Ask
from tidegate.study.shares import tabulate

HEAVY_SHARE = 0.25  # of a week: from here on an account is named
NAMED_MAX = 20


class Heavy(msgspec.Struct, frozen=True):
    """An account's part of one week.

    value: of what was asked for. share: value over that of all accounts. everything: all the account did in that
    week, whether asked for or not.
    """

    week: dt.date
    account: str
    value: int
    share: float
    everything: int


def heaviest(
    figure: str, facts: Facts, source: Source, params: Params, where: str = "true", *, from_share: float = HEAVY_SHARE
) -> list[Heavy]:
    """Accounts holding at least this share of a week, heaviest first; none where the source names no accounts.

    Where only one account exists at all, it holds everything and is no outlier: then nobody is named.
    """
    try:
        asked = tabulate(figure, facts, source, params, _by_account(where))
        done = tabulate(
            figure, facts, source, params, _by_account("finish_class IS NOT NULL" if where != "true" else where)
        )
    except NotComputable:
        return []
    if len([account for account in done.totals() if account]) < 2:
        return []
    found = []
    for week, groups in asked.sums.items():
        whole = sum(groups.values())
        for account, value in groups.items():
            if account and whole and value / whole >= from_share:
                found.append(Heavy(week, account, value, value / whole, done.sums[week].get(account, 0)))
    return sorted(found, key=lambda heavy: (-heavy.share, heavy.week, heavy.account))[:NAMED_MAX]


def _by_account(where: str) -> Ask:
    return Ask(group="coalesce(account, '')", relation="accounts", where=where, of="any")
