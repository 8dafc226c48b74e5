"""What of a prompt is words: code, markup, addresses and pasted logs say nothing about the writer's language."""

import re
from typing import Final, NamedTuple

TEXT_CHARS_MAX: Final = 20_000
"""What is read of one prompt; of a longer one its beginning and its end, where people say what they want."""

_FENCE: Final = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_INLINE: Final = re.compile(r"`[^`\n]{1,200}`")
_ADDRESS: Final = re.compile(
    r"\b(?:https?://|www\.)\S+|\b[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{1,99}|(?<![\w.~-])(?:[\w.~-]{0,99}/){2,}[\w.~-]{0,99}"
)
_TAG: Final = re.compile(r"</?[A-Za-z][\w:.-]*(?:\s[^<>\n]{0,300})?/?>")
_IDENTIFIER: Final = re.compile(r"\b(?:\w+_\w+|[a-z]+[A-Z]\w*|\w+\(\)|\w+\.\w+\(|\w*\d\w*)", re.ASCII)
_QUOTED: Final = re.compile(
    r"“[^“”]{1,2000}”|\"[^\"\n]{1,2000}\"|«[^«»]{1,2000}»|「[^「」]{1,2000}」|『[^『』]{1,2000}』"
)

_CODE_LINE: Final = re.compile(
    r"""^\s*(?:
      (?:from\s+[\w.]+\s+)?import\s+[\w.{*]            # Python, JavaScript, Java, Go
    | (?:async\s+)?def\s+\w+\s*\( | class\s+\w+\s*[:({]
    | (?:export\s+)?(?:default\s+)?(?:async\s+)?function\b\s*\w*\s*\(
    | (?:const|let|var|val)\s+[\w{\[][^=]*=[^=]
    | (?:public|private|protected|static|final|virtual|override)\s+[\w<>\[\],\s*&]+[({;=]
    | (?:func|fn)\s+[\w(] | package\s+[\w.]+;?$ | using\s+[\w.:]+\s*[;=] | namespace\s+\w+
    | \#\s*(?:include|define|ifdef|ifndef|endif|pragma)\b | \#! | @\w+(?:\(.*\))?$
    | (?:if|for|while|switch|catch|elif|else\s+if)\s*\(.*\)\s*\{?\s*$ | (?:if|for|while|elif|with|except)\b.*:\s*$
    | (?:return|yield|throw|raise|await|break|continue|pass)\b(?:[^.?!]*|.*[;(){}])\s*$
    | (?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+TABLE|ALTER\s+TABLE|DROP\s+TABLE)\s+\S
    | \$\s+\S | >>>\s | (?:pip3?|npm|npx|git|docker|kubectl|cargo|curl|sudo|apt(?:-get)?|brew)\s+[a-z-]
    | Traceback\s\( | File\s".*",\sline\s\d+ | at\s[\w.$<>]+\([\w.]+:\d+\) | \w*(?:Error|Exception):\s
    | [\w.\[\]"']+\s*(?:[-+*/|&]?=|:=|=>|->|<-)\s*\S.*[\])};]?\s*$ | [{}()\[\];,]+\s*$ | //|/\*|\*/|<!--
    | "[\w-]+"\s*:\s | [\w-]+:\s*[^.?!]*;\s*$ | \d{4}-\d\d-\d\d[T\s]\d\d:\d\d
    )""",
    re.VERBOSE,
)
_SYMBOLS: Final = frozenset('{}()[];=<>_\\|&*+#@$%^~"`')
SYMBOL_SHARE_MIN: Final = 0.18
"""Of a line's characters, spaces apart: above it a line is code whatever its words."""

_OPENING: Final = re.compile(
    r"<(system-reminder|system_reminder|environment_details|environment_context|user_instructions|INSTRUCTIONS"
    r"|command-name|command-message|local-command-stdout|file_content|file_contents|additional_data|attached_files"
    r"|user_info|rules|tool_result|context)(?:\s[^<>]{0,300})?>"
)
"""What agents put into the user's turn that no user wrote: whole blocks under these names are left out."""
LINE_CHARS_MAX: Final = 400
"""Of a line, what is looked at to tell whether it is code; expressions that look back and forth stay short."""


class Prose(NamedTuple):
    """`text`: the words, cut to TEXT_CHARS_MAX. `has_code`: something was left out because it is code."""

    text: str
    has_code: bool


def unwrapped(text: str) -> str:
    """The prompt without what an agent wrapped around it; whole where nothing else would be left.

    One pass over the text, whatever is in it: a name that is not closed once is not looked for again.
    """
    kept: list[str] = []
    place, unclosed = 0, set[str]()
    for opening in _OPENING.finditer(text):
        name = opening[1]
        if opening.start() < place or name in unclosed:
            continue
        closing = text.find(f"</{name}>", opening.end())
        if closing < 0:
            unclosed.add(name)
            continue
        kept.append(text[place : opening.start()])
        place = closing + len(name) + 3
    found = " ".join([*kept, text[place:]])
    return found if found.strip() else text


def clipped(text: str, limit: int = TEXT_CHARS_MAX) -> str:
    """Beginning and end of a text that is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n{text[-half:]}"


def prose_of(text: str) -> Prose:
    """The words of a prompt, line by line."""
    text = clipped(text)
    without = _FENCE.sub("\n", text) if "```" in text or "~~~" in text else text
    has_code = len(without) != len(text)
    kept = []
    for line in without.splitlines():
        if is_code_line(line):
            has_code = True
            continue
        if "`" in line:
            line = _INLINE.sub(" ", line)
        line = _TAG.sub(" ", _ADDRESS.sub(" ", line))
        kept.append(_IDENTIFIER.sub(" ", line))
    return Prose("\n".join(kept), has_code)


def unquoted(text: str) -> str:
    """The text without what it quotes: what is to be translated or mended need not be the writer's language."""
    return _QUOTED.sub(" ", text)


def is_code_line(line: str) -> bool:
    """A line of a program, a query, a log, JSON or markup, by its first words or its share of symbols.

    A line most of whose letters are of another alphabet is no code, whatever formula stands in it.
    """
    line = line[:LINE_CHARS_MAX]
    foreign = sum(not char.isascii() and char.isalpha() for char in line)
    if foreign and foreign * 3 >= sum(char.isascii() and char.isalpha() for char in line):
        return False
    if _CODE_LINE.match(line):
        return not _reads_as_sentence(line)
    solid = [c for c in line if not c.isspace()]
    if len(solid) < 6:
        return False
    return sum(c in _SYMBOLS for c in solid) / len(solid) >= SYMBOL_SHARE_MIN


_SENTENCE: Final = re.compile(r"(?:[^\W\d_]+[,;:]?\s+){5,}[^\W\d_]+")
_CODE_MARK: Final = re.compile(r"[{}\[\]=<>$|\\]|\w\(|[;:]\s*$|^\s*(?:#|//|@|>>>)")


def _reads_as_sentence(line: str) -> bool:
    """Six plain words in a row and no mark of code: `for a friend who likes tea, while ...` is no loop."""
    return bool(_SENTENCE.search(line)) and not _CODE_MARK.search(line)
