"""The manifest: numbered entries that name every sealed file, chained by hash.

    manifest/00000001.json      an entry: its files with SHA-256, rows and Merkle root; hash of the entry before
    manifest/HEAD               number and hash of the newest entry

The chain begins at `ledger.json`: the first entry's `previous` is that file's SHA-256. An entry exists once its file
does (put-if-absent, whole or not there); HEAD follows it and is behind by one after a crash between the two.
"""

import hashlib
import threading
import zlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from tidegate.core.errors import LedgerError
from tidegate.ledger.durable import put_if_absent, replace_file

Kind = Literal["segment", "import", "rollup"]
HEAD_NAME: Final = "HEAD"


class SealedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Parquet file.

    `path`: below the ledger, with `/`. `table`: `rows`, `attempts` or the name of a rollup. `day`: UTC day of its
    rows; empty for rollups. `rows_root`: Merkle root (hex) over the records' canonical bytes, by generation id (and
    attempt); empty for rollups, whose columns are their own. `first_id`, `last_id`: smallest and largest generation id.
    """

    path: str
    table: str
    day: str
    rows: int
    bytes: int
    sha256: str
    rows_root: str = ""
    first_id: str = ""
    last_id: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One act of sealing. It may have no files: a segment whose every line was damaged is sealed all the same.

    `unit`: segment id, or the name an import gave. `created`: UTC, ISO 8601. `origin`: where the rows came from.
    `damaged_lines`: journal lines that could not be read. `duplicates`: calls left out because they were sealed
    before. `nulled_values`: integers beyond 64 bits, sealed as null. `previous`: SHA-256 of the entry before.
    """

    number: int
    kind: Kind
    unit: str
    created: str
    origin: str
    files: tuple[SealedFile, ...]
    previous: str
    damaged_lines: int = 0
    duplicates: int = 0
    nulled_values: int = 0


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest entry: its number (0 before the first) and SHA-256 (of `ledger.json` before the first).

    `check`: CRC-32 of the rest, in hex: tells a damaged HEAD from a changed entry.
    """

    ledger_id: str
    number: int
    sha256: str
    check: str = ""


def encode_entry(entry: Entry) -> bytes:
    """The bytes of an entry's file."""
    return msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n"


def encode_head(head: Head) -> bytes:
    """The bytes of HEAD, its check included; no other spelling is accepted."""
    bare = msgspec.structs.replace(head, check="")
    check = f"{zlib.crc32(msgspec.json.encode(bare)):08x}"
    return msgspec.json.encode(msgspec.structs.replace(head, check=check)) + b"\n"


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


class Manifest:
    """Reads and extends the manifest of one ledger. Only a holder of the ledger's seal lock may append."""

    def __init__(self, directory: Path, ledger_id: str, genesis: str) -> None:
        self.directory = directory
        self.ledger_id = ledger_id
        self.genesis = genesis  # SHA-256 of ledger.json
        self._entries: list[Entry] = []
        self._newest = genesis  # SHA-256 of the last of them
        self._reading = threading.Lock()

    @property
    def head_path(self) -> Path:
        return self.directory / HEAD_NAME

    @property
    def newest(self) -> str:
        """SHA-256 of the newest entry that was read; of `ledger.json` before the first."""
        return self._newest

    def entry_path(self, number: int) -> Path:
        return self.directory / f"{number:08d}.json"

    def entries(self) -> list[Entry]:
        """All entries in order; reads only those that are new since the last call.

        Raises LedgerError for an entry that cannot be read or does not follow from the one before.
        """
        with self._reading:
            self._read_on()
            return list(self._entries)

    def _read_on(self) -> None:
        while True:
            path = self.entry_path(len(self._entries) + 1)
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return
            except OSError as error:
                raise LedgerError(f"manifest entry {path} cannot be read: {error.strerror}") from error
            entry = self._decode(path, content)
            self._entries.append(entry)
            self._newest = digest(content)

    def _decode(self, path: Path, content: bytes) -> Entry:
        mend = "`tidegate ledger verify` says what else is wrong; restore the file from a copy."
        try:
            entry = msgspec.json.decode(content, type=Entry)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LedgerError(f"manifest entry {path} is damaged: {error}. {mend}") from error
        if entry.number != len(self._entries) + 1 or entry.previous != self._newest:
            raise LedgerError(f"manifest entry {path} does not follow from the one before it. {mend}")
        return entry

    def read_head(self) -> Head:
        """HEAD as it stands. Raises LedgerError where it is missing or no longer what we wrote."""
        try:
            content = self.head_path.read_bytes()
            head = msgspec.json.decode(content, type=Head)
        except FileNotFoundError as error:
            raise LedgerError(
                f"{self.head_path} is missing; restore it from a copy: it proves the newest entry"
            ) from error
        except OSError as error:
            raise LedgerError(f"{self.head_path} cannot be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LedgerError(f"{self.head_path} is damaged: {error}") from error
        if content != encode_head(head):
            raise LedgerError(f"{self.head_path} is damaged: its check does not fit")
        return head

    def settle_head(self) -> Head:
        """Advance a HEAD that a crash left one entry behind. Raises LedgerError where it disagrees otherwise."""
        head, count = self.read_head(), len(self.entries())
        hashes = [self.genesis, *(entry.previous for entry in self._entries[1:]), self._newest][: count + 1]
        if head.ledger_id != self.ledger_id or head.number > count or head.sha256 != hashes[head.number]:
            raise LedgerError(
                f"{self.head_path} names entry {head.number} ({head.sha256[:12]}), the manifest has {count}; nothing "
                "is added to a ledger in doubt. `tidegate ledger verify` says what is wrong."
            )
        if head.number < count:
            head = self._write_head(count)
        return head

    def append(self, draft: Entry) -> Entry:
        """Add an entry: its number and `previous` are set here. Durable on return, HEAD included."""
        head = self.settle_head()
        entry = msgspec.structs.replace(draft, number=head.number + 1, previous=head.sha256)
        path = self.entry_path(entry.number)
        try:
            put_if_absent(path, encode_entry(entry))
        except OSError as error:
            raise LedgerError(f"manifest entry {path} cannot be written: {error.strerror}") from error
        self._write_head(len(self.entries()))
        return entry

    def _write_head(self, number: int) -> Head:
        head = Head(ledger_id=self.ledger_id, number=number, sha256=self._newest)
        try:
            replace_file(self.head_path, encode_head(head))
        except OSError as error:
            raise LedgerError(f"{self.head_path} cannot be written: {error.strerror}") from error
        return head
