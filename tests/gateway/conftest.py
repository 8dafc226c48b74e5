"""Gateways that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.gateway import Gateway, start_gateway


@pytest.fixture
def run_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start gateways that end with the test."""
    started: list[Gateway] = []

    def start(
        config: str, environ: dict[str, str] | None = None, *, home: Path | None = None, key: str = ""
    ) -> Gateway:
        gateway = start_gateway(home or tmp_path / f"home{len(started)}", config, environ, key)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.process.kill()
        gateway.process.wait(10)
