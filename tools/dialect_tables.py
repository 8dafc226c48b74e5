"""What becomes of each field of a request on its way to a provider of another dialect: asked of the encoders.

Every field is put into a small request of the caller's dialect, which is decoded and encoded as the gateway does it.
What `docs/reference/dialects.md` says is what came out: told to the provider; dropped, and named in the header
x-tidegate-dropped-parameters; or refused with 400.
"""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec
from dialect_probes import CALLERS, Json, Probe

from tidegate.core.errors import InvalidRequest
from tidegate.core.facts import Quirks
from tidegate.wire.dialects import DIALECTS
from tidegate.wire.events import StopReason
from tidegate.wire.stop_reasons import finish_word, word_for

PROVIDERS: Final = {
    "openai-chat": "some-model",
    "openai-responses": "gpt-5.2",
    "anthropic": "claude-sonnet-4-6",
    "gemini": "gemini-3-pro",
    "bedrock": "us.anthropic.claude-sonnet-4-6",
}
"""The model that each provider is asked for: what models of one maker take differs."""

EVERYWHERE: Final = {
    "told": "Told to every provider",
    "dropped": "Dropped and named for every provider",
    "refused": "Refused for every provider",
}
SHOWN: Final = {"told": "told", "dropped": "dropped", "refused": "**refused**", "silent": "not needed"}
REASONS: Final[dict[StopReason, str]] = {
    "stop": "the model came to its end",
    "stop_sequence": "it met a stop sequence",
    "length": "the limit of the answer",
    "context": "the model's window is full",
    "tool_calls": "it calls tools",
    "content_filter": "the provider cut it off",
    "refusal": "the model declined",
    "pause": "Anthropic's pause: to be sent back",
}
assert set(REASONS) | {"error"} == set(get_args(StopReason)), (
    "every reason has its words; a failure is told as an error"
)


def render() -> str:
    """All tables, as they stand in the page."""
    lines: list[str] = []
    for caller, (base, probes) in CALLERS.items():
        lines += [f"### From `{caller}`", ""]
        lines += caller_lines(caller, {probe.label: verdicts(caller, base, probe) for probe in probes})
    return "\n".join([*lines, *stop_lines()])


def caller_lines(caller: str, found: Mapping[str, list[str]]) -> list[str]:
    """What is alike for all providers, each kind in one line; a table of the rest."""
    lines: list[str] = []
    for kind, words in EVERYWHERE.items():
        labels = [label for label, said in found.items() if set(said) == {kind}]
        lines += [f"{words}: {'; '.join(labels)}.", ""]
    providers = [name for name in PROVIDERS if name != caller]
    lines.append(f"| it depends | {' | '.join(f'`{name}`' for name in providers)} |")
    lines.append(f"| --- |{' --- |' * len(providers)}")
    for label, said in found.items():
        if set(said) not in ({kind} for kind in EVERYWHERE):
            lines.append(f"| {label} | {' | '.join(SHOWN[one] for one in said)} |")
    return [*lines, ""]


def stop_lines() -> list[str]:
    """Why an answer ended, in the words of rows and callers."""
    heads = ["row", *(f"`{caller}`" for caller in CALLERS)]
    lines = ["### Why an answer ended", "", f"| | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    for reason, meaning in REASONS.items():
        words = [finish_word(reason), *(word_for(caller, reason) for caller in CALLERS)]
        lines.append(f"| {meaning} | {' | '.join(f'`{word}`' for word in words)} |")
    return lines


def verdicts(caller: str, base: Json, probe: Probe) -> list[str]:
    return [verdict(caller, base, probe, provider) for provider in PROVIDERS if provider != caller]


def verdict(caller: str, base: Json, probe: Probe, provider: str) -> str:
    """What becomes of a field added to the request `base`. `silent`: neither named nor in the provider's request."""
    before, named = told(caller, merged(base, probe.beside), provider)
    try:
        after, now_named = told(caller, merged(base, probe.added), provider)
    except InvalidRequest:
        return "refused"
    if now_named - named:
        return "dropped"
    return "told" if after != before else "silent"


def told(caller: str, body: Json, provider: str) -> tuple[bytes, set[str]]:
    """The provider's request, and the names of the fields that it leaves out."""
    ask = DIALECTS[caller].decode_request(msgspec.json.encode(body))
    encoded = DIALECTS[provider].encode_request(ask, PROVIDERS[provider], Quirks())
    return encoded.body, {*ask.unsaid, *encoded.dropped}


def merged(base: Mapping[str, Any], added: Mapping[str, Any]) -> Json:
    """`added` over `base`; members that are objects in both are merged, lists of `added` follow those of `base`."""
    found = dict(base)
    for name, value in added.items():
        if isinstance(value, Mapping) and isinstance(found.get(name), Mapping):
            found[name] = merged(found[name], value)
        elif isinstance(value, list) and isinstance(found.get(name), list):
            found[name] = found[name] + value
        else:
            found[name] = value
    return found
