#!/usr/bin/env python3
"""What a reload costs those who call: edits a handler of the Phoenix system again and again under load.

The load goes over two edges: host -> mobile-bff -> api-gateway. Each edit changes what the gateway's handler `me` answers.
Printed: requests that failed (there should be none), the longest wait of a held request, and how long a save takes to be answered
by the new code beyond what its compiler and its own start take. Where a Docker engine answers and Docker Compose is installed,
`docker compose watch` does the same work beside it.

    EDITS=100  edits        RATE=200  requests per second        DEVCTL=target/debug/devctl        COMPOSE=docker-compose

The handler is put back as it was, also after Ctrl-C. Needs nothing but Python and what `make up` needs.
"""

import datetime
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
EDITS = int(os.environ.get("EDITS", "100"))
RATE = int(os.environ.get("RATE", "200"))
CALLERS = 16
DEVCTL = os.path.join(ROOT, os.environ.get("DEVCTL", "target/debug/devctl"))
FILE = os.path.join(ROOT, "compose/compose.yaml")
HANDLER = os.path.join(ROOT, "fixtures/services/api-gateway/src/api.rs")
BEFORE = "async fn me(user: User) -> Json<User> {\n    Json(user)\n}"
AFTER = "async fn me(mut user: User) -> Json<User> {\n    user.display_name = \"%s\".to_owned();\n    Json(user)\n}"
QUERY = json.dumps({"query": "{ me { displayName } }"}).encode()


class Load:
    """Asks at a steady pace from many kept-alive connections, and notes every answer."""

    def __init__(self, address, token):
        self.address, self.token = address, token
        self.lock, self.done = threading.Lock(), threading.Event()
        self.seen, self.came = {}, threading.Condition(self.lock)
        self.count, self.failed, self.longest = 0, [], 0.0
        self.threads = [threading.Thread(target=self.call, args=(number,), daemon=True) for number in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def call(self, number):
        pace, connection = CALLERS / RATE, None
        due = time.monotonic() + pace * number / CALLERS
        while not self.done.wait(max(0.0, due - time.monotonic())):
            due = max(due + pace, time.monotonic() - 1)
            began = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.address, timeout=60)
                headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
                connection.request("POST", "/v1/graphql", QUERY, headers)
                answer = connection.getresponse()
                text = answer.read().decode()
                name = json.loads(text)["data"]["me"]["displayName"] if answer.status == 200 else None
                failure = None if name is not None else f"{answer.status} {text[:200]}"
            except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
                connection, name, failure = None, None, repr(error)
            ended = time.monotonic()
            with self.lock:
                self.count += 1
                self.longest = max(self.longest, ended - began)
                if failure:
                    self.failed.append(failure)
                elif name not in self.seen:
                    self.seen[name] = time.time()
                    self.came.notify_all()

    def answered(self, name, within):
        """When the first answer with this name came."""
        with self.came:
            self.came.wait_for(lambda: name in self.seen, within)
            return self.seen.get(name)

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join()


class Notices:
    """What the daemon tells while it goes on."""

    def __init__(self, command):
        self.process = subprocess.Popen([*command, "events", "--json"], stdout=subprocess.PIPE, text=True)
        self.came, self.all = threading.Condition(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            notice = json.loads(line)
            with self.came:
                self.all.append(notice)
                self.came.notify_all()

    def reload(self, since):
        """The notices of the first reload from then on, by kind."""
        def found():
            return [notice for notice in self.all if notice.get("node") == "api-gateway" and stamp(notice["time"]) >= since - 0.002]
        with self.came:
            self.came.wait_for(lambda: any(notice["kind"] == "replaced" for notice in found()), 60)
            return {notice["kind"]: notice for notice in reversed(found())}

    def stop(self):
        self.process.terminate()


def stamp(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def call(method, url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def token(auth):
    email = f"reload-{uuid.uuid4().hex[:12]}@example.com"
    user = {"email": email, "password": "correct horse battery", "display_name": "nobody"}
    call("POST", f"http://{auth}/v1/users", user)
    return call("POST", f"http://{auth}/v1/sessions", {"email": email, "password": user["password"]})["token"]


def edit(name):
    """Saves another handler; when it was saved."""
    text = ORIGINAL.replace(BEFORE, AFTER % name)
    with open(HANDLER, "w") as file:
        file.write(text)
    return time.time()


def part(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def row(name, values, unit=1000):
    line = "  ".join(f"{word} {part(values, share) * unit:7.0f} ms" for word, share in (("p50", 0.5), ("p95", 0.95), ("worst", 1)))
    print(f"  {name:44}{line}", flush=True)


def listening(command, since):
    """When the gateway's new process said that it listens, by the time at which the line was read."""
    said = subprocess.run([*command, "logs", "--timestamps", "--no-log-prefix", "--tail", "20", "api-gateway"], capture_output=True, text=True)
    times = [stamp(line.split()[0]) for line in said.stdout.splitlines() if "listening" in line]
    times = [at for at in times if at >= since]
    return times[0] if times else None


def devctl():
    command = [DEVCTL, "-f", FILE, "-p", "phoenix-reload", "--runtime", "native"]
    up = subprocess.run([*command, "up", "-d", "--wait"], capture_output=True, text=True)
    if up.returncode != 0:
        sys.exit(f"bench-reload: `devctl up` failed:\n{up.stdout}{up.stderr}")
    port = lambda service: subprocess.run([*command, "port", service, "8080"], capture_output=True, text=True, check=True).stdout.strip()
    load = notices = None
    try:
        load, notices = Load(port("mobile-bff"), token(port("auth"))), Notices(command)
        if not load.answered("nobody", 30):
            sys.exit(f"bench-reload: no answer before the first edit: {load.failed[:1]}")
        beyond, builds, starts, waits, held = [], [], [], [], 0
        for number in range(1, EDITS + 1):
            name = f"edit {number}"
            saved = edit(name)
            came = load.answered(name, 300)
            if not came:
                sys.exit(f"bench-reload: {name} is not answered after 300 s")
            told = notices.reload(saved)
            reload = told["replaced"]["reload"]
            started = stamp(told["started"]["time"])
            up = listening(command, started - 0.05) or stamp(told["ready"]["time"])
            builds.append(reload["build_seconds"])
            starts.append(max(0.0, up - started))
            beyond.append(came - saved - builds[-1] - starts[-1])
            held += reload["held"]
            waits.append(reload["longest_seconds"])
            print(f"\r  {number} of {EDITS}", end="", file=sys.stderr, flush=True)
        print("\r", end="", file=sys.stderr)
        load.stop()
        print(f"devctl: {EDITS} edits under {RATE} requests/s over two edges, {load.count} requests")
        print(f"  failed {len(load.failed)}, held {held}, longest hold {max(waits) * 1000:.0f} ms, longest answer {load.longest * 1000:.0f} ms")
        row("save -> new answer, without build and start", beyond)
        row("the compiler's part", builds)
        row("the new process's own start", starts)
        good = not load.failed and part(beyond, 0.95) <= 0.05
        print(f"  goals: 0 failed, p95 <= 50 ms: {'reached' if good else 'MISSED'}")
        for failure in sorted(set(load.failed))[:5]:
            print(f"    {load.failed.count(failure)} x {failure}")
        return not load.failed
    finally:
        if load:
            load.done.set()
        if notices:
            notices.stop()
        restore()
        subprocess.run([*command, "down", "-v"], capture_output=True)


def compose():
    """The same under `docker compose watch`: it rebuilds the image, and replaces the container."""
    binary = os.environ.get("COMPOSE") or shutil.which("docker-compose")
    engine = subprocess.run(["docker", "version"], capture_output=True).returncode == 0 if shutil.which("docker") else False
    if not binary or not engine:
        print("docker compose watch: not run, " + ("no Docker engine answers" if binary else "Docker Compose is not installed"))
        return
    command = [binary, "-f", FILE, "-p", "phoenix-reload-compose"]
    up = subprocess.run([*command, "up", "-d", "--wait", "--build"], capture_output=True, text=True)
    if up.returncode != 0:
        print("docker compose watch: not run, its `up` failed: " + up.stderr.strip().splitlines()[-1])
        subprocess.run([*command, "down", "-v"], capture_output=True)
        return
    port = lambda service: re.sub(r"^0\.0\.0\.0|^\[::\]", "127.0.0.1", subprocess.run([*command, "port", service, "8080"], capture_output=True, text=True).stdout.strip())
    watch = subprocess.Popen([*command, "watch", "--no-up", "api-gateway"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    load = None
    try:
        load = Load(port("mobile-bff"), token(port("auth")))
        load.answered("nobody", 30)
        took = []
        for number in range(1, max(1, EDITS // 10) + 1):
            saved = edit(f"compose {number}")
            came = load.answered(f"compose {number}", 600)
            if not came:
                break
            took.append(came - saved)
        load.stop()
        print(f"docker compose watch: {len(took)} edits, {load.count} requests, failed {len(load.failed)}, longest answer {load.longest * 1000:.0f} ms")
        if took:
            row("save -> new answer, all of it", took)
    finally:
        if load:
            load.done.set()
        watch.terminate()
        restore()
        subprocess.run([*command, "down", "-v"], capture_output=True)


def restore():
    with open(HANDLER, "w") as file:
        file.write(ORIGINAL)


with open(HANDLER) as file:
    ORIGINAL = file.read()
if BEFORE not in ORIGINAL:
    sys.exit(f"bench-reload: {HANDLER} does not look as expected: the handler `me` is not the one to edit")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
good = devctl()
compose()
sys.exit(0 if good else 1)
