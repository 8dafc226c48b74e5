"""What is measured: the floor (nginx), Tidegate, and other gateways (peers.py). Each forwards to one provider."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from harness import nginx
from harness.place import Place
from harness.process import Child

KEY = "sk-bench-0123456789abcdef"


class Running:
    """A started subject: where to call it, with what key and headers, and its root process."""

    def __init__(self, child: Child, port: int, key: str = KEY, headers: Mapping[str, str] | None = None) -> None:
        self.child, self.port, self.authorization = child, port, f"Bearer {key}"
        self.headers = dict(headers or {})  # beside Authorization and Content-Type, on each call

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        self.child.stop()


class Subject(Protocol):
    """Something to measure. `start` raises BenchError with the reason when it cannot."""

    name: str

    def version(self) -> str: ...

    def start(self, provider: Place, folder: Path, cpus: set[int]) -> Running: ...


class Nginx:
    """connections: a stream takes two; nginx sets memory aside for each, used or not."""

    name = "nginx"

    def __init__(self, connections: int = nginx.CONNECTIONS) -> None:
        self._connections = connections

    def version(self) -> str:
        return nginx.nginx_version()

    def start(self, provider: Place, folder: Path, cpus: set[int]) -> Running:
        return Running(*nginx.start_peer(folder, provider, cpus, self._connections))
