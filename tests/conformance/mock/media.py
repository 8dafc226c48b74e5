"""Everything that is not a conversation: images, speech, transcriptions, moderations, reranking, lists of models."""

import base64
from typing import Any

from conformance.mock.shapes import Answer, Ask, Stream, Whole, need
from conformance.mock.turn import CREATED_S, INPUT, OUTPUT, TEXT, pieces

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nmock").decode()
SOUND = b"ID3\x04mock" * 512
IMAGE_USAGE = {"input_tokens": INPUT, "input_tokens_details": {"image_tokens": 0, "text_tokens": INPUT},
               "output_tokens": OUTPUT, "output_tokens_details": {"image_tokens": OUTPUT, "text_tokens": 0},
               "total_tokens": INPUT + OUTPUT}  # fmt: skip
AUDIO_USAGE = {"type": "tokens", "input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
               "input_token_details": {"audio_tokens": INPUT - 2, "text_tokens": 2}}  # fmt: skip
CATEGORIES = {"harassment": 1, "harassment/threatening": 1, "hate": 1, "hate/threatening": 1, "illicit": 1,
              "illicit/violent": 1, "self-harm": 2, "self-harm/instructions": 2, "self-harm/intent": 2, "sexual": 2,
              "sexual/minors": 1, "violence": 2, "violence/graphic": 2}  # fmt: skip
"""Category of a moderation -> how many of text and image it is applied to."""


def image_generations(ask: Ask) -> Answer:
    need(ask.body, "prompt")
    return images(ask, "image_generation")


def image_edits(ask: Ask) -> Answer:
    return images(ask, "image_edit")


def image_variations(ask: Ask) -> Answer:
    return images(ask, "")


def images(ask: Ask, kind: str) -> Answer:
    """kind: the first word of its events; '' cannot stream."""
    shown = {"background": "opaque", "output_format": "png", "quality": "high", "size": "1024x1024"}
    if kind and is_true(ask.body.get("stream")):
        event = shown | {"b64_json": PNG, "created_at": CREATED_S}
        partial = event | {"type": f"{kind}.partial_image", "partial_image_index": 0}
        done = event | {"type": f"{kind}.completed", "usage": IMAGE_USAGE}
        return Stream([(e["type"], e) for e in (partial, done)])
    one = {"url": "https://images.example/mock.png"} if ask.body.get("response_format") == "url" else {"b64_json": PNG}
    data = [one for _ in range(int(ask.body.get("n") or 1))]
    return Whole({"created": CREATED_S, "data": data, "usage": IMAGE_USAGE} | shown)


def is_true(value: Any) -> bool:
    return value is True or value == "true"


def speech(ask: Ask) -> Answer:
    need(ask.body, "model", "input", "voice")
    if ask.body.get("stream_format") != "sse":
        return Whole(SOUND, "audio/mpeg")
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(SOUND[:64]).decode()}
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    return Stream([(e["type"], e) for e in (delta, {"type": "speech.audio.done", "usage": usage})])


def transcriptions(ask: Ask) -> Answer:
    need(ask.body, "model", "file")
    if is_true(ask.body.get("stream")):
        found: list[dict[str, Any]] = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces(TEXT)]
        found.append({"type": "transcript.text.done", "text": TEXT, "usage": AUDIO_USAGE})
        return Stream([(e["type"], e) for e in found])
    return heard(ask, "transcribe", AUDIO_USAGE)


def translations(ask: Ask) -> Answer:
    need(ask.body, "model", "file")
    return heard(ask, "translate", None)


def heard(ask: Ask, task: str, usage: Any) -> Answer:
    form = ask.body.get("response_format") or "json"
    if form in ("text", "srt", "vtt"):
        return Whole(f"{TEXT}\n".encode(), "text/plain; charset=utf-8")
    whole: dict[str, Any] = {"text": TEXT}
    if form == "verbose_json":
        whole |= {"task": task, "language": "english", "duration": 3.5, "segments": [segment()]}
        usage = usage and {"type": "duration", "seconds": 4}
    elif form == "diarized_json":
        one = {"type": "transcript.text.segment", "id": "seg_0", "start": 0.0, "end": 3.5, "text": TEXT, "speaker": "A"}
        whole |= {"task": task, "duration": 3.5, "segments": [one]}
    return Whole(whole | ({"usage": usage} if usage else {}))


def segment() -> dict[str, Any]:
    return {"id": 0, "seek": 0, "start": 0.0, "end": 3.5, "text": TEXT, "tokens": [1, 2], "temperature": 0.0,
            "avg_logprob": -0.1, "compression_ratio": 1.1, "no_speech_prob": 0.01}  # fmt: skip


def moderations(ask: Ask) -> Answer:
    need(ask.body, "input")
    given = ask.body["input"]
    count = len(given) if isinstance(given, list) and isinstance(given[0], str) else 1
    applied = {name: ["text", "image"][:n] for name, n in CATEGORIES.items()}
    result = {"flagged": False, "categories": dict.fromkeys(CATEGORIES, False),
              "category_scores": dict.fromkeys(CATEGORIES, 0.001), "category_applied_input_types": applied}  # fmt: skip
    model = ask.body.get("model") or "omni-moderation-latest"
    return Whole({"id": "modr-mock", "model": model, "results": [result] * count})


def rerank(ask: Ask) -> Answer:
    """As Cohere, Jina and the aggregators that follow them answer it."""
    need(ask.body, "model", "query", "documents")
    given = ask.body["documents"]
    count = min(int(ask.body.get("top_n") or len(given)), len(given))
    texts = [one if isinstance(one, str) else one.get("text", "") for one in given]
    results = [
        {"index": i, "relevance_score": round(0.9 - 0.1 * i, 1), "document": {"text": texts[i]}} for i in range(count)
    ]
    usage = {"total_tokens": INPUT, "search_units": 1}
    meta = {"billed_units": {"search_units": 1}}
    return Whole({"id": "rerank-mock", "model": ask.model, "results": results, "usage": usage, "meta": meta})


def models(ask: Ask) -> Answer:
    """The list, or the model that the path names, in the dialect that the headers tell."""
    names = [ask.path["model"]] if "model" in ask.path else ["mock-one", "mock-two"]
    if "anthropic-version" in ask.headers:
        found = [{"type": "model", "id": n, "display_name": n, "created_at": "2026-01-01T00:00:00Z",
                  "lifecycle": "active"} for n in names]  # fmt: skip
        listing: dict[str, Any] = {"data": found, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    else:
        found = [{"id": name, "object": "model", "created": CREATED_S, "owned_by": "mock"} for name in names]
        listing = {"object": "list", "data": found}
    return Whole(found[0] if "model" in ask.path else listing)


def gemini_models(ask: Ask) -> Answer:
    names = [ask.path["model"]] if "model" in ask.path else ["mock-one", "mock-two"]
    found = [{"name": f"models/{name}", "version": "1", "displayName": name, "inputTokenLimit": 1_000_000,
              "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"]}
             for name in names]  # fmt: skip
    return Whole(found[0] if "model" in ask.path else {"models": found})
