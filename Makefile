# What CI runs is what a person runs: `make lint test`. Two commands on a fresh machine: `make up`, `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
DEVCTL := target/debug/devctl
PHOENIX := $(DEVCTL) -f compose/compose.yaml

.PHONY: help bench-verify setup setup-docker build install up down test test-services contracts mutations foreign lint fmt bench bench-reload bench-edge bench-docker bench-compose fuzz-compose conformance

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## installs what is missing (asks first on a terminal)
	@.ci/setup

setup-docker: ## a Docker engine where none answers, and the images that are used here where they cannot be pulled
	@.ci/setup-docker

build: ## builds devctl
	cargo build --locked -p devctl

install: ## a release build into cargo's bin directory
	cargo install --locked --path devctl/cli

up: setup build ## brings the Phoenix system up, and proves it with a request
	$(PHOENIX) up -d --wait
	@at() { echo "http://$$($(PHOENIX) port "$$1" 8080)"; }; \
	compose/prove --auth "$$(at auth)" --gateway "$$(at api-gateway)" --bff "$$(at mobile-bff)" --notification "$$(at notification)"

down: build ## takes it down again (its data stays; `$(PHOENIX) down -v` removes it)
	$(PHOENIX) down

test: setup build ## starts what the tests need, and runs them all
	@.ci/setup-docker --if-wanted
	cargo test --locked --workspace --no-fail-fast
	@$(MAKE) --no-print-directory test-services

TEST_DB := $(DEVCTL) -f fixtures/services/testing/compose.yaml
test-services: build ## the sample's own tests, on a database server that devctl brings up for them
	@set -e; trap '$(TEST_DB) down -v' EXIT; $(TEST_DB) up -d --wait; \
	export DATABASE_URL="postgres://test:test@$$($(TEST_DB) port db 5432)/test"; set -x; \
	(cd fixtures/services && cargo test --locked --workspace); \
	(cd fixtures/services/auth && go test ./...)

contracts: build ## whether the committed contracts are what the consumers' tests write (UPDATE=1 writes them)
	$(PHOENIX) contracts drift $(if $(UPDATE),--update)

mutations: build ## breaks the sample's providers in ten ways: each must be found and named (about five minutes)
	DEVCTL="$(CURDIR)/$(DEVCTL)" contracts/mutations.py

foreign: build ## Pact's own tools on our contracts, ours on theirs (PYTHON= one with pact-python and pact-python-cli)
	DEVCTL="$(CURDIR)/$(DEVCTL)" $(or $(PYTHON),python3) contracts/foreign.py

lint: setup ## formatting, clippy, docs: whatever CI refuses
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	cd fixtures/services && cargo fmt --all -- --check && cargo clippy --locked --workspace --all-targets -- -D warnings
	cd fixtures/services/auth && test -z "$$(gofmt -l .)" && go vet ./...

fmt: ## formats everything
	cargo fmt --all
	cd fixtures/services && cargo fmt --all && cd auth && gofmt -w .

bench: bench-compose bench-edge bench-docker bench-reload ## every bench there is, one after the other

bench-reload: setup build ## edits a handler under load: what a reload costs those who call (EDITS=100 RATE=200)
	devctl/daemon/benches/reload.py

bench-edge: ## the edges beside Envoy, Toxiproxy and a plain relay (needs wrk, h2load, nginx; fetches the peers, or takes ENVOY=, TOXIPROXY=)
	devctl/edge/benches/edge.sh

bench-docker: ## up, down and ps beside Docker Compose, in one engine (needs `docker-compose`; ROUNDS=5)
	cargo build --release --locked -p devctl
	DEVCTL="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/devctl" devctl/daemon/benches/docker.py

bench-compose: ## how long a Compose file takes to load, by its number of services
	cargo bench --locked -p devctl-compose --bench load

# What `cargo fuzz` passes, without the sanitizer that only a nightly compiler has: there is no unsafe code to look after.
COVERAGE := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1
FUZZ_SECONDS := 300
fuzz-compose: ## looks for Compose files that the loader cannot bear (FUZZ_SECONDS=300)
	cd devctl/compose/fuzz && host="$$(rustc -vV | sed -n 's/^host: //p')" && \
	CARGO_TARGET_DIR=target RUSTFLAGS="$(COVERAGE)" cargo build --quiet --release --target "$$host" && mkdir -p corpus artifacts && \
	"target/$$host/release/load" -max_total_time=$(FUZZ_SECONDS) -timeout=20 -artifact_prefix=artifacts/ corpus ../../../fixtures/projects

RELEASE := $${CARGO_TARGET_DIR:-$(CURDIR)/target}/release
bench-verify: ## contracts beside Pact's own tools (PACT= names the `pact` command, of PyPI's pact-python-cli), and save -> verdict
	cargo build --release --locked -p devctl -p devctl-pact --bin devctl --example verify-bench
	DEVCTL="$(RELEASE)/devctl" PACT="$(or $(PACT),$(shell command -v pact))" $(RELEASE)/examples/verify-bench 300 1000 10000
	DEVCTL="$(RELEASE)/devctl" devctl/daemon/benches/on_save.py

conformance: ## holds the Compose loader against Docker Compose (FOLDERS="..." for files of yours)
	cargo build --release --locked -p devctl
	fixtures/projects/conformance --devctl target/release/devctl $(FOLDERS)
