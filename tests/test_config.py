"""Configuration: file, then environment, read once into one value."""

from pathlib import Path

import pytest

from tidegate.config import Config, load_config
from tidegate.core.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_everything_has_a_default() -> None:
    """No file, no variable: a gateway on loopback."""
    config = load_config([], {})
    assert config == Config()
    assert (config.gateway.host, config.gateway.port) == ("127.0.0.1", 8080)


def test_later_files_and_then_the_environment_win(tmp_path: Path) -> None:
    """Tables merge, lists append, variables override."""
    a = write(tmp_path / "a.toml", '[gateway]\nport = 1\nworkers = 2\n[[endpoints]]\nprovider = "p"\nmodel = "a"\n')
    b = write(tmp_path / "b.toml", '[gateway]\nport = 2\n[[endpoints]]\nprovider = "p"\nmodel = "b"\n')
    config = load_config([a, b], {"TIDEGATE_GATEWAY_WORKERS": "3", "TIDEGATE_HOME": "/h"})
    assert (config.gateway.port, config.gateway.workers, config.home) == (2, 3, "/h")
    assert [endpoint.model for endpoint in config.endpoints] == ["a", "b"]


def test_lists_and_switches_come_from_variables_too() -> None:
    """Comma-separated; true or false."""
    environ = {
        "TIDEGATE_GATEWAY_TRUSTED_FORWARDERS": "10.0.0.0/8, ::1/128",
        "TIDEGATE_GATEWAY_PROVIDERS_FROM_ENVIRONMENT": "0",
    }
    gateway = load_config([], environ).gateway
    assert gateway.trusted_forwarders == ("10.0.0.0/8", "::1/128")
    assert gateway.providers_from_environment is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gateway]\nprot = 1\n", r"c.toml: .*unknown field `prot` - at `\$.gateway`"),
        ("[gateway]\nport = 99999\n", r"<= 65535.*\$.gateway.port"),
        ("[gateway\n", "is not valid TOML"),
        ('[gateway]\ntls_cert_file = "x"\n', "set both or neither"),
        ('[gateway]\ntrusted_forwarders = ["x"]\n', "write for example"),
        ('[providers.a]\nbase_url = "ftp://x"\n', r"providers.a.base_url must begin with http"),
        (
            '[[endpoints]]\nprovider = "p"\nmodel = "m"\nprice = { input = 0.1, output = "1" }\n',
            "Expected `str`, got `float`",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """The file, the setting, what is accepted; a price as a float is a mistake too."""
    with pytest.raises(ConfigError, match=message):
        load_config([write(tmp_path / "c.toml", text)], {})


def test_a_wrong_variable_is_named() -> None:
    """As the file's settings are."""
    with pytest.raises(ConfigError, match="TIDEGATE_GATEWAY_PORT"):
        load_config([], {"TIDEGATE_GATEWAY_PORT": "many"})


def test_a_missing_named_file_is_an_error(tmp_path: Path) -> None:
    """Naming a file means that it is there."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(None, {"TIDEGATE_CONFIG": str(tmp_path / "nowhere.toml")})
