# The commands of a fresh machine: `make demo` and `make test`. Both create what they need.
# Needed beforehand: make, and one Python 3.10 or newer with its venv module.

VENV := .venv
BIN := $(VENV)/bin

# Interpreters that pyenv keeps are found here, by their own paths: its shims obey .python-version
# and refuse every other version.
space := $(subst ,, )
PYENV_BINS := $(wildcard $(HOME)/.pyenv/versions/3.1[0-4]*/bin)
export PATH := $(subst $(space),:,$(strip $(PYENV_BINS) $(PATH)))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help test demo demo-django dev build fast fix fuzz chaos bench docs clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

test: $(VENV)/tools ## everything CI runs: lint, types, docs, the tests on every Python found
	@name=$$($(BIN)/python -c 'import sys; print("py%d%d" % sys.version_info[:2])'); \
	export COVER_$$name='--cov --cov-report=term:skip-covered'; \
	$(BIN)/tox run $(TOX_ARGS) || exit $$?; \
	case $$name in py310|py311|py312|py313) ;; *) $(BIN)/tox run -e $$name ;; esac

demo: $(VENV)/package ## server and web shop in one command: import orders, watch the functions, see every run
	@$(BIN)/python -m examples.fastapi.demo

demo-django: $(VENV)/package ## the embedded server and a shop on Django: place orders, watch the functions, see every run
	@$(BIN)/python -m examples.django.demo

dev: $(VENV)/package ## the same server and shop, kept running until Ctrl-C
	@$(BIN)/python -m examples.fastapi.demo --keep

build: $(VENV)/tools ## wheel and sdist, checked by installing each into an empty environment
	$(BIN)/python .ci/build.py

fast: $(VENV)/tools ## the quick tests
	$(BIN)/tox run -q -e fast $(TOX_ARGS)

fix: $(VENV)/tools ## repair lint and layout
	$(BIN)/tox run -q -e fix

fuzz: $(VENV)/tools ## 200,000 damaged requests, each answered as documented
	$(BIN)/tox run -q -e fuzz

chaos: $(VENV)/tools ## servers killed 200 times under load, workers under 500 schedules of faults
	$(BIN)/tox run -q -e chaos

bench: $(VENV)/tools ## benchmarks beside the official package
	$(BIN)/tox run -q -e bench

docs: $(VENV)/tools ## build the documentation
	$(BIN)/tox run -q -e docs

clean: ## remove everything that was made
	rm -rf $(VENV) .tox build dist site *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The first Python that is new enough and can make an environment; `make PYTHON=... test` chooses one.
$(BIN)/python:
	@for name in $(PYTHON) python3.13 python3.12 python3.11 python3.10 python3.14 python3 python; do \
	    if "$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then \
	        echo "creating $(VENV) with $$("$$name" --version), $$(command -v "$$name")"; \
	        exec "$$name" -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "No Python 3.10 or newer with the venv module was found in PATH. Install one" >&2; \
	echo "(Debian, Ubuntu: apt install python3-venv) or name it: make PYTHON=/path/to/python ..." >&2; \
	exit 1

# Stamps: written after an installation, so that it is repeated only when what it read has changed.
$(VENV)/tools: $(BIN)/python
	$(BIN)/pip install --quiet 'tox>=4.20' 'build>=1.2'
	@touch $@

$(VENV)/package: $(BIN)/python setup.cfg pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable '.[dev,django,fastapi,flask]'
	@touch $@
