#!/usr/bin/env python3
"""A small HTTP service for tests, told by its environment what to do.

PORT            where it listens (127.0.0.1)
SAY             printed at the start
START_DELAY     seconds until it listens
FAIL_AFTER      seconds until it exits with FAIL_CODE (default 3)
IGNORE_TERM     it does not end on SIGTERM
SPAWN           a child in a session of its own, and one that loses its parent

GET /           its name, pid and generation;  GET /env?NAME -> the variable;  GET /slow?S -> answers after S seconds
GET /fetch?URL  what it gets there, called by this service
"""
import http.server, os, signal, subprocess, sys, threading, time, urllib.request

NAME = os.environ.get("NAME", "service")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        status, body = 200, f"{NAME} {os.getpid()} {os.environ.get('GENERATION', '')}"
        if path == "/env":
            body = os.environ.get(query, "")
        elif path == "/slow":
            time.sleep(float(query))
        elif path == "/fetch":
            try:
                with urllib.request.urlopen(query, timeout=10) as answer:
                    body = answer.read().decode()
            except OSError as error:
                status, body = 502, str(error)
        elif path == "/healthz":
            body = "ok"
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, form, *args):
        print(f"{NAME} {form % args}", flush=True)


def main():
    print(f"{NAME} starts", os.environ.get("SAY", ""), flush=True)
    if os.environ.get("IGNORE_TERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: (print(f"{NAME} ends", flush=True), os._exit(0)))
    if os.environ.get("SPAWN"):
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        subprocess.Popen(["sh", "-c", "setsid sleep 1001 & exit"], start_new_session=True).wait()
    if "FAIL_AFTER" in os.environ:
        def fail():
            print(f"{NAME} fails: out of patience", file=sys.stderr, flush=True)
            os._exit(int(os.environ.get("FAIL_CODE", "3")))
        timer = threading.Timer(float(os.environ["FAIL_AFTER"]), fail)
        timer.daemon = True
        timer.start()
    time.sleep(float(os.environ.get("START_DELAY", "0")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler)
    server.serve_forever()


main()
