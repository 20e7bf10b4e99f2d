#!/usr/bin/env python3
"""devctl beside Docker Compose, on the same files, in the same run, on the same engine.

Each scenario is done ROUNDS times by both, in turn; the medians are printed, and how many times faster devctl was.

    ROUNDS=5   DEVCTL=target/release/devctl   COMPOSE=docker-compose   IMAGE=busybox

Needs a Docker engine with the image (`make setup-docker`) and Docker Compose 2 or later. What is made is removed, also after Ctrl-C.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
DEVCTL = os.path.join(ROOT, os.environ.get("DEVCTL", "target/release/devctl"))
COMPOSE = os.environ.get("COMPOSE", "docker-compose").split()
IMAGE = os.environ.get("IMAGE", "busybox")

# Becomes ready half a second after its start, and says so through a health test as files have them.
SERVER = """
  %(name)s:
    image: %(image)s
    init: true
    command: [sh, -c, "sleep 0.5; touch /tmp/ready; exec sleep 3600"]
    healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 2s, retries: 30}
"""
APP = """
  %(name)s:
    image: %(image)s
    init: true
    command: [sleep, "3600"]
"""


def service(kind, name, needs=()):
    text = kind % {"name": name, "image": IMAGE}
    if needs:
        text += "    depends_on: {%s}\n" % ", ".join("%s: {condition: service_healthy}" % on for on in needs)
    return text


FILES = {
    # Six services behind two servers: the shape of most files.
    "eight": "services:"
    + service(SERVER, "db")
    + service(SERVER, "broker")
    + "".join(service(APP, "app%d" % n, ("db", "broker")) for n in range(6))
    + "volumes: {data: {}}\n",
    "chain": "services:"
    + "".join(service(SERVER, "link%d" % n, ("link%d" % (n - 1),) if n else ()) for n in range(5)),
    "fifty": "services:" + "".join(service(APP, "app%02d" % n) for n in range(50)),
}


class Tool:
    """One of the two, with a project of its own per file."""

    def __init__(self, name, command, scratch):
        self.name, self.command, self.projects = name, command, {}
        for file, text in FILES.items():
            directory = os.path.join(scratch, name, file)
            os.makedirs(directory)
            with open(os.path.join(directory, "compose.yaml"), "w") as out:
                out.write("name: bench-%s-%s-%d\n" % (name, file, os.getpid()) + text)
            self.projects[file] = directory

    def run(self, file, *args):
        began = time.monotonic()
        done = subprocess.run(
            [*self.command, *args], cwd=self.projects[file], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        took = time.monotonic() - began
        if done.returncode != 0 and "active endpoints" in done.stderr:
            # The engine has not let go of the last container's address yet, and Docker Compose does not ask again.
            print("%s %s: the network was still in use" % (self.name, " ".join(args)), file=sys.stderr)
            return took + self.run(file, *args)
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
            sys.exit("%s %s failed with %d:\n%s" % (self.name, " ".join(args), done.returncode, last))
        return took


def scenarios(tool):
    """What is measured, in an order in which each finds what it needs."""
    up = ("up", "-d", "--wait")
    yield "8 services, `up --wait`, nothing there", tool.run("eight", *up)
    yield "8 services, `up --wait`, nothing to do", tool.run("eight", *up)
    tool.run("eight", "stop", "-t", "0")
    yield "8 services, `up --wait`, stopped before", tool.run("eight", *up)
    yield "8 services, `ps`", tool.run("eight", "ps")
    yield "8 services, `down`", tool.run("eight", "down")
    yield "five-deep chain of health tests, `up --wait`", tool.run("chain", *up)
    tool.run("chain", "down", "-t", "0")


def fifty(tool):
    yield "50 services, `up --wait`, nothing there", tool.run("fifty", "up", "-d", "--wait")
    yield "50 services, `up --wait`, nothing to do", tool.run("fifty", "up", "-d", "--wait")
    for _ in range(5):
        yield "50 services, `ps`", tool.run("fifty", "ps")
    yield "50 services, `down -t 0`", tool.run("fifty", "down", "-t", "0")


def main():
    for program in (DEVCTL, COMPOSE[0]):
        if not shutil.which(program):
            sys.exit("`%s` is missing" % program)
    scratch = tempfile.mkdtemp(prefix="devctl-bench-")
    tools = [
        Tool("devctl", [DEVCTL, "--runtime", "docker"], scratch),
        Tool("compose", COMPOSE, scratch),
    ]
    seen = {tool.name: {} for tool in tools}
    try:
        for number in range(ROUNDS):
            for tool in tools if number % 2 == 0 else reversed(tools):
                for what, took in [*scenarios(tool), *(fifty(tool) if number == 0 else ())]:
                    seen[tool.name].setdefault(what, []).append(took)
    finally:
        for tool in tools:
            for directory in tool.projects.values():
                subprocess.run([*tool.command, "down", "-v", "-t", "0"], cwd=directory, capture_output=True, check=False)
        shutil.rmtree(scratch, ignore_errors=True)
    version = subprocess.run([*COMPOSE, "version", "--short"], capture_output=True, text=True, check=False).stdout.strip()
    print("%-46s %10s %10s %8s" % ("median of %d" % ROUNDS, "devctl", "compose %s" % version, "ratio"))
    for what, ours in seen["devctl"].items():
        ours, theirs = statistics.median(ours), statistics.median(seen["compose"][what])
        print("%-46s %8.2f s %8.2f s %7.1fx" % (what, ours, theirs, theirs / ours))


if __name__ == "__main__":
    main()
