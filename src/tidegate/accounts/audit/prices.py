"""Which published price a logged call is held against, and which others may have been taken for it."""

import datetime as dt
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from tidegate.catalog import Catalog
from tidegate.catalog.catalog import DATA
from tidegate.catalog.overlay import BAKED, read_baked
from tidegate.core.price import Price, Rates

OTHERS_MAX: Final = 40
"""Providers of one model whose prices are tried: an open model has dozens."""
_CLOUD_PREFIX = re.compile(r"^(?:(?:us|eu|apac|global|jp|au|us-gov)\.)?(?=[a-z0-9]+\.[a-z])")
_CLOUD_MODEL = re.compile(r"^(?P<author>anthropic|amazon|meta|mistral|cohere|deepseek|qwen|openai)\.(?P<stem>[a-z].*)$")
_CLOUD_VERSION = re.compile(r"-v\d+(?::\d+)?$")
_SAID: Final = {  # names of other gateways for a provider, beside those that `providers.yml` lists
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock_converse": "bedrock",
    "cohere": "cohere",
    "codestral": "mistral",
    "gemini": "google",
    "google ai studio": "google",
    "google_ai_studio": "google",
    "moonshotai": "moonshot",
    "openai_like": "",
    "custom_openai": "",
    "text-completion-openai": "openai",
    "vertex": "google-vertex",
    "vertex_ai": "google-vertex",
    "vertex_ai_beta": "google-vertex",
    "x-ai": "xai",
    "z.ai": "zai",
}
OWN_MACHINES: Final = frozenset(
    {"ollama", "ollama_chat", "vllm", "hosted_vllm", "sglang", "lm_studio", "lmstudio", "llamafile", "xinference"}
    | {"docker_model_runner", "docker-model-runner", "local", "petals", "huggingface_local"}
)
"""Providers that are the operator's own machines: a price of zero is right there."""


RESELLER: Final = "openrouter"
"""Charges the price of whoever serves a call, which a log need not name."""
OLD_DAYS: Final = 400
NEAR_US: Final = 30 * 60 * 1_000_000  # of the turn of an hour: as long as a call may last
OLD: Final = "the call is old, and since when this price holds is not known"


class Held(NamedTuple):
    """Prices of one model on one day. right: those that may be in force there; the first is the one held against.

    is_named: the log names the provider, and this is its price. guess: how it was found, where it was not; empty else.
    also: a charge at one of these is right too, but no mistake is looked for at them: a price of the day before or
    after (no provider says at what hour it changed), and whatever OpenRouter may have passed on.
    others: (cause, price) of prices that hold on another day or at another provider.
    """

    right: tuple[Price, ...]
    others: tuple[tuple[str, Price], ...] = ()
    is_named: bool = False
    guess: str = ""
    also: tuple[Price, ...] = ()


class PriceBook:
    """The catalog's dated prices, looked up as logs name models and providers."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._by_author: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        for fact in read_baked(DATA / BAKED).providers:
            if fact.author:
                self._by_author.setdefault(fact.author, []).append(fact.provider)
            for name in (fact.packages.get("litellm", ""), fact.name.lower()):
                if name:
                    self._names.setdefault(name, fact.provider)
        self._names.update({name: name for name in catalog.providers})
        self._names.update({name: slug for name, slug in _SAID.items() if slug in catalog.providers})
        self._sellers: dict[str, list[str]] = {}
        self._bare: dict[str, str] = {}  # names without the author; empty where two authors share one
        for provider, model in catalog.priced():
            stem = model.rpartition("/")[2]
            self._bare[stem] = model if self._bare.get(stem, model) == model else ""
            self._sellers.setdefault(model, []).append(provider)
        self.held = lru_cache(65536)(self._held)

    def provider_of(self, said: str | None) -> str:
        """Our slug of a provider as a log names it; empty where nobody knows it."""
        return self._names.get((said or "").strip().lower(), "")

    def _held(self, provider: str, model: str, day: str, seller: str = "") -> Held:
        """What is known of a model's price at a provider ("": not said) on an ISO day. No prices: nobody knows.

        seller: who sells what the provider serves, at that one's price or one of its own (OpenRouter).
        """
        seller = seller or (RESELLER if provider == RESELLER else "")
        if seller and (own := self._catalog.price_on(seller, plain_model(model), day)) is not None:
            served = self._held(provider, model, day) if provider not in ("", seller) else Held(())
            if served.is_named:
                return served._replace(right=(*served.right, own))
            also = tuple(price for cause, price in self._others(own, seller, day) if cause == "other_provider")
            return Held((own,), is_named=True, also=(*also, *self._around(seller, plain_model(model), day, own)))
        name = plain_model(model)
        price = self._price_on(provider, name, day) if provider else None
        if price is not None:
            old = _is_old(price, day)
            return Held(
                (price,),
                self._others(price, provider, day),
                is_named=not old,
                guess=OLD if old else "",
                also=self._around(provider, name, day, price),
            )
        makers = self._makers(name)
        for maker in makers:
            price = self._price_on(maker, name, day)
            if price is not None:
                who = f"{provider}'s price is not known" if provider else "the log names no provider"
                return Held(
                    (price,),
                    self._others(price, maker, day),
                    guess=f"{who}: held against {maker}'s",
                    also=(*self._around(maker, name, day, price), *self._other_platforms(makers, maker, name, day)),
                )
        sold = self._sold(name, day)
        if not sold:
            return Held(())
        who = f"{provider}'s price is not known" if provider else "the log names no provider"
        several = f"any of {len(sold)} providers that sell it" if len(sold) > 1 else f"{sold[0][0]}'s"
        return Held(tuple(price for _, price in sold), guess=f"{who}: held against {several}")

    def _other_platforms(self, makers: list[str], maker: str, name: str, day: str) -> Iterator[Price]:
        """What a maker's other platforms charge: one for mainland China, one for elsewhere."""
        for other in makers:
            price = self._price_on(other, name, day) if other != maker else None
            if price is not None:
                yield price

    def _around(self, provider: str, name: str, day: str, price: Price) -> tuple[Price, ...]:
        """The prices of the day before and the day after, where they are others."""
        try:
            here = dt.date.fromisoformat(day)
        except ValueError:
            return ()
        near = (self._price_on(provider, name, (here + dt.timedelta(days=step)).isoformat()) for step in (-1, 1))
        return tuple(found for found in near if found is not None and found.price_id != price.price_id)

    def _price_on(self, provider: str, name: str, day: str) -> Price | None:
        """The price in force; a snapshot that is listed without long-context rates has its model's."""
        price = self._catalog.price_on(provider, name, day)
        if price is None or price.tiers:
            return price
        resolved = self._catalog.resolve(name)
        base = self._catalog.price_on(provider, resolved.model + resolved.suffix, day)
        return base if base is not None and base.tiers and base.rates == price.rates else price

    def _makers(self, name: str) -> list[str]:
        slug = self._slug(name)
        author = self._catalog.model_of(slug).author or slug.partition("/")[0]
        return self._by_author.get(author, [])

    def _slug(self, name: str) -> str:
        """The priced slug of a name; of one that nobody prices, as the catalog reads it."""
        resolved = self._catalog.resolve(name)
        slug = resolved.model + resolved.suffix
        return slug if slug in self._sellers else self._bare.get(name, "") or slug

    def _sold(self, name: str, day: str) -> list[tuple[str, Price]]:
        """(provider, price) of all who sell a model of no known maker, one a different rate."""
        slug = self._slug(name)
        found: dict[tuple[Rates, object], tuple[str, Price]] = {}
        for provider in self._sellers.get(slug, [])[:OTHERS_MAX]:
            price = self._catalog.price_on(provider, slug, day)
            if price is not None:
                found.setdefault((price.rates, price.tiers), (provider, price))
        return list(found.values())

    def _others(self, price: Price, provider: str, day: str) -> tuple[tuple[str, Price], ...]:
        slug = price.price_id.rpartition("#")[0].rpartition("@")[0]
        found = [
            ("price_out_of_date", other)
            for other in self._catalog.prices_of(provider, slug)
            if (other.rates, other.tiers) != (price.rates, price.tiers)
        ]
        for seller in self._sellers.get(slug, [])[:OTHERS_MAX]:
            elsewhere = self._catalog.price_on(seller, slug, day) if seller != provider else None
            if elsewhere is not None and (elsewhere.rates, elsewhere.tiers) != (price.rates, price.tiers):
                found.append(("other_provider", elsewhere))
        return tuple(found)


def by_the_hour(held: Held, ts_us: int, *, is_sum: bool) -> Held:
    """The prices of a call's own hour, of all that hold on its day; as it is where none has hours.

    A call near the turn of an hour may be on either side of it, by the clock of whoever logged it or by the provider's
    rule; a sum of calls, on both. ts_us: of the call. is_sum: of many calls of the day.
    """
    if not any(price.faces for price in (*held.right, *held.also, *(price for _, price in held.others))):
        return held
    right: list[Price] = []
    also: list[Price] = []
    others = [(cause, one) for cause, price in held.others for one in price.each()]
    for price in held.right:
        now = price.at(ts_us)
        right.append(now)
        faces = price.each()
        near = faces if is_sum else price.within(ts_us - NEAR_US, ts_us + NEAR_US)
        also += [one for one in near if one is not now]
        others += [("price_of_other_hour", one) for one in faces if not any(one is other for other in near)]
    also += [one for price in held.also for one in price.each()]
    return held._replace(right=tuple(right), also=tuple(also), others=tuple(others))


def _is_old(price: Price, day: str) -> bool:
    """Whether a price of no known beginning was looked up so long after the call that another may have held then."""
    if price.valid_from or not price.checked:
        return False
    try:
        return (dt.date.fromisoformat(price.checked) - dt.date.fromisoformat(day)).days > OLD_DAYS
    except ValueError:
        return False


@lru_cache(maxsize=8192)
def plain_model(model: str) -> str:
    """A model's name without what clouds put around it: `us.anthropic.claude-x-20250929-v1:0`, `claude-x@20250929`."""
    name = _CLOUD_PREFIX.sub("", model.strip().lower())
    if match := _CLOUD_MODEL.match(name):
        return f"{match['author']}/{_CLOUD_VERSION.sub('', match['stem'])}"
    return name.replace("@", "-")
