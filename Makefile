# SPDX-License-Identifier: MIT OR Apache-2.0
# The project's words. Each is plain cargo underneath; `scripts/need` installs what a word needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr
DESTDIR ?=
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

PROGRAMS := plc-supervisor plc-worker plc-connector-pyro plcctl plc-local
LIBEXEC := plc-supervisor plc-worker plc-connector-pyro

.PHONY: help run build sample test check unit bench full doc install clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Run the sample program; an IDE connects at port 3000. ARGS= is given to plc-local
	scripts/need build
	$(MAKE) --no-print-directory build
	target/release/plc-local $(ARGS)

build: sample ## Build all programs, optimised
	$(CARGO) build --release --locked --workspace --exclude plc-tests --bins

sample: target/release/sample.so

target/release/sample.so: supervisor/local/sample/sample.c supervisor/local/sample/scaffold.h
	mkdir -p $(@D)
	$${CC:-cc} -shared -fPIC -O2 -Wall -Wextra -o $@ $< -lpthread -lm

test: ## Everything a change must pass: check, unit tests, real clients against real processes
	scripts/need test
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory unit

unit: ## The tests alone
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --no-fail-fast

check: ## Format, lints, dependencies, licences
	scripts/need check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	scripts/check-dependencies

full: test ## Everything; no more than test so far

bench: ## Measure; ARGS='--against HOST:PORT,pid=PID,name=TEXT' measures another eRPC runtime too
	scripts/need test
	$(MAKE) --no-print-directory build
	$(CARGO) run --release --locked -p plc-tests --bin bench -- $(ARGS)

doc: ## API documentation of the crates
	$(CARGO) doc --locked --workspace --no-deps

install: build ## Install below DESTDIR
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/plc-runtime
	install -m 755 target/release/plcctl target/release/plc-local $(DESTDIR)$(PREFIX)/bin/
	for program in $(LIBEXEC); do \
	    install -m 755 target/release/$$program $(DESTDIR)$(PREFIX)/libexec/plc-runtime/; done
	install -D -m 644 target/release/sample.so $(DESTDIR)$(PREFIX)/share/plc-runtime/sample.so
	install -D -m 644 etc/plc-runtime/plc-runtime.toml $(DESTDIR)/etc/plc-runtime/plc-runtime.toml

clean: ## Remove what was built
	$(CARGO) clean
