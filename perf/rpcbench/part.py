"""The part `rpc` of perf/bench: JSON-RPC under load, compared with an nginx that returns a fixed body."""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request

from . import signing

HERE = os.path.dirname(os.path.abspath(__file__))
CHAIN_ID = "apus-bench"
CONNECTIONS = [1, 16, 256, 2000]
BATCH = 100
# Slightly fewer transactions than a mempool holds (MempoolLimits), because preparation uses a few.
MEMPOOL = 49_000
TICKS = os.sysconf("SC_CLK_TCK")
# A rate of broadcasts per second that any node reaches, so that a run is long enough to answer each connection.
LEAST_RATE = 2_000
# Ratios to nginx, and the server's processor time per request, or per transaction of a batch, in microseconds.
RATIO_TARGETS = {16: 0.85, 256: 0.85, 2000: 1.0}
PROCESSOR_TARGETS = {"chain_info": 20, "one row": 60, "broadcast, in batches of 100": 150}
QUERIES = {
    "ping": ("user.ping", {"message": ""}),
    "chain_info": ("user.chain_info", {}),
    "one row": ("user.query", {"query": "SELECT id, v FROM bench WHERE id = 1"}),
}
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}


class Failure(Exception):
    pass


class NoAnswer(Failure):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_free_ports(text):
    """Returns a configuration that listens on free ports of loopback only, and those for peers and for JSON-RPC."""
    ports = []

    def listen(_):
        ports.append(free_port())
        return f'listen = "127.0.0.1:{ports[-1]}"'

    # The sections p2p, rpc and metrics listen, in this order.
    return re.sub(r"(?m)^listen = .*", listen, text), *ports[:2]


def call(port, method, parameters):
    """Sends one request. Returns the whole response as bytes, and its result."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/rpc/v1", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        text = response.read()
    answer = json.loads(text)
    if "result" not in answer:
        raise Failure(f"{method}: {text.decode(errors='replace')[:300]}")
    return text, answer["result"]


class Server:
    """A process that listens on a port of loopback."""

    def start(self, command, port, **options):
        self.port = port
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise Failure(f"{command[0]} does not listen")
                time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def processor_seconds(self):
        """User and system time of the serving process (proc(5))."""
        with open(f"/proc/{self.worker()}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def worker(self):
        return self.process.pid


class Node(Server):
    """The only node of its chain. With `is_quiet` it proposes at most one block a day."""

    def __init__(self, apus, directory, is_quiet):
        with open(f"{directory}/config.toml") as file:
            text = file.read()
        wait = "24h" if is_quiet else "0s"
        text = re.sub(r"(?m)^propose_timeout = .*", f'propose_timeout = "{wait}"', text)
        text = re.sub(r"(?m)^empty_block_timeout = .*", 'empty_block_timeout = "0s"', text)
        text, _, rpc = with_free_ports(text)
        with open(f"{directory}/config.toml", "w") as file:
            file.write(text)
        with open(f"{directory}/log", "a") as log:
            self.start([apus, "run", "--root", directory], rpc, stderr=log)


class Nginx(Server):
    def __init__(self, directory, body):
        port = free_port()
        with open(f"{HERE}/nginx.conf") as file:
            text = file.read().replace("PORT", str(port)).replace("BODY", body.replace("'", "\\'"))
        with open(f"{directory}/nginx.conf", "w") as file:
            file.write(text)
        self.start(["nginx", "-p", directory, "-c", "nginx.conf"], port, stderr=subprocess.DEVNULL)

    def worker(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return int(children.read().split()[0])


def wrk(url, connections, seconds, script, argument):
    """Runs wrk and returns its output."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30s", "--latency", "-s",
         f"{HERE}/{script}", url, "--", argument],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise Failure(f"wrk ended with {done.returncode}: {done.stdout[-500:]}")
    return done.stdout


def figure(pattern, text):
    match = re.search(pattern, text)
    if not match:
        raise Failure(f"no figure ({pattern}) in: {text}")
    return match


def percentile(text, share):
    match = figure(rf"(?m)^\s+{share}%\s+([\d.]+)(us|ms|s|m)\s*$", text)
    return float(match[1]) * UNITS[match[2]]


class Load:
    """The result of one run of wrk against a server."""

    def __init__(self, server, text, processor_seconds):
        self.p50 = percentile(text, 50)
        self.p99 = percentile(text, 99)
        self.wrong = 0
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        scripted = re.search(r"(?m)^answered (\d+) refused (\d+) seconds ([\d.]+)$", text)
        if scripted:
            count, refused, seconds = int(scripted[1]), int(scripted[2]), float(scripted[3])
            if refused:
                reason = re.search(r"(?m)^refusal (.*)$", text)
                raise Failure(f"{refused} of {count} broadcasts were refused: {reason and reason[1]}")
            self.wrong = sum(int(errors[index]) for index in (1, 2, 3)) if errors else 0
            self.rate = count / seconds if seconds > 0 else 0
        else:
            count = int(figure(r"(\d+) requests in", text)[1])
            self.rate = float(figure(r"Requests/sec:\s+([\d.]+)", text)[1])
            self.wrong = sum(map(int, errors.groups())) if errors else 0
            other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
            self.wrong += int(other[1]) if other else 0
        if not count:
            raise NoAnswer(f"no request was answered: {text}")
        self.processor = processor_seconds / count


def load(server, connections, seconds, script, argument):
    before = server.processor_seconds()
    text = wrk(f"http://127.0.0.1:{server.port}/rpc/v1", connections, seconds, script, argument)
    return Load(server, text, server.processor_seconds() - before)


def microseconds(seconds):
    return f"{seconds * 1e6:.0f} us" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"


def measure(row, server, what, connections, seconds, script, argument, each=1):
    """Runs wrk and prints a line."""
    try:
        run = load(server, connections, seconds, script, argument)
    except NoAnswer:
        row(f"{what}, {connections} connections: answered", "none", "", False)
        return
    report(row, what, connections, run, each)


def report(row, what, connections, run, each=1):
    """Prints a line for one run, whose requests each hold `each` calls."""
    processor = run.processor / each * 1e6
    target = PROCESSOR_TARGETS.get(what)
    print(f"{what:<30} {connections:>5}  {run.rate * each:>9.0f}/s  p50 {microseconds(run.p50):>8}  "
          f"p99 {microseconds(run.p99):>8}  processor {processor:>7.1f} us", flush=True)
    if run.wrong:
        row(f"{what}, {connections} connections: not served", f"{run.wrong}", "0", False)
    if target and connections > 1:
        row(f"{what}, {connections} connections: processor time", f"{processor:.1f} us", f"<= {target} us",
            processor <= target)


def prepare(apus, root):
    """Creates a node's directory with a table of one row. Returns the node's answer to a ping."""
    subprocess.run(
        [apus, "init", "--root", root, "--chain-id", CHAIN_ID, "--listen", "127.0.0.1:1", "--rpc-listen",
         "127.0.0.1:1"], check=True, stdout=subprocess.DEVNULL)
    with Node(apus, root, is_quiet=False) as node:
        for sql in ("CREATE TABLE bench (id INTEGER PRIMARY KEY NOT NULL, v TEXT)",
                    "INSERT INTO bench (id, v) VALUES (1, 'a row')"):
            subprocess.run(
                [apus, "tx", "send", sql, "--key", f"{root}/nodekey.json", "--rpc", f"127.0.0.1:{node.port}", "--wait"],
                check=True, stdout=subprocess.DEVNULL)
        rows = call(node.port, *QUERIES["one row"])[1]
        if len(rows["values"]) != 1:
            raise Failure(f"expected one row: {rows}")
        return call(node.port, *QUERIES["ping"])[0].decode()


def run(apus, directory, options, row):
    """Runs the part. Files go to `directory`, figures to `row`."""
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            raise Failure(f"{tool} is not installed (make bench installs it)")
    root = f"{directory}/node"
    pong = prepare(apus, root)
    os.mkdir(f"{directory}/nginx")
    for name, (method, parameters) in QUERIES.items():
        with open(f"{directory}/{name}", "w") as file:
            json.dump({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}, file)
    with Nginx(f"{directory}/nginx", pong) as nginx, Node(apus, root, is_quiet=True) as node:
        for connections in CONNECTIONS:
            try:
                against_nginx(row, nginx, node, connections, f"{directory}/ping", options)
            except NoAnswer:
                row(f"ping / nginx, {connections} connections", "no answer", "", False)
    for name in list(QUERIES)[1:]:
        with Node(apus, root, is_quiet=True) as node:
            for connections in CONNECTIONS:
                measure(row, node, name, connections, options.seconds, "post.lua", f"{directory}/{name}")
    broadcasts(apus, directory, root, options, row)


def against_nginx(row, nginx, node, connections, body, options):
    """Measures ping between two runs of nginx in each round."""
    ceilings = [load(nginx, connections, options.seconds, "post.lua", body)]
    pings = []
    ratios = []
    for _ in range(options.rounds):
        pings.append(load(node, connections, options.seconds, "post.lua", body))
        ceilings.append(load(nginx, connections, options.seconds, "post.lua", body))
        ratios.append(pings[-1].rate / statistics.mean(run.rate for run in ceilings[-2:]))
    for what, runs in (("nginx", ceilings), ("ping", pings)):
        middle = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
        middle.wrong = sum(run.wrong for run in runs)
        report(row, what, connections, middle)
    ratio = statistics.median(ratios)
    target = RATIO_TARGETS.get(connections)
    row(f"ping / nginx, {connections} connections: median ({min(ratios):.2f} to {max(ratios):.2f})", f"{ratio:.2f}",
        f">= {target:.2f}" if target else "", ratio >= target if target else None)


def broadcasts(apus, directory, root, options, row):
    """Measures broadcasts. Each run has its own node, whose mempool starts empty and stays below its limits."""
    singles, batches = f"{directory}/singles", f"{directory}/batches"
    signing.write(MEMPOOL // BATCH * BATCH, BATCH, CHAIN_ID, singles, batches)
    for what, each, file in (("broadcast", 1, singles), (f"broadcast, in batches of {BATCH}", BATCH, batches)):
        for connections in CONNECTIONS:
            if connections * each > MEMPOOL:
                print(f"{what:<30} {connections:>5}  not measured: more than the mempool holds", flush=True)
                continue
            copy = f"{directory}/copy"
            shutil.copytree(root, copy)
            with Node(apus, copy, is_quiet=True) as node:
                seconds = max(options.seconds, 2 * connections * each // LEAST_RATE)
                measure(row, node, what, connections, seconds, "broadcast.lua", file, each)
            shutil.rmtree(copy)
