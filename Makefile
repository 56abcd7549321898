# Starkwright. `make run` needs Rust and make; `make test` installs what else the tests need (scripts/runtimes.sh).
TARGET := $(or $(CARGO_TARGET_DIR),target)
.DEFAULT_GOAL := help
.PHONY: help run test test-long lint policy runtimes bench doc clean

help: ## Lists these targets
	@awk -F ': ## ' '/^[a-z-]+: ## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: ## Proves a file on the CPU and on an OpenCL device if there is one: make run FILE=path (default README.md)
	@FILE="$(FILE)" scripts/run.sh

test: ## Installs what the tests need, then runs everything that CI runs: make test STAGES="fmt host" for a part
	@scripts/ci.sh

test-long: ## The same with many more cases, the portable build and the benches' code
	@scripts/ci.sh long

lint: ## The formatter, the linter, the documentation and the dependencies' licences
	@STAGES="fmt clippy doc policy" scripts/ci.sh

policy: ## Licences, bans and sources of the dependencies alone
	@scripts/stages.sh policy

runtimes: ## Installs and checks what the tests need: OpenCL runtimes, PostgreSQL, moto, a browser
	@scripts/runtimes.sh install

bench: ## Measures every device found against Plonky3: a table, and its rows in target/bench.json
	@scripts/runtimes.sh check || true
	@cargo build --release -p starkwright
	@scripts/runtimes.sh exec all $(TARGET)/release/starkwright bench --json $(TARGET)/bench.json

doc: ## Builds the API documentation
	@cargo doc --workspace --no-deps

clean: ## Removes the target folder: builds, runtimes, proofs
	@cargo clean
