"""What the console's pages stand on: the accounts, the ledger and its usage, sign-in. Opened at first use, kept."""

import datetime
import logging
import os
import threading
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from tidegate.accounts.database import Database
from tidegate.accounts.keys import Accounts, open_accounts
from tidegate.accounts.money.channels import channels_of
from tidegate.config import Config
from tidegate.console.throttle import Throttle
from tidegate.console.usage import Keys, Line, UsageReader
from tidegate.core.errors import AccountsError, ConfigError, Unavailable
from tidegate.ledger.store import Ledger

if TYPE_CHECKING:
    from tidegate.console.oidc import Oidc

log = logging.getLogger(__name__)

ANSWER_PATH = "/console/sign-in/answer"


class Backend:
    """One installation, as its console sees it. Methods may be called from any thread."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.usage = UsageReader()
        self.throttle = Throttle()
        self.is_secure = config.console.public_url.startswith("https://") or bool(config.gateway.tls_cert_file)
        self.oidc = _oidc_of(config)
        self.channels = channels_of(config.topups, os.environ)
        self._opening = threading.Lock()
        self._accounts: Accounts | None = None
        self._ledger: Ledger | None = None

    def accounts(self) -> Accounts:
        """Raises Unavailable where the database cannot be opened."""
        with self._opening:
            if self._accounts is None:
                settings = self.config.accounts
                try:
                    self._accounts = open_accounts(self.config.home_path, settings.database_url, settings.secret_file)
                except (SQLAlchemyError, ConfigError, AccountsError, OSError) as error:
                    log.error("the accounts cannot be opened: %s", error)
                    raise Unavailable("The accounts cannot be opened; the operator's log says why.") from error
            return self._accounts

    @property
    def database(self) -> Database:
        return self.accounts().database

    @property
    def pepper(self) -> bytes:
        return self.accounts().pepper

    def ledger(self) -> Ledger:
        """Raises LedgerError where there is none yet."""
        with self._opening:
            if self._ledger is None:
                self._ledger = Ledger.open(self.config.ledger_path)
            return self._ledger

    def lines(self, tenant_id: str, *, key_id: Keys = None, since: datetime.date | None = None) -> list[Line]:
        """What a tenant, or some keys of it, have used; nothing before the first call has made a ledger.

        Raises LedgerError where one cannot be read.
        """
        if self._ledger is None and not (self.config.ledger_path / "ledger.json").exists():
            return []
        return self.usage.read(self.ledger(), tenant_id, key_id=key_id, since=since)

    def close(self) -> None:
        with self._opening:
            if self._accounts is not None:
                self._accounts.close()
                self._accounts = None


def _oidc_of(config: Config) -> "Oidc | None":
    """Raises ConfigError for a provider that cannot be used as configured."""
    settings = config.console
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise ConfigError("console.oidc_issuer is set, and console.oidc_client_id is not: register a client there")
    if not settings.public_url.startswith(("https://", "http://")):
        raise ConfigError(
            "console.public_url must say where browsers reach this gateway, e.g. https://gate.example.com; the sign-in "
            f"provider sends them back to it, at {ANSWER_PATH}"
        )
    from tidegate.console.oidc import Oidc, OidcClient

    return Oidc(
        OidcClient(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            secret=os.environ.get(settings.oidc_client_secret_env, ""),
            redirect_uri=settings.public_url.rstrip("/") + ANSWER_PATH,
        )
    )
