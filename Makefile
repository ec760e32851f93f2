# Thin: everything real lives in c2d-box itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One worker waits for clusters most of the time; the other runs what needs none.
WORKERS ?= -n 2 --dist loadgroup

.PHONY: demo test verify check bench release clean

$(STAMP): pyproject.toml
	@echo "==> creating $(VENV) and installing c2d-box into it"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## boot a box and run a real Compute-to-Data job in it
	@$(BIN)/c2d-box --yes demo

test: $(STAMP)  ## every kind of test; the big sweeps sampled
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/python -m pytest $(WORKERS) --durations=25 --durations-min=3

verify: $(STAMP)  ## every test in full
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/python -m pytest $(WORKERS) --full --durations=40 --durations-min=3

check: $(STAMP)  ## lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP)  ## figures on this machine, of a box that is up
	@$(BIN)/python -m tests.bench.bench_chain
	@$(BIN)/python -m tests.bench.bench_jobs
	@$(BIN)/python -m tests.bench.bench_provider
	@$(BIN)/python -m tests.bench.bench_download

release: $(STAMP)  ## wheel, bundle and checksums, in dist/
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@$(BIN)/c2d-box --yes bundle build
	@$(BIN)/c2d-box bundle save dist/$$($(BIN)/c2d-box bundle key).bundle
	@cd dist && sha256sum *.whl *.bundle > SHA256SUMS && cat SHA256SUMS

clean:
	rm -rf $(VENV) dist build
