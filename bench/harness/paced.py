"""The provider of paced streams as a child: on the load's core, in plaintext or over TLS."""

import os
import signal
import sys
from pathlib import Path

from harness.place import Certificates, Place
from harness.process import Child, free_port
from harness.record import BenchError

SCRIPT = Path(__file__).with_name("sse_provider.py")


class PacedProvider:
    """Streams of `events_per_s` each; see sse_provider.py."""

    def __init__(
        self, log: Path, cpus: set[int], events_per_s: float, certificates: Certificates | None = None
    ) -> None:
        self.place = Place(free_port(), certificates.ca_file if certificates else None)
        command = [sys.executable, str(SCRIPT), str(self.place.port), str(events_per_s)]
        log.parent.mkdir(parents=True, exist_ok=True)
        self._child = Child(command + ([str(certificates.chain_file)] if certificates else []), log, cpus=cpus)
        try:
            self._child.wait_for_port(self.place.port)
        except BenchError:
            self._child.stop()
            raise

    @property
    def pid(self) -> int:
        return self._child.pid

    def end_streams(self) -> None:
        """From now on a stream ends at its next event."""
        os.kill(self.pid, signal.SIGUSR1)

    def stop(self) -> None:
        self._child.stop()
