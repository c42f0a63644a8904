"""Operation of a node: signals, listen addresses, transactions across a restart, oversized requests."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

from alone import Alone
from cases.bad_input import refused
from network import PATIENCE, change, expect, free_ports, wait


def last_lines(node):
    with open(node.log, errors="replace") as log:
        return log.read()


def signals_end_a_node_in_order_or_are_ignored(apus, directory):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Alone(apus, f"{directory}/{number.name}") as node:
            for ignored in (
                    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGPROF, signal.SIGSTKFLT,
                    signal.SIGRTMIN, signal.SIGRTMAX):
                node.process.send_signal(ignored)
            time.sleep(0.3)
            expect(node.status() is not None, "an irrelevant signal stopped the node")
            node.process.send_signal(number)
            code = node.process.wait(PATIENCE)
            expect(code == 0, f"{number.name}: exit code {code}")
            expect(number.name in last_lines(node), last_lines(node))


def a_node_stops_whatever_it_does(apus, directory):
    """A heavy query, a client that waits for a commit, and one that reads no answers do not keep a node from stopping."""
    with Alone(apus, directory) as node:
        node.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)")
        endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
        large = "SELECT hex(zeroblob(4000000))"
        key = f"{node.root}/nodekey.json"
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(8))
            asked = [pool.submit(node.ask, endless) for _ in range(4)]
            # Its nonce has a gap: it is never committed.
            waits = node.apus, "tx", "send", "SELECT 2", "--key", key, "--nonce", "9", "--wait", "--rpc", node.rpc
            waiting = subprocess.Popen(waits, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(waiting.wait)
            host, port = node.rpc.split(":")
            deaf = stack.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "user.query", "params": {"query": large}})
            deaf.sendall(f"POST /rpc/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            time.sleep(0.5)
            expect(node.stop() == 0, last_lines(node))
            # Each client got an error, or lost its connection.
            for future in asked:
                expect(future.exception(PATIENCE) or "closed" in future.result()[1], "an endless query was answered")
        node.start()
        node.answers()
        expect(node.query("SELECT count(*) FROM t") == [["0"]], "the table is lost")


def exit_with_parent_needs_something_that_ends(apus, directory):
    with Alone(apus, directory) as node:
        run = [apus, "run", "--root", node.root, "--exit-with-parent"]
        refused(run, "--exit-with-parent", "standard input")
        out = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *run], capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 1 and "--exit-with-parent" in out.stderr, f"{out.returncode}: {out.stderr}")


def one_sender_sends_twice_within_a_block(apus, directory):
    with Alone(apus, directory) as node:
        key = f"{node.root}/nodekey.json"
        for number in range(5):
            out = node.command("tx", "send", f"SELECT {number}", "--key", key)
            expect(out.returncode == 0, out.stderr)
        wait(lambda: None if node.status()["transactions"] == "5" else f"{node.status()['transactions']} are committed")


def what_waits_outlives_a_restart(apus, directory):
    with Alone(apus, directory) as node:
        key = f"{node.root}/nodekey.json"
        # It waits for a transaction with nonce 1, which was never sent.
        out = node.command("tx", "send", "SELECT 2", "--key", key, "--nonce", "2")
        expect(out.returncode == 0, out.stderr)
        node.process.send_signal(signal.SIGTERM)
        expect(node.process.wait(PATIENCE) == 0, "the node did not stop cleanly")
        expect(os.path.exists(f"{node.root}/mempool"), "no mempool file")
        node.start()
        wait(lambda: None if node.status() else "the node does not answer")
        out = node.command("tx", "send", "SELECT 1", "--key", key, "--nonce", "1", "--wait")
        expect(out.returncode == 0, out.stderr)
        wait(lambda: None if node.status()["transactions"] == "2" else "the second is not committed")


def a_request_that_is_too_large_is_answered(apus, directory):
    with Alone(apus, directory) as node:
        for size in (9_000_000, 60_000_000):
            connection = http.client.HTTPConnection(node.rpc, timeout=60)
            with contextlib.closing(connection):
                connection.request("POST", "/rpc/v1", b" " * size, {"Content-Type": "application/json"})
                response = connection.getresponse()
                body = json.loads(response.read())
                expect(response.status == 413, f"HTTP {response.status}")
                expect(body["error"]["code"] == -32005 and "max_req_size" in body["error"]["message"], str(body))
        # A client that sends slowly gets the answer, too.
        host, port = node.rpc.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as slow:
            slow.sendall(b"POST /rpc/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n")
            for _ in range(8):
                slow.sendall(b" " * 100_000)
                time.sleep(1)
            expect(slow.recv(100).startswith(b"HTTP/1.1 413 "), "no answer")


def addresses_are_lists_and_have_one_form(apus, directory):
    node = Alone(apus, directory)
    more = [f"127.0.0.1:{port}" for port in free_ports(2)]
    config = f"{node.root}/config.toml"
    change(config, f'listen = "{node.rpc}"', f'listen = ["{node.rpc}", "localhost:{more[0].rsplit(":", 1)[1]}"]')
    change(config, f'listen = "{node.p2p}"', f'listen = ["{node.p2p}", "{more[1]}"]')
    with node:
        other = f"localhost:{more[0].rsplit(':', 1)[1]}"
        out = subprocess.run([apus, "status", "--rpc", other], capture_output=True, text=True, timeout=PATIENCE)
        expect(out.returncode == 0, out.stderr)
        with socket.create_connection(tuple(more[1].rsplit(":", 1)), timeout=5):
            pass
    for key, text in (
        ("rpc.listen", '[rpc]\nlisten = "::1:6600"\n'), ("p2p.listen", '[p2p]\nlisten = "::1:6600"\n'),
        ("p2p.security", "[p2p]\nsecurity = []\n"), ("p2p.external_address", '[p2p]\nexternal_address = "0.0.0.0:1"\n'),
        ("p2p.bootnodes", '[p2p]\nbootnodes = ["nobody"]\n'),
    ):
        with open(config, "w") as file:
            file.write(text)
        refused([apus, "run", "--root", node.root], f"{config}:2:", key)


def too_few_descriptors_are_named(apus, directory):
    node = Alone(apus, directory)
    for limit in (4, 6, 8, 12, 16, 20, 24, 127):
        out = subprocess.run(
            [apus, "run", "--root", node.root], capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        expect(out.returncode != 0 and "ulimit -n" in out.stderr, f"{limit}: {out.returncode}: {out.stderr}")


def genesis_that_cannot_work_is_refused(apus, directory):
    refused([apus, "init", "--root", f"{directory}/a", "--chain-id", "x" * 500], "chain_id", "494")
    node = Alone(apus, directory)
    change(f"{node.root}/genesis.json", r'"max_block_size": \d+', '"max_block_size": 300000000')
    refused([apus, "run", "--root", node.root], "max_block_size", "270000000")


def no_simulation_in_the_program(apus, directory):
    """Looks for modules in mangled names, after their lengths. The simulator has them all, which proves the search."""
    def modules(program):
        symbols = subprocess.run(["nm", program], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
        return set(re.findall(r"7Reactor|9VirtualIO|10Simulation|CheapCrypto", symbols))

    expect(modules(apus) == {"7Reactor"}, f"{apus}: {modules(apus)}")
    expect(len(modules(f"{apus}-sim")) == 4, f"{apus}-sim: {modules(f'{apus}-sim')}")


TESTS = [
    signals_end_a_node_in_order_or_are_ignored, a_node_stops_whatever_it_does,
    exit_with_parent_needs_something_that_ends,
    one_sender_sends_twice_within_a_block,
    what_waits_outlives_a_restart,
    a_request_that_is_too_large_is_answered,
    addresses_are_lists_and_have_one_form,
    too_few_descriptors_are_named,
    genesis_that_cannot_work_is_refused,
    no_simulation_in_the_program,
]
