"""A py-libp2p host, and the protocols that py-libp2p lacks."""

import contextlib
import struct

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.peerinfo import info_from_p2p_addr

PING, PERF, IDENTIFY = "/ipfs/ping/1.0.0", "/perf/1.0.0", "/ipfs/id/1.0.0"
LOOPBACK = multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")


@contextlib.asynccontextmanager
async def py_host(protocols=()):
    """A host that listens and serves perf; `protocols` are further names for identify."""
    host = new_host(key_pair=create_new_key_pair(), disable_identify_address_discovery=True)
    host.set_stream_handler(PERF, serve_perf)
    for name in protocols:
        host.set_stream_handler(name, close)
    async with host.run(listen_addrs=[LOOPBACK]):
        host.address = str(host.get_addrs()[0])
        yield host


async def close(stream):
    await stream.close()


async def connect(host, address):
    info = info_from_p2p_addr(multiaddr.Multiaddr(address))
    await host.connect(info)
    return info.peer_id


async def read_some(stream, count=65536):
    """Reads up to `count` bytes; none at the end of the stream."""
    try:
        return await stream.read(count) or b""
    except StreamEOF:
        return b""


async def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        part = await read_some(stream, count - len(data))
        assert part, f"the stream ended after {len(data)} of {count} bytes"
        data += part
    return data


async def read_to_end(stream):
    data = b""
    while part := await read_some(stream):
        data += part
    return data


async def count_to_end(stream):
    count = 0
    while part := await read_some(stream):
        count += len(part)
    return count


async def send_zeros(stream, count):
    chunk = bytes(65536)
    while count > 0:
        size = min(count, len(chunk))
        await stream.write(chunk[:size])
        count -= size


async def serve_perf(stream):
    """The responder's side of the libp2p perf specification."""
    wanted = struct.unpack(">Q", await read_exactly(stream, 8))[0]
    await count_to_end(stream)
    await send_zeros(stream, wanted)
    await stream.close()


async def perf(host, peer, upload, download):
    """The initiator's side. Returns the number of bytes received."""
    stream = await host.new_stream(peer, [PERF])
    await stream.write(struct.pack(">Q", download))
    await send_zeros(stream, upload)
    await stream.close_write()
    return await count_to_end(stream)


async def ping(stream):
    payload = trio.current_time().hex().encode().ljust(32, b".")[:32]
    await stream.write(payload)
    assert await read_exactly(stream, 32) == payload, "another ping came back than was sent"


async def serve_pings(stream):
    while part := await read_some(stream):
        await stream.write(part)
    await stream.close()
