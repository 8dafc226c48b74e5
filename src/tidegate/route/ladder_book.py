"""From settings to ladders: every name is known and every rule can hold, or the configuration is refused."""

from collections.abc import Iterable, Mapping

from tidegate.core.errors import ConfigError
from tidegate.core.ladder_settings import JudgeConfig, LadderConfig, RungConfig
from tidegate.core.money import InvalidMoney, parse_usd
from tidegate.route.ladder import REASONS, Judge, Ladder, Reason, Rung
from tidegate.route.ladder_judge import PROMPT
from tidegate.route.policy import near_names

RUNGS_MAX = 8


def ladder_book(ladders: Mapping[str, LadderConfig], names: Mapping[str, str]) -> dict[str, Ladder]:
    """Ladders by name. names: models that are served here and have a price, by each name that callers may use.

    Raises ConfigError naming the entry, what is wrong with it, and names that are near.
    """
    return {name: _ladder(name, config, ladders, names) for name, config in ladders.items()}


def _ladder(name: str, config: LadderConfig, ladders: Iterable[str], names: Mapping[str, str]) -> Ladder:
    where = f"ladders.{name}"
    if not name.strip() or name in names or name.lower() in names:
        raise ConfigError(f"{where}: a model is called {name!r} already; give the ladder a name of its own")
    if not 2 <= len(config.rungs) <= RUNGS_MAX:
        raise ConfigError(f"{where}.rungs: a ladder has 2 to {RUNGS_MAX} rungs, this one {len(config.rungs)}")
    for number, rung in enumerate(config.rungs, start=1):
        _check_model(rung.model, f"{where}.rungs, the {_nth(number)}", ladders, names)
    if config.rungs[-1].escalate_on:
        raise ConfigError(f"{where}.rungs: the last one has escalate_on, and nowhere to go; leave it out there")
    rungs = tuple(_rung(rung, f"{where}.rungs, the {_nth(n)}") for n, rung in enumerate(config.rungs, start=1))
    asks_judge = any("judge" in rung.escalate_on for rung in rungs)
    if asks_judge and config.judge is None:
        raise ConfigError(f'{where}: a rung escalates on `judge`, and there is none; add judge = {{ model = "..." }}')
    if config.judge is not None and not asks_judge:
        raise ConfigError(f'{where}.judge is never asked; add "judge" to the escalate_on of a rung, or leave it out')
    judge = _judge(config.judge, where, ladders, names) if config.judge is not None else None
    return Ladder(name, rungs, judge, _budget(config.budget_usd, where))


def _check_model(model: str, where: str, ladders: Iterable[str], names: Mapping[str, str]) -> None:
    if model in ladders:
        raise ConfigError(f"{where}: {model!r} is a ladder itself; write its rungs here")
    if model not in names and model.lower() not in names:
        near = near_names(model[:80], names) if len(names) < 1000 else _near_only(model, names)
        raise ConfigError(f"{where}: no model {model!r} with a price is served here; {near}")


def _near_only(model: str, names: Mapping[str, str]) -> str:
    """As `near_names`, without a list of a thousand where none is near."""
    told = near_names(model[:80], names)
    return told if told.startswith("did you mean") else "`tidegate catalog models` lists them"


def _rung(config: RungConfig, where: str) -> Rung:
    found: set[Reason] = set()
    for word in config.escalate_on:
        reason = next((reason for reason in REASONS if reason == word), None)
        if reason is None:
            raise ConfigError(f"{where}, escalate_on: no reason is called {word!r}; {near_names(word, REASONS)}")
        found.add(reason)
    return Rung(config.model, frozenset(found), config.logprob_min)


def _judge(config: JudgeConfig, where: str, ladders: Iterable[str], names: Mapping[str, str]) -> Judge:
    _check_model(config.model, f"{where}.judge", ladders, names)
    return Judge(config.model, config.prompt or PROMPT, config.min_score)


def _budget(text: str, where: str) -> int | None:
    if not text:
        return None
    try:
        amount = parse_usd(text)
    except InvalidMoney as error:
        raise ConfigError(f"{where}.budget_usd: {error}") from None
    if amount <= 0:
        raise ConfigError(f"{where}.budget_usd: {text!r} pays for no call; leave it out for none")
    return int(amount)


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
