"""The labelled prompts: JSONL, one a line, written or composed by us (`data/labels/README.md`), and nothing else's."""

import hashlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.catalog.task_paths import task_paths


class LabelledPrompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One prompt and what it asks for.

    origin: `written` as it stands, or `composed` of a frame and its slots; `words` is a handful of a field's words, no
    prompt at all. frame: which frame, so that a split can keep
    all its prompts on one side; empty for a written one.
    """

    category: str
    google_path: str
    language: str
    origin: Literal["written", "composed", "words"]
    frame: str = ""
    text: str

    def __post_init__(self) -> None:
        means = task_paths().category_of(self.google_path)
        if means != self.category:
            raise ValueError(f"{self.google_path} means {means}, not {self.category}; see data/task_paths.yml")
        if not self.text.strip():
            raise ValueError(f"a prompt of {self.google_path} is empty; write it or leave the line out")


def read_prompts(files: Iterable[Path]) -> list[LabelledPrompt]:
    """Every prompt of these files, in their order. An error names file and line."""
    found = []
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            try:
                found.append(msgspec.json.decode(line, type=LabelledPrompt))
            except msgspec.MsgspecError as error:
                raise ValueError(f"{file}, line {number}: {error}") from error
    return found


def training_prompts(folder: Path | None = None) -> list[LabelledPrompt]:
    """What the classifier learns from."""
    return read_prompts(sorted(((folder or labels_folder()) / "prompts").glob("*.jsonl")))


def vocabulary(folder: Path | None = None) -> list[LabelledPrompt]:
    """Handfuls of words, learned from beside the prompts: what a few hundred prompts cannot name, a word list can."""
    return _read_if_there((folder or labels_folder()) / "words.jsonl")


def held_out_prompts(folder: Path | None = None) -> list[LabelledPrompt]:
    """What it never learns from: prompts written apart, to choose settings and the temperature by."""
    return _read_if_there((folder or labels_folder()) / "held_out.jsonl")


def _read_if_there(file: Path) -> list[LabelledPrompt]:
    """A set of one's own may do without word lists, and without prompts held out."""
    return read_prompts([file]) if file.is_file() else []


def labels_folder() -> Path:
    """Where the shipped set lies; as a package it is always a real folder, never inside an archive."""
    return Path(str(resources.files("tidegate"))) / "data" / "labels"


def digest(prompts: Iterable[LabelledPrompt]) -> str:
    """SHA-256 of the prompts and their labels, whatever file they came from."""
    hashed = hashlib.sha256()
    for prompt in prompts:
        hashed.update(msgspec.json.encode(prompt) + b"\n")
    return hashed.hexdigest()
