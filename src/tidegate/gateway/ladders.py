"""The ladders of one routing table: found by name, listed beside models, planned rung by rung, and told."""

import time
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tidegate.catalog.catalog import DATA
from tidegate.core.errors import CatalogError, Forbidden, GatewayError, InvalidRequest
from tidegate.core.facts import Endpoint
from tidegate.core.ladder_settings import LadderConfig
from tidegate.core.money import format_usd
from tidegate.gateway.answer_schema import check_installed
from tidegate.gateway.routing import Said
from tidegate.route.filter import ALL_ALLOWED, Allowed
from tidegate.route.ladder import Ladder
from tidegate.route.ladder_book import ladder_book
from tidegate.route.planner import Call as Asking
from tidegate.wire.routing_ask import ABSENT, RoutingAsk, models_of

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.call import Call
    from tidegate.gateway.routing import Router
    from tidegate.route.explain import Explanation

PROVIDER: Final = "tidegate"
REFUSALS_FILE: Final = "refusals.toml"
_encoder = msgspec.json.Encoder()


class Ladders:
    """Those of an installation. `refusals`: how plain refusals begin."""

    def __init__(self, found: Mapping[str, Ladder], refusals: tuple[str, ...] = ()) -> None:
        self._found, self.refusals = dict(found), refusals
        self._low = {name.lower(): name for name in found}
        self.without_logprobs: set[str] = set()  # endpoints that refuse to tell them

    def __bool__(self) -> bool:
        return bool(self._found)

    def find(self, name: str) -> tuple[Ladder, str] | None:
        """The ladder that a caller's name means, and the suffix that says how to rank (`:floor`); None: a model's."""
        for stem, suffix in ((name, ""), name.rsplit(":", 1) if ":" in name else (name, "")):
            ladder = self._found.get(stem) or self._found.get(self._low.get(stem.lower(), ""))
            if ladder is not None:
                return ladder, f":{suffix}" if suffix else ""
        return None

    def of(self, call: "Call") -> tuple[Ladder, str] | None:
        """As `find`, for a call whose head is read and that is none of a ladder's own."""
        return self.find(call.head.model) if call.head is not None and not call.ladder_name else None

    def listed(self) -> dict[str, Endpoint]:
        """As lists of models have them: served by this gateway, at no price of their own."""
        return {
            name: Endpoint(endpoint_id=f"{name}@{PROVIDER}", provider=PROVIDER, model=name, upstream_model=name)
            for name in self._found
        }


NO_LADDERS: Final = Ladders({})


def read_ladders(configs: Mapping[str, LadderConfig], names: Mapping[str, str]) -> Ladders:
    """Raises ConfigError or CatalogError. names: as `ladder_book` has them."""
    if not configs:
        return NO_LADDERS
    found = ladder_book(configs, names)
    for name, ladder in found.items():
        if any("schema" in rung.escalate_on for rung in ladder.rungs):
            check_installed(f"ladders.{name}")
    path = DATA / REFUSALS_FILE
    try:
        begins = msgspec.convert(tomllib.loads(path.read_text("utf-8"))["begins"], tuple[str, ...])
    except (OSError, KeyError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogError(f"{path} cannot be read: {error}. Install Tidegate again.") from error
    return Ladders(found, begins)


def check_key(key: "Key", name: str) -> None:
    """A key that may call some models only may call a ladder that it names, whatever its rungs. Raises Forbidden."""
    if key.models and not any(fnmatchcase(name, glob) for glob in key.models):
        raise Forbidden(
            f"This key may not call the model {name!r}; it may call {', '.join(key.models)}.", param="model"
        )


def check_alone(ask: RoutingAsk | None, name: str) -> None:
    """A ladder says itself what follows what. Raises InvalidRequest where the caller names further models."""
    if ask is not None and len(models_of(ask, name)) > 1:
        raise InvalidRequest(
            f"{name!r} is a ladder, which says itself what is asked next; leave out further models.", param="models"
        )


def asking_of_rung(router: "Router", said: Said, key: "Key", model: str) -> Asking:
    """What the plan of one rung depends on: all that the caller asks of routing, and the rung's model.

    model: with the caller's suffix. Raises as `Router.asking` does.
    """
    routing = said.head.routing
    if routing is not None:
        routing = msgspec.structs.replace(routing, models=ABSENT, fallbacks=ABSENT)
    head = msgspec.structs.replace(said.head, model=model, routing=routing)
    asking = router.asking(said._replace(head=head), key)
    allowed = Allowed((), key.providers) if key.providers else ALL_ALLOWED
    return msgspec.structs.replace(asking, allowed=allowed)


def said_by(call: "Call") -> Said:
    """What a call asks of routing."""
    assert call.head is not None
    return Said(call.head, call.request.body, call.request.headers, call.operation.dialect.name)


def first_asking(call: "Call", found: tuple[Ladder, str]) -> Asking:
    """Of a call that climbs no further than the first rung. Raises as `asking_of_rung` does."""
    check_key(call.key, found[0].name)
    return asking_of_rung(call.server.router, said_by(call), call.key, f"{found[0].rungs[0].model}{found[1]}")


def explained(call: "Call", found: tuple[Ladder, str]) -> bytes:
    """The ladder of a call in words, as JSON."""
    return _encoder.encode(explain_ladder(call.server.router, said_by(call), call.key, found, time.monotonic()))


class ExplainedRung(msgspec.Struct, frozen=True, kw_only=True):
    """One rung, or the judge. `plan`: null where its model is not served at present, which `error` says."""

    model: str
    role: str
    escalate_on: tuple[str, ...]
    logprob_min: float | None
    min_score: int | None
    plan: "Explanation | None"
    error: str | None


class ExplainedLadder(msgspec.Struct, frozen=True, kw_only=True):
    """A ladder whole: the plan of each of its rungs, in order, and of its judge."""

    ladder: str
    budget_usd: str | None
    rungs: tuple[ExplainedRung, ...]


def explain_ladder(
    router: "Router", said: Said, key: "Key", found: tuple[Ladder, str], now_s: float
) -> ExplainedLadder:
    """Raises Forbidden or InvalidRequest as a call would."""
    ladder, suffix = found
    check_key(key, ladder.name)
    check_alone(said.head.routing, said.head.model)

    def told(model: str, role: str, **more: Any) -> ExplainedRung:
        try:
            plan = router.explain(asking_of_rung(router, said, key, model), now_s)
        except InvalidRequest:
            raise
        except GatewayError as error:
            return ExplainedRung(model=model, role=role, plan=None, error=error.message, **more)
        return ExplainedRung(model=model, role=role, plan=plan, error=None, **more)

    rungs = [
        told(f"{rung.model}{suffix}", "rung", escalate_on=tuple(sorted(rung.escalate_on)), min_score=None,
             logprob_min=rung.logprob_min if "logprob" in rung.escalate_on else None)
        for rung in ladder.rungs
    ]  # fmt: skip
    if (judge := ladder.judge) is not None:
        rungs.append(told(judge.model, "judge", escalate_on=(), logprob_min=None, min_score=judge.min_score))
    budget = ladder.budget_nano_usd
    return ExplainedLadder(
        ladder=ladder.name, budget_usd=None if budget is None else format_usd(budget), rungs=tuple(rungs)
    )
