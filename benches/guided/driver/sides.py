"""The old and the new service of the training."""

import asyncio
import threading
from contextlib import contextmanager

from .documents import compressed, document
from .wire import Head, chunked, read_body, read_head

# A path's last segment names the document; the one before it, where there is one, its size.
_SIZES = {"tiny": 120, "small": 1_000, "large": 12_000, "huge": 120_000}


@contextmanager
def sides():
    """Both sides, for as long as the block runs, on a thread of their own. Gives their ports as OLD and NEW."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sides", daemon=True)
    thread.start()
    try:
        servers = {name: asyncio.run_coroutine_threadsafe(_side(name == "NEW"), loop).result() for name in ("OLD", "NEW")}
        yield {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _side(new: bool) -> asyncio.AbstractServer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        try:
            while True:
                head = await read_head(reader)
                body = await read_body(reader, head)
                writer.write(_answer(head, body, new))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)


def _answer(head: Head, body: bytes, new: bool) -> bytes:
    method, target, _ = head.first.split(" ")
    path, _, query = target.partition("?")
    if "/failing/" in path and new:
        return b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
    if method in ("PUT", "PATCH", "DELETE"):
        return b"HTTP/1.1 204 No Content\r\ndate: Sun, 17 Mar 2024 08:30:00 GMT\r\n\r\n"
    if "gone" in query:
        return b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    if "if-none-match" in head.fields:
        return b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n'
    size = next((size for name, size in _SIZES.items() if name in query), _SIZES["small"])
    return _found(head, document(path + body[:64].decode("latin-1"), size, new), method, query)


def _found(head: Head, answer: bytes, method: str, query: str) -> bytes:
    fields = [
        b"HTTP/1.1 200 OK", b"server: training", b"date: Sun, 17 Mar 2024 08:30:00 GMT",
        b"content-type: application/json; charset=utf-8", b'etag: "1"', b"cache-control: max-age=60, private", b"vary: accept-encoding",
    ]
    if "zip" in query and "gzip" in head.fields.get("accept-encoding", ""):
        answer = compressed(answer)
        fields.append(b"content-encoding: gzip")
    if "chunked" in query:
        fields.append(b"transfer-encoding: chunked")
        answer = chunked(answer, 2_000)
    else:
        fields.append(b"content-length: %d" % len(answer))
    return b"\r\n".join(fields) + b"\r\n\r\n" + (b"" if method == "HEAD" else answer)
