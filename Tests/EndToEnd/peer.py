"""A minimal libp2p peer: TCP, multistream-select, Noise XX, yamux, identify and gossipsub frames.

It enforces none of a library's limits, so that a test can break every rule of the protocols. Requires Debian's
python3-cryptography.
"""

import contextlib
import hashlib
import hmac
import os
import queue
import socket
import struct
import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

threading.stack_size(256 * 1024)

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
INITIAL_WINDOW = 256 << 10
# The maximum plaintext of a Noise message, a little less than the specification's.
MESSAGE = 65_000
IDENTIFY, PUSH, PINGS = "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"
GOSSIP = "/meshsub/1.1.0"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Closed(Exception):
    """The stream or connection has ended."""


# Codecs

def uvarint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def varint(number):
    """A zigzag varint, as Go's encoding/binary writes a signed number."""
    return uvarint(((number << 1) ^ (number >> 63)) if number < 0 else number << 1)


def sized(data):
    """Kwil's compact bytes: a signed length, then the bytes."""
    return varint(len(data)) + data


def token(text):
    """A line of multistream-select."""
    line = text.encode() + b"\n"
    return uvarint(len(line)) + line


def field(number, data):
    """A length-delimited field of a protobuf message."""
    return uvarint(number << 3 | 2) + uvarint(len(data)) + data


def frame(kind, flags, stream, length, data=b""):
    """A yamux frame."""
    return struct.pack(">BBHII", 0, kind, flags, stream, length) + data


def multiaddr(port, ip="127.0.0.1"):
    return b"\x04" + socket.inet_aton(ip) + b"\x06" + struct.pack(">H", port)


def read_uvarint(read):
    number = shift = 0
    while True:
        byte = read(1)[0]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number


def public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Identity:
    """An Ed25519 key and its peer ID."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.encoded = b"\x08\x01\x12\x20" + public(self.key)
        self.peer_id = b"\x00" + bytes([len(self.encoded)]) + self.encoded

    @property
    def text(self):
        """The peer ID in base58, as in a node's log; its first byte, a zero, becomes a 1."""
        number, text = int.from_bytes(self.peer_id, "big"), ""
        while number:
            number, digit = divmod(number, 58)
            text = BASE58[digit] + text
        return "1" + text


# Noise

class Cipher:
    def __init__(self, key):
        self.aead, self.count = ChaCha20Poly1305(key), 0

    def nonce(self):
        self.count += 1
        return b"\0\0\0\0" + struct.pack("<Q", self.count - 1)

    def encrypt(self, data, extra=b""):
        return self.aead.encrypt(self.nonce(), data, extra)

    def decrypt(self, data, extra=b""):
        return self.aead.decrypt(self.nonce(), data, extra)


class Pipe:
    """The bytes of a socket, encrypted after the handshake."""

    def __init__(self, sock):
        self.socket, self.buffer, self.lock = sock, bytearray(), threading.Lock()
        self.sending = self.receiving = None

    def receive(self, count):
        out = bytearray()
        while len(out) < count:
            data = self.socket.recv(count - len(out))
            if not data:
                raise Closed("the node closed the connection")
            out += data
        return bytes(out)

    def read(self, count):
        while len(self.buffer) < count:
            if self.receiving:
                length = struct.unpack(">H", self.receive(2))[0]
                self.buffer += self.receiving.decrypt(self.receive(length))
            else:
                self.buffer += self.receive(1)
        out = bytes(self.buffer[:count])
        del self.buffer[:count]
        return out

    def write(self, data):
        with self.lock:
            if not self.sending:
                return self.socket.sendall(data)
            for start in range(0, len(data), MESSAGE):
                message = self.sending.encrypt(data[start:start + MESSAGE])
                self.socket.sendall(struct.pack(">H", len(message)) + message)

    def read_token(self):
        return self.read(read_uvarint(self.read))[:-1].decode()


def derive(chaining, material):
    secret = hmac.new(chaining, material, hashlib.sha256).digest()
    first = hmac.new(secret, b"\1", hashlib.sha256).digest()
    return first, hmac.new(secret, first + b"\2", hashlib.sha256).digest()


def secure(pipe, identity):
    """The initiator's side of Noise XX with libp2p's payload."""
    name = b"Noise_XX_25519_ChaChaPoly_SHA256"
    digest, chaining, cipher = name, name, None
    ephemeral, static = X25519PrivateKey.generate(), X25519PrivateKey.generate()

    def mix(data):
        nonlocal digest
        digest = hashlib.sha256(digest + data).digest()

    def agree(own, other):
        nonlocal chaining, cipher
        chaining, key = derive(chaining, own.exchange(X25519PublicKey.from_public_bytes(other)))
        cipher = Cipher(key)

    def opened(data):
        plain = cipher.decrypt(data, digest)
        mix(data)
        return plain

    def closed(data):
        out = cipher.encrypt(data, digest)
        mix(out)
        return out

    def send(message):
        pipe.write(struct.pack(">H", len(message)) + message)

    mix(b"")
    mix(public(ephemeral))
    mix(b"")
    send(public(ephemeral))
    message = pipe.read(struct.unpack(">H", pipe.read(2))[0])
    remote = message[:32]
    mix(remote)
    agree(ephemeral, remote)
    remote_static = opened(message[32:80])
    agree(ephemeral, remote_static)
    opened(message[80:])
    first = closed(public(static))
    agree(static, remote)
    signature = identity.key.sign(b"noise-libp2p-static-key:" + public(static))
    send(first + closed(field(1, identity.encoded) + field(2, signature)))
    keys = derive(chaining, b"")
    pipe.sending, pipe.receiving = Cipher(keys[0]), Cipher(keys[1])


# Yamux

class Stream:
    """A stream, whose buffer the connection's thread fills."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.arrived, self.buffer, self.ended = queue.Queue(), b"", False
        self.window, self.room = INITIAL_WINDOW, threading.Condition()
        self.failure = None
        # Whether to send window updates for received bytes; a slow reader does not.
        self.reads = True

    def read(self, count=None, timeout=30):
        """Reads `count` bytes, or fewer at the end of the stream; without `count`, the next bytes."""
        while not self.ended and (not self.buffer if count is None else len(self.buffer) < count):
            data = self.arrived.get(timeout=timeout)
            if data is None:
                self.ended = True
            elif isinstance(data, Exception):
                self.ended = True
                raise data
            else:
                self.buffer += data
        count = len(self.buffer) if count is None else count
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def read_all(self):
        out = b""
        while data := self.read():
            out += data
        return out

    def drain(self):
        """Reads and discards everything until the end."""
        while self.read():
            pass

    def read_exactly(self, count):
        data = self.read(count)
        if len(data) < count:
            raise Closed("the stream ended")
        return data

    def read_token(self):
        """Reads a line of multistream-select, which may be binary if the node did not wait for an agreement."""
        return self.read_exactly(read_uvarint(self.read_exactly))[:-1].decode(errors="replace")

    def write(self, data):
        """Writes as fast as the window allows."""
        data = memoryview(data)
        while data:
            with self.room:
                while self.window <= 0 and not self.failure:
                    self.room.wait(30)
                if self.failure:
                    raise self.failure
                count = min(len(data), self.window, 60_000)
                self.window -= count
            self.connection.send(frame(DATA, 0, self.number, count, bytes(data[:count])))
            data = data[count:]

    def close(self):
        self.connection.send(frame(WINDOW, FIN, self.number, 0))

    def reset(self):
        self.connection.send(frame(WINDOW, RST, self.number, 0))

    def end(self, reason):
        with self.room:
            self.failure = reason
            self.room.notify_all()
        self.arrived.put(reason)


class Connection:
    """A secured connection to the node at a local port."""

    def __init__(self, port, protocols=(), handlers=None, addresses=(), identity=None, reads=True):
        """
        protocols: further protocols for identify, besides those of `handlers`, which maps each protocol to a function of
            a stream.
        reads: whether to read what the node sends.
        """
        self.identity = identity or Identity()
        self.handlers = handlers or {}
        self.protocols = [*protocols, *(name for name in self.handlers if name not in protocols)]
        self.addresses = addresses
        self.streams, self.lock, self.next = {}, threading.Lock(), 1
        # Why the connection ended; None while it is open.
        self.ended = None
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pipe = Pipe(self.socket)
        self.choose("/noise")
        secure(self.pipe, self.identity)
        self.choose("/yamux/1.0.0")
        self.socket.settimeout(None)
        if reads:
            threading.Thread(target=self.receive, daemon=True).start()

    def choose(self, protocol):
        self.pipe.write(token("/multistream/1.0.0") + token(protocol))
        answers = self.pipe.read_token(), self.pipe.read_token()
        if answers[1] != protocol:
            raise Closed(f"the node does not speak {protocol}")

    def send(self, data):
        try:
            self.pipe.write(data)
        except OSError as error:
            raise Closed(str(error)) from error

    def number(self):
        with self.lock:
            number = self.next
            self.next += 2
        return number

    def open(self, protocol, waits=True):
        """Opens a stream. Without `waits`, leaves the answer to the protocol's negotiation unread."""
        number = self.number()
        stream = self.streams[number] = Stream(self, number)
        choice = token("/multistream/1.0.0") + token(protocol)
        stream.window -= len(choice)
        self.send(frame(DATA, SYN, number, len(choice), choice))
        if waits:
            stream.read_token()
            if stream.read_token() != protocol:
                raise Closed(f"the node does not serve {protocol}")
        return stream

    def receive(self):
        try:
            while True:
                self.take(*struct.unpack(">BBHII", self.pipe.read(12))[1:])
        except Exception as error:
            self.ended = error if isinstance(error, Closed) else Closed(repr(error))
            for stream in list(self.streams.values()):
                stream.end(self.ended)

    def take(self, kind, flags, number, length):
        if kind == PING and flags & SYN:
            return self.send(frame(PING, ACK, 0, length))
        if kind in (PING, GO_AWAY):
            return None
        stream = self.streams.get(number)
        if stream is None and flags & SYN:
            stream = self.streams[number] = Stream(self, number)
            self.send(frame(WINDOW, ACK, number, 0))
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()
        data = self.pipe.read(length) if kind == DATA else b""
        if stream is None:
            return None
        if data:
            stream.arrived.put(data)
            if stream.reads:
                self.send(frame(WINDOW, 0, number, length))
        elif kind == WINDOW:
            with stream.room:
                stream.window += length
                stream.room.notify_all()
        if flags & RST:
            self.streams.pop(number, None)
            stream.end(Closed("the node reset the stream"))
        elif flags & FIN:
            stream.arrived.put(None)
        return None

    def serve(self, stream):
        try:
            stream.read_token()
            answer = token("/multistream/1.0.0")
            while True:
                name = stream.read_token()
                if name == IDENTIFY or name in self.handlers:
                    break
                stream.write(answer + token("na"))
                answer = b""
            stream.write(answer + token(name))
            if name in self.handlers:
                return self.handlers[name](stream)
            told = self.told()
            stream.write(uvarint(len(told)) + told)
            stream.close()
        except (Closed, queue.Empty):
            pass

    def told(self):
        """This peer's identify message."""
        protocols = [IDENTIFY, PUSH, PINGS, *self.protocols]
        return (
            field(1, self.identity.encoded) + b"".join(field(2, address) for address in self.addresses)
            + b"".join(field(3, name.encode()) for name in protocols)
            + field(5, b"ipfs/0.1.0") + field(6, b"stranger/1"))

    def close(self):
        # A reading thread keeps the socket open until then.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


# Kwil

def member(chain, *more):
    """The protocols that a node of a chain advertises."""
    names = ("discovery/1.0.0", "tx/1.0.0", "txann/1.0.0", "blk/1.0.0", "blkheight/1.0.0", "blkheight/1.1.0",
             "blkann/1.0.0", "blkprop/1.0.0", "blkack/1.0.0")
    return [*(f"/kwil/{name}" for name in names), f"/kwil/chain/1.0.0/{chain}", *more]


def announce_height(connection, height):
    """Announces, unsigned, that a block of a height exists."""
    stream = connection.open("/kwil/blkann/1.0.0", waits=False)
    stream.write(b"blkann:" + os.urandom(32).hex().encode() + b":%d" % height)
    stream.close()


class Gossip:
    """Opens a gossipsub stream to the node."""

    def __init__(self, connection):
        self.connection, self.stream, self.count = connection, connection.open(GOSSIP), 0

    def send(self, message):
        self.stream.write(uvarint(len(message)) + message)

    def subscribe(self, *topics):
        self.send(b"".join(field(1, b"\x08\x01" + field(2, topic.encode())) for topic in topics))

    def graft(self, *topics):
        self.send(field(3, b"".join(field(3, field(1, topic.encode())) for topic in topics)))

    def message(self, topic, data):
        self.count += 1
        key = self.connection.identity
        body = (field(1, key.peer_id) + field(2, data) + field(3, struct.pack(">Q", self.count))
                + field(4, topic.encode()))
        return body + field(5, key.key.sign(b"libp2p-pubsub:" + body))
