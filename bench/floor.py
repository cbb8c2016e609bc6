"""What one connection's latency is made of before anyone adds to it: nginx in the gateway's place.

A proxy on another core costs two wake-ups of that core, a hundred microseconds and more on a virtual machine, however
little it does. What a gateway adds is what comes on top.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream mock {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def is_there() -> bool:
    return shutil.which("nginx") is not None


@contextmanager
def nginx(folder: Path, port: int, upstream: int, core: int) -> Iterator[None]:
    """nginx on `core`, from `port` to the mock, until the end of the block."""
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream))
    running = subprocess.Popen(
        ["taskset", "-c", str(core), "nginx", "-c", str(config), "-e", str(folder / "nginx.log")]
    )
    try:
        yield
    finally:
        running.terminate()
        running.wait(20)
