"""Checks the manifest's chain from its newest end: HEAD vouches for the last entry, each entry for the one before.

Entries are looked up by hash, not by name, so swapped ones are told from changed ones.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.manifest import HEAD_NAME, Entry, Head, Manifest, digest, encode_entry

_ENTRY_NAME: Final = re.compile(r"\d{8}\.json")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a ledger that is not as it was sealed.

    `path`: below the ledger. `problem`: one word, e.g. `changed`, `missing`, `swapped`, `orphan`, `behind`.
    """

    path: str
    problem: str
    expected: str
    seen: str


class Chain(msgspec.Struct, kw_only=True):
    """What the manifest says, as far as it can be read, and what is wrong with it. `head`: SHA-256 or empty."""

    head: str
    entries: list[Entry]
    findings: list[Finding]


def entry_name(number: int) -> str:
    """An entry's path below the ledger."""
    return f"manifest/{number:08d}.json"


def check_chain(manifest: Manifest) -> Chain:
    """Read every entry and HEAD, and name what does not fit. Reads no Parquet."""
    contents = _contents(manifest.directory)
    findings = _strangers(manifest.directory)
    head = _read_head(manifest, findings)
    newest = max([head.number if head else 0, *contents])
    walk = _Walk(contents, findings)
    expected: str | None = None
    for number in range(newest, 0, -1):
        if head is not None and number == head.number:
            expected = head.sha256
        expected = walk.step(number, expected, vouched_by=_voucher(number, head))
    if head is not None and head.number == 0:
        expected = head.sha256 if newest == 0 else expected
    if expected is not None and expected != manifest.genesis:
        findings.append(
            Finding(
                path="ledger.json",
                problem="changed",
                expected=f"sha256 {expected}, where the chain begins",
                seen=f"sha256 {manifest.genesis}",
            )
        )
    if head is not None and head.number < newest:
        findings.append(
            Finding(
                path=f"manifest/{HEAD_NAME}",
                problem="behind",
                expected=f"entry {newest}, the newest there is",
                seen=f"entry {head.number}; after a crash `tidegate ledger seal` mends it, else entries were added",
            )
        )
    return Chain(head=head.sha256 if head else "", entries=walk.entries[::-1], findings=findings)


def _voucher(number: int, head: Head | None) -> str:
    return f"manifest/{HEAD_NAME}" if head is not None and number == head.number else entry_name(number + 1)


def _contents(directory: Path) -> dict[int, bytes]:
    """Entries by number; what stands under such a name and is no file is none (`_strangers` names it)."""
    try:
        return {
            int(path.stem): path.read_bytes()
            for path in directory.iterdir()
            if _ENTRY_NAME.fullmatch(path.name) and path.is_file()
        }
    except OSError as error:
        name = error.filename or directory
        raise LedgerError(f"manifest {name} cannot be read: {error.strerror}") from error


def _strangers(directory: Path) -> list[Finding]:
    return [
        Finding(path=f"manifest/{path.name}", problem="orphan", expected="entries and HEAD only", seen="another file")
        for path in sorted(directory.iterdir())
        if not ((_ENTRY_NAME.fullmatch(path.name) and path.is_file()) or path.name == HEAD_NAME or path.name[0] == ".")
    ]


def _read_head(manifest: Manifest, findings: list[Finding]) -> Head | None:
    name = f"manifest/{HEAD_NAME}"
    try:
        head = manifest.read_head()
    except LedgerError as error:
        problem = "changed" if manifest.head_path.exists() else "missing"
        findings.append(
            Finding(path=name, problem=problem, expected="number and hash of the newest entry", seen=str(error))
        )
        return None
    if head.ledger_id != manifest.ledger_id:
        findings.append(
            Finding(
                path=name, problem="changed", expected=f"ledger {manifest.ledger_id}", seen=f"ledger {head.ledger_id}"
            )
        )
    return head


class _Walk:
    """Goes from the newest entry to the first; `step` returns the hash that the entry before should have."""

    def __init__(self, contents: dict[int, bytes], findings: list[Finding]) -> None:
        self.contents = contents
        self.findings = findings
        self.numbers = {digest(content): number for number, content in contents.items()}
        self.entries: list[Entry] = []  # newest first

    def step(self, number: int, expected: str | None, *, vouched_by: str) -> str | None:
        """expected: hash of this entry, None where nothing that can be trusted says it."""
        content = self.contents.get(number)
        seen = digest(content) if content is not None else ""
        if expected is None or seen == expected:
            entry = _decode(content)
            if entry is None:
                self._find(
                    number, "changed" if content else "missing", "a manifest entry", "damaged" if content else "nothing"
                )
                return None
            if entry.number != number:
                self._find(number, "changed", f"entry {number}", f"an entry that says it is {entry.number}")
            self.entries.append(entry)
            return entry.previous
        return self._mismatch(number, expected, seen, vouched_by)

    def _mismatch(self, number: int, expected: str, seen: str, vouched_by: str) -> str | None:
        wanted = f"sha256 {expected} (says {vouched_by})"
        if (elsewhere := self.numbers.get(expected)) is not None:
            self._find(
                number, "swapped" if seen else "missing", wanted, f"that entry stands in {entry_name(elsewhere)}"
            )
            entry = _decode(self.contents[elsewhere])
        elif not seen:
            self._find(number, "missing", wanted, "no such file")
            return None
        else:
            self._find(number, "changed", wanted, f"sha256 {seen}")
            entry = _decode(self.contents[number])
        if entry is None:
            return None
        self.entries.append(entry)
        return self._previous(entry, expected, number)

    def _previous(self, entry: Entry, expected: str, number: int) -> str:
        """The hash of the entry before a changed one: what it says, unless that very field was changed."""
        before = digest(self.contents[number - 1]) if number - 1 in self.contents else ""
        if entry.previous not in self.numbers and before:
            mended = msgspec.structs.replace(entry, previous=before)
            if digest(encode_entry(mended)) == expected:
                return before
        return entry.previous

    def _find(self, number: int, problem: str, expected: str, seen: str) -> None:
        self.findings.append(Finding(path=entry_name(number), problem=problem, expected=expected, seen=seen))


def _decode(content: bytes | None) -> Entry | None:
    try:
        return msgspec.json.decode(content, type=Entry) if content is not None else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
