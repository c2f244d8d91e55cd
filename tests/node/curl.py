"""One request to a fixed address: `curl.py URL METHOD ADDRESS AUTHORITY HEADERS` prints status and body."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
from urllib.parse import urlsplit

SECONDS = 10.0


def main() -> None:
    url, method, address, authority, headers = sys.argv[1:]
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, 443 if secure else 80, timeout=SECONDS)
    plain = socket.create_connection((address, connection.port), SECONDS)
    context = ssl.create_default_context(cafile=authority)
    connection.sock = context.wrap_socket(plain, server_hostname=host) if secure else plain
    fixed = {"Host": host, **json.loads(headers)}
    connection.request(method, parts.path, b"x" if method == "POST" else None, fixed)
    response = connection.getresponse()
    print(response.status, response.getheader("Location") or response.read().decode(), end="")
    connection.close()


if __name__ == "__main__":
    main()
