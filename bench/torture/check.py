"""What must hold after a round, whatever happened in it. A violation is a sentence: what was seen, and where."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa

from tidegate.accounts.books.settle import unsettled
from tidegate.accounts.books.verify import verify
from tidegate.accounts.quotas.sql import SqlStore
from tidegate.accounts.quotas.store import Lessee
from tidegate.accounts.schema.books import wallets
from tidegate.accounts.schema.quotas import holdings, windows, workers
from tidegate.core.row import Intent, Outcome
from tidegate.ledger.journal import journal_files, read_journal
from torture.hostile import HostileProvider
from torture.place import LEASE_S, Place
from torture.play import Reply, Story
from torture.program import INPUT_NANO, INPUT_TOKENS, OUTPUT_NANO
from torture.weather import Blow

CALM_S = 30.0
LATE_S = 0.3
MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
REVOKED_WITHIN_S = 2.0
SLOW_MACHINE_S = 2.0  # of a machine under torture, beyond what is promised
REFUSED = {401, 402, 403, 404, 429}
COLUMNS = (
    "generation_id", "request_id", "tenant_id", "key_id", "user_hash", "ts", "status_code", "usage_input_tokens",
    "usage_output_tokens", "cost_nano_usd", "upstream_cost_nano_usd", "operator_loss_nano_usd", "cost_basis",
    "request_model", "error_type", "attempt_count",
)  # fmt: skip


class Seen(msgspec.Struct, frozen=True):
    """The columns of a row that matter here."""

    generation_id: str
    request_id: str | None
    tenant_id: str
    key_id: str | None
    user_hash: str | None
    ts: int
    status_code: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost: int | None
    upstream: int | None
    loss: int | None
    basis: str | None
    model: str | None
    error_type: str | None
    attempts: int | None


def calm_down(place: Place, tenants: Sequence[str]) -> Iterator[str]:
    """Wait until nothing is reserved, nothing unsealed and nothing unsettled; what is left after a while is wrong."""
    deadline = time.monotonic() + CALM_S
    next_caller = SqlStore(place.accounts.database, lease_s=LEASE_S)
    while True:
        next_caller.exchange(Lessee(worker_id="torture", gateway_id="torture", is_pool=True), [])  # ends dead leases
        reserved = _reserved(place, tenants)
        waiting = unsettled(place.accounts.database, place.ledger)
        in_journal = any(tenant_id in set(tenants) for tenant_id in _in_journal(place))
        if not reserved and not waiting and not in_journal:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for quota_id, subject, held, unspent in reserved[:3]:
        yield f"{unspent} of {held} held of {quota_id} for {subject} is reserved {CALM_S:.0f} s after the last call"
    if waiting or in_journal:
        yield f"{len(waiting)} segments are not settled, or rows not sealed, {CALM_S:.0f} s after the last call"


def _in_journal(place: Place) -> Iterator[str]:
    """Tenants of the calls that the journal holds: also of those that died with their worker and wait for a row.

    A dead worker's last segment is recovered when the next one has a segment of its own, whatever that waits for.
    """
    for path in journal_files(place.ledger.journal_path):
        try:
            records = list(read_journal(path))
        except FileNotFoundError:  # sealed in this moment
            continue
        yield from (record.row.tenant_id for record in records if isinstance(record, Intent | Outcome))


def check_round(
    place: Place, stories: Sequence[Story], blows: Sequence[Blow], provider: HostileProvider, late_s: float
) -> Iterator[str]:
    """Every invariant of every program. late_s: how late the machine was; leases may have ended by that alone."""
    blows = [blow for blow in blows if blow.fault != "kill_console"]
    if late_s > LATE_S:
        blows.append(Blow("stall_worker", 0.0, 0, late_s))
    tenants = [story.program.tenant_id for story in stories]
    rows = read_rows(place, tenants)
    by_tenant: dict[str, list[Seen]] = defaultdict(list)
    for row in rows:
        by_tenant[row.tenant_id].append(row)
    for generation_id, count in Counter(row.generation_id for row in rows).items():
        if count > 1:
            yield f"{count} rows of call {generation_id}"
    was_killed = any(blow.fault in ("kill_worker", "stall_worker") for blow in blows)
    slack_s = SLOW_MACHINE_S + late_s + sum(blow.length_s for blow in blows)  # nobody hears from a store that is away
    for story in stories:
        own = by_tenant[story.program.tenant_id]
        for text in (
            *_check_program(story, own, provider, was_killed=was_killed),
            *_check_revocation(story, slack_s),
        ):
            yield f"{story.program.tenant_id}: {text}"
        yield from (f"{story.program.tenant_id}: {text}" for text in _check_rates(place, story, own, blows, provider))
    yield from check_books(place)
    yield from _check_held(place, by_tenant)


def check_books(place: Place) -> Iterator[str]:
    """`tidegate accounts verify`."""
    found = verify(place.accounts.database, place.ledger, wait_s=10)
    for difference in found.differences[:3]:
        yield f"books: {difference}"


def read_rows(place: Place, tenants: Sequence[str]) -> list[Seen]:
    """All rows of some tenants, sealed ones."""
    names = ", ".join(f"'{tenant}'" for tenant in tenants)
    connection = place.ledger.connect()
    try:
        found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM rows WHERE tenant_id IN ({names})").fetchall()
    finally:
        connection.close()
    return [Seen(*row) for row in found]


def _reserved(place: Place, tenants: Sequence[str]) -> list[tuple[str, str, int, int]]:
    with place.accounts.database.reading() as connection:
        quota_ids = [f"{tenant}:{name}" for tenant in tenants for name in ("day", "user", "rpm", "tpm", "open")]
        query = sa.select(wallets.c.quota_id).where(wallets.c.tenant_id.in_(tenants), wallets.c.quota_id.is_not(None))
        quota_ids += connection.execute(query).scalars().all()
        if place.valkey:  # the pool keeps rates in hand, for the next call of anybody
            quota_ids = [name for name in quota_ids if name.rpartition(":")[2] not in ("rpm", "tpm", "open")]
        columns = (windows.c.quota_id, windows.c.subject, windows.c.held, windows.c.unspent)
        query = sa.select(*columns).where(windows.c.quota_id.in_(quota_ids), windows.c.unspent != 0)
        return [tuple(row) for row in connection.execute(query)]  # type: ignore[misc]


def _check_program(story: Story, rows: list[Seen], provider: HostileProvider, *, was_killed: bool) -> Iterator[str]:
    program = story.program
    yield from _check_money(story, rows)
    generations = {row.generation_id for row in rows}
    requests = {row.request_id: row for row in rows}
    lost = sum(row.basis == "unknown" for row in rows)
    for reply in story.replies:
        if reply.status and reply.status != 401 and reply.generation_id not in generations:
            yield f"call {reply.request_id} was answered {reply.status} and has no row"
        if reply.status == 500:
            yield f"call {reply.request_id} was answered 500: {reply.error}"
        charged = provider.charged.get(reply.request_id, [])
        row = requests.get(reply.request_id)
        if charged and row is None:
            lost -= 1
            if lost < 0 or not was_killed:
                yield f"the provider charges for {reply.request_id}, which has no row"
        if row is not None:
            whole = [one.output_tokens for one in charged if one.is_whole]
            yield from _check_call(story, reply, row, whole, was_killed)
    if program.voucher_s is not None and story.vouchers_taken != 1:
        yield f"a voucher was redeemed {story.vouchers_taken} times"


def _check_money(story: Story, rows: list[Seen]) -> Iterator[str]:
    program = story.program
    voucher = -(-program.voucher // 10_000_000) * 10_000_000 if story.vouchers_taken else 0
    spent = sum(row.cost or 0 for row in rows)
    if spent > program.credits + voucher:
        yield f"the wallet had {program.credits + voucher} and {spent} was spent"
    if any((row.cost or 0) < 0 for row in rows):
        yield "a row costs less than nothing"
    for name, limit in (("day", program.day_limit), ("user", program.user_day_limit)):
        if limit is None:
            continue
        sums: Counter[tuple[int, str | None]] = Counter()
        for row in rows:
            if name == "day" or row.user_hash:
                sums[row.ts // DAY_US, row.user_hash if name == "user" else None] += row.cost or 0
        for key, amount in sums.items():
            if amount > limit:
                yield f"the quota {name} of {limit} was spent to {amount} ({key})"


def _check_call(story: Story, reply: Reply, row: Seen, outputs: list[int], was_killed: bool) -> Iterator[str]:
    name = f"call {reply.request_id} ({reply.call.script}, status {row.status_code})"
    if row.basis == "unknown":
        if row.cost:
            yield f"{name}: its usage is unknown and it costs {row.cost}"
        if outputs and not was_killed:
            yield from _check_unknown(name, row, outputs, reply.call.is_free)
        return
    was_cut = story.revoked_s is not None and reply.call.key == 1 and row.basis == "estimated_partial"
    if was_cut:  # revoked in the middle: the provider was hung up on, and what it had sent is charged
        outputs = []
    was_refused = row.status_code in REFUSED
    # else the operator bears what attempts cost that came to nothing
    is_served = row.status_code == 200 or (row.status_code == 499 and bool(row.output_tokens))
    if outputs and is_served and row.output_tokens != outputs[-1]:
        yield f"{name}: the provider told {outputs[-1]} tokens, the row has {row.output_tokens}"
    if outputs and not reply.call.is_free:
        told = sum(row_cost(output) for output in outputs)
        if row.upstream != told:
            yield f"{name}: the provider charges {told}, the row says {row.upstream}"
    # a stream that was cut after its provider had told what it charges, and before its first word: as one that is left
    was_told = story.revoked_s is not None and row.status_code == 401 and bool(row.attempts)
    if was_refused and not was_cut and not was_told and row.cost:
        yield f"{name}: refused, and costs {row.cost}"
    if row.output_tokens is not None and row.input_tokens is not None and row.cost is not None:
        margins = {0, story.program.margin_ppm} if story.had_two_prices else {0}
        served = 0 if reply.call.is_free else row.input_tokens * INPUT_NANO + row.output_tokens * OUTPUT_NANO
        due = {_with_margin(served, margin) for margin in margins}
        if row.cost + (row.loss or 0) not in due:
            yield f"{name}: charged {row.cost} and lost {row.loss}; due {sorted(due)}"


def _check_unknown(name: str, row: Seen, outputs: list[int], is_free: bool) -> Iterator[str]:
    """An attempt may have died without a word beside those that told their usage; what these cost is known."""
    if (row.attempts or 0) <= len(outputs):
        yield f"{name}: the provider told its usage in each of {row.attempts} attempts, and the row says unknown"
    elif not is_free and row.upstream != sum(row_cost(output) for output in outputs):
        yield f"{name}: {row.attempts} attempts, {len(outputs)} of which told their usage; upstream is {row.upstream}"


def row_cost(output_tokens: int) -> int:
    """What the provider charges for an answer of so many tokens."""
    return INPUT_TOKENS * INPUT_NANO + output_tokens * OUTPUT_NANO


def _with_margin(upstream: int, margin_ppm: int) -> int:
    """Half to even, on the integer."""
    whole, rest = divmod(upstream * (1_000_000 + margin_ppm), 1_000_000)
    return whole + (rest * 2 > 1_000_000 or (rest * 2 == 1_000_000 and whole % 2 == 1))


def _check_revocation(story: Story, slack_s: float) -> Iterator[str]:
    if story.revoked_s is None:
        return
    end_s = story.revoked_s + REVOKED_WITHIN_S + slack_s
    for reply in story.replies:
        if reply.call.key == 1 and reply.status == 200:
            if reply.began_s > end_s:
                yield f"call {reply.request_id} began {reply.began_s - story.revoked_s:.1f} s after its key was revoked"
            # an answer that comes whole was on its way already, and may be as late as its provider
            if reply.call.is_stream and reply.ended_s > end_s and reply.is_whole:
                late = reply.ended_s - story.revoked_s
                yield f"call {reply.request_id} went on for {late:.1f} s after its key was revoked"


def _check_rates(
    place: Place, story: Story, rows: list[Seen], blows: Sequence[Blow], provider: HostileProvider
) -> Iterator[str]:
    """At most one slice a worker above the limit, where leases ended; tokens: and what calls took beyond estimate."""
    program = story.program
    lives = place.setting.workers * len(blows)
    # others were left before they were sent, or refused when their first attempt had failed: neither counts as a call
    admitted = [row for row in rows if row.request_id in provider.attempts and row.status_code not in REFUSED | {503}]
    length_us = MINUTE_US * (1 << 30 if program.is_rolling else 1)  # a round is over before a minute has rolled by
    minutes: Counter[tuple[int, str | None]] = Counter((row.ts // length_us, row.key_id) for row in admitted)
    if program.requests_a_minute is not None:
        limit = program.requests_a_minute
        for key, count in minutes.items():
            if count > limit + lives * _slice(limit, 8):
                yield f"{limit} requests a minute, and {count} were made ({key}, {len(blows)} blows)"
    if program.tokens_a_minute is not None:
        limit, beyond = program.tokens_a_minute, 0
        tokens: Counter[int] = Counter()
        for row in admitted:
            tokens[row.ts // length_us] += (row.input_tokens or 0) + (row.output_tokens or 0)
            beyond = max(beyond, row.output_tokens or 0)
        at_once = max(provider.open_most[program.tenant_id], 1)
        for minute, count in tokens.items():
            if count > limit + lives * _slice(limit, 8000) + at_once * beyond:
                yield f"{limit} tokens a minute, and {count} were used (minute {minute}, {len(blows)} blows)"
    if program.calls_open is not None and program.revoke_s is None:  # a cut stream is not over for a slow provider
        most = provider.open_most[program.tenant_id]
        if most > program.calls_open + lives * _slice(program.calls_open, 8):
            yield f"{program.calls_open} calls at one time, and the provider saw {most} ({len(blows)} blows)"


def _slice(limit: int, wanted: int) -> int:
    """The most that one worker holds of a rate: what it wants for eight calls, or a quarter of the limit."""
    return min(limit, max(wanted, limit // 4))


def _check_held(place: Place, by_tenant: dict[str, list[Seen]]) -> Iterator[str]:
    """What quotas of money hold is what rows say, to the nano-USD."""
    with place.accounts.database.reading() as connection:
        query = sa.select(wallets.c.tenant_id, wallets.c.quota_id).where(wallets.c.tenant_id.in_(list(by_tenant)))
        ids = {quota_id: tenant for tenant, quota_id in connection.execute(query)}
        ids |= {f"{tenant}:day": tenant for tenant in by_tenant}
        query = sa.select(windows.c.quota_id, sa.func.sum(windows.c.held)).where(windows.c.quota_id.in_(list(ids)))
        held = dict(connection.execute(query.group_by(windows.c.quota_id)).all())  # type: ignore[arg-type]
    for quota_id, amount in held.items():
        rows = sum(row.cost or 0 for row in by_tenant[ids[quota_id]])
        if amount != rows:
            yield f"{ids[quota_id]}: quota {quota_id} holds {amount}, and its rows come to {rows}"


def describe(place: Place) -> str:
    """Who holds what still, for whoever looks for the cause of a violation."""
    lines = []
    with place.accounts.database.reading() as connection:
        for row in connection.execute(sa.select(workers)).mappings():
            lines.append(f"worker {dict(row)}")
        open_ones = sa.select(holdings).where(holdings.c.granted != holdings.c.returned + holdings.c.spent)
        for row in connection.execute(open_ones).mappings():
            lines.append(f"holding {dict(row)}")
    lines += [f"journal {path.name} {path.stat().st_size}" for path in sorted(place.ledger.journal_path.iterdir())]
    lines += [f"sealed {entry.unit} {sum(file.rows for file in entry.files)}" for entry in place.ledger.entries()[-12:]]
    return "\n".join(lines)
