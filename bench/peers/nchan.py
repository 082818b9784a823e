"""nginx with nchan: a publisher posts each line of the command to a channel in memory."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from bench.audience import Feed
from bench.peers.programs import find
from bench.processes import first_child, free_port, module, started, wait_listening
from bench.server import request_for

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_CONFIG = """
load_module {module};
{user}
daemon off;
pid {folder}/pid;
error_log stderr error;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 1024M;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    root {folder};
    location = /publish {{
      nchan_publisher;
      nchan_channel_id lines;
      nchan_message_buffer_length 200000;
    }}
    location = /stream {{
      nchan_subscriber eventsource;
      nchan_channel_id lines;
      nchan_eventsource_ping_interval 15;
    }}
  }}
}}
"""


def lacks() -> str:
    """Say what must be installed."""
    if find("nginx") is None:
        return "nginx"
    return "" if MODULE.exists() else "libnginx-mod-nchan"


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Run nginx; gives the process id of its one worker, its port, and the folder it serves."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nginx-", dir=folder) as place:
        config = Path(place, "nginx.conf")
        user = "user root;" if os.geteuid() == 0 else ""  # others may not enter the folder
        config.write_text(_CONFIG.format(module=MODULE, user=user, folder=place, port=port))
        command = [str(find("nginx")), "-c", str(config), "-p", place, "-e", "stderr"]
        with started(command) as process:
            wait_listening(port)
            worker: psutil.Process = first_child(process.pid)
            yield worker.pid, port, Path(place)


@contextlib.contextmanager
def feed(folder: Path, command: Sequence[str]) -> Iterator[Feed]:
    """Publish what the command prints; the publisher's own cost is not counted."""
    with nginx(folder) as (pid, port, _):
        where = ("127.0.0.1", port)
        with started(module("peers.publish", "nchan", str(port), *command)):
            request = request_for("/stream", where).decode()
            yield Feed((pid,), where, [[(request, "\r\n\r\n")]])
