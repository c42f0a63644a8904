"""`apus testnet`: its proof, its inputs, and its cleaning up."""

import json
import os
import signal
import subprocess

from network import PATIENCE, expect, wait


def children(pid):
    """The IDs of the child processes of `pid`, from procfs."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry))
        except OSError:
            pass
    return found


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def csv(directory):
    file = f"{directory}/people.csv"
    with open(file, "w") as f:
        f.write('name,"full, name",age\n')
        for i in range(40):
            f.write(f'n{i},"Ünï ""{i}"", x",{i}\n')
    return file


def prove(apus, directory, file, rows, *more):
    out = subprocess.run(
        [apus, "testnet", "--input", file, "--root", f"{directory}/net", *more], capture_output=True, text=True,
        timeout=2 * PATIENCE)
    expect(out.returncode == 0, f"exit code {out.returncode}: {out.stdout[-500:]}{out.stderr[-500:]}")
    expect(any(line.split() == ["rows", str(rows)] for line in out.stdout.splitlines()), out.stdout)
    expect("nodes agree" in out.stdout, out.stdout)


def csv_input(apus, directory):
    prove(apus, directory, csv(directory), 40)


def json_input(apus, directory):
    file = f"{directory}/things.json"
    with open(file, "w") as f:
        json.dump([{"a": i, "b": None if i % 3 else f"text {i}", "c": True} for i in range(30)], f)
    prove(apus, directory, file, 30, "--validators", "1", "--reactor", "epoll")


def cells_are_bytes(apus, directory):
    """Spaces, tabs, no-break spaces, empty cells and both forms of an accented letter are committed unchanged."""
    file = f"{directory}/cells.csv"
    with open(file, "wb") as f:
        f.write(b"\xef\xbb\xbfx,y\r\n1, a b\r\n\t2 ,\xc2\xa0\r\n,\"\"\r\n\xc3\xa9,e\xcc\x81\r\n")
    prove(apus, directory, file, 4, "--validators", "1", "--sentries", "0")


def large_rows(apus, directory):
    """Rows so large that a hundred of them exceed a request."""
    file = f"{directory}/large.csv"
    with open(file, "w") as f:
        f.write("n,text\n")
        for i in range(620):
            f.write(f"{i},{str(i) * 10}{'x' * 50000}\n")
    prove(apus, directory, file, 620, "--validators", "1", "--sentries", "0")


def bad_input_is_refused(apus, directory):
    for name, content, place in (
        ("short.csv", b"a,b\n1,x\ny\n", ":3: row 2, column 2"),
        ("long.csv", b"a,b\n1,x\n1,2,3\n", ":3: row 2, column 3"),
        ("open.csv", b'id,name\n1,"open\n2,b\n', ":2: row 1, column 2"),
        ("blank.csv", b"id,name\n1,a\n\n2,b\n", ":3: row 2"),
        ("twice.csv", b"id,id\n1,a\n", ":1: header, column 2"),
        ("twice.json", b'[{"a": 1, "a": 2}]', '"a"'),
    ):
        file = f"{directory}/{name}"
        with open(file, "wb") as f:
            f.write(content)
        out = subprocess.run(
            [apus, "testnet", "--input", file, "--root", f"{directory}/net"], capture_output=True, text=True,
            timeout=PATIENCE)
        expect(out.returncode == 1, f"{name}: exit code {out.returncode}")
        expect(out.stderr.count("\n") == 1 and name in out.stderr and place in out.stderr, f"{name}: {out.stderr}")


def interrupted(apus, directory, number, keep, meanwhile=lambda: None):
    """Sends a signal to a test network, when a kept one has run `meanwhile`. Returns its exit code."""
    arguments = [apus, "testnet", "--input", csv(directory), "--root", f"{directory}/net"]
    output = f"{directory}/output"
    with open(output, "w") as out:
        testnet = subprocess.Popen(
            arguments + (["--keep"] if keep else []), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            start_new_session=True)
    nodes = []
    try:

        def complaint():
            expect(testnet.poll() is None, f"the test network ended: {open(output).read()}")
            if len(children(testnet.pid)) < 5:
                return "there are not five nodes"
            return "no proof" if keep and "Running until" not in open(output).read() else None

        wait(complaint)
        nodes = children(testnet.pid)
        meanwhile()
        testnet.send_signal(number)
        testnet.wait(timeout=PATIENCE)
        wait(lambda: f"still running: {[n for n in nodes if is_running(n)]}" if any(map(is_running, nodes)) else None)
        return testnet.returncode
    finally:
        if testnet.poll() is None:
            testnet.kill()
            testnet.wait()
        for node in nodes:
            if is_running(node):
                os.kill(node, signal.SIGKILL)


def interrupt_after_the_proof_leaves_nothing(apus, directory):
    def load():
        """A kept network can be loaded in its owner's name."""
        address = open(f"{directory}/output").read().rsplit("--rpc ", 1)[1].split()[0]
        out = subprocess.run(
            [apus, "load", "--key", f"{directory}/net/owner.json", "--rpc", address, "--rate", "20", "--duration", "1"],
            capture_output=True, text=True, timeout=PATIENCE)
        expect("20 of 20 committed" in out.stdout, out.stdout + out.stderr)

    expect(interrupted(apus, directory, signal.SIGINT, keep=True, meanwhile=load) == 0, "a kept network ends with 0")


def interrupt_at_work_leaves_nothing(apus, directory):
    expect(interrupted(apus, directory, signal.SIGINT, keep=False) == 130, "exit code is not 130")


def kill_leaves_nothing(apus, directory):
    interrupted(apus, directory, signal.SIGKILL, keep=True)


def foreign_directory_is_not_touched(apus, directory):
    root = f"{directory}/mine"
    os.mkdir(root)
    with open(f"{root}/precious", "w") as f:
        f.write("data")
    out = subprocess.run(
        [apus, "testnet", "--input", csv(directory), "--root", root], capture_output=True, text=True, timeout=PATIENCE)
    expect(out.returncode > 0 and root in out.stderr, out.stderr)
    expect(os.listdir(root) == ["precious"], "the directory was changed")


TESTS = [
    csv_input, json_input, cells_are_bytes, large_rows, bad_input_is_refused,
    interrupt_after_the_proof_leaves_nothing, interrupt_at_work_leaves_nothing, kill_leaves_nothing,
    foreign_directory_is_not_touched,
]
