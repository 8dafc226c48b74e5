"""Size classes of models: by total parameters, by those active for one token, or by list price."""

from collections.abc import Callable

from tidegate.study.facts import Facts
from tidegate.study.model_names import NOBODY
from tidegate.study.params import Params

SIZES = ("small", "medium", "large", "unknown")
SMALL_BELOW, LARGE_FROM = 15_000_000_000, 70_000_000_000  # parameters; exactly 70 billion is large
CHEAP_BELOW, DEAR_FROM = 0.40, 2.00  # USD per million tokens, three quarters of them input
INPUT_SHARE = 0.75


def size_namer(facts: Facts, params: Params) -> Callable[[str], str]:
    """A function from a model's name to its size class, remembered by name."""
    known: dict[str, str] = {}

    def size_of(name: str) -> str:
        if name not in known:
            known[name] = "unknown" if name in NOBODY else _size(facts, params, name)
        return known[name]

    return size_of


def _size(facts: Facts, params: Params, name: str) -> str:
    if params.size_by == "price":
        resolved = facts.makers.catalog.resolve(name)
        steps = facts.prices.steps.get((resolved.model, ""))
        return price_class(steps[-1].blended(INPUT_SHARE)) if steps else "unknown"
    model = facts.makers.catalog.model_of(name)
    count = model.parameters_total if params.size_by == "total" else model.parameters_active
    return parameter_class(count)


def parameter_class(count: int) -> str:
    """Of a number of parameters; 0 is not published."""
    if not count:
        return "unknown"
    return "small" if count < SMALL_BELOW else "large" if count >= LARGE_FROM else "medium"


def price_class(usd_per_million: float) -> str:
    return "small" if usd_per_million < CHEAP_BELOW else "large" if usd_per_million >= DEAR_FROM else "medium"


def size_text(params: Params) -> str:
    """The classes in words."""
    if params.size_by == "price":
        return (
            f"by the last known list price of a mix of three quarters input (small below ${CHEAP_BELOW:.2f} per "
            f"million tokens, large from ${DEAR_FROM:.2f} on)"
        )
    counted = "in total" if params.size_by == "total" else "active for one token"
    return f"by parameters {counted} (small below 15 billion, large from 70 billion on)"
