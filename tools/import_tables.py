"""The table of import formats for the reference: name, what it brings, what the files are, where they are described."""

from tidegate.ledger.imports import FORMATS

BRINGS = {"calls": "rows", "daily": "`daily_usage`", "series": "`series`"}


def render() -> str:
    """One line a format, in the order of the command's help; names link to the mapper."""
    lines = ["| format | brings | files | described in |", "| --- | --- | --- | --- |"]
    for name, known in FORMATS.items():
        mapper = f"[`{name}`](../../src/tidegate/ledger/imports/{known.module}.py)"
        source = f"<{known.source}>" if known.source.startswith("http") else "this page"
        lines.append(f"| {mapper} | {BRINGS[known.brings]} | {known.text} | {source} |")
    return "\n".join(lines)
