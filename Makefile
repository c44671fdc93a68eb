SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where `make run` listens.
LISTEN ?= 127.0.0.1:8080
# What `make bench` is told, such as the name of one row.
ARGS ?=

PEN := target/pen/node_modules/hanzi-writer-data

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run a server for development (LISTEN=127.0.0.1:8080)
	cargo run -- serve --dev --listen $(LISTEN)

.PHONY: test
test: setup ## Run all tests, on throwaway Postgres and NATS servers
	cargo test --workspace

.PHONY: lint
lint: ## Check format, lints, and that the documents in openapi/ are up to date
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@cargo run --quiet -- openapi | diff - openapi/openapi.json \
		|| { echo 'openapi/openapi.json is out of date: run make openapi' >&2; exit 1; }
	@cargo run --quiet -- asyncapi | diff - openapi/asyncapi.yaml \
		|| { echo 'openapi/asyncapi.yaml is out of date: run make openapi' >&2; exit 1; }

.PHONY: bench
bench: services ## Measure the limit and the service in one run (ARGS=row for some rows)
	cargo build --release --workspace
	target/release/bench $(ARGS)

.PHONY: demo
demo: services $(PEN) ## Draw real pen strokes as many users at once
	cargo build --release --workspace
	target/release/demo $(PEN)

$(PEN):
	@command -v npm >/dev/null \
		|| { echo 'make demo needs npm to fetch the pen data: install Node.js with npm (https://nodejs.org)' >&2; exit 1; }
	@mkdir -p target/pen
	npm install --prefix target/pen --ignore-scripts --no-audit --no-fund --no-save hanzi-writer-data@2

.PHONY: openapi
openapi: ## Write openapi/openapi.json and openapi/asyncapi.yaml
	@mkdir -p target openapi
	cargo run --quiet -- openapi > target/openapi.json
	cargo run --quiet -- asyncapi > target/asyncapi.yaml
	mv target/openapi.json target/asyncapi.yaml openapi/

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: deny
deny: ## Check licenses, advisories and sources of dependencies
	@cargo deny --version >/dev/null 2>&1 \
		|| { echo 'cargo-deny is missing: cargo install cargo-deny --locked' >&2; exit 1; }
	cargo deny check

.PHONY: setup
setup: ## Install what the tests need (Debian, Ubuntu)
	@scripts/setup.sh

.PHONY: services
services: ## Install what bench and demo need: Postgres and NATS
	@scripts/setup.sh services
