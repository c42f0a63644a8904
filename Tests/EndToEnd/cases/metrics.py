"""Metrics of real nodes: their format, their agreement with other facts, and the files in docs/operate that read them."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from network import PATIENCE, Network, expect, free_ports, serve_metrics, wait

OPERATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/operate")
sys.path.insert(0, OPERATE)
import metrics as page  # noqa: E402


class MeasuredNetwork(Network):
    """A network whose nodes serve metrics."""

    def init(self, name, directory, *more):
        super().init(name, directory, *more)
        serve_metrics(self.nodes[name])


def get(url):
    """The status and text of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(node):
    status, text = get(f"http://{node.metrics}/metrics")
    expect(status == 200, f"{node.name}: {status} {text}")
    return text


def samples(text):
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[:1] != "#"}


def tool(name):
    expect(shutil.which(name), f"{name} is missing: install Debian's package prometheus")
    return name


def promtool(*arguments, text=None):
    out = subprocess.run(
        [tool("promtool"), *arguments], input=text, capture_output=True, text=True, timeout=PATIENCE)
    expect(out.returncode == 0, f"promtool {' '.join(arguments)}: {out.stdout}{out.stderr}")
    return out.stdout + out.stderr


def peers_differ(node):
    """A complaint if the metrics and the status of a node count different peers. One may come in between."""
    peers = sum(value for key, value in samples(scrape(node)).items() if key.startswith("apus_peers{"))
    listed = node.status()["peers"]
    return None if peers == int(listed) else f"{node.name}: {peers} peers, not {listed}"


def metrics_agree_with_facts(apus, directory):
    with MeasuredNetwork(apus, directory) as network:
        network.create_table()
        network.insert(range(5), "sentry")
        network.agree(5)
        for name, node in network.nodes.items():
            text = scrape(node)
            lint = promtool("check", "metrics", text=text)
            expect(not lint.strip(), lint)
            found, status = samples(text), node.status()
            height = int(status["height"])
            for sample, value in {
                "apus_height": height,
                "apus_blocks_committed_total": height,
                "apus_application_commit_seconds_count": height,
                'apus_transactions_committed_total{result="ok"}': 6,
                'apus_transactions_committed_total{result="failed"}': 0,
                "apus_ready": 1,
                "apus_syncing": 0,
                "apus_validators": 3,
                f'apus_role{{role="{status["role"]}"}}': 1,
            }.items():
                expect(found[sample] == value, f"{name}: {sample} is {found[sample]}, not {value}")
            wait(lambda: peers_differ(node))
            expect(found["apus_fsync_seconds_count"] >= height, f"{name}: fewer fsyncs than blocks")
            expect(found["process_resident_memory_bytes"] > 1e6, f"{name}: no memory")
            expect(abs(found["process_start_time_seconds"] - time.time()) < 10 * PATIENCE, f"{name}: wrong start")
            descriptors = len(os.listdir(f"/proc/{node.process.pid}/fd"))
            expect(abs(found["process_open_fds"] - descriptors) < 20, f"{name}: descriptors, not {descriptors}")
            requests = 'apus_rpc_requests_total{method="apus.status",outcome="ok"}'
            before = samples(scrape(node))[requests]
            node.status()
            after = samples(scrape(node))[requests]
            expect(after == before + 1, f"{name}: {after} requests after {before}")
        # Every node but the leader got each block by a proposal or an announcement.
        for name in ("validator-1", "validator-2", "sentry"):
            found = samples(scrape(network.nodes[name]))
            blocks = sum(
                found.get(f'apus_streams_served_total{{protocol="{protocol}",class="blocks"}}', 0)
                for protocol in ("/apus/blkprop/1.0.0", "/kwil/blkprop/1.0.0", "/kwil/blkann/1.0.0"))
            expect(blocks >= found["apus_height"] - 1, f"{name}: {blocks} streams with blocks")
        leader = network.nodes["leader"]
        found = samples(scrape(leader))
        acks = found['apus_votes_received_total{answer="ack"}']
        expect(acks >= found["apus_height"], f"{acks} votes at height {found['apus_height']}")
        # The names of protocols that only some nodes speak do not matter.
        _, table, _ = page.parts()
        expect(
            table == page.table(scrape(leader)),
            "docs/operate/metrics.md: pipe a scrape into docs/operate/metrics.py")


def probes_follow_the_node(apus, directory):
    with MeasuredNetwork(apus, directory) as network:
        node = network.nodes["sentry"]
        expect(get(f"http://{node.rpc}/health") == (200, "ok\n"), "/health")
        wait(lambda: None if get(f"http://{node.rpc}/ready")[0] == 200 else "not ready with peers")
        expect(get(f"http://{node.rpc}/metrics")[0] == 404, "metrics on the address of JSON-RPC")
        for name in ("leader", "validator-1", "validator-2"):
            network.nodes[name].kill()

        def complaint():
            status, text = get(f"http://{node.rpc}/ready")
            return None if status == 503 and "peer" in text else f"ready without peers: {status} {text}"

        wait(complaint, 2 * PATIENCE)
        expect(get(f"http://{node.rpc}/health") == (200, "ok\n"), "/health without peers")
        expect(samples(scrape(node))["apus_ready"] == 0, "apus_ready without peers")


def alert_rules_fire(apus, directory):
    promtool("check", "rules", f"{OPERATE}/apus.rules.yml")
    promtool("test", "rules", f"{OPERATE}/apus.rules.test.yml")


@contextlib.contextmanager
def prometheus(network, directory):
    """A Prometheus that scrapes a network's nodes every second. Yields its address."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    file = f"{directory}/prometheus.yml"
    with open(file, "w") as f:
        json.dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [os.path.abspath(f"{OPERATE}/apus.rules.yml")],
            "scrape_configs": [{
                "job_name": "apus",
                "static_configs": [{"targets": [node.metrics for node in network.nodes.values()]}],
            }],
        }, f)
    with open(f"{directory}/prometheus.log", "w") as log:
        process = subprocess.Popen(
            [tool("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={directory}/tsdb",
             f"--web.listen-address={address}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def query(address, expression):
    """The result of an expression."""
    status, text = get(f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    expect(status == 200, f"{expression}: {status} {text}")
    return json.loads(text)["data"]["result"]


def prometheus_reads_every_series(apus, directory):
    with open(f"{OPERATE}/grafana.json") as f:
        dashboard = json.load(f)
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expect(len(shown) > 10, "the dashboard has few queries")
    with open(f"{OPERATE}/apus.rules.yml") as f:
        names = set(re.findall(r"\b(?:apus|process)_[a-z_]+", f.read()))
    with MeasuredNetwork(apus, directory) as network, prometheus(network, directory) as address:
        network.create_table()
        row = 0

        def scraped():
            nonlocal row
            network.insert([row], "sentry")
            row += 1
            try:
                # Rates need several samples.
                found = query(address, 'min(count_over_time(up{job="apus"}[1m]))')
            except (OSError, AssertionError) as error:
                return f"no answer: {error}"
            return None if found and float(found[0]["value"][1]) >= 8 else f"few scrapes: {found}"

        wait(scraped)
        expect(len(query(address, 'up{job="apus"} == 1')) == 4, "a node is not scraped")
        for expression in shown:
            expression = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
            expect(query(address, expression), f"no data in the dashboard: {expression}")
        for name in sorted(names):
            expect(query(address, name), f"an alert refers to {name}, which no node has")
        status, text = get(f"http://{address}/api/v1/rules")
        rules = [rule for group in json.loads(text)["data"]["groups"] for rule in group["rules"]]
        wrong = [rule["name"] for rule in rules if rule["health"] != "ok"]
        expect(rules and not wrong, f"rules that cannot be evaluated: {wrong}")


TESTS = [metrics_agree_with_facts, probes_follow_the_node, alert_rules_fire, prometheus_reads_every_series]
