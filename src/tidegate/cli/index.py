"""`tidegate index`: the regional demand index, what it is worth, and what it means for a gateway."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidegate.cli.index_options import built, choices, drawn_to, ledger_tokens, show
from tidegate.cli.index_own import own
from tidegate.cli.tables import Cell

if TYPE_CHECKING:
    from tidegate.index.regional_vary import Space


@click.group()
def index() -> None:
    """The regional demand index: where demand for language models is, how sure that is, and what it means.

    \b
    Example:
      tidegate index build                        nine regions with intervals and ranks
      tidegate index explain "South Asia"         why it stands where it does
      tidegate index implications                 who may serve it, at what price, with which gaps
    """


@index.command()
@choices
@drawn_to("points and intervals")
@click.option(
    "--provenance",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write PROV-JSON that links every score to its figures and their sources.",
)
def build(chart: Path | None, provenance: Path | None, **options: Any) -> None:
    """The index: point, 90 % interval, ranks and how likely they are, coverage, and what is absent.

    \b
    Example:
      tidegate index build --china national
      tidegate index build --map north-africa-in-mena-2026 --format csv
      tidegate index build --chart index.svg
    """
    from tidegate.index.regional_tell import index_rows

    made, form = built(options)
    if chart:
        from tidegate.report.index_intervals import save_intervals

        save_intervals(made, chart)
    if provenance:
        import msgspec

        from tidegate.index.release import provenance as links

        linked = links(made.framework, made.figures, made.scores, made.release)
        provenance.write_bytes(msgspec.json.format(msgspec.json.encode(linked), indent=2))
    columns, rows = index_rows(made)
    names = ["region", "rank", "index", "90 %", "ranks", "other reading", "absent filled", "P(rank 1, 2, ...) in %"]
    shown: list[list[Cell]] = []
    for row in rows:
        region, rank, score, low, high, first, last, other, under, over, _, *chances = row
        likely = " ".join(f"{100 * float(chance or 0):.0f}" for chance in chances)
        interval, places, bounds = f"{low:.0f}-{high:.0f}", f"{first}-{last}", f"{under:.0f}-{over:.0f}"
        shown.append([region, rank, f"{score:.1f}", interval, places, f"{other:.1f}", bounds, likely])
    covered = "; ".join(f"{row[0]}: {row[10]}" for row in rows)
    more = [f"Coverage, part of the people whose country has a figure: {covered}."]
    show(made, columns, rows, form, more=more, drawn=(names, shown))


@index.command()
@choices
@click.option("--multiverse", is_flag=True, help="Only methods, readings and any weights, figures as they are.")
@drawn_to("the heat map of ranks")
def vary(multiverse: bool, chart: Path | None, **options: Any) -> None:
    """The index under every choice: scores and ranks, how likely each rank is, and who stands above whom.

    \b
    Example:
      tidegate index vary --runs 20000
      tidegate index vary --multiverse --chart ranks.svg
    """
    from tidegate.index.regional_vary import multiverse as any_weights

    made, form = built(options)
    runs = made.varied(any_weights(made.spec.region_map)) if multiverse else made.runs
    if chart:
        from tidegate.report.index_ranks import save_ranks

        save_ranks(made, runs, chart)
    names = ["region", "low", "median", "high", "rank_low", "rank_median", "rank_high"]
    columns = [*names, *(f"p_rank_{k + 1}" for k in range(len(runs.units)))]
    columns += [f"p_above {unit}" for unit in runs.units]
    scores, ranks = runs.quantiles(), runs.rank_quantiles()
    rows: list[list[Cell]] = []
    shown: list[list[Cell]] = []
    for at, unit in enumerate(runs.units):
        known = [*map(float, scores[:, at]), *map(int, ranks[:, at])]
        chances, above = map(float, runs.rank_probabilities[at]), [float(x) for x in runs.above[at]]
        chances = list(chances)  # type: ignore[assignment]
        rows.append([unit, *known, *chances, *above])
        likely = " ".join(f"{100 * chance:.0f}" for chance in chances)
        shown.append([unit, "-".join(f"{x:.0f}" for x in known[:3]), "-".join(map(str, known[3:])), likely])
    drawn = (["region", "5-50-95 % of scores", "of ranks", "P(rank 1, 2, ...) in %"], shown)
    show(made, columns, rows, form, more=[space_text(runs, multiverse)], drawn=drawn)


def space_text(runs: Any, multiverse: bool) -> str:
    what = "methods, readings and any weights" if multiverse else "maps, readings, methods, weights and errors"
    return f"{len(runs.scores):,} runs over {what}; JSON and CSV also say how often a region stands above another."


@index.command()
@choices
@click.option("--base", type=int, default=1024, show_default=True, help="Rows of the design, a power of two.")
@click.option("--region", help="Of this region's score. Default: of the ranking as a whole.")
def sensitivity(base: int, region: str | None, **options: Any) -> None:
    """Which choice moves the index most: Sobol's first and total order, with intervals.

    \b
    Example:
      tidegate index sensitivity
      tidegate index sensitivity --region Africa --base 512
    """
    from tidegate.index.regional_sensitivity import sensitivity as moved
    from tidegate.index.regional_tell import region_of
    from tidegate.index.regional_vary import every_choice

    made, form = built(options)
    space: Space = every_choice()
    at = None if region is None else region_of(made, region)
    found = moved(made, space, base)
    if at is None:
        shift = found.shift
        parts = [shift.first, shift.first_low, shift.first_high, shift.total, shift.total_low, shift.total_high]
        columns = ["factor", "first", "first_low", "first_high", "total", "total_low", "total_high"]
    else:
        parts, columns = [found.scores.first[:, at], found.scores.total[:, at]], ["factor", "first", "total"]
    rows: list[list[Cell]] = []
    for number, factor in enumerate(found.shift.factors):
        rows.append([factor, *(None if part is None else float(part[number]) for part in parts)])
    of = "the mean rank shift from the index as built" if at is None else f"the score of {made.regions[at]}"
    more = [f"Share of the variance of {of}; first: by itself, total: with what it does together with others."]
    show(made, columns, rows, form, more=more)


@index.command()
@choices
@click.option(
    "--truth",
    type=click.Choice(["claude", "users"]),
    default="claude",
    show_default=True,
    help="Claude's use in April 2026, or Microsoft's users half a year after the index's.",
)
@click.option("--ledger", "ledger_path", type=click.Path(path_type=Path), help="Tokens of this ledger as the truth.")
def backtest(truth: str, ledger_path: Path | None, **options: Any) -> None:
    """The index against later use, beside plain baselines: skill says how much nearer the index comes than each.

    \b
    Example:
      tidegate index backtest
      tidegate index backtest --truth users --china national
      tidegate index backtest --ledger my-ledger
    """
    from tidegate.index.regional_backtest import regional_backtest

    made, form = built(options)
    ledger = ledger_tokens(ledger_path) if ledger_path else None
    found = regional_backtest(
        made, "ledger" if ledger is not None else "users" if truth == "users" else "claude", ledger
    )
    columns = ["predictor", "spearman", "kendall", "distance", "skill_of_index"]
    rows = [[line.predictor, line.spearman, line.kendall, line.distance, line.skill] for line in found.lines]
    more = [
        f"Truth: {found.bias}.",
        "Distance: half the sum of differences of shares. Skill: above 0 the index is nearer than that predictor.",
    ]
    show(made, columns, rows, form, more=more)


@index.command("weights")
@choices
@drawn_to("the bounds of the weights")
def consistent(chart: Path | None, **options: Any) -> None:
    """Which weights could give the published table at all: bounds, never an estimate.

    \b
    Example:
      tidegate index weights --china national --chart weights.svg
    """
    from tidegate.index.regional_weights import weighed

    made, form = built(options)
    found = weighed(made)
    if chart:
        from tidegate.report.index_weights import save_weights

        save_weights(made, found, chart)
    columns = ["tolerance", "group", "low", "high", "stated", "part_that_fits"]
    rows = [[b.tolerance, b.group, b.low, b.high, b.stated, b.part] for b in found.bounds]
    nearest = ", ".join(f"{g} {w:.2f}" for g, w in zip(made.groups, found.nearest.weights, strict=True))
    left = found.left_out
    more = [
        found.readings[1],
        f"No weights come nearer than {found.nearest.deviation:.1f} points everywhere ({nearest}, scale free).",
        f"A fit on all nine misses by {left.rmse_inside:.1f} (RMSE); on eight it misses the ninth by "
        f"{left.rmse_outside:.1f}, worst {made.regions[left.worst]} by {left.worst_miss:.0f}.",
    ]
    show(made, columns, rows, form, more=more)


@index.command()
@choices
@click.argument("region")
def explain(region: str, **options: Any) -> None:
    """Ten lines on why REGION stands where it does.

    \b
    Example:
      tidegate index explain "South Asia" --china national
    """
    from tidegate.index.regional_tell import explain as told

    made, form = built(options)
    lines = told(made, region)
    if form == "table":
        click.echo("\n".join(f"{number:2}  {line}" for number, line in enumerate(lines, start=1)))
        click.echo("\n" + "\n".join(made.notes()))
        return
    show(made, ["line", "text"], [[number, line] for number, line in enumerate(lines, start=1)], form)


@index.command()
@choices
def ceiling(**options: Any) -> None:
    """Users against what readiness and income could carry: readiness as a medium-term limit, beside the index.

    \b
    Example:
      tidegate index ceiling --china national
    """
    from tidegate.index.regional_ceiling import ABSENT, ceilings

    made, form = built(options)
    columns = ["region", "index", "users", "ceiling", "used", "covered"]
    rows: list[list[Cell]] = [[c.region, c.index, c.users, c.ceiling, c.used, c.covered] for c in ceilings(made)]
    shown = [
        [r[0], *(None if x is None else round(float(x), 3 if n > 2 else 1) for n, x in enumerate(r[1:]))] for r in rows
    ]
    show(made, columns, rows, form, more=[ABSENT], drawn=(columns, shown))


@index.command()
@click.argument("before", default="")
@click.argument("after")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def diff(before: str, after: str, form: str) -> None:
    """Why two editions differ, in points of data, method, weights and map. BEFORE may be '' for the shipped one.

    An edition is KEY=VALUE, joined by commas: facts (a folder), china, normalisation, mean, weights, map.

    \b
    Example:
      tidegate index diff '' china=national
      tidegate index diff mean=geometric china=national,map=north-africa-in-mena-2026
    """
    from tidegate.index.regional import build as made
    from tidegate.index.regional_diff import CAUSES, compare, parse_edition

    changes = compare(parse_edition(before), parse_edition(after))
    columns = ["region", "before", "after", *CAUSES]
    rows: list[list[Cell]] = [[c.region, c.before, c.after, *(c.parts[cause] for cause in CAUSES)] for c in changes]
    shown = [
        [row[0], *(f"{float(x or 0):+.1f}" if n > 1 else f"{float(x or 0):.1f}" for n, x in enumerate(row[1:]))]
        for row in rows
    ]
    more = [f"Before: {before or 'as shipped'}. After: {after or 'as shipped'}. Parts by Shapley's rule; they add up."]
    show(made(), columns, rows, form, more=more, drawn=(columns, shown))


@index.command()
@choices
@click.option("--day", help="ISO day of the prices. Default: today (UTC).")
def implications(day: str | None, **options: Any) -> None:
    """What it means for a gateway: endpoints that may serve each region, price against income, and gaps.

    Endpoints are counted for every policy of routing, the shipped ones and those of your configuration: all that it
    permits, and of them those that process in the region alone. The table leaves out policies that ask for places
    elsewhere, and those that no endpoint meets.

    \b
    Example:
      tidegate index implications
      tidegate index implications --day 2026-11-01 --format json
    """
    from tidegate.catalog import load_catalog
    from tidegate.cli.index_policies import permits_and_served
    from tidegate.config import load_config
    from tidegate.index.implications import columns_of, concerns, read_basket, table_of
    from tidegate.index.implications import implications as joined

    made, form = built(options)
    today = day or datetime.datetime.now(datetime.UTC).date().isoformat()
    config = load_config()
    permits, served = permits_and_served(config, load_catalog([config.catalog_path]), today)
    found = joined(made, served, permits)
    rows = table_of(found)
    shown: list[list[Any]] = []
    for one, row in zip(found, rows, strict=True):
        meant = {permit.policy for permit in permits if concerns(permit, one.region, made.map)} | {one.offers[0].policy}
        counts = [f"{x.policy} {x.endpoints} ({x.local})" for x in one.offers if x.policy in meant and x.endpoints]
        share = "" if one.basket_share is None else f"{one.basket_share:.2%}"
        scores = [one.region, f"{one.index:.0f}", f"{one.low:.0f}-{one.high:.0f}"]
        shown.append([*scores, ", ".join(counts), share, row[-2], row[-1]])
    basket = read_basket()
    policies = "; ".join(f"{permit.policy}: {permit.says}" for permit in permits)
    more = [
        f"Endpoints that a policy permits; in brackets those that process in the region alone. {policies}.",
        f"Basket: {basket.input_tokens:,} input and {basket.output_tokens:,} output tokens a month at the median "
        f"model's cheapest list price of {today}, against GDP per person of working age and month.",
    ]
    drawn = (["region", "index", "90 %", "endpoints", "basket", "local providers", "gaps"], shown)
    show(made, columns_of(permits), rows, form, more=more, drawn=drawn)


index.add_command(own)
