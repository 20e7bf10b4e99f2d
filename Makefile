# What CI runs is what a person runs: `make lint test`. Two commands on a fresh machine: `make up`, `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
DEVCTL := target/debug/devctl
PHOENIX := $(DEVCTL) -f compose/compose.yaml

.PHONY: help setup build up down test lint fmt doc conformance

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## installs what is missing (asks first on a terminal)
	@.ci/setup

build: ## builds devctl
	cargo build --locked -p devctl

up: setup build ## brings the Phoenix system up, and proves it with a request
	$(PHOENIX) up -d --wait
	compose/prove --devctl $(DEVCTL)

down: build ## takes it down again (its data stays; `$(PHOENIX) down -v` removes it)
	$(PHOENIX) down

test: setup ## starts what the tests need, and runs them all
	cargo build --locked -p devctl
	cargo test --locked --workspace
	cd fixtures/services && cargo test --locked --workspace
	cd fixtures/services/auth && go test ./...

lint: setup ## formatting, clippy, docs: whatever CI refuses
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	cd fixtures/services && cargo fmt --all -- --check && cargo clippy --locked --workspace --all-targets -- -D warnings
	cd fixtures/services/auth && test -z "$$(gofmt -l .)" && go vet ./...

fmt: ## formats everything
	cargo fmt --all
	cd fixtures/services && cargo fmt --all && cd auth && gofmt -w .

conformance: ## holds the Compose loader against Docker Compose (FOLDERS="..." for files of yours)
	cargo build --release --locked -p devctl
	fixtures/projects/conformance --devctl target/release/devctl $(FOLDERS)
