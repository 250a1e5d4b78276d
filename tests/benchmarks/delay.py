"""A connection to a server that takes longer, as to one in another city."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def delayed(to: int | str, seconds: float) -> Iterator[int]:
    """Pass on what is sent to another port and back, each so many seconds later.

    Parameters
    ----------
    to
        The port, or the path of a Unix socket.
    seconds
        The delay of each direction.

    Yields
    ------
    int
        The port to connect to instead.
    """
    loop = asyncio.new_event_loop()
    writers: list[asyncio.StreamWriter] = []

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                # Not a pause: what follows is not held up by it.
                loop.call_later(seconds, writer.write, data)
        except OSError:
            pass
        finally:
            loop.call_later(seconds, writer.close)

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(to, int):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", to)
        else:
            to_reader, to_writer = await asyncio.open_unix_connection(to)
        writers.extend((writer, to_writer))
        await asyncio.gather(passed_on(reader, to_writer), passed_on(to_reader, writer))

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(joined, "127.0.0.1", 0)

    async def end(server: asyncio.Server) -> None:
        server.close()
        for writer in writers:
            # Readers of it end.
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
