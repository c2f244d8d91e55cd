"""A wire between a client and a server, which can be cut as networks are."""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

from lab.replication.mariadb import LOOPBACK, free_port

How = Literal["refused", "silent", "one-way"]
_LOOK_SECONDS = 0.02


@dataclass
class _Line:
    """One connection: what one end has said and the other has not been given yet."""

    client: socket.socket
    server: socket.socket
    to_server: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)
    client_left: bool = False
    server_left: bool = False

    def hear(self, readable: list[socket.socket]) -> None:
        """Takes what was said."""
        if self.client in readable:
            self.client_left = not self._take(self.client, self.to_server)
        if self.server in readable:
            self.server_left = not self._take(self.server, self.to_client)

    @staticmethod
    def _take(end: socket.socket, into: bytearray) -> bool:
        try:
            piece = end.recv(65536)
        except OSError:
            return False
        into += piece
        return bool(piece)

    def carry(self, how: How | None) -> bool:
        """Hands on what the wire lets through. Whether the connection goes on."""
        forth, back = how in (None, "one-way"), how is None
        if forth:
            self._give(self.server, self.to_server)
        if back:
            self._give(self.client, self.to_client)
        # an end that has gone is heard of once the wire carries that again
        return not ((self.client_left and forth) or (self.server_left and back))

    @staticmethod
    def _give(end: socket.socket, what: bytearray) -> None:
        with suppress(OSError):
            end.sendall(bytes(what))
        what.clear()

    def open_ends(self) -> list[socket.socket]:
        """Those that may still say something."""
        ends = [(self.client, self.client_left), (self.server, self.server_left)]
        return [end for end, left in ends if not left]

    def close(self, *, reset: bool = False) -> None:
        """Ends both ends; `reset`: at once, as of a connection that nobody knows."""
        for end in (self.client, self.server):
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()


class Wire:
    """Leads from a port of its own to a server's, on loopback.

    Cut with `silent`, what is sent arrives when it is mended, as what TCP sends again does; with `one-way` it
    arrives at once, and the answers do not; with `refused` connections end, and new ones are turned away.
    """

    def __init__(self, port: int) -> None:
        """`port`: the server's."""
        self.port = free_port()
        """Where it begins."""
        self._server = port
        self._how: How | None = None
        self._lines: list[_Line] = []
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._wanted = self._done = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._listener: socket.socket | None = self._listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def cut(self, how: How) -> None:
        """Nothing is carried, or in one direction only, until it is mended."""
        self._set(how)

    def mend(self) -> None:
        """It carries again."""
        self._set(None)

    def _set(self, how: How | None) -> None:
        with self._changed:
            self._how = how
            self._wanted += 1
            number = self._wanted
            self._changed.wait_for(lambda: self._done >= number)

    def _listen(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self.port))
        listener.listen(64)
        return listener

    def _run(self) -> None:
        while not self._ended.is_set():
            self._turn()
            ends = [end for line in self._lines for end in line.open_ends()]
            listening = [self._listener] if self._listener else []
            readable, _, _ = select.select([*listening, *ends], [], [], _LOOK_SECONDS)
            if self._listener in readable:
                self._accept()
            for line in list(self._lines):
                line.hear(readable)
                if not line.carry(self._how):
                    line.close()
                    self._lines.remove(line)
        for line in self._lines:
            line.close(reset=True)
        if self._listener:
            self._listener.close()

    def _turn(self) -> None:
        """Cuts or mends it, if that was asked for."""
        with self._changed:
            if self._how == "refused" and self._listener:
                self._listener.close()
                self._listener = None
                for line in self._lines:
                    line.close(reset=True)
                self._lines.clear()
            elif self._how != "refused" and not self._listener:
                self._listener = self._listen()
            self._done = self._wanted
            self._changed.notify_all()

    def _accept(self) -> None:
        if self._listener is None:
            return
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection((LOOPBACK, self._server), timeout=5.0)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines.append(_Line(client, server))
