"""Runs on a balancer as root (Python 3.8 or later): asks HAProxy's runtime API, then keeps the states.

It gets its order as JSON: `socket`, `seconds` (for one answer), `commands` (in order) and `keep` (the role
load_balancer's program that writes down who is taken out; empty: the commands change nothing). It prints
`answers`, one for each command sent, or `error`.
"""

import json
import os
import socket
import subprocess
import sys

ORDER = json.loads(sys.argv[1])


def ask(command):
    """The answer to one command; the socket closes after it."""
    parts = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(ORDER["seconds"])
        client.connect(ORDER["socket"])
        client.sendall(command.encode() + b"\n")
        while True:
            block = client.recv(65536)
            if not block:
                break
            parts.append(block)
    return b"".join(parts).decode("utf-8", "replace")


def main():
    keep, answers = ORDER["keep"], []
    if keep and not os.access(keep[0], os.X_OK):
        # Said before anything is changed: a state that the next reload forgets is a trap.
        return {"error": f"no {keep[0]}", "missing": keep[0]}
    try:
        for command in ORDER["commands"]:
            answers.append(ask(command))
    except OSError as error:
        return {"error": f"{ORDER['socket']}: {error.strerror or error}"}
    if keep:
        done = subprocess.run(keep, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False)
        if done.returncode:
            return {"unkept": done.stdout.decode("utf-8", "replace").strip()[-200:]}
    return {"answers": answers}


print(json.dumps(main()))
