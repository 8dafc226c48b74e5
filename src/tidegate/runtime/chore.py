"""A command that is run now and then in a child of its own, so that its memory is given back: sealing, settling."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from tidegate.runtime.process import Announce, lifeline_fd, tied_command


class Chore:
    """`tidegate WORDS`, one run at a time. A failure is announced once, and so is that it works again."""

    def __init__(self, name: str, environ: Mapping[str, str], announce: Announce, comfort: str) -> None:
        """name: what it does, as in `sealing`. comfort: what is not lost while it fails. environ: of the child."""
        self.name: Final = name
        self._environ, self._announce, self._comfort = environ, announce, comfort
        self._child: asyncio.subprocess.Process | None = None
        self.trouble = ""  # what the last try said

    async def run(self, limit_s: float, words: Sequence[str]) -> None:
        """Returns when the child has ended; it is killed after `limit_s`, and when this is cancelled."""
        try:
            trouble = await self._run(limit_s, words)
        except OSError as error:
            trouble = f"{self.name} cannot be started: {error}"
        if trouble and trouble != self.trouble:
            self._announce(f"{trouble}; {self._comfort}")
        elif self.trouble and not trouble:
            self._announce(f"{self.name} works again")
        self.trouble = trouble

    def kill(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.kill()

    async def _run(self, limit_s: float, words: Sequence[str]) -> str:
        """Returns "", or one line on what went wrong."""
        self._child = child = await asyncio.create_subprocess_exec(
            *tied_command("tidegate", tuple(words)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=dict(self._environ),
            start_new_session=True,
            pass_fds=(lifeline_fd(),),
        )
        try:
            _, errors = await asyncio.wait_for(child.communicate(), limit_s)
        except (TimeoutError, asyncio.CancelledError) as error:
            if child.returncode is None:
                child.kill()
            await child.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
            return f"{self.name} took longer than {limit_s:g} s and was stopped"
        if child.returncode != 0:
            lines = errors.decode("utf-8", "replace").strip().splitlines() or [f"exit code {child.returncode}"]
            return f"{self.name} failed: {lines[-1]}"
        return ""
