"""nginx twice: as the provider that answers every call, and as the peer that forwards and does nothing else.

The provider reads the whole body before it answers: `return` alone would answer first and discard the body, which no
real provider does. `mirror` with a request body reads it; the static handler then refuses POST, and that 405 becomes
the fixed reply. `stub_status`, on a port of its own, counts the calls that arrived, which is what CPU is divided by.
"""

import os
import pwd
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from harness.bodies import REPLY
from harness.place import Certificates, Place
from harness.process import Child, free_port
from harness.record import BenchError

KEEPALIVE_REQUESTS = 100_000_000
CONNECTIONS = 8192  # nginx sets memory aside for each of these

HEAD = """
{user}worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
worker_rlimit_nofile 20000; events {{ worker_connections {connections}; }}
http {{
  access_log off; server_tokens off; keepalive_requests {requests}; keepalive_timeout 300s;
  client_max_body_size 64m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
"""

PROVIDER = """
  server {{
    listen 127.0.0.1:{port}{ssl} backlog=4096; root {folder};{certificate}
    location = /v1/chat/completions {{
      mirror /read; mirror_request_body on; error_page 405 =200 @reply; try_files /nginx.conf =404;
    }}
    location = /read {{ internal; return 204; }}
    location @reply {{ default_type application/json; return 200 '{reply}'; }}
  }}
  server {{ listen 127.0.0.1:{status_port}; location = /status {{ stub_status; }} }}
}}
"""

PEER = """
  upstream provider {{
    server 127.0.0.1:{provider_port}; keepalive 512; keepalive_requests {requests}; keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass {scheme}://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 300s;{tls}
    }}
  }}
}}
"""

PEER_TLS = """
      proxy_ssl_protocols TLSv1.3; proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca_file};
      proxy_ssl_name localhost; proxy_ssl_server_name on;"""


def nginx_binary() -> str:
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise BenchError("nginx is not installed; it is provider and floor here. Debian: apt-get install nginx wrk")
    return found


def nginx_version() -> str:
    said = subprocess.run([nginx_binary(), "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2]


def _head(folder: Path, connections: int = CONNECTIONS) -> str:
    """As root, the worker stays root: it must read a folder that is closed to others."""
    user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
    return HEAD.format(user=user, folder=folder, requests=KEEPALIVE_REQUESTS, connections=connections)


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
    """A provider that reads each request and returns REPLY; over TLS where it is given certificates."""

    def __init__(self, folder: Path, cpus: set[int], certificates: Certificates | None = None) -> None:
        self._status_port = free_port()
        self.place = Place(free_port(), certificates.ca_file if certificates else None)
        chain = certificates.chain_file if certificates else ""
        text = _head(folder) + PROVIDER.format(
            port=self.place.port,
            status_port=self._status_port,
            folder=folder,
            reply=REPLY.decode(),
            ssl=" ssl" if chain else "",
            certificate=f" ssl_protocols TLSv1.3; ssl_certificate {chain}; ssl_certificate_key {chain};"
            if chain
            else "",
        )
        self._child = _start(folder, text, self._status_port, cpus)
        self._looks = 0

    def calls(self) -> int:
        """Calls that have arrived since the start, these looks apart."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._status_port}/status", timeout=5) as reply:
            seen = re.search(r"handled requests\s+\d+ \d+ (\d+)", reply.read().decode())
        if not seen:
            raise BenchError("the provider's stub_status could not be read; is this nginx built with it?")
        self._looks += 1
        return int(seen[1]) - self._looks

    def stop(self) -> None:
        self._child.stop()


def start_peer(folder: Path, provider: Place, cpus: set[int], connections: int = CONNECTIONS) -> tuple[Child, int]:
    """nginx `proxy_pass` in front of the provider, over kept-alive connections; returns the child and its port."""
    port = free_port()
    text = _head(folder, connections) + PEER.format(
        port=port,
        provider_port=provider.port,
        scheme="https" if provider.ca_file else "http",
        tls=PEER_TLS.format(ca_file=provider.ca_file) if provider.ca_file else "",
        requests=KEEPALIVE_REQUESTS,
    )
    return _start(folder, text, port, cpus), port
