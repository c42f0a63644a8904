"""The systemd units: their confinement, notifications, reload, watchdog, credentials and passed sockets.

systemd itself does not run here. `unit_sandbox.py` reads the unit and confines the node as systemd would.
"""

import contextlib
import ctypes
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from alone import Alone
from network import PATIENCE, change, expect, wait

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNITS = os.path.join(HERE, "../../systemd")
SANDBOX = os.path.join(HERE, "unit_sandbox.py")
# The greatest exposure that `systemd-analyze security` may find, times ten.
EXPOSURE = 15
# Rows that a node must still have after a crash.
ROWS = 5
# From <linux/ptrace.h> and <linux/wait.h>.
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000
# Starts a program with the socket of its first argument as descriptor 3, meant for it.
PASS = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.execvp(sys.argv[2], sys.argv[2:])")


class Notifications:
    """A socket that takes a service's notifications, as systemd's does."""

    def __init__(self):
        self.name = f"@apus-test-{os.getpid()}-{time.monotonic_ns()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:])

    def next(self, patience=PATIENCE):
        """The assignments of the next datagram; None if there is none in time."""
        self.socket.settimeout(patience)
        try:
            return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().splitlines())
        except (TimeoutError, BlockingIOError):
            return None

    def until(self, key):
        """The first datagram with this key."""
        end = time.monotonic() + PATIENCE
        # Others, such as WATCHDOG=1, go on for as long as the service runs.
        while found := self.next(patience=max(end - time.monotonic(), 0)):
            if key in found:
                return found
        raise AssertionError(f"no {key}= was sent")

    def drain(self):
        while self.next(patience=0) is not None:
            pass


class Service(Alone):
    """A node that runs under a unit."""

    def __init__(self, apus, directory, unit="apus.service", more=()):
        super().__init__(apus, directory)
        self.unit, self.more = os.path.join(UNITS, unit), more
        self.notifications = Notifications()
        self.variables, self.passed = {}, None
        os.chown(self.root, 64_000, 64_000)
        for path, _, files in os.walk(self.root):
            for name in files:
                os.chown(os.path.join(path, name), 64_000, 64_000)

    def __enter__(self):
        self.start()
        return self

    def start(self):
        """Starts the service and waits until it is ready."""
        command = [sys.executable, SANDBOX, self.unit, self.apus, self.root, *self.more]
        if self.passed:
            command = [sys.executable, "-c", PASS, str(self.passed.fileno()), *command]
        environment = {
            "PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.notifications.name, "WATCHDOG_USEC": "1000000",
            "WATCHDOG_PID": "-", **self.variables,
        }
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                pass_fds=[self.passed.fileno()] if self.passed else [])
        while True:
            found = self.notifications.next(patience=0.2)
            if found and "READY" in found:
                return
            expect(self.process.poll() is None, f"the service ended: {self.text()}")

    def text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def reload(self):
        self.notifications.drain()
        self.process.send_signal(signal.SIGHUP)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        begun = self.notifications.until("RELOADING")
        expect(abs(int(begun["MONOTONIC_USEC"]) - before) < PATIENCE * 1_000_000, f"{begun}")
        self.notifications.until("READY")

    def thread(self, name):
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/comm"):
            with open(path) as file:
                if file.read().strip() == name:
                    return int(path.split("/")[-2])
        raise AssertionError(f"no thread {name}")


@contextlib.contextmanager
def stopped_thread(thread):
    """Stops one thread of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    trace = lambda request: libc.ptrace(request, ctypes.c_long(thread), ctypes.c_void_p(0), ctypes.c_void_p(0))
    expect(trace(PTRACE_SEIZE) == 0, f"ptrace: {os.strerror(ctypes.get_errno())}")
    expect(trace(PTRACE_INTERRUPT) == 0, f"ptrace: {os.strerror(ctypes.get_errno())}")
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        trace(PTRACE_DETACH)


def a_service_starts_works_and_stops_under_its_unit(apus, directory):
    with Service(apus, directory) as node:
        # It is ready, so it answers.
        status = node.status()
        expect(status is not None, "the node is ready but does not answer")
        expect(status["reactor"] == "io_uring", f"reactor: {status['reactor']}\n{node.text()}")
        with open(f"/proc/{node.process.pid}/status") as file:
            lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        for name, value in (("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0" * 16), ("CapBnd", "0" * 16)):
            expect(lines[name] == value, f"{name} is {lines[name]}")
        expect("leader at height" in node.notifications.until("STATUS")["STATUS"], "no status of the running node")
        node.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)")
        for row in range(ROWS):
            node.commit(f"INSERT INTO t VALUES ({row})")
        expect(node.query("SELECT count(*) FROM t") == [[str(ROWS)]], f"wrong answer\n{node.text()}")
        expect("less protection" not in node.text() and "queries run inside" not in node.text(), node.text())
        # A crash, as of a lost machine.
        node.kill()
        node.start()
        expect(node.query("SELECT count(*) FROM t") == [[str(ROWS)]], f"wrong answer after a crash\n{node.text()}")
        node.notifications.drain()
        node.process.send_signal(signal.SIGTERM)
        node.notifications.until("STOPPING")
        code = node.process.wait(PATIENCE)
        expect(code == 0, f"exit code {code}\n{node.text()}")


def a_unit_may_forbid_io_uring(apus, directory):
    more = ["SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register"]
    with Service(apus, directory, more=more) as node:
        expect(node.status()["reactor"].startswith("epoll (io_uring refused"), f"{node.status()}")


def reload_changes_what_it_can_and_names_the_rest(apus, directory):
    with Service(apus, directory) as node:
        file = f"{node.root}/config.toml"
        change(file, r'(?m)^level = "info"', 'level = "debug"')
        change(file, r"(?m)^max_req_size = 0", "max_req_size = 2000")
        change(file, r'(?m)^format = "[^"]*"', 'format = "json"')
        node.reload()
        wait(lambda: None if "log.level rpc.max_req_size" in node.text() else "nothing was reloaded: " + node.text())
        wait(lambda: None if re.search("needs a restart.*log.format", node.text()) else "log.format is not named")
        status, answer = node.ask("SELECT '" + "x" * 3000 + "'")
        expect(status == 413, f"HTTP {status}: {answer}")
        change(file, r'(?m)^level = "debug"', 'level = "loud"')
        change(file, r"(?m)^max_req_size = 2000", "max_req_size = 0")
        node.reload()
        wait(lambda: None if re.search(r"not reloaded.*config\.toml:\d+:\d+: log\.level", node.text()) else node.text())
        status, answer = node.ask("SELECT '" + "x" * 3000 + "'")
        expect(status == 413, f"an invalid file has changed something: HTTP {status}")


def a_stuck_thread_stops_the_watchdog(apus, directory):
    with Service(apus, directory) as node:
        for name in ("apus-reactor", "apus-http"):
            node.notifications.until("WATCHDOG")
            with stopped_thread(node.thread(name)):
                # What the node had sent before it was stopped.
                node.notifications.drain()
                while found := node.notifications.next(patience=1.5):
                    expect("WATCHDOG" not in found, f"{name} is stuck, but WATCHDOG=1 came")
            node.notifications.until("WATCHDOG")


def a_key_comes_as_a_credential(apus, directory):
    with contextlib.ExitStack() as stack:
        node = Service(apus, directory)
        stack.callback(node.kill)
        # As systemd passes them: not in the state directory, and readable by the service only.
        os.mkdir(f"{node.root}/credentials", 0o500)
        os.rename(f"{node.root}/nodekey.json", f"{node.root}/credentials/nodekey.json")
        os.chmod(f"{node.root}/credentials/nodekey.json", 0o400)
        os.chown(f"{node.root}/credentials", 64_000, 64_000)
        node.variables["CREDENTIALS_DIRECTORY"] = "/var/lib/apus/credentials"
        node.start()
        expect(node.status() is not None, "the node does not answer")


def systemd_may_listen_for_clients(apus, directory):
    with contextlib.ExitStack() as stack:
        node = Service(apus, directory)
        stack.callback(node.kill)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        node.rpc = f"127.0.0.1:{listener.getsockname()[1]}"
        node.variables.update(LISTEN_FDS="1", LISTEN_FDNAMES="apus-rpc")
        node.passed = listener
        node.start()
        expect(node.status() is not None, "the node does not answer on the passed socket")
        expect(node.query("SELECT 1") == [["1"]], "the node does not answer queries")
        node.process.send_signal(signal.SIGTERM)
        expect(node.process.wait(PATIENCE) == 0, node.text())
        # The socket belongs to systemd: it outlives the node, and clients wait for the next one.
        node.start()
        expect(node.status() is not None, "the node does not answer after a restart")


def hostile_variables_are_refused(apus, directory):
    node = Alone(apus, directory)
    file = open(f"{directory}/file", "w+")
    unbound = socket.socket()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener = socket.create_server(("127.0.0.1", 0))

    def refusal(word, passed, **variables):
        out = subprocess.run(
            [sys.executable, "-c", PASS, str(passed.fileno()), apus, "run", "--root", node.root], capture_output=True,
            text=True, timeout=PATIENCE, env={**os.environ, **variables}, pass_fds=[passed.fileno()])
        expect(out.returncode == 1 and word in out.stderr, f"{variables}: {out.returncode}: {out.stderr}")

    with file, unbound, udp, listener:
        for value in ("99999999999", "-1", "x", "17"):
            refusal("LISTEN_FDS", listener, LISTEN_FDS=value)
        refusal("apus-rpc", listener, LISTEN_FDS="1", LISTEN_FDNAMES="apus.socket")
        refusal("LISTEN_FDNAMES", listener, LISTEN_FDS="1", LISTEN_FDNAMES="apus-rpc:apus-rpc")
        for wrong in (file, unbound, udp):
            refusal("is no listening TCP socket", wrong, LISTEN_FDS="1", LISTEN_FDNAMES="apus-rpc")
        refusal("NOTIFY_SOCKET", listener, NOTIFY_SOCKET="relative", LISTEN_FDS="0")
        refusal("WATCHDOG_USEC", listener, WATCHDOG_USEC="soon", LISTEN_FDS="0")


def units_are_valid_and_confine(apus, directory):
    """Copies name the built program, because the installed one need not exist."""
    for name in os.listdir(UNITS):
        with open(f"{UNITS}/{name}") as file, open(f"{directory}/{name}", "w") as copy:
            copy.write(file.read().replace("/usr/bin/apus", apus))
    services = ["apus.service", "apus@one.service"]
    shutil.copy(f"{directory}/apus@.service", f"{directory}/apus@one.service")
    for name in [*services, "apus.socket"]:
        out = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", f"{directory}/{name}"], capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 0 and not out.stderr.strip(), f"{name}: {out.stderr}")
    for name in services:
        out = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", f"{directory}/{name}"],
            capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 0, f"{name}: {out.stdout[-200:]}{out.stderr}")
    # The two services differ in where a node lies only.
    one, several = (open(f"{UNITS}/{name}").read() for name in ("apus.service", "apus@.service"))
    lines = lambda text: [line for line in text.replace("/%i", "").replace(" %i", "").splitlines() if not line.startswith("#")]
    expect(lines(one) == lines(several), "apus@.service differs from apus.service")
    expect("ExecStart=/usr/bin/apus run --root /var/lib/apus\n" in one, "another command")


TESTS = (
    a_service_starts_works_and_stops_under_its_unit, a_unit_may_forbid_io_uring, reload_changes_what_it_can_and_names_the_rest,
    a_stuck_thread_stops_the_watchdog, a_key_comes_as_a_credential, systemd_may_listen_for_clients,
    hostile_variables_are_refused, units_are_valid_and_confine)
