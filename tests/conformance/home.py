"""An installation in front of the mock: three providers as the catalog has them, every model priced at 0."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from conformance.mock_provider import MockProvider
from rig.gateway import Gateway, start_gateway
from tidegate.accounts.keys import open_accounts

FACTS = """
- provider: mock-openai
  name: Mock of OpenAI
  base_url: {url}/v1
  also: {{openai-responses: "{url}/v1", openai-completions: "{url}/v1", openai-embeddings: "{url}/v1"}}
  api_key_env: MOCK_KEY
  source: tests/conformance
  checked: 2026-11-22
- provider: mock-anthropic
  name: Mock of Anthropic
  base_url: {url}/v1
  dialect: anthropic
  auth: x-api-key
  api_key_env: MOCK_KEY
  source: tests/conformance
  checked: 2026-11-22
- provider: mock-gemini
  name: Mock of Gemini
  base_url: {url}/v1beta
  dialect: gemini
  auth: x-goog-api-key
  api_key_env: MOCK_KEY
  source: tests/conformance
  checked: 2026-11-22
- provider: mock-chat
  name: Mock of a provider that speaks OpenAI's chat alone
  base_url: {url}/v1
  api_key_env: MOCK_KEY
  source: tests/conformance
  checked: 2026-11-22
"""
FREE = 'price = { input = "0", output = "0" }'


def configuration(models: Mapping[str, Iterable[str]]) -> str:
    """Endpoints for the models of each mock provider, by the very names that clients use."""
    lines = ["[gateway]", "providers_from_environment = false"]
    for provider, names in models.items():
        for name in dict.fromkeys(names):
            lines += ["[[endpoints]]", f'provider = "{provider}"', f'model = "{name}"', f'upstream_model = "{name}"']
            lines.append(FREE)
    return "\n".join(lines) + "\n"


def start_before(
    mock: MockProvider, home: Path, models: Mapping[str, Iterable[str]], secrets: Iterable[str] = ()
) -> Gateway:
    """A gateway in front of the mock. secrets: keys that clients bring with them, such as the SDK suites' own."""
    catalog = home / "catalog"
    catalog.mkdir(parents=True, exist_ok=True)
    (catalog / "providers.yml").write_text(FACTS.format(url=mock.url))
    accounts = open_accounts(home)
    key = ""
    for number, secret in enumerate(secrets):
        key = accounts.create_key(f"given-{number}", secret=secret).secret
    accounts.close()
    return start_gateway(home, configuration(models), {"MOCK_KEY": "mock"}, key)
