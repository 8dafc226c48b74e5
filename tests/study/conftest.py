"""A ledger that imported a small series, as a user would."""

from collections.abc import Callable
from pathlib import Path

import pytest
from study_series import AUTHORS, Volumes

from tidegate.catalog import load_catalog
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.facts import Facts, open_facts


@pytest.fixture
def facts_of(tmp_path: Path) -> Callable[[Volumes], Facts]:
    """Facts of a ledger that imported these volumes."""

    def build(volumes: Volumes) -> Facts:
        file = tmp_path / "series.csv"
        lines = [f"{day},{model},{volume},0,0,{volume}" for (day, model), volume in volumes.items()]
        file.write_text("\n".join(["Date,Model,Prompt,Completion,Reasoning,Total_Tokens", *lines]), "utf-8")
        ledger = Ledger.create(tmp_path / "ledger")
        run_import("openrouter-daily", [file], ledger)
        return open_facts(ledger, load_catalog(), overrides=AUTHORS)

    return build
