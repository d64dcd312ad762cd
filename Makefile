# make demo   everything installed and running; prints the portal's address
# make test   everything installed, the whole test suite; .ci/run calls it
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test services lint lock chaos soak torture fuzz clean

setup: .venv/installed

.venv/installed: requirements/dev.txt requirements/build.txt pyproject.toml
	@$(PYTHON) scripts/check_python.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r requirements/build.txt -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@scripts/install_services.sh mosquitto optional
	$(BIN)/enpilot demo $(ARGS)

services:
	@scripts/install_services.sh mosquitto required
	@scripts/install_services.sh openssl required
	@scripts/install_services.sh chromium required
	@scripts/install_services.sh cjk-font required
	@scripts/timescaledb.sh install
	@scripts/wasm_timescaledb.sh install

test: setup services lint
	$(BIN)/pytest -n 3 $(ARGS)

torture: setup services
	ENPILOT_TEST_TORTURE=long $(BIN)/pytest --timeout 1800 -rP tests/torture

chaos: setup services
	ENPILOT_TEST_CHAOS=long $(BIN)/pytest --timeout 1800 -rP tests/chaos

soak: setup services
	ENPILOT_TEST_HISTORIES=20000 $(BIN)/pytest --timeout 3600 tests/analytics/test_counter_reference.py

fuzz: setup services
	ENPILOT_TEST_PAYLOADS=100000 $(BIN)/pytest --timeout 1800 -rP tests/ingest/test_fuzz.py

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:
	scripts/lock.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
