"""What the numbers were taken on."""

import importlib.metadata
import os
import platform
import resource
from pathlib import Path

from harness.nginx import nginx_version
from harness.record import Machine
from harness.wrk import wrk_version

PACKAGES = ("tidegate", "uvloop", "httptools", "msgspec")


def machine() -> Machine:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=names[0].partition(":")[2].strip() if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=round(memory / 1e6),
        kernel=platform.release(),
        load_before=round(os.getloadavg()[0], 2),
    )


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "nginx": nginx_version(), "wrk": wrk_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def raise_file_limit(wanted: int = 16384) -> None:
    """Many streams need many descriptors; the soft limit may be low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
