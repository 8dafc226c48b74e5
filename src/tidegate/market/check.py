"""All checks of a book of claims, in one order."""

import msgspec

from tidegate.market.check_dates import check_dates
from tidegate.market.check_evidence import check_evidence
from tidegate.market.check_look import check_look
from tidegate.market.check_ratio import check_ratio
from tidegate.market.check_repeat import check_repeat
from tidegate.market.check_scale import check_scale, slips
from tidegate.market.check_scope import check_scope
from tidegate.market.check_shares import check_shares
from tidegate.market.claim import Claim
from tidegate.market.finding import Corpus, Finding

NEED_A_READER = {
    "unit_semantics": "a word in the text that misnames what is counted",
    "undetermined": "an order that the method, not the data, decides",
    "unsupported": "a statement without a source in its text",
    "label_conflict": "a name that means another set of countries in the data",
}


def check_claims(claims: tuple[Claim, ...], evidence: tuple[Claim, ...] = ()) -> tuple[Finding, ...]:
    """Findings on the claims; evidence rows are only held against them, and claimed figures are never changed."""
    corpus = Corpus(claims=claims, evidence=evidence)
    scale = list(check_scale(corpus))
    corpus = msgspec.structs.replace(corpus, slips=slips(scale, claims))
    found = [*scale]
    for check in (check_ratio, check_shares, check_repeat, check_scope, check_dates, check_look, check_evidence):
        found += check(corpus)
    return tuple(found)
