SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where `make run` listens.
LISTEN ?= 127.0.0.1:8080
# What `make bench` and `make load` are told, such as the name of one row.
ARGS ?=

# What `make load-k6` and `make load-artillery` run against, and which script of k6. Further variables that are given to
# make reach k6 too: make load-k6 SCRIPT=writers RATE=200.
BASE_URL ?= http://127.0.0.1:8080
SCRIPT ?= mixed
K6 ?= k6
# The ramp of Artillery: seconds, users a second at its end, and the 99th percentile from POST to socket, in milliseconds.
DURATION ?= 60
ARRIVALS ?= 10
LATENCY_MS ?= 250
K6_SETTINGS := USERS READERS PHONES RATE OPS MESSAGES COMMITS CANVAS_KB MB_PER_S DRAWINGS DURATION JOIN DRAIN LATENCY_MS \
	WRITERS MAX_WRITERS DROP_PERCENT RECONNECT FOREGROUND BACKGROUND RESUME_MS OTHER_URL BEHIND ROUNDS RETURN TOKEN TOKENS

# What is measured. The simulation would have all of it built on a tokio whose clock can be stopped.
RELEASE := cargo build --release --workspace --exclude revcast-simulation --exclude revcast-chaos --exclude lossy-disk

PEN := target/pen/node_modules/hanzi-writer-data

# The TypeScript client, and the whiteboard that is built on it. What was installed and built has a stamp beside it.
CLIENT := clients/typescript
CLIENT_PACKAGES := $(CLIENT)/node_modules/.installed
CLIENT_BUILT := $(CLIENT)/dist/.built
CLIENT_FILES := $(shell find $(CLIENT)/src $(CLIENT)/react/src $(CLIENT)/*.json $(CLIENT)/react/*.json 2>/dev/null)
ARTILLERY := loadtest/artillery
ARTILLERY_PACKAGES := $(ARTILLERY)/node_modules/.installed
LOAD_CHECK_PACKAGES := tests/load/node_modules/.installed
WEB_PACKAGES := web/node_modules/.installed
WEB_BUILT := web/dist/index.html
WEB_FILES := $(shell find web/src web/public web/index.html web/*.json web/vite.config.ts 2>/dev/null)
NPM_CI := npm ci --no-audit --no-fund --loglevel error --prefix

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: web-if-possible ## Run a server for development (LISTEN=127.0.0.1:8080)
	cargo run -- serve --dev --listen $(LISTEN) --drain-notice 0s

.PHONY: release
release: web-if-possible ## Build the program for use: target/release/revcast
	cargo build --release

# One after the other: two cores are no more than one of them can use. Most tests wait for servers, so that more of them
# than there are cores run at a time.
.PHONY: test
test: export RUST_TEST_THREADS ?= 3
test: setup web ## Run all tests, on throwaway Postgres and NATS servers
	cargo test --workspace
	$(MAKE) --no-print-directory client-test
	$(MAKE) --no-print-directory sdk-check-quick
	$(MAKE) --no-print-directory load-check
	$(MAKE) --no-print-directory e2e

.PHONY: verify
verify: setup ## Run what takes too long for make test: restarts behind all balancers, fuzz targets, dependencies
	REVCAST_BALANCERS=nginx,haproxy,caddy cargo test --test integration recovery::rolling_restart:: -- --test-threads 1 --nocapture
	REVCAST_CRASHES=3000 cargo test --test integration sqlite::crash:: -- --nocapture
	$(MAKE) --no-print-directory fuzz
	scripts/deny.sh offline

.PHONY: client
client: $(CLIENT_BUILT) ## Build the TypeScript client and its React hooks

.PHONY: web
web: $(WEB_BUILT) ## Build the whiteboard, which becomes a part of the program

.PHONY: web-if-possible
web-if-possible:
	@if scripts/has-node.sh; then $(MAKE) --no-print-directory web; \
		else echo 'Without the whiteboard: it takes Node.js 20.19 or later with npm (https://nodejs.org)'; fi

.PHONY: client-test
client-test: servers web ## Run the tests of the TypeScript client and of the whiteboard
	npm test --prefix $(CLIENT)
	npm test --prefix web

.PHONY: e2e
e2e: web servers ## Draw on the whiteboard in a browser
	npm run e2e --prefix web

# What the tests in TypeScript run.
.PHONY: servers
servers:
	cargo build --workspace --bin revcast --bin testbed --bin revcast-chaos

$(CLIENT_PACKAGES): $(CLIENT)/package-lock.json
	$(NPM_CI) $(CLIENT)
	@touch $@

$(CLIENT_BUILT): $(CLIENT_PACKAGES) $(CLIENT_FILES)
	rm -rf $(CLIENT)/dist $(CLIENT)/react/dist
	npm run build --prefix $(CLIENT)
	@touch $@

# It has the client as a link, which brings its own packages.
$(WEB_PACKAGES): web/package-lock.json | $(CLIENT_PACKAGES)
	$(NPM_CI) web
	@touch $@

$(WEB_BUILT): $(WEB_PACKAGES) $(CLIENT_BUILT) $(WEB_FILES)
	npm run build --prefix web

.PHONY: lint
lint: setup web $(LOAD_CHECK_PACKAGES) ## Check format, lints, and that what is generated is up to date
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	@cargo run --quiet -- openapi | diff - openapi/openapi.json \
		|| { echo 'openapi/openapi.json is out of date: run make openapi' >&2; exit 1; }
	@cargo run --quiet -- asyncapi | diff - openapi/asyncapi.yaml \
		|| { echo 'openapi/asyncapi.yaml is out of date: run make openapi' >&2; exit 1; }
	@cargo run --quiet -- reference | diff - docs/reference.md \
		|| { echo 'docs/reference.md is out of date: run make openapi' >&2; exit 1; }
	@$(CLIENT)/node_modules/.bin/openapi-typescript openapi/openapi.json --output target/openapi.ts >/dev/null
	@diff target/openapi.ts $(CLIENT)/src/generated/openapi.ts \
		|| { echo '$(CLIENT)/src/generated/openapi.ts is out of date: run make openapi' >&2; exit 1; }
	scripts/lint-words.sh
	scripts/lint-documents.sh
	scripts/openapi-breaking.sh
	npm run lint --prefix $(CLIENT)
	npm run lint --prefix web
	npm run lint --prefix tests/load

.PHONY: bench
bench: services ## Measure the limit and the service in one run (ARGS=row for some rows)
	$(RELEASE)
	target/release/bench $(ARGS)

.PHONY: load
load: services ## Load a server with revcast-load, or one that it starts (ARGS="loadtest/scenarios/mixed.toml --start")
	$(RELEASE)
	target/release/revcast-load $(ARGS)

# The scenarios of loadtest/RESULTS.md. One that does not keep its promise does not keep the others from running.
SCENARIOS := users-100 users-1000 users-10000 room-50 room-500 room-10000 mixed
.PHONY: load-scenarios
load-scenarios: services ## Run the scenarios of loadtest/RESULTS.md; results in target/load
	$(RELEASE)
	@mkdir -p target/load
	@failed=0; for name in $(SCENARIOS); do rm -f target/load/$$name.json target/load/$$name.html; target/release/revcast-load loadtest/scenarios/$$name.toml --start --quiet \
		--json target/load/$$name.json --html target/load/$$name.html || failed=1; done; exit $$failed

.PHONY: load-k6
load-k6: ## Load a server with your k6 (SCRIPT=mixed BASE_URL=http://127.0.0.1:8080)
	@command -v $(K6) >/dev/null || { echo 'k6 is missing, or K6 names another program: see' \
		'https://grafana.com/docs/k6/latest/set-up/install-k6/. It takes 1.0 or later.' >&2; exit 1; }
	@test -f loadtest/k6/$(SCRIPT).js || { echo 'SCRIPT is one of: writers readers mobile mixed storm' >&2; exit 1; }
	@mkdir -p target/load
	$(K6) run -e BASE_URL=$(BASE_URL) -e SUMMARY=target/load/k6-$(SCRIPT).json \
		$(foreach name,$(K6_SETTINGS),$(if $(filter command% environment%,$(origin $(name))),-e $(name)=$($(name)))) \
		loadtest/k6/$(SCRIPT).js

.PHONY: load-artillery
load-artillery: $(ARTILLERY_PACKAGES) ## Load a server with Artillery (BASE_URL=http://127.0.0.1:8080)
	@mkdir -p target/load
	BASE_URL=$(BASE_URL) DURATION=$(DURATION) ARRIVALS=$(ARRIVALS) LATENCY_MS=$(LATENCY_MS) ARTILLERY_DISABLE_TELEMETRY=true \
		$(ARTILLERY)/node_modules/.bin/artillery run --output target/load/artillery.json $(ARTILLERY)/ramp.yml

.PHONY: load-check
load-check: servers $(ARTILLERY_PACKAGES) $(LOAD_CHECK_PACKAGES) ## Run the load tests for some seconds, and see them fail
	npm test --prefix tests/load

# Nothing of it needs a script of a package to be run.
$(ARTILLERY_PACKAGES): $(ARTILLERY)/package-lock.json
	$(NPM_CI) $(ARTILLERY) --ignore-scripts
	@touch $@

$(LOAD_CHECK_PACKAGES): tests/load/package-lock.json
	$(NPM_CI) tests/load
	@touch $@

.PHONY: screenshot
screenshot: web servers ## Take the picture of the whiteboard in README.md
	node scripts/screenshot.mjs

.PHONY: frames
frames: setup web ## Measure the frame times of the whiteboard with 20,000 strokes
	$(RELEASE) --bin revcast --bin testbed
	cd web && node bench/frames.mjs

.PHONY: demo
demo: services $(PEN) ## Draw real pen strokes as many users at once
	$(RELEASE)
	target/release/demo $(PEN)

$(PEN):
	@command -v npm >/dev/null \
		|| { echo 'make demo needs npm to fetch the pen data: install Node.js with npm (https://nodejs.org)' >&2; exit 1; }
	@mkdir -p target/pen
	npm install --prefix target/pen --ignore-scripts --no-audit --no-fund --no-save hanzi-writer-data@2

.PHONY: openapi
openapi: $(CLIENT_PACKAGES) ## Write openapi/openapi.json, openapi/asyncapi.yaml, the client's types and docs/reference.md
	@mkdir -p target openapi
	cargo run --quiet -- openapi > target/openapi.json
	cargo run --quiet -- asyncapi > target/asyncapi.yaml
	cargo run --quiet -- reference > target/reference.md
	mv target/openapi.json target/asyncapi.yaml openapi/
	mv target/reference.md docs/
	npm run generate --prefix $(CLIENT)

.PHONY: openapi-breaking
openapi-breaking: ## Say what in openapi/openapi.json breaks clients of the last release
	scripts/openapi-breaking.sh

.PHONY: sdk-check
sdk-check: servers $(CLIENT_PACKAGES) ## Make clients in all languages from the document, and let them draw
	scripts/sdk-check.sh

# Without compilers of other languages.
.PHONY: sdk-check-quick
sdk-check-quick: servers $(CLIENT_PACKAGES)
	scripts/sdk-check.sh quick

# How many seeds, or which one.
SEEDS ?= 1000
SEED ?=
.PHONY: mutants
mutants: ## Put faults into the server, one at a time, and see that each is found (NAMES=, SEEDS=1000, EVERY=1)
	SEEDS=$(SEEDS) EVERY=$(EVERY) scripts/mutants.sh $(NAMES)

.PHONY: simulation
simulation: ## Run nodes in virtual time under faults that follow from a seed (SEEDS=1000, or SEED=7)
	cargo run --quiet -p revcast-simulation -- $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

.PHONY: porcupine-check
porcupine-check: ## Let Porcupine judge histories, and see that it refuses wrong ones
	@command -v go >/dev/null || { echo 'Go 1.23 or later is missing (https://go.dev)' >&2; exit 1; }
	cargo build -p revcast-checker
	cd loadtest/porcupine && go vet ./... && go test -count=1 ./...

# SEED, ROUNDS, ROUND, FAULTS and PREVIOUS reach the program as they are given to make; what is empty is not given.
.PHONY: chaos
chaos: setup client servers ## Let faults happen under load and judge what clients were told (ROUNDS=5 SEED=1 ROUND= RESUME=1)
	target/debug/revcast-chaos $(if $(RESUME),--resume) $(ARGS)

# Without what is given to other targets, so that it is the same each time.
.PHONY: chaos-check
chaos-check: setup client servers
	env -u ROUND -u FAULTS -u PREVIOUS ROUNDS=5 SEED=42 target/debug/revcast-chaos --list check --shrink 3 \
		--folder target/chaos-check

.PHONY: previous
previous: ## Build the version before, to run beside this one in make chaos (REV=v1)
	scripts/previous.sh $(REV)

.PHONY: fmt
fmt: $(CLIENT_PACKAGES) $(WEB_PACKAGES) $(LOAD_CHECK_PACKAGES) ## Format the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	cd $(CLIENT) && node_modules/.bin/biome check --write
	cd web && node_modules/.bin/biome check --write
	cd tests/load && node_modules/.bin/biome check --write . ../../loadtest/k6 ../../loadtest/artillery ../../loadtest/chaos

.PHONY: deny
deny: ## Check licenses, advisories and sources of dependencies
	scripts/deny.sh

# One of the targets with TARGET=frame_reader.
SECONDS ?= 30
.PHONY: fuzz
fuzz: ## Run each fuzz target for some seconds (SECONDS=30 TARGET=)
	scripts/fuzz.sh $(SECONDS) $(TARGET)

.PHONY: setup
setup: ## Install what the tests need (Debian, Ubuntu)
	@scripts/setup.sh

.PHONY: services
services: ## Install what bench and demo need: Postgres and NATS
	@scripts/setup.sh services
