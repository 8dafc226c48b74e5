"""Who uses which model: applications of the largest models, and models of the largest applications."""

from tidegate.study.app_share import NOBODY
from tidegate.study.facts import Facts, Source
from tidegate.study.model_names import NOBODY as NO_MODEL
from tidegate.study.params import Params
from tidegate.study.result import Cell, NotComputable, Result
from tidegate.study.shares import REST, Ask, Drawn, Missing, finish, tabulate

NAME = "app_models"
QUESTION = "Which applications use which model?"
MODELS_MAX, APPS_MAX = 12, 8


def app_models(facts: Facts, source: Source, params: Params) -> Result:
    """For each of the largest models over the window, the share of its measure by application."""
    ask = Ask(group="concat(coalesce(model, ''), '|', coalesce(app, ''))", relation="apps", of="any")
    whole = tabulate(NAME, facts, source, params, ask)
    catalog = facts.makers.catalog
    used: dict[str, dict[str, int]] = {}
    apps: dict[str, int] = {}
    missing = 0
    for pair, value in whole.totals().items():
        model, _, app = pair.partition("|")
        if model.lower() in NO_MODEL or not app:
            missing += value
            continue
        held = used.setdefault(catalog.resolve(model).model, {})
        held[app] = held.get(app, 0) + value
        apps[app] = apps.get(app, 0) + value
    if not used:
        raise NotComputable(
            NAME, source.source_id, "no call has both an application (app) and a model (response_model)"
        )
    shown = [app for app in sorted(apps, key=lambda app: (-apps[app], app)) if app not in NOBODY][:APPS_MAX]
    models = sorted(used, key=lambda model: (-sum(used[model].values()), model))[:MODELS_MAX]
    period = whole.coverage.kept[0].isoformat() if whole.coverage.kept else ""
    rows = []
    for model in models:
        total = sum(used[model].values())
        parts = {app: used[model].get(app, 0) for app in shown}
        parts[REST] = total - sum(parts.values())
        rows += [
            Cell(
                period=period, groups={"model": model, "app": app}, value=value, share=value / total if total else None
            )
            for app, value in parts.items()
        ]
    every = whole.total()
    return finish(
        source,
        params,
        whole,
        Drawn(
            figure=NAME,
            definition=(
                f"Share of each model's {params.measure} over the whole window by calling application: the "
                f"{MODELS_MAX} largest models, the {APPS_MAX} largest applications, and `other`."
            ),
            rows=tuple(rows),
            missing=Missing(missing / every if every else 0.0, "no application or no model"),
            down=("model",),
        ),
    )
