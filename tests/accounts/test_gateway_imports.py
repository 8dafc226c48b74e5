"""Another gateway's installation becomes ours: what maps works, twice is once, and the rest is named."""

import json
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidegate.accounts.books.balance import balance_of
from tidegate.accounts.imports.litellm_config import read_config
from tidegate.accounts.imports.one_api_db import read_database
from tidegate.accounts.imports.toml import render
from tidegate.accounts.keys import open_accounts
from tidegate.accounts.provider_keys import open_keys, read_operator_key, sealed_keys
from tidegate.accounts.quotas.table import list_quotas
from tidegate.accounts.tenancy import find_tenant, list_tenants
from tidegate.catalog import load_catalog
from tidegate.catalog.routes import served_endpoints
from tidegate.cli import cli
from tidegate.config import Config, load_config
from tidegate.core.facts import Endpoint

DAY = "2026-11-22"
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: "https://acme.openai.azure.com/", api_key: os.environ/AZURE_KEY,
                     api_version: "2024-10-21", rpm: 60}
  - model_name: smart
    litellm_params: {model: anthropic/claude-sonnet-4-5-20250929, api_key: sk-ant-secret-in-the-clear}
  - model_name: gpt-4o-mini
    litellm_params: {model: gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}
  - model_name: house-model
    litellm_params: {model: hosted_vllm/house, api_base: "http://127.0.0.1:8001/v1",
                     input_cost_per_token: 0.0000002, output_cost_per_token: 0.0000006}
  - model_name: a-riddle
    litellm_params: {model: openai/nobody-knows-this, api_key: os.environ/OPENAI_API_KEY}
  - model_name: "openai/*"
    litellm_params: {model: "openai/*"}
litellm_settings: {max_budget: 100, budget_duration: 30d, drop_params: true, fallbacks: [{smart: [gpt-4o]}]}
router_settings: {model_group_alias: {cheap: gpt-4o-mini}, routing_strategy: least-busy}
general_settings: {master_key: sk-litellm-master-1234, database_url: "postgresql://u:secret@h/d"}
"""


def served_by(config: Config) -> list[Endpoint]:
    """What a gateway with this configuration serves."""
    return served_endpoints(config.providers, config.endpoints, load_catalog(), {}, DAY, False)


def stored_keys(home: Path) -> dict[str, list[str]]:
    """Providers' keys, opened as a worker opens them."""
    accounts = open_accounts(home)
    with accounts.database.reading() as connection:
        found = open_keys(read_operator_key(home), sealed_keys(connection))
    accounts.close()
    return {provider: [key.secret for key in keys] for provider, keys in found.items()}


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """A command in a fresh installation in `folder`."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TIDEGATE_HOME", str(folder / "home"))
    monkeypatch.delenv("TIDEGATE_CONFIG", raising=False)
    return CliRunner().invoke(cli, ["accounts", "import", *arguments])


def test_a_litellm_config_is_served_by_the_file_that_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = run(tmp_path, monkeypatch, "litellm", "config.yaml")
    assert done.exit_code == 0, done.output + str(done.exception)
    written = (tmp_path / "tidegate.toml").read_text()
    assert "secret-in-the-clear" not in written + done.output and "u:secret" not in written + done.output
    assert stored_keys(tmp_path / "home") == {"anthropic": ["sk-ant-secret-in-the-clear"]}
    config = load_config()
    served = {part.model: part for part in served_by(config)}
    assert set(served) == {"gpt-4o", "smart", "gpt-4o-mini", "house-model", "cheap"}
    prices = {name: part.price.rates.input for name, part in served.items() if part.price}
    assert prices == {
        "gpt-4o": 2_500_000_000, "smart": 3_000_000_000, "gpt-4o-mini": 150_000_000, "cheap": 150_000_000,
        "house-model": 200_000_000,
    }  # fmt: skip
    assert served["smart"].upstream_model == "claude-sonnet-4-5-20250929"
    azure = config.providers["azure"]
    assert (azure.base_url, azure.api_version, azure.auth, azure.api_key_env) == (
        "https://acme.openai.azure.com/openai/v1", "2024-10-21", "api-key", "AZURE_KEY",
    )  # fmt: skip


def test_a_litellm_config_names_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = run(tmp_path, monkeypatch, "litellm", "config.yaml", "--dry-run")
    for text in (
        "model_list[1] gpt-4o: litellm_params.rpm",
        "model_list[5] a-riddle: no price known",
        "model_list[6] openai/*: a wildcard",
        "litellm_settings.drop_params",
        "litellm_settings.fallbacks",
        "router_settings.routing_strategy",
        "general_settings.database_url",
    ):
        assert text in done.output
    assert not (tmp_path / "tidegate.toml").exists() and not (tmp_path / "home" / "accounts.sqlite").exists()


def test_litellms_master_key_and_budget_hold_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    run(tmp_path, monkeypatch, "litellm", "config.yaml")
    accounts = open_accounts(tmp_path / "home")
    key = accounts.find_key("sk-litellm-master-1234")
    assert key is not None and key.tenant_id == "default"
    with accounts.database.reading() as connection:
        budgets = [(quota.unit, quota.window, quota.limit) for quota in list_quotas(connection, "default")]
    accounts.close()
    assert budgets == [("nano_usd", "month", 100_000_000_000)]


def one_api(folder: Path, *, is_new: bool) -> Path:
    """A small database: two users of one name, a token with limits, channels of five kinds."""
    file = folder / "one-api.db"
    more = ", model_limits_enabled, model_limits, allow_ips" if is_new else ", models, subnet"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE users (id, username, display_name, password, role, status, quota, 'group')")
        database.executemany(
            "INSERT INTO users VALUES (?, ?, ?, 'x', 1, ?, ?, 'default')",
            [
                (1, "Ann Lee", "Ann", 1, 5_000_000),
                (2, "ann-lee", "Ann 2", 2, 0),
                (3, "gone", "", 3, 1),
                (4, "王", "王", 1, -250_000),
            ],
        )
        database.execute(
            f"CREATE TABLE tokens (id, user_id, key, status, name, expired_time, remain_quota, unlimited_quota{more})"
        )
        limits = (
            (1, "gpt-4o,gpt-4o-mini", "10.0.0.0/8\n192.0.2.7")
            if is_new
            else ("gpt-4o,gpt-4o-mini", "10.0.0.0/8,192.0.2.7")
        )
        none = (0, "gpt-4o", "") if is_new else ("", "")
        marks = ", ".join("?" for _ in range(8 + len(limits)))
        database.executemany(
            f"INSERT INTO tokens VALUES ({marks})",
            [
                (1, 1, "a" * 48, 1, "app", -1, 1_000_000, 0, *limits),
                (2, 1, "b" * 48, 1, "free", 1_900_000_000, 0, 1, *none),
                (3, 3, "c" * 48, 1, "orphan", -1, 0, 1, *none),
            ],
        )
        tag = ", tag" if is_new else ""
        database.execute(
            f"CREATE TABLE channels (id, type, key, status, name, base_url, models, model_mapping, other{tag})"
        )
        deepseek, ollama = (43, 4) if is_new else (36, 30)
        rows: list[tuple[Any, ...]] = [
            (1, 1, "sk-openai-1", 1, "oa", "", "gpt-4o,gpt-4o-mini", "", ""),
            (2, 1, "sk-openai-2", 1, "oa2", "https://api.openai.com", "gpt-4o", '{"gpt-4o": "gpt-4o-2024-08-06"}', ""),
            (3, deepseek, "sk-ds", 1, "ds", "", "deepseek-chat", "", ""),
            (4, ollama, "", 1, "home", "http://127.0.0.1:11434", "llama3.2", "", ""),
            (5, 15, "key", 1, "baidu", "", "ernie", "", ""),
            (6, 1, "sk-old", 2, "off", "", "gpt-4", "", ""),
        ]
        values = [(*row, "") if is_new else row for row in rows]
        database.executemany(f"INSERT INTO channels VALUES ({', '.join('?' for _ in values[0])})", values)
        database.execute("CREATE TABLE options (key, value)")
        database.executemany(
            "INSERT INTO options VALUES (?, ?)",
            [("GroupRatio", '{"default": 1, "vip": 0.8}'), ("ModelRatio", json.dumps({"llama3.2": 0.05}))],
        )
    return file


@pytest.mark.parametrize("is_new", [True, False], ids=["new-api", "one-api"])
def test_clients_of_one_api_keep_their_keys_and_their_credit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    """500,000 quota are a dollar; the same channel number means another provider in each of the two systems."""
    one_api(tmp_path, is_new=is_new)
    done = run(tmp_path, monkeypatch, "one-api", "one-api.db")
    assert done.exit_code == 0, done.output + str(done.exception)
    accounts = open_accounts(tmp_path / "home")
    assert {tenant.tenant_id for tenant in list_tenants(accounts.database)} >= {"ann-lee", "ann-lee-2", "user-4"}
    assert not find_tenant(accounts.database, "ann-lee-2").is_enabled
    with accounts.database.reading() as connection:
        balances = {name: balance_of(connection, name).balance_nano_usd for name in ("ann-lee", "ann-lee-2", "user-4")}
        limits = [(quota.scope, quota.limit) for quota in list_quotas(connection, "ann-lee") if not quota.is_wallet]
    assert balances == {"ann-lee": 10_000_000_000, "ann-lee-2": 0, "user-4": -500_000_000}
    assert limits == [("key", 2_000_000_000)]
    key, free = accounts.find_key("sk-" + "a" * 48), accounts.find_key("sk-" + "b" * 48)
    assert key is not None and free is not None
    assert (key.models, key.networks) == (("gpt-4o", "gpt-4o-mini"), ("10.0.0.0/8", "192.0.2.7/32"))
    assert (free.models, free.expires_us) == ((), 1_900_000_000_000_000)
    assert accounts.find_key("sk-" + "c" * 48) is None
    accounts.close()
    config = load_config()
    served = {(part.model, part.provider): part for part in served_by(config)}
    assert {provider for _, provider in served} == {"openai", "deepseek", "ollama"}
    assert all(part.price is not None for part in served.values())
    assert stored_keys(tmp_path / "home") == {"openai": ["sk-openai-1", "sk-openai-2"], "deepseek": ["sk-ds"]}
    for text in (
        "channel 5 (baidu)",
        "channel 6 (off): it is disabled",
        "token 3 (orphan)",
        "prices add vip --margin -20%",
    ):
        assert text in done.output


def test_importing_again_makes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_api(tmp_path, is_new=True)
    run(tmp_path, monkeypatch, "new-api", "one-api.db", "--config", "a.toml")
    again = run(tmp_path, monkeypatch, "new-api", "one-api.db", "--config", "b.toml")
    assert "made: 0 tenants, 0 keys, 1 quotas, 0 providers' keys, 0.00 USD" in again.output
    accounts = open_accounts(tmp_path / "home")
    with accounts.database.reading() as connection:
        assert balance_of(connection, "ann-lee").balance_nano_usd == 10_000_000_000
    accounts.close()
    third = run(tmp_path, monkeypatch, "new-api", "one-api.db", "--config", "b.toml")
    assert third.exit_code != 0 and "there already" in str(third.exception)


def test_secrets_do_not_show_in_a_plan(tmp_path: Path) -> None:
    plan = read_database(one_api(tmp_path, is_new=True), load_catalog(), DAY)
    assert "sk-openai" not in repr(plan) and "aaaa" not in repr(plan)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.yaml").write_text("a: 1\nmodel_list: 3\n")
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("CREATE TABLE users (id)")
    assert "no LiteLLM config" in str(run(tmp_path, monkeypatch, "litellm", "x.yaml").exception)
    assert "no table channels" in str(run(tmp_path, monkeypatch, "one-api", "x.db").exception)


def test_a_name_with_a_line_break_writes_no_setting(tmp_path: Path) -> None:
    """What did not map is told in comments; a model's name is anybody's text."""
    entry = '{model_name: "x\\n[gateway]\\nhost = 1", litellm_params: {model: openai/nobody-knows}}'
    (tmp_path / "config.yaml").write_text(f"model_list: [{entry}]\n")
    plan = read_config(tmp_path / "config.yaml", load_catalog(), DAY)
    assert "\n[gateway]" in plan.unmapped[0]
    assert tomllib.loads(render(plan)) == {"providers": {"openai": {"models": "listed"}}}


@pytest.mark.parametrize("prefix", ["ollama", "ollama_chat"])
def test_ollama_is_reached_where_it_speaks_openais_dialect(tmp_path: Path, prefix: str) -> None:
    """LiteLLM speaks Ollama's own API, at an address without a version; ours stands under /v1."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"model_list:\n- model_name: home\n  litellm_params: {{model: {prefix}/llama3, input_cost_per_token: 0, "
        'output_cost_per_token: 0, api_base: "http://10.0.0.2:11434"}\n'
    )
    (part,) = read_config(file, load_catalog(), DAY).providers
    assert (part.base_url, part.dialect) == ("http://10.0.0.2:11434/v1", "openai-chat")


def test_odd_rows_of_one_api_make_nobody_freer_and_stop_nothing(tmp_path: Path) -> None:
    """A token bound to networks that cannot be read is no key that is good from anywhere; the rest is told."""
    file = one_api(tmp_path, is_new=False)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE tokens SET subnet = 'the office' WHERE id = 1")
        database.execute("INSERT INTO tokens (id, user_id, key, status, name) VALUES (9, 1, NULL, 1, 'empty')")
        database.execute("UPDATE channels SET model_mapping = '{broken' WHERE id = 2")
        database.execute("""UPDATE options SET value = '{"vip": null, "odd": "x"}' WHERE key = 'GroupRatio'""")
        database.execute("UPDATE users SET \"group\" = 'odd' WHERE id = 4")
    plan = read_database(file, load_catalog(), DAY)
    assert [key.name for key in plan.keys] == ["free"]
    told = "\n".join(plan.unmapped)
    assert "token 1 (app): no key was made of it" in told and "token 9 (empty): it has no key" in told
    assert "channel 2 (oa2): its model_mapping is no JSON object" in told
    assert "group odd of 1 users, x times the price: that is no number" in told
