#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stops one thread of a process, and lets it go on when it is killed itself.

usage: hold_thread.py PID NAME
"""
import ctypes
import os
import signal
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

pid, name = sys.argv[1:]
tasks = f"/proc/{pid}/task"
threads = [int(tid) for tid in os.listdir(tasks) if open(f"{tasks}/{tid}/comm").read().strip() == name]
if len(threads) != 1:
    sys.exit(f"{len(threads)} threads of {pid} are named {name}")
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
    if libc.ptrace(request, threads[0], None, None) != 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")
print("held", flush=True)
signal.pause()
