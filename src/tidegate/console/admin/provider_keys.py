"""Keys that providers gave the operator: stored encrypted, listed by hint, never told again."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tidegate.accounts.provider_keys import (
    ProviderKey,
    add_provider_key,
    enable_provider_key,
    list_provider_keys,
    read_operator_key,
    remove_provider_key,
)
from tidegate.console.admin import ROOT
from tidegate.console.admin.sessions import Done
from tidegate.console.operations import Asked, Operation


class NewProviderKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be stored. `provider_name`: as the catalog or the configuration names it; `name`: for people."""

    provider_name: Annotated[str, Meta(min_length=1)]
    secret: Annotated[str, Meta(min_length=1)]
    name: str = ""

    def __repr__(self) -> str:
        return f"NewProviderKey({self.provider_name!r})"


class ProviderKeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether calls go out with it."""

    is_enabled: bool


class ProviderKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys in the order of their use; never a secret."""

    data: list[ProviderKey]


def _list(asked: Asked) -> ProviderKeys:
    return ProviderKeys(data=list_provider_keys(asked.backend.database))


def _add(asked: Asked) -> ProviderKey:
    config, body = asked.backend.config, asked.body
    database = asked.backend.database
    may_make = not list_provider_keys(database)  # a new operator's key would leave stored ones unreadable
    operator_key = read_operator_key(config.home_path, config.accounts.operator_key_file, may_make=may_make)
    return add_provider_key(database, operator_key, body.provider_name, body.secret, body.name)


def _change(asked: Asked) -> Done:
    enable_provider_key(asked.backend.database, asked.path["provider_key_id"], is_enabled=asked.body.is_enabled)
    return Done()


def _remove(asked: Asked) -> Done:
    remove_provider_key(asked.backend.database, asked.path["provider_key_id"])
    return Done()


_ONE = f"{ROOT}/provider-keys/{{provider_key_id}}"
OPERATIONS: Final = (
    Operation(
        method="GET", path=f"{ROOT}/provider-keys", summary="Keys of providers.", action="provider_key.read",
        run=_list, reply=ProviderKeys,
    ),
    Operation(
        method="POST", path=f"{ROOT}/provider-keys", summary="Store a provider's key, encrypted.",
        action="provider_key.change", run=_add, body=NewProviderKey, reply=ProviderKey, status=201,
    ),
    Operation(
        method="PATCH", path=_ONE, summary="Use a provider's key, or not for now.", action="provider_key.change",
        run=_change, body=ProviderKeyChange, reply=Done,
    ),
    Operation(
        method="DELETE", path=_ONE, summary="Forget a provider's key.", action="provider_key.change", run=_remove,
        reply=Done,
    ),
)  # fmt: skip
