#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the place of the service manager: prints what a daemon tells it, a line each.

usage: notify_listener.py SOCKET
"""
import os
import socket
import sys

path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(path)
os.chmod(path, 0o777)
print("listening", flush=True)
while True:
    print(listener.recv(4096).decode().replace("\n", " "), flush=True)
