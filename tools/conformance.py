"""Runs the API tests that the official SDKs ship against the gateway, with a mock provider behind it.

python tools/conformance.py                    both SDKs, against the mock directly and through the gateway
python tools/conformance.py --sdk openai --through gateway --match chat
python tools/conformance.py --write            also docs/reference/conformance.md

The suites are downloaded (sdists, pinned in tools/conformance.toml) into a cache outside the tree, each with an
environment of its own. Exit code 1: a selected test failed.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PLAN = tomllib.loads((ROOT / "tools" / "conformance.toml").read_text())
PAGE = ROOT / "docs" / "reference" / "conformance.md"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate-conformance"
WAYS = ("direct", "gateway")
OPTIONS = ("-q", "-n0", "-p", "no:cacheprovider", "--override-ini=filterwarnings=", "--override-ini=addopts=")
RUN_S_MAX = 900
FAILURES_SHOWN = 40

sys.path.insert(0, str(ROOT / "tests"))


class Test(NamedTuple):
    """A test of a suite. reason: why it is not run; '' if it is. node: its id for pytest."""

    sdk: str
    operation: str
    file: str
    node: str
    reason: str = ""


class Result(NamedTuple):
    """What became of the tests of one way. outcomes: by node, `passed`, or what went wrong, or `skipped: why`."""

    way: str
    tests: list[Test]
    outcomes: dict[str, str]


class Suite(NamedTuple):
    """An SDK's sources and the interpreter of its environment."""

    name: str
    source: Path
    python: Path


def main() -> None:
    options = arguments()
    suites = [prepare(name) for name in PLAN["sdk"] if options.sdk in (None, name)]
    results: list[Result] = []
    from conformance.mock_provider import MockProvider

    with MockProvider(plain_vectors=True) as mock:
        for way in WAYS:
            if options.through in (None, way):
                results += run_way(way, suites, mock, options.match)
    for result in results:
        print_result(result)
    if options.write and not (options.sdk or options.through or options.match):  # a part is no record
        PAGE.write_text(page(results))
        print(PAGE.relative_to(ROOT))
    sys.exit(any(is_failure(outcome) for result in results for outcome in result.outcomes.values()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdk", choices=list(PLAN["sdk"]), help="one suite alone")
    parser.add_argument("--through", choices=WAYS, help="one way alone")
    parser.add_argument("--match", default="", help="operations whose name holds this text")
    parser.add_argument("--write", action="store_true", help="write docs/reference/conformance.md")
    return parser.parse_args()


def prepare(name: str) -> Suite:
    """The suite of an SDK, downloaded and installed once."""
    plan = PLAN["sdk"][name]
    folder = CACHE / f"{name}-{plan['version']}"
    source, environment, stamp = folder / "source", folder / "venv", folder / "ready"
    python = environment / "bin" / "python"
    wanted = json.dumps(plan["needs"])
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"== downloading {name} {plan['version']} and its tests (once)", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        venv.create(environment, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", *plan["needs"]], check=True)
        sdist = ["download", "--no-deps", "--no-binary", name, "--dest", str(folder), f"{name}=={plan['version']}"]
        subprocess.run([*pip, *sdist], check=True)
        with tarfile.open(folder / f"{name}-{plan['version']}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        if not source.exists():
            (folder / f"{name}-{plan['version']}").rename(source)
        stamp.write_text(wanted)
    return Suite(name, source, python)


def run_way(way: str, suites: list[Suite], mock: Any, match: str) -> Iterator[Result]:
    """Each suite against one address."""
    if way == "direct":
        for suite in suites:
            yield run_suite(suite, way, mock.url + PLAN["sdk"][suite.name]["base_url"], match)
        return
    from conformance.home import start_before

    models: dict[str, list[str]] = {}
    for suite in suites:
        plan = PLAN["sdk"][suite.name]
        models.setdefault(plan["provider"], []).extend([*models_named(suite), *plan.get("models", ())])
    secrets = [plan["key"] for plan in PLAN["sdk"].values()]
    with tempfile.TemporaryDirectory(prefix="tidegate-") as home:
        gateway = start_before(mock, Path(home), models, secrets)
        try:
            for suite in suites:
                yield run_suite(suite, way, gateway.url + PLAN["sdk"][suite.name]["base_url"], match)
        finally:
            gateway.stop()


def models_named(suite: Suite) -> Iterator[str]:
    """Every model that the tests of our operations call, the deprecated ones of a table in the SDK too."""
    for file in dict.fromkeys(entry["file"] for entry in PLAN["operation"] if entry["sdk"] == suite.name):
        tests = (suite.source / "tests" / "api_resources" / file).read_text()
        yield from re.findall(r"\bmodel(?:_id)?=\"([^\"]+)\"", tests)
        if "retrieve" in tests:
            yield from re.findall(r"\.retrieve\(\s*\"([^\"]+)\"", tests)
        if "DEPRECATED_MODELS" in tests:
            table = (suite.source / "src/anthropic/resources/messages/messages.py").read_text()
            yield from ast.literal_eval(re.search(r"DEPRECATED_MODELS = (\{.*?\n\})", table, re.DOTALL)[1])  # type: ignore[index]


def run_suite(suite: Suite, way: str, base_url: str, match: str) -> Result:
    tests = [test for test in chosen(suite, way) if match in test.operation]
    run = [test.node for test in tests if not test.reason]
    amend = [entry for entry in PLAN["amend"] if entry["sdk"] == suite.name] if way == "gateway" else []
    outcomes = run_tests(suite, run, base_url, amend) if run else {}
    return Result(way, tests, outcomes)


def chosen(suite: Suite, way: str) -> Iterator[Test]:
    """The tests of every create-type operation, with the reason where one is not run on this way."""
    for kind in ("operation", "unserved"):
        for entry in PLAN[kind]:
            if entry["sdk"] != suite.name:
                continue
            for node in collect(suite, entry["file"]):
                name = node.rpartition("::")[2]
                if re.search(entry["tests"], name):
                    reason = reason_of(suite.name, entry["file"], name, way)
                    if kind == "unserved" and way == "gateway":
                        reason = "the gateway does not serve this operation"
                    yield Test(suite.name, entry["name"], entry["file"], node, reason)


def reason_of(sdk: str, file: str, name: str, way: str) -> str:
    for entry in PLAN["deselect"]:
        is_ours = (entry["sdk"], entry["file"]) == (sdk, file) and entry.get("only", way) == way
        if is_ours and re.search(entry["tests"], name):
            return str(entry["reason"])
    return ""


def collect(suite: Suite, file: str, cache: dict[tuple[str, str], list[str]] = {}) -> list[str]:  # noqa: B006
    """The ids of a file's tests; kept, for both ways ask."""
    key = (suite.name, file)
    if key not in cache:
        path = f"tests/api_resources/{file}"
        done = subprocess.run(
            [suite.python, "-m", "pytest", *OPTIONS, "--collect-only", path],
            cwd=suite.source, capture_output=True, text=True, timeout=RUN_S_MAX,
        )  # fmt: skip
        cache[key] = [line for line in done.stdout.splitlines() if line.startswith(path) and "::" in line]
        if not cache[key]:
            sys.exit(f"no test found in {path}:\n{done.stdout}{done.stderr}")
    return cache[key]


def run_tests(suite: Suite, nodes: list[str], base_url: str, amend: list[Any]) -> dict[str, str]:
    """The outcome of each test, by node."""
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        listed, report = Path(folder) / "nodes", Path(folder) / "report.xml"
        listed.write_text("\n".join(nodes))
        environ = {
            "TEST_API_BASE_URL": base_url,
            "CONFORMANCE_AMEND": json.dumps(amend),
            "PYTHONPATH": str(ROOT / "tools"),
        }
        plugin = ("-p", "conformance_amend")
        command = [suite.python, "-m", "pytest", *OPTIONS, *plugin, f"--junitxml={report}", f"@{listed}"]
        done = subprocess.run(
            command, cwd=suite.source, capture_output=True, text=True, timeout=RUN_S_MAX,
            env=os.environ | environ,
        )  # fmt: skip
        if not report.is_file():
            sys.exit(f"pytest did not run the tests of {suite.name}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        outcomes = {}
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - written by our own pytest
            module, _, group = str(case.get("classname")).rpartition(".")
            outcomes[f"{module.replace('.', '/')}.py::{group}::{case.get('name')}"] = outcome_of(case)
    return {node: outcomes.get(node, "not run") for node in nodes}


def outcome_of(case: ElementTree.Element) -> str:
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            return " ".join(str(found.get("message")).split())[:300]
    skipped = case.find("skipped")
    return "passed" if skipped is None else f"skipped: {skipped.get('message')}"


def is_failure(outcome: str) -> bool:
    return outcome != "passed" and not outcome.startswith("skipped")


def counts(result: Result, sdk: str, operation: str) -> tuple[int, int, int, int]:
    """Passed, failed, skipped by the suite, deselected by us."""
    mine = [test for test in result.tests if (test.sdk, test.operation) == (sdk, operation)]
    outcomes = [result.outcomes[test.node] for test in mine if not test.reason]
    failed = sum(map(is_failure, outcomes))
    passed = outcomes.count("passed")
    return passed, failed, len(outcomes) - passed - failed, len(mine) - len(outcomes)


def operations_of(result: Result) -> list[tuple[str, str]]:
    return list(dict.fromkeys((test.sdk, test.operation) for test in result.tests))


def print_result(result: Result) -> None:
    for sdk, operation in operations_of(result):
        passed, failed, skipped, deselected = counts(result, sdk, operation)
        print(f"{result.way:8} {sdk:10} {operation:45} {passed:4} passed {failed:4} failed "
              f"{skipped:3} skipped {deselected:4} deselected")  # fmt: skip
    failures = [(node, told) for node, told in result.outcomes.items() if is_failure(told)]
    for node, told in failures[:FAILURES_SHOWN]:
        print(f"  {node.removeprefix('tests/api_resources/')}\n    {told}")


def page(results: list[Result]) -> str:
    """The reference page: counts, what was not run or sent otherwise, what failed, and the clients."""
    versions = ", ".join(f"{name} {plan['version']}" for name, plan in PLAN["sdk"].items())
    lines = ["<!-- written by `make conformance`; edit tools/conformance.toml or tools/conformance.py -->"]
    lines += ["# Conformance", "", f"The API tests in the sdists of {versions}: against the mock provider of "]
    lines[-1] += "tests/conformance directly, and through a gateway in front of it. They validate replies strictly, "
    lines[-1] += (
        "sync and async, and check shapes, not meaning; tests/ checks meaning. `make conformance` runs them again."
    )
    lines += ["", *counts_table(results), "", "## Not run, and why", ""]
    lines += ["| way | operation | tests | reason |", "| --- | --- | --: | --- |"]
    for (way, operation, reason), number in reasons(results).items():
        lines.append(f"| {way} | `{operation}` | {number} | {reason} |")
    lines += ["", "## Sent otherwise than the suite does, through the gateway", ""]
    lines += [f"- `{entry['operation']}`: {entry['reason']}" for entry in PLAN["amend"]]
    failed = [(r.way, node, told) for r in results for node, told in r.outcomes.items() if is_failure(told)]
    lines += ["", "## Failed", ""]
    lines += [f"- {way}: `{node.removeprefix('tests/api_resources/')}`: {told}" for way, node, told in failed] or [
        "None."
    ]
    return "\n".join([*lines, "", *clients()]) + "\n"


def counts_table(results: list[Result]) -> list[str]:
    lines = ["| SDK | operation | direct: passed | gateway: passed | failed | skipped by the suite | not run |"]
    lines.append("| --- | --- | --: | --: | --: | --: | --: |")
    total = [0] * 5
    by_way = {way: [result for result in results if result.way == way] for way in WAYS}
    for through in by_way["gateway"]:
        for sdk, operation in operations_of(through):
            direct = sum(counts(result, sdk, operation)[0] for result in by_way["direct"])
            row = [direct, *counts(through, sdk, operation)]
            total = [a + b for a, b in zip(total, row, strict=True)]
            lines.append(f"| {sdk} | `{operation}` | " + " | ".join(map(str, row)) + " |")
    return [*lines, "| **all** | | " + " | ".join(f"**{n}**" for n in total) + " |"]


def clients() -> list[str]:
    """The client libraries and agents that tests/conformance runs, each against providers of every dialect."""
    table = tomllib.loads((ROOT / "tests" / "conformance" / "clients" / "clients.toml").read_text())
    lines = ["## Clients", "", "Libraries and a coding agent, as people install them, run by `make conformance` over "]
    lines[-1] += "models of an OpenAI, an OpenAI-compatible, an Anthropic and a Gemini provider "
    lines[-1] += "(tests/conformance/test_clients.py, test_agents.py):"
    return [*lines, "", *(f"- {name}: `{' '.join(entry['needs'])}`" for name, entry in table.items())]


def reasons(results: list[Result]) -> dict[tuple[str, str, str], int]:
    found: dict[tuple[str, str, str], int] = {}
    for result in results:
        for test in result.tests:
            if test.reason:
                key = (result.way, test.operation, test.reason)
                found[key] = found.get(key, 0) + 1
    return found


if __name__ == "__main__":
    main()
