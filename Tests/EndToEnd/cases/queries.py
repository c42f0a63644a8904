"""Queries that use all the time and memory they can get: each ends, and none slows anything else."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from alone import Alone
from network import expect, serve_metrics, wait

# The maximum memory of all processes of a node together, in bytes.
MEMORY = 600 << 20
# The default of queries.processes.
PROCESSES = 3

# Each is a single SQLite instruction, which nothing inside SQLite interrupts.
SLOW = "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(1000000)) || '1')"
CONSTANTS = ", ".join(f"hex(zeroblob({n}))" for n in range(4000001, 4000099))
LARGE = f"SELECT count(*) FROM (SELECT 1 AS a UNION ALL SELECT 2) WHERE max(a, {CONSTANTS}) > '' AND min(a, {CONSTANTS}) > ''"
ARRAYS = f"SELECT length(json_array({', '.join(['hex(zeroblob(4000000))'] * 50)}))"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
SORTED = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100) SELECT hex(zeroblob(2000000 + x)) AS h FROM c ORDER BY h"
ROWS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 90000) SELECT x, x, x, x, x, x, x, x, x, x FROM c"
EMPTY = f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000) SELECT {', '.join(['zeroblob(0)'] * 500)} FROM c"
COPIES = "WITH " + ", ".join(
    ["v0(x) AS (SELECT 1)"]
    + [f"v{i}(x) AS (SELECT (SELECT x FROM v{i - 1}) + (SELECT x FROM v{i - 1}))" for i in range(1, 18)]
) + " SELECT x FROM v17"

TOO_LONG = "ran for longer than"
TOO_MUCH = "MiB of memory"


def workers(node):
    """The processes that answer queries, including zombies."""
    return [int(pid) for pid in subprocess.run(
        ["pgrep", "-P", str(node.process.pid)], capture_output=True, text=True).stdout.split()]


def memory(node):
    """The resident memory of all the node's processes, in bytes."""
    total = 0
    for pid in [node.process.pid, *workers(node)]:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as status:
            found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
            total += int(found.group(1)) << 10 if found else 0
    return total


def whole(node):
    """Waits until the node has processes, no more than intended, and no zombie."""

    def complaint():
        states = []
        for pid in workers(node):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
                states.append(stat.read().rsplit(")", 1)[1].split()[0])
        return None if 1 <= len(states) <= PROCESSES and "Z" not in states else f"processes for queries: {states}"

    wait(complaint, 10)


@contextlib.contextmanager
def watched(node):
    """Samples the memory of a node's processes, which must stay bounded."""
    peak, done = [0], threading.Event()

    def sample():
        while not done.wait(0.02):
            peak[0] = max(peak[0], memory(node))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
    print(f"      peak memory {peak[0] >> 20} MiB", flush=True)
    expect(peak[0] < MEMORY, f"all processes together took {peak[0] >> 20} MiB")


def runs(node, length):
    """The number of queries that have begun in a process."""
    with urllib.request.urlopen(f"http://{node.metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return int(re.search(rf'(?m)^apus_query_runs_total{{length="{length}"}} (\d+)$', text)[1])


def times(node, count):
    """The sorted times of look-ups of accounts and health, in seconds."""
    taken = []
    for i in range(count):
        start = time.monotonic()
        if i % 2:
            status, _ = node.call("user.account", id={"identifier": f"{i:066x}", "key_type": "secp256k1"})
        else:
            status, _ = node.call("user.health")
        expect(status == 200, f"HTTP status {status}")
        taken.append(time.monotonic() - start)
    return sorted(taken)


def hostile_queries_end_and_hold_up_nobody(apus, directory):
    kinds = [
        (SLOW, TOO_LONG), (LARGE, TOO_MUCH), (ARRAYS, TOO_MUCH), (ENDLESS, TOO_LONG), (SORTED, TOO_MUCH),
        (ROWS, "column_names"), (EMPTY, "values"), (COPIES, "tokens"),
    ]
    with Alone(apus, directory) as node:
        node.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)")
        whole(node)
        quiet = times(node, 200)[100]
        with watched(node), concurrent.futures.ThreadPoolExecutor(16) as threads:
            for row, (sql, words) in enumerate(kinds):
                start = time.monotonic()
                asked = [threads.submit(node.ask, sql) for _ in range(8)]
                time.sleep(0.3)
                beside = times(node, 100)
                node.commit(f"INSERT INTO t VALUES ({row})")
                answers = [query.result() for query in asked]
                took = time.monotonic() - start
                print(
                    f"      {sql[:40]}: {took:.1f} s; look-ups {beside[50] * 1000:.1f} ms, quiet {quiet * 1000:.1f} ms",
                    flush=True)
                for status, answer in answers:
                    # Queries at the end of the queue reach their request's time limit.
                    if status == 503:
                        expect("too long" in answer or "too many" in answer, answer)
                    else:
                        # On a busy machine a query may time out before it reaches the limit.
                        expect(words in str(answer) or TOO_LONG in str(answer), f"{sql[:60]}: {str(answer)[:200]}")
                        expect(directory not in str(answer), "the error shows a path")
                expect(any(status == 200 for status, _ in answers), f"{sql[:60]}: none was answered")
                expect(took < 30, f"{sql[:60]} took {took:.1f} s")
                expect(beside[90] < 0.5, f"look-ups beside {sql[:60]} took {beside[90]:.2f} s")
        whole(node)
        expect(node.ask("SELECT count(*) FROM t")[1]["values"] == [[len(kinds)]], "rows are missing")


def a_node_stops_while_queries_run(apus, directory):
    with Alone(apus, directory) as node:
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(node.ask, SLOW)
            time.sleep(1)
            found = workers(node)
            start = time.monotonic()
            expect(node.stop() == 0, "the node did not stop cleanly")
            expect(time.monotonic() - start < 5, f"stopping took {time.monotonic() - start:.1f} s")
        left = [pid for pid in found if os.path.exists(f"/proc/{pid}")]
        expect(not left, f"processes are left: {left}")
        expect(os.listdir(f"{node.root}/application") == ["application.sqlite"], "SQLite's log is left")


def processes_end_with_their_node(apus, directory):
    with Alone(apus, directory) as node:
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            for _ in range(2):
                threads.submit(node.ask, SLOW)
            time.sleep(1)
            found = workers(node)
            expect(len(found) >= 2, f"{len(found)} processes")
            node.kill()
            wait(lambda: next((f"process {pid} is left" for pid in found if os.path.exists(f"/proc/{pid}")), None), 5)


def a_killed_process_costs_one_query(apus, directory):
    with Alone(apus, directory) as node:
        # While they are idle.
        whole(node)
        for _ in range(4):
            node.ask("SELECT 1")
        for pid in workers(node):
            os.kill(pid, signal.SIGKILL)
        answers = [node.ask("SELECT 1") for _ in range(10)]
        lost = [answer for answer in answers if not isinstance(answer[1], dict)]
        expect(len(lost) <= 2, f"lost: {lost}")
        # While they run queries.
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(node.ask, ENDLESS) for _ in range(2)]
            time.sleep(0.5)
            killed = workers(node)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            for query in asked:
                _, answer = query.result()
                expect("process ended: signal 9" in answer, answer)
        for _ in range(4):
            expect(isinstance(node.ask("SELECT 1")[1], dict), "no answer after a kill")
        whole(node)
        expect(not set(killed) & set(workers(node)), "killed processes remain")


def a_client_that_goes_ends_its_query(apus, directory):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "user.query", "params": {"query": SLOW}})
    with Alone(apus, directory) as node:
        host, port = node.rpc.split(":")
        for _ in range(8):
            client = socket.create_connection((host, int(port)))
            client.sendall(
                f"POST /rpc/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                .encode() + body.encode())
            time.sleep(0.2)
            client.close()
        start = time.monotonic()
        status, answer = node.ask("SELECT 1")
        took = time.monotonic() - start
        expect(status == 200 and answer["values"] == [[1]], str(answer))
        expect(took < 10, f"a query waited {took:.1f} s for queries of clients that have gone")
        whole(node)


def a_waiting_query_whose_client_goes_never_runs(apus, directory):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "user.query", "params": {"query": ENDLESS}})
    alone = Alone(apus, directory)
    serve_metrics(alone)
    with alone as node:
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            running = [threads.submit(node.ask, ENDLESS) for _ in range(2)]
            wait(lambda: None if runs(node, "long") == 2 else "the queries do not run")
            clients = [socket.create_connection(node.rpc.split(":")) for _ in range(4)]
            for client in clients:
                client.sendall(
                    f"POST /rpc/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                    .encode() + body.encode())
            wait(lambda: None if runs(node, "short") == 6 else "the queries do not wait")
            for client in clients:
                client.close()
            for query in running:
                expect(TOO_LONG in str(query.result()[1]), str(query.result()))
        expect(node.ask("SELECT 1")[0] == 200, "no answer")
        expect(runs(node, "long") == 2, "a query without a client ran")


def look_ups_do_not_wait_for_scans(apus, directory):
    with Alone(apus, directory) as node:
        node.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)")
        node.commit("INSERT INTO t VALUES (1), (2)")
        # The second kind is not ended by SQLite, but with its process.
        for sql in (ENDLESS, SLOW):
            with concurrent.futures.ThreadPoolExecutor(8) as threads:
                asked = [threads.submit(node.ask, sql) for _ in range(8)]
                time.sleep(0.5)
                for number in range(100):
                    status, found = node.ask(f"SELECT id FROM t WHERE id = {1 + number % 2}")
                    expect(status == 200 and found["values"] == [[1 + number % 2]], str(found))
                ended = sum(query.done() for query in asked)
                expect(ended <= 2, f"{ended} of 8 queries ended before 100 look-ups: {sql[:40]}")
                for query in asked:
                    query.result()


def blocks_are_found_beside_a_crowd_of_queries(apus, directory):
    """More queries than the server holds answers for: each ends at its own time limit or its request's."""
    with Alone(apus, directory) as node:
        node.commit("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL)")
        with concurrent.futures.ThreadPoolExecutor(60) as threads:
            asked = [threads.submit(node.ask, ENDLESS) for _ in range(60)]
            time.sleep(1)
            for _ in range(20):
                start = time.monotonic()
                status, block = node.call("chain.block", height=1)
                expect(status == 200 and block["hash"], str(block))
                expect(time.monotonic() - start < 1, f"a block took {time.monotonic() - start:.1f} s")
            for query in asked:
                status, answer = query.result()
                expect(status == 503 or TOO_LONG in str(answer), f"{status}: {answer}")
        wait(lambda: None if node.ask("SELECT 1")[0] == 200 else "queries are still refused")


def the_program_may_be_replaced(apus, directory):
    """An upgrade replaces the binary; processes started later still run the node's own program."""
    copy = f"{directory}/apus"
    subprocess.run(["cp", apus, copy], check=True)
    with Alone(copy, directory) as node:
        node.ask("SELECT 1")
        os.unlink(copy)
        with open(copy, "w") as file:
            file.write("#!/bin/false\n")
        os.chmod(copy, 0o755)
        for _ in range(3):
            for pid in workers(node):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
            answers = [node.ask("SELECT 1") for _ in range(6)]
            expect(isinstance(answers[-1][1], dict), str(answers))


TESTS = [
    hostile_queries_end_and_hold_up_nobody, a_node_stops_while_queries_run, processes_end_with_their_node,
    a_killed_process_costs_one_query, a_client_that_goes_ends_its_query,
    a_waiting_query_whose_client_goes_never_runs, look_ups_do_not_wait_for_scans,
    blocks_are_found_beside_a_crowd_of_queries, the_program_may_be_replaced,
]
