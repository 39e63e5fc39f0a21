"""The clients of the training: what they ask, and how often."""

import asyncio
import random

from driver.process import Failure

from .wire import chunked, read_body, read_head

_CLIENTS = 48
# An answer that takes longer than this is a hang of the program that is trained.
_PATIENCE = 30.0

_CURL = "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"
_SERVICE = (
    "User-Agent: okhttp/4.12.0\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n"
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo\r\n"
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-User: 4711\r\n"
)
_BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: theme=dark; sid=8f2c01; seen=1\r\n"
    "Referer: http://tags.example/contents\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nDNT: 1\r\nPragma: no-cache\r\n"
)
_GATEWAY = "User-Agent: gateway\r\nAccept: */*\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nForwarded: for=10.1.2.3\r\nVia: 1.1 edge\r\n"

# In a hundred requests: how many, method, path ({} is a name), and whether a body goes along.
_WORKS = (
    (34, "GET", "/contents/{}/tags", False),
    (10, "GET", "/contents/{}/tags?size=tiny", False),
    (8, "GET", "/contents/{}/tags?size=large", False),
    (6, "GET", "/other/{}/list?page=2", False),
    (5, "GET", "/files/a/b/{}?size=huge", False),
    (4, "GET", "/contents/{}/tags?chunked", False),
    (14, "GET", "/mirrored/{}", False),
    (1, "GET", "/mirrored/{}?size=large", False),
    (1, "GET", "/mirrored/{}?zip", False),
    (2, "GET", "/rules/{}", False),
    (1, "GET", "/mirrored/{}?gone", False),
    (3, "GET", "/failing/{}", False),
    (2, "HEAD", "/contents/{}/tags", False),
    (4, "POST", "/items/{}", True),
    (2, "PUT", "/items/{}", True),
    (1, "DELETE", "/items/{}", False),
    (2, "POST", "/search", True),
)


async def ask(port: int, requests: int):
    """Sends so many requests in all, and reads each answer to its end."""
    share = requests // _CLIENTS
    await asyncio.gather(*(_client(port, share, random.Random(f"client {number}")) for number in range(_CLIENTS)))


async def _client(port: int, requests: int, generator: random.Random):
    heads = (_CURL, _CURL, _SERVICE, _SERVICE, _BROWSER, _GATEWAY)
    left = requests
    while left > 0:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in range(min(left, generator.randrange(50, 500))):
            method, request = _request(generator, generator.choice(heads))
            writer.write(request)
            await asyncio.wait_for(_answered(reader, method), _PATIENCE)
            left -= 1
        writer.close()


def _request(generator: random.Random, fields: str) -> "tuple[str, bytes]":
    _, method, path, with_body = generator.choices(_WORKS, weights=[work[0] for work in _WORKS])[0]
    # Few names are asked for often, as in life.
    name = f"n{int(generator.paretovariate(0.7)) % 1500}"
    head = f"{method} {path.format(name)} HTTP/1.1\r\nHost: tags.example\r\n{fields}"
    if method == "GET" and generator.random() < 0.02:
        head += 'If-None-Match: "1"\r\n'
    if not with_body:
        return method, f"{head}\r\n".encode()
    body = b'{"query": "%s", "limit": 20, "fields": ["name", "tags"], "text": "%s"}' % (name.encode(), b"words " * generator.choice((1, 10, 2000)))
    head += "Content-Type: application/json\r\n"
    if generator.random() < 0.25:
        return method, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunked(body, 4_000)
    return method, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _answered(reader: asyncio.StreamReader, method: str):
    head = await read_head(reader)
    status = int(head.first.split(" ")[1])
    if status >= 500:
        raise Failure(f"the program that is trained has answered {head.first}")
    if method != "HEAD" and status not in (204, 304):
        await read_body(reader, head)
