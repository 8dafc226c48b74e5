"""The planner: a call in, its endpoints in order out, in microseconds.

Everything that does not depend on the one call is worked out once and kept: which endpoints of a model its policies,
key and wishes permit (a shelf), and how those rank for calls of about this length while the health of nobody changes.
A plan then is a look-up, a draw, and a tuple.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tidegate.core.endpoint_facts import EndpointFacts, Exclusion
from tidegate.route.affinity import HOLDERS_MAX, LOAD_FREE, SHARED_BY, Affinity, Homes, is_full
from tidegate.route.filter import ALL_ALLOWED, NO_NEEDS, Allowed, Needs, exclusions
from tidegate.route.health import Health
from tidegate.route.policy import Policy, PolicyBook, Scope
from tidegate.route.rank import (
    COARSE,
    FINE,
    OUTPUT_TOKENS_ASSUMED,
    Candidate,
    Ranking,
    Shape,
    begin_with,
    candidate,
    rank,
    shape_number,
    shape_of,
)
from tidegate.route.wishes import NO_WISHES, Wishes

BYTES_PER_TOKEN: Final = 4  # of a request, to estimate its length
SHELVES_MAX: Final = 4096  # kept; callers' wishes make them, so their number is bounded
RANKINGS_MAX: Final = 256  # kept of one shelf
PROBE_ONE_IN: Final = 8  # calls that may try an endpoint whose breaker is half open, until one does
PROBE_WAIT_S: Final = 30.0
REFERENCE: Final = Shape(3000, 1000, 3000)  # of the calls by which conversations find their home
FURTHER_MAX: Final = 3  # shorter prefixes that are looked at, once an endpoint is found for a call
NOBODY: Final[frozenset[str]] = frozenset()
BY_SPEED: Final = ("latency", "throughput", "exacto")


class Call(msgspec.Struct, frozen=True, gc=False):
    """What a plan depends on.

    `models`: by slug, in the caller's order of preference. `scope`: of `PolicyBook.scope`. `output_tokens`: the limit
    that the request sets, 0 where it sets none. `draw`: any integer, the chance of this call. `keys`: of its
    conversation (`affinity`), empty where it has none.
    """

    models: tuple[str, ...]
    scope: Scope = ("", "", "")
    data_class: str = ""
    wishes: Wishes = NO_WISHES
    needs: Needs = NO_NEEDS
    allowed: Allowed = ALL_ALLOWED
    input_tokens: int = 0
    output_tokens: int = 0
    draw: int = 0
    keys: tuple[int, ...] = ()


class RoutePlan(msgspec.Struct, frozen=True, gc=False):
    """The endpoints of one call, in the order in which they are tried. `reason`: how the first was chosen.

    Empty where nothing may serve; `shelf` then says why.
    """

    order: tuple[Candidate, ...]
    reason: str
    shelf: "Shelf"
    is_probe: bool = False


class Terms(msgspec.Struct, frozen=True):
    """All that decides who may serve a call."""

    policies: tuple[Policy, ...] = ()
    wishes: Wishes = NO_WISHES
    needs: Needs = NO_NEEDS
    allowed: Allowed = ALL_ALLOWED

    def exclusions(self, facts: EndpointFacts) -> list[Exclusion]:
        return exclusions(facts, self.policies, self.wishes, self.needs, self.allowed)


class Shelf:
    """The endpoints of the models of a call that its terms permit; and why not the others."""

    def __init__(self, groups: Sequence[Sequence[EndpointFacts]], terms: Terms) -> None:
        """groups: endpoints by model, in order of preference; one group where the wishes rank models together."""
        self.terms, self.wishes = terms, terms.wishes
        self.groups_asked = tuple(tuple(group) for group in groups)
        self.excluded: list[Exclusion] = []
        self.groups: list[tuple[Candidate, ...]] = []
        place = 0
        for group in groups:
            permitted = []
            for facts in group:
                found = terms.exclusions(facts)
                self.excluded += found
                if not found:
                    permitted.append(candidate(facts, place))
                place += 1
            if permitted:
                self.groups.append(tuple(permitted))
        self.asked = place
        every = [one for group in self.groups for one in group]
        self.tier_bounds = sorted({bound for one in every for bound in one.bounds})
        self.context_bounds = sorted({one.facts.context_tokens for one in every if one.facts.context_tokens})
        self.output_bounds = sorted({one.facts.output_tokens_max for one in every if one.facts.output_tokens_max})
        self.narrowed: dict[tuple[int, int], Shelf] = {}
        wishes = terms.wishes
        self.fineness = FINE if wishes.sort == "price" else COARSE
        if any(rates[3] for one in every for rates in one.rates):
            self.fineness = 0
        self.by_speed = wishes.sort in BY_SPEED or bool(wishes.max_latency_s or wishes.min_throughput)
        self.version = -1
        self.home: Homes | None = None
        self.forget()
        self.is_plain = len(self.groups) == 1 and (wishes.allow_fallbacks or bool(wishes.order))
        self.ids = frozenset(one.endpoint_id for one in every)
        self.permitted = len(every)  # how many endpoints may serve
        ordered = "order" if wishes.order else f"sort_{wishes.sort}" if wishes.sort else "only"
        # the plan, where there is no choice
        self.sole = RoutePlan((every[0],), ordered, self) if len(every) == 1 else None
        names = ",".join(policy.name for policy in terms.policies)
        self.told = f"{self.permitted}/{self.asked}{' ' if names else ''}{names}"

    def forget(self) -> None:
        """All rankings. They are kept by who of the shelf is unwell, and then by the number of a shape."""
        self.calm: dict[int, tuple[Ranking, ...]] = {}
        self.rankings: dict[frozenset[str], dict[int, tuple[Ranking, ...]]] = {NOBODY: self.calm}
        self.ranked = 0


def needs_of(call: Call) -> Needs:
    """What a call needs, its length included. Of its input two thirds of the estimate are taken for certain: nobody is
    left out by a guess."""
    certain = call.input_tokens * 2 // 3
    return msgspec.structs.replace(call.needs, input_tokens=certain, output_tokens=call.output_tokens)


def needed_tokens(call: Call) -> tuple[int, int]:
    """Tokens that are certain to be needed: in all, and of output."""
    return certain_tokens(call.input_tokens, call.output_tokens), call.output_tokens


def certain_tokens(input_tokens: int, output_tokens: int) -> int:
    """In all, of an input that was estimated: two thirds of it are taken for certain."""
    return input_tokens * 2 // 3 + output_tokens


class Planner:
    """Plans the calls of one worker. `health` and `affinity` are its live state, fed from outside."""

    def __init__(
        self,
        models: Mapping[str, Sequence[EndpointFacts]],
        book: PolicyBook,
        health: Health | None = None,
        affinity: Affinity | None = None,
    ) -> None:
        """models: what serves each, in the order of the configuration. affinity: None where it is switched off."""
        self.models, self.book = models, book
        self.health = health or Health()
        self.affinity = affinity
        self._shelves: dict[object, Shelf] = {}  # those asked for of late
        self._older: dict[object, Shelf] = {}  # those before: they go when the first are many

    @property
    def shelves(self) -> int:
        """How many are kept."""
        return len(self._shelves) + len(self._older)

    def plan(self, call: Call, now_s: float) -> RoutePlan:
        """The endpoints that may serve a call, best first. Raises KeyError for a policy that the wishes misname."""
        shelf = self.shelf(call)
        if shelf.sole is not None:
            return shelf.sole
        if not shelf.groups:
            return RoutePlan((), "none", shelf)
        rankings = self.rankings(shelf, call, now_s)
        ranking = rankings[0]
        order, reason = ranking.order, "price"
        if ranking.drawn > 1:
            if call.keys and self.affinity is not None:
                place = self._cached(ranking, self.affinity, call, now_s)
                reason = "cached"
                if place < 0:
                    place, reason = self._by_name(ranking, self.affinity, shelf, call), "conversation"
            else:
                place = ranking.first(call.draw)
            order = ranking.beginning(place)
            if shelf.is_plain and ranking.drawn == len(order):
                return RoutePlan(order, reason, shelf)
        else:
            wishes = shelf.wishes
            alone = "only" if len(order) == 1 or ranking.drawn else "all_down"
            reason = "order" if wishes.order else f"sort_{wishes.sort}" if wishes.sort else alone
        return self._ended(rankings, order, reason, shelf, call, now_s)

    def _ended(self, rankings: tuple[Ranking, ...], order: tuple[Candidate, ...], reason: str, shelf: Shelf,
               call: Call, now_s: float) -> RoutePlan:  # fmt: skip
        """The plan of a call whose wishes, or the health of whose endpoints, are not plain."""
        ranking, wishes, is_probe = rankings[0], shelf.wishes, False
        for further in rankings[1:]:
            order += begin_with(further.order, further.first(call.draw))
        if len(rankings) > 1 and (wishes.max_latency_s or wishes.min_throughput):
            late = ranking.late.union(*[further.late for further in rankings[1:]])
            order = tuple(
                sorted(order, key=lambda one: one.place in late)
            )  # stable: a fallback that is fast comes first
        if ranking.drawn < len(ranking.order) and not wishes.order and not call.draw % PROBE_ONE_IN:
            order, is_probe = self._probing(order, ranking, now_s)
        if not wishes.allow_fallbacks and not wishes.order:
            order = order[:1]
        return RoutePlan(order, "probe" if is_probe else reason, shelf, is_probe)

    def shelf(self, call: Call) -> Shelf:
        """The permitted endpoints of a call, remembered by all that they depend on."""
        key = (call.models, call.scope, call.data_class, call.allowed, call.wishes, call.needs)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._older.pop(key, None) or self._built(call, call.needs)
            if len(self._shelves) >= SHELVES_MAX // 2:
                self._older, self._shelves = self._shelves, {}
            self._shelves[key] = shelf
        if not shelf.context_bounds and not shelf.output_bounds:
            return shelf
        whole, output = needed_tokens(call)
        at = (bisect_left(shelf.context_bounds, whole), bisect_left(shelf.output_bounds, output))
        if at == (0, 0):
            return shelf
        narrowed = shelf.narrowed.get(at)
        if narrowed is None:
            # any length between the same two bounds excludes the same endpoints, so the first one stands for all
            narrowed = shelf.narrowed[at] = self._built(call, needs_of(call))
        return narrowed

    def _built(self, call: Call, needs: Needs) -> Shelf:
        policies = tuple(
            policy
            for policy in dict.fromkeys((*self.book.in_force(call.scope), *self.book.named(call.wishes.policies)))
            if policy.binds(call.data_class)
        )
        groups = [self.models.get(model, ()) for model in call.models]
        if not call.wishes.by_model:
            groups = [[facts for group in groups for facts in group]]
        return Shelf(groups, Terms(policies, call.wishes, needs, call.allowed))

    def rankings(self, shelf: Shelf, call: Call, now_s: float) -> tuple[Ranking, ...]:
        """One for each group of a shelf, remembered by the call's shape and by who is unwell."""
        health = self.health
        health.tick(now_s)
        if shelf.by_speed and shelf.version != health.version:
            shelf.version = health.version
            shelf.forget()
        left = call.output_tokens or OUTPUT_TOKENS_ASSUMED
        number = shape_number(call.input_tokens, left, shelf.tier_bounds, shelf.fineness)
        unwell = health.unwell
        if not unwell or shelf.ids.isdisjoint(unwell):
            found = shelf.calm.get(number)
            return found if found is not None else self._ranked(shelf, number, call, NOBODY, now_s)
        if shelf.wishes.order and shelf.version != health.version:  # which of the unwell are shut is a matter of time
            shelf.version = health.version
            shelf.forget()
        which = shelf.ids & unwell
        known = shelf.rankings.get(which)
        found = known.get(number) if known is not None else None
        return found if found is not None else self._ranked(shelf, number, call, which, now_s)

    def _ranked(self, shelf: Shelf, number: int, call: Call, unwell: frozenset[str],
                now_s: float) -> tuple[Ranking, ...]:  # fmt: skip
        left = call.output_tokens or OUTPUT_TOKENS_ASSUMED
        shape = shape_of(call.input_tokens, left, shelf.tier_bounds, shelf.fineness)
        found = tuple([rank(group, shelf.wishes, shape, self.health, now_s) for group in shelf.groups])
        if shelf.ranked >= RANKINGS_MAX:
            shelf.forget()
        shelf.ranked += 1
        shelf.rankings.setdefault(unwell, {})[number] = found
        return found

    def _cached(self, ranking: Ranking, affinity: Affinity, call: Call, now_s: float) -> int:
        """The endpoint with part of the prompt in its cache where this call is cheapest, if it is cheaper there than a
        draw among all is expected to be, and there is room. Below 0 where there is none.

        Who has the most of it is looked at first, each once; then those who have a little less. What many calls share
        is no reason to be anywhere, where one has more than that.
        """
        known, oldest_s, places = affinity.known, now_s - affinity.sticky_s, ranking.places
        entered, left = call.input_tokens, call.output_tokens or OUTPUT_TOKENS_ASSUMED
        looked: list[str] = []
        chosen, best_cost, best_load, looked_at, looks, further = -1, 0, 0.0, 0, HOLDERS_MAX, FURTHER_MAX
        for key in reversed(call.keys):
            entry = known.get(key)
            if entry is None or entry.used_s < oldest_s or entry.endpoints == looked:
                continue
            looked = entry.endpoints
            if chosen >= 0:
                further -= 1
                if further < 0 or len(entry.endpoints) >= SHARED_BY:
                    break
            tokens = entry.tokens if entry.tokens < entered else entered
            for endpoint_id in reversed(entry.endpoints):
                place = places.get(endpoint_id, -1)
                if place < 0 or looked_at >> place & 1:
                    continue
                looked_at |= 1 << place
                looks -= 1
                read, write, cached, request = ranking.rates[place]
                whole = entered * read + left * write + request
                cost = whole - tokens * (read - cached)
                load = ranking.healths[place].load
                if cost > ranking.bars[place] * whole or (chosen >= 0 and (cost, load) >= (best_cost, best_load)):
                    continue
                if not self._is_full(ranking, place):
                    chosen, best_cost, best_load = place, cost, load
            if looks <= 0:
                break
        return chosen

    def _is_full(self, ranking: Ranking, place: int) -> bool:
        health, mine = self.health, ranking.healths[place].load
        if mine <= LOAD_FREE * health.unit_ticked:
            return False
        return is_full(mine, ranking.share(place), ranking.load(health.loads), health.unit_ticked)

    def _by_name(self, ranking: Ranking, affinity: Affinity, shelf: Shelf, call: Call) -> int:
        """The endpoint that a conversation's name wins; while it is full or unwell, the one it wins without that."""
        homes = shelf.home or self._homes(shelf)
        places, endpoints = ranking.places, homes.endpoints
        for won in homes.of(affinity.own(call.keys)):
            place = places.get(endpoints[won], -1)
            if place >= 0 and not self._is_full(ranking, place):
                return place
        return 0

    @staticmethod
    def _homes(shelf: Shelf) -> Homes:
        """By weights at one length for all calls, as if all were well: a conversation that grows keeps its home, and
        those of others stay when one breaks down."""
        ranking = rank(shelf.groups[0], shelf.wishes, REFERENCE, Health(), 0.0)
        endpoints = [one.endpoint_id for one in ranking.order[: ranking.drawn]]
        homes = shelf.home = Homes(endpoints, [ranking.share(place) for place in range(ranking.drawn)])
        return homes

    def _probing(
        self, order: tuple[Candidate, ...], ranking: Ranking, now_s: float
    ) -> tuple[tuple[Candidate, ...], bool]:
        """One call in several tries an endpoint whose breaker is half open; the rest of its plan stands behind."""
        for one in ranking.order[ranking.drawn :]:
            health = self.health.of(one.endpoint_id)
            if health.may_probe(now_s):
                health.begin_probe(now_s, PROBE_WAIT_S)
                return begin_with(order, order.index(one)), True
        return order, False
