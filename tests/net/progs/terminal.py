#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command on a terminal: terminal.py ROWS COLUMNS TEXT FILE COMMAND...

FILE gets what the terminal shows since it was last cleared, as soon as that has TEXT. Then the user
types Ctrl-C. The status is the command's.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

rows, columns, text, file, *command = sys.argv[1:]
pid, terminal = pty.fork()
if not pid:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", int(rows), int(columns), 0, 0))
    os.execvp(command[0], command)
shown, done = "", False
while True:
    try:
        shown += os.read(terminal, 4096).decode()
    except OSError:
        break
    # a screen is whole when the next one begins
    *_, last, rest = ["", *shown.split("\033[H\033[2J")]
    if text in last and not done:
        with open(file, "w", encoding="utf-8") as out:
            out.write(last.replace("\r\n", "\n"))
        os.write(terminal, b"\003")
        done = True
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) % 256)
