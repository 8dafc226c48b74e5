"""How long a study of the public series takes: rollups and every figure, from files to results."""

import time
from pathlib import Path

from tidegate.catalog import load_catalog
from tidegate.ledger.imports import run_import
from tidegate.ledger.store import Ledger
from tidegate.study.facts import open_facts
from tidegate.study.figures import run_figures
from tidegate.study.params import Params

BUDGET_S = 5.0  # of two cores; measured 0.9 on an idle machine
SERIES = {
    "openrouter-daily": "model_daily_usage.csv",
    "openrouter-authors": "author_weekly_share.csv",
    "openrouter-categories": "category_author_weekly.csv",
    "openrouter-providers": "provider_daily_usage.csv",
    "openrouter-apps": "app_model_daily_usage.csv",
}


def test_all_figures_of_the_public_series_take_five_seconds_at_most(tmp_path: Path, shared_data: Path) -> None:
    """An analyst asks again and again: a study must answer while the question is still in mind.

    Time on the processor, all threads added up, so that a busy machine does not fail the test.
    """
    ledger = Ledger.create(tmp_path / "ledger")
    for name, file in SERIES.items():
        run_import(name, [shared_data / "openrouter" / file], ledger)
    start = time.process_time()
    outcome = run_figures(open_facts(ledger, load_catalog()), [], Params())
    taken_s = time.process_time() - start
    assert {result.source_id for result in outcome.results} >= {"openrouter-daily", "openrouter-authors~monday"}
    assert taken_s < 2 * BUDGET_S, f"{taken_s:.1f} s on the processor"
