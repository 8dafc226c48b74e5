"""Where accounts pay and where their callers sit: the billing country against the address's."""

from tidegate.study.facts import Facts, Source
from tidegate.study.params import Params
from tidegate.study.quantity import percent
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import Ask, Drawn, Missing, finish, tabulate

NAME = "billing_and_ip"
QUESTION = "Do people call from where they pay?"
PAIRS_MAX = 20


def billing_and_ip(facts: Facts, source: Source, params: Params) -> Result:
    """The measure by pair of billing country and caller's country over the window, largest first."""
    group = (
        "CASE WHEN billing_country IS NULL OR ip_country IS NULL THEN '' "
        "ELSE concat(billing_country, '|', ip_country) END"
    )
    whole = tabulate(NAME, facts, source, params, Ask(group=group, relation="countries", of="any"))
    table = whole.regrouped(lambda pair: pair or None)
    totals = {pair: value for pair, value in table.totals().items() if value}
    if not totals:
        raise NotComputable(NAME, source.source_id, "no call has both billing_country and ip_country")
    everything = sum(totals.values())
    same = sum(value for pair, value in totals.items() if pair.partition("|")[0] == pair.partition("|")[2])
    period = table.coverage.kept[0].isoformat()
    rows = [
        Cell(
            period=period,
            groups={"billing_country": pair.partition("|")[0], "ip_country": pair.partition("|")[2]},
            value=value,
            share=value / everything,
        )
        for pair, value in list(totals.items())[:PAIRS_MAX]
    ]
    left = len(totals) - len(rows)
    return finish(
        source,
        params,
        table,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of {params.measure} over the whole window by the country of the account's billing address and "
                f"the country where the caller's address is registered; of calls that have both, the {PAIRS_MAX} "
                "largest pairs."
            ),
            rows=tuple(rows),
            missing=Missing(whole.share(""), "no billing country or no caller's country"),
            notes=[
                f"{percent(same / everything)} of the {params.measure} is called from the country that pays for it.",
                "A caller's address may be a server's, a proxy's or a private network's exit: it is no seat of a user.",
                *([f"{left} smaller pairs are not shown."] if left else []),
            ],
            down=("billing_country", "ip_country"),
        ),
    )
