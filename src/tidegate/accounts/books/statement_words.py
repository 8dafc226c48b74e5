"""The words of a statement, in English and Chinese; and how a month, a number and an amount are written."""

from collections.abc import Mapping
from typing import Final

from tidegate.core.error_words import Language
from tidegate.core.money import NANO_PER_USD

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "title": "Statement",
        "so_far": "The month is not over: this is what was booked so far.",
        "account": "Account",
        "opening": "Opening balance",
        "credited": "Paid in",
        "charged": "Used",
        "closing": "Closing balance",
        "owed": "to be paid",
        "credits": "Payments and credits",
        "no_credits": "Nothing was paid in this month.",
        "by_day": "Usage by day",
        "by_model": "Usage by model",
        "no_usage": "No calls this month.",
        "day": "Day",
        "kind": "What",
        "reference": "Reference",
        "memo": "Note",
        "model": "Model",
        "calls": "Calls",
        "unmetered": "Not metered",
        "input": "Input tokens",
        "cached": "of which cached",
        "output": "Output tokens",
        "amount": "Amount (USD)",
        "charge": "Charged (USD)",
        "balance": "Balance (USD)",
        "total": "Total",
        "other_model": "(refused before a model was chosen)",
        "unmetered_note": "{calls} calls ended without a known cost (a fault, or a provider that told none). "
        "They are free.",
        "exact_note": "Amounts are exact, to the billionth of a dollar. Days are UTC; a call counts on the day it "
        "arrived.",
        "rate_note": "Amounts in {currency} are for information, at the rate of {day} ({source}).",
        "proof_note": "Holds everything booked until {made}, entry no. {number}. Keep this line: with it you can "
        "prove later what the books held then.",
        "digest": "Digest",
        "usage": "usage",
        "top_up": "top-up",
        "voucher": "voucher",
        "grant": "credit",
        "refund": "refund",
        "correction": "correction",
    },
    "zh": {
        "title": "对账单",
        "so_far": "本月尚未结束，以下为截至目前的记账。",
        "account": "账户",
        "opening": "期初余额",
        "credited": "本期入账",
        "charged": "本期消费",
        "closing": "期末余额",
        "owed": "待支付",
        "credits": "充值与入账",
        "no_credits": "本月没有入账。",
        "by_day": "按日用量",
        "by_model": "按模型用量",
        "no_usage": "本月没有调用。",
        "day": "日期",
        "kind": "类型",
        "reference": "凭证号",
        "memo": "备注",
        "model": "模型",
        "calls": "调用次数",
        "unmetered": "未计量",
        "input": "输入 token",
        "cached": "其中缓存",
        "output": "输出 token",
        "amount": "金额（美元）",
        "charge": "扣费（美元）",
        "balance": "余额（美元）",
        "total": "合计",
        "other_model": "（选定模型前即被拒绝）",
        "unmetered_note": "有 {calls} 次调用的费用未知（故障，或供应商未返回用量），不收费。",
        "exact_note": "金额精确到十亿分之一美元。日期为 UTC，按调用到达的日期计。",
        "rate_note": "{currency} 金额仅供参考，按 {day} 的汇率换算（来源：{source}）。",
        "proof_note": "包含截至 {made} 的全部记账，最后一笔为第 {number} 号。"
        "请保留此行：日后可凭它证明当时账本的内容。",
        "digest": "摘要",
        "usage": "消费",
        "top_up": "充值",
        "voucher": "兑换码",
        "grant": "入账",
        "refund": "退款",
        "correction": "更正",
    },
}


def month_words(month: str, language: Language) -> str:
    """`November 2026`, `2026年11月`."""
    year, number = map(int, month.split("-"))
    return f"{year}年{number}月" if language == "zh" else f"{MONTHS[number - 1]} {year}"


def usd(amount: int, places: int = 2) -> str:
    """Nano-USD as USD, exactly, thousands apart, with so many decimals at least."""
    whole, fraction = divmod(abs(amount), NANO_PER_USD)
    return f"{'−' if amount < 0 else ''}{whole:,}.{f'{fraction:09d}'.rstrip('0').ljust(places, '0')}"
