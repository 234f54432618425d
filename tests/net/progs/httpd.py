#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A web server for tests: httpd.py PORT READY-FILE. It listens on all addresses of both families.

GET /N returns N bytes, the same ones each time. GET /who returns the client's address. POST returns
the SHA-256 of the data that it was given.
"""

import hashlib
import http.server
import random
import socket
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, data):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/who":
            self.answer(self.client_address[0].removeprefix("::ffff:").encode())
            return
        self.answer(random.Random(1).randbytes(int(self.path[1:])))

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.sha256(data).hexdigest().encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(self.server_address)


server = Server(("::", int(sys.argv[1])), Handler)
with open(sys.argv[2], "w", encoding="ascii") as ready:
    ready.write("ready\n")
server.serve_forever()
