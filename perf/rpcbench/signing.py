"""Signed transactions for the benchmark, made from docs/wire.md, section 3, without Apus.

Each comes from an account of its own and has nonce 1, so that any of them may arrive first.
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def uvarint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def cstring(text):
    return uvarint(len(text)) + text


def cbytes(content):
    return uvarint(2 * len(content)) + content


def raw_statement(sql):
    return b"\0\0" + len(sql).to_bytes(4, "little") + sql + b"\0\0"


def broadcast(number, chain_id):
    """The parameters of `user.broadcast` for a transaction."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"apus bench %d" % number).digest())
    payload = raw_statement(b"INSERT INTO bench (id, v) VALUES (%d, 'row %d')" % (number, number))
    body = b"".join((
        cstring(b""), cbytes(payload), cstring(b"raw_statement"), b"\1" + cstring(b"0"),
        (1).to_bytes(8, "little"), cstring(chain_id.encode())))
    signature = key.sign(hashlib.sha256(body).digest())
    return {
        "tx": {
            "signature": {"sig": base64.b64encode(signature).decode(), "type": "ed25519"},
            "body": {"desc": "", "payload": base64.b64encode(payload).decode(), "type": "raw_statement", "fee": "0",
                     "nonce": 1, "chain_id": chain_id},
            "serialization": "direct",
            "sender": key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
        },
        "sync": 0,
    }


def write(count, batch, chain_id, single_file, batch_file):
    """Writes `count` requests of one transaction, a line each, and the same transactions in batches."""
    with open(single_file, "w") as singles, open(batch_file, "w") as batches:
        gathered = []
        for number in range(count):
            call = json.dumps({"jsonrpc": "2.0", "id": number % batch, "method": "user.broadcast",
                               "params": broadcast(number, chain_id)}, separators=(",", ":"))
            print(call, file=singles)
            gathered.append(call)
            if len(gathered) == batch:
                print("[" + ",".join(gathered) + "]", file=batches)
                gathered = []
