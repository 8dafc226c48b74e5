"""A form with files on its way through: read in passing, kept in memory while it is small and in a file once it is not.

The file has no name from its first moment, so nothing of a caller's stays behind, however this process ends. It lies in
the installation's own folder: `/tmp` is memory on many systems.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from tidegate.core.errors import GatewayError, InvalidRequest, Unavailable, UnsupportedEncoding
from tidegate.gateway.http import Headers
from tidegate.wire.dialect import Pieces
from tidegate.wire.multipart import FormReader, boundary_of

MEMORY_BYTES_MAX: Final = 1024 * 1024  # of one upload; above it, all of it is in the file

Reader = Callable[[int], bytes]


class Upload:
    """One form. The listener appends what arrives; `finish` says what was wrong with it."""

    def __init__(self, headers: Headers, folder: Path) -> None:
        """Raises InvalidRequest or UnsupportedEncoding for what its headers already forbid."""
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedEncoding("A form is read in passing and cannot be compressed; send it as it is.")
        self.content_type = headers[b"content-type"]
        self.form = FormReader(boundary_of(self.content_type))
        self._folder = folder
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._bytes = 0
        self._error: GatewayError | None = None

    def append(self, data: bytes) -> None:
        """The next bytes. After a mistake in them nothing more is kept."""
        if self._error is not None:
            return
        try:
            self.form.feed(data)
            self._keep(data)
        except InvalidRequest as error:
            self._fail(error)
        except OSError as error:
            self._fail(Unavailable(f"The gateway has no room to keep this upload: {error.strerror}.", retry_after_s=5))

    def _keep(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._file is None and self._bytes <= MEMORY_BYTES_MAX:
            self._memory += data
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - `close` does
            self._write(self._memory)
            self._memory = bytearray()
        self._write(data)

    def _write(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _fail(self, error: GatewayError) -> None:
        self._error = error
        self.close()

    def finish(self) -> None:
        """All has come. Raises InvalidRequest for what is no form, Unavailable where it could not be kept."""
        if self._error is not None:
            raise self._error
        self.form.finish()

    def pieces(self, edit: tuple[int, int, bytes]) -> Pieces:
        """The form with its bytes from `edit[0]` to `edit[1]` replaced by `edit[2]`; in one piece where in the file."""
        start, end, by = edit
        if self._file is None:
            return (bytes(self._memory[:start]), by, bytes(self._memory[end:]))
        return (FilePiece(self._file, (slice(0, start), by, slice(end, self._bytes))),)  # type: ignore[return-value]

    def close(self) -> None:
        """Let go of what was kept."""
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()


class FilePiece:
    """Bytes of a file, and others between them, that are read when they are needed."""

    def __init__(self, file: IO[bytes], parts: tuple[slice | bytes, ...]) -> None:
        self._file, self._parts = file, parts

    def __len__(self) -> int:
        return sum(part.stop - part.start if isinstance(part, slice) else len(part) for part in self._parts)

    def reader(self) -> Reader:
        """Gives the next bytes, at most so many; nothing at the end, or once the file is closed."""
        parts, at = list(self._parts), 0

        def read(count: int) -> bytes:
            nonlocal at
            while parts:
                part = parts[0]
                left = (part.stop - part.start if isinstance(part, slice) else len(part)) - at
                if left <= 0:
                    parts.pop(0)
                    at = 0
                    continue
                data = self._read(part, at, min(count, left))
                at += len(data)
                return data
            return b""

        return read

    def _read(self, part: slice | bytes, at: int, count: int) -> bytes:
        if not isinstance(part, slice):
            return part[at : at + count]
        if self._file.closed:
            return b""
        self._file.seek(part.start + at)
        return self._file.read(count)
