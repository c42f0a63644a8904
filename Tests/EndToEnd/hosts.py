"""Hosts on one network: a network namespace each, joined by a bridge, with a token bucket's bandwidth (`tc`)."""

import os
import subprocess
import sys

from network import Network, Node, wait

# Not every kernel of Debian has netem, so delay.py adds the delay.
BANDWIDTH = "100mbit"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Hosts:
    """Namespaces named after this process, so that it changes no others."""

    def __init__(self, names):
        self.hub = f"apus-{os.getpid()}-hub"
        self.spaces = {name: f"apus-{os.getpid()}-{i}" for i, name in enumerate(names)}
        self.addresses = {name: f"10.77.0.{i + 1}" for i, name in enumerate(names)}
        self.made = []

    def __enter__(self):
        try:
            self.make(self.hub)
            ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
            ip("-n", self.hub, "address", "add", "10.77.0.254/24", "dev", "bridge")
            ip("-n", self.hub, "link", "set", "bridge", "up")
            for name, space in self.spaces.items():
                self.make(space)
                port = f"p{self.addresses[name].rsplit('.', 1)[1]}"
                ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "wire", "netns", space)
                ip("-n", self.hub, "link", "set", port, "master", "bridge", "up")
                ip("-n", space, "address", "add", f"{self.addresses[name]}/24", "dev", "wire")
                ip("-n", space, "link", "set", "wire", "up")
                subprocess.run(
                    ["tc", "-n", space, "qdisc", "add", "dev", "wire", "root", "tbf", "rate", BANDWIDTH,
                     "burst", "256kb", "latency", "200ms"], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self, space):
        ip("netns", "add", space)
        self.made.append(space)
        ip("-n", space, "link", "set", "lo", "up")

    def __exit__(self, *_):
        for space in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", space], check=False)
        self.made = []

    def within(self, name):
        return ["ip", "netns", "exec", self.spaces[name]]

    def wire(self, name, state):
        """Disconnects a host (`down`) or connects it again (`up`)."""
        ip("-n", self.hub, "link", "set", f"p{self.addresses[name].rsplit('.', 1)[1]}", state)


class HostNetwork(Network):
    """A leader, six validators and three sentries, each on its own host. The last sentry is distant and starts late."""

    names = ["leader", *(f"validator-{i}" for i in range(1, 7)), *(f"sentry-{i}" for i in range(1, 4))]
    late = "sentry-3"

    def __init__(self, apus, directory, hosts):
        self.hosts = hosts
        super().__init__(apus, directory)
        self.delay = None

    def make_nodes(self, directory):
        return {
            name: Node(
                self.apus, f"{directory}/{name}", f"{self.hosts.addresses[name]}:6600", "127.0.0.1:8484",
                within=self.hosts.within(name))
            for name in self.names
        }

    def route(self, name, target):
        return "10.77.0.254:6600" if name == self.late else target.p2p

    def __enter__(self):
        relay = os.path.join(os.path.dirname(__file__), "delay.py")
        target = self.nodes["validator-1"].p2p
        self.delay = subprocess.Popen(
            ["ip", "netns", "exec", self.hosts.hub, sys.executable, relay, "10.77.0.254:6600", target, "0.03"],
            stdin=subprocess.DEVNULL)
        early = [node for name, node in self.nodes.items() if name != self.late]
        for node in early:
            node.start()
        try:
            wait(lambda: next((n.name + " has no peers" for n in early if self.alone(n)), None))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        super().__exit__()
        if self.delay:
            self.delay.kill()
            self.delay.wait()
            self.delay = None
