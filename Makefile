# Every target sets itself up: nothing but Python 3.11 or newer is needed.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench bench-peers chaos rehearsal mutants stack-test dist lock clean
.DEFAULT_GOAL := demo

demo: .venv/sandbox
	@$(BIN)/python -m consumer demo $(ARGS)

test: .venv/dev
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not (apache or chromium or dist or docker or prometheus)" --durations=12 --cov --cov-report=term $(ARGS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tests/lint/docs_links.py
	$(BIN)/hadolint Dockerfile tests/stack/kafka/Dockerfile
	$(BIN)/yamllint --strict .

bench: .venv/dev
	$(BIN)/python -m benchmarks $(ARGS)

# The service beside what one would pick instead: at most half an hour; needs Java, Maven and Go. ARGS="service bare --latency
# 5ms --rounds 1" for some of it, --help for more.
bench-peers: .venv/dev
	$(BIN)/python -m benchmarks.peers $(ARGS)

# EVENTS=1000000 for the long run; ARGS="--seed S --processes N --rate R --json".
chaos: .venv/dev
	$(BIN)/python -m tests.chaos --events $(or $(EVENTS),100000) $(ARGS)

# Plays what goes wrong at night, on Apache Kafka: who names the cause, what heals it. ARGS="wrong_key slow_pendo" for some.
rehearsal: .venv/dev
	$(BIN)/python -m tests.rehearsal $(ARGS)

# Takes each guard out, one at a time, and sees to it that its test fails. ARGS=NAME for some of them, --list to see all.
mutants: .venv/dev
	$(BIN)/python -m tests.mutants $(ARGS)

# Builds the images and starts the stack, as root, with a container engine of its own: Debian's docker.io,
# docker-compose, debootstrap.
stack-test: .venv/dev
	$(BIN)/python -m pytest -n 0 -m docker tests/stack $(ARGS)

# Wheel, sdist and bill of materials, for the version in consumer/__init__.py.
VERSION = $(shell $(BIN)/python -m hatchling version)
dist: .venv/dev
	$(BIN)/python -m hatchling build
	$(BIN)/cyclonedx-py requirements --output-reproducible --output-file dist/pendo_consumer-$(VERSION).cdx.json lock/service.txt

# After a change of the dependencies in pyproject.toml.
lock: .venv/uv
	UV="$(BIN)/uv pip compile --quiet --universal --no-strip-extras --generate-hashes --no-header --no-annotate --python-version 3.11"; \
	$$UV pyproject.toml -o lock/service.txt && \
	$$UV pyproject.toml --extra sandbox -c lock/service.txt -o lock/sandbox.txt && \
	$$UV pyproject.toml --extra sandbox --group dev -c lock/sandbox.txt -o lock/dev.txt && \
	$$UV --group build -c lock/dev.txt -o lock/build.txt && \
	$$UV benchmarks/peers/bridge/requirements.in -o benchmarks/peers/bridge/requirements.txt

.venv/uv: .venv/python
	$(PIP) uv
	@touch $@

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/sandbox: .venv/python lock/sandbox.txt pyproject.toml
	$(PIP) --require-hashes -r lock/sandbox.txt
	@touch $@

.venv/dev: .venv/python lock/dev.txt pyproject.toml
	$(PIP) --require-hashes -r lock/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ .venv/sandbox

clean:
	rm -rf .venv .build .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache dist
