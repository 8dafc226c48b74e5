"""Installs the client libraries of clients.toml, each into an environment of its own outside the tree.

python tests/conformance/clients/install.py [NAME ...]
"""

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CLIENTS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "clients.toml").read_text())
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate-conformance" / "clients"


def is_node(name: str) -> bool:
    return "bin" in CLIENTS[name] or str(CLIENTS[name]["script"]).endswith(".mjs")


def stamp_of(name: str) -> Path:
    return CACHE / name / "ready"


def missing(name: str) -> str:
    """Why a client cannot be run here; '' if it can."""
    if os.environ.get("TIDEGATE_CONFORMANCE") != "1":
        return "`make conformance` runs other people's clients"
    if is_node(name) and not (shutil.which("node") and shutil.which("npm")):
        return "node and npm are not installed"
    stamp = stamp_of(name)
    if not stamp.is_file() or stamp.read_text() != " ".join(CLIENTS[name]["needs"]):
        return f"{name} is not installed; `make conformance` installs it"
    return ""


def command(name: str) -> list[str]:
    """What runs the script of a client; a script of Node stands beside its modules, where imports look for them."""
    script = HERE / CLIENTS[name]["script"]
    if not is_node(name):
        return [str(CACHE / name / "bin" / "python"), str(script)]
    beside = CACHE / name / script.name
    shutil.copyfile(script, beside)
    for shared in ("jobs.mjs", "vercel_jobs.mjs"):
        shutil.copyfile(HERE / shared, CACHE / name / shared)
    return ["node", str(beside)]


def program(name: str) -> str:
    """The program of a client that is one."""
    return str(CACHE / name / CLIENTS[name]["bin"])


def install(name: str) -> None:
    needs = CLIENTS[name]["needs"]
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if is_node(name):
        (folder / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *needs], cwd=folder, check=True)
    else:
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", *needs], check=True)
    stamp_of(name).write_text(" ".join(needs))


def main() -> None:
    os.environ["TIDEGATE_CONFORMANCE"] = "1"
    for name in sys.argv[1:] or CLIENTS:
        why = missing(name)
        if why.startswith("node"):
            print(f"== {name}: left out: {why}")
        elif why:
            print(f"== installing {' '.join(CLIENTS[name]['needs'])}", flush=True)
            try:
                install(name)
            except subprocess.CalledProcessError as error:
                print(f"== {name}: left out: {error}")


if __name__ == "__main__":
    main()
