"""Which applications the use comes from."""

from tidegate.study.authors import REST_OF_LIST
from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.result import NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, cells, finish, tabulate

NAME = "app_share"
QUESTION = "Which applications does the use come from?"
APPS_MAX = 10
NOBODY = ("", *sorted({*REST_OF_LIST, "Others", "Other"}))


def app_share(facts: Facts, source: Source, params: Params) -> Result:
    """Shares of the largest applications over the window, and of all others together."""
    whole = tabulate(NAME, facts, source, params, Ask(group="coalesce(app, '')", relation="apps", of="any"))
    named = whole.regrouped(lambda app: app or None)
    if not any(named.sums.values()):
        raise NotComputable(NAME, source.source_id, "app is null in all its calls")
    table, names = named.top(APPS_MAX, rest=True, never=NOBODY)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of {params.measure} in each {params.grain} by calling application, as it names itself, the "
                f"{APPS_MAX} largest over the window by name; of calls that name one."
            ),
            rows=cells(table, "app", names),
            missing=Missing(whole.share(""), "no application"),
            notes=["An application names itself and may name another; one firm may call under several names."],
        ),
    )
