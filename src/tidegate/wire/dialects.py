"""Every dialect that a caller or a provider may speak, by its name."""

from typing import Final

from tidegate.wire.anthropic import ANTHROPIC
from tidegate.wire.bedrock import BEDROCK
from tidegate.wire.dialect import Dialect
from tidegate.wire.gemini import GEMINI
from tidegate.wire.openai_chat import CHAT
from tidegate.wire.openai_completions import COMPLETIONS
from tidegate.wire.openai_embeddings import EMBEDDINGS
from tidegate.wire.openai_responses import RESPONSES

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for dialect in (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, ANTHROPIC, GEMINI, BEDROCK)
}
