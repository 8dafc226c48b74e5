"""nginx twice: as the provider that answers every call, and as the peer that forwards and does nothing else.

The provider reads the whole body before it answers: `return` alone would answer first and discard the body, which no
real provider does. `mirror` with a request body reads it; the static handler then refuses POST, and that 405 becomes
the fixed reply. `stub_status` counts the calls that arrived, which is what CPU is divided by.
"""

import os
import pwd
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from harness.bodies import REPLY
from harness.process import Child, free_port
from harness.record import BenchError

KEEPALIVE_REQUESTS = 100_000_000

HEAD = """
{user}worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; server_tokens off; keepalive_requests {requests}; keepalive_timeout 300s;
  client_max_body_size 64m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
"""

PROVIDER = """
  server {{
    listen 127.0.0.1:{port} backlog=4096; root {folder};
    location = /status {{ stub_status; }}
    location = /v1/chat/completions {{
      mirror /read; mirror_request_body on; error_page 405 =200 @reply; try_files /nginx.conf =404;
    }}
    location = /read {{ internal; return 204; }}
    location @reply {{ default_type application/json; return 200 '{reply}'; }}
  }}
}}
"""

PEER = """
  upstream provider {{
    server 127.0.0.1:{provider_port}; keepalive 512; keepalive_requests {requests}; keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 300s;
    }}
  }}
}}
"""


def nginx_binary() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise BenchError("nginx is not installed; it is provider and floor here. Debian: apt-get install nginx wrk")
    return found


def nginx_version() -> str:
    said = subprocess.run([nginx_binary(), "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2]


def _head(folder: Path) -> str:
    """As root, the worker stays root: it must read a folder that is closed to others."""
    user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
    return HEAD.format(user=user, folder=folder, requests=KEEPALIVE_REQUESTS)


def _start(folder: Path, text: str, port: int, cpus: set[int]) -> Child:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    command = [nginx_binary(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    child = Child(command, folder / "log", cpus=cpus)
    try:
        child.wait_for_port(port)
    except BenchError:
        child.stop()
        raise
    return child


class NginxProvider:
    """A provider that reads each request and returns REPLY."""

    def __init__(self, folder: Path, cpus: set[int]) -> None:
        self.port = free_port()
        text = _head(folder) + PROVIDER.format(port=self.port, folder=folder, reply=REPLY.decode())
        self._child = _start(folder, text, self.port, cpus)
        self._looks = 0

    def calls(self) -> int:
        """Calls that have arrived since the start, these looks apart."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=5) as reply:
            seen = re.search(r"handled requests\s+\d+ \d+ (\d+)", reply.read().decode())
        if not seen:
            raise BenchError("the provider's stub_status could not be read; is this nginx built with it?")
        self._looks += 1
        return int(seen[1]) - self._looks

    def stop(self) -> None:
        self._child.stop()


def start_peer(folder: Path, provider_port: int, cpus: set[int]) -> tuple[Child, int]:
    """nginx `proxy_pass` in front of the provider; returns the child and its port."""
    port = free_port()
    text = _head(folder) + PEER.format(port=port, provider_port=provider_port, requests=KEEPALIVE_REQUESTS)
    return _start(folder, text, port, cpus), port
