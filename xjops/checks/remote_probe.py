"""Runs on a host, as root, by its own Python (3.8 or later), standard library only; prints JSON.

Every look that could hang (a stale mount, a dead server) runs in a child process with a deadline.
Argument 1: the questions (JSON), see `xjops.checks.probe.questions`.
"""

import json
import os
import platform
import subprocess
import sys
import time

QUESTIONS = json.loads(sys.argv[1])
DEADLINE = QUESTIONS["seconds"]


def run(*words):
    """A command's output, or None and the reason."""
    try:
        done = subprocess.run(
            words,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            universal_newlines=True,
        )
    except FileNotFoundError:
        return None, words[0] + " is not installed"
    except subprocess.TimeoutExpired:
        return None, "no answer within %g s" % DEADLINE
    if done.returncode:
        return None, (done.stderr or done.stdout).strip()[-300:] or "exit code %d" % done.returncode
    return done.stdout.strip(), ""


def os_release():
    with open("/etc/os-release") as file:
        pairs = [line.rstrip("\n").split("=", 1) for line in file if "=" in line]
    return {key: value.strip('"') for key, value in pairs}


def memory_mb():
    with open("/proc/meminfo") as file:
        return int(next(line for line in file if line.startswith("MemTotal")).split()[1]) // 1024


MOUNT_LOOK = """
import json, os, sys, tempfile
path = sys.argv[1]
size = os.statvfs(path)
handle, name = tempfile.mkstemp(prefix=".xjops-probe-", dir=path)
os.write(handle, b"xjops")
os.fsync(handle)
os.close(handle)
read = open(name, "rb").read() == b"xjops"
os.unlink(name)
print(json.dumps({"size_gb": round(size.f_frsize * size.f_blocks / 2**30, 1),
                  "free_gb": round(size.f_frsize * size.f_bavail / 2**30, 1), "writable": read}))
"""


def mount(path):
    """Where `path` is mounted from, its size and whether a written file can be read back."""
    found = {"path": path}
    with open("/proc/self/mounts") as file:
        for line in file:
            source, target, kind = line.split()[:3]
            if target == path:
                found.update(source=source, type=kind)
    if "source" not in found:
        found["error"] = "not mounted"
        return found
    text, error = run(sys.executable, "-c", MOUNT_LOOK, path)
    found.update(json.loads(text) if text else {"error": error})
    return found


def postgresql(about):
    """Which part this PostgreSQL plays, and the standbys that stream from it."""
    query = (
        "select json_build_object('version', current_setting('server_version'), 'standby', pg_is_in_recovery(),"
        " 'checksums', current_setting('data_checksums'),"
        " 'streaming', (select count(*) from pg_stat_replication where state = 'streaming'),"
        " 'receiver', (select count(*) from pg_stat_wal_receiver where status = 'streaming'))"
    )
    words = ("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-p", str(about["port"]), "-c", query)
    text, error = run(*words)
    return json.loads(text) if text else {"error": error}


def oracle(about):
    """The cluster's own word: which instances run on which node (srvctl of the grid or database owner)."""
    words = ("runuser", "-l", "oracle", "-c", "srvctl status database -d %s -v" % about["name"])
    text, error = run(*words)
    return {"status": text} if text else {"error": error}


STATES = """
import csv, io, json, socket
link = socket.socket(socket.AF_UNIX)
link.settimeout(3)
link.connect("/run/haproxy/admin.sock")
link.sendall(b"show stat\\n")
text = b""
while True:
    part = link.recv(65536)
    if not part:
        break
    text += part
rows = csv.DictReader(io.StringIO(text.decode().lstrip("# ")))
print(json.dumps([{"backend": r["pxname"], "member": r["svname"], "address": r.get("addr", ""),
                   "status": r["status"]} for r in rows if r["svname"] not in ("FRONTEND", "BACKEND")]))
"""


def balancer():
    text, error = run(sys.executable, "-c", STATES)
    return {"members": json.loads(text)} if text else {"error": error}


def resolve(name):
    text, _ = run("getent", "ahostsv4", name)
    return text.split()[0] if text else ""


def release():
    """The name of the application's current release; "" where there is none."""
    try:
        return os.path.basename(os.readlink("/opt/registry/current"))
    except OSError:
        return ""


def system():
    """What every host is asked."""
    failed, _ = run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    state, why = run("systemctl", "is-system-running")
    virtual, _ = run("systemd-detect-virt", "--vm")
    return {
        "hostname": platform.node(),
        "system": platform.system(),
        "kernel": platform.release(),
        "os": os_release(),
        "cpus": os.cpu_count(),
        "memory_mb": memory_mb(),
        "uptime_seconds": float(open("/proc/uptime").read().split()[0]),
        "clock": time.time(),
        "state": state or why,
        "virtual": virtual or "none",
        "failed_units": [line.split()[0] for line in (failed or "").splitlines()],
        "mounts": [mount(path) for path in QUESTIONS["mounts"]],
        "release": release(),
        "names": {name: resolve(name) for name in QUESTIONS["names"]},
    }


def main():
    answer = {} if QUESTIONS.get("brief") else system()
    if QUESTIONS["database"]:
        about = QUESTIONS["database"]
        answer["database"] = oracle(about) if about["kind"] == "oracle" else postgresql(about)
    if QUESTIONS["balancer"]:
        answer["balancer"] = balancer()
    print(json.dumps(answer))


main()
