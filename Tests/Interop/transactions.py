"""Makes transactions according to docs/wire.md, sections 1 and 3, without code of the program under test."""

import hashlib
import struct


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def cstring(text):
    return uvarint(len(text.encode())) + text.encode()


def cbytes(data):
    return uvarint(len(data) << 1) + data  # a zigzag length


def bytes32(data):
    return struct.pack("<I", len(data)) + data


def raw_statement(sql):
    return struct.pack("<H", 0) + bytes32(sql.encode()) + struct.pack("<H", 0)


def signed(sql, nonce, chain, signer):
    """Signs a statement without parameters. Returns the transaction's bytes and ID."""
    body = (
        cstring("interoperability") + cbytes(raw_statement(sql)) + cstring("raw_statement")
        + b"\x01" + cstring("0") + struct.pack("<Q", nonce) + cstring(chain))
    signature = signer.sign(hashlib.sha256(body).digest()).signature
    signature = uvarint(len(signature)) + signature + cstring("ed25519")
    transaction = (
        struct.pack("<H", 0) + cbytes(signature) + cbytes(body) + cstring("direct")
        + cbytes(bytes(signer.verify_key)))
    return transaction, hashlib.sha256(transaction).hexdigest()
