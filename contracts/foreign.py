#!/usr/bin/env python3
"""Pact's own tools and ours, on each other's contracts: `make foreign`.

 1. The `pact` command and pact-python read the committed HTTP pacts and verify the sample's unmodified providers, which
    `devctl verify --serve` brings up with an endpoint for their states.
 2. pact-python writes pacts of every version (V2, V3, V4) with its matchers; devctl, the `pact` command and pact-python verify
    one provider by them, as it is and spoiled, and come to the same verdicts.

Needs `pip install pact-python pact-python-cli`; run it with the Python that has them. What is missing is skipped, with the reason;
with CI set that is a failure. DEVCTL and PACT name the programs.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
DEVCTL = os.path.abspath(os.environ.get("DEVCTL", os.path.join(ROOT, "target/debug/devctl")))
SAMPLE = os.path.join(ROOT, "compose/compose.yaml")
PROVIDER = os.path.join(ROOT, "tests/support/provider.py")
BESIDE = os.path.join(os.path.dirname(sys.executable), "pact")
PACT = os.environ.get("PACT") or shutil.which("pact") or (BESIDE if os.path.isfile(BESIDE) else None)
LIMIT = 180
os.environ["PACT_DO_NOT_TRACK"] = "true"

try:
    import pact
    from pact import match
except ImportError:
    pact = None

failed = []


def check(what, good, more=""):
    print(("ok      " if good else "WRONG   ") + what, flush=True)
    if not good:
        failed.append(what)
        print(more)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def served(provider):
    """A provider of the sample, alone, with the endpoint for its states."""
    words = [DEVCTL, "-f", SAMPLE, "--format", "json", "verify", "--provider", provider, "--serve"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{provider} was not served: {process.stderr.read()}")
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT)


@contextlib.contextmanager
def small(mutation):
    """The provider of the tests, spoiled or not."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "MUTATION": mutation}
    process = subprocess.Popen([sys.executable, PROVIDER], env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1)
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def by_command(provider, url, file, states=None):
    """Whether the `pact` command finds all promises kept."""
    words = [PACT, "verifier", "--provider-name", provider, "--hostname", "127.0.0.1", "--port", url.rsplit(":", 1)[1]]
    words += ["--file", file, "--no-colour"]
    if states:
        words += ["--state-change-url", states, "--state-change-teardown"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
    return said.returncode == 0, said.stdout + said.stderr


def by_python(provider, url, file, states=None):
    verifier = pact.Verifier(provider, host="127.0.0.1").add_transport(url=url).add_source(file)
    if states:
        verifier = verifier.state_handler(states, teardown=True, body=True)
    # Its library prints past Python's own stdout.
    with tempfile.TemporaryFile("w+") as printed:
        sys.stdout.flush()
        kept_aside = os.dup(1)
        os.dup2(printed.fileno(), 1)
        try:
            verifier.verify()
            kept = True
        except RuntimeError:
            kept = False
        finally:
            os.dup2(kept_aside, 1)
            os.close(kept_aside)
        printed.seek(0)
        return kept, printed.read()


def by_devctl(provider, url, file):
    """Whether devctl finds all promises kept; with the verdicts as it tells them."""
    words = [DEVCTL, "verify", "--no-cache", "--provider", provider, "--url", f"{provider}={url}", file]
    said = subprocess.run(words, cwd=os.path.dirname(file), capture_output=True, text=True, timeout=LIMIT)
    if said.returncode not in (0, 1):
        raise SystemExit(f"devctl could not run: {said.stdout}{said.stderr}")
    return said.returncode == 0, said.stdout


def tools():
    found = []
    for name, tool, there in [("the `pact` command", by_command, PACT), ("pact-python", by_python, pact)]:
        if there:
            found.append((name, tool))
        else:
            print(f"skipped {name}: it is not installed (`pip install pact-python pact-python-cli`)")
            if os.environ.get("CI"):
                failed.append(name)
    return found


def ours_by_others(found):
    for provider in ["user-analytics", "api-gateway", "mobile-bff"] if found else []:
        with served(provider) as at:
            for name, tool in found:
                for file in at["pacts"]:
                    kept, said = tool(provider, at["url"], file, at["states"])
                    check(f"{name} verifies {provider} by {os.path.basename(file)}", kept, said)


# What the provider of the tests answers: {"id": 1, "name": "one", "price": 10}, with the header X-Version.
PROMISES = {
    "V2": lambda: {"id": 1, "name": match.like("two"), "price": match.like(5)},
    "V3": lambda: {"id": match.int(1), "name": match.regex("one", regex="^[a-z]+$"), "price": match.number(5)},
    "V4": lambda: {"id": match.int(1), "name": match.str("x"), "price": match.int(5)},
}
MUTATIONS = ["", "renamed field", "changed type", "missing header", "wrong status"]


def theirs_by_ours(found):
    if not pact:
        return
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "compose.yaml"), "w") as file:
            file.write("name: foreign\nservices: {}\n")
        for version, body in PROMISES.items():
            file = os.path.join(folder, f"web-items-{version}.json")
            written = pact.Pact("web", "items").with_specification(version)
            (
                written.upon_receiving("an item")
                .with_request("GET", "/items/1")
                .will_respond_with(200)
                .with_header("X-Version", match.regex("7", regex=r"^\d+$"))
                .with_body(body(), content_type="application/json")
            )
            (
                written.upon_receiving("a new item")
                .with_request("POST", "/items")
                .with_body({"name": "two"}, content_type="application/json")
                .will_respond_with(201)
                .with_body({"id": match.like(9)}, content_type="application/json")
            )
            with written.serve() as mock:
                for request in [
                    urllib.request.Request(f"{mock.url}/items/1"),
                    urllib.request.Request(
                        f"{mock.url}/items", json.dumps({"name": "two"}).encode(), {"Content-Type": "application/json"}
                    ),
                ]:
                    urllib.request.urlopen(request).read()
            os.makedirs(os.path.join(folder, version), exist_ok=True)
            written.write_file(os.path.join(folder, version), overwrite=True)
            os.replace(os.path.join(folder, version, "web-items.json"), file)
            for mutation in MUTATIONS:
                with small(mutation) as url:
                    kept, said = by_devctl("items", url, file)
                    check(f"devctl, {version} by pact-python, {mutation or 'as it is'}: {'kept' if kept else 'broken'}", kept == (not mutation), said)
                    for name, tool in found:
                        theirs, words = tool("items", url, file)
                        check(f"  {name} says the same", theirs == kept, said + words)


def main():
    found = tools()
    ours_by_others(found)
    theirs_by_ours(found)
    print(f"{len(failed)} wrong" if failed else "all of one mind")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
