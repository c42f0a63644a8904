"""Statements from public bug reports of databases and chains: all nodes treat each the same, whatever their history."""

import os
import time

from network import Network, expect, wait


def restart(network, name):
    """Kills a node, starts it again, and waits until it answers."""
    node = network.nodes[name]
    node.kill()
    node.start()
    wait(lambda: None if node.status() else f"{name} does not answer")


def same(network, sql, rows):
    """Waits until every node returns these rows, and all have the same block and app hash."""

    def difference():
        seen = set()
        for name, node in network.nodes.items():
            status, found = node.status(), node.query(sql)
            if status is None or found != rows:
                return f"{name} answers {found}, not {rows}"
            seen.add((status["height"], status["block"], status["app hash"]))
        return None if len(seen) == 1 else f"nodes differ: {seen}"

    wait(difference)


def refused(network, sql, words, at="sentry"):
    """Sends a statement that fails on every node; its transaction is committed with an error."""
    network.nonce += 1
    start = time.monotonic()
    out = network.send(sql, at, network.nonce, "--wait")
    text = out.stdout + out.stderr
    expect(out.returncode == 1 and words in text, f"{sql[:200]}: exit code {out.returncode}: {text}")
    expect(time.monotonic() - start < 15, f"{sql[:200]} took {time.monotonic() - start:.1f} s")


def canonically_equivalent_texts_are_two(apus, directory):
    with Network(apus, directory) as network:
        network.create_table()
        network.commit("INSERT INTO t VALUES (1, '\u00e9')", "sentry")
        for name in ("sentry", "validator-2"):
            restart(network, name)
        network.commit("INSERT INTO t VALUES (2, 'e\u0301')", "sentry")
        # Canonically equivalent texts are different statements, for the cache as well.
        network.commit("UPDATE t SET name = '\u00e9' || name WHERE id = 1", "leader")
        restart(network, "validator-1")
        network.commit("UPDATE t SET name = 'e\u0301' || name WHERE id = 1", "leader")
        same(network, "SELECT id, hex(name) FROM t ORDER BY id", [["1", "65CC81C3A9C3A9"], ["2", "65CC81"]])


def tables_of_every_script_are_held_to_the_rules(apus, directory):
    with Network(apus, directory) as network:
        network.commit('CREATE TABLE "\u00c4mter" (id INTEGER PRIMARY KEY, v TEXT)', "sentry")
        network.commit('CREATE TABLE "\u041a\u043b\u044e\u0447\u0438" (k TEXT PRIMARY KEY, v TEXT)', "sentry")
        refused(network, "INSERT INTO \"\u00c4mter\" VALUES (9223372036854775807, 'x')", "row ID is too large")
        refused(network, "INSERT INTO \"\u041a\u043b\u044e\u0447\u0438\" VALUES (NULL, 'z')", "primary key must not be NULL")
        restart(network, "validator-2")
        network.commit("INSERT INTO \"\u00c4mter\" (v) VALUES ('y')", "sentry")
        same(network, 'SELECT id, v FROM "\u00c4mter"', [["1", "y"]])


def a_restart_decides_nothing(apus, directory):
    """Views that one connection has loaded and another has not."""
    with Network(apus, directory) as network:
        network.create_table()

        def many(name):
            return " UNION ALL ".join([f"SELECT x FROM {name}"] * 50)

        network.commit("CREATE VIEW va AS SELECT 1 AS x", "sentry")
        network.commit(f"CREATE VIEW vb AS {many('va')}", "sentry")
        refused(network, f"CREATE VIEW vc AS {many('vb')}", "tokens")
        refused(network, "INSERT INTO vb VALUES (1)", "cannot modify vb")
        for name in ("sentry", "validator-2"):
            restart(network, name)
        network.commit("CREATE TABLE u (id INTEGER PRIMARY KEY NOT NULL)", "sentry")
        network.commit("INSERT INTO u SELECT sum(x) FROM vb", "leader")
        same(network, "SELECT id FROM u", [["50"]])


def row_ids_end_without_an_alarm(apus, directory):
    with Network(apus, directory) as network:
        refused(network, "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, v TEXT)", "AUTOINCREMENT")
        network.commit("CREATE TABLE a (id INTEGER PRIMARY KEY NOT NULL, v TEXT)", "sentry")
        network.commit("INSERT OR IGNORE INTO a VALUES (9223372036854775807, 'x')", "sentry")
        network.commit("INSERT INTO a VALUES (9223372036854775806, 'last')", "sentry")
        refused(network, "INSERT INTO a (v) VALUES ('y')", "row ID is too large")
        restart(network, "validator-2")
        network.commit("DELETE FROM a", "sentry")
        network.commit("INSERT INTO a (v) VALUES ('first')", "sentry")
        same(network, "SELECT id, v FROM a", [["1", "first"]])
        for name, node in network.nodes.items():
            with open(node.log) as log:
                expect("no space left" not in log.read(), f"{name} reports a full disk")


def copies_of_expressions_are_counted_first(apus, directory):
    """30 nested expressions, each used twice: expanded by SQLite, they would fit no memory."""
    with Network(apus, directory) as network:
        network.create_table()
        chain = ", ".join(
            ["c0(x) AS (SELECT 1)"] + [f"c{i}(x) AS (SELECT p.x FROM c{i - 1} p, c{i - 1} q)" for i in range(1, 31)])
        for prefix in ("", "INSERT INTO t "):
            sql = f"WITH {chain} {prefix}SELECT x{', x' if prefix else ''} FROM c30"
            if prefix:
                refused(network, sql, "tokens")
            else:
                start = time.monotonic()
                out = network.nodes["sentry"].command("query", sql)
                expect(out.returncode == 1 and "tokens" in out.stderr, out.stderr)
                expect(time.monotonic() - start < 5, "the query was not refused at once")
        network.insert(range(0, 2), "sentry")
        network.agree(2)


def long_work_and_many_bytes_are_counted(apus, directory):
    """An instruction that would search for minutes, and rows of gigabytes."""
    with Network(apus, directory) as network:
        network.create_table()
        start = time.monotonic()
        network.commit(
            "INSERT INTO t VALUES (3, instr(hex(zeroblob(3000000)), hex(zeroblob(700000)) || '1'))", "sentry")
        expect(time.monotonic() - start < 15, f"the search took {time.monotonic() - start:.1f} s")
        many = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100)"
        refused(network, f"{many} INSERT INTO t SELECT 1000 + i, zeroblob(4000000) FROM c", "budget")
        restart(network, "validator-1")
        network.commit("INSERT INTO t VALUES (4, 'x')", "leader")
        same(network, "SELECT id, unicode(name) FROM t ORDER BY id", [["3", "48"], ["4", "120"]])
        for name, node in network.nodes.items():
            size = os.path.getsize(f"{node.root}/application/application.sqlite-wal")
            expect(size <= 64 << 20, f"{name}: -wal has {size >> 20} MB")


TESTS = [
    canonically_equivalent_texts_are_two, tables_of_every_script_are_held_to_the_rules, a_restart_decides_nothing,
    row_ids_end_without_an_alarm, copies_of_expressions_are_counted_first, long_work_and_many_bytes_are_counted,
]
