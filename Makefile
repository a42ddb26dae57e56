# kiban: every command starts from a fresh clone. Needs: Python 3.11 or newer with venv, Node.js 20 with npm, make, git.
SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready
ASSETS := .venv/.assets
WARM := .venv/.warm
COMPILED := .venv/.compiled
JOBS ?= 2
# Node knows only its own authorities; behind a proxy that reads TLS it needs the system's.
CERTIFICATES := $(or $(SSL_CERT_FILE),$(wildcard /etc/ssl/certs/ca-certificates.crt))
SOURCES := $(shell find src -name '*.py')
KERNELS := $(shell find src/kiban/design -name '*.py' 2>/dev/null)

.PHONY: run setup test check bench bench-steiner bench-mix bench-broker bundle pictures docs fuzz fuzz-broker new deps

## the example plan on a page: http://127.0.0.1:8000
run: setup
	$(BIN)/kiban plan examples/okunoto --issue "地震で孤立した集落と避難所の通信を確保したい" -o out/plans/okunoto
	$(BIN)/kiban serve --plans out/plans --regions examples

## the environment in .venv and the files of the pages, exactly as pinned; kernels compiled and cached
setup: $(READY) $(ASSETS) $(WARM) $(COMPILED)

$(READY): requirements/setup.sh requirements/uv.py requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	sh requirements/setup.sh
	@touch $@

$(ASSETS): assets/package-lock.json assets/files.txt assets/copy_assets.py | $(READY)
	@command -v npm >/dev/null || { echo "setup: npm was not found. Next: install Node.js 20 with npm, then run make again" >&2; exit 1; }
	cd assets && NODE_EXTRA_CA_CERTS="$${NODE_EXTRA_CA_CERTS:-$(CERTIFICATES)}" npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	$(BIN)/python assets/copy_assets.py
	@touch $@

# Every command starts in a third of the time, also where Python is told not to write what it compiles.
$(COMPILED): $(READY) $(SOURCES)
	$(BIN)/python -m compileall -q src
	@touch $@

$(WARM): $(READY) $(KERNELS)
	$(BIN)/python -m kiban.design.warm
	@touch $@

## the whole test suite; KIBAN_REQUIRE=postgres,browser,data makes a missing service a failure
test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TEST)

## lint, format, types, import contract, data files: all of them, even when one fails
check: setup
	@$(MAKE) --no-print-directory --keep-going lint format types imports data

CODE := src tests bench requirements assets
.PHONY: lint format types imports data
lint:
	$(BIN)/ruff check $(CODE)
format:
	$(BIN)/ruff format --check $(CODE)
types:
	$(BIN)/mypy
imports:
	$(BIN)/lint-imports --no-cache --no-logo
data:
	$(BIN)/kiban catalogue check

## benchmarks, one subject a file; BENCH=name for one of them (without the long ones about Steiner trees and mixes)
bench: setup
	@for subject in $(if $(BENCH),bench/$(BENCH).py,$(filter-out bench/steiner.py bench/mix.py bench/broker.py bench/interrupt.py bench/streets.py bench/scenarios.py bench/bundle.py $(wildcard bench/*pictures.py),$(sort $(wildcard bench/*.py)))); do echo "== $$subject"; $(BIN)/python "$$subject" || exit 1; done

## Steiner trees of all instances of KIBAN_BENCH_DATA, 60 s each; ARGS="--only vienna-geo --streets 10000,100000" and others
bench-steiner: setup
	$(BIN)/python bench/steiner.py $(ARGS)

## mixes of all instances of KIBAN_BENCH_DATA, 60 s each (120 s the largest), judged; ARGS="--only mix-2k --changed" and others
bench-mix: setup
	$(BIN)/python bench/mix.py $(ARGS)

## the broker on one core, the load on another, against a bare server; ARGS="--only get --quick" and others
bench-broker: setup
	$(BIN)/python bench/broker.py $(ARGS)

## one archive for offices without internet: dist/kiban-<version>-bundle.tar.gz
bundle: setup
	$(BIN)/python requirements/bundle.py $(ARGS)

## the pictures of the tutorial, taken while a test walks through the pages; needs Chromium and Japanese letters
pictures: setup
	KIBAN_REQUIRE=browser $(BIN)/python -m pytest tests/browser/test_walk.py -k mouse --pictures docs/pictures/walk

## reference pages out of code and data
docs: setup
	$(BIN)/kiban docs

## the same property tests with many more examples
fuzz: setup
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -o timeout=0 $(or $(TEST),tests/cross)
	@[ -n "$(TEST)" ] || $(MAKE) --no-print-directory fuzz-broker

## hostile requests to a broker of its own: 100,000 cases, then schemathesis
fuzz-broker: setup
	$(BIN)/python tests/linkage/fuzz.py --cases $(or $(CASES),100000) --schemathesis 20

## a commented new data file: make new KIND=technologies ID=my-radio, or make new technologies my-radio
new: setup
	$(BIN)/kiban catalogue new $(or $(KIND),$(word 2,$(MAKECMDGOALS))) $(or $(ID),$(word 3,$(MAKECMDGOALS)))

ifeq (new,$(firstword $(MAKECMDGOALS)))
$(eval $(wordlist 2,3,$(MAKECMDGOALS)):;@:)
endif

## pin versions and hashes anew after a change of the dependencies in pyproject.toml (UPGRADE=--upgrade for newer ones)
COMPILE = $(BIN)/python requirements/uv.py pip compile $(UPGRADE) --quiet --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-annotate
deps: $(READY)
	$(COMPILE) pyproject.toml --extra postgres --extra geo -o requirements/run.txt
	$(COMPILE) pyproject.toml --extra postgres --extra geo --extra dev -o requirements/dev.txt
	sed -n 's|^\(uv==[^ ]*\).*|\1|p' requirements/dev.txt | $(COMPILE) - -o requirements/bootstrap.txt
	echo pip | $(COMPILE) - -o requirements/pip.txt
