"""`apus trace` over five nodes: every stage on one clock, in causal order, and the formats of other tools."""

import json
import re

from network import Network, expect, wait

LEADER = ["building", "proposed", "executed", "vote_durable", "quorum", "logged", "committed", "announced"]
VOTER = ["header_received", "body_received", "verified", "executed", "vote_durable", "ack_sent", "quorum", "logged",
         "committed"]
SENTRY = ["header_received", "quorum", "body_received", "verified", "executed", "logged", "committed"]


class Five(Network):
    """A leader, three validators and a sentry. A quorum is three votes, the leader's among them."""

    names = ["leader", "validator-1", "validator-2", "validator-3", "sentry"]

    @property
    def addresses(self):
        return ",".join(node.rpc for node in self.nodes.values())

    def trace(self, *arguments):
        return self.run("trace", *arguments, "--nodes", self.addresses)

    def timeline(self, *arguments):
        """A timeline: for each node's name, when each stage ended, and the uncertainty of its clock, in ns."""
        found = json.loads(self.trace(*arguments, "--json"))
        names = {node.rpc: name for name, node in self.nodes.items()}
        ends, doubts = {}, {}
        for node in found["nodes"]:
            name = names[node["rpc"]]
            doubts[name] = node["uncertainty_ns"]
            ends[name] = {stage["name"]: stage["end_ns"] for stage in node["stages"]}
            for stage in node["stages"]:
                expect(stage.get("begin_ns", 0) <= stage["end_ns"], f"{name}: {stage}")
        return found, ends, doubts

    def committed(self):
        """Commits a row and returns its transaction and block."""
        self.insert([self.nonce - 1], "sentry")
        self.agree(self.nonce - 1)
        out = self.send(f"INSERT INTO t VALUES ({self.nonce - 1}, 'row {self.nonce - 1}')", "sentry", self.nonce + 1,
                        "--wait", "--json")
        self.nonce += 1
        self.agree(self.nonce - 1)
        id = json.loads(out.stdout)["tx_hash"]
        return id, json.loads(self.run("tx", "show", id, "--rpc", self.nodes["leader"].rpc, "--json"))["height"]


def ordered(stages, ends, name):
    """Expects that a node passed these stages in this order."""
    expect(set(stages) <= set(ends), f"{name} has no {set(stages) - set(ends)}")
    for before, after in zip(stages, stages[1:]):
        expect(ends[before] <= ends[after], f"{name}: {after} before {before}: {ends}")


def stages_of_a_block_are_in_causal_order(apus, directory):
    with Five(apus, directory) as network:
        network.create_table()
        id, height = network.committed()
        found, ends, doubts = network.timeline("block", str(height))
        expect(found["height"] == height and set(ends) == set(network.names), str(found))

        def follows(cause, place, effect, other):
            slack = doubts[place] + doubts[other]
            expect(ends[other][effect] >= ends[place][cause] - slack,
                   f"{effect} at {other} before {cause} at {place}, and the clocks agree within {slack} ns: {ends}")

        # A validator that was slow may have got the block when it was committed, without a vote.
        voters = [name for name in network.names if "ack_sent" in ends[name]]
        expect(len(voters) >= 2, f"fewer voters than a quorum needs: {ends}")
        ordered(LEADER, ends["leader"], "leader")
        ordered(SENTRY, ends["sentry"], "sentry")
        for name in voters:
            if ends[name]["quorum"] >= ends[name]["ack_sent"]:
                ordered(VOTER, ends[name], name)
            follows("proposed", "leader", "header_received", name)
            follows("quorum", "leader", "quorum", name)
        first = sorted(voters, key=lambda name: ends[name]["ack_sent"])[:2]
        for name in first:
            follows("ack_sent", name, "quorum", "leader")
        announcers = [name for name in network.names if name != "sentry" and "announced" in ends[name]]
        earliest = min(announcers, key=lambda name: ends[name]["announced"])
        follows("announced", earliest, "header_received", "sentry")

        text = network.trace("block", str(height))
        expect(all(node.rpc in text for node in network.nodes.values()), text)
        expect(re.search(r"whose clocks agree within [\d.]+ ms", text) and "█" in text, text)
        transaction_is_followed(network, id)
        other_tools_get_files(network, height, directory)


def transaction_is_followed(network, id):
    def complaint():
        _, ends, _ = network.timeline("tx", id)
        # A validator may see the transaction in a block before it fetches it; then it has no record.
        missing = [name for name in ("sentry", "leader") if "committed" not in ends.get(name, {})]
        return f"not committed at {missing}: {ends}" if missing else None

    wait(complaint)
    found, ends, doubts = network.timeline("tx", id)
    ordered(["submitted", "checked", "announced"], ends["sentry"], "sentry")
    ordered(["fetched", "checked", "proposed", "committed"], ends["leader"], "leader")
    slack = doubts["sentry"] + doubts["leader"]
    expect(ends["leader"]["fetched"] >= ends["sentry"]["announced"] - slack, str(found))


def other_tools_get_files(network, height, directory):
    network.trace("block", str(height), "--perfetto", f"{directory}/block.json")
    with open(f"{directory}/block.json") as file:
        events = json.load(file)["traceEvents"]
    processes = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    expect(processes == {node.rpc for node in network.nodes.values()}, str(processes))
    expect(any(event["ph"] == "X" and event["name"] == "executed" for event in events), str(events))
    network.trace("--slowest", "3", "--perfetto", f"{directory}/slowest.json")
    slowest = json.loads(network.trace("--slowest", "3", "--json"))["blocks"]
    expect(1 <= len(slowest) <= 3 and all(len(block["nodes"]) == 5 for block in slowest), str(slowest))
    stages = network.trace("stages", "--hdr", f"{directory}/stages.hlog")
    expect("executed" in stages and "transaction, ms" in stages, stages)
    with open(f"{directory}/stages.hlog") as file:
        lines = file.read().splitlines()
    leader = network.nodes["leader"].rpc
    expect(any(line.startswith(f"Tag={leader}/block/quorum,0.000,") for line in lines), str(lines[:4]))


TESTS = [stages_of_a_block_are_in_causal_order]
