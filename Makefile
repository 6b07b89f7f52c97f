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
TESTABLE := $(VENV)/testable
READY := $(VENV)/ready
# Most of what is installed is never imported: what is, is compiled then.
INSTALL = PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

# Prints a gate's name before it runs, so that the last name printed is the one that failed.
gate = @printf '\n== %s\n' "$(1)"

# Material for MkDocs is maintained until May 2027; until its successor is chosen, its notice is noise.
export NO_MKDOCS_2_WARNING := 1

# The tests that reach all of core/, in files and by name: coverage more than doubles what a test costs, so that the
# searches, which reach nothing that these do not, run without it.
CORE_FILES := $(addprefix tests/unit/,engine/ protocol/ client/ insight/ regressions/ replay/ dialects/test_deadlines.py \
	dialects/test_ids.py dialects/test_timers.py dialects/test_wide.py test_alarms.py test_backoff.py test_durations.py \
	otel/test_spans.py codecs/test_sameness.py test_function.py test_ids.py test_registry.py test_retry.py test_trace.py \
	test_unresolved_annotations.py) \
	tests/property/test_docs.py tests/property/test_properties.py
CORE_CASES := $(addprefix tests/simulation/,test_crashes.py::test_a_run_without_faults \
	test_crashes.py::test_both_modes_leave_the_same_history \
	test_spans.py::test_without_a_crash_each_settled_promise_has_one_span \
	test_spans.py::test_nothing_is_reported_twice_however_often_it_is_replayed \
	test_spans.py::test_an_execution_that_moves_in_good_order_is_reported_once \
	test_spans.py::test_a_step_that_is_cut_off_loses_no_span)

# What another gate or target runs already: that of core/ and the examples in `check`, and by `kills` and `mutants` more
# than what the tests do of it; and three quarters of 10,000 runs that are the same each time, which `test` runs whole.
# A test of CORE_CASES has parameters: `[` ends its name.
ELSEWHERE := $(addprefix --deselect=,$(CORE_FILES) tests/docs/ tests/kills/ \
	tests/simulation/test_mutants.py::test_a_mutant_is_caught) \
	$(foreach part,1 2 3,'--deselect=tests/simulation/test_simulate.py::test_two_concurrent_chains_are_never_mixed_up[$(part)]') \
	$(CORE_CASES:%='--deselect=%[')

.DEFAULT_GOAL := help
.PHONY: help demo test test-rest test-again interop kills simulate mutants check gates bench bench-long bench-page bench-peers bench-codecs bench-servers \
	hostile docs format generate venv venv-test clean \
	gate-lint gate-format gate-mypy gate-pyright gate-imports gate-docs gate-examples gate-generated gate-coverage

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 22

demo: $(BASE) ## run the demo: an order that survives the deaths of its workers
	@$(BIN)/python examples/demo.py $(URL)

test: $(READY) ## run the tests, in random order
	$(BIN)/python -m pytest -n 2 -m "not interop" $(PYTEST_ARGS)

test-rest: $(READY) ## run the tests that check, kills and mutants leave out
	$(BIN)/python -m pytest -n 2 -m "not interop" $(ELSEWHERE) $(PYTEST_ARGS)

test-again: $(TESTABLE) ## run on another Python what is quick, with a sample of the simulations: PYTHON=python3.13
	RESONATE_TESTS=brief $(BIN)/python -m pytest -n 2 -m "not interop and not slow" $(PYTEST_ARGS)

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

check: gates gate-examples gate-coverage ## run every gate that CI runs
	@printf '\nAll gates passed.\n'

gates: gate-lint gate-format gate-imports gate-generated gate-docs gate-mypy gate-pyright ## run those that run no tests

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

venv: $(READY) ## install all tools into the venv, which each target does that needs them

venv-test: $(TESTABLE) ## install what the tests need into the venv of another Python: PYTHON=python3.13

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
	@$(BIN)/python -m pytest -n 2 --cov=resonate.core --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100 $(CORE_FILES) $(CORE_CASES)

# ---------------------------------------------------------------- the venv

# The library and what it needs: enough for the demo, and quick.
$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "$(PYTHON) is Python %d.%d; 3.11 or later is needed (make ... PYTHON=python3.12)" % v)'
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) -e .
	@touch $@

# What its tests need.
$(TESTABLE): $(BASE)
	@echo "Installing what the tests need into $(VENV) ..."
	@$(INSTALL) -e '.[test]'
	@touch $@

# And the tools that check it.
$(READY): $(BASE)
	@echo "Installing the tools into $(VENV) ..."
	@$(INSTALL) -e '.[dev]'
	@touch $@
