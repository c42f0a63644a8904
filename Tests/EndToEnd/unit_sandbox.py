"""Runs the command of a systemd unit as systemd would confine it, where systemd itself does not run.

unit_sandbox.py UNIT PROGRAM DIRECTORY [ASSIGNMENT…]: executes `ExecStart=` of the unit with PROGRAM as its program and DIRECTORY
in the place of the state directory. An assignment is added at the end of the section [Service], as a drop-in does. Needs root
and libseccomp.

Knows the settings that a unit of this project may have, and fails at any other: the test must not run with less confinement
than the unit.
"""

import ctypes
import os
import resource
import subprocess
import sys

USER = 64_000
STATE = "/var/lib/apus"
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 1 << 18, 0x1000
MS_NOSUID, MS_NODEV = 2, 4
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
ERRNO_EPERM, ALLOW = 0x00050001, 0x7FFF0000
NOT_EQUAL, MASKED_EQUAL = 1, 7

libc = ctypes.CDLL(None, use_errno=True)

# Settings that describe the service and do not confine it.
PLAIN = {
    "Type", "NotifyAccess", "ExecStart", "ExecReload", "Restart", "RestartSec", "WatchdogSec", "TimeoutStopSec", "User", "Group",
    "StateDirectory", "StateDirectoryMode", "Sockets", "Slice",
}
# Settings that hide or forbid what an unprivileged process without capabilities cannot use here either.
IMPLIED = {
    "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectControlGroups",
    "ProtectKernelTunables", "DevicePolicy", "RemoveIPC", "AmbientCapabilities", "PrivateMounts", "SystemCallArchitectures",
}


def settings(path, more=()):
    """The assignments in the section [Service], in order."""
    found, section = [], None
    with open(path) as file:
        lines = [line.strip() for line in file]
    for line in lines:
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith(("#", ";")):
            found.append(tuple(line.split("=", 1)))
    return found + [tuple(line.split("=", 1)) for line in more]


def groups():
    """The system calls in each of systemd's groups."""
    out = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, capture_output=True, text=True).stdout
    found, name = {}, None
    for line in out.splitlines():
        if line.startswith(("@", "#")):
            name = line.strip()
            found[name] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            found[name].append(line.strip())
    return found


def expanded(word, known):
    return {call for part in known[word] for call in expanded(part, known)} if word.startswith("@") else {word}


def allowed_calls(assignments):
    """The system calls that the unit's SystemCallFilter= lines allow."""
    known = groups()
    calls = expanded("@default", known)
    for value in (value for name, value in assignments if name == "SystemCallFilter"):
        words = {call for word in value.removeprefix("~").split() for call in expanded(word, known)}
        calls = calls - words if value.startswith("~") else calls | words
    return calls


def check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def mount(source, target, kind=None, flags=0, data=None):
    encode = lambda text: text.encode() if text else None
    check(libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)))


def set_read_only(path, is_read_only, recursive):
    """mount_setattr(2), which the C library of Debian 12 has, but not under this name on all machines."""
    attributes = (ctypes.c_uint64 * 4)(1 if is_read_only else 0, 0 if is_read_only else 1, 0, 0)
    check(libc.syscall(442, -100, path.encode(), 0x8000 if recursive else 0, attributes, ctypes.sizeof(attributes)))


def hide(values, program, directory):
    """A view of the file system like the service's."""
    check(libc.unshare(CLONE_NEWNS))
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", "/var/lib", "tmpfs")
    os.mkdir(STATE)
    mount(directory, STATE, flags=MS_BIND)
    inside = "/var/lib/program"
    open(inside, "w").close()
    mount(program, inside, flags=MS_BIND)
    if values["ProtectHome"] == "yes":
        for path in ("/home", "/root"):
            mount("tmpfs", path, "tmpfs", data="mode=0")
    if values["PrivateDevices"] == "yes":
        mount("tmpfs", "/mnt", "tmpfs")
        for name in ("null", "zero", "full", "random", "urandom"):
            open(f"/mnt/{name}", "w").close()
            mount(f"/dev/{name}", f"/mnt/{name}", flags=MS_BIND)
        mount("/mnt", "/dev", flags=MS_BIND | MS_REC)
    options = {"invisible": "hidepid=invisible"}[values["ProtectProc"]]
    options += {"pid": ",subset=pid"}[values["ProcSubset"]]
    mount("proc", "/proc", "proc", data=options)
    if values["ProtectSystem"] == "strict":
        set_read_only("/", True, recursive=True)
        for path in ("/proc", "/dev", STATE):
            set_read_only(path, False, recursive=False)
    if values["PrivateTmp"] == "yes":
        for path in ("/tmp", "/var/tmp"):
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    return inside


def drop_privileges(values):
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    check(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
    if values["PrivateUsers"] == "yes":
        check(libc.unshare(CLONE_NEWUSER))
        for file, text in (("setgroups", "deny"), ("uid_map", f"{USER} {USER} 1"), ("gid_map", f"{USER} {USER} 1")):
            with open(f"/proc/self/{file}", "w") as out:
                out.write(text)
        if values["CapabilityBoundingSet"] == "":
            capability = 0
            while libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
                capability += 1
    # The capabilities in the new namespace end with execve, since the user is not its root.
    if values["NoNewPrivileges"] == "yes":
        check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Filter:
    """A seccomp filter, made with libseccomp."""

    def __init__(self, default):
        self.library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action, call, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            # Not a system call of this architecture.
            return
        array = (Comparison * len(comparisons))(*comparisons)
        result = self.library.seccomp_rule_add_array(
            self.context, ctypes.c_uint32(action), number, ctypes.c_uint(len(comparisons)), array)
        if result != 0:
            raise OSError(-result, f"{call}: {os.strerror(-result)}")

    def load(self):
        result = self.library.seccomp_load(self.context)
        if result != 0:
            raise OSError(-result, os.strerror(-result))


def restrict(values):
    """What single settings forbid, by the arguments of calls (systemd's seccomp-util.c names the same calls)."""
    rules = Filter(ALLOW)
    if values["MemoryDenyWriteExecute"] == "yes":
        rules.add(ERRNO_EPERM, "mmap", Comparison(2, MASKED_EQUAL, 6, 6))
        for call in ("mprotect", "pkey_mprotect"):
            rules.add(ERRNO_EPERM, call, Comparison(2, MASKED_EQUAL, 4, 4))
        rules.add(ERRNO_EPERM, "shmat", Comparison(2, MASKED_EQUAL, 0o100000, 0o100000))
    if values["RestrictNamespaces"] == "yes":
        for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
            for call in ("clone", "unshare"):
                rules.add(ERRNO_EPERM, call, Comparison(0, MASKED_EQUAL, flag, flag))
        rules.add(ERRNO_EPERM, "setns")
        rules.add(0x00050000 | 38, "clone3")
    if values["RestrictRealtime"] == "yes":
        for policy in (1, 2, 6):
            rules.add(ERRNO_EPERM, "sched_setscheduler", Comparison(1, 4, policy, 0))
    if values["RestrictSUIDSGID"] == "yes":
        for bit in (0o4000, 0o2000):
            for call, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2)):
                rules.add(ERRNO_EPERM, call, Comparison(place, MASKED_EQUAL, bit, bit))
    if values["LockPersonality"] == "yes":
        rules.add(ERRNO_EPERM, "personality", Comparison(0, NOT_EQUAL, 0, 0))
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
    allowed = [families[word] for word in values["RestrictAddressFamilies"].split()]
    for family in range(1, 46):
        if family not in allowed:
            rules.add(0x00050000 | 97, "socket", Comparison(0, 4, family, 0))
    rules.load()


def limit(values):
    for name, kind in (("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitCORE", resource.RLIMIT_CORE)):
        # As much of it as the machine of the test allows.
        hard = resource.getrlimit(kind)[1]
        value = int(values[name]) if hard == resource.RLIM_INFINITY else min(int(values[name]), hard)
        resource.setrlimit(kind, (value, value))


def run(unit, program, directory, more):
    assignments = settings(unit, more)
    values = dict(assignments)
    calls = allowed_calls(assignments)
    known = PLAIN | IMPLIED | {
        "ProtectHome", "PrivateDevices", "ProtectProc", "ProcSubset", "ProtectSystem", "PrivateTmp", "PrivateUsers",
        "CapabilityBoundingSet", "NoNewPrivileges", "MemoryDenyWriteExecute", "RestrictNamespaces", "RestrictRealtime",
        "RestrictSUIDSGID", "LockPersonality", "RestrictAddressFamilies", "SystemCallFilter", "SystemCallErrorNumber", "UMask",
        "LimitNOFILE", "LimitCORE",
    }
    unknown = values.keys() - known
    if unknown or values["SystemCallErrorNumber"] != "EPERM":
        sys.exit(f"{unit}: the test does not know how to apply {', '.join(sorted(unknown)) or 'SystemCallErrorNumber='}")
    os.umask(int(values["UMask"], 8))
    limit(values)
    words = values["ExecStart"].split()
    program = hide(values, program, directory)
    os.chdir("/")
    drop_privileges(values)
    restrict(values)
    allowed = Filter(ERRNO_EPERM)
    for call in sorted(calls):
        allowed.add(ALLOW, call)
    allowed.load()
    # The process of the service has its own ID in these variables, as from systemd.
    environment = dict(os.environ)
    for name in ("LISTEN_PID", "WATCHDOG_PID"):
        if name in environment:
            environment[name] = str(os.getpid())
    os.execve(program, words, environment)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
