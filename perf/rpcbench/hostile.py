"""The part `hostile` of perf/bench: commits and look-ups while eight clients send queries that use every resource."""

import contextlib
import statistics
import subprocess
import threading
import time

from . import part

# A single instruction that takes minutes, endless rows, and more memory than a query may use.
QUERIES = {
    "one long instruction": "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(1000000)) || '1')",
    "endless recursion": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "sorting large rows": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100) "
                          "SELECT hex(zeroblob(2000000 + x)) AS h FROM c ORDER BY h",
    "large arrays": f"SELECT length(json_array({', '.join(['hex(zeroblob(4000000))'] * 50)}))",
}
CLIENTS = 8
COMMITS = 31
LOOKUPS = 301
# The maximum ratio to the time without hostile queries.
TARGET = 1.5


def median(count, once):
    """Median time of a call, in seconds."""
    taken = []
    for number in range(count):
        start = time.monotonic()
        once(number)
        taken.append(time.monotonic() - start)
    return statistics.median(taken)


def figures(apus, root, port):
    """Median times, in seconds, of a commit by a new client process and of a look-up of an account or the health."""

    def commit(number):
        subprocess.run(
            [apus, "tx", "send", f"INSERT INTO bench (v) VALUES ('row {number}')", "--key", f"{root}/nodekey.json",
             "--rpc", f"127.0.0.1:{port}", "--wait"], check=True, stdout=subprocess.DEVNULL)

    def look(number):
        if number % 2:
            part.call(port, "user.health", {})
        else:
            part.call(port, "user.account", {"id": {"identifier": f"{number:066x}", "key_type": "secp256k1"}})

    return median(COMMITS, commit), median(LOOKUPS, look)


def run(apus, directory, row):
    root = f"{directory}/node"
    part.prepare(apus, root)
    with part.Node(apus, root, is_quiet=False) as node:
        port = node.port
        quiet = figures(apus, root, port)
        row("a commit, alone", f"{quiet[0] * 1000:.1f} ms")
        row("a look-up, alone", f"{quiet[1] * 1000:.2f} ms")
        for name, sql in QUERIES.items():
            over = threading.Event()

            def client():
                while not over.is_set():
                    # Most queries are refused or reach a limit.
                    with contextlib.suppress(part.Failure, OSError):
                        part.call(port, "user.query", {"query": sql})

            clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
            for thread in clients:
                thread.start()
            time.sleep(0.5)
            beside = figures(apus, root, port)
            over.set()
            for thread in clients:
                thread.join()
            for what, before, after in zip(("commit", "look-up"), quiet, beside):
                row(f"a {what} beside {name} / alone", f"{after / before:.2f}", f"<= {TARGET}",
                    after <= TARGET * before)
