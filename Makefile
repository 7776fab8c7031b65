# Three commands: `make run`, `make demo` and `make test`. All do all set-up themselves.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: run demo test lint doc bench clean

# Builds (fast to compile, not for production) and starts the daemon with the embedded default.
run:
	@./scripts/setup-build.sh
	$(CARGO) build --locked
	./target/debug/tributary $(ARGS) run

# The same with a made-up week of a support desk, in a folder that is removed at the end.
demo:
	@./scripts/setup-build.sh
	$(CARGO) build --locked
	./target/debug/tributary demo $(ARGS)

# Installs what the tests need, runs all of them, ends with the runner's summary.
test:
	@./scripts/setup-build.sh
	@./scripts/setup-test.sh
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace --doc --quiet
	$(CARGO) nextest run --locked --workspace

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

bench:
	@./scripts/setup-build.sh
	@./scripts/setup-test.sh
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
