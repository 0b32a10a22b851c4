# One command for people and CI alike. Everything a target needs is installed by `setup`, which says what it does.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Outside the checkout: a second clone, a CI run and work by hand share one build of the dependencies.
CACHE_HOME := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
export CARGO_TARGET_DIR ?= $(CACHE_HOME)/scrapering/target
export RUSTFLAGS ?= -C link-arg=-fuse-ld=mold
# RocksDB is the larger half of a cold build; ccache makes it cheap where it was compiled before.
ifeq ($(origin CC),default)
CC := ccache gcc
endif
ifeq ($(origin CXX),default)
CXX := ccache g++
endif
export CC CXX

BIN := $(CARGO_TARGET_DIR)/debug
BENCH_BIN := $(CARGO_TARGET_DIR)/release
# Number of seeds the simulator runs, and the first of them (empty: drawn afresh and printed).
SEEDS ?= 1000
BASE ?=
TEST_SEEDS ?= 1000
BENCH_ROUNDS ?= 3
BENCH_PRODUCTS ?= 5000
BENCH_URLS ?= 500000
# Seconds of faults, and what the dice of the nemesis begin with (empty: drawn afresh and printed).
DURATION ?= 600
SEED ?=
# What images hold: release or dev.
PROFILE ?= release
# Inputs for each reader.
FUZZ ?= 100000
# Pages on which extraction is compared.
PAGES ?= 200
# Power cuts of one node and of the whole ring.
SINGLE ?= 50
WHOLE ?= 10
# Drawn calls of each operation of the gateway.
CALLS ?= 100

.PHONY: help setup nextest build run test sim bench chaos power-cuts cut-points fuzz api-fuzz doors oidc oracle e2e cluster-e2e lint chart manifests images
.NOTPARALLEL:

help: ## Lists the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## Installs what is missing, and says so.
	@scripts/setup.sh

nextest: setup
	@scripts/setup.sh nextest

# Always the whole workspace: with -p, cargo picks other features and compiles the dependencies once more.
build: setup ## Builds every binary and every test.
	@cargo build --workspace --all-targets

run: build ## Runs examples/shop.yaml and examples/web.yaml on five nodes against a fixture web on loopback; leaves items.jsonl and pages.jsonl.
	@scripts/run.sh "$(BIN)"

test: nextest lint build ## What CI runs: format, lints, fresh simulator seeds, every test.
	@"$(BIN)/scrapering-sim" register --seeds $(TEST_SEEDS) $(if $(BASE),--base $(BASE))
	@"$(BIN)/scrapering-sim" bodies --seeds $(TEST_SEEDS) $(if $(BASE),--base $(BASE))
	@cargo test --workspace --doc --quiet
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace; else cargo test --workspace --all-targets; fi
	@scripts/say-skipped.sh

sim: build ## Runs the simulator, takes each rule out, explores small worlds whole, lets nodes come and go, draws the tables of Chord and SWIM: make sim SEEDS=1000 [BASE=seed].
	@"$(BIN)/scrapering-sim" register --seeds $(SEEDS) $(if $(BASE),--base $(BASE))
	@"$(BIN)/scrapering-sim" bodies --seeds $(SEEDS) $(if $(BASE),--base $(BASE))
	@"$(BIN)/scrapering-sim" mutants --seeds 700 --base 1
	@"$(BIN)/scrapering-sim" model
	@"$(BIN)/scrapering-sim" churn --minutes 10 $(if $(BASE),--seed $(BASE))
	@"$(BIN)/scrapering-sim" zave
	@"$(BIN)/scrapering-sim" chord $(if $(BASE),--base $(BASE))
	@"$(BIN)/scrapering-sim" swim --node-hours 5 --crashes 20 --chaos 100

lint: setup chart ## Checks the format, the lints and the chart; a warning is a fault.
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings

chart: ## Lints the chart, renders it, and holds it to the schemas of the oldest and the newest Kubernetes.
	@scripts/chart.sh check

bench: setup ## Prints pages per CPU second beside Scrapy, what URLs cost, keys beside etcd; with KUBEBUILDER_ASSETS what 1,000 jobs cost the operator.
	@cargo build --release -p scrapering -p scrapering-operator -p scrapering-e2e --bins
	@"$(BENCH_BIN)/scrapering-bench" --bin-dir "$(BENCH_BIN)" --rounds $(BENCH_ROUNDS) --products $(BENCH_PRODUCTS) \
		--scrapy "$$(scripts/bench-scrapy.sh)" --spider scripts/bench-spider.py
	@"$(BENCH_BIN)/scrapering-frontier-bench" --urls $(BENCH_URLS)
	@scripts/setup.sh bench
	@"$(BENCH_BIN)/scrapering-kv-bench"
	@"$(BENCH_BIN)/scrapering-kube-bench"

e2e: nextest build ## Runs the tests over process boundaries, then those in a cluster (cluster-e2e).
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace -E 'package(scrapering-e2e)'; else cargo test --workspace --test '*'; fi
	@$(MAKE) --no-print-directory cluster-e2e

chaos: build ## Faults under load on a ring of real processes, judged: make chaos DURATION=600 [SEED=seed]; as root also partitions.
	@scripts/setup.sh chaos
	@"$(BIN)/scrapering-chaos" run --duration $(DURATION) $(if $(SEED),--seed $(SEED))
	@$(MAKE) --no-print-directory power-cuts

power-cuts: build ## Cuts the power of real disks under load; nothing acknowledged may be lost: make power-cuts SINGLE=50 WHOLE=10 [SEED=seed]; needs root.
	@scripts/setup.sh power
	@"$(BIN)/scrapering-power-cuts" --single $(SINGLE) --whole $(WHOLE) $(if $(SEED),--seed $(SEED))

cut-points: build ## Stops the operator after every write of each operation and prints how it ended; needs KUBEBUILDER_ASSETS.
	@"$(BIN)/scrapering-cut-points"

fuzz: nextest build ## Feeds mutated inputs to everything that reads what strangers wrote: make fuzz FUZZ=100000 [SEED=seed].
	@FUZZ_INPUTS=$(FUZZ) FUZZ_SEED=$(SEED) cargo nextest run --workspace -E 'binary(fuzz)'

oracle: build ## Compares extraction on 200 pages of documentation, XPath, and archives, with implementations in Python: make oracle PAGES=200.
	@scripts/extract-oracle.sh "$(BIN)" $(PAGES)
	@scripts/warc-oracle.sh "$(BIN)"
	@scripts/xpath-oracle.sh "$(BIN)"

api-fuzz: build ## Thousands of calls made of the OpenAPI document against a ring of three; every answer as it says: make api-fuzz CALLS=100 [SEED=n].
	@scripts/api-fuzz.sh "$(BIN)" $(CALLS) $(SEED)

doors: build ## Does all that the command line can do with curl alone and over gRPC from Python, as docs/doors.md says.
	@scripts/doors.sh "$(BIN)"

oidc: build ## Takes and refuses tokens of a certified OpenID provider, while its keys are rotated and while it is down.
	@scripts/oidc.sh "$(BIN)"

manifests: build ## Writes what is generated from the code: custom resource definitions, the page of their fields, the OpenAPI document.
	@"$(BIN)/crdgen" helm/templates/crds crds/yaml docs/reference.md
	@"$(BIN)/scrapering" openapi >node/openapi.json

images: setup ## Builds loadable images of the node, the operator and the fixture shop into dist/, without Docker: make images [PROFILE=dev].
	@cargo build $(if $(filter dev,$(PROFILE)),,--release) -p scrapering -p scrapering-operator -p scrapering-e2e --bins
	@scripts/images.sh "$(if $(filter dev,$(PROFILE)),$(BIN),$(BENCH_BIN))" dist

cluster-e2e: ## Installs the chart into the cluster of KUBECONFIG, or into one made with kind, and runs a ring and a job there.
	@scripts/cluster-e2e.sh
