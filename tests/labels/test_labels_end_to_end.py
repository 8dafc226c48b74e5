"""From a call through the running gateway to a figure: its language and its task are counted, its words are nowhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from rig.gateway import configuration
from rig.provider import FakeProvider
from tidegate.config import load_config
from tidegate.core.row import Labelled
from tidegate.core.sample import LABELLER_APP, SOCKET_NAME
from tidegate.labels.ask import ask_report
from tidegate.ledger.journal import journal_files, read_journal
from tidegate.ledger.store import Ledger
from tidegate.study.figures import FIGURES

pytestmark = pytest.mark.skipif(
    not resources.files("tidegate.data").joinpath("labels/tasks.npz").is_file(),
    reason="the task weights are not made yet: make labels",
)

CODE = "我的网站很慢，请帮我用 Python 写一个函数，把日志文件里的错误按小时统计出来，并解释这段代码为什么会报错"
STORY = (
    "Let's play a fantasy role-play. You are Seraphine, a vampire queen in a ruined castle; stay in character and "
    "speak only as her. I am a wounded knight who knocks at your gate at midnight. *I kneel and lower my sword* "
    "My lady, will you let me in?"
)
SYSTEM = "You are the billing assistant of Quuxbank."
WORDS = ("网站很慢", "报错", "Seraphine", "wounded knight", "Quuxbank")
OPTED_IN = "[tenants.default]\nlabel_one_in = 1\n[labels]\naudit_texts = 0\n"


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="tg"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def variables(home: Path, **more: str) -> dict[str, str]:
    """The environment of a command of this home; nobody's keys, so that no test spends money."""
    kept = {n: v for n, v in os.environ.items() if not n.endswith("_API_KEY") and not n.startswith("TIDEGATE_")}
    return {**kept, "TIDEGATE_HOME": str(home), "TIDEGATE_CONFIG": str(home / "tidegate.toml"), **more}


@contextmanager
def serving(home: Path, provider: FakeProvider, extra: str, **more: str) -> Iterator[tuple[str, dict[str, str]]]:
    """`tidegate serve` with one worker; yields its address and the environment of further commands."""
    (home / "tidegate.toml").write_text(configuration(provider, ["m", "judge"], extra=extra))
    environ = variables(home, **more)
    command = [sys.executable, "-m", "tidegate", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            said = ""
            while "serving at" not in said:
                line = running.stderr.readline()
                assert line, said
                said += line
            yield said.partition("serving at ")[2].split()[0], environ
        finally:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=30)


def make_key(home: Path, environ: dict[str, str], name: str = "test") -> str:
    done = tidegate("keys", "create", "--name", name, environ=environ)
    return next(word for word in done.split() if word.startswith("sk-tg-"))


def tidegate(*arguments: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", *arguments], env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(url: str, key: str, text: str, **headers: str) -> None:
    body = {
        "model": "acme/m",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body, ensure_ascii=False).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert reply.status == 200


def until_labelled(home: Path, count: int) -> None:
    """Wait for that many labels, and no more."""
    socket = load_config([home / "tidegate.toml"], {"TIDEGATE_HOME": str(home)}).run_path / SOCKET_NAME
    deadline = time.monotonic() + 15
    while (report := ask_report(socket)).labelled < count:
        assert time.monotonic() < deadline, report
        time.sleep(0.05)
    assert report.labelled == count and report.failed == report.unreadable == 0


def until_sampling(url: str) -> None:
    """The worker reaches the labeller within its next try."""
    time.sleep(0.6)


def holding(home: Path, words: tuple[str, ...]) -> list[str]:
    """Files below the home that hold any of these words, as they are or escaped as JSON writes them."""
    marks = [mark for word in words for mark in (word.encode(), json.dumps(word)[1:-1].encode())]
    return [
        str(path) for path in home.rglob("*") if path.is_file() and any(mark in path.read_bytes() for mark in marks)
    ]


@pytest.mark.skipif("language_table" not in FIGURES, reason="the figure language_table is not there yet")
def test_labelled_calls_show_up_in_the_figures_and_their_words_are_nowhere(home):
    """One seal after the calls: zh-Hans and en by tokens, programming and roleplay by tokens; no file has the text."""
    with FakeProvider() as provider, serving(home, provider, OPTED_IN) as (url, environ):
        key = make_key(home, environ)
        until_sampling(url)
        ask(url, key, CODE)
        ask(url, key, STORY)
        until_labelled(home, 2)
        tidegate("ledger", "seal", environ=environ)
        assert holding(home, WORDS) == []
        languages = json.loads(tidegate("study", "language_table", "--format", "json", environ=environ))
        tasks = json.loads(tidegate("study", "category_share", "--format", "json", environ=environ))
        assert [call.body["messages"][1]["content"] for call in provider.calls] == [CODE, STORY], (
            "calls go on unchanged"
        )
    assert holding(home, WORDS) == []
    assert shares(languages, "language") == {"zh-Hans": 0.5, "en": 0.5}
    assert shares(tasks, "category") == {"programming": 0.5, "roleplay": 0.5}
    assert tidegate("ledger", "verify", environ=environ) is not None


def shares(result: dict[str, Any], grouping: str) -> dict[str, float]:
    """Share by group, of groups that have one."""
    return {row[grouping]: row["share"] for row in result["rows"] if row["share"]}


def test_nothing_is_sampled_of_a_tenant_that_did_not_opt_in(home):
    """No process, no socket, no label: off is the default, tenant by tenant."""
    with FakeProvider() as provider, serving(home, provider, "[tenants.other]\nlabel_one_in = 1\n") as (url, environ):
        key = make_key(home, environ)
        until_sampling(url)
        ask(url, key, CODE)
        socket = load_config([home / "tidegate.toml"], {"TIDEGATE_HOME": str(home)}).run_path / SOCKET_NAME
        assert ask_report(socket).labelled == 0
    with FakeProvider() as provider, serving(home, provider, "") as (url, _):
        ask(url, key, CODE)
        assert not list((home / "run").glob(SOCKET_NAME))


def test_a_killed_labeller_is_started_again_and_loses_no_label(home):
    """Labels that were written survive kill -9; calls go on meanwhile, and later ones are labelled again."""
    with FakeProvider() as provider, serving(home, provider, OPTED_IN) as (url, environ):
        key = make_key(home, environ)
        until_sampling(url)
        ask(url, key, CODE)
        until_labelled(home, 1)
        os.kill(pid_of("tidegate.labels", home), signal.SIGKILL)
        time.sleep(0.2)  # until the worker has heard of it
        ask(url, key, STORY)  # while nobody listens: dropped and counted
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:
            metrics = reply.read().decode()
        wait_for_labeller(home)
        until_sampling(url)
        ask(url, key, STORY)
        until_labelled(home, 1)  # of the new process
    assert "tidegate_label_samples_dropped_total 1.0" in metrics
    connection = Ledger.open(home / "ledger").connect()
    assert connection.execute("SELECT language, tag_sample_weight FROM labels ORDER BY ALL").fetchall() == [
        ("en", 1),
        ("zh-Hans", 1),
    ]
    connection.close()


def pid_of(module: str, home: Path) -> int:
    """The process that runs a module for this home."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command, environ = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue
        if f"\0{module}\0".encode() in command and f"TIDEGATE_HOME={home}\0".encode() in environ:
            return int(path.name)
    raise AssertionError(f"no process runs {module}")


def wait_for_labeller(home: Path) -> None:
    from tidegate.core.errors import TidegateError

    socket = load_config([home / "tidegate.toml"], {"TIDEGATE_HOME": str(home)}).run_path / SOCKET_NAME
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            ask_report(socket)
            return
        except TidegateError:
            time.sleep(0.1)
    raise AssertionError("the labeller did not come back")


def test_a_model_behind_the_gateway_labels_and_is_not_labelled_itself(home):
    """The labeller's own calls are rows like any other, told apart by their app, and never sampled."""

    async def judge(call):
        from rig.provider import completion

        assert "vampire" in call.body["messages"][0]["content"]
        text = '{"language": "en", "tasks": [{"path": "/Games/Roleplaying Games", "confidence": 0.97}]}'
        await call.reply(200, completion("judge", text=text))

    extra = '[tenants.default]\nlabel_one_in = 1\n[labels]\nlabeller = "model"\nmodel = "acme/judge"\n'
    with FakeProvider({"judge": judge}) as provider:
        (home / "tidegate.toml").write_text("")
        key = make_key(home, variables(home))
        with serving(home, provider, extra, TIDEGATE_LABELS_KEY=key) as (url, environ):
            until_sampling(url)
            ask(url, key, STORY)
            until_labelled(home, 1)
            tidegate("ledger", "seal", environ=environ)
    connection = Ledger.open(home / "ledger").connect()
    labelled = connection.execute(
        "SELECT app, labels.language, labels.task_tags[1].path, labeller "
        "FROM rows LEFT JOIN labels USING (generation_id) ORDER BY rows.generation_id"
    ).fetchall()
    connection.close()
    assert labelled == [
        (None, "en", "/Games/Roleplaying Games", "model:acme/judge"),
        (LABELLER_APP, None, None, None),
    ]


def test_unsealed_labels_are_in_the_journal_only(home):
    """A label in the journal holds paths, a tag and numbers."""
    with FakeProvider() as provider, serving(home, provider, OPTED_IN) as (url, environ):
        key = make_key(home, environ)
        until_sampling(url)
        ask(url, key, CODE)
        until_labelled(home, 1)
        items = [item for path in journal_files(home / "ledger" / "journal") for item in read_journal(path)]
        (label,) = [item.label for item in items if isinstance(item, Labelled)]
        assert holding(home, WORDS) == []
    assert label.language == "zh-Hans" and label.task_tags and label.tag_sample_weight == 1
