"""A node that is the only one of its chain."""

import contextlib
import http.client
import json
import subprocess

from network import Node, expect, free_ports, log_as_text, wait


class Alone(Node):
    """The only node of a new chain, made by `apus init` with the options `more`."""

    def __init__(self, apus, directory, *more):
        p2p, rpc = (f"127.0.0.1:{port}" for port in free_ports(2))
        super().__init__(apus, f"{directory}/node", p2p, rpc)
        subprocess.run(
            [apus, "init", "--root", self.root, "--listen", p2p, "--rpc-listen", rpc, *more], check=True,
            stdout=subprocess.DEVNULL)
        log_as_text(self)

    def __enter__(self):
        self.start()
        self.answers()
        return self

    def __exit__(self, *_):
        self.kill()

    def answers(self):
        """Waits until the node answers."""
        wait(lambda: None if self.status() else "the node does not answer")

    def commit(self, sql):
        out = self.command("tx", "send", sql, "--key", f"{self.root}/nodekey.json", "--wait")
        expect(out.returncode == 0, f"{sql}: {out.stderr}")

    def call(self, method, **parameters):
        """The HTTP status, and the error's message or the result."""
        connection = http.client.HTTPConnection(self.rpc, timeout=60)
        with contextlib.closing(connection):
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
            connection.request("POST", "/rpc/v1", json.dumps(request), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = json.loads(response.read())
            return response.status, body["error"]["message"] if "error" in body else body["result"]

    def ask(self, sql):
        return self.call("user.query", query=sql)
