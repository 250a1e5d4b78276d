# Everything runs from .venv, which the first target that needs it makes. What is installed there is
# remembered in .venv/.installed-*, so that a second run has nothing to install.

PYTHON ?= python3
ARGS ?=
RUNS ?= 3
BIN := .venv/bin
# Without the bytecode, each of the many interpreters that the tests start would compile the package.
PYTEST_OPTIONS := -n auto --durations=10
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest $(PYTEST_OPTIONS)
# Compiles what the tests import, about a sixth of what is installed, before several processes do.
COMPILE = PYTHONDONTWRITEBYTECODE= $(1)/pytest --collect-only --quiet > /dev/null || true
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo lab docs test test-all test-busy lowest pandas3 audit bench soak screenshots clean
.PRECIOUS: .venv/.installed-%

help: ## Show this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "PYTHON=... chooses another Python than python3; ARGS=... goes to pytest, Sphinx, the benchmarks or the soak."

demo: .venv/.installed-core ## Install, load demonstration data, show what is there, plot a light curve
	@$(BIN)/lcdb-notebook demo

lab: .venv/.installed-lab ## Open the notebooks in JupyterLab
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

test: .venv/.installed-test ## Check style and types, run all tests but the slow ones
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Types are checked while tests wait for servers and pages, and reported after them.
	@$(BIN)/mypy > .venv/types.log 2>&1 & mypy=$$!; \
	trap 'kill $$mypy 2> /dev/null' EXIT; trap 'exit 130' INT TERM; \
	$(PYTEST) -m "not slow" $(ARGS); tests=$$?; \
	wait $$mypy; types=$$?; cat .venv/types.log; exit $$((tests ? tests : types))

test-all: test ## The same, and then the slow tests
	$(PYTEST) -m slow $(ARGS)

test-busy: .venv/.installed-test ## Run the tests three times, beside two programs that keep two processors busy
	@for _ in 1 2; do nice -n 19 $(BIN)/python -c 'while True: pass' & hogs="$$hogs $$!"; done; \
	trap 'kill $$hogs' EXIT; trap 'exit 130' INT TERM; \
	for run in $$(seq $(RUNS)); do \
		echo "Run $$run of $(RUNS):"; $(PYTEST) -m "not slow" $(ARGS) || exit; \
	done

lowest: .venv-lowest/.installed ## Run the tests once more, on the lowest versions that pyproject.toml allows
	PYTHONDONTWRITEBYTECODE= .venv-lowest/bin/pytest $(PYTEST_OPTIONS) $(ARGS)

audit: .venv/.installed-test ## Ask for known vulnerabilities in the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --output-file .venv/newest.txt pyproject.toml
	$(BIN)/uv tool run pip-audit --disable-pip --no-deps --requirement .venv/newest.txt

pandas3: .venv-pandas3/.installed ## Run the tests once more, with pandas 3, which lightkurve 2.6 does not allow
	PYTHONDONTWRITEBYTECODE= .venv-pandas3/bin/pytest $(PYTEST_OPTIONS) -m "not slow" --ignore=tests/browser $(ARGS)

docs: .venv/.installed-docs ## Build the documentation into docs/_build/html; a warning is an error
	PYTHONDONTWRITEBYTECODE= $(BIN)/sphinx-build --fail-on-warning --keep-going --builder html $(ARGS) docs docs/_build/html

bench: .venv/.installed-bench ## Measure speed side by side with the alternatives, print one table
	@$(BIN)/python tests/benchmarks $(ARGS)

soak: .venv/.installed-test ## Let sixteen clients read for ten minutes, with two writers and accidents
	@$(BIN)/python tests/soak.py $(ARGS)

screenshots: .venv/.installed-test ## Take the README's pictures of the explorer
	@$(BIN)/python tests/screenshots.py

clean: ## Remove .venv and what tools left behind; never a database
	rm -rf .venv .venv-lowest .venv-pandas3 docs/_build docs/notebooks lcdb_demo.png .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find . \( -name __pycache__ -o -name .ipynb_checkpoints \) \
		-prune -exec rm -rf {} +

.venv/.installed-core: what := .
.venv/.installed-lab: what := .[lab]
.venv/.installed-core .venv/.installed-lab: pyproject.toml | .venv/.made
	@echo "Installing lcdb_notebook and what it needs into .venv; the first time takes a minute or two."
	@$(PIP_INSTALL) --editable '$(what)'
	@touch $@

# All extras and a group of [dependency-groups], for which pip needs version 25.1. uv is several times
# as fast as pip, but does not read pip's configuration, which may name the only index in reach.
.venv/.installed-%: pyproject.toml | .venv/.made
	@echo "Installing lcdb_notebook and what '$*' needs into .venv; the first time takes a minute or two."
	@$(PIP_INSTALL) 'pip>=25.1' uv
	@$(BIN)/uv pip install --quiet $(if $(filter bench,$*),--compile-bytecode) \
		--python $(BIN)/python --editable '.[all]' --group $* || \
		$(PIP_INSTALL) --editable '.[all]' --group $*
	@$(if $(filter test,$*),$(call COMPILE,$(BIN)))
	@touch $@

# Transitive dependencies are the newest there are: only what pyproject.toml names has a lower bound.
.venv-lowest/.installed: pyproject.toml .venv/.installed-test
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --all-extras --group test \
		--python $(BIN)/python --output-file .venv/lowest.txt pyproject.toml
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --requirement .venv/lowest.txt
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --no-deps --editable .
	@$(call COMPILE,.venv-lowest/bin)
	@touch $@

.venv-pandas3/.installed: pyproject.toml .venv/.installed-test
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-pandas3
	@printf 'pandas>=3\nnumpy>=2.4\n' > .venv-pandas3/override.txt
	$(BIN)/uv pip install --quiet --python .venv-pandas3/bin/python \
		--override .venv-pandas3/override.txt --group test --editable '.[all]'
	@$(call COMPILE,.venv-pandas3/bin)
	@touch $@

.venv/.made:
	@for candidate in '$(PYTHON)' python3.14 python3.13 python3.12 python3.11; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
			2> /dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		found=$$('$(PYTHON)' --version 2>&1) || found='nothing of that name'; \
		echo "lcdb_notebook needs Python 3.11 or newer; '$(PYTHON)' is $$found." >&2; \
		echo "Install it, or name yours: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" --version)."; \
	"$$python" -m venv .venv || { \
		echo "That Python could not make a virtual environment." >&2; \
		echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; \
	}
	@touch $@
