"""nginx with a fixed configuration and a routing table that can be changed at any moment."""

from __future__ import annotations

import asyncio
import logging
import resource
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from lab.kubernetes.certificates import Authority, write_private

log = logging.getLogger(__name__)

CONTROL_PORT = 10246  # on the loopback of the cluster's host, where the community's controller has it too
_CONTROL_SECONDS = 10.0
_START_SECONDS = 20.0
_STOP_SECONDS = 4.0
_MOST_CONNECTIONS = 16384
_MODULE_FOLDERS = ("/usr/lib/nginx/modules", "/usr/share/nginx/modules")
_ROUTER = Path(__file__).with_name("router.lua")


class NginxError(Exception):
    """nginx could not be started, or did not take a table."""


def configuration(
    listen: Sequence[str], folder: Path, modules: Path, connections: int, access_log: Path
) -> str:
    """The text of nginx.conf."""
    plain = "\n".join(f"        listen {address}:80 default_server;" for address in listen)
    secure = "\n".join(f"        listen {address}:443 ssl http2 default_server;" for address in listen)
    log_fields = {
        "time": '"$time_iso8601"',
        "moment": "$msec",
        "host": '"$host"',
        "method": '"$request_method"',
        "path": '"$uri"',
        "status": "$status",
        "service": '"$service"',
        "upstream": '"$upstream_addr"',
        "upstream_status": '"$upstream_status"',
        "client": '"$remote_addr"',
        "agent": '"$http_user_agent"',
        "seconds": "$request_time",
    }
    json_line = "{" + ",".join(f'"{name}":{value}' for name, value in log_fields.items()) + "}"
    return f"""\
daemon off;
user root;
# one worker: it alone holds the routing table and the turns, and serves far more than a lab asks for
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{ worker_connections {connections}; }}
http {{
    init_worker_by_lua_block {{
        router = dofile("{_ROUTER}")
        local done, problem = router.load("{folder}/routes.lua")
        if not done then ngx.log(ngx.ERR, problem) end
    }}
    log_format requests escape=json '{json_line}';
    access_log {access_log} requests;
    server_tokens off;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    client_max_body_size 0;
    client_body_temp_path {folder}/temporary/body;
    proxy_temp_path {folder}/temporary/proxy;
    fastcgi_temp_path {folder}/temporary/fastcgi;
    uwsgi_temp_path {folder}/temporary/uwsgi;
    scgi_temp_path {folder}/temporary/scgi;
    ssl_certificate {folder}/default.pem;
    ssl_certificate_key {folder}/default.pem;
    ssl_certificate_by_lua_block {{ router.certificate() }}
    ssl_session_cache shared:tls:10m;
    ssl_protocols TLSv1.2 TLSv1.3;
    map $http_upgrade $connection_header {{
        default upgrade;
        "" "";
    }}
    upstream peers {{
        server 0.0.0.1;  # never asked: the next line decides
        balancer_by_lua_block {{ router.balance() }}
        keepalive 320;
        # below the shortest idle time of common servers (5 s), so that it is nginx that ends idle connections
        keepalive_timeout 4s;
        keepalive_requests 100000;
    }}
    server {{
{plain}
{secure}
        location / {{
            set $service "";
            set $upstream_scheme http;
            set $upstream_host $http_host;
            rewrite_by_lua_block {{ router.route() }}
            proxy_pass $upstream_scheme://peers;
            proxy_http_version 1.1;
            proxy_set_header Host $upstream_host;
            proxy_set_header Connection $connection_header;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header X-Request-ID $request_id;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_ssl_server_name on;
            proxy_ssl_name $upstream_host;
            # another peer after an error or a time-out; never once a POST has been sent (no non_idempotent)
            proxy_next_upstream error timeout;
            proxy_redirect off;
        }}
    }}
    server {{
        listen 127.0.0.1:{CONTROL_PORT};
        access_log off;
        location = /routes {{
            content_by_lua_block {{
                local done, problem = router.load("{folder}/routes.lua")
                if not done then
                    ngx.status = 500
                    ngx.say(problem)
                end
            }}
        }}
        location = /faults {{
            content_by_lua_block {{
                router.inject(ngx.req.get_uri_args())
                ngx.say("done")
            }}
        }}
    }}
}}
"""


def _connections() -> int:
    """How many connections a worker may have; it needs a descriptor for each, and some for files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return _MOST_CONNECTIONS if most == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, most - 256)


class Nginx:
    """One nginx and its files in `folder`."""

    def __init__(self, listen: Sequence[str], folder: Path, access_log: Path | None = None) -> None:
        """`access_log`: one JSON object a request; by default a file in the folder."""
        self._listen = listen
        self._access_log = access_log or folder / "access.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it with the table of `write_routes`; returns once it serves. Raises NginxError."""
        program = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
        found = [Path(f) for f in _MODULE_FOLDERS if Path(f, "ngx_http_lua_module.so").exists()]
        if program is None or not found:
            raise NginxError("the ingress needs the Debian packages nginx-light and libnginx-mod-http-lua")
        (self._folder / "temporary").mkdir(parents=True, exist_ok=True)
        fake = Authority("landfall lab default ingress certificate").server(
            "ingress.invalid", ["ingress.invalid"]
        )
        write_private(self._folder / "default.pem", fake.certificate + fake.key)
        path = self._folder / "nginx.conf"
        path.write_text(self._configuration(found[0]), encoding="utf-8")
        # a session of its own, so that a signal to our group does not end it before us; it ends with us
        argv = ["setpriv", "--pdeathsig", "TERM", program, "-c", str(path), "-e", "stderr"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._answers():
                    if self._process.poll() is not None:
                        raise NginxError(
                            f"nginx ended with code {self._process.returncode}; its log says why"
                        )
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise NginxError(f"nginx did not serve within {_START_SECONDS:.0f} s") from error

    def _configuration(self, modules: Path) -> str:
        return configuration(self._listen, self._folder, modules, _connections(), self._access_log)

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", CONTROL_PORT)
        except OSError:
            return False
        writer.close()
        return True

    def write_routes(self, text: str) -> None:
        """Put the table where nginx reads it."""
        fresh = self._folder / "routes.lua.new"
        fresh.write_text(f"return {text}\n", encoding="ascii")
        fresh.rename(self._folder / "routes.lua")

    async def take_routes(self) -> None:
        """Have nginx use the table from now on. Raises NginxError."""
        url = f"http://127.0.0.1:{CONTROL_PORT}/routes"
        limit = aiohttp.ClientTimeout(total=_CONTROL_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session, session.post(url) as response:
                if response.status != 200:
                    raise NginxError(f"nginx refused the routing table: {await response.text()}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NginxError(f"nginx does not answer on {url}: {error}") from error

    async def ended(self) -> int:
        """Wait for its end, which is a failure; its exit code."""
        process = self._process
        if process is None:
            raise NginxError("nginx was not started")
        return await asyncio.to_thread(process.wait)

    def stop(self) -> None:
        """Let it finish what it is serving, at most a few seconds."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
