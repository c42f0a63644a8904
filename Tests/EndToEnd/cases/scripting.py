"""What scripts read: each command's `--json`, errors as JSON, and exit statuses."""

import json
import os
import signal
import subprocess

from alone import Alone
from network import PATIENCE, expect, free_ports


def printed(arguments, code=0):
    """The JSON line that a command prints, on standard error if it fails."""
    out = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    expect(out.returncode == code, f"{arguments}: exit status {out.returncode}: {out.stdout}{out.stderr}")
    text = out.stdout if code == 0 else out.stderr
    expect(text.count("\n") == 1, f"{arguments}: not one line: {text}")
    return json.loads(text)


def error(arguments, code):
    """The error object that a command prints."""
    found = printed(arguments, code)
    expect(set(found) == {"error"} and found["error"]["message"], str(found))
    return found["error"]


class Listening:
    """A process that prints where it listens as its first line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return json.loads(self.process.stdout.readline())["listen"][0]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def commands_without_a_node_print_json(apus, directory):
    key = printed([apus, "key", "new", f"{directory}/key", "--json"])
    expect(set(key) == {"node_id", "peer_id", "ethereum_address"}, str(key))
    expect(printed([apus, "key", "show", f"{directory}/key", "--json"]) == key, "another key is shown")
    made = printed([apus, "init", "--root", f"{directory}/n", "--key", f"{directory}/key", "--chain-id", "c", "--json"])
    expect(made == {"root": f"{directory}/n", "node_id": key["node_id"], "chain_id": "c"}, str(made))
    config = printed([apus, "config", "--root", f"{directory}/n", "--json"])
    expect(config["rpc"]["listen"] == "127.0.0.1:8484" and config["p2p"]["bootnodes"] == [], str(config["rpc"]))
    expect(config == printed([apus, "config", "--json"]), "the defaults differ")
    limits = printed([apus, "config", "--limits", "--json"])
    expect(all(isinstance(figure["value"], int) for figure in limits["figures"]) and limits["widths"], str(limits))
    for name, more in (("perf", []), ("gossip", ["--topic", "t"])):
        with Listening(apus, name, "--listen", "/ip4/127.0.0.1/tcp/0", *more, "--json") as address:
            peer = address.rsplit("/", 1)[1]
            identity = printed([apus, "identify", address, "--json"])
            expect(identity["peer_id"] == peer and identity["protocols"] and identity["listen"], str(identity))
            if name == "perf":
                ping = printed([apus, "ping", address, "--count", "3", "--json"])
                expect(ping["pings"] == 3 and 0 < ping["min_seconds"] <= ping["max_seconds"], str(ping))
                perf = printed([apus, "perf", address, "--upload", "1MiB", "--json"])
                expect(set(perf) == {"upload"} and perf["upload"]["bytes"] == 1 << 20, str(perf))
                idle = subprocess.Popen(
                    [apus, "perf", address, "--idle", "2", "--json"], stdout=subprocess.PIPE, text=True)
                expect(json.loads(idle.stdout.readline()) == {"connections": 2}, "not two connections")
                idle.send_signal(signal.SIGINT)
                expect(idle.wait(PATIENCE) == 0, "the idle connections did not end")
                idle.stdout.close()


def commands_to_a_node_print_json(apus, directory):
    with Alone(apus, directory) as node:
        key, rpc = f"{node.root}/nodekey.json", ["--rpc", node.rpc, "--json"]

        def send(*statement):
            return [apus, "tx", "send", *statement, "--key", key, "--wait", *rpc]

        sent = printed(send("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT, bytes BLOB)"))
        expect(sent["result"]["code"] == 0, str(sent))
        sent = printed(send("INSERT INTO t VALUES ($id, $name, x'00ff')", "-p", "id:=7", "-p", "name=a\tb"))
        shown = printed([apus, "tx", "show", sent["tx_hash"], *rpc])
        expect(shown["tx_hash"] == sent["tx_hash"] and shown["tx_result"] == sent["result"], str(shown))
        expect(shown["statement"]["parameters"] ==
               [{"name": "$id", "value": 7}, {"name": "$name", "value": "a\tb"}], str(shown["statement"]))
        rows = printed([apus, "query", "SELECT * FROM t", *rpc])
        expect(rows["column_names"] == ["id", "name", "bytes"] and rows["values"] == [[7, "a\tb", "AP8="]], str(rows))
        status = printed([apus, "status", *rpc])
        expect(status["height"] == shown["height"] and status["role"] == "leader", str(status))
        printed([apus, "tx", "validator-join", "--key", key, *rpc])
        validators = printed([apus, "validators", *rpc])
        expect(validators["validators"]["validators"][0]["power"] == 1, str(validators))
        expect(isinstance(validators["requests"]["requests"], list), str(validators))
        # A node's error is its JSON-RPC error.
        expect(error([apus, "tx", "show", "00" * 32, *rpc], 1)["code"] == -202, "another code")
        expect(error([apus, "query", "SELECT", *rpc], 1)["code"] == -300, "another code")
        refused = error([apus, "tx", "send", "SELECT 1", "--key", key, "--nonce", "1", *rpc], 1)
        expect(refused["code"] == -201 and refused["data"]["code"] == 4 and refused["data"]["hash"], str(refused))
        failed = subprocess.run(send("nonsense"), capture_output=True, text=True, timeout=PATIENCE)
        expect(failed.returncode == 1 and json.loads(failed.stdout)["result"]["code"] != 0, failed.stdout)
        expect(json.loads(failed.stderr)["error"]["message"].startswith("committed, but failed"), failed.stderr)


def errors_are_json_and_have_a_status(apus, directory):
    absent = f"127.0.0.1:{free_ports(1)[0]}"
    for arguments in (
        ["status"], ["validators"], ["query", "SELECT 1"], ["tx", "show", "00" * 32],
        ["tx", "send", "SELECT 1", "--key", f"{directory}/absent"],
    ):
        error([apus, *arguments, "--rpc", absent, "--json"], 1)
    expect("absent" in error([apus, "key", "show", f"{directory}/absent", "--json"], 1)["message"], "no name")
    error([apus, "config", "--root", f"{directory}/absent", "--json"], 1)
    error([apus, "ping", f"/ip4/127.0.0.1/tcp/{absent.rsplit(':', 1)[1]}", "--json"], 1)
    error([apus, "status", "--jsoon", "--json"], 64)
    error([apus, "query", "--json"], 64)
    error([apus, "frobnicate", "--json"], 64)
    out = subprocess.run([apus, "--help"], capture_output=True, text=True, timeout=PATIENCE)
    expect("Exit status:" in out.stdout and "--json" in out.stdout, out.stdout)


def a_test_network_prints_its_proof_as_json(apus, directory):
    rows = f"{directory}/rows.csv"
    with open(rows, "w") as file:
        file.write("name\n" + "".join(f"row {number}\n" for number in range(20)))
    proof = printed(
        [apus, "testnet", "--input", rows, "--root", f"{directory}/net", "--validators", "1", "--json"])
    expect(proof["agree"] and proof["transactions"] == 20 and proof["differences"] == [], str(proof))
    expect([node["role"] for node in proof["nodes"]] == ["leader", "validator", "sentry"], str(proof))
    expect(len({node["app_hash"] for node in proof["nodes"]}) == 1, str(proof))
    expect(error([apus, "testnet", "--input", f"{rows}x", "--root", f"{directory}/net", "--json"], 1), "no error")
    expect(os.path.exists(f"{directory}/net"), "the directory is gone")


TESTS = (
    commands_without_a_node_print_json, commands_to_a_node_print_json, errors_are_json_and_have_a_status,
    a_test_network_prints_its_proof_as_json)
