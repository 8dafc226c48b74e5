"""Draws the README's picture, call -> row -> figure, from a real run.

python tools/picture.py            make a real call of the local model in a fresh home, then draw
python tools/picture.py --redraw   draw again from docs/images/call-row-figure.json, the record of the last run

The call and its row are those of `tidegate up --model local --exit-after-call`; the figure is `country_lead` on the
public series that comes with Tidegate, as `tidegate report` draws it. Four files: light and dark, wide and narrow.
"""

import argparse
import html
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import msgspec

from tidegate.catalog import load_catalog
from tidegate.core.money import format_usd
from tidegate.report.charts import vega_lite
from tidegate.report.theme import FONT, config
from tidegate.study.facts import open_facts
from tidegate.study.figures import run_figures
from tidegate.study.params import Params
from tidegate.study.result import Result

IMAGES = Path(__file__).parent.parent / "docs" / "images"
RECORD = IMAGES / "call-row-figure.json"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
PAD, LINE, TITLE = 16, 18, 30
GROUNDS = {
    "light": {"page": "#ffffff", "card": "#f6f8fa", "edge": "#d0d7de", "text": "#1d2733", "quiet": "#5b6876"},
    "dark": {"page": "#0d1117", "card": "#161b22", "edge": "#30363d", "text": "#e6edf3", "quiet": "#9fb0c0"},
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one real run showed. Money in nano-USD, `overhead_us` in microseconds. `compared`: the line that follows."""

    asked: str
    answer: str
    client: str
    compared: str
    head: str
    generation_id: str
    ts: str
    served: str
    route_reason: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    cost_basis: str
    price_id: str
    overhead_us: int


class _Row(msgspec.Struct):
    generation_id: str
    ts: int
    response_model: str
    provider_name: str
    route_reason: str
    usage_input_tokens: int
    usage_output_tokens: int
    cost_nano_usd: int
    cost_basis: str
    price_id: str
    overhead_us: int


def make_run() -> Run:
    """Start everything in a fresh home, call the local model once, stop, verify; raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "TIDEGATE_HOME": home, "TIDEGATE_GATEWAY_PORT": "0"}

        def tidegate(*arguments: str) -> str:
            command = [sys.executable, "-m", "tidegate", *arguments]
            return subprocess.run(command, env=environ, cwd=home, check=True, stdout=subprocess.PIPE, text=True).stdout

        said = tidegate("up", "--model", "local", "--exit-after-call")
        tidegate("ledger", "export", "--format", "jsonl", "--out", f"{home}/rows.jsonl")
        row = msgspec.json.decode(Path(home, "rows.jsonl").read_text("utf-8").splitlines()[0], type=_Row)
        verified = tidegate("ledger", "verify")
    heard = dict(re.findall(r"^  (asked|answer|client) +(.+)$", said, flags=re.MULTILINE))
    compared = re.search(r"list price of (\S+) .* would cost (USD [\d.]+\d)\.", said)
    head = re.search(r"head ([0-9a-f]{64})", verified)
    assert compared and head, "the commands no longer print what this reads"
    return Run(
        asked=heard["asked"],
        answer=heard["answer"],
        client=heard["client"].partition(",")[0],
        compared=f"{compared[2]} at the list price of {compared[1]}",
        head=head[1],
        generation_id=row.generation_id,
        ts=str(row.ts),
        served=f"{row.response_model} by {row.provider_name}",
        route_reason=row.route_reason,
        input_tokens=row.usage_input_tokens,
        output_tokens=row.usage_output_tokens,
        cost_nano_usd=row.cost_nano_usd,
        cost_basis=row.cost_basis,
        price_id=row.price_id,
        overhead_us=row.overhead_us,
    )


def public_figure() -> Result:
    """`country_lead` on the shipped series."""
    outcome = run_figures(open_facts(None, load_catalog([]), shipped=True), ("country_lead",), Params())
    (result,) = outcome.results
    return result


def chart(result: Result, ground: str, width: int, height: int) -> tuple[str, float, float]:
    """The report's chart as an SVG fragment of about this size, with its width and height."""
    import vl_convert

    theme = config(ground)
    theme["legend"] = {**theme["legend"], "columns": 2, "labelFontSize": 11, "symbolSize": 80}
    theme["axis"] = {**theme["axis"], "labelFontSize": 11, "titleFontSize": 11}
    spec = {**vega_lite(result), "width": width, "height": height, "config": theme}
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    svg = str(vl_convert.vegalite_to_svg(spec))
    size = re.search(r'width="([\d.]+)" height="([\d.]+)" viewBox', svg)
    assert size, "the renderer no longer states the size of its drawing"
    return svg, float(size[1]), float(size[2])


class Card:
    """A box with a numbered title and lines of text; `lines` are (style class, text)."""

    def __init__(self, title: str, lines: list[tuple[str, str]]) -> None:
        self.title, self.lines = title, lines

    def draw(self, x: int, y: int, width: int, height: int) -> str:
        parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" class="card"/>']
        parts.append(f'<text x="{x + PAD}" y="{y + TITLE - 6}" class="title">{html.escape(self.title)}</text>')
        for number, (style, text) in enumerate(self.lines):
            at = y + TITLE + LINE * (number + 1) - 4
            if text:
                parts.append(f'<text x="{x + PAD}" y="{at}" class="{style}">{html.escape(text)}</text>')
        return "\n".join(parts)

    @property
    def height(self) -> int:
        return TITLE + LINE * len(self.lines) + PAD


def cards(run: Run, columns: int) -> tuple[Card, Card]:
    """The call and its row, wrapped to so many characters."""
    call = [("quiet", f"{run.client}, unchanged")]
    for name, text in (("asked", run.asked), ("answered", run.answer)):
        call += [("", ""), ("quiet", name), *(("text", line) for line in textwrap.wrap(text, columns - 6))]
    row = [
        ("generation_id", f"{run.generation_id[:18]}…"),
        ("served", run.served.split(" by ")[0]),
        ("route_reason", run.route_reason),
        ("tokens", f"{run.input_tokens} in, {run.output_tokens} out"),
        ("cost", f"USD {format_usd(run.cost_nano_usd, places_min=9)}"),
        ("cost_basis", run.cost_basis),
        ("overhead_us", str(run.overhead_us)),
        ("sealed, head", f"{run.head[:16]}…"),
    ]
    lines = [("mono", f"{name:<14}{value}") for name, value in row]
    lines += [("", ""), *(("quiet", line) for line in textwrap.wrap(f"not charged, to compare: {run.compared}", 42))]
    return Card("1  call", call), Card("2  row", lines)


def draw(run: Run, result: Result, ground: str, *, wide: bool) -> str:
    """One picture. Wide: three cards side by side; narrow: one above the other."""
    colours = GROUNDS[ground]
    call, row = cards(run, 36 if wide else 50)
    figure = Card("3  figure: Chinese and US models", [])
    first, _, last = result.window.partition(":")
    source = f"Source: OpenRouter (openrouter.ai/rankings), {first[:7]} to {last[:7]}"
    if wide:
        width, height, box = 1000, 300, 392
        svg, w, _ = chart(result, ground, box - 2 * PAD, height - TITLE - 34)
        places = [(call, 0, 0, 246, height), (row, 270, 0, 314, height), (figure, width - box, 0, box, height)]
        arrows = [(258, height // 2, 0), (596, height // 2, 0)]
    else:
        width, gap, box = 400, 26, 400
        svg, w, _ = chart(result, ground, box - 2 * PAD, 270)
        tops = [0, call.height + gap, call.height + row.height + 2 * gap]
        figure_height = TITLE + 270 + 34
        places = [
            (call, 0, tops[0], width, call.height),
            (row, 0, tops[1], width, row.height),
            (figure, 0, tops[2], width, figure_height),
        ]
        height = tops[2] + figure_height
        arrows = [(200, tops[1] - gap // 2, 90), (200, tops[2] - gap // 2, 90)]
    _, x, y, card_width, card_height = places[2]
    parts = [card.draw(left, top, wide_, high) for card, left, top, wide_, high in places]
    parts += [
        f'<path d="M-5,-6 L5,0 L-5,6 Z" class="arrow" transform="translate({ax},{ay}) rotate({turn})"/>'
        for ax, ay, turn in arrows
    ]
    parts.append(f'<g transform="translate({x + (card_width - w) / 2:.0f},{y + TITLE + 4})">{svg}</g>')
    parts.append(f'<text x="{x + PAD}" y="{y + card_height - 12}" class="small">{source}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title"><title id="title">{html.escape(described(run))}</title>\n'
        f"<style>{style(colours)}</style>\n"
        f'<rect width="{width}" height="{height}" fill="{colours["page"]}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def described(run: Run) -> str:
    return (
        f"A call ({run.asked} {run.answer}) becomes a row ({run.input_tokens} tokens in, {run.output_tokens} out, "
        f"USD {format_usd(run.cost_nano_usd, places_min=9)}), and rows become figures: weekly tokens of Chinese and of "
        "US models."
    )


def style(colours: dict[str, str]) -> str:
    return (
        f".card{{fill:{colours['card']};stroke:{colours['edge']}}}.arrow{{fill:{colours['quiet']}}}"
        f".title{{font:600 13px {FONT};fill:{colours['text']}}}.text{{font:13px {FONT};fill:{colours['text']}}}"
        f".mono{{font:11.5px {MONO};fill:{colours['text']};white-space:pre}}"
        f".quiet{{font:12px {FONT};fill:{colours['quiet']}}}.small{{font:10.5px {FONT};fill:{colours['quiet']}}}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redraw", action="store_true", help="make no call: draw the recorded run again")
    if parser.parse_args().redraw:
        run = msgspec.json.decode(RECORD.read_bytes(), type=Run)
    else:
        run = make_run()
        RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    result = public_figure()
    for ground in GROUNDS:
        for wide in (True, False):
            name = "call-row-figure" + ("" if wide else "-narrow") + ("" if ground == "light" else "-dark") + ".svg"
            (IMAGES / name).write_text(draw(run, result, ground, wide=wide), "utf-8")
            print(f"docs/images/{name}")


if __name__ == "__main__":
    main()
