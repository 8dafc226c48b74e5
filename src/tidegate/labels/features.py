"""Text to a sparse vector: hashed words, word pairs and character n-grams, the same on every machine and version.

Characters carry what words cannot: Chinese and Japanese, spelling mistakes, code. Words carry what n-grams blur.
Each group of features is scaled to length 1, so that a long prompt weighs no more than a short one.
"""

import itertools
import re
import unicodedata
import zlib

import numpy as np
import numpy.typing as npt

VERSION = 5  # of everything here that changes a vector; a weights file of another version is refused
BUCKETS_LOG2 = 18
BUCKETS = 1 << BUCKETS_LOG2
HEAD_CHARS, TAIL_CHARS = 4000, 2000  # what is read of a long prompt: the request stands at one of its ends
NGRAM_SIZES = (2, 3, 4)
EDGE_WORDS = 30  # words at either end count double: there people say what they want
WORD_CHARS_MAX = 40

_PRIME = np.uint64(1_099_511_628_211)  # FNV-1a's
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2^64 / golden ratio (Knuth, multiplicative hashing)
_CJK_FROM = 0x2E80
_NOT_WORDS = re.compile(r"[\u2e80-\ua4cf\uf900-\ufaff]+")  # Han, kana: written without spaces
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|[#@+]+[^\W\d_]+|[{}();=<>\[\]*`$\\|&!?\"“「]")
_DIGITS = re.compile(r"\d+")
_SPACE = re.compile(r"[ \t\r\f\v]+")
_NEWLINES = re.compile(r"\s*\n\s*")
_CODE_MARKS = re.compile(r"[{}();=<>\[\]_]|::|->|=>|</|==|!=|\+=|&&|\|\|")
_TEX = re.compile(r"\\(?:frac|sum|int|sqrt|begin|cdot|mathbb|mathcal|leq?|geq?|to|in|l?dots|infty|left)\b|\\[(\[]")
_FORMULA = re.compile(r"\$\$?[^$\n]{1,200}\$\$?|\\[a-zA-Z]+\*?(?:\{[^{}\n]{0,80}\})*|\\[\[\]()]")
_SHAPES = {
    "fence": re.compile(r"```|~~~"),
    "action": re.compile(r"\*[^*\n]{2,80}\*(?!\*)"),
    "latex": re.compile(rf"\$[^$\n]{{1,400}}\$|{_TEX.pattern}"),
    "quote": re.compile(r"[\"“「『]"),
    "path": re.compile(
        r"\b[\w.-]{1,80}/[\w./-]{1,120}\.\w{1,5}\b|\b\w+\.(?:py|js|ts|tsx|go|rs|java|cpp|c|h|rb|php|sh|sql|ya?ml|json)\b"
    ),
    "trace": re.compile(r"Traceback|Exception|Error:|error\[|at line|Segmentation fault|panic:|undefined is not"),
    "money": re.compile(r"[$€£¥]\s?\d|\d\s?(?:usd|eur|元|万)", re.IGNORECASE),
    "define": re.compile(r"^\s*(?:def|class|func|fn|import|from|public|private|const|let|var|#include|SELECT)\b", re.M),
}

Vector = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def cut(text: str) -> str:
    """The part of a prompt that is read: the head and the tail of a long one."""
    if len(text) <= HEAD_CHARS + TAIL_CHARS:
        return text
    return f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def plain(text: str) -> str:
    """Compatibility forms joined, case folded, each number a 0, runs of space one: what does not change the task."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _DIGITS.sub("0", _NEWLINES.sub("\n", _SPACE.sub(" ", folded))).strip()


def vector(text: str, idf: npt.NDArray[np.float32]) -> Vector:
    """Buckets (sorted, unique) and their values.

    idf: (BUCKETS,) float32, the weight of each bucket before scaling. Empty text gives an empty vector.
    """
    raw = cut(text)
    folded = plain(raw)
    groups = ((_ngrams(folded), 1.0), (_words(folded), 1.0), (_shapes(raw), 0.35))
    parts = [_scaled(ids, idf, weight) for ids, weight in groups if ids.size]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    buckets, place = np.unique(np.concatenate([ids for ids, _ in parts]), return_inverse=True)
    values = np.zeros(buckets.size, np.float32)
    np.add.at(values, place, np.concatenate([values for _, values in parts]))
    return buckets, values


def _scaled(ids: npt.NDArray[np.int64], idf: npt.NDArray[np.float32], weight: float) -> Vector:
    buckets, counts = np.unique(ids, return_counts=True)
    values = (1.0 + np.log(counts)).astype(np.float32) * idf[buckets]
    length = float(np.sqrt(np.dot(values, values)))
    return buckets, (values * np.float32(weight / length) if length else values)


def _ngrams(text: str) -> npt.NDArray[np.int64]:
    """Bucket of every character n-gram; single characters too where they are words, as in Chinese."""
    if not text:
        return np.empty(0, np.int64)
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    found = [_bucket(codes[codes >= _CJK_FROM], 1)]
    for size in NGRAM_SIZES:
        rolled = codes[: max(codes.size - size + 1, 0)].copy()
        for step in range(1, size):
            rolled = rolled * _PRIME + codes[step : step + rolled.size]
        found.append(_bucket(rolled, size))
    return np.concatenate(found)


def _bucket(hashes: npt.NDArray[np.uint64], salt: int) -> npt.NDArray[np.int64]:
    mixed = (hashes + np.uint64(salt)) * _PRIME
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _SPREAD
    return (mixed >> np.uint64(64 - BUCKETS_LOG2)).astype(np.int64)


def _words(text: str) -> npt.NDArray[np.int64]:
    """Bucket of every word and pair of neighbours; words at either end of the prompt twice."""
    words = [word[:WORD_CHARS_MAX] for word in _WORD.findall(_NOT_WORDS.sub(" ", text))]
    edges = words if len(words) <= 2 * EDGE_WORDS else words[:EDGE_WORDS] + words[-EDGE_WORDS:]
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(words)]
    return _named("w", [*words, *edges, *pairs])


def _shapes(text: str) -> npt.NDArray[np.int64]:
    """Bucket of each mark that casefolding and n-grams lose: how dense code is, fences, *actions*, formulas."""
    bare = _FORMULA.sub(" ", text) if _TEX.search(text) else text  # the braces of TeX are no code
    density = 100 * len(_CODE_MARKS.findall(bare)) / max(len(text), 1)
    level = sum(density > bound for bound in (0.5, 1.5, 3, 6))
    seen = [name for name, pattern in _SHAPES.items() if pattern.search(text)]
    return _named("s", [f"code {step}" for step in range(1, level + 1)] + seen)


def _named(kind: str, names: list[str]) -> npt.NDArray[np.int64]:
    hashes = [zlib.crc32(f"{kind} {name}".encode("utf-8", "replace")) for name in names]
    return _bucket(np.array(hashes, np.uint64), 0)
