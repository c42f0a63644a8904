"""Execution on an unkind machine: interrupted in the middle, with files that grow or are restored, at its limits."""

import os
import re
import shutil
import subprocess
import threading
import time

from alone import Alone
from network import Network, change, expect, wait

# The maximum time in which a node stops, in seconds.
END = 5

# The maximum memory that a node needs for transactions, in bytes.
MEMORY = 512 << 20

# Takes about a third of a second on a fast machine, within a statement's budget.
WORK = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500000) SELECT {}, count(*) FROM c"
# Never ends.
ENDLESS = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT {}, count(*) FROM c"
# The number of statements at their budget that use up a block's; the last may start just below it.
OVERRUNS_OF_BLOCK = 6


class Lone(Alone):
    """A node that is its chain's only validator, with a table."""

    def __init__(self, apus, directory, interval):
        super().__init__(apus, directory)
        change(f"{self.root}/config.toml", r'propose_timeout = "[^"]*"', f'propose_timeout = "{interval}"')
        self.database = f"{self.root}/application/application.sqlite"
        self.nonce = 0

    def __enter__(self):
        super().__enter__()
        expect(self.send("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v)", "--wait").returncode == 0, "no table")
        return self

    def send(self, sql, *more):
        self.nonce += 1
        out = self.command(
            "tx", "send", sql, "--key", f"{self.root}/nodekey.json", "--nonce", str(self.nonce), *more)
        expect(out.returncode == 0, f"{sql[:100]}: {out.stdout}{out.stderr}")
        return out

    def rows(self):
        found = self.query("SELECT count(*) FROM t")
        return int(found[0][0]) if found else None

    def has(self, count):
        wait(lambda: None if (found := self.rows()) == count else f"{found} rows, not {count}")

    def put(self, rows):
        for row in rows:
            self.send(f"INSERT INTO t VALUES ({row}, zeroblob(1000000))")
        self.has(rows.stop)

    def ends_soon(self):
        start = time.monotonic()
        code = self.stop()
        expect(code == 0, f"exit code {code}")
        expect(time.monotonic() - start < END, f"ended after {time.monotonic() - start:.1f} s")

    def logged(self):
        with open(self.log, errors="replace") as file:
            return file.read()


def a_node_ends_while_a_block_executes(apus, directory):
    # All transactions arrive within the interval. Without the budget they would make one block of twenty seconds.
    with Lone(apus, directory, "8s") as lone:
        start = time.monotonic()
        for row in range(60):
            lone.send("INSERT INTO t " + WORK.format(row))
        time.sleep(max(0, start + 9.5 - time.monotonic()))
        lone.ends_soon()
        lone.start()
        lone.answers()
        found = lone.rows()
        expect(found < 60, "everything was executed before the stop")
        # The interrupted transactions were in no block and are unconfirmed again.
        wait(lambda: None if lone.rows() > found else f"{found} rows, as before")
        lone.send("INSERT INTO t VALUES (1000, 0)")


def blocks_end_at_their_budget(apus, directory):
    """Many statements that use up their budget arrive at once: no block exceeds its own budget."""
    with Lone(apus, directory, "2s") as lone:
        for row in range(9):
            lone.send("INSERT INTO t " + ENDLESS.format(row))
        lone.send("INSERT INTO t VALUES (1000, 0)")
        lone.has(1)
        sizes = [int(size) for size in re.findall(r"block committed.* transactions=(\d+)", lone.logged())]
        expect(sum(sizes) == 11, f"blocks of {sizes} transactions")
        expect(max(sizes) <= OVERRUNS_OF_BLOCK, f"blocks of {sizes} transactions")


def a_node_ends_while_its_log_executes_again(apus, directory):
    with Lone(apus, directory, "20ms") as lone:
        for row in range(30):
            lone.send("INSERT INTO t " + WORK.format(row))
        lone.has(30)
        lone.ends_soon()
        shutil.rmtree(os.path.dirname(lone.database))
        for _ in range(2):
            lone.start()
            time.sleep(1)
            lone.ends_soon()
        expect(lone.logged().count("the next start resumes") == 2, "the starts ended before the signals")
        lone.start()
        lone.answers()
        lone.has(30)


def the_write_ahead_log_is_bounded_beside_readers(apus, directory):
    with Lone(apus, directory, "20ms") as lone:
        done, answers = threading.Event(), []
        query = (
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500000) "
            "SELECT count(*), (SELECT count(*) FROM t) FROM c")

        def read():
            while not done.is_set():
                answers.append(lone.query(query) is not None)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
            time.sleep(0.1)
        longest = 0
        try:
            for row in range(160):
                lone.send(f"INSERT INTO t VALUES ({row}, zeroblob(1000000))")
                # A slow machine would put many into one block, which the log must hold as a whole.
                if row % 8 == 7:
                    lone.has(row + 1)
                longest = max(longest, os.path.getsize(lone.database + "-wal"))
        finally:
            done.set()
            for reader in readers:
                reader.join()
        lone.has(160)
        expect(any(answers), "no query was answered")
        expect(longest <= 64 << 20, f"-wal grew to {longest >> 20} MiB")


def a_backup_beside_a_newer_log_is_refused(apus, directory):
    with Lone(apus, directory, "20ms") as lone:
        lone.put(range(0, 5))
        lone.ends_soon()
        backup = f"{directory}/backup"
        shutil.copy(lone.database, backup)
        lone.start()
        lone.answers()
        # Enough blocks for the log to start over.
        for first in range(5, 40, 5):
            lone.put(range(first, first + 5))
        lone.kill()
        shutil.copy(backup, lone.database)
        lone.start()
        code = lone.process.wait(timeout=30)
        expect(code == 1 and "-wal belongs to" in lone.logged(), f"exit code {code}")
        # The remedy that the error names.
        for suffix in ("-wal", "-shm"):
            os.remove(lone.database + suffix)
        lone.start()
        lone.answers()
        lone.has(40)
        lone.put(range(40, 42))


def a_validator_without_room_goes_on_trying(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        poor = network.nodes["validator-2"]
        limit = ["prlimit", "--pid", str(poor.process.pid)]
        subprocess.run([*limit, f"--fsize={2 << 20}:"], check=True)
        for row in range(4):
            network.commit(f"INSERT INTO t VALUES ({row}, zeroblob(1000000))", "sentry")

        def warned():
            with open(poor.log, errors="replace") as log:
                return None if "goes on trying" in log.read() else "no warning"

        wait(warned)
        expect(poor.process.poll() is None, "the validator stopped")
        network.commit("UPDATE t SET name = 'row ' || id", "sentry")
        subprocess.run([*limit, "--fsize=unlimited:"], check=True)
        network.agree(4)


def a_validator_with_little_memory_follows(apus, directory):
    """Every statement that other nodes accept fits into the memory that the documentation asks for."""
    constants = ", ".join(f"hex(zeroblob({n}))" for n in range(4000001, 4000099))
    control = "replace(replace(hex(zeroblob(2000000)), '0', '12'), '12', char(1))"
    many = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60)"
    hungry = [
        f"INSERT INTO t SELECT 100, 1 WHERE max('a', {constants}) > ''",
        f"INSERT INTO t VALUES (100, {' || '.join(f'length(hex(zeroblob({n})))' for n in range(3999001, 3999090))})",
        f"INSERT INTO t VALUES (100, length(json_array({', '.join([control] * 50)})))",
        f"{many} INSERT INTO t SELECT 100, length(group_concat(hex(zeroblob(4000000 - i)))) FROM c",
        f"{many} INSERT INTO t SELECT 100 + i, length(h) FROM (SELECT i, hex(zeroblob(1999000 + i)) AS h FROM c ORDER BY h)",
        "INSERT INTO t VALUES (99, json_array_length('[' || replace(hex(zeroblob(1900000)), '0', '1,') || '1]'))",
    ]
    with Network(apus, directory) as network:
        network.create_table()
        poor = network.nodes["validator-2"]
        poor.kill()
        poor.within = ["prlimit", f"--data={MEMORY}", "--"]
        poor.start()
        wait(lambda: None if poor.status() else "the validator does not answer")
        for sql in hungry:
            network.nonce += 1
            out = network.send(sql, "sentry", network.nonce, "--wait")
            expect("code 65535" in out.stderr or out.returncode == 0, f"{sql[:100]}: {out.stderr}")
        network.commit("DELETE FROM t", "sentry")
        network.insert(range(0, 2), "sentry")
        network.agree(2)
        expect(poor.process.poll() is None, "the validator stopped")
        with open(poor.log, errors="replace") as log:
            expect("goes on trying" not in log.read(), "the validator could not execute a block")


TESTS = [
    a_node_ends_while_a_block_executes, blocks_end_at_their_budget, a_node_ends_while_its_log_executes_again,
    the_write_ahead_log_is_bounded_beside_readers, a_backup_beside_a_newer_log_is_refused,
    a_validator_without_room_goes_on_trying, a_validator_with_little_memory_follows,
]
