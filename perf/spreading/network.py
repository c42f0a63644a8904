"""The simulated network: events in order of time, uplinks that send one message after another, downlinks that take them."""

import heapq
from collections import deque

# A message takes packets of 1,448 bytes, each with 66 bytes of Ethernet, IP and TCP headers with a time stamp; and headers of yamux
# and Noise, with their tags.
PACKET, HEADERS, MESSAGE = 1448, 66, 40
# TCP's first window, of ten packets (RFC 6928).
WINDOW = 10 * PACKET


def wire(size):
    """Bytes of a message on the wire."""
    return size + MESSAGE - (-(size + MESSAGE) // PACKET) * HEADERS


class Network:
    """Nodes that send messages to each other.

    A node's uplink sends one message at a time, at the node's rate: it takes turns among the destinations, or, if `in_turn` says so,
    empties one destination's queue before the next one's. The message's first bit arrives after the latency, and the receiver's
    downlink takes messages in the order of these. A small message (`tell`) takes the latency only.

    With `slow_start`, byte n of a connection arrives at least as many round trips after the first as windows that double need to
    reach it.
    """

    def __init__(self, world, in_turn=False, slow_start=False):
        nodes = world.validators + 1
        self.world, self.in_turn, self.slow_start = world, in_turn, slow_start
        self.now, self.events, self.serial = 0.0, [], 0
        self.queues = [{} for _ in range(nodes)]
        self.turns = [deque() for _ in range(nodes)]
        self.is_busy = [False] * nodes
        self.free = [0.0] * nodes
        self.sent, self.received = [0] * nodes, [0] * nodes
        self.windows = {}

    def at(self, time, function, *arguments):
        self.serial += 1
        heapq.heappush(self.events, (time, self.serial, function, arguments))

    def run(self):
        events, pop = self.events, heapq.heappop
        while events:
            self.now, _, function, arguments = pop(events)
            function(*arguments)

    def tell(self, source, target, size, function, *arguments):
        """Calls the function when the target has a small message of so many bytes."""
        size = wire(size)
        self.sent[source] += size
        self.received[target] += size
        self.at(self.now + self.world.latency(source, target), function, *arguments)

    def send(self, source, target, size, function, *arguments):
        """Queues a message. Calls the function when the target has all of it."""
        queue = self.queues[source].get(target)
        if queue is None:
            queue = self.queues[source][target] = deque()
            self.turns[source].append(target)
        queue.append((wire(size), function, arguments))
        if not self.is_busy[source]:
            self.next(source)

    def cancel(self, source, target):
        """Drops what is still queued for a target."""
        if self.queues[source].pop(target, None):
            self.turns[source].remove(target)

    def next(self, source):
        turns = self.turns[source]
        if not turns:
            self.is_busy[source] = False
            return
        self.is_busy[source] = True
        target = turns.popleft()
        queue = self.queues[source][target]
        size, function, arguments = queue.popleft()
        if not queue:
            del self.queues[source][target]
        elif self.in_turn:
            turns.appendleft(target)
        else:
            turns.append(target)
        self.sent[source] += size
        latency = self.world.latency(source, target)
        end = self.now + size / self.world.rates[source]
        last_bit = end + latency
        if self.slow_start:
            last_bit = max(last_bit, self.window(source, target, size, latency))
        self.at(self.now + latency, self.arrive, target, size, last_bit, function, arguments)
        self.at(end, self.next, source)

    def window(self, source, target, size, latency):
        """When a connection's window lets the last byte of the next message arrive."""
        state = self.windows.setdefault((source, target), [self.now, 0])
        state[1] += size
        trips = (state[1] // WINDOW + 1).bit_length() - 1
        return state[0] + latency * (1 + 2 * trips)

    def arrive(self, target, size, last_bit, function, arguments):
        """The first bit is there: the downlink takes the message after those before it."""
        self.free[target] = max(self.free[target], self.now) + size / self.world.rates[target]
        self.received[target] += size
        self.at(max(last_bit, self.free[target]), function, *arguments)
