"""End-to-end tests with real processes: run.py APUS [NAME…] runs the tests whose names contain one of the words."""

import concurrent.futures
import os
import signal
import sys
import tempfile
import time
import traceback

from cases import (
    bad_input, clocks, execution, kwil_clients, load, log_output, metrics, namespaces, operation, profiles, queries,
    restarts, scripting, statements, strangers, systemd, testnet, trace, validators)

SUITES = (
    bad_input, clocks, execution, kwil_clients, load, log_output, metrics, operation, profiles, queries, restarts,
    scripting, statements, strangers, systemd, testnet, trace, validators, namespaces)
# Tests that mostly wait run beside the others, each at once or one after another.
BESIDE = [[test] for test in (*strangers.BESIDE, metrics.probes_follow_the_node)] + [namespaces.TESTS]


def run(test, apus):
    """Runs a test and prints its result in one piece. Returns None, or the failure in one line."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="apus-e2e-") as directory:
        try:
            test(apus, directory)
            print(f"ok    {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
            return None
        except Exception as error:
            lines = [f"FAIL  {test.__name__}", traceback.format_exc(limit=-3)]
            for name in sorted(os.listdir(directory)):
                if name.endswith(".log"):
                    with open(f"{directory}/{name}", errors="replace") as log:
                        lines += [f"--- {name}", *("    " + line for line in log.read().splitlines()[-8:])]
            print("\n".join(lines), flush=True)
            return f"FAIL  {test.__name__}: {error}"


def main():
    # Under nohup(1), nodes would inherit an ignored SIGHUP and never reload.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    apus, words = os.path.abspath(sys.argv[1]), sys.argv[2:]
    chosen = [
        test for suite in SUITES for test in suite.TESTS
        if not words or any(word in test.__name__ for word in words)]
    with concurrent.futures.ThreadPoolExecutor(len(BESIDE)) as pool:
        lanes = [
            pool.submit(lambda lane: [run(test, apus) for test in lane if test in chosen], lane) for lane in BESIDE]
        beside = {test for lane in BESIDE for test in lane}
        results = [run(test, apus) for test in chosen if test not in beside]
        for lane in lanes:
            results += lane.result()
    failures = [result for result in results if result]
    print("\n".join([*failures, f"{len(results) - len(failures)} passed, {len(failures)} failed"]))
    return 0 if results and not failures else 1


if __name__ == "__main__":
    sys.exit(main())
