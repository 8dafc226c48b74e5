"""What end users read when a call is refused, in their language: English, or Chinese.

Every refusal has an English text that names what was seen (`GatewayError.message`). In Chinese it has the words of its
own that whoever raised it gave along (`words={"zh": ...}`), else the sentence of its code here with the English text
behind it, so that no name and no number is lost.
"""

from collections.abc import Mapping
from typing import Final, Literal

from tidegate.core.errors import GatewayError

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
HEADER_CHARS_MAX: Final = 200

ZH: Final[Mapping[str, str]] = {
    "invalid_request": "请求有误，请检查请求体和参数。",
    "invalid_api_key": "API 密钥缺失或无效：可能未填写、已过期或已被吊销。请检查密钥，或联系管理员重新发放。",
    "insufficient_quota": "额度不足，本次调用未执行，也未扣费。请充值或提高预算后重试。",
    "forbidden": "该密钥无权进行此操作：模型、供应商或来源网络不在允许范围内。请联系管理员。",
    "model_not_found": "没有可用的线路提供该模型。请检查模型名称，可通过 GET /v1/models 查看可用模型。",
    "price_unknown": "该模型尚未定价，未定价的模型不会被调用。请联系管理员设置价格。",
    "no_endpoints": "没有符合路由条件的线路可用于本次调用。请放宽条件，或联系管理员。",
    "generation_not_found": "本账户中没有该次调用。",
    "tenant_not_found": "没有该租户，或您不属于该租户。",
    "account_not_found": "没有该条目，请检查编号。",
    "account_exists": "该编号、邮箱或密钥已被占用。",
    "sign_in_refused": "登录未通过验证，请重新登录或联系管理员。",
    "path_not_found": "该地址不存在，请检查请求路径。",
    "method_not_allowed": "该地址不支持此请求方法。",
    "request_timeout": "请求发送过慢，已超时。请重试。",
    "payload_too_large": "请求体过大，请缩小后重试。",
    "unsupported_encoding": "不支持该内容编码。",
    "too_early": "请求早于 TLS 握手完成到达，请重试。",
    "rate_limit_exceeded": "请求过于频繁，已达到限额。请稍后重试。",
    "headers_too_large": "请求头过大，请精简后重试。",
    "client_gone": "客户端已断开连接。",
    "internal_error": "网关内部出错，请稍后重试；如持续出现，请联系管理员。",
    "upstream_error": "模型供应商出错，请稍后重试。",
    "upstream_refusal": "模型供应商拒绝了该请求。",
    "upstream_rejected_credentials": "模型供应商拒绝了网关的凭证，请联系管理员。",
    "unavailable": "服务暂不可用，请稍后重试。",
    "upstream_timeout": "模型供应商响应超时，请稍后重试。",
    "not_cached": "没有已缓存的回答，而该请求只接受缓存的回答（only-if-cached）。",
}
"""Code of an error -> its sentence in Chinese."""


def language_of(accept_language: str, tenant_language: str = "") -> Language:
    """The language to answer in: what the caller asks for, else the tenant's, else English.

    accept_language: the header (RFC 9110, 12.5.4), "" where there is none. Of the two languages the one with the
    greater weight counts, of equal ones the first; `*` and other languages say nothing about these two.
    """
    best: Language | None = None
    best_weight = 0.0
    for part in accept_language[:HEADER_CHARS_MAX].split(","):
        tag, _, parameter = part.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weight = _weight(parameter)
        if weight > best_weight:
            for language in LANGUAGES:
                if primary == language:
                    best, best_weight = language, weight
    if best is not None:
        return best
    return "zh" if tenant_language.lower().partition("-")[0] == "zh" else "en"


def _weight(parameter: str) -> float:
    """The `q` of a language, 1 where it has none, 0 where it is nonsense."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def text_of(error: GatewayError, language: Language) -> str:
    """What the caller reads."""
    if language == "en":
        return error.message
    own = error.words.get(language)
    if own:
        return own
    sentence = ZH.get(error.code)
    return f"{sentence}（{error.message}）" if sentence else error.message


def speak(error: GatewayError, language: Language) -> GatewayError:
    """The same error with its text in a language: for the moment before its body is written."""
    if language != "en":
        error.message = text_of(error, language)
        error.words = {language: error.message}  # said again, it is the same
    return error
