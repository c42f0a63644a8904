"""Hosts on one network: a network namespace each, with one link to a common bridge, whose bandwidth is limited each way. Instead of
the bridge, a program that holds frames for a while stands in for long links.
"""

import contextlib
import ctypes
import json
import os
import subprocess
import tempfile

from rpcbench.part import Failure

CLONE_NEWNET = 0x40000000
# The burst of a link in seconds of its rate, its least size, and the time for which a full queue makes a packet wait.
BURST, LEAST_BURST, QUEUE = 0.001, 16_384, "50ms"
DELAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay.c")
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def limit(space, device, rate):
    """Limits what leaves a device to `rate` bits a second."""
    burst = max(LEAST_BURST, int(rate / 8 * BURST))
    subprocess.run(["tc", "-n", space, "qdisc", "add", "dev", device, "root", "tbf", "rate", f"{rate}bit",
                    "burst", f"{burst}b", "latency", QUEUE], check=True)


class Host:
    """A host of `Wires`, with an address on its link."""

    def __init__(self, name, address):
        self.name, self.address = name, address
        # The command that runs another on the host.
        self.within = ["ip", "netns", "exec", name]

    @contextlib.contextmanager
    def inside(self):
        """Sockets that the calling thread opens meanwhile are the host's."""
        with open("/proc/thread-self/ns/net") as own, open(f"/run/netns/{self.name}") as space:
            enter(space)
            try:
                yield
            finally:
                enter(own)

    def sent(self):
        """The bytes that the host has sent over its link, packet headers included."""
        return json.loads(ip("-n", self.name, "-j", "-s", "link", "show", "dev", "wire"))[0]["stats64"]["tx"]["bytes"]


def enter(space):
    if LIBC.setns(space.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns to {space.name}")


class Wires:
    """Makes `count` hosts, whose links carry `rate` bits a second each way, and removes them at the end. From host to host a frame
    takes `delay` milliseconds."""

    def __init__(self, count, rate, delay=0):
        self.rate, self.delay, self.switch = rate, delay, None
        self.hosts = [Host(f"host-{index}", f"10.77.0.{index + 1}") for index in range(count)]
        self.made = []

    def __enter__(self):
        try:
            self.make("hub")
            ports = [f"port-{index}" for index in range(len(self.hosts))]
            for host, port in zip(self.hosts, ports):
                self.make(host.name)
                ip("-n", "hub", "link", "add", port, "type", "veth", "peer", "name", "wire", "netns", host.name)
                ip("-n", "hub", "link", "set", port, "up")
                ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "wire")
                ip("-n", host.name, "link", "set", "wire", "up")
                limit(host.name, "wire", self.rate)
                limit("hub", port, self.rate)
            if self.delay:
                self.hold_frames(ports)
            else:
                self.bridge(ports)
        except BaseException:
            self.__exit__()
            raise
        return self

    @staticmethod
    def bridge(ports):
        ip("-n", "hub", "link", "add", "bridge", "type", "bridge")
        ip("-n", "hub", "link", "set", "bridge", "up")
        for port in ports:
            ip("-n", "hub", "link", "set", port, "master", "bridge")

    def hold_frames(self, ports):
        """Starts the program that takes the place of the bridge."""
        with tempfile.TemporaryDirectory() as directory:
            program = os.path.join(directory, "delay")
            subprocess.run(["cc", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-o", program, DELAY], check=True)
            self.switch = subprocess.Popen(
                ["ip", "netns", "exec", "hub", program, str(self.delay), *ports], stdout=subprocess.PIPE)
            # It prints a line when it is ready.
            if not self.switch.stdout.readline():
                raise Failure("frames cannot be delayed")

    def make(self, space):
        ip("netns", "add", space)
        self.made.append(space)
        ip("-n", space, "link", "set", "lo", "up")

    def __exit__(self, *_):
        if self.switch:
            self.switch.kill()
            self.switch.wait()
        for space in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", space], check=False)
        self.made = []
