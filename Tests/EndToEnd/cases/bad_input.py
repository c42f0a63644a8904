"""Operators' mistakes: each gives an exit code and one line that names the mistake and its place."""

import fcntl
import glob
import json
import os
import random
import re
import signal
import socket
import subprocess
import time

from alone import Alone
from cases.testnet import children
from network import PATIENCE, change, expect, free_ports, wait


def refused(arguments, *words, code=None):
    """Runs a command, which must fail with one line that contains the words."""
    out = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    expect(out.returncode > 0 if code is None else out.returncode == code,
           f"{arguments}: exit code {out.returncode}: {out.stdout}{out.stderr}")
    # The node may have started to log.
    lines = [line for line in out.stderr.splitlines()
             if not re.match(r'[0-9TZ:.-]+ (info|warning) |{"time":"[^"]+","level":"(info|warning)"', line)]
    expect(len(lines) == 1, f"expected one line: {out.stderr!r}")
    for word in words:
        expect(str(word) in lines[0], f"{lines[0]!r} lacks {word!r}")


def refused_start(node, *words):
    refused([node.apus, "run", "--root", node.root], *words)


def bad_flags(apus, directory):
    simulate, testnet = [f"{apus}-sim", "simulate"], [apus, "testnet", "--root", f"{directory}/t"]
    for arguments, word in (
        ([apus], "needs a command"), ([apus, "tx"], "needs a command"), ([apus, "frobnicate"], "frobnicate"),
        ([apus, "run", "--rooot", "x"], 'did you mean "--root"'),
        ([apus, "run", "--roo", "x"], 'did you mean "--root"'),
        ([apus, "status", "--rpc", "nowhere"], "--rpc"),
        ([*testnet, "--validators", "many"], "--validators"), ([*testnet, "--validators", "0"], "--validators"),
        ([*testnet, "--sentries", "51"], "--sentries"), ([*testnet, "--reactor", "kqueue"], "--reactor"),
        ([*simulate, "--nodes", "99999999999", "--no-faults", "--blocks", "1"], "--nodes"),
        ([*simulate, "--validators", "0"], "--validators"), ([*simulate, "--jobs", "0"], "--jobs"),
        ([*simulate, "--nodes", "2", "--validators", "5"], "--validators 5"),
        ([*simulate, "--seeds", "1-99999999999999999"], "--seeds"),
        ([apus, "query", "SELECT $a", "-p", "a=1", "-p", "$a=2"], "given twice"),
        ([apus, "query", b"SELECT '\xff'"], "UTF-8"),
    ):
        refused(arguments, word, code=64)
    refused([apus, "testnet", "--input", f"{directory}/absent.csv", "--root", f"{directory}/t"], "absent.csv", code=1)
    refused([apus, "status", "--rpc", f"127.0.0.1:{free_ports(1)[0]}"], "127.0.0.1", code=1)
    refused([apus, "run", "--root", f"{directory}/absent"], "absent", code=1)
    refused([apus, "config", "--root", f"{directory}/absent"], "absent", code=1)
    refused([*simulate, "--seed", "1", "--trace", f"{directory}/absent/x"], "absent/x", code=1)
    out = subprocess.run(
        [apus, "key", "new", f"{directory}/k", "--type", "ed25519"], capture_output=True, text=True, timeout=PATIENCE,
        env={**os.environ, "POSIXLY_CORRECT": "1"})
    expect("#ed25519" in out.stdout, "the environment changes how the command line is read")


def output_that_cannot_be_written(apus, directory):
    """Standard output that is full, closed, or a pipe without a reader."""
    node = Alone(apus, directory)
    with Running(node):
        rpc = ["--rpc", node.rpc]
        for number, arguments in enumerate((
            ["--help"], ["--version"], ["simulate", "--list"], ["config"], ["config", "--markdown"],
            ["key", "show", f"{node.root}/nodekey.json"], ["key", "new"], ["status", *rpc], ["validators", *rpc],
            ["query", "SELECT 1", *rpc], ["simulate", "--seed", "1", "--blocks", "1", "--no-faults", "--nodes", "1"],
        )):
            for how in ("full", "closed", "gone"):
                new = [f"{directory}/{number}-{how}.key"] if arguments == ["key", "new"] else []
                program = f"{apus}-sim" if arguments[0] == "simulate" else apus
                read, write = os.pipe()
                os.close(read)
                with open("/dev/full", "wb") as full:
                    out = subprocess.run(
                        ["sh", "-c", 'exec "$@"' + (" >&-" if how == "closed" else ""), "sh", program, *arguments, *new],
                        stdout={"full": full, "closed": None, "gone": write}[how], stderr=subprocess.PIPE, text=True,
                        timeout=PATIENCE)
                os.close(write)
                expect(out.returncode == 1, f"{how}: {arguments}: exit code {out.returncode}: {out.stderr}")
                lines = out.stderr.splitlines()
                expect(len(lines) == 1 and "standard output" in lines[0], f"{how}: {arguments}: {out.stderr!r}")
        expect(node.status() is not None, "the node stopped")


def errors_that_cannot_be_written(apus, directory):
    with open("/dev/full", "wb") as full:
        out = subprocess.run([apus, "run", "--root", f"{directory}/absent"], stderr=full, timeout=PATIENCE)
    expect(out.returncode == 1, f"exit code {out.returncode}")
    out = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", apus, "frobnicate"], timeout=PATIENCE)
    expect(out.returncode == 64, f"exit code {out.returncode}")
    # A full pipe whose reader does not read must not keep the process from ending.
    reader, writer = os.pipe()
    try:
        size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * size)
        out = subprocess.run([apus, "run", "--root", f"{directory}/absent"], stderr=writer, timeout=PATIENCE)
        expect(out.returncode == 1, f"exit code {out.returncode}")
    finally:
        os.close(reader)
        os.close(writer)


def without_proc(apus, directory):
    """In a service or container without /proc a node runs, and reports mistakes."""
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    refused([*hide, apus, "run", "--rooot", "x"], 'did you mean "--root"', code=64)
    refused([*hide, apus, "run", "--root", f"{directory}/absent"], "absent", code=1)
    node = Alone(apus, directory)
    process = subprocess.Popen([*hide, apus, "run", "--root", node.root], stderr=subprocess.DEVNULL)
    try:
        wait(lambda: None if node.status() else f"no answer; exit code {process.poll()}")
        # The thread pool of libdispatch may end a process that has no /proc, though seldom.
        names = [open(name).read().strip() for name in glob.glob(f"/proc/{process.pid}/task/*/comm")]
        expect("apus-reactor" in names, f"no reactor among the threads {names}")
        expect(not any("qos" in name for name in names), f"libdispatch has threads: {names}")
        process.terminate()
        expect(process.wait(timeout=PATIENCE) == 0, "the node did not stop cleanly")
    finally:
        process.kill()
        process.wait()


def end_of_input_ends_the_node(apus, directory):
    node = Alone(apus, directory)
    out = subprocess.run(
        [apus, "run", "--root", node.root, "--exit-with-parent"], input=b"", capture_output=True, timeout=PATIENCE)
    expect(out.returncode == 0, f"exit code {out.returncode}: {out.stderr}")


def second_signal_ends_at_once(apus, directory):
    """Two signals for one request count once: timeout(1) signals a process and then its group."""
    node = Alone(apus, directory)
    node.start()
    try:
        wait(lambda: None if node.status() else "no answer")
        for _ in range(5):
            node.process.send_signal(signal.SIGTERM)
        expect(node.process.wait(timeout=PATIENCE) == 0, "the node did not stop cleanly")
    finally:
        node.kill()
    file = f"{directory}/rows.csv"
    with open(file, "w") as rows:
        rows.write("a\n" + "1\n" * 20)
    testnet = subprocess.Popen(
        [apus, "testnet", "--input", file, "--root", f"{directory}/net", "--validators", "1", "--keep"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    nodes = []
    try:
        wait(lambda: None if len(children(testnet.pid)) == 3 else "no nodes")
        nodes = children(testnet.pid)
        # The command waits ten seconds for nodes that do not stop.
        for pid in nodes:
            os.kill(pid, signal.SIGSTOP)
        testnet.send_signal(signal.SIGINT)
        time.sleep(1)
        testnet.send_signal(signal.SIGINT)
        expect(testnet.wait(timeout=5) == 128 + signal.SIGINT, f"exit code {testnet.returncode}")
    finally:
        for pid in nodes:
            os.kill(pid, signal.SIGKILL)
        testnet.kill()
        testnet.wait()


def bad_configuration(apus, directory):
    node = Alone(apus, directory)
    file = f"{node.root}/config.toml"
    with open(file, "rb") as f:
        good = f.read()
    for content, word in (
        (good + b"\n[extra]\nkey = 1\n", "extra.key"),
        (b"[p2p]\nlisten = 5\n", "p2p.listen"),
        (b"[p2p\n", "config.toml"),
        (b"[log]\nlevel = \"\xff\xfe\"\n", "config.toml"),
        (b"[p2p]\nlisten = \"somewhere\"\n", "somewhere"),
        (b"[p2p]\nbootnodes = [\"xyz@127.0.0.1:1\"]\n", "xyz"),
        (b"[rpc]\nlisten = \"somewhere\"\n[p2p]\nlisten = \"127.0.0.1:0\"\n", "somewhere"),
    ):
        with open(file, "wb") as f:
            f.write(content)
        refused_start(node, word)


def bad_genesis(apus, directory):
    node = Alone(apus, directory)
    file = f"{node.root}/genesis.json"
    with open(file) as f:
        good = json.load(f)
    for content in ("", "{", "[]", json.dumps({**good, "validators": []}), json.dumps({**good, "chain_id": 5}),
                    json.dumps({**good, "leader": {"type": "secp256k1", "key": "00"}})):
        with open(file, "w") as f:
            f.write(content)
        refused_start(node, "genesis.json")
    os.remove(file)
    refused_start(node, "genesis.json")


def key_file_for_all_eyes(apus, directory):
    node = Alone(apus, directory)
    os.chmod(f"{node.root}/nodekey.json", 0o644)
    refused_start(node, "nodekey.json", "644")


def busy_ports(apus, directory):
    node = Alone(apus, directory)
    for address in (node.p2p, node.rpc):
        host, port = address.split(":")
        with socket.socket() as busy:
            busy.bind((host, int(port)))
            busy.listen()
            refused_start(node, port)


def busy_root(apus, directory):
    node = Alone(apus, directory)
    with Running(node):
        change(f"{node.root}/config.toml", node.p2p, f"127.0.0.1:{free_ports(1)[0]}")
        refused_start(node, node.root)


class Running:
    def __init__(self, node):
        self.node = node

    def __enter__(self):
        self.node.start()
        wait(lambda: None if self.node.status() else f"{self.node.name} does not answer")

    def __exit__(self, *_):
        self.node.kill()


def fill(node):
    """Commits some blocks and stops the node."""
    with Running(node):
        key = f"{node.root}/nodekey.json"
        for nonce, sql in enumerate(["CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT)"] + [
                f"INSERT INTO t VALUES ({i}, '{i}')" for i in range(5)], start=1):
            out = node.command("tx", "send", sql, "--key", key, "--nonce", str(nonce), "--wait")
            expect(out.returncode == 0, out.stderr)
        status = node.status()
        expect(node.stop() == 0, "the node did not stop cleanly")
    return status


def same_as_before(node, before):
    with Running(node):
        status = node.status()
        for key in ("height", "block", "app hash"):
            expect(status[key] == before[key], f"{key}: {status[key]}, was {before[key]}")
        expect(len(node.query("SELECT id FROM t")) == 5, "rows are missing")


def flipped_byte_in_the_block_log(apus, directory):
    node = Alone(apus, directory)
    fill(node)
    segment = glob.glob(f"{node.root}/blocks/*.blocks")[0]
    with open(segment, "rb") as f:
        good = f.read()
    # A start reads the blocks that the index lacks, and the last block in any case, whose results come last.
    for _ in range(5):
        place = len(good) - random.randrange(1, 60)
        with open(segment, "wb") as f:
            f.write(good[:place] + bytes([good[place] ^ 0x40]) + good[place + 1:])
        refused_start(node, os.path.basename(segment))


def garbage_index_is_rebuilt(apus, directory):
    node = Alone(apus, directory)
    before = fill(node)
    index = f"{node.root}/blocks/index"
    files = [index] if os.path.isfile(index) else [f for f in glob.glob(f"{index}/*") if os.path.isfile(f)]
    for file in files:
        with open(file, "wb") as f:
            f.write(os.urandom(5000))
    same_as_before(node, before)


def lost_application_is_executed_again(apus, directory):
    node = Alone(apus, directory)
    before = fill(node)
    for file in glob.glob(f"{node.root}/application/*"):
        os.remove(file)
    same_as_before(node, before)


def garbage_application_is_refused(apus, directory):
    node = Alone(apus, directory)
    fill(node)
    for file in glob.glob(f"{node.root}/application/*"):
        with open(file, "wb") as f:
            f.write(os.urandom(5000))
    refused_start(node, "application")


def garbage_address_book_is_no_hindrance_or_one_line(apus, directory):
    node = Alone(apus, directory)
    with open(f"{node.root}/addrbook.json", "wb") as f:
        f.write(os.urandom(500))
    node.start()
    try:
        wait(lambda: None if node.status() or node.process.poll() is not None else "no answer")
        if node.process.poll() is not None:
            node.process = None
            refused_start(node, "addrbook.json")
    finally:
        node.kill()


def bad_requests(apus, directory):
    node = Alone(apus, directory)
    key = f"{directory}/stranger.json"
    subprocess.run([apus, "key", "new", key], check=True, stdout=subprocess.DEVNULL)
    with Running(node):
        rpc = ["--rpc", node.rpc]
        refused([apus, "query", "SELEC", *rpc], "SELEC")
        refused([apus, "query", "DROP TABLE grants", *rpc])
        refused([apus, "tx", "show", "00" * 32, *rpc])
        refused([apus, "tx", "send", "SELECT 1", "--key", key, "--nonce", "0", *rpc], "nonce")
        refused([apus, "tx", "send", "CREATE TABLE x (a)", "--key", key, "--wait", *rpc], "failed")
        refused([apus, "tx", "send", "SELECT 1", "--key", f"{directory}/absent", *rpc], "absent")
        expect(node.status() is not None, "the node stopped")


def hostile_texts_stay_in_their_cells(apus, directory):
    node = Alone(apus, directory)
    key = ["--key", f"{node.root}/nodekey.json", "--wait"]
    cells = {
        "char(27) || '[31m' || char(7)": r"\x1b[31m\x07", "'a' || char(10) || '3' || char(9) || 'b'": r"a\n3\tb",
        "NULL": "NULL", "''": "", "'NULL'": '"NULL"', "'7'": '"7"', "7": "7", "'x''00ff'''": "\"x'00ff'\"",
        r"'a\tb'": r"a\\tb", "char(8238)": r"\u{202e}", "'AP8='": "AP8=", "x'00ff'": "x'00ff'", "1.5": "1.5",
        "'1.5'": '"1.5"',
    }
    with Running(node):
        for sql in ("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v)",
                    "INSERT INTO t (v) VALUES " + ", ".join(f"({value})" for value in cells)):
            out = node.command("tx", "send", sql, *key)
            expect(out.returncode == 0, out.stderr)
        out = node.command("query", 'SELECT v AS "c\t\x1b" FROM t ORDER BY id').stdout
        expect(out.split("\n") == [r"c\t\x1b", *cells.values(), ""], repr(out))
        shown = node.command("query", "SELECT \x1b").stderr
        expect("\x1b" not in shown, repr(shown))


TESTS = [
    bad_flags, output_that_cannot_be_written, errors_that_cannot_be_written, without_proc, end_of_input_ends_the_node,
    second_signal_ends_at_once, hostile_texts_stay_in_their_cells, bad_configuration, bad_genesis, key_file_for_all_eyes, busy_ports, busy_root,
    flipped_byte_in_the_block_log, garbage_index_is_rebuilt, lost_application_is_executed_again,
    garbage_application_is_refused, garbage_address_book_is_no_hindrance_or_one_line, bad_requests,
]
