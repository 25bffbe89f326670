# unlogged: a containerised testbed of anonymous remailers. `make help` lists what there is.
#
# Settings, in the environment or on make's command line:
#   WEB=name (unlogged)  LINK=port25|direct25|smtp|tls|cells (cells)  NODES=n (5)  POOL=off|exponential:SECONDS|timed:SECONDS,LEAST,PERCENT (exponential:1.0)
#   CELLS=n (2: cells a second on each link of LINK=cells, mail or not)
#   WITNESS=plain (no CAP_SYS_ADMIN: what needs it is inconclusive)
#   LEAKS=NODE=LEAK,... (up and verify: with planted leaks, docs/leaks.md)
#   HOSTED=1 (beside each node a mail host that logs)  PORTS=n (up: four ports from n on; free ones)  SEED=n (random)
#   COMPOSE="docker-compose" (what is found)
#   CLEAN=n (20: runs of make leaks over webs without a leak)
#   PAIRS=n (5: what make bench measures of each, in nine minutes)
#   PLANTS=1 (make matrix: half an hour more, plants in the nodes for the attacks to find)
#   STRESS=1 (make matrix: beside processes that only compute, two a core)
#   KEEP=1 (make matrix: the captures stay in out/, and what is true of them; the same SEED lets attacks try on them again)
#   FULL=1 (make matrix: hours, with ten times the mail and more, and the plants unless PLANTS=0; kept in docs/results)

PYTHON ?= python3
TESTS  := tests/unit tests/interop tests/bench tests/faults tests/web tests/leaks
VENV   := .venv
STAMP  := $(VENV)/.installed
RUN    := $(VENV)/bin/python -m

# Threads of numpy's that wait for a core that isn't free make small sums ten times slower.
export OPENBLAS_NUM_THREADS ?= 1
export LEAKS WEB LINK CELLS HOSTED WITNESS NODES POOL PORTS SEED COMPOSE PAIRS CLEAN PLANTS STRESS FULL KEEP

.DEFAULT_GOAL := help
.PHONY: help setup images up down status verify leaks bench matrix test test-unit lint pictures clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP) ## the Python environment, from locked wheels
$(STAMP): requirements/host.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is needed: set PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "make: $(PYTHON) can't make a venv: install your system's python3-venv package" >&2; exit 2; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/host.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

images: $(STAMP) ## build what has changed of the images
	@$(RUN) testbed images

up: $(STAMP) ## a web of remailers, mail hosts, DNS and the sniffer, ready for mail
	@$(RUN) testbed up

status: $(STAMP) ## what of the web is up
	@$(RUN) testbed status

verify: $(STAMP) ## send real mail through a web and give the verdict (out/)
	@$(RUN) testbed verify

down: $(STAMP) ## nothing of the web is left: containers, networks, volumes, keys
	@$(RUN) testbed down

leaks: $(STAMP) ## plant every leak, then clean webs: what the verdict catches (out/leaks.json)
	@$(RUN) testbed leaks

bench: $(STAMP) ## what it costs, as ratios to what one would use instead (out/bench.html)
	@$(RUN) testbed bench

matrix: $(STAMP) ## every attack at every link stage, pool off and on (out/matrix.html)
	@$(RUN) testbed matrix

lint: $(STAMP) ## ruff and mypy --strict
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(RUN) mypy

test-unit: $(STAMP) ## the tests that need no Docker
	@$(RUN) pytest tests/unit

# On a machine without images they are built beside the first tests; who needs one waits for it.
# They begin in this order: first what needs no image, then what takes longest.
test: lint ## all tests: some at a time, then those that need the machine to themselves
	@$(RUN) testbed images >/dev/null 2>&1 & images=$$!; trap "kill $$images 2>/dev/null; exit 130" INT TERM; \
	$(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" $(TESTS) || failed=1; \
	$(RUN) pytest -m alone tests || failed=1; exit $${failed:-0}

pictures: $(STAMP) ## the README's pictures, from the last verdict in out/
	@$(RUN) testbed pictures

clean: $(STAMP) ## take the web down and remove the project's images
	@$(RUN) testbed down
	@$(RUN) testbed clean
