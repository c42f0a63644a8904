"""Signs transactions for measurements according to docs/wire.md, section 3, without code of Apus."""

import base64
import hashlib
import json
import random

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


def signing_key(account):
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"apus bench %d" % account).digest())


def public_key(account):
    return signing_key(account).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def broadcast(number, chain_id, account=None, nonce=1, filling=0):
    """Returns the parameters of `user.broadcast` for a transaction, longer by `filling` bytes that do not compress well.

    By default each transaction has its own account, so that they may arrive in any order.
    """
    account = number if account is None else account
    key = signing_key(account)
    filler = base64.b64encode(random.Random(number).randbytes(filling))[:filling]
    payload = raw_statement(b"INSERT INTO bench (id, v) VALUES (%d, 'row %d%s')" % (number, number, filler))
    body = b"".join((
        cstring(b""), cbytes(payload), cstring(b"raw_statement"), b"\1" + cstring(b"0"),
        nonce.to_bytes(8, "little"), cstring(chain_id.encode())))
    signature = key.sign(hashlib.sha256(body).digest())
    return {
        "tx": {
            "signature": {"sig": base64.b64encode(signature).decode(), "type": "ed25519"},
            "body": {"desc": "", "payload": base64.b64encode(payload).decode(), "type": "raw_statement", "fee": "0",
                     "nonce": nonce, "chain_id": chain_id},
            "serialization": "direct",
            "sender": public_key(account).hex(),
        },
        "sync": 0,
    }


def write(count, batch, chain_id, single_file, batch_file):
    """Writes `count` requests of one transaction, one per line, and the same transactions in batches."""
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
