"""A log that cannot be written and a log that is not read: neither stops a node or keeps it from stopping."""

import contextlib
import fcntl
import os
import pty
import resource
import subprocess

from alone import Alone
from network import change, expect, wait

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


TESTS = [
    log_reader_goes_away, log_on_a_full_device, no_standard_error, log_nobody_reads, log_at_its_size_limit,
    log_file_makes_room, terminal_goes_away,
]
