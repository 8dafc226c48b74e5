"""Make the labelled set in data/labels from the hand-written parts in tools/labels: python tools/compose_prompts.py

Parts: one text file a category. `@path P` opens a path; below it, blocks of lines:
  @written LANG        prompts as they stand, one a line (`\\n` is a line break)
  @topics LANG         what prompts are about, separated by ` | `
  @frames LANG         requests with slots: {t} a topic of this path, {name} a value of `@slot name`
  @slot NAME           values for {NAME}, separated by ` | `, or one a line with `\\n`; known in this file
  @words LANG          words of the field, separated by commas: handfuls of them become words.jsonl, no prompts
common.txt holds frames that any topic of any path fits. Composed prompts say so (`origin: composed`, `frame`).
`held_out.txt` is not composed of anything and never trained on.
"""

import argparse
import json
import random
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from tidegate.catalog.task_paths import task_paths

PARTS = Path(__file__).parent / "labels"
OUT = Path(__file__).resolve().parent.parent / "src" / "tidegate" / "data" / "labels"
SEED = 20261122
USES_OF_TOPIC = 2.4  # prompts composed per topic (or 7 per frame, if that is more), within the bounds below
USES_OF_FRAME = 7
PROMPTS_MIN, PROMPTS_MAX = 30, 220  # composed, per path and language
USES_OF_WORD = 3
HANDFUL = (1, 2, 3, 4, 6)
COMMON_SHARE = 0.45  # of the composed prompts of a path that has frames of its own
SLOT = re.compile(r"\{([a-z_]+)\}")


@dataclass
class Part:
    """What one path has in one language."""

    written: list[str] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def read_parts(file: Path) -> tuple[dict[tuple[str, str], Part], dict[str, list[str]]]:
    """(path, language) to its part, and slot to its values."""
    parts: dict[tuple[str, str], Part] = {}
    slots: dict[str, list[str]] = {}
    path, kind, key = "", "", ""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("# "):
            continue
        if line.startswith("@"):
            kind, _, key = line[1:].partition(" ")
            if kind == "path":
                path = key
            elif kind not in {"written", "topics", "frames", "words", "slot"}:
                sys.exit(f"{file}, line {number}: block {kind!r}; known are path, written, topics, frames, words, slot")
            continue
        between = {"topics": " | ", "slot": " | ", "words": ", "}.get(kind)
        values = [value.strip() for value in line.split(between)] if between else [line]
        values = [value.replace("\\n", "\n") for value in values if value.strip()]
        if kind == "slot":
            slots.setdefault(key, []).extend(values)
        else:
            getattr(parts.setdefault((path, key), Part()), kind).extend(values)
    return parts, slots


def fill(frame: str, topic: str, slots: dict[str, list[str]], draw: random.Random) -> str:
    """The frame with every slot filled; a slot's value may have slots of its own."""
    text = frame
    for _ in range(3):
        text = SLOT.sub(lambda found: topic if found[1] == "t" else _value(found, slots, draw), text)
    return text


def _value(found: re.Match[str], slots: dict[str, list[str]], draw: random.Random) -> str:
    return draw.choice(slots[found[1]]) if found[1] in slots else found[0]


def messy(text: str, language: str, common: dict[str, list[str]], draw: random.Random) -> str:
    """As people type: sometimes a greeting, a wish at the end, no capitals, no full stop."""
    if draw.random() < 0.12 and (before := common.get(f"before_{language}")):
        text = f"{draw.choice(before)}{text}"
    if draw.random() < 0.16 and (after := common.get(f"after_{language}")):
        text = f"{text}{draw.choice(after)}"
    if draw.random() < 0.15 and "\n" not in text:
        text = text.lower()
    if draw.random() < 0.2:
        text = text.rstrip(".?!。？！")
    return text


def compose(
    path: str, language: str, part: Part, shared: Part, slots: dict[str, list[str]], draw: random.Random
) -> list[tuple[str, str]]:
    """(frame id, text), each text once: every topic about equally often, over frames of the path and common ones."""
    fitting = max(USES_OF_TOPIC * len(part.topics), USES_OF_FRAME * len(part.frames))
    wanted = round(min(max(fitting, PROMPTS_MIN), PROMPTS_MAX))
    found: dict[str, str] = {}
    topics: list[str] = []
    for _ in range(wanted * 4):
        if len(found) >= wanted or not (part.topics or part.frames):
            break
        if not topics:
            topics = [*part.topics] or [""]
            draw.shuffle(topics)
        topic = topics.pop()
        own = bool(part.frames) and (not part.topics or draw.random() >= COMMON_SHARE or not shared.frames)
        if not own and not shared.frames:
            continue
        pool = part.frames if own else shared.frames
        index = draw.randrange(len(pool))
        text = messy(fill(pool[index], topic, slots, draw), language, slots, draw)
        if SLOT.search(text) and not own:
            sys.exit(f"{path}: a slot is unknown in {text!r}; add `@slot`")
        found.setdefault(text.strip(), f"{path if own else 'common'} {language} {index}")
    return [(frame, text) for text, frame in found.items()]


def handfuls(words: list[str], language: str, draw: random.Random) -> list[str]:
    """Every word USES_OF_WORD times, a few together, in any order."""
    found = []
    for _ in range(USES_OF_WORD):
        left = [*dict.fromkeys(words)]
        draw.shuffle(left)
        while left:
            size = draw.choice(HANDFUL)
            taken, left = left[:size], left[size:]
            found.append((draw.choice(("", "，", "的")) if language in {"zh", "ja"} else " ").join(taken))
    return list(dict.fromkeys(found))


def rows_of(file: Path, common: tuple[dict[tuple[str, str], Part], dict[str, list[str]]]) -> list[dict[str, str]]:
    """All prompts of one file of parts, written ones first."""
    parts, slots = read_parts(file)
    rows: list[dict[str, str]] = []
    for (path, language), part in parts.items():
        draw = random.Random(f"{SEED} {path} {language}")
        head = {"category": task_paths().category_of(path), "google_path": path, "language": language}
        rows += [{**head, "origin": "written", "text": text} for text in dict.fromkeys(part.written)]
        shared = common[0].get(("", language), Part())
        rows += [{**head, "origin": "words", "text": text} for text in handfuls(part.words, language, draw)]
        composed = compose(path, language, part, shared, {**common[1], **slots}, draw)
        rows += [{**head, "origin": "composed", "frame": frame, "text": text} for frame, text in composed]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Compose the labelled prompts from their hand-written parts.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of prompts/, words.jsonl and held_out.jsonl")
    out = parser.parse_args().out
    (out / "prompts").mkdir(parents=True, exist_ok=True)
    common = read_parts(PARTS / "common.txt")
    files: dict[str, list[dict[str, str]]] = {}
    for file in sorted(PARTS.glob("*.txt")):
        if file.stem == "common":
            continue
        for row in rows_of(file, common):
            category = f"prompts/{row['category']}"
            name = {"held_out": "held_out", "lexicon": "words"}.get(file.stem, category)
            files.setdefault(name, []).append(row)
    for name, rows in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.jsonl").write_text(text, "utf-8")
    totals: dict[str, int] = {}
    for row in (row for name, rows in files.items() if name.startswith("prompts/") for row in rows):
        key = f"{row['category']} {row['language']}"
        totals[key] = totals.get(key, 0) + 1
    print(f"{sum(totals.values())} prompts: " + ", ".join(f"{name} {count}" for name, count in sorted(totals.items())))


if __name__ == "__main__":
    main()
