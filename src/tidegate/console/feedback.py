"""`POST /api/v1/feedback`: whoever made a call says whether the work was taken, and how good it was."""

from typing import Annotated, Final

import msgspec

from tidegate.core.errors import InvalidRequest
from tidegate.ledger.outcomes import NAME_MAX, PPM, TEXT_MAX, Judgement

BODY_BYTES_MAX: Final = 64 * 1024
EXAMPLE: Final = '{"generation_id": "0199f3a2-...", "accepted": true}'


class Feedback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body. accepted: true, false, or left out where only a score is given. score: from 0 to 1.

    reason: a few words for people. who: who judged, as the caller names them (a person's pseudonym, `tests`, a model).
    """

    generation_id: str
    accepted: bool | None = None
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] | None = None
    who: Annotated[str, msgspec.Meta(max_length=NAME_MAX)] | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was written down, with its time in seconds since 1970."""

    generation_id: str
    accepted: bool | None
    score: float | None
    created: int


class FeedbackReply(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a reply."""

    data: Recorded


def read_feedback(body: bytes) -> Feedback:
    """The body of a request. Raises InvalidRequest saying what is wrong and how it is right."""
    try:
        feedback = msgspec.json.decode(body, type=Feedback)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is no feedback: {error}. Write {EXAMPLE}.") from error
    if not feedback.generation_id:
        raise InvalidRequest(
            f"`generation_id` is empty; it stands in `x-generation-id`: {EXAMPLE}.", param="generation_id"
        )
    if feedback.accepted is None and feedback.score is None:
        raise InvalidRequest(
            f"Say `accepted` (true or false) or `score` (0 to 1), or both: {EXAMPLE}.", param="accepted"
        )
    return feedback


def judgement_of(feedback: Feedback, tenant_id: str, key_id: str | None, now_us: int) -> Judgement:
    """What the ledger keeps of it."""
    return Judgement(
        generation_id=feedback.generation_id,
        ts=now_us,
        tenant_id=tenant_id,
        key_id=key_id,
        accepted=feedback.accepted,
        score_ppm=None if feedback.score is None else round(feedback.score * PPM),
        reason=feedback.reason or None,
        who=feedback.who or None,
    )


def reply_of(judgement: Judgement) -> FeedbackReply:
    return FeedbackReply(
        data=Recorded(
            generation_id=judgement.generation_id,
            accepted=judgement.accepted,
            score=None if judgement.score_ppm is None else judgement.score_ppm / PPM,
            created=judgement.ts // 1_000_000,
        )
    )
