"""Channels: one configured payment provider each. Reads its callbacks with its secrets, and says where to pay."""

from collections.abc import Mapping

import msgspec

from tidegate.accounts.money import epay, signed_json, stripe
from tidegate.accounts.money.callbacks import Callback, Notice, Payment
from tidegate.accounts.money.topups import Order
from tidegate.core.errors import AccountsError, Unavailable
from tidegate.core.fx import Amount, parse_amount
from tidegate.core.money import InvalidMoney
from tidegate.core.topup_settings import TopupConfig


class Channel:
    """One `[topups.NAME]`, with the secrets of its environment."""

    def __init__(self, name: str, config: TopupConfig, environ: Mapping[str, str]) -> None:
        self.name, self.config = name, config
        named = (config.secret_env, config.secret_before_env)
        self._secrets = [environ[variable].strip().encode() for variable in named if environ.get(variable, "").strip()]
        self.currencies = config.taken
        self._least, self._most = (
            {currency: parse_amount(text, currency) if text else None for currency in self.currencies}
            for text in (config.amount_min, config.amount_max)
        )

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, {self.config.contract!r})"

    @property
    def is_ready(self) -> bool:
        """Its secret is in the environment."""
        return bool(self._secrets)

    def amount_of(self, text: str, currency: str) -> Amount:
        """What somebody wants to pay. Raises AccountsError where the channel does not take that."""
        if currency not in self.currencies:
            raise AccountsError(f"{self.name} takes {', '.join(self.currencies)}, not {currency[:16]!r}")
        try:
            amount = parse_amount(text, currency)
        except InvalidMoney as error:
            raise AccountsError(str(error)) from error
        least, most = self._least[currency], self._most[currency]
        if (least is not None and amount < least) or (most is not None and amount > most) or amount.minor <= 0:
            span = f"from {least or '0'} to {most or 'any amount'} {currency}"
            raise AccountsError(f"{self.name} takes top-ups {span}, not {amount}")
        return amount

    def read(self, callback: Callback, now_s: int) -> Payment | Notice:
        """What a callback says. Raises CallbackUnsigned, CallbackMalformed; Unavailable without a secret."""
        config = self.config
        if not self._secrets:
            raise Unavailable(f"Top-ups by {self.name} are not set up here: {config.secret_env} is not set.")
        if config.contract == "stripe":
            return stripe.read(callback, self._secrets, config.tolerance_s, now_s)
        if config.contract == "epay":
            return epay.read(callback, self._secrets, config.merchant_id, self.currencies[0])
        return signed_json.read(callback, config, self._secrets, self.currencies[0], now_s)

    def receipt(self, *, is_accepted: bool) -> tuple[int, bytes, str]:
        """Status, body and content type of the answer that the provider understands."""
        if self.config.contract == "epay":
            return 200, epay.ANSWER if is_accepted else epay.REFUSAL, "text/plain"
        if not is_accepted:
            return 409, msgspec.json.encode({"success": False, "received": False}), "application/json"
        answer = stripe.ANSWER if self.config.contract == "stripe" else self.config.answer.encode()
        return 200, answer, "application/json"

    def pay_url(self, order: Order) -> str:
        """Where a payer is sent; "" where the operator's own page sends them."""
        config = self.config
        if not config.pay_url:
            return ""
        if config.contract == "epay":
            fields = {
                "pid": config.merchant_id,
                "out_trade_no": order.order_id,
                "notify_url": config.notify_url,
                "return_url": config.return_url,
                "name": f"credit {order.order_id}",
            }
            return epay.pay_url(config.pay_url, fields, order.amount, self._secrets[0]) if self._secrets else ""
        words = {
            "order_id": order.order_id,
            "amount": str(order.amount),
            "amount_minor": str(order.amount_minor),
            "currency": order.currency,
        }
        url = config.pay_url
        for name, value in words.items():
            url = url.replace(f"{{{name}}}", value)
        return url


def channels_of(settings: Mapping[str, TopupConfig], environ: Mapping[str, str]) -> dict[str, Channel]:
    """All configured channels by name."""
    return {name: Channel(name, config, environ) for name, config in settings.items()}
