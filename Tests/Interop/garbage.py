"""Garbage in each phase of the handshake, over raw sockets: the only answer is a close."""

import os
import socket
import subprocess

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.peer.id import ID
from libp2p.security.noise.patterns import PatternXX
from noise.connection import Keypair, NoiseConnection

PATIENCE = 15  # seconds; longer than any of the host's own limits on a handshake


def token(text):
    line = text.encode() + b"\n"
    return bytes([len(line)]) + line


MULTISTREAM = token("/multistream/1.0.0")


class Wire:
    """A raw connection, with the dialer's part of a libp2p handshake, step by step."""

    def __init__(self, port=None, connected=None):
        self.socket = connected or socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(PATIENCE)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            assert part, "closed too early"
            data += part
        return data

    def rest(self):
        """Reads everything until the other side closes. Fails if it does not close."""
        data = b""
        try:
            while part := self.socket.recv(65536):
                data += part
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise AssertionError("the other side did not close") from None
        finally:
            self.socket.close()
        return data

    def negotiate(self, name):
        self.send(MULTISTREAM + token(name))
        want = MULTISTREAM + token(name)
        assert self.read(len(want)) == want

    def frame(self, data):
        self.send(len(data).to_bytes(2, "big") + data)

    def read_frame(self):
        return self.read(int.from_bytes(self.read(2), "big"))

    def noise(self):
        self.negotiate("/noise")
        identity, static = create_new_key_pair(), create_new_x25519_key_pair()
        self.cipher = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
        self.cipher.set_keypair_from_private_bytes(Keypair.STATIC, static.private_key.to_bytes())
        self.cipher.set_as_initiator()
        self.cipher.start_handshake()
        pattern = PatternXX(ID.from_pubkey(identity.public_key), identity.private_key, static.private_key)
        self.payload = pattern.make_handshake_payload().serialize()
        self.frame(self.cipher.write_message())
        self.cipher.read_message(self.read_frame())

    def secure(self):
        self.noise()
        self.frame(self.cipher.write_message(self.payload))

    def seal(self, data):
        self.frame(self.cipher.encrypt(data))

    def multiplex(self):
        self.secure()
        self.seal(MULTISTREAM + token("/yamux/1.0.0"))
        want = MULTISTREAM + token("/yamux/1.0.0")
        self.opened = b""
        while len(self.opened) < len(want):
            self.opened += self.cipher.decrypt(self.read_frame())
        assert self.opened.startswith(want)
        self.opened = self.opened[len(want):]

    def opened_rest(self):
        """The encrypted bytes that arrived before the close, decrypted."""
        data, sealed = self.opened, self.rest()
        while sealed:
            size = int.from_bytes(sealed[:2], "big")
            assert len(sealed) >= 2 + size, "half a frame"
            data += self.cipher.decrypt(sealed[2:2 + size])
            sealed = sealed[2 + size:]
        return data


def nothing_but(data, allowed=b""):
    assert data in (b"", allowed), f"answered with {data[:60]!r}"


def before_multistream(port):
    for garbage in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, bytes([5]) + b"hello\n", os.urandom(4096)):
        wire = Wire(port)
        wire.send(garbage)
        # A responder may have sent its own identity first. Closing our side ends a truncated token.
        wire.socket.shutdown(socket.SHUT_WR)
        nothing_but(wire.rest(), MULTISTREAM)


def during_multistream(port):
    for garbage in (b"\xff\xff\xff\x7f" + b"x" * 64, b"\x80" * 11, bytes([4]) + b"/abc", b"\x00" * 8):
        wire = Wire(port)
        wire.send(MULTISTREAM)
        wire.send(garbage)
        nothing_but(wire.rest(), MULTISTREAM)


def noise_message_1(port):
    for garbage in (b"\x00\x05hello", b"\x00\x00", b"\xff\xff" + os.urandom(65535), b"\x00\x20" + bytes(32)):
        wire = Wire(port)
        wire.negotiate("/noise")
        wire.send(garbage)
        nothing_but(wire.rest())


def noise_message_3(port):
    for garbage in (b"", os.urandom(16), os.urandom(200), os.urandom(65535)):
        wire = Wire(port)
        wire.noise()
        wire.frame(garbage)
        nothing_but(wire.rest())


def noise_payload(port):
    wire = Wire(port)
    wire.noise()
    wire.frame(wire.cipher.write_message(os.urandom(120)))
    nothing_but(wire.rest())
    wire = Wire(port)
    wire.noise()
    # The payload of another connection, whose signature covers another static key.
    other = Wire(port)
    other.noise()
    wire.frame(wire.cipher.write_message(other.payload))
    nothing_but(wire.rest())
    other.socket.close()


def after_noise(port):
    for garbage in (b"", os.urandom(15), os.urandom(100), os.urandom(65535)):
        wire = Wire(port)
        wire.secure()
        wire.frame(garbage)
        nothing_but(wire.rest())
    wire = Wire(port)
    wire.secure()
    sealed = bytearray(wire.cipher.encrypt(MULTISTREAM))
    sealed[3] ^= 1
    wire.frame(bytes(sealed))
    nothing_but(wire.rest())


def muxer_negotiation(port):
    for garbage in (b"\xff" * 32, bytes([5]) + b"hello"):
        wire = Wire(port)
        wire.secure()
        wire.opened = b""
        wire.seal(garbage)
        nothing_but(wire.opened_rest(), MULTISTREAM)


def yamux_header(port):
    headers = (
        bytes.fromhex("070000010000000100000000"),  # version 7
        bytes.fromhex("000900010000000100000000"),  # type 9
        bytes.fromhex("0000000100000001ffffffff"),  # 4 GiB of data in a window of 256 KiB
        bytes.fromhex("000000010000000200000000"),  # a stream ID of the listener's parity
        b"\xff" * 12,
    )
    for header in headers:
        wire = Wire(port)
        wire.multiplex()
        wire.seal(header)
        data = wire.opened_rest()
        # The host may have opened streams, and yamux sends GoAway: whole frames, and no data for our streams.
        while data:
            assert len(data) >= 12 and data[0] == 0 and data[1] <= 3, f"not a yamux frame: {data[:12].hex()}"
            stream = int.from_bytes(data[4:8], "big")
            assert data[1] != 0 or stream % 2 == 0, f"data on stream {stream}"
            data = data[12 + (int.from_bytes(data[8:12], "big") if data[1] == 0 else 0):]


def dialer(apus, arguments, answer):
    """`apus ping` dials a listener that answers with garbage: it fails with one line and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        process = subprocess.Popen(
            [apus.binary, "ping", f"/ip4/127.0.0.1/tcp/{server.getsockname()[1]}", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            connected, _ = server.accept()
            wire = Wire(connected=connected)
            answer(wire)
            wire.rest()
            output, error = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 1, f"exit code {process.returncode}"
    assert output == "" and error.startswith("Error: ") and error.count("\n") == 1, f"said {output!r} {error!r}"


def dialer_multistream(apus, arguments):
    for garbage in (b"\xff" * 64, b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 64, b"\x00" * 64):
        dialer(apus, arguments, lambda wire: wire.send(garbage))


def dialer_noise_message_2(apus, arguments):
    def answer(garbage):
        def play(wire):
            wire.read(len(MULTISTREAM))
            wire.send(MULTISTREAM + token("/noise"))
            wire.read(len(token("/noise")))
            wire.read_frame()
            wire.frame(garbage)
        return play
    for garbage in (b"", os.urandom(20), os.urandom(300), os.urandom(65535)):
        dialer(apus, arguments, answer(garbage))


LISTENER = [
    ("before multistream", before_multistream), ("during multistream", during_multistream),
    ("instead of noise message 1", noise_message_1), ("instead of noise message 3", noise_message_3),
    ("as noise payload", noise_payload), ("after noise", after_noise),
    ("during muxer negotiation", muxer_negotiation), ("as yamux header", yamux_header),
]
DIALER = [("as multistream answer", dialer_multistream), ("instead of noise message 2", dialer_noise_message_2)]
