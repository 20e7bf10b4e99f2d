#!/usr/bin/env python3
"""What a reload costs those who call: edits a handler of the Phoenix system again and again under load.

The load goes over two edges: host -> mobile-bff -> api-gateway. Each edit changes what the gateway's handler `me` answers.
Printed: requests that failed (there should be none), the longest wait of a held request, and how long a save takes to be answered
by the new code beyond what its compiler and its own start take, with each phase of it. Where a Docker engine answers and Docker
Compose is installed, `docker compose watch` does the same work beside it, on the images that the Compose file names.

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
import tempfile
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


PHASES = (
    "save -> new answer, without build and start",
    "the compiler's part",
    "the new process's own start",
    "of the first: save -> its build begins",
    "  the product is looked at",
    "  decided and started",
    "  seen to be ready",
    "  swapped in -> first new answer",
)


class Load:
    """Asks at a steady pace from many kept-alive connections, and notes every answer."""

    def __init__(self, address, token):
        self.address, self.token = address, token
        self.lock, self.done = threading.Lock(), threading.Event()
        self.seen, self.came = {}, threading.Condition(self.lock)
        self.failed, self.took = [], []
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
                self.took.append(ended - began)
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
        self.process = subprocess.Popen([*command, "events", "--json", "--since", "1h"], stdout=subprocess.PIPE, text=True)
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
    """Saves another handler; when that began: it may be noticed before this process goes on."""
    text = ORIGINAL.replace(BEFORE, AFTER % name)
    saved = time.time()
    with open(HANDLER, "w") as file:
        file.write(text)
    return saved


def part(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def row(name, values, unit=1000):
    line = "  ".join(f"{word} {part(values, share) * unit:7.1f} ms" for word, share in (("p50", 0.5), ("p95", 0.95), ("worst", 1)))
    print(f"  {name:44}{line}", flush=True)


def loaded():
    """Whoever else runs on this machine makes everything slower."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


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
        phases, waits, held = {name: [] for name in PHASES}, [], 0
        for number in range(1, EDITS + 1):
            name = f"edit {number}"
            saved = edit(name)
            came = load.answered(name, 120)
            if not came:
                told = [notice["text"] for notice in notices.all if stamp(notice["time"]) >= saved - 1]
                sys.exit("\n  ".join([f"bench-reload: {name} is not answered after 120 s; what was told since:", *told]))
            told = notices.reload(saved)
            reload, at = told["replaced"]["reload"], {kind: stamp(notice["time"]) for kind, notice in told.items()}
            listens = listening(command, at["started"] - 0.05) or at["ready"]
            took = reload["build_seconds"], max(0.0, listens - at["started"])
            steps = (came - saved - sum(took), *took, at["building"] - saved, at["built"] - at["building"] - took[0],
                     at["started"] - at["built"], at["ready"] - max(listens, at["started"]), came - at["ready"])
            for name, step in zip(PHASES, steps):
                phases[name].append(step)
            held += reload["held"]
            waits.append(reload["longest_seconds"])
            print(f"\r  {number} of {EDITS}", end="", file=sys.stderr, flush=True)
        print("\r", end="", file=sys.stderr)
        load.stop()
        print(f"devctl: {EDITS} edits under {RATE} requests/s over two edges, {len(load.took)} requests, {loaded()}")
        print(f"  failed {len(load.failed)}, held {held}, longest hold {max(waits) * 1000:.0f} ms, longest answer {max(load.took) * 1000:.0f} ms")
        for name, values in phases.items():
            row(name, values)
        row("an answer at any time", load.took)
        beyond = phases[PHASES[0]]
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


def docker_compose():
    """Docker Compose's command; None where it is not installed."""
    pyenv = shutil.which("pyenv")
    candidates = [os.environ.get("COMPOSE"), shutil.which("docker-compose")]
    if pyenv:
        candidates.append(subprocess.run([pyenv, "which", "docker-compose"], capture_output=True, text=True).stdout.strip())
    for candidate in filter(None, candidates):
        if shutil.which(candidate) and subprocess.run([candidate, "version"], capture_output=True).returncode == 0:
            return candidate
    return None


# The product is copied into the container, which is restarted: the quickest way that Docker Compose has. The image that compiles
# is not at hand everywhere, and what it takes is no part of what is compared.
BINARY = os.path.realpath(os.path.join(ROOT, "target/phoenix/debug/api-gateway"))
QUICKEST = f"""services:
  api-gateway:
    # Its files are copied with their owner's name, and the image's own user has none.
    user: root
    develop:
      watch: !override
        - {{action: sync+restart, path: {BINARY}, target: /usr/local/bin/service}}
  # Nobody calls these here.
  payments-provider: &idle {{image: "${{RUNTIME_IMAGE:-debian:bookworm-slim}}", command: !override [sleep, infinity]}}
  email-provider: *idle
"""
PUBLISHED = ("RABBITMQ_UI", "AUTH", "NOTIFICATION", "API_GATEWAY", "MOBILE_BFF")
COMPILE = ["cargo", "build", "-p", "api-gateway", "--target-dir", os.path.join(ROOT, "target/phoenix")]


def compose():
    """The same under `docker compose watch`; whoever saves also compiles, as nothing does it for them."""
    binary = docker_compose()
    engine = shutil.which("docker") and subprocess.run(["docker", "version"], capture_output=True).returncode == 0
    if not binary or not engine:
        print("docker compose watch: not run, " + ("no Docker engine answers" if binary else "Docker Compose is not installed"))
        return
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as quickest:
        quickest.write(QUICKEST)
        quickest.flush()
        watched([binary, "-f", FILE, "-f", quickest.name, "-p", "phoenix-reload-compose"])


def watched(command):
    environment = {**os.environ, "PREBUILT": "1", **{f"{name}_PORT": "0" for name in PUBLISHED}}
    run = lambda *words: subprocess.run([*command, *words], capture_output=True, text=True, env=environment)
    up = run("up", "-d", "--wait", "mobile-bff", "api-gateway", "auth")
    watch = load = None
    said = tempfile.TemporaryFile("w+")
    try:
        if up.returncode != 0:
            print("docker compose watch: not run, its `up` failed: " + (up.stderr.strip().splitlines() or ["nothing said"])[-1])
            return
        port = lambda service: re.sub(r"^(0\.0\.0\.0|\[::\])", "127.0.0.1", run("port", service, "8080").stdout.strip())
        watch = subprocess.Popen([*command, "watch", "--no-up", "api-gateway"], stdout=said, stderr=said, env=environment)
        load = Load(port("mobile-bff"), token(port("auth")))
        if not load.answered("nobody", 30):
            print(f"docker compose watch: not run, no answer before the first edit: {load.failed[:1]}")
            return
        whole, builds = [], []
        for number in range(1, max(3, EDITS // 10) + 1):
            name = f"compose {number}"
            saved = edit(name)
            subprocess.run(COMPILE, cwd=os.path.join(ROOT, "fixtures/services"), capture_output=True, check=True)
            builds.append(time.time() - saved)
            came = load.answered(name, 60)
            if not came:
                said.seek(0)
                print(f"docker compose watch: {name} is not answered after 60 s; it said:", *said.read().splitlines()[-3:], sep="\n    ")
                break
            whole.append(came - saved)
        load.stop()
        print(f"docker compose watch: {len(whole)} edits, {len(load.took)} requests, {loaded()}")
        print(f"  failed {len(load.failed)}, longest answer {max(load.took) * 1000:.0f} ms")
        if whole:
            row("save -> new answer, without build", [total - build for total, build in zip(whole, builds)])
            row("the compiler's part", builds)
    finally:
        if load:
            load.done.set()
        if watch:
            watch.terminate()
            watch.wait()
        restore()
        run("down", "-v", "-t", "2")


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
