#!/usr/bin/env python3
"""Ten ways to break the Phoenix system's promises, each of which `devctl verify` must find and name.

    make mutations                          all of them
    contracts/mutations.py NAME...          those whose names contain one of the words
    contracts/mutations.py --show NAME...   with everything that devctl said

Each is made in a copy of the sources (target/mutations, kept so that the next run builds less; never in the work tree), the
provider alone is verified, and the exit status, the place that differs and the rule are compared with what they must be. Then
the command that is said to replay only that promise is run as it stands. DEVCTL names the program (target/debug/devctl).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
COPY = os.path.join(ROOT, "target/mutations")
DEVCTL = os.path.abspath(os.environ.get("DEVCTL", os.path.join(ROOT, "target/debug/devctl")))
SOURCES = ["compose", "contracts", "fixtures"]
SERVICES = "fixtures/services/"


class Mutation:
    """`edits` are (file, what stands there once, what stands there then). `says` must all be said, the interaction
    `promise` must be among those that are not kept. `reference`: Pact's own verifier must come to the same verdicts."""

    def __init__(self, name, provider, edits, promise, says, code=1, flags=(), logs=True, reference=True):
        self.name, self.provider, self.edits, self.promise = name, provider, edits, promise
        self.says, self.code, self.flags, self.logs = says, code, list(flags), logs
        self.reference = reference


MUTATIONS = [
    Mutation(
        "renamed field",
        "user-analytics",
        [(SERVICES + "user-analytics/src/events.rs", '"first_seen_at": first', '"first_seen": first')],
        "the summary of a user",
        ["$.first_seen_at", "must have every field that is promised", "sent: GET /v1/users/"],
    ),
    Mutation(
        "changed type",
        "user-analytics",
        [
            (
                SERVICES + "user-analytics/src/events.rs",
                '"minor_units": row.get::<_, Option<i64>>(1)',
                '"minor_units": row.get::<_, Option<i64>>(1).map(|units| units.to_string())',
            )
        ],
        "the summary of a user",
        ["$.spent[0].minor_units", "actual:   \"4200\"", "must match by type"],
    ),
    Mutation(
        "missing header",
        "api-gateway",
        [
            (
                SERVICES + "api-gateway/src/api.rs",
                '([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()',
                "problem.into_response()",
            )
        ],
        "who the caller is, without a token",
        ["www-authenticate", "expected: \"Bearer\"", "actual:   (none)", "sent: GET /v1/me", "answered: 401"],
    ),
    Mutation(
        "wrong status",
        "user-analytics",
        [
            (
                SERVICES + "user-analytics/src/api.rs",
                'Problem::new(StatusCode::BAD_REQUEST, "the user\'s id is not a UUID")',
                'Problem::new(StatusCode::NOT_FOUND, "the user\'s id is not a UUID")',
            )
        ],
        "the summary of nobody",
        ["expected: 400", "actual:   404", "sent: GET /v1/users/", "answered: 404"],
    ),
    Mutation(
        "event with another routing key",
        "auth",
        [(SERVICES + "auth/internal/store/store.go", '"user.registered", body', '"user.created", body')],
        "a user has registered",
        ["was published with the routing key `user.created`", "expected: \"user.registered\"", "sent: POST /v1/users"],
    ),
    Mutation(
        "message never published",
        "billing",
        [
            (
                SERVICES + "billing/src/outbox.rs",
                "WHERE published_at IS NULL ORDER BY seq LIMIT $1",
                "WHERE published_at IS NULL AND kind <> 'invoice.paid' ORDER BY seq LIMIT $1",
            )
        ],
        "an invoice was paid",
        ["none was published within 5000 ms", "routing key invoice.paid", "sent: billing.v1.Billing/PayInvoice"],
    ),
    Mutation(
        "proto field renumbered",
        "billing",
        [("contracts/proto/billing/v1/billing.proto", "  int64 minor_units = 2;", "  int64 minor_units = 3;")],
        "an open invoice",
        ["$.amount.minor_units", "was it renumbered?", "must have the field's number", "sent: billing.v1.Billing/GetInvoice"],
    ),
    Mutation(
        "GraphQL field removed",
        "mobile-bff",
        [
            (SERVICES + "mobile-bff/src/schema.rs", "    email: String,\n    display_name", "    display_name"),
            (SERVICES + "mobile-bff/src/schema.rs", "            email: me.email,\n", ""),
            ("contracts/graphql/mobile-bff.graphql", "\tid: ID!\n\temail: String!\n\tdisplay", "\tid: ID!\n\tdisplay"),
        ],
        "who is signed in",
        [
            "$.query: type `User` does not have a field `email` (contracts/graphql/mobile-bff.graphql:",
            "must be valid against the provider's schema",
            "sent: POST /v1/graphql",
            '{"operationName":"Me"',
        ],
    ),
    Mutation(
        "slow answer",
        "user-analytics",
        [
            (
                SERVICES + "user-analytics/src/api.rs",
                "    let summary = events::summary(",
                "    tokio::time::sleep(std::time::Duration::from_secs(3)).await;\n    let summary = events::summary(",
            )
        ],
        "the summary of a user",
        ["an answer within 500 ms", "must be answered in time", "sent: GET /v1/users/"],
        flags=["--answer-within", "500ms"],
        logs=False,
        # To Pact's own verifier an answer that is late is no answer.
        reference=False,
    ),
    Mutation(
        "crash at start",
        "auth",
        [
            (
                SERVICES + "auth/main.go",
                "\tdb, err := store.Open(ctx, cfg.DatabaseURL)\n",
                '\tif os.Getenv("AUTH_SIGNING_KEY") == "" {\n\t\treturn errors.New("AUTH_SIGNING_KEY is not set")\n\t}\n'
                "\tdb, err := store.Open(ctx, cfg.DatabaseURL)\n",
            )
        ],
        "a user has registered",
        ["exited with 1", "AUTH_SIGNING_KEY is not set"],
        code=2,
        reference=False,
    ),
]


def sources():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *SOURCES],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return [path for path in listed.split("\0") if path and os.path.isfile(os.path.join(ROOT, path))]


def same(one, other):
    if not os.path.isfile(other) or os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as a, open(other, "rb") as b:
        return a.read() == b.read()


def copy():
    """Makes the copy what the work tree is. What is the same is not touched, so that it is not built again."""
    paths = sources()
    for path in paths:
        source, target = os.path.join(ROOT, path), os.path.join(COPY, path)
        if not same(source, target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            # A new date: what was built of the mutation is older.
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
    wanted = set(paths)
    for folder in SOURCES:
        for base, _, files in os.walk(os.path.join(COPY, folder)):
            for file in files:
                path = os.path.relpath(os.path.join(base, file), COPY)
                if path not in wanted and "/.devctl" not in base:
                    os.remove(os.path.join(COPY, path))
    # A repository of its own: the one around it ignores everything below `target`.
    if not os.path.isdir(os.path.join(COPY, ".git")):
        subprocess.run(["git", "init", "--quiet", COPY], check=True)


def apply(mutation):
    for path, before, after in mutation.edits:
        path = os.path.join(COPY, path)
        with open(path) as file:
            text = file.read()
        if text.count(before) != 1:
            raise SystemExit(f"{mutation.name}: `{before}` stands {text.count(before)} times in {path}: change this script")
        with open(path, "w") as file:
            file.write(text.replace(before, after))


def devctl(words):
    return subprocess.run(words, cwd=COPY, capture_output=True, text=True, shell=isinstance(words, str))


def report():
    with open(os.path.join(COPY, "report.json")) as file:
        return json.load(file)


def interactions(document):
    for provider in document["providers"]:
        for consumer in provider["consumers"]:
            yield from consumer["interactions"]


def check(mutation):
    """What is wrong with how the mutation was found; empty where nothing is."""
    words = [DEVCTL, "-f", "compose/compose.yaml", "verify", "--no-cache", "--provider", mutation.provider]
    said = devctl([*words, *mutation.flags, "--json", "report.json"])
    if "--show" in sys.argv:
        print(said.stdout + said.stderr)
    wrong = []
    if said.returncode != mutation.code:
        return [f"exit status {said.returncode}, not {mutation.code}", said.stdout, said.stderr]
    wrong += [f"`{text}` is not said" for text in mutation.says if text not in said.stdout]
    verdicts = {one["id"]: one["verdict"] for one in interactions(report())}
    verdict = {1: "broken", 2: "could-not-run"}[mutation.code]
    found = [one for one in interactions(report()) if one["description"] == mutation.promise and one["verdict"] == verdict]
    if not found:
        return [*wrong, f"`{mutation.promise}` is not {verdict}", said.stdout]
    if mutation.code == 1 and mutation.logs and not (found[0]["trace"] and found[0]["logs"]):
        wrong.append("neither trace nor log lines of the exchange are told")
    again = re.findall(r"^ *again: (.*)$", said.stdout, re.M)
    if mutation.code == 1 and not again:
        wrong.append("no command is told that replays it")
    for command in [line for line in again if found[0]["id"] in line][:1]:
        replayed = devctl(command + " --json report.json")
        one = list(interactions(report()))
        if (replayed.returncode, len(one)) != (mutation.code, 1) or one[0]["verdict"] != verdict or one[0]["cached"]:
            wrong += [f"`{command}` ended with {replayed.returncode} and replayed {len(one)}", replayed.stdout, replayed.stderr]
    if mutation.reference:
        other = devctl([*words, *mutation.flags, "--reference", "--json", "report.json"])
        theirs = {one["id"]: one["verdict"] for one in interactions(report())}
        if (other.returncode, theirs) != (mutation.code, verdicts):
            differ = sorted(id for id in verdicts if verdicts[id] != theirs.get(id))
            wrong += [f"--reference ended with {other.returncode} and differs in {differ}", other.stdout, other.stderr]
    return wrong + ([said.stdout] if wrong else [])


def main():
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    chosen = [one for one in MUTATIONS if not asked or any(word in one.name for word in asked)]
    os.makedirs(COPY, exist_ok=True)
    failed = 0
    for mutation in chosen:
        began = time.monotonic()
        copy()
        apply(mutation)
        wrong = check(mutation)
        failed += bool(wrong)
        mark = "missed" if wrong else "found "
        print(f"{mark} {mutation.name} ({mutation.provider}, exit status {mutation.code}) in {time.monotonic() - began:.1f} s", flush=True)
        for text in wrong:
            print("    " + text.replace("\n", "\n    "))
    copy()
    print(f"{len(chosen) - failed} of {len(chosen)} found and named")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
