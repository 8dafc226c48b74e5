"""From a request to its plan: what the call asks of routing, read once; and what came of its attempts, told back.

`route/` decides; this file knows where a request keeps what decides.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tidegate.core.errors import GatewayError, InvalidRequest, ModelNotFound, PriceUnknown
from tidegate.core.routing_settings import Routing
from tidegate.gateway.bounds import asked_of
from tidegate.gateway.lanes import Lanes
from tidegate.route.affinity import BLOCK_BYTES, key_of, prefix_keys, work_of
from tidegate.route.course import Bounds, Course, RetryBudget, Setback
from tidegate.route.explain import Explanation, explain, refusal
from tidegate.route.filter import ALL_ALLOWED, NO_NEEDS, Allowed, Needs
from tidegate.route.health import Fault
from tidegate.route.planner import BYTES_PER_TOKEN, Planner, RoutePlan
from tidegate.route.planner import Call as Asking
from tidegate.route.policy import near_names
from tidegate.route.wishes import NO_WISHES, Wishes, read_wishes, split_suffix
from tidegate.wire.routing_ask import DATA_CLASS, POLICY, RoutingAsk, models_of, parameters_of, text_of

if TYPE_CHECKING:
    from tidegate.accounts.keys import Key
    from tidegate.gateway.http import Headers
    from tidegate.wire.dialect import Head

OTHER_CLASS: Final = "(a class that no policy names)"
SESSION: Final = b"x-session-id"
NAME_CHARS_MAX: Final = 200
WISHES_MAX: Final = 2048  # remembered; then they are read anew
LIMIT_BODY_BYTES_MAX: Final = 16 * 1024  # above it, the limit of an answer is looked for only where the head has it
TOOLS: Final = Needs(parameters=frozenset(("tools",)))
_BULK: Final = (b'"messages"', b'"input"', b'"contents"', b'"prompt"')
_PICTURES: Final = (b'"image_url"', b'"input_image"', b'"image"', b'"inline_data"', b'"inlineData"')


class Said(NamedTuple):
    """A request, as far as its routing goes. `body`: as the caller sent it."""

    head: "Head"
    body: bytes
    headers: "Headers"
    dialect: str


class Router:
    """Plans the calls of one worker."""

    def __init__(self, planner: Planner, names: Mapping[str, str], settings: Routing, unpriced: frozenset[str],
                 seed: int | None = None) -> None:  # fmt: skip
        """names: those that callers may use, with the model each one means. unpriced: names that have no price at all.

        seed: of the draws; None: from the system.
        """
        self.planner, self.names, self.settings = planner, names, settings
        self._unpriced = unpriced
        self._random = random.Random(seed)
        self._bounds = Bounds(settings.attempts_max, settings.attempts_s, settings.pauses_s)
        self._budget = RetryBudget(settings.retries_per_call)
        self._wishes: dict[tuple[bytes, str, bytes, bytes], Wishes] = {}
        self._plain: dict[str, tuple[str, ...]] = {name: (model,) for name, model in names.items()}
        self._salts: dict[tuple[str, str], int] = {}
        every = [facts for group in planner.models.values() for facts in group]
        self._classes = planner.book.data_classes
        self._knows_parameters = any(facts.parameters is not None for facts in every)
        self.knows_modalities = any(facts.modalities is not None for facts in every)
        self._knows_limits = any(facts.output_tokens_max for facts in every)
        self.lanes = Lanes(self)

    # -- before a call ------------------------------------------------------------------------------------------------

    def asking(self, said: Said, key: "Key") -> Asking:
        """What a call's plan depends on. Raises InvalidRequest, ModelNotFound or PriceUnknown."""
        head, ask = said.head, said.head.routing
        models = self._plain.get(head.model) if ask is None and POLICY not in said.headers else None
        if models is not None:
            wishes = NO_WISHES
        else:
            name, suffix = self._split(head.model)
            has_wishes = ask is not None or suffix or POLICY in said.headers
            wishes = self._wishes_of(ask, suffix, said.headers) if has_wishes else NO_WISHES
            model = self._model(name)
            models = (model,)
        if ask is not None and (ask.models or ask.fallbacks):
            further = models_of(ask, head.model)[1:]
            models = tuple(dict.fromkeys((model, *(self._model(self._split(other)[0]) for other in further))))
        data_class = said.headers.get(DATA_CLASS)
        book = self.planner.book
        return Asking(
            models,
            book.scope(key.tenant_id, key.project_id, key.key_id),
            self._data_class(data_class.decode("latin-1").strip()) if data_class else self.settings.data_class,
            wishes,
            self._needs(said, wishes),
            Allowed(key.models, key.providers) if key.models or key.providers else ALL_ALLOWED,
            len(said.body) // BYTES_PER_TOKEN,
            self.output_tokens(said.dialect, head, said.body),
            self._random.getrandbits(32),
            self._keys(said, key, models[0]) if self.planner.affinity is not None else (),
        )

    def course(self, plan: RoutePlan, asking: Asking, now_s: float) -> Course:
        """The course of a call, whose first attempt may begin. Raises NotAvailable."""
        if not plan.order:
            raise refusal(plan, asking)
        return Course(plan, self._bounds, self._budget, now_s, asking)

    def explain(self, asking: Asking, now_s: float) -> Explanation:
        return explain(self.planner, asking, now_s)

    def _data_class(self, said: str) -> str:
        """The class that a call states. Those that no policy names are one: callers must not fill our memory with
        names of theirs."""
        return said if said in self._classes or not said else OTHER_CLASS

    def _split(self, model: str) -> tuple[str, str]:
        """A name without the suffix that says how to rank, unless an endpoint is called just so."""
        return split_suffix(model) if ":" in model and model not in self.names else (model, "")

    def _model(self, name: str) -> str:
        model = self.names.get(name) or self.names.get(name.lower())
        if model is not None:
            return model
        if name in self._unpriced:
            raise PriceUnknown(name)
        raise ModelNotFound(name[:NAME_CHARS_MAX], self.names.keys())

    def _wishes_of(self, ask: RoutingAsk | None, suffix: str, headers: "Headers") -> Wishes:
        ask = ask or RoutingAsk()
        policies = headers.get(POLICY, b"")
        known = (bytes(ask.provider), suffix, bytes(ask.route), policies)
        found = self._wishes.get(known)
        if found is None:
            found = read_wishes(ask.provider, suffix=suffix, route=text_of(ask.route, "route"))
            found = self._narrowed(found, policies.decode("latin-1"))
            if len(self._wishes) >= WISHES_MAX:
                self._wishes.clear()
            self._wishes[known] = found
        return found

    def _narrowed(self, wishes: Wishes, named: str) -> Wishes:
        """With the policies that a header names, too. Raises InvalidRequest for one that there is not."""
        names = (*wishes.policies, *(name.strip() for name in named.split(",") if name.strip()))
        for name in names:
            if name not in self.planner.book.names:
                near = near_names(name[:60], self.planner.book.names)
                raise InvalidRequest(f"No policy is called {name[:60]!r}; {near}.", param="provider.policies")
        return msgspec.structs.replace(wishes, policies=names) if names != wishes.policies else wishes

    def _needs(self, said: Said, wishes: Wishes) -> Needs:
        if wishes.require_parameters:
            needs = Needs(parameters=parameters_of(said.body))
        else:
            needs = TOOLS if said.head.tools_offered and self._knows_parameters else NO_NEEDS
        if self.knows_modalities and self.has_pictures(said.body):
            needs = Needs(needs.parameters, frozenset(("image",)))
        return needs

    @staticmethod
    def has_pictures(body: bytes) -> bool:
        """Whether a request speaks of a picture."""
        return any(word in body for word in _PICTURES)

    def output_tokens(self, dialect: str, head: "Head", body: bytes) -> int:
        """The limit of its answer that a request sets; 0 where it sets none, or nobody need look."""
        if dialect != "openai-chat" and (not self._knows_limits or len(body) > LIMIT_BODY_BYTES_MAX):
            return 0
        return asked_of(dialect, head, body).output_tokens or 0

    def _keys(self, said: Said, key: "Key", model: str) -> tuple[int, ...]:
        """The keys of the call's conversation; none where its model has but one endpoint, or it is short."""
        if len(self.planner.models.get(model, ())) < 2:
            return ()
        named = said.head.session_id
        if not named and (header := said.headers.get(SESSION)):
            named = header.decode("latin-1")
        if not named and said.head.routing is not None:
            named = text_of(said.head.routing.prompt_cache_key, "prompt_cache_key")
        if named:
            return (key_of(f"{key.tenant_id}\0{model}\0{named}"),)
        if len(said.body) < BLOCK_BYTES:
            return ()
        salt = self._salts.get((key.tenant_id, model))
        if salt is None:
            if len(self._salts) >= WISHES_MAX:
                self._salts.clear()
            salt = self._salts[key.tenant_id, model] = key_of(f"{key.tenant_id}\0{model}")
        start = next((at for word in _BULK if (at := said.body.find(word)) >= 0), 0)
        return prefix_keys(memoryview(said.body)[start:], salt)

    # -- after an attempt ---------------------------------------------------------------------------------------------

    def served(self, course: Course, asking: Asking, usage: "Spent", now_s: float) -> None:
        """The endpoint of the last attempt has answered."""
        endpoint_id, planner = course.current.endpoint_id, self.planner
        planner.health.succeed(endpoint_id, now_s, latency_us=usage.latency_us, tokens_per_s=usage.tokens_per_s)
        if asking.keys and planner.affinity is not None:
            planner.affinity.note(asking.keys, endpoint_id, usage.input_tokens or asking.input_tokens, now_s)
            fresh = max(usage.input_tokens - usage.cached_tokens, 0) or asking.input_tokens
            planner.health.load(endpoint_id, work_of(fresh, usage.output_tokens), now_s)

    def failed(self, course: Course, fault: Fault | None, now_s: float, *, began_s: float,
               retry_after_s: float | None = None) -> Setback:  # fmt: skip
        """It has not. A fault of None is the caller's own, and says nothing of the endpoint but that it lives."""
        endpoint_id, health = course.current.endpoint_id, self.planner.health
        if fault is None:
            health.succeed(endpoint_id, now_s)
        else:
            health.fail(endpoint_id, now_s, fault, retry_after_s=retry_after_s, began_s=began_s)
        return Setback(retry_after_s, self._random.getrandbits(32), health)


class Spent(NamedTuple):
    """What an answer took: tokens as far as known, time to its first byte, speed after it."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    latency_us: int = 0
    tokens_per_s: int = 0


def fault_of_error(error: GatewayError) -> Fault | None:
    """What an error that is no status of the provider's says of it; None where it is the caller's own, or ours."""
    return _FAULTS.get(error.code)


_FAULTS: Final[Mapping[str, Fault]] = {
    "upstream_timeout": "timeout",
    "upstream_error": "broken",
    "upstream_rejected_credentials": "rejected",
}


def retry_after_of(header: bytes) -> float | None:
    """`Retry-After` in seconds; None for a date, or anything else that is no number of them."""
    text = header.strip()
    return float(text) if text.isdigit() and len(text) < 9 else None
