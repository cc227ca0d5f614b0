# Everything a newcomer needs: `make demo`, `make up`, `make test`. `make help` lists the rest.
# Paths in IN and OUT may have spaces, and are taken from this folder, also with `make -C`.

PYTHON = python3
IN = samples
OUT = ./faces
DATA = ./voicesketch-data
PORT = 8000
# How many tests run at once, each in a process with servers of its own. A file's tests stay together, and one of the
# processes takes the files that mostly wait (tests/distribution.py): on two cores there is work for both all the time.
PROCESSES = 3
PYTEST_ARGUMENTS =

VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check --require-virtualenv install

# Handed to recipes through the environment: the shell then sees them as they are, whatever is in them.
export IN OUT DATA PORT

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up install install-dev test soak hosts tutorial pictures docs check fix bench golden sbom lock clean distclean

help: ## List what can be made
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-12s %s\n' "$$name" "$$text"; done
	@echo "Variables: IN=$(IN) OUT=$(OUT) DATA=$(DATA) PORT=$(PORT) PYTHON=$(PYTHON)"

demo: $(VENV)/.runtime ## Draw the recordings of IN through the real queue; faces land in OUT
	@$(BIN)/voicesketch demo --in "$$IN" --out "$$OUT" --data "$$DATA"

up: $(VENV)/.runtime ## Run everything on this machine, keeping its data in DATA; Ctrl-C stops it
	@$(BIN)/voicesketch up --data "$$DATA" --port "$$PORT"

install: $(VENV)/.runtime ## Install what running needs into .venv

install-dev: $(VENV)/.dev ## Install what testing needs as well

test: $(VENV)/.dev ## Run every test but the soaks
	@$(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGUMENTS)

soak: $(VENV)/.dev ## Run the tests that do the same many times over
	@$(BIN)/python -m pytest -q -m soak $(PYTEST_ARGUMENTS)

hosts: $(VENV)/.dev ## Run the tests on many hosts, which are network namespaces (needs root)
	@$(BIN)/python -m pytest -q -m hosts tests/hosts $(PYTEST_ARGUMENTS)

tutorial: $(VENV)/.dev ## Play the tutorial, every page of how-to, and the program of the API page
	@$(BIN)/python -m pytest -q -m soak tests/docs $(PYTEST_ARGUMENTS)

pictures: $(VENV)/.dev ## Take the pictures of the manual's tour of the dashboard
	@VOICESKETCH_PICTURES=docs/pictures $(BIN)/python -m pytest -q tests/browser/test_every_page.py -k any_screen

docs: $(VENV)/.dev ## Make a site of the manual in build/docs
	@$(BIN)/python -m docs.site
	@echo "The manual is in build/docs/index.html."

check: $(VENV)/.dev ## Format check, lint, types, import contracts, migrations; all of them before failing
	@failed=; \
	run() { echo "== $$*"; "$$@" || failed=1; }; \
	run $(BIN)/ruff format --check --quiet .; \
	run $(BIN)/ruff check --quiet .; \
	run $(BIN)/mypy; \
	run $(BIN)/lint-imports --no-logo; \
	folder=$$(mktemp -d); VOICESKETCH_DATABASE_URL="sqlite+pysqlite:///$$folder/ledger.sqlite3"; \
	export VOICESKETCH_DATABASE_URL; \
	run $(BIN)/alembic upgrade head; \
	run $(BIN)/alembic check; \
	rm -r "$$folder"; \
	test -z "$$failed" && echo "All checks passed."

fix: $(VENV)/.dev ## Repair what tools can repair
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: $(VENV)/.dev ## Measure
	@$(BIN)/python -m benchmarks

golden: $(VENV)/.dev ## Compare our networks and features with the originals' answers
	@$(BIN)/python -m benchmarks golden

sbom: $(VENV)/.dev ## Write a bill of materials (CycloneDX) of each image into build/sbom
	@mkdir -p build/sbom
	@for image in dashboard worker; do \
		$(BIN)/cyclonedx-py requirements deploy/images/$$image.lock --output-reproducible --of JSON \
			-o build/sbom/$$image.cdx.json || exit 1; done
	@echo "Bills of materials: build/sbom/dashboard.cdx.json, build/sbom/worker.cdx.json."

lock: $(VENV)/.dev ## Resolve the lock files anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --quiet --extra worker --extra faces --extra evaluate --extra dashboard --extra stack \
		-o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --quiet --all-extras -c requirements.lock -o requirements-dev.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --quiet --extra dashboard -c requirements.lock -o deploy/images/dashboard.lock
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --quiet --extra worker --extra faces --extra evaluate -c requirements.lock \
		-o deploy/images/worker.lock

clean: ## Remove caches
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build ./*.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove caches and the virtual environment; data and faces stay
	@rm -rf $(VENV)

# The three files below are stamps: each is as new as the installation that it stands for.

$(VENV)/.made:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "$(PYTHON) is missing: install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)." >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || { \
		echo "Python 3.11 to 3.14 is needed and $(PYTHON) is $$("$(PYTHON)" -V 2>&1): name another, as in make PYTHON=python3.12." >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: install python3-venv (Debian, Ubuntu: apt install python3-venv)." >&2; \
		exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements.lock pyproject.toml
	@echo "Installing what it needs into $(VENV) (minutes the first time, seconds later)..." >&2
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing what the tests need into $(VENV)..." >&2
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
