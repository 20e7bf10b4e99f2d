#!/usr/bin/env python3
"""From a save to the verdict: how long it takes until `devctl up` says whether the contracts of what was saved are kept.

A provider in Python, with nothing to compile, is saved again and again, alternately spoiled and whole; what is measured is the time
from the file's appearance to the line about its contracts. SAVES=20 saves, DEVCTL=target/debug/devctl.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
DEVCTL = os.path.abspath(os.environ.get("DEVCTL", os.path.join(ROOT, "target/debug/devctl")))
PROVIDER = os.path.join(ROOT, "tests/support/provider.py")
SAVES = int(os.environ.get("SAVES", "20"))
COMPOSE = """
name: onsave-bench
x-devctl: {contracts: {pacts: [pacts]}}
services:
  items:
    image: items
    develop: {watch: [{action: rebuild, path: ./src}]}
    x-devctl:
      native: {build: [cp, src/app, out/app], command: [out/app], ports: {"8080": PORT}, ready: /healthz}
"""
PACT = {
    "consumer": {"name": "web"},
    "provider": {"name": "items"},
    "interactions": [
        {
            "description": f"item {at}",
            "request": {"method": "GET", "path": "/items/1"},
            "response": {"status": 200, "body": {"id": 1, "name": "one", "price": 10}},
        }
        for at in range(10)
    ],
    "metadata": {"pactSpecification": {"version": "3.0.0"}},
}


def main():
    folder = tempfile.mkdtemp(prefix="devctl-on-save-")
    at = lambda name: os.path.join(folder, name)
    for name in ("src", "out", "pacts"):
        os.mkdir(at(name))
    with open(at("compose.yaml"), "w") as file:
        file.write(COMPOSE)
    with open(at("pacts/web-items.json"), "w") as file:
        json.dump(PACT, file)

    def save(mutation, number):
        with open(at("new"), "w") as file:
            file.write(f"#!/bin/sh\n# {number}\nMUTATION='{mutation}' exec python3 {PROVIDER}\n")
        os.chmod(at("new"), 0o755)
        os.rename(at("new"), at("src/app"))
        return time.monotonic()

    def devctl(*args, **more):
        return subprocess.Popen([DEVCTL, *args], cwd=folder, text=True, **more)

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    save("", 0)
    events = None
    try:
        if devctl("up", "-d", "--wait", **quiet).wait() != 0:
            return "the project did not come up"
        events = devctl("events", "--since", "1h", stdout=subprocess.PIPE)

        def verdict(word):
            for line in events.stdout:
                if "contracts: " in line and word in line:
                    return time.monotonic()
            raise SystemExit("the events ended")

        verdict("kept")
        took = []
        for number in range(1, SAVES + 1):
            spoiled = number % 2
            began = save("renamed field" if spoiled else "", number)
            took.append((verdict("broken" if spoiled else "10 kept") - began) * 1000)
        took.sort()
        print(f"{SAVES} saves, 10 promises each: save -> verdict median {statistics.median(took):.0f} ms, "
              f"p95 {took[min(len(took) - 1, round(len(took) * 0.95))]:.0f} ms, longest {took[-1]:.0f} ms")
        return 0
    finally:
        if events:
            events.kill()
        devctl("down", "-v", **quiet).wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
