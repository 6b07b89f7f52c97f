# What a developer types, and what CI runs. Needs python3 (3.11 or later) and make; the rest comes from pip.
# `make test PYTHON=python3.12` uses that interpreter, in a .venv-3.12 of its own.

PYTHON ?= python3
PYTEST_ARGS ?=
SEEDS ?= 20000
HOURS ?= 24

# python3 has .venv; any other interpreter has a venv named for its version.
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
BIN := $(VENV)/bin
BASE := $(VENV)/base
READY := $(VENV)/ready

# Prints a gate's name before it runs, so that the last name printed is the one that failed.
gate = @printf '\n== %s\n' "$(1)"

# Material for MkDocs is maintained until May 2027; until its successor is chosen, its notice is noise.
export NO_MKDOCS_2_WARNING := 1

# The tests that reach all of core/: those of what is around it would only take time.
CORE_TESTS := tests/unit tests/property tests/simulation \
	$(addprefix --ignore=tests/unit/,adapters check cli http plugin sqlite testing test_benchmarks.py \
	test_imports.py test_logs.py test_requests_of_operations.py) \
	$(addprefix --ignore=tests/property/,test_agreement.py test_values.py) \
	$(addprefix --ignore=tests/simulation/,test_mutants.py test_over_http.py test_recordings.py test_simulate.py)

.DEFAULT_GOAL := help
.PHONY: help demo test interop kills simulate mutants check bench bench-long bench-page bench-peers bench-codecs bench-servers \
	hostile docs format generate clean \
	gate-lint gate-format gate-mypy gate-pyright gate-imports gate-docs gate-examples gate-generated gate-coverage

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 22

demo: $(BASE) ## run the demo: an order that survives the deaths of its workers
	@$(BIN)/python examples/demo.py $(URL)

test: $(READY) ## run the tests, in random order
	$(BIN)/python -m pytest -n 2 -m "not interop" $(PYTEST_ARGS)

interop: $(READY) ## exchange with other SDKs; RESONATE_TEST_SERVER=url adds a Resonate server
	@tests/interop/install.sh .interop
	$(BIN)/python -m pytest -m interop tests/interop $(PYTEST_ARGS)

kills: $(READY) ## kill real processes at each durable boundary, and 200 times at random under load
	@$(BIN)/python -W error -m tests.kills.sweep
	@$(BIN)/python -W error -m tests.kills.load

simulate: $(READY) ## simulate every shape of workflow, with faults: SEEDS=20000 in all, or HOURS
	@$(BIN)/python -m tests.simulation.campaign --seeds $(SEEDS) --hours $(HOURS)

mutants: $(READY) ## plant bugs, one after the other, and see that the simulator or the properties find each
	@$(BIN)/python -m tests.simulation.mutate

check: gate-lint gate-format gate-imports gate-mypy gate-pyright gate-generated gate-examples gate-docs gate-coverage ## run every gate that CI runs
	@printf '\nAll gates passed.\n'

bench: $(READY) ## run the benchmarks; prints tables, says what holds, writes benchmarks.json
	@tests/interop/install.sh .interop
	$(BIN)/python -m benchmarks --json benchmarks.json

bench-long: $(READY) ## time steps in a SQLite file of a million promises, which takes minutes to fill
	$(BIN)/python -m benchmarks.long --json benchmarks-long.json

bench-peers: $(READY) ## time the same work on other libraries, installed into folders of their own
	@tests/interop/install.sh .interop
	$(BIN)/python -m benchmarks.peers --json benchmarks-peers.json

bench-page: $(READY) ## put the figures of bench and bench-peers into the documentation; NOTE= says what else went on
	$(BIN)/python -m benchmarks.page $(wildcard benchmarks.json benchmarks-peers.json) --note "$(NOTE)"

bench-codecs: $(READY) ## time the codecs beside bare orjson, and beside the official Python SDK's (`make interop` installs it)
	$(BIN)/python -m benchmarks.codecs

hostile: $(READY) ## attack each codec with 100,000 changed payloads: minutes
	$(BIN)/python -m tests.hostile

bench-servers: $(READY) ## time this client beside the official Python SDK on one server; see RESONATE_TEST_SERVER above
	@tests/interop/install.sh .interop
	$(BIN)/python -m benchmarks.servers

docs: $(READY) ## build the documentation into site/
	$(BIN)/mkdocs build --strict

format: $(READY) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

generate: $(READY) ## write anew what the documentation takes from the code
	$(BIN)/python -m tests.docs.generated

clean: ## remove the venvs, the caches and what was built
	rm -rf .venv .venv-* .interop site dist build .coverage .coverage.* benchmarks*.json
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- gates

gate-lint: $(READY)
	$(call gate,ruff check)
	@$(BIN)/ruff check

gate-format: $(READY)
	$(call gate,ruff format --check (make format mends it))
	@$(BIN)/ruff format --check

gate-imports: $(READY)
	$(call gate,import-linter)
	@$(BIN)/lint-imports

gate-mypy: $(READY)
	$(call gate,mypy --strict)
	@$(BIN)/mypy

gate-pyright: $(READY)
	$(call gate,pyright (strict))
	@$(BIN)/pyright --pythonpath $(BIN)/python

gate-generated: $(READY)
	$(call gate,generated text in the documentation (make generate mends it))
	@$(BIN)/python -m tests.docs.generated --check

gate-examples: $(READY)
	$(call gate,examples in the documentation)
	@$(BIN)/python -m pytest -n 2 tests/docs

gate-docs: $(READY)
	$(call gate,documentation (mkdocs --strict))
	@$(BIN)/mkdocs build --strict # and not --quiet, under which warnings are not counted

gate-coverage: $(READY)
	$(call gate,branch coverage of core/ is 100 %)
	@$(BIN)/python -m pytest -n 2 --cov=resonate.core --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100 $(CORE_TESTS)

# ---------------------------------------------------------------- the venv

# The library and what it needs: enough for the demo, and quick.
$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "$(PYTHON) is Python %d.%d; 3.11 or later is needed (make ... PYTHON=python3.12)" % v)'
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# And the tools that check it.
$(READY): $(BASE)
	@echo "Installing the tools into $(VENV) ..."
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
