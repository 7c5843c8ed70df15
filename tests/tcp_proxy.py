"""A TCP proxy that does what networks do: delay, drip, swallow, cut in half, reset.

    client ──▶ [ up: server-bound ] ──▶ server
           ◀── [ down: client-bound ] ◀──

Each direction has its own weather, and it may change at any moment: what is on its way is held, and goes on when the weather
clears, as with packets that are sent again. So a black hole is not a loss of bytes in the middle of a stream, which TCP does
not know; it is silence. Nobody is told of it: the proxy's kernel acknowledges what is sent to it, so that only whoever has a
bound of its own comes back from it. For a peer whose kernel is silent too, use a firewall.

    async with TcpProxy.before(server.url) as proxy:
        store = await PostgresStore.open(proxy.url_of(server.url))
        proxy.down.is_black_hole = True        # requests arrive, replies do not
        …
        proxy.clear()
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 65_536
_HELD_BYTES_MAX = 1 << 20
"""What one direction of one link holds: beyond it the sender's own buffers fill, as with a receiver that does not read."""

_DRIP_S = 0.01


@dataclass
class Weather:
    """What happens to one direction, of all links.

    Attributes:
        latency_s: Each piece arrives so much later.
        bytes_per_s: How many go through; ``None`` for all.
        is_black_hole: Nothing goes through, nobody is told.
    """

    latency_s: float = 0.0
    bytes_per_s: float | None = None
    is_black_hole: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        changed = self.__dict__.get("changed")
        if changed is not None:
            # Whoever waits for better weather looks again; the next wait needs an event of its own.
            changed.set()
            self.__dict__["changed"] = asyncio.Event()

    def clear(self) -> None:
        """Let everything through, at once."""
        self.latency_s, self.bytes_per_s, self.is_black_hole = 0.0, None, False


class TcpProxy:
    """Stands between clients and one server, on a free port of this machine.

    Args:
        host: The server's host.
        port: The server's port.

    Attributes:
        up: The weather from clients to the server.
        down: The weather from the server to clients.
        accepted: How many connections have been made to the proxy so far.
        refuses: New connections are reset at once, as by a host on which nobody listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self.up = Weather()
        self.down = Weather()
        self.accepted = 0
        self.refuses = False
        self._host = host
        self._server_port = port
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()

    @classmethod
    def before(cls, url: str) -> Self:
        """Return a proxy before the server of a URL."""
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 5432)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        await asyncio.gather(*(link.end() for link in list(self._links)))

    @property
    def port(self) -> int:
        """Where clients connect."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def links(self) -> int:
        """How many connections there are now."""
        return len(self._links)

    def url_of(self, url: str) -> str:
        """Return a server's URL with the proxy in between."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(
            parts._replace(netloc=f"{login}@127.0.0.1:{self.port}" if login else f"127.0.0.1:{self.port}")
        )

    def black_hole(self) -> None:
        """Swallow everything, in both directions."""
        self.up.is_black_hole = self.down.is_black_hole = True

    def clear(self) -> None:
        """Let everything through, at once, and new connections in."""
        self.up.clear()
        self.down.clear()
        self.refuses = False

    def reset(self) -> None:
        """Cut all links, so that both ends are told at once."""
        for link in list(self._links):
            link.reset()

    def half_close(self, *, up: bool) -> None:
        """End one direction of all links in good order; the other goes on.

        Args:
            up: The server sees the end; else the clients do.
        """
        for link in list(self._links):
            link.half_close(up=up)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refuses:
            _reset(writer)
            return
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run(self._host, self._server_port)
        finally:
            self._links.discard(link)


class _Link:
    """One client's connection and its counterpart to the server."""

    def __init__(self, proxy: TcpProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._task = asyncio.current_task()

    async def run(self, host: str, port: int) -> None:
        """Carry bytes both ways until both directions have ended, or one has been cut."""
        client, weather = self._client, self._proxy
        try:
            while weather.up.is_black_hole:
                await weather.up.changed.wait()
            self._server = server = await asyncio.open_connection(host, port, limit=_CHUNK_BYTES)
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(client[0], server[1], weather.up))
                both.create_task(_carry(server[0], client[1], weather.down))
        except (OSError, ExceptionGroup):
            self.reset()
        except asyncio.CancelledError:
            self.reset()
        finally:
            for end in (client, self._server):
                if end is not None:
                    end[1].close()

    def reset(self) -> None:
        """Cut it: what is on its way is lost, and both ends are told at once."""
        for end in (self._client, self._server):
            if end is not None:
                _reset(end[1])

    def half_close(self, *, up: bool) -> None:
        """End one direction in good order."""
        end = self._server if up else self._client
        if end is not None and end[1].can_write_eof():
            with suppress(OSError):
                end[1].write_eof()

    async def end(self) -> None:
        """Cut it and wait until that is done."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, weather: Weather) -> None:
    """Carry one direction: read as it comes, write as the weather allows."""
    pipe = _Pipe()
    async with asyncio.TaskGroup() as both:
        both.create_task(_fill(source, pipe, weather))
        both.create_task(_empty(pipe, target, weather))


class _Pipe:
    """Pieces on their way, each with the time at which it arrives; an empty piece is the end."""

    def __init__(self) -> None:
        self.pieces: deque[tuple[float, bytes]] = deque()
        self.held_bytes = 0
        self.news = asyncio.Event()


async def _fill(source: asyncio.StreamReader, pipe: _Pipe, weather: Weather) -> None:
    now = asyncio.get_running_loop().time
    while True:
        piece = await source.read(_CHUNK_BYTES)
        pipe.pieces.append((now() + weather.latency_s, piece))
        pipe.held_bytes += len(piece)
        pipe.news.set()
        if not piece:
            return
        while pipe.held_bytes > _HELD_BYTES_MAX:
            pipe.news.clear()
            await pipe.news.wait()


async def _empty(pipe: _Pipe, target: asyncio.StreamWriter, weather: Weather) -> None:
    now = asyncio.get_running_loop().time
    while True:
        while not pipe.pieces:
            pipe.news.clear()
            await pipe.news.wait()
        arrives_at, piece = pipe.pieces[0]
        await asyncio.sleep(max(0.0, arrives_at - now()))
        while weather.is_black_hole:
            await weather.changed.wait()
        if not piece:
            if target.can_write_eof():
                target.write_eof()
            return
        await _write(piece, target, weather)
        pipe.pieces.popleft()
        pipe.held_bytes -= len(piece)
        pipe.news.set()


async def _write(piece: bytes, target: asyncio.StreamWriter, weather: Weather) -> None:
    """Write a piece, in drips if the weather says so; it may change its mind on the way."""
    while piece:
        while weather.is_black_hole:
            await weather.changed.wait()
        size = len(piece)
        if weather.bytes_per_s is not None:
            size = max(1, int(weather.bytes_per_s * _DRIP_S))
        target.write(piece[:size])
        await target.drain()
        piece = piece[size:]
        if weather.bytes_per_s is not None:
            await asyncio.sleep(size / weather.bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset and not in good order: so a machine that has just been started answers."""
    end: socket.socket | None = writer.get_extra_info("socket")
    if end is not None:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
