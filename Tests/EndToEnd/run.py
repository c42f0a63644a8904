"""End-to-end tests with real processes: run.py APUS [NAME…] runs those whose names contain one of the words."""

import os
import sys
import tempfile
import time
import traceback

import bad_input
import besieged
import clocks
import execution
import log_output
import namespaces
import operation
import queries
import restarts
import statements
import strangers
import testnet
import validators


def main():
    apus = os.path.abspath(sys.argv[1])
    words = sys.argv[2:]
    passed = failed = 0
    suites = (
        bad_input, clocks, execution, log_output, operation, queries, restarts, statements, strangers, besieged,
        testnet, validators, namespaces)
    for test in (test for suite in suites for test in suite.TESTS):
        if words and not any(word in test.__name__ for word in words):
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="apus-e2e-") as directory:
            try:
                test(apus, directory)
                passed += 1
                print(f"ok    {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
            except Exception:
                failed += 1
                print(f"FAIL  {test.__name__}", flush=True)
                traceback.print_exc(limit=-3, file=sys.stdout)
                for name in sorted(os.listdir(directory)):
                    if name.endswith(".log"):
                        with open(f"{directory}/{name}", errors="replace") as log:
                            print(f"--- {name}", *log.read().splitlines()[-8:], sep="\n    ", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
