# SPDX-License-Identifier: Apache-2.0
# A thin front to CMake, Ninja and the scripts in tools/. `make help` lists the targets.
BUILD ?= $(if $(SANITIZE),build-asan,build)
JOBS ?= $(shell nproc)
CMAKE_FLAGS = -DYG_SANITIZE=$(if $(SANITIZE),ON,OFF) -DYG_WEB_DIR=$(CURDIR)/build/web
DESTDIR ?=
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 600

.PHONY: build setup setup-test page compile run test check conformance bench fuzz soak install clean help
.DEFAULT_GOAL := build

build: TARGET = yagura
build: setup page compile ## set-up and build/yagura

setup:
	@tools/setup.sh build

setup-test:
	@tools/setup.sh build test

page: setup
	@tools/build_page.sh build/web

compile: setup page
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS) > $(BUILD)-configure.log 2>&1 || { cat $(BUILD)-configure.log; exit 1; }
	@mv -f $(BUILD)-configure.log $(BUILD)/configure.log
	@ninja -C $(BUILD) -j$(JOBS) $(TARGET)

run: build ## set-up, build, start with ./data
	@exec build/yagura serve

test: setup-test page compile ## set-up, build, unit and end-to-end tests
	@tools/run_tests.py --build $(BUILD) $(if $(ONLY),--only $(ONLY))

check: ## format, include table, sizes, banned calls, options page, links
	@tools/setup.sh check
	@tools/check.sh

conformance: build setup-test ## real clients in more languages, Terraform (skips what is missing)
	@tools/conformance.sh

bench: build ## CPU per million rows, bytes per row, memory; PEERS=1: beside VictoriaLogs, ClickHouse, VictoriaMetrics
	@cmake -S . -B build -G Ninja $(CMAKE_FLAGS) > /dev/null && ninja -C build -j$(JOBS) yagura yagura-load > /dev/null
	@$(if $(PEERS),tools/peers.sh build/peers && bench/peers.py --build build $(PEERS_ARGS),bench/run.sh)

fuzz: ## every fuzz target for FUZZ_SECONDS (600)
	@tools/setup.sh build fuzz
	@test/fuzz/run.sh $(FUZZ_SECONDS)

soak: ## ThreadSanitizer, Valgrind and the long kill loop
	@tools/setup.sh build test soak
	@tools/soak.sh

install: build ## binary, unit file and man page under DESTDIR
	install -Dm755 build/yagura $(DESTDIR)$(PREFIX)/bin/yagura
	install -Dm644 packaging/yagura.service $(DESTDIR)$(PREFIX)/lib/systemd/system/yagura.service
	install -Dm644 packaging/yagura.1 $(DESTDIR)$(PREFIX)/share/man/man1/yagura.1

clean: ## removes what was built (never ./data)
	rm -rf build build-asan build-tsan build-fuzz test-results web/dist

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -ts "$$(printf '\t')"
