"""What another gateway misbilled, from its own logs: each call against the published price of its day.

Reads LiteLLM spend logs, one-api and new-api logs and OpenRouter activity as they are, without an installation.
"""

from tidegate.accounts.audit.finding import CAUSES, Finding
from tidegate.accounts.audit.form import FORMS
from tidegate.accounts.audit.result import Audit
from tidegate.accounts.audit.run import Options, audit

__all__ = ["CAUSES", "FORMS", "Audit", "Finding", "Options", "audit"]
