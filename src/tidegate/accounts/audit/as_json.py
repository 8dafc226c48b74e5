"""An audit as plain objects, amounts in nano-USD: for programs."""

from typing import Any

import msgspec

from tidegate.accounts.audit.finding import Finding
from tidegate.accounts.audit.result import Audit, ByCause


def as_json(audit: Audit) -> dict[str, Any]:
    """Sums, causes, models, days and every finding; what nobody can know is null."""
    return {
        "files": list(audit.files),
        "sums": {
            **msgspec.to_builtins(audit.sums),
            "should_nano_usd": audit.should_nano_usd,
            "over_nano_usd": audit.over_nano_usd,
            "under_nano_usd": audit.under_nano_usd,
            "wrong": audit.wrong,
            "unknowable": audit.unknowable,
        },
        "causes": [_cause(part) for part in audit.by_cause()],
        "models": [msgspec.to_builtins(part) for part in audit.models],
        "days": [msgspec.to_builtins(part) for part in audit.days],
        "findings": [_finding(finding) for finding in audit.findings],
        "notes": list(audit.notes),
    }


def _cause(part: ByCause) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(part)
    return {**found, "title": part.title, "text": part.text, "is_mistake": part.is_mistake}


def _finding(finding: Finding) -> dict[str, Any]:
    call = finding.call
    return {
        "place": call.place,
        "call_id": call.call_id,
        "ts_us": call.ts,
        "day": call.day,
        "model": call.model,
        "provider": call.provider or call.provider_said,
        "usage": None if call.usage is None else msgspec.to_builtins(call.usage),
        "charged_nano_usd": call.charged_nano_usd,
        "should_nano_usd": finding.should_nano_usd,
        "over_nano_usd": finding.over_nano_usd if finding.should_nano_usd is not None else None,
        "is_at_least": finding.is_at_least,
        "causes": list(finding.causes),
        "certainty": finding.certainty,
        "price_id": finding.price_id,
        "why": finding.why,
    }
