"""What Kwil's own clients send, replayed to a node: the answers have the shapes that the clients read."""

import http.client
import json
import os

from alone import Alone
from network import expect

VECTORS = os.path.join(os.path.dirname(__file__), "../../Vectors/kwil-clients.json")

# Members whose values differ from run to run: they depend on the time and on the node's keys.
VOLATILE = {"app_hash", "block_age", "block_hash", "block_time", "version"}
# Members of which clients only need that they are there: more may wait in a block than then.
HEIGHTS = {"block_height", "height"}


def difference(answer, recorded, path=""):
    """Where an answer differs from the recorded one; None if it does not. An error's text may differ."""
    if isinstance(recorded, dict) and isinstance(answer, dict):
        if set(answer) != set(recorded):
            return f"{path} has the members {sorted(answer)}, not {sorted(recorded)}"
        for name in recorded:
            if path.endswith(".error") and name == "message":
                expect(isinstance(answer[name], str) and answer[name], f"{path} has no message")
            elif name in VOLATILE | HEIGHTS:
                if type(answer[name]) is not type(recorded[name]):
                    return f"{path}.{name} is {answer[name]!r}, not like {recorded[name]!r}"
            elif found := difference(answer[name], recorded[name], f"{path}.{name}"):
                return found
        return None
    return None if answer == recorded else f"{path} is {answer!r}, not {recorded!r}"


def kwils_clients_get_the_answers_that_they_need(apus, directory):
    with open(VECTORS) as file:
        exchanges = json.load(file)["exchanges"]
    owner = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    with Alone(apus, directory, "--chain-id", "apus-chain", "--owner", owner) as node:
        connection = http.client.HTTPConnection(node.rpc, timeout=60)
        for number, exchange in enumerate(exchanges):
            request = exchange["request"]
            connection.request("POST", exchange["path"], json.dumps(request), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            found = difference(answer, exchange["answered"])
            expect(found is None, f"exchange {number}, {exchange['client']}, {request['method']}: {found}")
        connection.close()
        # The statements are committed, not only accepted.
        expect(node.query("SELECT id, v FROM b") == [["1", "hello"]], "kwil-cli's row is not there")
        expect(node.query("SELECT * FROM a") == [], "kwil-js's table is not there")


TESTS = (kwils_clients_get_the_answers_that_they_need,)
