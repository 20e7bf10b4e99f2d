"""A provider whose answers can be spoiled: `MUTATION` (or the file `mutation` beside it) says how.

PORT: where it listens. It answers GET /items/1, POST /items, POST /graphql, GET /healthz.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MUTATION = os.environ.get("MUTATION", "")

if MUTATION == "crash":
    print("no such setting: FROBNICATION", file=sys.stderr, flush=True)
    sys.exit(3)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/healthz":
            return self.answer(200, {})
        if self.path == "/die":
            os._exit(9)
        print(f"asked for {self.path} in {self.headers.get('traceparent')}", flush=True)
        if MUTATION == "slow":
            time.sleep(3)
        item = {"id": 1, "name": "one", "price": 10}
        if MUTATION == "renamed field":
            item["title"] = item.pop("name")
        if MUTATION == "changed type":
            item["price"] = "10"
        headers = [] if MUTATION == "missing header" else [("X-Version", "7")]
        self.answer(500 if MUTATION == "wrong status" else 200, item, headers)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/graphql":
            return self.answer(200, {"data": {"item": {"id": "1", "name": "one"}}})
        self.answer(201, {"id": 2})

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
