"""`tidegate route`: the plan of a call, from files alone."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.cli import cli

CONFIG = """home = "{home}"
[gateway]
providers_from_environment = false
[routing]
policies = ["eu-only"]
[tenants.acme]
policies = ["zero-retention"]
[providers.berlin]
base_url = "https://berlin.example/v1"
facts = {{ processing = ["DE"], storage = ["DE"], retention_days = 30, trains = false }}
[providers.paris]
base_url = "https://paris.example/v1"
facts = {{ processing = ["FR"], retention_days = 0, trains = false }}
[providers.nowhere]
base_url = "https://nowhere.example/v1"
"""
ENDPOINT = '[[endpoints]]\nprovider = "{}"\nmodel = "acme/m"\nprice = {{ input = "{}", output = "{}" }}\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.toml"
    served = "".join(ENDPOINT.format(name, usd, usd) for name, usd in (("berlin", 1), ("paris", 2), ("nowhere", 1)))
    path.write_text(CONFIG.format(home=tmp_path) + served)
    return path


def run(config: Path, *words: str, body: object = None) -> Result:
    given = json.dumps(body) if body is not None else None
    return CliRunner().invoke(cli, ["route", *words], input=given, env={"TIDEGATE_CONFIG": str(config)})


def explained(config: Path, *options: str, **members: object) -> dict[str, object]:
    body = {"model": "acme/m", "messages": []} | members
    done = run(config, "explain", "-", "--format", "json", *options, body=body)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.output)
    return found


def test_explain_names_who_may_serve_and_why_the_others_may_not(config: Path) -> None:
    found = explained(config)
    assert {one["tag"] for one in found["plan"]} == {"berlin", "paris"}  # type: ignore[attr-defined]
    excluded = [(one["endpoint_id"], one["rule"], one["is_unknown"]) for one in found["excluded"]]  # type: ignore[attr-defined]
    assert excluded == [
        ("acme/m@nowhere", "policy eu-only: processing within EU", True),
        ("acme/m@nowhere", "policy eu-only: storage within EU", True),
    ]


def test_a_tenant_a_policy_and_the_request_narrow_it(config: Path) -> None:
    assert [one["tag"] for one in explained(config, "--tenant", "acme")["plan"]] == ["paris"]  # type: ignore[attr-defined]
    only = explained(config, "--tenant", "acme", provider={"only": ["berlin"]})
    assert only["plan"] == [] and only["availability"]["code"] == "constraint_filtered"  # type: ignore[index]
    assert explained(config, "--policy", "gulf-only")["availability"]["code"] == "region_restricted"  # type: ignore[index]


def test_the_table_says_it_in_a_line_each(config: Path) -> None:
    done = run(config, "explain", "-", "--format", "csv", body={"model": "acme/m", "messages": []})
    lines = done.output.splitlines()
    assert lines[0] == "order,endpoint,state,expected_usd,chance,why"
    assert sum(line.split(",")[2] == "planned" for line in lines[1:]) == 2
    assert any("data_region" in line and "processing unknown" in line for line in lines)


def test_facts_leave_unknown_cells_empty(config: Path) -> None:
    done = run(config, "facts", "--format", "json")
    found = {one["tag"]: one for one in json.loads(done.output)}
    assert found["paris"]["storage"] == "nowhere" and found["nowhere"]["processing"] is None
    assert found["berlin"]["retention_days"] == 30


def test_policies_tell_their_rules_and_whom_they_bind(config: Path) -> None:
    found = {one["policy"]: one for one in json.loads(run(config, "policies", "--format", "json").output)}
    assert found["eu-only"]["binds"] == "everyone" and found["zero-retention"]["binds"] == "tenant acme"
    assert found["zero-retention"]["rules"] == "no_training true; retention_days_max 0"


@pytest.mark.parametrize(
    ("body", "said"),
    [({"model": "acme/n", "messages": []}, "No route serves"), ({"model": "acme/m", "provider": {"zrd": 1}}, "zdr")],
)
def test_a_call_that_cannot_be_planned_is_one_line_and_not_zero(config: Path, body: object, said: str) -> None:
    done = run(config, "explain", "-", body=body)
    assert done.exit_code != 0 and said in str(done.exception)


def test_a_ladder_is_explained_rung_by_rung(config: Path) -> None:
    """With the plan of each rung under the caller's policies; a rung that nobody may serve says why."""
    ladder = """
[[endpoints]]
provider = "nowhere"
model = "acme/far"
price = { input = "1", output = "1" }
[ladders.cheap-first]
rungs = [{ model = "acme/far", escalate_on = ["refusal"] }, { model = "acme/m" }]
budget_usd = "0.01"
"""
    config.write_text(config.read_text() + ladder)
    body = {"model": "cheap-first", "messages": []}
    told = run(config, "explain", "-", body=body)
    assert told.exit_code == 0 and "ladder cheap-first, rung after rung; budget 0.01 USD a call" in told.output
    found = json.loads(run(config, "explain", "-", "--format", "json", body=body).output)
    assert [one["plan"]["availability"] is None for one in found["rungs"]] == [False, True]
    assert {one["tag"] for one in found["rungs"][1]["plan"]["plan"]} == {"berlin", "paris"}
    lines = run(config, "explain", "-", "--format", "csv", body=body).output.splitlines()
    assert lines[0].startswith("rung,order,endpoint") and lines[1].startswith("1,,acme/far@nowhere")
