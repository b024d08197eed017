"""A broadcast with the Python package websockets, for comparison: `websockets_broadcast.py MESSAGE_FILE INTERVAL`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main(message: str, interval: float) -> None:
    """Serve forever and broadcast the message every `interval` seconds."""
    clients: set[ServerConnection] = set()

    async def stay(client: ServerConnection) -> None:
        clients.add(client)
        try:
            await client.wait_closed()
        finally:
            clients.discard(client)

    loop = asyncio.get_running_loop()
    async with serve(stay, "127.0.0.1", 0, compression=None, backlog=4096) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}", flush=True)
        next_at = loop.time()
        while True:
            next_at += interval
            await asyncio.sleep(next_at - loop.time())
            broadcast(clients, message)


asyncio.run(main(Path(sys.argv[1]).read_text(encoding="utf-8"), float(sys.argv[2])))
