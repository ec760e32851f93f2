# Thin: everything real lives in c2d-box itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One worker waits for clusters most of the time; the other runs what needs none.
WORKERS ?= -n 2 --dist loadgroup
# The quick tests share nothing: one worker a core, up to four, since each collects all tests anew.
UNIT_WORKERS ?= -n auto --maxprocesses 4 --dist loadgroup
# A failed test is run once more; one that passes then is reported as flaky, by name, and put into tests/flaky.txt.
RERUNS ?= --reruns 1

# `make unit T=provider/test_fields.py`: one file or folder below the target's own, slow tests too.
T ?=
QUICK := -m "not slow and not root and not bundle"

.PHONY: help demo test verify unit tui cluster coverage check fmt docs bench flaky release clean

help:  ## this list
	@awk -F ':.*##' '/^[a-z]+:.*##/ {printf "make %-9s %s\n", $$1, $$2}' Makefile

$(STAMP): pyproject.toml
	@echo "==> creating $(VENV) and installing c2d-box into it"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# Two libraries come as sources with a setup.py: older versions of pip warn at length unless they are told how.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## boot a box and run a real Compute-to-Data job in it
	@$(BIN)/c2d-box --yes demo

test: $(STAMP)  ## every kind of test; the big sweeps sampled
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/python -m pytest $(WORKERS) $(RERUNS) --durations=25 --durations-min=3

verify: $(STAMP)  ## every test in full
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/python -m pytest $(WORKERS) $(RERUNS) --full --durations=40 --durations-min=3

unit: $(STAMP)  ## the quick tests: no root, no bundle, no cluster; T=provider/test_fields.py narrows
	@$(BIN)/python -m pytest $(if $(T),,$(UNIT_WORKERS) $(QUICK)) tests/unit/$(T)

tui: $(STAMP)  ## the tests of the screens; T=test_screens.py narrows
	@$(BIN)/python -m pytest $(if $(T),,$(WORKERS)) tests/tui/$(T)

cluster: $(STAMP)  ## the tests on a real cluster: root and a bundle; T=test_real.py narrows
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/python -m pytest --durations=25 --durations-min=3 $(if $(T),tests/cluster/$(T),tests/cluster tests/contract)

coverage: $(STAMP)  ## which lines the quick tests do not run, in coverage/index.html
	@$(BIN)/python -m pytest $(UNIT_WORKERS) $(QUICK) --cov --cov-report=html:coverage --cov-report=term:skip-covered tests/unit

fmt: $(STAMP)  ## format, and mend what ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

check: $(STAMP)  ## lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs:  ## the pages of docs as a site, in build/site/index.html
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/mkdocs || $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 -e '.[docs]'
	@# The theme prints a notice about its successor at each build (docs/adr/0044-documentation-site.md).
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP)  ## figures on this machine, of a box that is up
	@$(BIN)/python -m tests.bench.bench_chain
	@$(BIN)/python -m tests.bench.bench_jobs
	@$(BIN)/python -m tests.bench.bench_provider
	@$(BIN)/python -m tests.bench.bench_download

flaky:  ## no test may be on the list of flaky ones
	@! grep -v -e '^#' -e '^$$' tests/flaky.txt || { echo "flaky tests, see tests/flaky.txt: mend them first"; exit 1; }

release: flaky $(STAMP)  ## wheel, bundle and checksums, in dist/
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/c2d-box bundle save dist/$$($(BIN)/c2d-box bundle key).bundle
	@cd dist && sha256sum *.whl *.bundle > SHA256SUMS && cat SHA256SUMS

clean:
	rm -rf $(VENV) dist build coverage .coverage
