# SPDX-License-Identifier: MIT OR Apache-2.0
# The project's words. Each is plain cargo underneath; `scripts/need` installs what a word needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr
DESTDIR ?=
CARGO ?= cargo
# Where cargo puts what it builds, for this machine or for another one; `install` takes the programs from there.
BUILT ?= target/$(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)release
export CARGO_TERM_COLOR ?= auto

PROGRAMS := plc-supervisor plc-worker plc-connector-pyro plc-connector-pyros plc-connector-wamp plcctl plc-local
LIBEXEC := plc-supervisor plc-worker plc-connector-pyro plc-connector-pyros plc-connector-wamp
# Programs that are neither built nor installed, nor are their units and manuals, such as plc-connector-wamp.
WITHOUT ?=
SHIPPED := $(filter-out $(WITHOUT),$(PROGRAMS))

# The Debian release that the appliance tests boot: this machine's, for it compiles the PLC programs that they load, and
# what a newer release compiles an older one may not load.
HERE := $(shell . /etc/os-release 2>/dev/null && echo "$$VERSION_CODENAME")
SUITE ?= $(or $(filter bookworm trixie,$(HERE)),bookworm)
RELEASE_bookworm := deb12
RELEASE_trixie := deb13
TESTS ?=
# How long each fuzz target runs, and which; none named: all.
FUZZ_SECONDS ?= 60
TARGETS ?=

.PHONY: help run build sample test check unit appliance machine vm bench full parts trixie doc deb reproducible release layer programs tests figures package-check fresh cross foreign install security fuzz clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Run the sample program; an IDE connects at port 3000. ARGS= is given to plc-local
	scripts/need build
	$(MAKE) --no-print-directory build
	target/release/plc-local $(ARGS)

# With + it keeps to the number of jobs that make was given.
build: sample ## Build all programs, optimised
	+$(CARGO) build --release --locked --bins $(addprefix -p ,$(SHIPPED))

sample: $(BUILT)/sample.so

$(BUILT)/sample.so: supervisor/local/sample/sample.c supervisor/local/sample/scaffold.h
	mkdir -p $(@D)
	$${CC:-cc} -shared -fPIC -O2 $(CPPFLAGS) $(CFLAGS) -Wall -Wextra $(LDFLAGS) -o $@ $< -lpthread -lm

test: ## Everything a change must pass: check, unit tests with real clients, the package in a booted Debian
	scripts/test $(SUITE)

# Tests and all that they start, in one go: cargo compiles a crate again for another selection.
tests:
	$(CARGO) build --locked --workspace --all-targets

# Most tests wait, so more of them run at once than there are processors.
NEXTEST := target/tools/cargo-nextest/bin/cargo-nextest nextest run --locked --workspace
AT_ONCE := $(shell echo $$((2 * $$(nproc))))

unit: ## The tests alone; not as root, those that need it fail and say so. TESTS= is given to cargo nextest
	scripts/need unit
	$(MAKE) --no-print-directory tests
	$(CARGO) test --locked --workspace --doc
	$(NEXTEST) -E 'not package(plc-appliance) and not package(plc-vm)' -j $(AT_ONCE) $(TESTS)

appliance: ## The package in a booted Debian, as root. SUITE=trixie for Debian 13; TESTS= as above
	scripts/need appliance
	$(MAKE) --no-print-directory deb SUITE=$(SUITE)
	rm -f target/figures.txt
	SUITE=$(SUITE) $(NEXTEST) -E 'package(plc-appliance)' $(TESTS)
	cat target/figures.txt 2>/dev/null || true

machine: ## Boot a Debian with the package and give a shell in it, as root
	scripts/need appliance
	$(MAKE) --no-print-directory deb SUITE=$(SUITE)
	tests/appliance/host/machine shell $(SUITE) "$$(ls -t dist/plc-runtime_*~$(RELEASE_$(SUITE))_amd64.deb | head -n 1)"

vm: ## The package in virtual machines, as root: rights, core dumps, sleep, loss of power. TESTS= as above
	scripts/need vm
	$(MAKE) --no-print-directory deb SUITE=bookworm
	rm -f target/figures.txt
	SUITE=bookworm $(NEXTEST) -E 'package(plc-vm)' -j 1 $(TESTS)
	cat target/figures.txt 2>/dev/null || true

check: ## Format, lints, documentation of the code, dependencies, licences
	scripts/need check
	scripts/version
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --manifest-path tests/fuzz/Cargo.toml --no-default-features --target-dir target -- -D warnings
	$(MAKE) --no-print-directory doc
	scripts/check-dependencies

# What `make full` is more than `make test`; continuous integration takes it in this order while there is time.
FULL := vm trixie fresh package-check fuzz reproducible cross foreign

full: test ## Everything
	for part in $(FULL); do $(MAKE) --no-print-directory $$part; done

# With little time for each target; what a change breaks is found early, or after hours.
full: export FUZZ_SECONDS := 25

parts:
	@echo $(FULL)

trixie: ## The package in a booted Debian 13
	$(MAKE) --no-print-directory appliance SUITE=trixie

bench: ## Measure; ARGS='--against HOST:PORT,pid=PID,name=TEXT' measures another eRPC runtime too
	scripts/need unit
	$(MAKE) --no-print-directory build
	$(CARGO) run --release --locked -p plc-tests --bin bench -- $(ARGS)

figures: ## Sizes, memory, lengths of files and functions, weight of the tests, seconds of each part of `make test`
	scripts/figures $(ARGS)

doc: ## Documentation of the code, private items too, into target/doc; fails on whatever rustdoc warns of
	RUSTDOCFLAGS="$${RUSTDOCFLAGS:-} -D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

# A release that nobody named is this machine's.
deb: ## The Debian package, into dist/. SUITE=trixie ARCH=arm64 for others than this machine's
	scripts/need deb
	scripts/deb "$(if $(filter-out file,$(origin SUITE)),$(SUITE))" "$(ARCH)"

cross: ## The Debian 13 packages for arm64 and armhf
	$(MAKE) --no-print-directory deb SUITE=trixie ARCH=arm64
	$(MAKE) --no-print-directory deb SUITE=trixie ARCH=armhf

# One after the other, since both need all the processors there are.
FOREIGN := arm64 armhf
foreign: ## The packages for other processors and the tests, run by an emulator; as root. ARCH=armhf for one of them
	scripts/need foreign
	for arch in $(or $(ARCH),$(FOREIGN)); do \
	    $(MAKE) --no-print-directory deb SUITE=trixie ARCH=$$arch; \
	    scripts/foreign-check $$arch "$$(ls -t dist/plc-runtime_*~$(RELEASE_trixie)_$$arch.deb | head -n 1)"; \
	done

reproducible: ## The package built twice, in two places: the same bytes, or where they differ. SUITE= and ARCH= as above
	scripts/need deb
	scripts/reproducible "$(if $(filter-out file,$(origin SUITE)),$(SUITE))" "$(ARCH)"

release: ## All files of a release, of what is committed, into dist/plc-runtime-VERSION; as root. See docs/releasing.md
	scripts/need release
	scripts/release $(ARGS)

layer: ## The Yocto layer, into dist/
	scripts/need layer
	scripts/layer

programs:
	@echo $(PROGRAMS)

package-check: ## What Debian would say to the package: lintian, piuparts, debian/tests; as root
	scripts/need package-check
	$(MAKE) --no-print-directory deb SUITE=$(SUITE)
	scripts/package-check "$$(ls -t dist/plc-runtime_*~$(RELEASE_$(SUITE))_amd64.deb | head -n 1)" $(SUITE)

fresh: SUITE := trixie
fresh: ## A Debian 13 that never saw the project: apt install, self-test; as root. SUITE=bookworm for Debian 12
	scripts/need fresh
	$(MAKE) --no-print-directory deb SUITE=$(SUITE)
	scripts/fresh-check "$$(ls -t dist/plc-runtime_*~$(RELEASE_$(SUITE))_amd64.deb | head -n 1)" $(SUITE)

fuzz: ## Mutated bytes for every reader of foreign bytes. FUZZ_SECONDS= for each target, TARGETS='pickle tar' for some
	scripts/need fuzz
	scripts/fuzz $(FUZZ_SECONDS) $(TARGETS)

# The one list of what is shipped; packages call it too.
SHARE := $(DESTDIR)$(PREFIX)/share
UNITS := $(DESTDIR)$(PREFIX)/lib
FILE := install -D -m 644
# Each beside what it describes.
MANUALS := $(filter-out $(addprefix %/,$(addsuffix .8,$(WITHOUT))),\
    $(wildcard supervisor/*/*.[1578] worker/*.[1578] connectors/*/*.[1578]))
# A program's own, and not those of one whose name is longer.
SYSTEM_UNITS := $(filter-out $(foreach end,.% -%,$(addprefix systemd/system/,$(addsuffix $(end),$(WITHOUT)))),\
    $(wildcard systemd/system/*))
# Where zsh looks on Debian; elsewhere that is zsh/site-functions.
ZSH_COMPLETIONS ?= zsh/vendor-completions

install: ## Install below DESTDIR what `make build` has built, or what lies in BUILT=DIR
	@test -x $(BUILT)/plc-supervisor || { echo "nothing is built in $(BUILT); run 'make build' first" >&2; exit 1; }
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(addprefix $(BUILT)/,$(filter-out $(LIBEXEC),$(SHIPPED)))
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/libexec/plc-runtime $(addprefix $(BUILT)/,$(filter $(LIBEXEC),$(SHIPPED)))
	$(FILE) -t $(DESTDIR)$(PREFIX)/libexec/plc-runtime $(BUILT)/sample.so
	$(FILE) -t $(UNITS)/systemd/system $(SYSTEM_UNITS)
	$(FILE) -t $(SHARE)/plc-runtime/drop-ins systemd/drop-ins/*.conf
	$(FILE) -t $(SHARE)/plc-runtime/discovery systemd/discovery/*
	$(FILE) systemd/sysusers.conf $(UNITS)/sysusers.d/plc-runtime.conf
	$(FILE) systemd/tmpfiles.conf $(UNITS)/tmpfiles.d/plc-runtime.conf
	$(FILE) systemd/preset.conf $(UNITS)/systemd/system-preset/50-plc-runtime.preset
	$(FILE) systemd/logind.conf $(UNITS)/systemd/logind.conf.d/plc-runtime.conf
	$(FILE) systemd/udev.rules $(UNITS)/udev/rules.d/60-plc-runtime.rules
	$(FILE) -t $(UNITS)/systemd/catalog systemd/plc-runtime.catalog
	$(FILE) -t $(SHARE)/dbus-1/system.d systemd/dbus/org.plcruntime1.conf
	$(FILE) -t $(SHARE)/dbus-1/interfaces systemd/dbus/org.plcruntime1.Plc.xml
	$(FILE) -t $(SHARE)/polkit-1/actions systemd/polkit/org.plcruntime1.policy
	$(FILE) -t $(SHARE)/polkit-1/rules.d systemd/polkit/plc-runtime.rules
	for page in $(MANUALS); do $(FILE) -t $(SHARE)/man/man$${page##*.} $$page; done
	$(FILE) -t $(SHARE)/bash-completion/completions supervisor/*/completions/*.bash
	$(FILE) -t $(SHARE)/fish/vendor_completions.d supervisor/*/completions/*.fish
	$(FILE) -t $(SHARE)/$(ZSH_COMPLETIONS) supervisor/*/completions/_*
	$(FILE) -t $(DESTDIR)/etc/plc-runtime etc/plc-runtime/plc-runtime.toml
	$(FILE) -t $(DESTDIR)/etc/needrestart/conf.d etc/needrestart/conf.d/plc-runtime.conf

security: ## Exposure level of every unit and every drop-in, by systemd-analyze; fails above the ceilings
	scripts/security

clean: ## Remove what was built
	$(CARGO) clean
