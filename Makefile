# One file of tasks; `make` alone lists them. Needs GNU make and Python 3.11 or newer, and installs the rest into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# pip compiles what it installs, not what lies here: where Python may not write, every start would do it again
COMPILE = $(BIN)/python -m compileall -q platform ncl_model jobs

.DEFAULT_GOAL := help
.PHONY: help demo demo-loop test check format bench chaos changing-bucket rehearsal wheel sbom audit clean

help: ## List these tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp ## Tamper with real photographs, screen them, write a report (CORPUS=path: screen your own)
ifdef CORPUS
	$(BIN)/nclscreen screen --report demo-output/report -- "$(CORPUS)"
else
	$(BIN)/nclscreen demo
endif

demo-loop: $(VENV)/demo.stamp ## Review, retrain, judge, promote and roll back once, on the demo's photographs
	$(BIN)/nclscreen demo-loop

# an MLflow server for the tests, apart from what they test
MLFLOW := .cache/mlflow
# whole systems, two at a time: each wants more than a core now and then, and waits for the rest of its time
SYSTEMS := tests/browser tests/cluster tests/flow
test: $(VENV)/dev.stamp $(MLFLOW)/stamp ## Run the tests (TESTS=path: only those)
ifdef TESTS
	$(BIN)/pytest $(TESTS)
else
	$(BIN)/pytest --durations 20 --numprocesses auto --maxprocesses 4 --dist loadfile $(addprefix --ignore ,$(SYSTEMS))
	$(BIN)/pytest --durations 20 --numprocesses 2 --dist loadfile $(SYSTEMS)
endif

check: $(VENV)/dev.stamp ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## Mend what the style check can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp ## Run the benchmarks
	@set -e; for each in $(sort $(wildcard benchmarks/*.py)); do echo "== $$each"; $(BIN)/python $$each; done

SEED ?= 1
ROUNDS ?= 20
chaos: $(VENV)/dev.stamp ## Shoot at the whole system while it works, and check its accounts (SEED=n ROUNDS=20)
	$(BIN)/python tests/chaos/campaign.py --seed $(SEED) --rounds $(ROUNDS)

changing-bucket: $(VENV)/dev.stamp ## Write to a bucket while jobs read it, and check every verdict (SEED=n ROUNDS=20)
	PYTHONPATH=platform:.:tests $(BIN)/python -m chaos.changing_bucket $(SEED) $(ROUNDS)

rehearsal: $(VENV)/dev.stamp ## Cut hosts off and kill Ray's head, on several hosts made of namespaces, as root (ONLY="worker head alone train")
	$(BIN)/python tests/chaos/rehearsal.py $(if $(ONLY),--only $(ONLY))

wheel: $(VENV)/demo.stamp ## Build the wheel that clusters install, into dist/
	rm -rf dist
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	cp constraints.txt dist/

# apart from what they look at
SUPPLY := .cache/supply-chain
sbom: $(VENV)/demo.stamp $(SUPPLY)/stamp ## List what is installed, with licences: dist/sbom.json (CycloneDX), dist/licences.csv
	mkdir -p dist
	$(SUPPLY)/bin/cyclonedx-py environment --output-reproducible --of JSON -o dist/sbom.json $(BIN)/python
	$(BIN)/python deploy/licences.py dist/sbom.json > dist/licences.csv

audit: $(VENV)/demo.stamp $(SUPPLY)/stamp ## Hold what is installed against known weaknesses; fails, and says why, where PyPI does not answer
	$(SUPPLY)/bin/pip-audit --strict --progress-spinner off --skip-editable --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) .cache dist build demo-output .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info

# The development environment is the demo's and more, so it serves for both.
$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (some minutes, the first time)"
	$(INSTALL) -e ".[dev]"
	$(COMPILE)
	@touch $(VENV)/demo.stamp $@

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (some minutes, the first time)"
	$(INSTALL) -e ".[demo]"
	$(COMPILE)
	@touch $@

$(SUPPLY)/stamp: | $(BIN)/python
	$(BIN)/python -m venv $(SUPPLY)
	$(SUPPLY)/bin/pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7,<8" "pip-audit>=2.10,<3"
	@touch $@

# only what the server needs to start: the whole of mlflow brings half a gigabyte more
$(MLFLOW)/stamp: | $(BIN)/python
	@echo "installing an MLflow server into $(MLFLOW)"
	$(BIN)/python -m venv --clear $(MLFLOW)
	$(MLFLOW)/bin/pip install --quiet --disable-pip-version-check "mlflow-skinny==3.17.2" aiohttp alembic Flask Flask-CORS graphene numpy pandas sqlalchemy
	$(MLFLOW)/bin/pip install --quiet --disable-pip-version-check --no-deps "mlflow==3.17.2" "mlflow-tracing==3.17.2"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
