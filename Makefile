# The two commands to know: `make demo` and `make test`. Both install what is
# missing (see .ci/setup) and are quick when everything is there.
PYTEST = .venv/bin/python -m pytest
WORKERS ?= 3

.PHONY: help setup demo test test-long test-all lint bench faults docs reference man screenshots clean

help:
	@echo "make demo      set up, make a sample machine and prepare it, as a user would see it"
	@echo "make test      set up, then the suite (under 10 minutes on 2 cores without KVM)"
	@echo "make test-all  the same and what takes longer (under 40 minutes)"
	@echo "make lint      types and style"
	@echo "make bench     ratios against the bare appliance"
	@echo "make faults    the table of faults in docs/reliability.md, made again"
	@echo "make docs      the documentation as a site, in build/site; works offline once set up"
	@echo "make man       a manual page for every command, in build/man"
	@echo "make reference docs/reference and docs/profiles, written again from the program"
	@echo "make screenshots  the pictures of the console, taken again"

setup:
	@.ci/setup runtime

demo:
	@.ci/setup runtime
	@.venv/bin/python -m testdata.demo

test: lint
	@$(PYTEST) -q -n $(WORKERS) --dist worksteal -m "not long"

test-long: lint
	@.ci/setup long
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

docs: reference
	@.venv/bin/python -c 'import myst_parser' 2>/dev/null || .venv/bin/python -m pip -q install '.[docs]'
	@.venv/bin/python -m sphinx -q -W --keep-going -b dirhtml docs build/site
	@echo "build/site/index.html"

reference:
	@.ci/setup test
	@.venv/bin/python -m bench.reference.pages
	@.venv/bin/python -m bench.profile_pages

man:
	@.ci/setup runtime
	@.venv/bin/python -m bench.reference.manual
	@echo "build/man/man1"

screenshots:
	@.ci/setup test
	@.venv/bin/python -m bench.screenshots

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
