"""Ask HAProxy's runtime API: one command, its answer on standard output."""

import socket
import sys

client = socket.socket(socket.AF_UNIX)
client.settimeout(5)
client.connect("/run/haproxy/admin.sock")
client.sendall(sys.argv[1].encode() + b"\n")
while block := client.recv(65536):
    sys.stdout.write(block.decode())
