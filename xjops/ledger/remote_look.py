"""Runs on a host, as root, by its own Python (3.8 or later), standard library only; prints JSON.

Keeps the host's ledger: for every step of the site's playbook the items it left behind, each with the state
it had then. An item is [kind, name]; its state is a flat object, or null where the item isn't there.

Argument 1 (JSON): {"verb": "look", "links": [paths]} (their targets are told, too), or {"verb": "record", "run": …, "entries": {step: {"inputs": …, "items":
[[kind, name], …]}}, "begin": [names], "accept": false}: steps that ended, and steps that begin (their entries go).
A step that ran again with the same inputs keeps the states it had left before: what it did not bring back
stays a difference, unless "accept" says that the host is right as it is now.
"""

import grp
import hashlib
import json
import os
import pwd
import stat
import subprocess
import sys
import time

LEDGER = "/var/lib/xjops/ledger.json"
SCHEMA = 2
SECONDS = 20


def run(*words, environment=None):
    """Exit code and output of a command; a hang is exit code 124."""
    try:
        done = subprocess.run(
            words,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            text=True,
            errors="replace",
            env=environment,
        )
    except FileNotFoundError:
        return 127, ""
    except subprocess.TimeoutExpired:
        return 124, ""
    return done.returncode, done.stdout


def name_of(table, number):
    try:
        return table(number)[0]
    except KeyError:
        return str(number)


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def file(path):
    """A file, folder or symbolic link: kind, owner, group and mode; a file's hash, a link's target."""
    try:
        about = os.lstat(path)
    except OSError:
        return None
    state = {
        "owner": name_of(pwd.getpwuid, about.st_uid),
        "group": name_of(grp.getgrgid, about.st_gid),
    }
    if stat.S_ISLNK(about.st_mode):
        state["link"] = os.readlink(path)
    else:
        state["mode"] = "%04o" % stat.S_IMODE(about.st_mode)
        if stat.S_ISREG(about.st_mode):
            state["sha256"] = digest_of(path)
        else:
            state["type"] = "folder" if stat.S_ISDIR(about.st_mode) else "other"
    return state


def tree(path):
    """A folder with all that is below it: number of files, and a hash over what `stat` says of them.

    Not over their content: reading a release of 100 MB on each look would cost more than all the rest.
    """
    if not os.path.isdir(path):
        return None
    digest, count, todo = hashlib.sha256(), 0, [path]
    while todo:
        folder = todo.pop()
        digest.update(os.fsencode(os.path.relpath(folder, path)))
        with os.scandir(folder) as found:  # a fraction of what os.walk and lstat cost
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                todo += [entry.path] if entry.name != "__pycache__" else []
                continue
            about = entry.stat(follow_symlinks=False)
            target = os.readlink(entry.path) if entry.is_symlink() else ""
            owner = (about.st_uid, about.st_gid)
            known = (entry.name, about.st_size, about.st_mode, *owner, about.st_mtime_ns, target)
            digest.update(repr(known).encode("utf-8", "surrogateescape"))
            count += 1
    return {"files": count, "sha256": digest.hexdigest()}


def packages(names):
    _, text = run("dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev} ${Version}\\n")
    found = {}
    for line in text.splitlines():
        name, status, version = (line.split() + ["", ""])[:3]
        if status == "ii":
            found[name.split(":")[0]] = {"version": version}
    return {name: found.get(name) for name in names}


def units(names):
    if not names:
        return {}
    properties = "Id,LoadState,ActiveState,UnitFileState"
    _, text = run("systemctl", "show", "--property=" + properties, "--", *names)
    found = {}
    for name, block in zip(names, text.strip().split("\n\n")):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        active = values.get("ActiveState", "")
        found[name] = (
            None
            if values.get("LoadState") == "not-found"
            else {
                "active": "active" if active == "reloading" else active,
                "enabled": values.get("UnitFileState"),
            }
        )
    return {name: found.get(name) for name in names}


def mounts(names):
    found = {}
    with open("/proc/self/mounts") as table:
        for line in table:
            source, target, kind = line.split()[:3]
            found[target] = {"source": source, "type": kind}
    return {name: found.get(name) for name in names}


def account(name):
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return {
        "group": name_of(grp.getgrgid, entry.pw_gid),
        "home": entry.pw_dir,
        "shell": entry.pw_shell,
    }


def member(name):
    """ "account:group", whether the one is in the other."""
    account_name, group_name = name.split(":")
    try:
        return {"member": True} if account_name in grp.getgrnam(group_name).gr_mem else None
    except KeyError:
        return None


def group(name):
    try:
        return {"gid": grp.getgrnam(name).gr_gid}
    except KeyError:
        return None


def probe(command):
    """What a task that leaves nothing else to watch says to look at: exit code and hash of the output."""
    code, text = run("/bin/sh", "-c", command)
    return {"exit": code, "output": hashlib.sha256(text.encode()).hexdigest()[:16]}


ONE = {
    "file": file,
    "followed": file,  # made by another step: a change of it makes this one run
    "tree": tree,
    "account": account,
    "member": member,
    "group": group,
    "probe": probe,
}
ALL = {"package": packages, "unit": units, "mount": mounts}


def states(items):
    """The present state of every item, by (kind, name)."""
    found = {}
    for kind in sorted({kind for kind, _ in items}):
        names = sorted({name for other, name in items if other == kind})
        if kind in ALL:
            found.update({(kind, name): state for name, state in ALL[kind](names).items()})
        else:
            found.update({(kind, name): ONE[kind](name) for name in names})
    return found


def read():
    try:
        with open(LEDGER) as stream:
            ledger = json.load(stream)
    except (OSError, ValueError):
        ledger = {}
    return ledger if ledger.get("schema") == SCHEMA else {"schema": SCHEMA, "open": {}, "entries": {}}


def write(ledger):
    """Replace the ledger whole; only root may read it (it says what is installed where)."""
    import tempfile  # only here: a look, of which there are many, does without

    folder = os.path.dirname(LEDGER)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=".ledger-", dir=folder)
    with os.fdopen(handle, "w") as stream:
        json.dump(ledger, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(partial, LEDGER)


def begin(ledger, run_id, steps):
    """The entries of steps that are about to run go; who began them stays until they are recorded."""
    for step in steps:
        before = ledger["entries"].pop(step, None) or ledger["open"].get(step, {}).get("before")
        ledger["open"][step] = {"run": run_id, "time": int(time.time()), "before": before}


def kept(before, inputs):
    """The states that a step with the same inputs has to bring about again, by item."""
    if not before or before["inputs"] != inputs:
        return {}
    return {
        (kind, name): state
        for kind, name, state in before["items"]
        # A tree that was built anew has other times; what was seen while it was starting must not become the rule.
        if kind not in ("followed", "tree")
        and not (kind == "unit" and (state or {}).get("active") != "active")
    }


def record(ledger, run_id, entries, accept):
    now = states([tuple(item) for entry in entries.values() for item in entry["items"]])
    for step, entry in entries.items():
        before = ledger["open"].pop(step, {}).get("before")
        wanted = {**now, **({} if accept else kept(before, entry["inputs"]))}
        items = [[kind, name, wanted[kind, name]] for kind, name in sorted(map(tuple, entry["items"]))]
        ledger["entries"][step] = {
            "run": run_id,
            "time": int(time.time()),
            "inputs": entry["inputs"],
            "items": items,
        }


def look(ledger):
    """Every entry without its items, and of those only what differs from now."""
    now = states([(kind, name) for entry in ledger["entries"].values() for kind, name, _ in entry["items"]])
    shown = {}
    for step, entry in ledger["entries"].items():
        drift = [
            [kind, name, was, now[kind, name]] for kind, name, was in entry["items"] if was != now[kind, name]
        ]
        shown[step] = {key: entry[key] for key in ("run", "time", "inputs")}
        shown[step].update(items=len(entry["items"]), drift=drift)
    begun = {step: {"run": about["run"]} for step, about in ledger["open"].items()}
    return {"schema": SCHEMA, "clock": int(time.time()), "open": begun, "entries": shown}


def link(path):
    """Where a symbolic link leads; "" where there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def main():
    order = json.loads(sys.argv[1])
    ledger = read()
    if order["verb"] == "look":
        print(json.dumps({**look(ledger), "links": {path: link(path) for path in order.get("links", [])}}))
        return
    record(ledger, order["run"], order.get("entries", {}), order.get("accept", False))
    begin(ledger, order["run"], order.get("begin", []))
    write(ledger)
    print(json.dumps({"recorded": sorted(order.get("entries", {}))}))


if __name__ == "__main__":
    main()
