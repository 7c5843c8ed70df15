"""The proxy itself: a test of a fault must not pass because the fault did not happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.tcp_proxy import TcpProxy

SHORT_S = 0.05
PATIENCE_S = 20.0


class Echo:
    """A server that sends back what it gets, and counts it."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ends = 0
        self.news = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                self.received += piece
                self.news.set()
                writer.write(piece)
            self.ends += 1
        except ConnectionError:
            pass
        finally:
            self.news.set()
            writer.close()


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def _proxied() -> AsyncIterator[tuple[TcpProxy, Echo, Line]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        line = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            yield proxy, echo, line
        finally:
            line[1].close()
            server.close()


async def _read(line: Line, size: int) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await line[0].readexactly(size)


async def _is_silent(line: Line) -> bool:
    try:
        await asyncio.wait_for(line[0].read(1), SHORT_S)
    except TimeoutError:
        return True
    return False


async def test_in_clear_weather_everything_goes_through() -> None:
    async with _proxied() as (proxy, _, line):
        sent = bytes(range(256)) * 8_192
        line[1].write(sent)

        assert await _read(line, len(sent)) == sent
        assert (proxy.accepted, proxy.links) == (1, 1)


async def test_a_black_hole_holds_what_it_swallows() -> None:
    async with _proxied() as (proxy, echo, line):
        proxy.black_hole()
        line[1].write(b"anybody?")
        silent = await _is_silent(line)
        unheard = not echo.received
        proxy.clear()

        assert silent
        assert unheard
        assert await _read(line, 8) == b"anybody?"


async def test_one_direction_can_be_black_alone() -> None:
    async with _proxied() as (proxy, echo, line):
        proxy.down.is_black_hole = True
        line[1].write(b"order")
        async with asyncio.timeout(PATIENCE_S):
            await echo.news.wait()

        assert bytes(echo.received) == b"order"
        assert await _is_silent(line)
        proxy.clear()
        assert await _read(line, 5) == b"order"


async def test_a_connection_made_in_a_black_hole_is_accepted_and_not_answered() -> None:
    async with _proxied() as (proxy, _, _line):
        proxy.black_hole()
        late = await asyncio.open_connection("127.0.0.1", proxy.port)
        late[1].write(b"x")
        silent = await _is_silent(late)
        proxy.clear()

        assert silent
        assert await _read(late, 1) == b"x"
        late[1].close()


async def test_latency_is_added_each_way_and_does_not_add_up() -> None:
    async with _proxied() as (proxy, _, line):
        proxy.up.latency_s = proxy.down.latency_s = 0.05
        now = asyncio.get_running_loop().time
        for _ in range(800):
            line[1].write(b"x")
            await asyncio.sleep(0.001)
        began = now()
        line[1].write(b"x")
        # One after the other they would take forty seconds each way, which nobody waits for here.
        await _read(line, 801)

        assert now() - began >= 0.1


async def test_dripping_takes_its_time() -> None:
    async with _proxied() as (proxy, _, line):
        proxy.down.bytes_per_s = 10_000
        now = asyncio.get_running_loop().time
        began = now()
        line[1].write(bytes(2_000))
        await _read(line, 2_000)

        assert now() - began >= 0.15


async def test_a_reset_is_told_to_both_ends() -> None:
    async with _proxied() as (proxy, echo, line):
        line[1].write(b"x")
        await _read(line, 1)
        echo.news.clear()
        proxy.reset()

        with pytest.raises(ConnectionResetError):
            await _read(line, 1)
        async with asyncio.timeout(PATIENCE_S):
            await echo.news.wait()
        assert echo.ends == 0


async def test_half_closed_the_other_half_goes_on() -> None:
    async with _proxied() as (proxy, echo, line):
        proxy.down.is_black_hole = True
        line[1].write(b"last words")
        async with asyncio.timeout(PATIENCE_S):
            await echo.news.wait()
        proxy.half_close(up=True)
        proxy.clear()

        assert await _read(line, 10) == b"last words"
        async with asyncio.timeout(PATIENCE_S):
            assert await line[0].read(1) == b""
        assert echo.ends == 1


async def test_who_refuses_lets_nobody_new_in() -> None:
    async with _proxied() as (proxy, _, line):
        line[1].write(b"x")
        await _read(line, 1)
        proxy.refuses = True
        late = await asyncio.open_connection("127.0.0.1", proxy.port)

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await _read(late, 1)
        line[1].write(b"y")
        assert await _read(line, 1) == b"y"
        late[1].close()


async def test_a_url_keeps_its_rest() -> None:
    async with _proxied() as (proxy, _, _line):
        assert (
            proxy.url_of("postgresql://cook:secret@db:5432/shop?x=1")
            == f"postgresql://cook:secret@127.0.0.1:{proxy.port}/shop?x=1"
        )
