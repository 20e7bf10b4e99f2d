#!/usr/bin/env python3
"""A service that many may call at once.

PORT            where it listens (127.0.0.1)

GET /           "here"
GET /large?N    N bytes, as fast as they are taken
GET /slow?S     "here", after S seconds
"""
import asyncio, os, resource

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
BLOCK = bytes(1 << 20)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path, _, query = head.split(" ")[1].partition("?")
            if path == "/slow":
                await asyncio.sleep(float(query))
            length = int(query) if path == "/large" else 4
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode())
            if path != "/large":
                writer.write(b"here")
                length = 0
            while length:
                piece = BLOCK[: min(length, len(BLOCK))]
                writer.write(piece)
                length -= len(piece)
                await writer.drain()
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]), backlog=4096)
    async with server:
        await server.serve_forever()


asyncio.run(main())
