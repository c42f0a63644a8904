"""A log that cannot be written and a log that is not read: neither stops a node or keeps it from stopping."""

import contextlib
import fcntl
import json
import os
import pty
import resource
import subprocess

from alone import Alone
from network import PATIENCE, change, expect, wait

# The maximum time in which a node stops when its log is not read, in seconds.
END = 5
# The size limit of a log file, in bytes.
LIMIT = 1 << 20


class LoggingTo:
    """A node that commits a block every half second and logs to the descriptor `error`."""

    def __init__(self, apus, directory, error, before=None):
        self.node = Alone(apus, directory)
        change(f"{self.node.root}/config.toml", 'empty_block_timeout = "1m"', 'empty_block_timeout = "500ms"')
        self.error, self.before = error, before

    def __enter__(self):
        self.node.process = subprocess.Popen(
            [self.node.apus, "run", "--root", self.node.root], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.error, preexec_fn=self.before)
        return self

    def __exit__(self, *_):
        self.node.kill()

    def height(self):
        expect(self.node.process.poll() is None, f"the node stopped: {self.node.process.poll()}")
        status = self.node.status()
        return int(status["height"]) if status else 0

    def goes_on(self, blocks=3):
        wait(lambda: None if self.height() else "no block")
        aim = self.height() + blocks
        wait(lambda: None if self.height() >= aim else f"stuck at height {self.height()}")

    def ends(self):
        self.node.process.terminate()
        code = self.node.process.wait(END)
        self.node.process = None
        expect(code == 0, f"exit code {code}")


def log_reader_goes_away(apus, directory):
    reader, writer = os.pipe()
    with LoggingTo(apus, directory, writer) as log:
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        log.goes_on()
        log.ends()


def log_on_a_full_device(apus, directory):
    with open("/dev/full", "wb") as full, LoggingTo(apus, directory, full) as log:
        log.goes_on()
        log.ends()


def no_standard_error(apus, directory):
    with LoggingTo(apus, directory, None, lambda: os.close(2)) as log:
        log.goes_on()
        # No file of the node has taken the descriptor's place, and writes to it fail.
        error = os.readlink(f"/proc/{log.node.process.pid}/fd/2")
        expect(error == "/", error)
        log.ends()


def log_nobody_reads(apus, directory):
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * (size - 1) + b"\n")
    with LoggingTo(apus, directory, writer) as log:
        log.goes_on()
        log.ends()
    # A second node finds the pipe full as well; then its log is read.
    os.mkdir(f"{directory}/again")
    with LoggingTo(apus, f"{directory}/again", writer) as log:
        log.goes_on()
        read = os.read(reader, size)
        with os.fdopen(reader, "rb") as lines:
            os.close(writer)
            wait(lambda: None if b"node started" in lines.readline() else "no log")
            log.goes_on(1)
            log.ends()
            rest = lines.read()
    expect(b"block committed" in rest and b"were lost" not in read + rest, rest)


@contextlib.contextmanager
def full_log_file(apus, directory):
    """A node whose log file has reached the process's size limit, and the file's path."""
    file = f"{directory}/full.log"
    with open(file, "wb") as log:
        log.write(b"x" * (LIMIT - 1) + b"\n")
    with open(file, "ab") as full:
        with LoggingTo(apus, directory, full, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))) as log:
            yield log, file


def log_at_its_size_limit(apus, directory):
    with full_log_file(apus, directory) as (log, file):
        log.goes_on()
        log.ends()
    expect(os.path.getsize(file) == LIMIT, os.path.getsize(file))


def log_file_makes_room(apus, directory):
    """The log reports lost events once, as soon as there is room."""
    with full_log_file(apus, directory) as (log, file):
        log.goes_on()
        os.truncate(file, 0)
        log.goes_on()
        log.ends()
    with open(file) as text:
        lines = text.read().splitlines()
    expect('log events were lost events=' in lines[0] and 'reason="File too large"' in lines[0], lines[0])
    expect(sum("were lost" in line for line in lines) == 1 and "block committed" in lines[1], lines)


def terminal_goes_away(apus, directory):
    terminal, end = pty.openpty()
    with LoggingTo(apus, directory, end) as log:
        os.close(end)
        os.read(terminal, 1)
        os.close(terminal)
        log.goes_on()
        log.ends()


# What a mount namespace needs for a journal of its own.
JOURNAL = """
for directory in /run/systemd /run/log /var/log; do mkdir -p $directory && mount -t tmpfs none $directory; done
mkdir /run/systemd/journal
exec /lib/systemd/systemd-journald
"""

# What systemd says to a service whose standard error is the journal's. `systemd-cat` connects it, but does not say so.
AS_SERVICE = 'JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2) exec "$@"'


@contextlib.contextmanager
def journal():
    """Runs systemd's journal in a mount namespace of its own. Yields the command that starts processes beside it."""
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-ec", JOURNAL], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    within = ["nsenter", "--target", str(process.pid), "--mount"]
    try:
        wait(lambda: None if subprocess.run(
            [*within, "test", "-S", "/run/systemd/journal/stdout"]).returncode == 0 else "no journal")
        yield within
    finally:
        process.kill()
        process.wait()


def entries(within, *matches):
    """The messages of the journal's entries with these fields."""
    out = subprocess.run(
        [*within, "journalctl", "--output=json", *matches], capture_output=True, text=True, timeout=PATIENCE, check=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


def the_journal_finds_a_peer_a_block_and_a_transaction(apus, directory):
    """One field finds all entries of each, whatever their messages."""
    node = Alone(apus, directory)
    config = f"{node.root}/config.toml"
    change(config, 'format = "plain"', 'format = "auto"')
    change(config, 'level = "info"', 'level = "debug"')
    key = f"{directory}/peer.key"
    made = subprocess.run([apus, "key", "new", key, "--json"], capture_output=True, text=True, check=True)
    peer = json.loads(made.stdout)["peer_id"]
    host, port = node.p2p.rsplit(":", 1)
    with journal() as within:
        node.process = subprocess.Popen(
            [*within, "systemd-cat", "sh", "-c", AS_SERVICE, "sh", apus, "run", "--root", node.root])
        try:
            node.answers()
            sent = node.command("tx", "send", "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)", "--key",
                                f"{node.root}/nodekey.json", "--wait", "--json")
            transaction = json.loads(sent.stdout)["tx_hash"]
            pinged = subprocess.run(
                [apus, "ping", f"/ip4/{host}/tcp/{port}", "--key", key], capture_output=True, text=True, timeout=PATIENCE)
            expect(pinged.returncode == 0, pinged.stderr)
            height = node.status()["height"]
            block = node.block_hash(int(height))
            for match, messages in (
                (f"APUS_TRANSACTION={transaction}", {"transaction accepted", "transaction committed"}),
                (f"APUS_BLOCK={block}", {"block committed", "transaction committed"}),
                (f"APUS_HEIGHT={height}", {"block committed", "transaction committed"}),
                (f"APUS_PEER={peer}", {"connected", "connection ended"}),
            ):

                def missing(match=match, messages=messages):
                    found = entries(within, match)
                    said = [entry["MESSAGE"] for entry in found]
                    lost = [text for text in messages if not any(line.startswith(text) for line in said)]
                    return f"{match} finds {said}, not {lost}" if lost else None

                wait(missing)
            committed = entries(within, f"APUS_TRANSACTION={transaction}", "APUS_CODE=0")
            expect(len(committed) == 1 and committed[0]["PRIORITY"] == "7", str(committed))
            expect(committed[0]["_TRANSPORT"] == "journal" and committed[0]["SYSLOG_IDENTIFIER"] == "apus",
                   str(committed))
        finally:
            node.kill()


def a_log_that_programs_read_is_json(apus, directory):
    node = Alone(apus, directory)
    change(f"{node.root}/config.toml", 'format = "plain"', 'format = "auto"')
    with node:
        pass
    with open(node.log) as log:
        lines = [json.loads(line) for line in log]
    expect(any(line["message"] == "node started" for line in lines), str(lines))


TESTS = [
    a_log_that_programs_read_is_json, the_journal_finds_a_peer_a_block_and_a_transaction,
    log_reader_goes_away, log_on_a_full_device, no_standard_error, log_nobody_reads, log_at_its_size_limit,
    log_file_makes_room, terminal_goes_away,
]
