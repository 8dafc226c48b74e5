"""From the name a price package uses to our slug: whose model is `accounts/fireworks/models/glm-4p7`?"""

import re
from collections.abc import Iterable

from tidegate.catalog.catalog import Catalog
from tidegate.catalog.names import take_apart
from tidegate.catalog.overlay import Overlay
from tidegate.catalog.source_fact import SourceFact, is_other_kind
from tidegate.core.facts import Model

AGGREGATOR = "openrouter"  # its `author/name` slugs are the spelling that public usage data uses, and ours
NOT_A_CALL_PRICE = frozenset({"batch", "flex", "priority", "fast"})  # variants that an ordinary call does not get
NOT_CHAT = re.compile(  # sold beside chat models but called otherwise, or a size class of a price list
    r"embed|-tts|tts-|transcribe|realtime|livetranslate|-live|live-|-sonic|asr|whisper|rerank|moderation|speech|image|dall-e|lyria|veo|"
    r"ft:|\.ft-|^together-ai-|^fireworks-ai-|flux|-guard|guard-|davinci|babbage|curie|^ada$|^gpt-3.5-turbo-instruct|@"
)
NOT_BY_THE_CALL = re.compile(  # of other kinds: by the size of a picture, in conversation, trained for one buyer
    r"\d-x-\d|-to-\d+m$|image-generation|realtime|live|ft:|\.ft-|guard|ocr|lyria|veo|video|batch|translate|@"
)
_DOT_AS_P = re.compile(r"(?<=\d)p(?=\d)")


class Canonical:
    """Names models once the packages are read: slugs known from the aggregator and the overlay come first."""

    def __init__(self, facts: Iterable[SourceFact], overlay: Overlay) -> None:
        aliases = {fact.model: fact.aliases for fact in overlay.models}
        self._own_author = {entry.provider: entry.author for entry in overlay.providers}
        self._only_authors = {entry.provider: entry.only_authors for entry in overlay.providers if entry.only_authors}
        self._only_known = {entry.provider for entry in overlay.providers if entry.only_known}
        authors = {alias: entry.author for entry in overlay.authors for alias in entry.aliases}
        self._authors = {entry.author: entry.author for entry in overlay.authors} | authors
        slugs = set(aliases)
        for fact in facts:
            if fact.provider == AGGREGATOR and _is_slug(fact.name):
                parts = take_apart(fact.name)
                slugs.add(f"{self._authors.get(parts.author, parts.author)}/{parts.stem}")
        taken = {alias for names in aliases.values() for alias in names}
        models = [
            Model(model=slug, author=slug.partition("/")[0], aliases=aliases.get(slug, ()))
            for slug in sorted(slugs - taken)
        ]
        self._catalog = Catalog(models, {}, overlay)

    def slug_of(self, fact: SourceFact) -> str:
        """The slug, with date and variant, of what a package lists.

        Empty where nobody can tell whose model it is, and where the provider does not sell that maker's models.
        """
        slug, sold = self._slug_of(fact), self._only_authors.get(fact.provider)
        return slug if sold is None or slug.partition("/")[0] in sold else ""

    def _slug_of(self, fact: SourceFact) -> str:
        name, own = fact.name, self._own_author.get(fact.provider, "")
        parts = take_apart(name)
        if _is_pointer(fact) or parts.variant in NOT_A_CALL_PRICE:
            return ""
        spellings = [name, _DOT_AS_P.sub(".", name)]
        if own and "/" not in name:
            spellings.insert(0, f"{own}/{name}")
        if own and self._authors.get(parts.author) == own:
            spellings.append(name.rpartition("/")[2])  # a maker's own prefix before somebody else's model
        for spelling in spellings:
            if (found := self._catalog.resolve(spelling)).known:
                return found.slug
        return "" if fact.provider in self._only_known else self._new(name, own)

    def _new(self, name: str, own: str) -> str:
        """A slug for a model that the aggregator does not list: under the author it names, hints at, or belongs to."""
        parts = take_apart(_DOT_AS_P.sub(".", name.lower()))
        stem, said = parts.stem, self._authors.get(parts.author, "")
        author = (said if said != own else "") or self._hinted(stem) or said or own
        if not author:
            return ""
        for prefix in (prefix for prefix, whose in self._authors.items() if whose == author):
            shorter = stem.removeprefix(f"{prefix}-")
            if shorter != stem and (found := self._catalog.resolve(f"{author}/{shorter}")).known:
                return found.model
        date = f"-{parts.date}" if parts.date else ""
        return f"{author}/{stem}{date}" + (f":{parts.variant}" if parts.variant else "")

    def _hinted(self, stem: str) -> str:
        """The author whose name or family the stem begins with: `glm-5` is Z.ai's wherever it is sold."""
        fitting = [prefix for prefix in self._authors if stem.startswith((f"{prefix}-", f"{prefix}."))]
        return self._authors[max(fitting, key=len)] if fitting else ""


def is_chat(fact: SourceFact) -> bool:
    """Whether an entry is the price of an ordinary chat call, as far as it and its name tell: no batch, no vectors."""
    name = fact.name.lower().rpartition("/")[2]
    return not fact.is_other and _is_ordinary(fact, name) and NOT_CHAT.search(name) is None


def is_priced_call(fact: SourceFact) -> bool:
    """Whether an entry is the price of an ordinary call: a chat, or what `source_fact.OTHER_KINDS` name."""
    if is_chat(fact):
        return True
    name = fact.name.lower()
    is_other = fact.is_other or is_other_kind(name)
    return is_other and _is_ordinary(fact, name) and NOT_BY_THE_CALL.search(name) is None


def _is_ordinary(fact: SourceFact, name: str) -> bool:
    return not (_is_pointer(fact) or take_apart(name).variant in NOT_A_CALL_PRICE)


def _is_pointer(fact: SourceFact) -> bool:
    """The aggregator's bare names (of old) and `~author/model-latest` say nothing of a model of their own."""
    return fact.provider == AGGREGATOR and not _is_slug(fact.name)


def _is_slug(name: str) -> bool:
    return "/" in name and not name.startswith("~")


def model_of_slug(slug: str) -> str:
    """A slug without date and variant."""
    parts = take_apart(slug)
    return f"{parts.author}/{parts.stem}"
