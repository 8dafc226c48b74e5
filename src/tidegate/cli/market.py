"""`tidegate market`: published claims, what is wrong in them, the series they carry and a forecast that is scored."""

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegate.cli.tables import Cell, print_table, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidegate.market.claim import Claim
    from tidegate.market.finding import Finding
    from tidegate.market.series import Series

FILES = click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
FORM = click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
CORRECTIONS = click.option(
    "--corrections",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV of corrections (claim_id, field, seen, proposed, why, by, at); the claims stay as they are.",
)
BRIDGE = click.option(
    "--bridge",
    "bridges",
    multiple=True,
    metavar="SCOPE=SCOPE",
    help="Take one scope to be another (again for more).",
)
POINT_COLUMNS = ("series", "day", "per_day", "low", "high", "multiple", "doubling_days", "claims")
FORECAST_COLUMNS = (
    "series",
    "unit",
    "day",
    "value",
    "low",
    "high",
    "level",
    "method",
    "points",
    "last_day",
    "last_claims",
)
SCORE_COLUMNS = (
    "series",
    "day",
    "published",
    "value",
    "low",
    "high",
    "inside",
    "log_error",
    "interval_score",
    "claims",
)


@click.group()
def market() -> None:
    """The market book: published claims, never edited, checked with the arithmetic shown.

    FILE is a CSV of claims; without one, the book that comes with the package.

    \b
    Example:
      tidegate market check claims.csv
      tidegate market series
      tidegate market forecast doubao
    """


def claims_of(files: "Sequence[Path]") -> "tuple[Claim, ...]":
    """The claims of the files, or the shipped book; says on stderr what was read."""
    from tidegate.market.book import read_claims, shipped_claims

    claims = read_claims(files) if files else shipped_claims()
    sources = len({claim.source_id for claim in claims if claim.source_id})
    newest = max((claim.retrieved_at for claim in claims if claim.retrieved_at), default="not said")
    click.echo(f"{len(claims)} claims of {sources} sources; last retrieved {newest}.", err=True)
    return claims


@market.command()
@FILES
@click.option("--evidence/--no-evidence", default=True, show_default=True, help="Hold FILE against the shipped claims.")
@click.option("--alarms", is_flag=True, help="Only what fails or is flagged.")
@FORM
def check(files: tuple[Path, ...], evidence: bool, alarms: bool, form: str) -> None:
    """Check claims: scale, period, growth, shares, scope, basis, dates, looks; a reading is proposed, nothing changed.

    \b
    Example:
      tidegate market check claims.csv
      tidegate market check claims.csv --alarms --format json
    """
    from tidegate.market.book import shipped_claims
    from tidegate.market.check import NEED_A_READER, check_claims

    claims = claims_of(files)
    found = check_claims(claims, shipped_claims(documents=False) if evidence and files else ())
    _print_findings([one for one in found if one.is_alarm or not alarms], form)
    click.echo(
        f"{sum(one.is_alarm for one in found)} alarms of {len(found)} findings. Left to a reader: "
        f"{'; '.join(NEED_A_READER.values())}.",
        err=True,
    )


@market.command()
@FILES
@FORM
def conflicts(files: tuple[Path, ...], form: str) -> None:
    """Where sources disagree on one key, or look as if they spoke of one thing and do not.

    \b
    Example:
      tidegate market conflicts mine.csv theirs.csv
    """
    from tidegate.market.check import check_claims

    kinds = ("conflict", "scope_mismatch", "boundary", "rounding", "basis_conflict", "date_conflict", "contradiction")
    _print_findings([one for one in check_claims(claims_of(files)) if one.kind in kinds and one.is_alarm], form)


def _print_findings(found: "Iterable[Finding]", form: str) -> None:
    if form == "table":
        for one in found:
            told = [f"{one.verdict:<14} {one.kind}  {', '.join(one.claims)}", f"  {one.test}"]
            told += [f"  expected {one.expected}; found {one.found}"] if one.expected else [f"  {one.found}"]
            told += [f"  reading: {one.reading}"] if one.reading else []
            sys.stdout.write("".join(f"{printable(line)}\n" for line in told) + "\n")
        return
    rows: list[list[Cell]] = [
        [one.kind, one.verdict, ";".join(one.claims), one.test, one.expected, one.found, one.reading] for one in found
    ]
    print_table(("kind", "verdict", "claims", "test", "expected", "found", "reading"), rows, form)


def _print_by_series(columns: "Sequence[str]", rows: "Iterable[list[Cell]]", form: str) -> None:
    """As print_table; on a terminal each series under its own title, and figures in powers of a thousand."""
    listed = list(rows)
    if form != "table":
        print_table(columns, listed, form)
        return
    for title in dict.fromkeys(str(row[0]) for row in listed):
        body = [[_readable(cell) for cell in row[1:]] for row in listed if row[0] == title]
        print_table(columns[1:], body, form, title=title)


def _readable(cell: "Cell") -> "Cell":
    """1.64e13 -> 16.4e12; small numbers as they are."""
    if not isinstance(cell, float) or not 1e6 <= abs(cell) < 1e300:
        return cell
    power = 3 * ((len(str(int(abs(cell)))) - 1) // 3)
    return f"{cell / 10**power:.4g}e{power}"


def _all_series(files: "Sequence[Path]", corrections: Path | None, bridges: "Sequence[str]") -> "tuple[Series, ...]":
    from tidegate.market.book import corrected, read_corrections
    from tidegate.market.claim import MarketError
    from tidegate.market.series import series_of

    claims = claims_of(files)
    if corrections:
        claims = corrected(claims, read_corrections(corrections))
    pairs = [bridge.partition("=")[::2] for bridge in bridges]
    if any(not all(pair) for pair in pairs):
        raise MarketError("--bridge takes SCOPE=SCOPE: the first is taken to be the second")
    return series_of(claims, bridges=dict(pairs))


@market.command()
@FILES
@click.option("--key", default="", help="Only series whose key holds this.")
@click.option("--changes", is_flag=True, help="Where growth bends, with dated events near by, instead of the points.")
@click.option("--at", "day", type=click.DateTime(["%Y-%m-%d"]), help="The value on this day, between two points.")
@click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw one series and its forecast: .svg, .png, .json.",
)
@CORRECTIONS
@BRIDGE
@FORM
def series(files: tuple[Path, ...], key: str, form: str, **options: object) -> None:
    """Series of rates per day from comparable claims only: same entity, measure, basis and scope.

    \b
    Example:
      tidegate market series --key doubao
      tidegate market series --key doubao --changes
      tidegate market series --key "china all models" --chart china.svg
    """
    from tidegate.market.series import find_series

    corrections, bridges = options["corrections"], options["bridges"]
    assert isinstance(bridges, tuple) and (corrections is None or isinstance(corrections, Path))
    found = [one for one in _all_series(files, corrections, bridges) if key.lower() in one.key]
    if options["changes"]:
        _print_changes(found, form)
    elif isinstance(day := options["day"], dt.datetime):
        _print_values(found, day.date(), form)
    else:
        _print_by_series(POINT_COLUMNS, [row for one in found for row in _point_rows(one)], form)
    if isinstance(chart := options["chart"], Path):
        from tidegate.report.claims_timeline import save_timeline

        save_timeline(find_series(found, key), chart, today=_today())


def _point_rows(one: "Series") -> "Iterable[list[Cell]]":
    for place, point in enumerate(one.points):
        step = one.steps[place - 1] if place else None
        yield [
            one.key,
            str(point.day),
            point.value,
            point.low,
            point.high,
            round(step.multiple, 4) if step else None,
            round(step.doubling_days, 1) if step and step.doubling_days else None,
            ";".join(point.claims),
        ]


def _print_changes(found: "Iterable[Series]", form: str) -> None:
    from tidegate.market.change_points import POINTS_MIN, change_points, shipped_events

    rows: list[list[Cell]] = []
    for one in found:
        if len(one.points) < POINTS_MIN:
            click.echo(f"{one.key}: {len(one.points)} points; change points need {POINTS_MIN}.", err=True)
            continue
        rows += [
            [one.key, str(bend.day), round(bend.growth_before, 4), round(bend.growth_after, 4), "; ".join(bend.events)]
            for bend in change_points(one, shipped_events())
        ]
    _print_by_series(("series", "day", "growth_30d_before", "growth_30d_after", "events_near"), rows, form)


def _print_values(found: "Iterable[Series]", day: dt.date, form: str) -> None:
    from tidegate.market.claim import MarketError
    from tidegate.market.series import value_at

    rows: list[list[Cell]] = []
    for one in found:
        try:
            rows.append([one.key, str(day), *value_at(one, day)])
        except MarketError as error:
            click.echo(str(error), err=True)
    _print_by_series(("series", "day", "per_day", "low", "high"), rows, form)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@market.command()
@click.argument("key")
@FILES
@click.option("--at", "day", type=click.DateTime(["%Y-%m-%d"]), help="For this day. Default: one median step ahead.")
@click.option("--level", type=float, default=0.9, show_default=True, help="Probability that the interval is to hold.")
@click.option("--keep", "kept_path", type=click.Path(path_type=Path, dir_okay=False), help="Append it to this file.")
@click.option(
    "--score",
    "score_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Score the forecasts of this file against what has been published since.",
)
@click.option("--walk", is_flag=True, help="What the method would have said before each point, and how it went.")
@CORRECTIONS
@BRIDGE
@FORM
def forecast(key: str, files: tuple[Path, ...], form: str, **options: object) -> None:
    """An interval for the next figure of a series, with its method; kept when made, scored when the figure is out.

    KEY is a part of a series' key that names one only.

    \b
    Example:
      tidegate market forecast doubao --keep forecasts.jsonl
      tidegate market forecast doubao --score forecasts.jsonl
    """
    from tidegate.market import forecast as law
    from tidegate.market.series import find_series

    corrections, bridges, level = options["corrections"], options["bridges"], options["level"]
    assert isinstance(bridges, tuple) and (corrections is None or isinstance(corrections, Path))
    assert isinstance(level, float)
    known = _all_series(files, corrections, bridges)
    one = find_series(known, key)
    if isinstance(path := options["score_path"], Path):
        _print_scores(law.score([made for made in law.kept(path) if made.key == one.key], known), form)
        return
    if options["walk"]:
        _print_scores(law.walk_forward(one, level=level), form)
        return
    day = options["day"]
    made = law.forecast(one, made_at=_today(), day=day.date() if isinstance(day, dt.datetime) else None, level=level)
    if isinstance(path := options["kept_path"], Path):
        law.keep(path, made)
    if form == "table":
        span = f"{made.level:.0%} interval {_readable(made.low)} to {_readable(made.high)}"
        sys.stdout.write(f"{printable(made.key)}\n  {made.day}: {_readable(made.value)} {made.unit}, {span}\n")
        claim = ", ".join(made.last_claims)
        sys.stdout.write(f"  {made.method} from {made.points} points, the last of {made.last_day} ({claim})\n")
        return
    told = (made.value, made.low, made.high, made.level, made.method, made.points, str(made.last_day))
    row: list[Cell] = [made.key, made.unit, str(made.day), *told, ";".join(made.last_claims)]
    print_table(FORECAST_COLUMNS, [row], form)


def _print_scores(scores: "Sequence[object]", form: str) -> None:
    from tidegate.market.forecast import Score

    rows: list[list[Cell]] = []
    for one in scores:
        assert isinstance(one, Score)
        told = (one.published, one.value, one.low, one.high, one.inside)
        errors = (round(one.log_error, 4), round(one.interval_score, 4))
        rows.append([one.key, str(one.day), *told, *errors, ";".join(one.claims)])
    _print_by_series(SCORE_COLUMNS, rows, form)
    inside = sum(bool(row[6]) for row in rows)
    click.echo(f"{inside} of {len(rows)} inside the interval.", err=True)


@market.command()
@FILES
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write into.")
@CORRECTIONS
def export(files: tuple[Path, ...], out: Path, corrections: Path | None) -> None:
    """Write the book as a Data Package with Table Schema, its findings and its provenance (PROV-JSON).

    \b
    Example:
      tidegate market export --out book
    """
    from tidegate.market.book import corrected, read_corrections
    from tidegate.market.check import check_claims
    from tidegate.market.export import export_book

    claims = claims_of(files)
    rows = read_corrections(corrections) if corrections else ()
    corrected(claims, rows)  # refuses one that names no claim, or saw another value
    for path in export_book(out, claims, check_claims(claims), rows):
        sys.stdout.write(f"{path}\n")
