"""Tests the checks that run whole programs. `run.py [NAME…]` breaks the code by the named mutations, or by all
(mutations.py), and expects each mutation's command of `apus-sim`, mostly `simulate` with some seeds, to fail. `run.py
--check` only checks that every mutation still fits the code.

All mutations are built into one program, from a copy of the sources in `.build-mutations/`; the environment variable
APUS_MUTATION selects the active one. The sources themselves contain nothing of this.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import time

from mutations import MUTATIONS, SEEDS, SQL_SEEDS

# Commands that must succeed without a mutation, or a failure with one would prove nothing; shortened where the full
# command takes minutes.
SOUND = {SEEDS: "simulate --seeds 1-20 --jobs 1", SQL_SEEDS: "simulate --execution sql --seeds 1-6 --jobs 1"}
PATIENCE = 900

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
TREE = os.path.join(ROOT, ".build-mutations/tree")
SWITCH = """import Glibc

/// The active mutation.
public enum Mutation {
    private static let name = getenv("APUS_MUTATION").map { String(cString: $0) }

    /// Returns whether the mutation with this name is active.
    public static func active(_ name: String) -> Bool { self.name == name }
}
"""


def mutated():
    """Returns the program's files by name, with all mutations applied."""
    wanted = {"Package.swift": read("Package.swift"), "Sources/Bytes/Mutation.swift": SWITCH}
    for folder in ("Sources", "Tests/TestSupport"):
        for path, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                file = os.path.relpath(os.path.join(path, name), ROOT)
                wanted[file] = read(file)
    for mutation in MUTATIONS:
        for file, find, replace in mutation.changes:
            text = wanted[file]
            if text.count(find) != 1:
                sys.exit(f"{mutation.name}: this text occurs {text.count(find)} times in {file}, not once:\n{find}")
            text = text.replace(find, replace)
            if not re.search(r"^import Bytes$", text, re.M):
                text = "import Bytes\n" + text
            wanted[file] = text
    return wanted


def build():
    """Writes the mutated sources that have changed and builds them. Returns the simulator's path."""
    wanted = mutated()
    # The test targets are not needed, but the manifest names them.
    manifest = wanted["Package.swift"]
    tests = [f"{name}Tests" for name in re.findall(r'module\(\s*"(\w+)"', manifest)]
    for name in tests + re.findall(r'testTarget\(\s*name: "([\w-]+)"', manifest):
        wanted[f"Tests/{name}/Empty.swift"] = ""
    for path, _, names in os.walk(TREE):
        for name in names:
            file = os.path.relpath(os.path.join(path, name), TREE)
            if file not in wanted and not file.startswith((".build", "Package.resolved")):
                os.remove(os.path.join(TREE, file))
    for file, text in wanted.items():
        target = os.path.join(TREE, file)
        if os.path.exists(target) and open(target).read() == text:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w") as out:
            out.write(text)
    build = os.path.join(ROOT, ".build-mutations/build")
    command = ["swift", "build", "-c", "release", "--product", "apus-sim", "--package-path", TREE, "--scratch-path", build]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        sys.exit("the mutated sources do not build: see the errors above")
    return os.path.join(build, "release/apus-sim")


def read(file):
    with open(os.path.join(ROOT, file)) as source:
        return source.read()


def check(simulator, mutation, command):
    """Runs a command with a mutation. Returns its output if it fails, else None."""
    environment = {**os.environ, "APUS_MUTATION": mutation}
    out = subprocess.run(
        [simulator, *command.split()], env=environment, capture_output=True, text=True, timeout=PATIENCE,
        stdin=subprocess.DEVNULL)
    return None if out.returncode == 0 else out.stdout + out.stderr


def judge(simulator, mutation):
    """Returns a line with the seed and the checker that caught the mutation; None if none did."""
    start = time.monotonic()
    try:
        report = check(simulator, mutation.name, mutation.command)
    except subprocess.TimeoutExpired:
        report = None
    if report is None:
        return None
    found = re.search(r"^seed (\d+).*?FAILED.*?(\S.*)$", report, re.M)
    what = f"seed {found.group(1)}: {found.group(2)}" if found else report.strip().splitlines()[-1]
    return f"{what[:150]} ({time.monotonic() - start:.0f} s)"


def main():
    words = sys.argv[1:]
    if words == ["--check"]:
        mutated()
        return 0
    # Building takes minutes: no mistyped word or option may begin it.
    for word in words:
        if not any(word in mutation.name for mutation in MUTATIONS):
            sys.exit(f"no mutation has {word} in its name\n\n{__doc__}")
    simulator = build()
    chosen = [m for m in MUTATIONS if not words or any(word in m.name for word in words)]
    for command in sorted({SOUND.get(mutation.command, mutation.command) for mutation in chosen}):
        report = check(simulator, "none", command)
        if report is not None:
            sys.exit(f"the command fails without a mutation:\n{report}")
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, caught in zip(chosen, pool.map(lambda m: judge(simulator, m), chosen)):
            missed += caught is None
            print(f"{'caught' if caught else 'MISSED'}  {mutation.name}: {caught or mutation.why}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} mutations caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
