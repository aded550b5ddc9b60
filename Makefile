# The two commands that do everything: `make iso` and `make test`. Each installs what the host lacks.
PROFILE ?= release
VENV := .venv
PYTHON := $(VENV)/bin/python
PYTEST := $(VENV)/bin/pytest
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
TEST_ISO = out/slipway-$(VERSION)-test-amd64.iso
TEST_NETBOOT = out/netboot-test
# Two machines at a time: each has one virtual processor, see docs/testing.md. So many unit tests at a time, too.
WORKERS ?= 2

.DELETE_ON_ERROR:
.PHONY: help iso netboot venv vm test lint test-unit test-vm test-vm-all deps clean FORCE

help:
	@sed -n 's/^## //p' Makefile

## make iso          out/slipway-<version>-amd64.iso (PROFILE=test: faster to make, larger)
##                   ANSWER=FILE: a second one that carries this answer file, see docs/medium.md
iso:
	@image/deps.sh iso
	@python3 -m image iso --profile $(PROFILE) $(if $(ANSWER),--answer '$(subst ','\'',$(ANSWER))')

## make netboot      out/netboot/, what a TFTP and an HTTP server give out, see docs/netboot.md
netboot:
	@image/deps.sh iso
	@python3 -m image netboot --profile $(PROFILE)

## make vm           boot the ISO in QEMU with a blank disk; leave with Ctrl-a x
vm: iso
	@image/deps.sh test
	@tests/vm/run-vm.sh $(PROFILE)

## make test         lint, unit tests, the chosen VM tests
test: lint test-unit test-vm

## make venv         .venv with the libraries that `python -m installer` needs on this host
venv: $(VENV)/ready

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/shellcheck $$(git grep -lIE '^#! ?/(bin|usr/bin)/(env )?(ba)?sh' -- . ':!docs')

test-unit: $(VENV)/ready
	$(PYTEST) tests/unit tests/tui -n $(WORKERS)

$(TEST_ISO): FORCE
	@image/deps.sh iso
	@python3 -m image netboot --profile test
FORCE:

## make test-vm-all  the whole matrix of VM tests
test-vm test-vm-all: $(VENV)/ready $(TEST_ISO)
	@image/deps.sh test
	SLIPWAY_TEST_ISO=$(TEST_ISO) SLIPWAY_TEST_NETBOOT=$(TEST_NETBOOT) $(PYTEST) tests/vm -n $(WORKERS) --dist loadgroup \
		$(if $(filter test-vm,$@),-m "not matrix",)

## make deps         install what the host lacks for all of the above
deps:
	@image/deps.sh iso test

$(VENV)/ready: tests/requirements.txt
	@image/deps.sh test
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --requirement tests/requirements.txt
	@touch $@

## make clean        remove all that was built, the package cache too
clean:
	@# Without root, what mkosi unpacked belongs to the user's sub-uids.
	rm -rf .build .hypothesis out mkosi.sandbox $(VENV) 2>/dev/null || unshare --map-auto --map-root-user rm -rf .build
