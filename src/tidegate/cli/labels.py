"""`tidegate labels`: what the labeller says, what it is worth, and how the running one fares."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from tidegate.cli import need_extra
from tidegate.cli.tables import Cell, print_table
from tidegate.config import load_config
from tidegate.core.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.labels.audit import Audit
    from tidegate.labels.labeller import Labelling
    from tidegate.labels.measure import Scores

Form = Literal["table", "json", "csv"]
MISTAKES_MAX = 12  # shown in a table
TEXT_CHARS_MAX = 70  # of a kept text in a table

format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
configured_option = click.option(
    "--configured", is_flag=True, help="Ask the labeller of [labels], which may be a model, not the local one."
)


@click.group()
def labels() -> None:
    """Language and task of sampled calls: what the labeller says, and what it is worth.

    \b
    Example:
      tidegate labels say "Prove that there are infinitely many primes"
      tidegate labels audit prompts.csv
      tidegate labels status
    """


@labels.command()
@click.argument("text")
@configured_option
@format_option
def say(text: str, configured: bool, form: Form) -> None:
    """Print language and task of TEXT, or of stdin for -. Nothing is kept.

    \b
    Example:
      tidegate labels say "用 Python 写一个快速排序"
      tidegate labels say - < prompt.txt
    """
    with _labeller(configured) as (label, name):
        found = label(sys.stdin.read() if text == "-" else text)
    rows: list[list[Cell]] = [["language", found.language, None]]
    rows += [["task", tag.path, tag.confidence_ppm] for tag in found.tags]
    print_table(["label", "value", "confidence_ppm"], rows, form)
    click.echo(f"labelled by {name}", err=True)


@labels.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sample", metavar="N", type=click.IntRange(1), help="Also draw N rows for a person to judge.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where that sheet goes.  [default: stdout]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@configured_option
@format_option
def audit(
    files: tuple[Path, ...], sample: int | None, out: Path | None, seed: int, configured: bool, form: Form
) -> None:
    """Hold the labeller against labelled FILES: F1 by class with interval, mistakes, calibration.

    A labelled file is CSV or JSON lines with `text` and any of `language`, `category`, `google_path`.

    \b
    Example:
      tidegate labels audit prompts.csv languages.jsonl
      tidegate labels audit prompts.csv --sample 100 --out judge.csv
    """
    from tidegate.labels.audit import audit as run_audit
    from tidegate.labels.audit import judging_sheet, read_trusted, to_judge
    from tidegate.labels.audit import say as say_all

    rows = read_trusted(files)
    with _labeller(configured) as (label, name):
        said = say_all(rows, label, _show_progress)
    if sample is not None and out is None:
        sys.stdout.write(judging_sheet(to_judge(said, sample, seed=seed)))
        return
    _print_audit(run_audit(name, said), form)
    if sample is not None and out is not None:
        out.write_text(judging_sheet(to_judge(said, sample, seed=seed)), "utf-8")
        click.echo(f"{min(sample, len(said))} rows to judge in {out}: write yes or no in its last columns", err=True)


@labels.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@format_option
def judged(files: tuple[Path, ...], form: Form) -> None:
    """What the verdicts in judged FILES come to: the share of right labels among rows drawn at random, with interval.

    FILES are sheets of `labels audit --sample` whose last columns somebody has filled with yes or no.

    \b
    Example:
      tidegate labels judged judge.csv
    """
    from tidegate.labels.audit import read_verdicts

    verdicts = [(file.name, verdict) for file in files for verdict in read_verdicts(file)]
    print_table(
        ["sheet", "of", "judged", "right", "share", "low", "high"],
        [[name, v.of, v.judged, v.right, _share(v.share), _share(v.low), _share(v.high)] for name, v in verdicts],
        form,
    )


@labels.command()
@click.option("--texts", metavar="N", type=click.IntRange(0), default=0, help="Show the newest N kept prompts.")
@format_option
def status(texts: int, form: Form) -> None:
    """How the running labeller fares: labels written, samples it could not label, and prompts kept for an audit.

    Prompts are kept only where `labels.audit_texts` is set, in the labeller's memory; they are printed here and nowhere
    else.

    \b
    Example:
      tidegate labels status
      tidegate labels status --texts 20 --format json
    """
    from tidegate.core.sample import SOCKET_NAME
    from tidegate.labels.ask import ask_report

    config = load_config()
    if not config.labelled_one_in:
        raise TidegateError("no tenant has opted in to labels: set label_one_in under [tenants.NAME]")
    report = ask_report(config.run_path / SOCKET_NAME, texts)
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    counts: list[list[Cell]] = [
        [report.labeller, report.labelled, report.silent, report.unreadable, report.failed, report.waiting]
    ]
    print_table(["labeller", "labelled", "silent", "unreadable", "failed", "waiting"], counts, form)
    if texts:
        shown: list[list[Cell]] = [
            [kept.generation_id, kept.language, kept.tags[0][0] if kept.tags else None, _short(kept.text)]
            for kept in report.texts
        ]
        print_table(["call", "language", "task", "text"], shown, form)
        if not config.labels.audit_texts:
            click.echo("labels.audit_texts is 0: no prompt is kept", err=True)


@labels.command()
@click.option("--labels", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Labelled set.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The weights file to write."
)
def train(folder: Path | None, out: Path) -> None:
    """Make the task weights anew from a labelled set (by default the shipped one), seeded: the same file every time.

    \b
    Example:
      tidegate labels train --out tasks.npz
    """
    need_extra("study")
    from tidegate.labels.labelled import held_out_prompts, labels_folder, training_prompts, vocabulary
    from tidegate.labels.train import train as run_train

    folder = folder or labels_folder()
    try:
        content = run_train([*training_prompts(folder), *vocabulary(folder)], held_out_prompts(folder))
    except ValueError as error:
        raise TidegateError(str(error)) from error
    out.write_bytes(content)
    click.echo(f"{out}: {len(content):,} bytes", err=True)


@contextmanager
def _labeller(configured: bool) -> "Iterator[tuple[Callable[[str], Labelling], str]]":
    """(what says a text's labels, its name). A text that a configured model fails on has none; how many is said."""
    need_extra("serve")
    import asyncio

    from tidegate.labels.labeller import LabellerFailed, Labelling, LocalLabeller
    from tidegate.labels.worker import labeller_of

    labeller = labeller_of(load_config()) if configured else LocalLabeller()
    failures: list[str] = []

    def label(text: str) -> Labelling:
        try:
            return runner.run(labeller.label(text))
        except LabellerFailed as error:
            failures.append(str(error))
            return Labelling(None, ())

    with asyncio.Runner() as runner:
        yield label, labeller.name
        runner.run(labeller.close())
    if failures:
        click.echo(f"{len(failures)} texts got no label, e.g.: {failures[-1]}", err=True)


def _show_progress(done: int, total: int) -> None:
    """A line on stderr that is overwritten, for people only."""
    if sys.stderr.isatty() and (done % 50 == 0 or done == total):
        click.echo(f"\rlabelling {done}/{total}", nl=done == total, err=True)


def _print_audit(found: "Audit", form: Form) -> None:
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    classes: list[list[Cell]] = []
    for of, scores in (("language", found.languages), ("task", found.tasks)):
        classes += _class_rows(of, scores)
    print_table(["of", "class", "rows", "precision", "recall", "f1"], classes, form)
    if form == "csv":
        return
    for of, scores in (("language", found.languages), ("task", found.tasks)):
        if scores is not None:
            click.echo(
                f"\n{of}: accuracy {scores.accuracy:.1%} of {scores.rows:,}; macro-F1 {scores.macro_f1:.3f} "
                f"({scores.low:.3f} to {scores.high:.3f}, 95 % bootstrap over rows)"
            )
            if of == "task" and scores.without_rows:
                click.echo(f"no rows for: {', '.join(scores.without_rows)}")
    if found.left_out:
        click.echo(f"left out, none of the twelve: {', '.join(f'{n} {name}' for name, n in found.left_out.items())}")
    mistakes: list[list[Cell]] = [["language", *pair] for pair in found.language_confusion[:MISTAKES_MAX]]
    mistakes += [["task", *pair] for pair in found.task_confusion[:MISTAKES_MAX]]
    if mistakes:
        click.echo()
        print_table(["mistake", "true", "said", "rows"], mistakes, form)
    if found.calibration_error is not None:
        click.echo()
        bins: list[list[Cell]] = [
            [f"{b.low:.1f} to {b.high:.1f}", b.rows, _share(b.mean_confidence), _share(b.share_right)]
            for b in found.calibration
        ]
        print_table(["confidence", "rows", "mean", "right"], bins, form)
        click.echo(f"expected calibration error {found.calibration_error:.3f}; labelled by {found.labeller}")


def _class_rows(of: str, scores: "Scores | None") -> list[list[Cell]]:
    if scores is None:
        return []
    return [[of, c.name, c.rows, _share(c.precision), _share(c.recall), _share(c.f1)] for c in scores.classes]


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARS_MAX else f"{line[: TEXT_CHARS_MAX - 1]}…"
