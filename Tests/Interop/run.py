"""Interoperability with py-libp2p: every case between a py-libp2p host or a raw socket and real `apus` processes.

Usage: python run.py APUS-BINARY [WORD ...] runs the cases whose names contain all the words.
"""

import inspect
import logging
import sys
import tempfile
import time
import traceback

import multiaddr
import trio
from libp2p.host.exceptions import HostException
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.network.exceptions import SwarmException

import garbage
import gossip_cases
import node_cases
from apus import Apus
from py_host import IDENTIFY, PERF, PING, connect, perf, ping, py_host, read_to_end, serve_pings

CASE_LIMIT = 90  # seconds
VOLUME = 16 << 20  # bytes each way
STREAMS = 500
STRANGER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


# Cases where py-libp2p dials.

async def py_pings(address):
    async with py_host() as host:
        peer = await connect(host, address)
        stream = await host.new_stream(peer, [PING])
        for _ in range(3):
            await ping(stream)
        await stream.close()


async def py_identifies(address):
    async with py_host() as host:
        peer = await connect(host, address)
        data = await read_to_end(await host.new_stream(peer, [IDENTIFY]))
        size, start = 0, 0
        while True:
            size |= (data[start] & 0x7F) << (7 * start)
            start += 1
            if data[start - 1] < 0x80:
                break
        assert len(data) == start + size, "not one length-prefixed message"
        told = Identify.FromString(data[start:])
        assert told.agent_version.startswith("apus/"), told.agent_version
        assert {PING, PERF, IDENTIFY} <= set(told.protocols), list(told.protocols)
        assert peer.to_string() in address and told.public_key
        listens = [str(multiaddr.Multiaddr(data)) for data in told.listen_addrs]
        assert any(address.startswith(listen) for listen in listens), listens
        assert str(multiaddr.Multiaddr(told.observed_addr)).startswith("/ip4/127.0.0.1/tcp/")


async def py_uploads_and_downloads(address):
    async with py_host() as host:
        peer = await connect(host, address)
        assert await perf(host, peer, VOLUME, VOLUME) == VOLUME


async def py_opens_500_streams(address):
    async with py_host() as host:
        peer = await connect(host, address)
        for connection in host.get_network().get_connections(peer):
            # py-libp2p limits itself to 256 streams per connection.
            connection.muxed_conn.stream_backlog_semaphore = trio.Semaphore(STREAMS + 16)
        streams = []
        for _ in range(STREAMS):
            streams.append(await host.new_stream(peer, [PING]))
            await ping(streams[-1])
        for stream in streams:
            await ping(stream)
        for stream in streams:
            await stream.close()


async def py_refuses_wrong_peer(address):
    async with py_host() as host:
        try:
            await connect(host, address.rpartition("/")[0] + "/" + STRANGER)
        except (HostException, SwarmException):
            return
        raise AssertionError("connected to another peer than requested")


# Cases where Apus dials.

async def dialing(apus, arguments, *command):
    async with py_host() as host:
        command = [part if part != "ADDRESS" else host.address for part in command]
        return host, await trio.to_thread.run_sync(
            lambda: apus.run(*command, *arguments, check=False))


def succeeded(done):
    assert done.returncode == 0, done.stderr.strip()
    return done.stdout


async def apus_pings(apus, arguments):
    _, done = await dialing(apus, arguments, "ping", "ADDRESS", "--count", "3")
    assert "3 pings" in succeeded(done)


async def apus_identifies(apus, arguments):
    host, done = await dialing(apus, arguments, "identify", "ADDRESS")
    lines = succeeded(done)
    assert f"peer      {host.get_id()}\n" in lines and "agent     py-libp2p" in lines, lines
    assert f"protocol  {PERF}\n" in lines, lines


async def apus_identifies_who_answers_once(apus, arguments):
    """js-libp2p accepts one identify stream per connection."""
    asked = 0
    async with py_host() as host:
        answer = host.get_mux().handlers[IDENTIFY]

        async def once(stream):
            nonlocal asked
            asked += 1
            await (answer(stream) if asked == 1 else stream.reset())

        host.set_stream_handler(IDENTIFY, once)
        done = await trio.to_thread.run_sync(
            lambda: apus.run("identify", host.address, *arguments, check=False))
    assert f"protocol  {PERF}\n" in succeeded(done), done.stdout
    assert asked == 1, f"asked {asked} times"


async def apus_uploads_and_downloads(apus, arguments):
    _, done = await dialing(
        apus, arguments, "perf", "ADDRESS", "--upload", "16MiB", "--download", "16MiB")
    assert succeeded(done).count(f"{VOLUME} bytes") == 2, done.stdout


async def apus_opens_500_streams(apus, arguments):
    async with py_host() as host:
        # py-libp2p's own service accepts only two ping streams from a peer.
        host.set_stream_handler(PING, serve_pings)
        done = await trio.to_thread.run_sync(lambda: apus.run(
            "ping", host.address, "--count", "2", "--streams", str(STREAMS), *arguments, check=False))
    assert f"{2 * STREAMS} pings over {STREAMS} streams" in succeeded(done)


async def apus_refuses_wrong_peer(apus, arguments):
    async with py_host() as host:
        address = host.address.rpartition("/")[0] + "/" + STRANGER
        done = await trio.to_thread.run_sync(lambda: apus.run("ping", address, *arguments, check=False))
        assert done.returncode == 1 and f"expected peer {STRANGER}, found {host.get_id()}" in done.stderr, done


INBOUND = [
    ("py pings", py_pings), ("py identifies", py_identifies),
    ("py perf 16 MiB each way", py_uploads_and_downloads),
    ("py opens 500 streams", py_opens_500_streams),
    ("py refuses a wrong peer ID", py_refuses_wrong_peer),
]
OUTBOUND = [
    ("apus pings", apus_pings), ("apus identifies", apus_identifies),
    ("apus identifies a host that answers once", apus_identifies_who_answers_once),
    ("apus perf 16 MiB each way", apus_uploads_and_downloads),
    ("apus opens 500 streams", apus_opens_500_streams),
    ("apus refuses a wrong peer ID", apus_refuses_wrong_peer),
]


class Suite:
    def __init__(self, words):
        self.words = words
        self.passed = self.failed = 0

    def case(self, name, body, *arguments):
        """Runs one case, an async or plain function, and prints its result."""
        if not all(word in name for word in self.words):
            return
        start = time.monotonic()
        try:
            if inspect.iscoroutinefunction(body):
                async def bounded():
                    with trio.fail_after(CASE_LIMIT):
                        await body(*arguments)
                trio.run(bounded)
            else:
                body(*arguments)
        except BaseException as error:  # noqa: B036 - includes exception groups and py-libp2p's own exceptions
            if isinstance(error, KeyboardInterrupt):
                raise
            self.failed += 1
            print(f"FAILED  {name}", flush=True)
            traceback.print_exception(error)
        else:
            self.passed += 1
            print(f"passed  {name} ({time.monotonic() - start:.1f} s)", flush=True)

    def hosts(self, apus, key_type, reactor):
        """Runs all cases that need no chain, with one key type and one reactor driver."""
        label = f"[{key_type}, {reactor}]"
        identity = apus.identity(key_type)
        process, address = apus.serve(identity, reactor)
        port = int(address.split("/")[4])
        for name, body in INBOUND:
            self.case(f"{name} {label}", body, address)
        for name, body in garbage.LISTENER:
            self.case(f"garbage {name} {label}", body, port)
        self.case(f"py pings after all that {label}", py_pings, address)
        self.case(f"ends on SIGINT {label}", apus.stop, process)
        arguments = ["--key", identity, "--reactor", reactor]
        for name, body in OUTBOUND:
            self.case(f"{name} {label}", body, apus, arguments)
        for name, body in garbage.DIALER:
            self.case(f"garbage {name} {label}", body, apus, arguments)


def main():
    logging.disable(logging.CRITICAL)
    suite = Suite(sys.argv[2:])
    with tempfile.TemporaryDirectory(prefix="apus-interop-") as directory:
        apus = Apus(sys.argv[1], directory)
        try:
            for key_type, reactor in [("ed25519", "auto"), ("secp256k1", "epoll")]:
                suite.hosts(apus, key_type, reactor)
                gossip_cases.run(suite, apus, key_type, reactor)
                node_cases.run(suite, apus, key_type, reactor)
        finally:
            apus.end()
    print(f"{suite.passed} passed, {suite.failed} failed")
    sys.exit(1 if suite.failed or not suite.passed else 0)


if __name__ == "__main__":
    main()
