"""The book as a Data Package (Table Schema, sources, licence) with its provenance in PROV-JSON beside it."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tidegate.market.book import Correction
from tidegate.market.claim import QUALIFIERS, Claim
from tidegate.market.finding import Finding

LEFT_OUT = ("line",)
TYPES = {"value": "number", "value_hi": "number", "period_start": "date", "period_end": "date"}
CONSTRAINTS: dict[str, dict[str, object]] = {
    "claim_id": {"required": True, "unique": True},
    "entity": {"required": True},
    "metric": {"required": True},
    "unit": {"required": True},
    "value": {"required": True},
    "period_start": {"required": True},
    "qualifier": {"enum": list(QUALIFIERS)},
    "period_kind": {"enum": ["instant", "span", "rate"]},
}
FINDING_FIELDS = ("kind", "verdict", "claims", "test", "expected", "found", "reading")
CORRECTION_FIELDS = ("claim_id", "field", "seen", "proposed", "why", "by", "at")
LICENCE = {
    "name": "CC0-1.0",
    "title": "Facts as rows; the sources keep their texts",
    "path": "https://creativecommons.org",
}


def export_book(
    folder: Path, claims: Sequence[Claim], findings: Sequence[Finding], corrections: Sequence[Correction]
) -> tuple[Path, ...]:
    """Write claims.csv, findings.csv, corrections.csv, datapackage.json and prov.json; same input, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in Claim.__struct_fields__ if name not in LEFT_OUT]
    rows = [[_cell(getattr(claim, name)) for name in names] for claim in claims]
    tables = {
        "claims": (names, rows),
        "findings": (list(FINDING_FIELDS), [[_cell(getattr(f, name)) for name in FINDING_FIELDS] for f in findings]),
        "corrections": (
            list(CORRECTION_FIELDS),
            [[_cell(getattr(c, name)) for name in CORRECTION_FIELDS] for c in corrections],
        ),
    }
    resources = []
    for name, (columns, body) in tables.items():
        path = folder / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([columns, *body])
        resources.append(_resource(name, columns, path))
    package = {
        "profile": "tabular-data-package",
        "name": "tidegate-market-book",
        "title": "Published claims on demand for LLM tokens, and what their checks found",
        "licenses": [LICENCE],
        "sources": _sources(claims),
        "resources": resources,
    }
    written = [folder / f"{name}.csv" for name in tables]
    for file_name, document in (("datapackage.json", package), ("prov.json", _provenance(claims, findings))):
        path = folder / file_name
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        written.append(path)
    return tuple(written)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return ";".join(map(str, value)) if isinstance(value, tuple) else format(value, "f" if _is_number(value) else "")


def _is_number(value: object) -> bool:
    return type(value).__name__ == "Decimal"


def _resource(name: str, columns: Sequence[str], path: Path) -> dict[str, object]:
    fields = [
        {"name": column, "type": TYPES.get(column, "string")}
        | ({"constraints": CONSTRAINTS[column]} if name == "claims" and column in CONSTRAINTS else {})
        for column in columns
    ]
    schema: dict[str, object] = {"fields": fields, "missingValues": [""]}
    if name == "claims":
        schema["primaryKey"] = "claim_id"
    if name == "corrections":
        schema["foreignKeys"] = [{"fields": "claim_id", "reference": {"resource": "claims", "fields": "claim_id"}}]
    data = path.read_bytes()
    return {
        "name": name,
        "path": path.name,
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": len(data),
        "hash": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "schema": schema,
    }


def _sources(claims: Sequence[Claim]) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for claim in claims:
        if claim.source_id:
            found.setdefault(claim.source_id, {"title": claim.publisher or claim.source_id})
            if claim.retrieved_from:
                found[claim.source_id]["path"] = claim.retrieved_from
    return list(found.values())


def _provenance(claims: Sequence[Claim], findings: Sequence[Finding]) -> dict[str, object]:
    """PROV-JSON: a claim is an entity, its extraction and the check are activities, who did them are agents."""
    entities: dict[str, dict[str, str]] = {}
    derived: dict[str, dict[str, str]] = {}
    generated: dict[str, dict[str, str]] = {}
    agents = {"tg:checker": {"prov:type": "prov:SoftwareAgent", "tg:name": "tidegate market check"}}
    activities = {"tg:check": {"tg:what": "the checks of the market book"}}
    for claim in claims:
        name, source = f"tg:claim/{claim.claim_id}", f"tg:source/{claim.source_id or 'unknown'}"
        entities[name] = {"tg:as_stated": claim.as_stated, "tg:value": format(claim.value, "f"), "tg:unit": claim.unit}
        entities.setdefault(source, {"tg:publisher": claim.publisher, "tg:retrieved_from": claim.retrieved_from})
        derived[f"_:d{len(derived)}"] = {"prov:generatedEntity": name, "prov:usedEntity": source}
        for parent in claim.derived_from:
            used = {"prov:generatedEntity": name, "prov:usedEntity": f"tg:claim/{parent}"}
            derived[f"_:d{len(derived)}"] = used
        who = claim.extracted_by or "unknown"
        agents.setdefault(f"tg:agent/{who}", {"tg:name": who})
        activities.setdefault(f"tg:extraction/{who}", {"tg:what": "reading claims out of sources"})
        generated[f"_:g{len(generated)}"] = {"prov:entity": name, "prov:activity": f"tg:extraction/{who}"}
    for number, finding in enumerate(findings, 1):
        name = f"tg:finding/{number}"
        entities[name] = {"tg:kind": finding.kind, "tg:verdict": finding.verdict, "tg:test": finding.test}
        generated[f"_:g{len(generated)}"] = {"prov:entity": name, "prov:activity": "tg:check"}
        for claim_id in finding.claims:
            used = {"prov:generatedEntity": name, "prov:usedEntity": f"tg:claim/{claim_id}"}
            derived[f"_:d{len(derived)}"] = used
    associated = {
        f"_:a{number}": {
            "prov:activity": activity,
            "prov:agent": "tg:checker" if activity == "tg:check" else activity.replace("extraction", "agent"),
        }
        for number, activity in enumerate(activities)
    }
    return {
        "prefix": {"tg": "urn:tidegate:market:", "prov": "http://www.w3.org/ns/prov#"},
        "entity": entities,
        "activity": activities,
        "agent": agents,
        "wasDerivedFrom": derived,
        "wasGeneratedBy": generated,
        "wasAssociatedWith": associated,
    }
