"""Cases between py-libp2p hosts and a real node that is its chain's only validator: docs/wire.md, section 7."""

import hashlib
import json
import struct

import trio
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from apus import Node
from py_host import connect, py_host, read_exactly, read_some, read_to_end
from transactions import signed

TX, TXANN, DISCOVERY = "/kwil/tx/1.0.0", "/kwil/txann/1.0.0", "/kwil/discovery/1.0.0"
BLOCK_HEIGHT, BLOCK_ANNOUNCEMENT = "/kwil/blkheight/1.1.0", "/kwil/blkann/1.0.0"
CHAIN = f"/kwil/chain/1.0.0/{Node.chain}"
DIALECTS = ["text", "binary"]


def request(dialect, verb, txid):
    return f"{verb}:{txid}".encode() if dialect == "text" else bytes.fromhex(txid)


async def ask(node, protocol, data, name=None):
    """Sends one request on a new stream. Returns the whole answer."""
    async with py_host([name] if name else []) as host:
        peer = await connect(host, node.address)
        stream = await host.new_stream(peer, [protocol])
        if data:
            await stream.write(data)
        return await read_to_end(stream)


async def gets_known(node, dialect, txid):
    answer = await ask(node, TX, request(dialect, "gettx", txid))
    assert hashlib.sha256(answer).hexdigest() == txid, answer[:80]


async def gets_unknown(node, dialect):
    answer = await ask(node, TX, request(dialect, "gettx", "5a" * 32))
    assert answer == (b"0" if dialect == "text" else b"\x00"), answer[:80]


async def announces_known(node, dialect, txid):
    answer = await ask(node, TXANN, request(dialect, "txann", txid))
    assert answer == b"", answer[:80]


async def announces_new(node, dialect, nonce):
    transaction, txid = signed(
        f"INSERT INTO numbers (n) VALUES ({nonce})", nonce, Node.chain, node.signer)
    async with py_host([CHAIN]) as host:
        peer = await connect(host, node.address)
        stream = await host.new_stream(peer, [TXANN])
        await stream.write(request(dialect, "txann", txid))
        assert await read_exactly(stream, 3) == b"get"
        await stream.write(transaction)
        await stream.close_write()
        assert await read_some(stream) == b"", "more than get was said"
        assert await trio.to_thread.run_sync(node.is_committed, txid), "not committed"
    await announces_known(node, dialect, txid)
    await gets_known(node, dialect, txid)


async def exchanges_peers(node, dialect):
    """A host asks the node for peers and gets another host of the chain."""
    async with py_host([CHAIN]) as known:
        await connect(known, node.address)
        with trio.fail_after(20):
            while True:
                if dialect == "text":
                    answer = await ask(node, DISCOVERY, b"discover_peers\n")
                    assert answer.endswith(b"\n"), answer
                    peers = json.loads(answer)
                else:
                    whole = json.loads(await ask(node, DISCOVERY, b"", CHAIN))
                    assert whole["chain_id"] == Node.chain, whole
                    peers = whole["peers"]
                found = [peer for peer in peers if peer["id"] == str(known.get_id())]
                if found:
                    break
                await trio.sleep(0.1)  # until the node has identified the host
        assert CHAIN in found[0]["protos"], found
        assert any(known.address.startswith(address) for address in found[0]["addrs"]), found


async def gossips(node):
    async with py_host([CHAIN]) as host:
        router = GossipSub(["/meshsub/1.2.0", "/meshsub/1.1.0"], 6, 4, 12, heartbeat_interval=1)
        pubsub = Pubsub(host, router, strict_signing=True)
        async with background_trio_service(pubsub), background_trio_service(router):
            await pubsub.wait_until_ready()
            await pubsub.subscribe("acks")
            peer = await connect(host, node.address)
            with trio.fail_after(20):
                while peer not in pubsub.peer_topics.get("acks", ()):
                    await trio.sleep(0.05)
                while peer not in router.mesh.get("acks", ()):
                    await trio.sleep(0.05)


async def tells_its_height(node):
    """The node answers an empty request with its best height, in eight bytes."""
    async with py_host([CHAIN]) as host:
        router = GossipSub(["/meshsub/1.2.0"], 6, 4, 12, heartbeat_interval=1)
        pubsub = Pubsub(host, router, strict_signing=True)
        async with background_trio_service(pubsub), background_trio_service(router):
            await pubsub.wait_until_ready()
            answers = await pubsub.subscribe("discovery_response")
            await pubsub.subscribe("discovery_request")
            peer = await connect(host, node.address)
            with trio.fail_after(30):
                while not {"discovery_request", "discovery_response"} <= {
                        topic for topic, peers in pubsub.peer_topics.items() if peer in peers}:
                    await trio.sleep(0.05)
                await trio.sleep(1)  # until the meshes form
                await pubsub.publish("discovery_request", b"")
                answer = await answers.get()
            assert answer.from_id == peer.to_bytes(), "not by the node"
            assert len(answer.data) == 8 and int.from_bytes(answer.data, "little") >= 1, answer.data


async def apus_catches_up(node, apus, key_type, reactor):
    """A host copies the chain from the node and announces its height; a new node syncs from that host."""
    blocks, served = [], set()
    async with py_host([CHAIN]) as host:
        peer = await connect(host, node.address)
        while True:
            stream = await host.new_stream(peer, [BLOCK_HEIGHT])
            await stream.write(struct.pack("<q", len(blocks) + 1))
            answer = await read_to_end(stream)
            if answer[0] == 0:
                break
            blocks.append(answer[:-8])
        best = struct.pack("<q", len(blocks))
        assert answer == b"\x00" + best and blocks, answer
        await host.disconnect(peer)

        async def serve(stream):
            height = struct.unpack("<q", await read_exactly(stream, 8))[0]
            if 1 <= height <= len(blocks):
                served.add(height)
                await stream.write(blocks[height - 1] + best)
            else:
                await stream.write(b"\x00" + best)
            await stream.close()

        host.set_stream_handler(BLOCK_HEIGHT, serve)
        bootnode = f"{host.get_public_key().to_bytes().hex()}#ed25519@127.0.0.1:{host.address.split('/')[4]}"
        sentry = await trio.to_thread.run_sync(lambda: Node(apus, key_type, reactor, node, bootnode))
        hint = await host.new_stream(await connect(host, sentry.address), [BLOCK_ANNOUNCEMENT])
        await hint.write(f"blkann:{blocks[-1][1:33].hex()}:{len(blocks)}".encode())
        await hint.close_write()
        assert await read_to_end(hint) == b"", "an unsigned announcement is answered"
        with trio.fail_after(40):
            while await trio.to_thread.run_sync(sentry.height) < len(blocks):
                await trio.sleep(0.2)
        apus.stop(sentry.process)
    assert served == set(range(1, len(blocks) + 1)), served


def run(suite, apus, key_type, reactor):
    """Runs all cases against a node with one key type and one reactor driver."""
    label = f"[node, {key_type}, {reactor}]"
    node = Node(apus, key_type, reactor)
    txid = node.send("CREATE TABLE numbers (n INT PRIMARY KEY)")
    for nonce, dialect in enumerate(DIALECTS, start=2):
        kind = f"{dialect} {label}"
        suite.case(f"py gets a known transaction {kind}", gets_known, node, dialect, txid)
        suite.case(f"py gets an unknown transaction {kind}", gets_unknown, node, dialect)
        suite.case(f"py announces a known transaction {kind}", announces_known, node, dialect, txid)
        suite.case(f"py announces a new transaction {kind}", announces_new, node, dialect, nonce)
        suite.case(f"py exchanges peers {kind}", exchanges_peers, node, dialect)
    suite.case(f"py gossips about acks {label}", gossips, node)
    suite.case(f"py asks by gossip for the height {label}", tells_its_height, node)
    suite.case(f"apus catches up from py {label}", apus_catches_up, node, apus, key_type, reactor)
    suite.case(f"ends on SIGINT {label}", apus.stop, node.process)
