# Every verb of this project; `make` alone lists them. A fresh machine needs only Python 3.11 or newer and make.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell scripts/find_python oldest)
NEWEST ?= $(shell scripts/find_python newest)
VENV := .venv
VENV_NEWEST = .venv-$(shell $(NEWEST) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := $(VENV)/bin
PYTEST_OPTIONS ?= -q -n 4 --dist worksteal --no-header
PYTEST_TIMED_OPTIONS ?= -q -n 3 --dist worksteal --no-header
PYTEST_NEWEST_OPTIONS ?= -q -n 0 --no-header
# What differs from Python to Python. Crashes, plans and races, which take most of the time, are the kernel's and the store's;
# what PostgreSQL does is the server's, so of that there is a sample: waiting, being told, lost replies, everybody at once.
TESTS_NEWEST := tests/unit tests/contract tests/property tests/checkers tests/integration/test_readme.py -m "not postgres or sample"

# What the tests start by the hundred is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-oldest test-newest test-timed test-pooler check fix model mutants sim chaos bench power lock clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## *(.*)/\1|\2/' | \
		while IFS='|' read -r verb says; do printf '  make %-12s %s\n' "$$verb" "$$says"; done

demo: $(VENV)/.run  ## index Python's own standard library while a worker is killed; under a minute. ENGINE=postgres for a server
	@ENGINE=$(ENGINE) $(BIN)/python -m examples.stdlib_index

test:  ## every test on the oldest Python that rota supports; beside it, on the newest found here, all but the slowest kinds
	@$(MAKE) -j2 test-oldest test-newest
	@$(MAKE) test-timed

test-oldest: $(VENV)/.dev
	@echo "Tests on $$($(BIN)/python -V)"
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS) -m "not timed"

# Promises to the second: beside what computes they would be broken by the machine. They mostly wait.
test-timed: $(VENV)/.dev
	@echo "Tests of what is promised to the second"
	@$(BIN)/python -m pytest $(PYTEST_TIMED_OPTIONS) -m timed tests/integration tests/postgres

# One process, and what it says is shown when all is said, so that it can run beside the others.
test-newest: $(VENV)/.dev
	@if [ "$$($(NEWEST) -V)" = "$$($(BIN)/python -V)" ]; then \
		echo "No newer Python here: tests run on $$($(BIN)/python -V) alone."; \
	else \
		mkdir -p build && \
		{ $(MAKE) $(VENV_NEWEST)/.dev && echo "Tests on $$($(VENV_NEWEST)/bin/python -V): all but crashes, plans and races, and a sample of what PostgreSQL does" && \
			HYPOTHESIS_PROFILE=brief $(VENV_NEWEST)/bin/python -m pytest $(PYTEST_NEWEST_OPTIONS) $(TESTS_NEWEST); } >build/test-newest.log 2>&1; \
		code=$$?; echo; cat build/test-newest.log; exit $$code; \
	fi

test-pooler: $(VENV)/.dev  ## the contract suite on PostgreSQL behind PgBouncer in transaction mode; some minutes
	@ROTA_TEST_POOLER=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS) -m postgres tests/contract

check: $(VENV)/.dev  ## ruff, mypy --strict, import-linter, links in the docs, house rules: what CI runs
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Some files are not formatted: make fix" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@floors=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$floors"; exit 1; }
	@$(BIN)/python scripts/check_links.py
	@$(BIN)/python -m pytest -q --no-header -p no:randomly tests/house
	@echo "make check: all good"

fix: $(VENV)/.dev  ## let ruff mend and format what it can
	@$(BIN)/ruff check --quiet --fix; $(BIN)/ruff format --quiet

# Which histories: SEEDS=3000, MINUTES=10, FIRST=1, POLICY=locks or lease; SEED=4711 tells that one, line by line.
sim: $(VENV)/.dev  ## whole clusters on virtual time, from seeds, on all cores: SEEDS=n or MINUTES=m; SEED=n replays one
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(FIRST),--first $(FIRST)) $(if $(POLICY),--policy $(POLICY))

# Which faults: MORE="--worker-kills 50 --jobs 20000 --rate 650"; else a mix of all kinds for MINUTES.
chaos: $(VENV)/.dev  ## real nodes under load while processes, servers, networks and disks fail: ENGINE=sqlite or postgres, MINUTES=n
	@$(BIN)/python -m tests.chaos --engine $(or $(ENGINE),sqlite) --minutes $(or $(MINUTES),1) $(MORE)

model: $(VENV)/.dev  ## search model/rota.pml with Spin under all bounds, some minutes; FLAGS=… for one search and its trail
	@$(BIN)/python -m tests.model $(FLAGS)

mutants: $(VENV)/.dev  ## break the protocol in each known way, see who notices, and write docs/mutants.md; NAMES=… for some
	@$(BIN)/python -m tests.mutants $(NAMES)

bench: $(VENV)/.dev $(if $(filter sqlite,$(ENGINE)),,$(VENV)-bench/.bench)  ## rota beside its peers, in one run; ENGINE=sqlite or postgres, ONLY=drain1,pickup, RUNS=1
	@ENGINE=$(ENGINE) $(BIN)/python -m bench $(ONLY)

power: $(VENV)/.dev  ## cut the power under SQLite IMAGES=10000 times and look what is left; the controls must lose
	@$(BIN)/python -m tests.power --images $(or $(IMAGES),10000)

lock: $(VENV)/.dev  ## pin what pyproject.toml asks for, with hashes, into requirements/
	@scripts/lock $(BIN)/python

clean:  ## remove what the verbs made, except bench/results
	rm -rf .venv .venv-* build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-out

$(VENV)/.run: requirements/run.txt
	@scripts/make_venv $(VENV) $< $(PYTHON)
	@touch $@

$(VENV)/.dev: requirements/dev.txt
	@scripts/make_venv $(VENV) $< $(PYTHON)
	@touch $@ $(VENV)/.run

$(VENV)-bench/.bench: requirements/bench.txt
	@scripts/make_venv $(@D) $< $(PYTHON)
	@touch $@

.venv-%/.dev: requirements/dev.txt
	@scripts/make_venv $(@D) $< $(NEWEST)
	@touch $@
