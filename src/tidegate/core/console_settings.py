"""Settings of the console: who signs in, how, and which other gateways' paths are served. Part of `tidegate.config`."""

from typing import Annotated

import msgspec
from msgspec import Meta


def _help(text: str) -> Meta:
    return Meta(description=text)


class Console(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The admin API and sign-in. Nobody can sign in before `tidegate accounts admin create`."""

    public_url: Annotated[
        str,
        _help(
            "where browsers reach this gateway, e.g. `https://gate.example.com`; needed for sign-in with a provider. "
            "With `https://` session cookies are for TLS only"
        ),
    ] = ""
    session_h: Annotated[float, Meta(gt=0, le=720), _help("how long a sign-in holds, hours")] = 12.0
    oidc_issuer: Annotated[
        str, _help("OpenID provider, to the letter as its discovery document names it; empty: passwords only")
    ] = ""
    oidc_client_id: Annotated[str, _help("how the provider knows this installation")] = ""
    oidc_client_secret_env: Annotated[
        str, _help("environment variable that holds the client's secret; unset: a public client")
    ] = "TIDEGATE_OIDC_CLIENT_SECRET"
    litellm_paths: Annotated[
        bool, _help("serve LiteLLM's management paths (`/key/generate`, ...) too, for scripts written for it")
    ] = False
    keys_read_account: Annotated[
        bool, _help("an API key may read its tenant's `/credits` and `/activity`; else only a service key may")
    ] = False
