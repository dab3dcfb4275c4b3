"""The floor of `make bench B=plan`: what any tool pays that asks all hosts one question through fabric.

`python _fabric_round_trip.py HOSTS.json`: [[address, port, user], …], the private key and the file of host
keys in the same object. Connects to all at once, runs `true`, ends.
"""

import json
import sys
from pathlib import Path

from fabric import Config, Connection, ThreadingGroup
from paramiko import RejectPolicy

about = json.loads(Path(sys.argv[1]).read_text())
connections = []
for address, port, user in about["hosts"]:
    connection = Connection(
        address,
        user=user,
        port=port,
        config=Config(overrides={"load_ssh_configs": False}, lazy=True),
        connect_kwargs={"key_filename": about["key"], "look_for_keys": False, "allow_agent": False},
    )
    connection.client.set_missing_host_key_policy(RejectPolicy())
    connection.client.load_host_keys(about["known_hosts"])
    connections.append(connection)
ThreadingGroup.from_connections(connections).run("true", hide=True, in_stream=False)
