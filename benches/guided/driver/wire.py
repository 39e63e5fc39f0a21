"""As much of HTTP/1.1 as the two ends of the training need."""

import asyncio


class Head:
    """A head as it was read: the first line, and the fields by their names in lower case."""

    def __init__(self, first: str, fields: "dict[str, str]"):
        self.first, self.fields = first, fields


async def read_head(reader: asyncio.StreamReader) -> Head:
    """A whole head; the end of the stream is an IncompleteReadError."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    return Head(first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)})


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """The body of a request, or of an answer that says where it ends."""
    if head.fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return body
    return await reader.readexactly(int(head.fields.get("content-length", "0")))


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of this size."""
    parts = [body[start:start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
