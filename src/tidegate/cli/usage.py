"""`tidegate usage`: what providers' usage bodies come to, in counts and in money."""

import datetime
import sys
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import IO, TYPE_CHECKING, Any

import click
import msgspec

from tidegate.core.errors import TidegateError
from tidegate.core.hours import moment_us
from tidegate.core.money import format_usd

if TYPE_CHECKING:
    from tidegate.core.price import Price
    from tidegate.wire.usage_audit import Finding
    from tidegate.wire.usage_fields import UsageFields


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--provider", default="", help="Read every body as this provider's, e.g. openai.  [default: as expected]")
@click.option("--flavour", default="", help="Read every body as this flavour, e.g. chat, responses, default.")
@click.option(
    "--day",
    default="",
    help="Whose prices come first: a UTC day, at noon, or a minute of it, 2026-11-23T02:00Z.  [default: now]",
)
@click.option("--only-differences", is_flag=True, help="Print only bodies that differ from what their line expects.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def usage(file: IO[bytes], provider: str, flavour: str, day: str, only_differences: bool, form: str) -> None:
    """Read usage bodies, one JSON object a line, and print for each provider and flavour its counts and price.

    A line may say what it expects; the exit code is 1 where a count, or a price in nano-USD, is another. FILE may be -.

    \b
    Example:
      tidegate usage bodies.jsonl
      tidegate usage bodies.jsonl --provider deepseek --flavour chat
      tidegate usage bodies.jsonl --only-differences --format json
    """
    prices = _Prices(_moment(day))
    bodies = expected = readings = differing = differing_bodies = 0
    for number, findings in _findings(file, prices, provider, flavour):
        bodies += 1
        differs = sum(bool(finding.differences) for finding in findings)
        readings += len(findings)
        expected += sum(finding.is_expected for finding in findings)
        differing += differs
        differing_bodies += bool(differs)
        for finding in findings:
            if finding.differences or not only_differences:
                click.echo(_as_json(number, finding) if form == "json" else _as_text(number, finding))
    if not bodies:
        raise TidegateError(f"{getattr(file, 'name', '-')} holds no line; write one JSON object with a `body` a line")
    click.echo(
        f"{bodies} bodies, {readings} readings; {expected} with an expectation, {differing} differ "
        f"(in {differing_bodies} bodies); prices: {prices.source}",
        err=True,
    )
    if differing:
        sys.exit(1)


def _moment(day: str) -> datetime.datetime:
    """Raises TidegateError for a text that is no day and no minute."""
    if not day:
        return datetime.datetime.now(datetime.UTC)
    moment = datetime.datetime.fromtimestamp(moment_us(day) // 1_000_000, datetime.UTC)
    return moment if "T" in day else moment.replace(hour=12)


def _findings(file: IO[bytes], prices: "_Prices", provider: str, flavour: str) -> Iterator[tuple[int, "list[Finding]"]]:
    """Each line's number and findings. Raises TidegateError naming the line that cannot be read."""
    from tidegate.wire.usage_audit import audit, decode_line

    fields, name = load_fields(), getattr(file, "name", "-")
    for number, text in enumerate(file, 1):
        if text.strip():
            try:
                findings = audit(decode_line(text), fields, prices, provider, flavour)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TidegateError) as error:
                raise TidegateError(f"{name}, line {number}: {error}") from None
            yield number, findings


def load_fields() -> "UsageFields":
    """The shipped table of where providers write their counts."""
    from tidegate.wire.usage_fields import UsageFields

    text = resources.files("tidegate.data").joinpath("usage_fields.yml").read_bytes()
    return msgspec.yaml.decode(text, type=UsageFields)


class _Prices:
    """Dated prices of the price package; none at all where it is not installed."""

    def __init__(self, day: datetime.datetime) -> None:
        from importlib.metadata import PackageNotFoundError

        from tidegate.catalog import price_table

        self._table, self._day = price_table, day
        try:
            self.source = price_table.source()
        except PackageNotFoundError:
            self.source = "none, for want of a price package: pip install 'tidegate[prices]'"
        self._is_there = not self.source.startswith("none")

    def __call__(self, provider: str, model: str) -> "Sequence[Price]":
        return self._table.dated_prices(provider, model, self._day) if self._is_there else ()


def _as_text(number: int, finding: "Finding") -> str:
    place = f"{number}: {finding.provider}/{finding.flavour} {finding.model or '-'}"
    if finding.counts is None and not finding.differences:
        return f"{place}: not a body of this flavour"
    counts = " ".join(f"{name}={count}" for name, count in sorted((finding.counts or {}).items())) or "nothing used"
    charge = finding.charge
    price = f"${format_usd(charge.cost_nano_usd)} ({charge.price_id})" if charge else "no price"
    parts = [f"{place}: {counts}; {price}"]
    if finding.reported_nano_usd is not None:
        parts.append(f"the provider reports ${format_usd(finding.reported_nano_usd)}")
    parts += [finding.note] if finding.note else []
    parts += [f"DIFFERS: {difference}" for difference in finding.differences]
    return "; ".join(parts)


def _as_json(number: int, finding: "Finding") -> str:
    members: dict[str, Any] = {"line": number, **msgspec.to_builtins(finding)}
    return msgspec.json.encode(members).decode()
