"""Gossipsub between py-libp2p hosts and `apus gossip` processes: docs/protocols.md, "Gossip"."""

import contextlib
import json
import subprocess
import tempfile
import threading

import trio
from libp2p.pubsub.floodsub import FloodSub
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.score import ScoreParams
from libp2p.tools.anyio_service import background_trio_service

from py_host import connect, py_host

TOPIC = "words"
V12, V11 = "/meshsub/1.2.0", "/meshsub/1.1.0"
FLOODSUB = ("/floodsub/1.0.0",)
PATIENCE = 30  # seconds


class Gossiper:
    """An `apus gossip` process, with the messages it has received and its status."""

    def __init__(self, apus, arguments, *more):
        command = [apus.binary, "gossip", "--topic", TOPIC, *arguments, *more]
        self.errors = tempfile.TemporaryFile(dir=apus.directory)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        first = self.process.stdout.readline()
        assert first, f"apus gossip does not start: {self.said()}"
        listen = json.loads(first)["listen"]
        self.address = listen[0] if listen else None
        self.messages, self.states = [], []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            value = json.loads(line)
            (self.messages if "text" in value else self.states).append(value)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-2000:]

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def publish(self, text):
        self.tell(f"{TOPIC} {text}")

    async def status(self):
        known = len(self.states)
        self.tell("status")
        while len(self.states) == known:
            await trio.sleep(0.02)
        return self.states[-1]

    async def until(self, condition, what):
        """Waits for a status."""
        with trio.move_on_after(PATIENCE):
            while not condition(state := await self.status()):
                await trio.sleep(0.1)
            return state
        raise AssertionError(f"not {what}: {state} {self.said()}")

    async def hears(self, text, author=None):
        with trio.move_on_after(PATIENCE):
            while True:
                for message in self.messages:
                    if message["text"] == text:
                        assert author is None or message["author"] == str(author), message
                        return message
                await trio.sleep(0.05)
        raise AssertionError(f"apus does not receive {text[:40]!r}: {await self.status()} {self.said()}")

    def end(self):
        self.process.stdin.close()
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("apus gossip does not end with its input") from None
        assert code == 0, f"exit code {code}: {self.said()}"


@contextlib.contextmanager
def gossiper(apus, arguments, *more):
    running = Gossiper(apus, arguments, "--listen", "/ip4/127.0.0.1/tcp/0", *more)
    try:
        yield running
    except BaseException:
        running.process.kill()
        raise
    running.end()


class PyGossiper:
    """A py-libp2p host with gossipsub, and the messages it has received."""

    def __init__(self, host, router, pubsub):
        self.host, self.router, self.pubsub = host, router, pubsub
        self.id = host.get_id()
        self.messages = []

    async def collect(self, subscription):
        while True:
            message = await subscription.get()
            self.messages.append((message.data.decode(), str(message.from_id.hex())))

    async def publish(self, text):
        await self.pubsub.publish(TOPIC, text.encode())

    async def until(self, condition, what):
        with trio.move_on_after(PATIENCE):
            while not condition():
                await trio.sleep(0.05)
            return
        raise AssertionError(f"py-libp2p: not {what}")

    async def hears(self, text):
        await self.until(lambda: any(known == text for known, _ in self.messages), f"heard {text[:40]!r}")

    async def meshes(self, peer):
        await self.until(lambda: peer in self.router.mesh.get(TOPIC, ()), "in its mesh")


@contextlib.asynccontextmanager
async def py_gossiper(protocols=(V12, V11), signed=True, degrees=(6, 4, 12)):
    async with py_host() as host:
        if protocols == FLOODSUB:
            router = FloodSub(list(protocols))
        else:
            router = GossipSub(
                list(protocols), *degrees, heartbeat_interval=1, score_params=ScoreParams(),
                max_messages_per_topic_per_second=1000)
        pubsub = Pubsub(host, router, strict_signing=signed)
        async with contextlib.AsyncExitStack() as services:
            await services.enter_async_context(background_trio_service(pubsub))
            if protocols != FLOODSUB:
                await services.enter_async_context(background_trio_service(router))
            await pubsub.wait_until_ready()
            subscription = await pubsub.subscribe(TOPIC)
            known = PyGossiper(host, router, pubsub)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(known.collect, subscription)
                yield known
                nursery.cancel_scope.cancel()


async def both_publish(apus, arguments, protocol):
    """With every version that py-libp2p offers, each side is in the other's mesh and receives its messages."""
    with gossiper(apus, arguments) as ours:
        async with py_gossiper([protocol]) as theirs:
            peer = await connect(theirs.host, ours.address)
            await theirs.meshes(peer)
            await ours.until(lambda state: str(theirs.id) in state["mesh"][TOPIC], "in its mesh")
            await theirs.publish("from py")
            await ours.hears("from py", theirs.id)
            ours.publish("from apus")
            await theirs.hears("from apus")
            await theirs.publish("long " * 40_000)
            await ours.hears("long " * 40_000, theirs.id)
            state = await ours.status()
            assert state["scores"][str(theirs.id)] > 0, state
            assert state["counters"]["rejected"] == state["counters"]["malformed"] == 0, state
            assert not theirs.router.scorer.is_graylisted(peer, [TOPIC])


async def dials_py(apus, arguments):
    """The mesh forms when Apus dials, too."""
    async with py_gossiper() as theirs:
        with gossiper(apus, arguments, "--connect", theirs.host.address) as ours:
            await ours.until(lambda state: str(theirs.id) in state["mesh"][TOPIC], "in its mesh")
            ours.publish("dialled")
            await theirs.hears("dialled")
            await theirs.publish("answered")
            await ours.hears("answered", theirs.id)


async def through_py(apus, arguments):
    """Apus - py-libp2p - Apus."""
    async with py_gossiper() as middle:
        dial = ("--connect", middle.host.address)
        with gossiper(apus, [], *dial) as left, gossiper(apus, arguments, *dial) as right:
            for side in (left, right):
                await side.until(lambda state: str(middle.id) in state["mesh"][TOPIC], "in its mesh")
            await middle.until(lambda: len(middle.router.mesh.get(TOPIC, ())) == 2, "meshed with both")
            left.publish("left to right")
            heard = await right.hears("left to right")
            assert heard["from"] == str(middle.id) and heard["author"] != str(middle.id), heard
            right.publish("right to left")
            await left.hears("right to left")
            await middle.hears("right to left")


async def through_apus(apus, arguments):
    """py-libp2p - Apus - py-libp2p; for a long message Apus sends IDONTWANT to the second."""
    with gossiper(apus, arguments) as middle:
        async with py_gossiper() as left, py_gossiper() as right:
            peer = await connect(left.host, middle.address)
            await connect(right.host, middle.address)
            for side in (left, right):
                await side.meshes(peer)
                await middle.until(lambda state: str(side.id) in state["mesh"][TOPIC], "in its mesh")
            await left.publish("left to right")
            await right.hears("left to right")
            await right.publish("right to left")
            await left.hears("right to left")
            told = right.router.dont_send_message_ids
            before = len(told.get(peer, ()))
            await left.publish("x" * 5_000)
            await right.hears("x" * 5_000)
            # py-libp2p remembers IDONTWANT until its next heartbeats.
            assert len(told.get(peer, ())) > before, "no IDONTWANT for a long message"


async def does_not_send_what_is_not_wanted(apus, arguments):
    """py-libp2p sends IDONTWANT; Apus receives the message from another peer and does not forward it."""
    with gossiper(apus, arguments) as ours:
        async with py_gossiper() as author, py_gossiper() as sated:
            peer = await connect(author.host, ours.address)
            await connect(sated.host, ours.address)
            for side in (author, sated):
                await side.meshes(peer)
                await ours.until(lambda state: str(side.id) in state["mesh"][TOPIC], "in its mesh")
            sequence = (1 << 40).to_bytes(8, "big")
            author.pubsub._next_seqno = lambda: sequence
            await sated.router.emit_idontwant([author.id.to_bytes() + sequence], peer)
            await trio.sleep(0.3)
            await author.publish("not for everyone")
            await ours.hears("not for everyone")
            await trio.sleep(0.3)
            assert not sated.messages, sated.messages


async def recovers_from_offers(apus, arguments):
    """Without a mesh on either side messages travel by IHAVE and IWANT, both ways."""
    with gossiper(apus, arguments, "--degree", "0", "--no-flood-publish") as ours:
        async with py_gossiper(degrees=(0, 0, 0)) as theirs:
            await connect(theirs.host, ours.address)
            await ours.until(lambda state: str(theirs.id) in state["subscribers"][TOPIC], "a subscriber")
            await trio.sleep(2)
            assert (await ours.status())["mesh"][TOPIC] == [] and not theirs.router.mesh[TOPIC]
            ours.publish("offered by apus")
            await theirs.hears("offered by apus")
            await theirs.publish("offered by py")
            await ours.hears("offered by py", theirs.id)
            assert (await ours.status())["counters"]["brokenPromises"] == 0


async def tolerates_floodsub(apus, arguments):
    """A floodsub peer is not in the mesh, but sends and receives messages."""
    with gossiper(apus, arguments) as ours:
        async with py_gossiper(FLOODSUB) as flooder, py_gossiper() as other:
            peer = await connect(flooder.host, ours.address)
            await connect(other.host, ours.address)
            await other.meshes(peer)
            await ours.until(lambda state: str(flooder.id) in state["subscribers"][TOPIC], "a subscriber")
            await flooder.until(lambda: peer in flooder.pubsub.peer_topics.get(TOPIC, ()), "subscribed to")
            assert str(flooder.id) not in (await ours.status())["mesh"][TOPIC]
            await flooder.publish("flooded")
            await other.hears("flooded")
            await other.publish("meshed")
            await flooder.hears("meshed")


async def refuses_unsigned(apus, arguments):
    """Unsigned messages are dropped and lower the sender's score; signed ones are still delivered."""
    with gossiper(apus, arguments) as ours:
        async with py_gossiper() as witness, py_gossiper(signed=False) as lax:
            peer = await connect(lax.host, ours.address)
            await connect(witness.host, ours.address)
            await lax.meshes(peer)
            await witness.meshes(peer)
            await lax.publish("unsigned")
            await ours.until(lambda state: state["counters"]["malformed"] > 0, "noticed")
            await witness.publish("signed")
            await ours.hears("signed")
            await trio.sleep(1)
            assert [message["text"] for message in ours.messages] == ["signed"], ours.messages
            assert all(text == "signed" for text, _ in witness.messages), witness.messages


async def graylists_spam(apus, arguments):
    """A peer that forges messages is graylisted; the others go on."""
    with gossiper(apus, arguments) as ours:
        async with py_gossiper() as honest, py_gossiper() as spammer:
            peer = await connect(spammer.host, ours.address)
            await connect(honest.host, ours.address)
            await spammer.meshes(peer)
            await honest.meshes(peer)
            for number in range(8):
                forged = rpc_pb2.Message(
                    from_id=honest.id.to_bytes(), data=b"forged", topicIDs=[TOPIC],
                    seqno=number.to_bytes(8, "big"), signature=bytes(64))
                spammer.router.send_rpc(peer, rpc_pb2.RPC(publish=[forged]))
            state = await ours.until(lambda state: state["counters"]["graylisted"] == 1, "graylisted")
            assert state["scores"][str(spammer.id)] < -200, state
            assert str(spammer.id) not in state["mesh"][TOPIC], state
            await honest.publish("still heard")
            await ours.hears("still heard", honest.id)
            assert [message["text"] for message in ours.messages] == ["still heard"], ours.messages


def run(suite, apus, key_type, reactor):
    """Runs all cases with one key type and one reactor driver."""
    label = f"[{key_type}, {reactor}]"
    arguments = ["--key", apus.identity(key_type), "--reactor", reactor]
    for protocol in (V12, V11):
        suite.case(f"gossip both publish {protocol} {label}", both_publish, apus, arguments, protocol)
    for name, body in [
        ("gossip apus dials", dials_py), ("gossip through py", through_py),
        ("gossip through apus", through_apus),
        ("gossip not wanted", does_not_send_what_is_not_wanted),
        ("gossip by offers", recovers_from_offers), ("gossip with floodsub", tolerates_floodsub),
        ("gossip unsigned", refuses_unsigned), ("gossip graylists spam", graylists_spam),
    ]:
        suite.case(f"{name} {label}", body, apus, arguments)
