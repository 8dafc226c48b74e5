"""Bring an accounts database to a revision. Imported only where a step has to be taken: alembic takes 0.2 s to load."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from tidegate.accounts.errors import AccountInvalid

FOLDER = Path(__file__).parent


def upgrade(connection: sa.Connection, revision: str) -> None:
    """Take the steps up to `revision`, in the transaction of `connection`."""
    _run(connection, revision, lambda script, current: script._upgrade_revs(revision, current))


def downgrade(connection: sa.Connection, revision: str) -> None:
    """Take the steps back down to `revision`, in the transaction of `connection`."""
    _run(connection, revision, lambda script, current: script._downgrade_revs(revision, current))


def chain() -> list[str]:
    """Every revision, oldest first."""
    return [step.revision for step in ScriptDirectory(str(FOLDER)).walk_revisions()][::-1]


def check_revision(revision: str) -> None:
    """Raises AccountInvalid for a revision that this release does not know."""
    known = chain()
    if revision not in known:
        raise AccountInvalid(f"there is no revision {revision[:20]!r}; this release knows {', '.join(known)}")


def _run(connection: sa.Connection, revision: str, plan: Any) -> None:
    script = ScriptDirectory(str(FOLDER))
    environment = EnvironmentContext(
        Config(), script, fn=lambda current, _: plan(script, current), destination_rev=revision
    )
    with environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
