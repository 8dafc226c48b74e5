"""Who may call and who may manage: tenants, projects, keys, people; and the row that tells workers of changes."""

import sqlalchemy as sa

from tidegate.accounts.schema.base import metadata

state = sa.Table(  # one row
    "accounts_state",
    metadata,
    sa.Column("state_id", sa.Integer, primary_key=True, autoincrement=False),  # always 1
    sa.Column("version", sa.BigInteger, nullable=False),  # bumped by every change that workers must see
    sa.Column("database_id", sa.String(32), nullable=False),  # random, made with the tables
    sa.Column("secret_check", sa.String(64), nullable=False),  # tells a host whose `secret` is not the others'; "" none
)

tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("tenant_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),  # IANA name: where its days and months begin
    sa.Column("language", sa.String(16), nullable=False),  # of texts for its people: `zh`, `en`; "" as they ask
    sa.Column("billing_country", sa.String(2), nullable=True),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False, index=True),  # the version that changed the row last
)

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.tenant_id"), primary_key=True),
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False, index=True),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("key_id", sa.String(40), primary_key=True),
    sa.Column("tenant_id", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("hint", sa.String(24), nullable=False),  # first and last characters, to recognise a key by
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=True),
    sa.Column("revoked_us", sa.BigInteger, nullable=True),
    sa.Column("billing_country", sa.String(2), nullable=True),
    sa.Column("updated_us", sa.BigInteger, nullable=True),  # last changed by somebody; None: never
    sa.Column("is_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("price_group", sa.String(64), nullable=False, server_default=""),  # "": the tenant's
    sa.Column("models", sa.Text, nullable=False, server_default=""),  # globs, separated by spaces; "": all
    sa.Column("providers", sa.Text, nullable=False, server_default=""),  # names; "": all
    sa.Column("networks", sa.Text, nullable=False, server_default=""),  # CIDR; "": from anywhere
    sa.Column("changed", sa.BigInteger, nullable=False, server_default="1"),
    sa.Index("keys_changed", "changed"),
    sa.Index("keys_tenant", "tenant_id", "project_id"),
)

former_secrets = sa.Table(  # of keys that were rotated
    "former_secrets",
    metadata,
    sa.Column("secret_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("key_id", sa.String(40), sa.ForeignKey("keys.key_id"), nullable=False, index=True),
    sa.Column("valid_until_us", sa.BigInteger, nullable=False),
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("person_id", sa.String(40), primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),  # in lower case
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("password_hash", sa.String(256), nullable=True),  # argon2id; None: signs in elsewhere
    sa.Column("is_operator", sa.Boolean, nullable=False),  # may manage every tenant
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
)

identities = sa.Table(  # who a person is at an OpenID provider
    "identities",
    metadata,
    sa.Column("issuer", sa.String(255), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("person_id", sa.String(40), sa.ForeignKey("people.person_id"), nullable=False, index=True),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("person_id", sa.String(40), sa.ForeignKey("people.person_id"), primary_key=True),
    sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.tenant_id"), primary_key=True, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
)

sessions = sa.Table(  # of people who are signed in
    "sessions",
    metadata,
    sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("person_id", sa.String(40), sa.ForeignKey("people.person_id"), nullable=False, index=True),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=False),
)

service_keys = sa.Table(  # programs that manage; they cannot call models
    "service_keys",
    metadata,
    sa.Column("service_key_id", sa.String(40), primary_key=True),
    sa.Column("tenant_id", sa.String(64), sa.ForeignKey("tenants.tenant_id"), nullable=True),  # None: every tenant
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("hint", sa.String(24), nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=True),
    sa.Column("revoked_us", sa.BigInteger, nullable=True),
)

provider_keys = sa.Table(  # what providers gave the operator, under the operator's key
    "provider_keys",
    metadata,
    sa.Column("provider_key_id", sa.String(40), primary_key=True),
    sa.Column("provider_name", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),  # JWE, compact: dir, A256GCM
    sa.Column("hint", sa.String(24), nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
)
