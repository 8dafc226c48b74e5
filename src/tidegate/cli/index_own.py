"""`tidegate index own`: an index of one's own, from a framework, a table and a plan in files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.tables import Cell, print_table

if TYPE_CHECKING:
    from tidegate.index.chain import Built, Plan
    from tidegate.index.choices import Choice
    from tidegate.index.framework import Framework

WEIGHTS_ALONE = "each weight drawn within 25 percent of its own; methods and errors of the data are not in it (--vary)"
OPTIONS_SHOWN = 8
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("framework", type=FILE)
@click.argument("table", type=FILE)
@click.option("--plan", type=FILE, help="What is done, as YAML; default: screen, treat, min-max, weighted mean.")
@click.option("--sizes", type=FILE, help="A table of denominators and bases; default: columns of TABLE.")
@click.option("--unit", default="unit", show_default=True, help="The column with the codes of units.")
@click.option("--labels", help="A column of TABLE by which gaps are filled (`impute: group_mean`).")
@click.option("--map", "region_map", help="A region map for the step `regions`: a name, or a file regions-NAME.csv.")
@click.option("--vary", "others", type=FILE, help="What else each step could be, as YAML; default: weights alone.")
@click.option("--runs", type=click.IntRange(1), default=1000, show_default=True, help="Runs behind the intervals.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the runs.")
@click.option("--form", "--format", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def own(  # noqa: PLR0913
    framework: Path,
    table: Path,
    plan: Path | None,
    sizes: Path | None,
    unit: str,
    labels: str | None,
    region_map: str | None,
    others: Path | None,
    runs: int,
    seed: int,
    form: str,
) -> None:
    """An index of your own: FRAMEWORK (YAML) on TABLE (CSV, a row a unit).

    Cells are numbers, `1 .. 3`, `< 2`, or empty where nothing is known. What each step did is said on stderr.

    \b
    Example:
      tidegate index own framework.yml countries.csv --plan plan.yml --format csv
    """
    from tidegate.cli import need_extra

    need_extra("study")
    from tidegate.index.alternatives import model_of, read_alternatives
    from tidegate.index.chain import Given, Plan, build, interval, read_plan, weighed
    from tidegate.index.evidence import read_map
    from tidegate.index.framework import read_framework
    from tidegate.index.table import IMPUTED
    from tidegate.index.tables import read_labels, read_table
    from tidegate.index.uncertainty import vary

    made, chosen = read_framework(framework), read_plan(plan) if plan else Plan()
    columns = [size.code for size in made.sizes]
    given = Given(
        sizes=read_table(sizes or table, columns, unit) if columns else None,
        labels=read_labels(table, labels, unit) if labels else None,
        region_map=read_map(*map_place(region_map)) if region_map else None,
    )
    raw = read_table(table, weighed(made, chosen)[0].indicators, unit)
    built = build(made, raw, chosen, given)
    first: list[float] | None = None
    if others:
        model, _ = model_of(made, raw, chosen, read_alternatives(others), given)
        found = vary(model, runs, seed)
        low, high, first = found.score.low, found.score.high, found.rank_probability[:, 0].tolist()
        of = f"over {runs} runs: {'; '.join(varied(choice) for choice in model.factors)}"
    else:
        low, high = interval(built, made, chosen, runs=runs, seed=seed)
        of = WEIGHTS_ALONE
    for note in notes(made, chosen, built, of):
        click.echo(note, err=True)
    groups = [code for code in built.codes if code not in made.codes][:-1]
    last = built.stages[-2].table
    present = 1 - (last.missing | ((last.marks & IMPUTED) > 0)).mean(axis=1)
    rows: list[list[Cell]] = []
    for n in sorted(range(len(built.units)), key=lambda n: (built.ranks[n] != built.ranks[n], built.ranks[n])):
        index = built.scores[n, -1] if built.leader is None else built.leader[n]
        scores = [index, low[n], high[n], *([first[n]] if first else []), *(built.of(code)[n] for code in groups)]
        rank = None if built.ranks[n] != built.ranks[n] else int(built.ranks[n])
        rows.append([rank, built.units[n], *(shown(float(x)) for x in scores), shown(float(present[n]))])
    heads = ["rank", "unit", "index", "low_90", "high_90", *(["first"] if first else []), *groups, "present"]
    print_table(heads, rows, form, title=made.name)


def map_place(name: str) -> tuple[str] | tuple[str, Path]:
    """Name, and folder where it was given as a file, of a region map."""
    file = Path(name)
    return (file.stem.removeprefix("regions-"), file.parent) if file.suffix == ".csv" else (name,)


def varied(choice: "Choice") -> str:
    """A factor and what it may be; only how many where they are numbered."""
    many = len(choice.options) > OPTIONS_SHOWN
    return f"{choice.factor} ({len(choice.options) if many else ', '.join(choice.options)})"


def shown(number: float) -> float | None:
    """Six significant digits; None where there is no number."""
    return None if number != number else float(f"{number:.6g}")


def notes(made: "Framework", plan: "Plan", built: "Built", of: str) -> list[str]:
    """Vintages, absent groups, what the steps did, and what the interval is of."""
    weights = made.effective_weights()
    absent = [f"{group.code} ({weights[group.code]:.0%} of the weight)" for group in made.groups if group.absent]
    periods = sorted({i.vintage.period for i in made.indicators if i.vintage.period})
    said = [f"{stage.step}: {line}" for stage in built.stages for line in stage.said]
    return [
        f"framework {made.name} {made.version}".rstrip(),
        f"vintages: {', '.join(periods) or 'not stated'}",
        f"absent: {', '.join(absent) or 'none'}",
        *said,
        f"aggregation: {', '.join(plan.aggregation)}",
        f"low_90, high_90: {of}",
    ]
