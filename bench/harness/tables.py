"""Tables from a result: the terminal's summary, docs/reference/bench.md and the README's block. Nothing is typed in."""

from collections.abc import Mapping
from pathlib import Path

from harness.record import BenchError, Claim, Result, Spread, ratio
from harness.targets import INTERPRETED, SUBJECT, Verdict, judge, measured
from harness.words import COMPARED, METRICS, SUBJECTS, UNITS, WORDS

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
REFERENCE = Path("docs/reference/bench.md")
READMES = {"en": Path("README.md"), "zh": Path("README.zh-CN.md")}


def figure(value: float) -> str:
    """Three significant digits or whole numbers: 12.3, 0.92, 33,415."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ranged(value: Spread, unit: str = "") -> str:
    """Median, and the range where there is one: `48.1 µs (45.2-52.7)`."""
    shown = figure(value.median) + unit
    if value.interval:
        return f"{shown} (95 %: {figure(value.interval[0])} to {figure(value.interval[1])})"
    return shown if len(value.samples) == 1 else f"{shown} ({figure(value.min)}-{figure(value.max)})"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def claim_table(claim: Claim) -> str:
    """One claim, a line a subject; `times nginx` is the median of the ratios of the same rounds."""
    metrics = [name for name in METRICS if any(name in series.metrics for series in claim.series.values())]
    main = metrics[0]
    floor = claim.series.get("nginx") if main in COMPARED else None
    compared = ("times nginx",) if floor else ()
    counted = (f"{claim.unit}s",) if any(series.count for series in claim.series.values()) else ()
    head = ("", *(METRICS[name] for name in metrics), *compared, *counted)
    rows: list[tuple[str, ...]] = []
    for subject in SUBJECTS:
        if subject in claim.missing:
            rows.append((SUBJECTS[subject], *("not measured",) * (len(head) - 1)))
        if subject not in claim.series:
            continue
        series = claim.series[subject]
        cells = [ranged(series.metrics[name]) if name in series.metrics else "" for name in metrics]
        times = ranged(ratio(series.metrics[main], floor.metrics[main])) if floor and main in series.metrics else ""
        rows.append((SUBJECTS[subject], *cells, *(times for _ in compared), *(f"{series.count:,}" for _ in counted)))
    return table(head, rows)


def verdict_rows(result: Result, words: Mapping[str, object]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for verdict in judge(result):
        target = verdict.target
        unit = " ×" if target.against else UNITS[target.metric]
        name = str(words[f"{target.claim} {target.metric} {target.against}".strip()])
        measured = ranged(verdict.value, unit) if verdict.value else str(words["not measured"])
        rows.append((name, f"≤ {target.limit:g}{unit}", measured, str(words[outcome(verdict)])))
    return rows


def outcome(verdict: Verdict) -> str:
    if verdict.value is None:
        return "not measured"
    return "met" if verdict.met else "not met"


def readme_block(result: Result, language: str) -> str:
    """The block between the README's markers, markers included."""
    words = WORDS[language]
    head = words["head"]
    assert isinstance(head, tuple)
    foot = str(words["foot"]).format(
        rounds=max(claim.rounds for claim in result.claims),
        cpu=result.machine.cpu,
        date=result.date[:10],
        name=result.name,
    )
    if interpreted := measured(result, "call_1k", "cpu_us", INTERPRETED):
        foot += str(words["compiled"]).format(interpreted=ranged(interpreted, " µs"))
    return f"{BEGIN}\n{table(head, verdict_rows(result, words))}\n{foot}\n{END}\n"


def reference(result: Result) -> str:
    """docs/reference/bench.md."""
    words = WORDS["en"]
    head = words["head"]
    assert isinstance(head, tuple)
    machine = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    parts = [
        "# Benchmarks\n",
        f"Rendered by `python bench/render.py` from `bench/results/{result.name}.json`; not edited by hand. "
        "`make bench` measures again, `python bench/run.py --help` tells how to measure a part.\n",
        f"Measured {result.date}, commit `{result.commit}`, in {result.seconds:.0f} s"
        f"{' (quick: few short rounds)' if result.quick else ''}. Machine: {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_mb:,} MB, Linux {machine.kernel}, load average {machine.load_before:g} before the run. "
        f"Versions: {versions}.\n",
        "## Targets\n",
        table(head, verdict_rows(result, words)),
        "## How\n",
        HOW,
    ]
    for claim in result.claims:
        built = f" Tidegate: {claim.builds[SUBJECT]}." if SUBJECT in claim.builds else ""
        parts += [f"## {claim.title}\n", f"{claim.conditions}. {claim.rounds} rounds.{built}\n", claim_table(claim)]
        parts += [f"Without {name}: {reason}\n" for name, reason in claim.missing.items()]
        if claim.checks:
            counts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in claim.checks.items())
            parts.append(f"Tidegate's ledger after the run, warm-up included: {counts}.\n")
    return "\n".join(parts)


HOW = """\
- Everything runs on loopback: load (wrk, or our stream readers), then the subject, then a provider that reads the whole
  request before it answers. Only the subject's processes are accounted: user and system time from `/proc`, all threads
  and children.
- CPU is divided by the calls that reached the provider in the round (events that reached the readers in the window).
- Answers are checked before anything is timed: status, and the reply byte by byte where it is passed through. Any reply
  that is not 2xx voids the run. Afterwards each acknowledged call must have exactly one outcome in Tidegate's journal.
- Subjects take turns, round by round, so that other work on the machine meets all of them; each gets one core. A
  cell is the median, with the smallest and the largest round in brackets. `times nginx` compares the same rounds.
- nginx only forwards. Tidegate, rolter, ferrogw and LiteLLM check a key and know the price of the model; Portkey's
  open gateway does neither. Logs of all are off, but Tidegate's journal (an intent and an outcome a call) is on.
- Peers are installed by `make peers`, each in an environment of its own at a pinned version. Those that keep up with
  the load are in most tables; Portkey and LiteLLM in that of small calls only.
"""


def publish(result: Result, repository: Path) -> list[Path]:
    """Write the reference page, and the block of each README that has the markers; the paths written."""
    written = []
    for path, text in _texts(result, repository).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def stale(result: Result, repository: Path) -> list[Path]:
    """Rendered texts that do not show this result."""
    texts = _texts(result, repository)
    return [path for path, text in texts.items() if not path.is_file() or path.read_text("utf-8") != text]


def _texts(result: Result, repository: Path) -> dict[Path, str]:
    texts = {repository / REFERENCE: reference(result)}
    for language, name in READMES.items():
        path = repository / name
        if path.is_file() and BEGIN in (old := path.read_text("utf-8")):
            texts[path] = replaced(old, readme_block(result, language), name)
    return texts


def replaced(text: str, block: str, name: Path) -> str:
    """The text with what stands between the markers replaced."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise BenchError(f"{name} has {BEGIN} without {END}; put both, each on its own line")
    return before + block.rstrip("\n") + after


def summary(result: Result) -> str:
    """What `run.py` prints."""
    parts = []
    for claim in result.claims:
        parts.append(f"{claim.title}\n\n{claim_table(claim)}")
    for verdict in judge(result):
        if verdict.target.claim not in {claim.name for claim in result.claims}:
            continue
        measured = f"{ranged(verdict.value)}:" if verdict.value else "so far"
        parts.append(f"{verdict.target.words}: at most {verdict.target.limit:g}; {measured} {outcome(verdict)}\n")
    return "\n".join(parts)
