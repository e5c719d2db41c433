# The two commands to know: `make demo` and `make test`. Both install what is
# missing (see .ci/setup) and are quick when everything is there.
PYTEST = .venv/bin/python -m pytest
WORKERS ?= 3

.PHONY: help setup demo test test-long test-all lint bench faults clean

help:
	@echo "make demo      set up, make a sample machine and prepare it, as a user would see it"
	@echo "make test      set up, then the suite (under 10 minutes on 2 cores without KVM)"
	@echo "make test-all  the same and what takes longer (under 40 minutes)"
	@echo "make lint      types and style"
	@echo "make bench     ratios against the bare appliance"
	@echo "make faults    the table of faults in docs/reliability.md, made again"

setup:
	@.ci/setup runtime

demo:
	@.ci/setup runtime
	@.venv/bin/python -m testdata.demo

test: lint
	@$(PYTEST) -q -n $(WORKERS) --dist worksteal -m "not long"

test-long: lint
	@$(PYTEST) -q -n $(WORKERS) --dist worksteal -m long

test-all: test test-long

lint:
	@.ci/setup test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench:
	@.ci/setup test
	@.venv/bin/python -m bench.apply_ratio

faults:
	@.ci/setup test
	@.venv/bin/python -m bench.faults

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
