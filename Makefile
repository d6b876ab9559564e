# One command for each thing one does with a checkout. Installs go into .venv (and, where rights are
# at hand, Debian packages into the system); everything built goes into build/. A second call does
# only what is left to do.

PYTHON ?= python3
# Installed unless PYTHON has torch already.
TORCH_VERSION ?= 2.13.0
# ON: warnings are errors.
WERROR ?= OFF
# `make lint LINT=--no-tidy` leaves clang-tidy out, LINT=--changed-only looks at changes only.
LINT ?=
# What `make soak` runs: crash states, kills, and the seed of both.
SOAK_STATES ?= 100000000
SOAK_KILLS ?= 10000
SOAK_FAULTS ?= 1000
FUZZ_SECONDS ?= 30
SOAK_SEED ?= 1
# Optimizer steps of the demo's fine-tune, and tokens of a sample.
DEMO_STEPS ?= 16
DEMO_LENGTH ?= 128

VENV := .venv
BUILD := build/release
WHEEL := build/wheel
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(VENV)/constraints.txt $(BIN)/pip
INSTALLED := $(BUILD)/.installed
# Which optional parts are there to be built: a change of that builds anew.
FLAGS = WERROR=$(WERROR) NCCL=$(wildcard $(VENV)/.nccl)

# What the C++ and the Python package are built from; a file that was deleted drops out.
SOURCES := $(wildcard $(shell git ls-files -co --exclude-standard -- CMakeLists.txt cmake libaccount \
	bindings integrations tests benchmarks pyproject.toml 2>/dev/null \
	| grep -Ev '^tests/.*\.py$$|^integrations/.*/(test_|example).*\.py$$|\.md$$' || true))
ifeq ($(SOURCES),)
SOURCES := $(shell find CMakeLists.txt cmake libaccount bindings integrations tests benchmarks \
	pyproject.toml -type f -not -path 'tests/*.py' -not -name 'test_*.py' -not -name '*.md')
endif

.PHONY: help deps build demo test soak fuzz bench lint clean system system-demo system-slurm system-prometheus
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo 'make demo    fine-tune a real model on two ranks, count it, sign it, judge it, verify it'
	@echo 'make test    all tests, C++ and Python'
	@echo 'make build   the library, the account command and the Python package, into $(VENV)'
	@echo 'make soak    hours of crashes and kills: $(SOAK_STATES) crash states, $(SOAK_KILLS) SIGKILLs, stops under $(SOAK_FAULTS) faults a kind'
	@echo 'make fuzz    every parser, $(FUZZ_SECONDS) s each, under the sanitizers'
	@echo 'make bench   what counting costs, beside other counters'
	@echo 'make lint    formatting, clang-tidy, mypy, ruff'
	@echo 'make deps    only what building and testing need'
	@echo 'make clean   remove build/ and $(VENV)'
	@echo
	@echo 'Settings: PYTHON=$(PYTHON) (one that has torch lends it) TORCH_VERSION=$(TORCH_VERSION)'
	@echo '          WERROR=$(WERROR) DEMO_STEPS=$(DEMO_STEPS) DEMO_LENGTH=$(DEMO_LENGTH)'

# --- What must be there first ---------------------------------------------------------------------

system:
	@requirements/system.sh $(PYTHON) requirements/system.txt

system-demo:
	@requirements/system.sh $(PYTHON) requirements/system.txt requirements/system-demo.txt

# With it `make test` also has a Prometheus scrape a job.
system-prometheus:
	@requirements/system.sh $(PYTHON) requirements/system-prometheus.txt

# With it `make test` also starts a Slurm of its own, where it runs as root.
system-slurm:
	@requirements/system.sh $(PYTHON) requirements/system-slurm.txt

$(VENV)/.build: requirements/build.txt requirements/venv.sh | system
	@requirements/venv.sh $(PYTHON) $(VENV) $(TORCH_VERSION)
	@echo 'Installing what the build needs into $(VENV)'
	@$(PIP) install -q -r requirements/build.txt
	@touch $@

$(VENV)/.test: requirements/test.txt requirements/test-no-deps.txt requirements/frameworks.txt \
		$(VENV)/.build
	@echo 'Installing what the tests need into $(VENV)'
	@$(PIP) install -q -r requirements/test.txt -r requirements/frameworks.txt
	@$(PIP) install -q --no-deps -r requirements/test-no-deps.txt
	@touch $@

# A download of 350 MB for one header and the library that a test asks for its version: only `make
# test` wants it, and before the build, which looks for the header.
$(VENV)/.nccl: requirements/nccl.txt $(VENV)/.build
	@echo 'Installing NCCL into $(VENV)'
	@$(PIP) install -q --no-deps -r requirements/nccl.txt
	@touch $@

$(VENV)/.demo: requirements/demo.txt requirements/demo-no-deps.txt $(VENV)/.build | system-demo
	@echo 'Installing what the demo needs into $(VENV)'
	@$(PIP) install -q -r requirements/demo.txt
	@$(PIP) install -q --no-deps -r requirements/demo-no-deps.txt
	@touch $@

$(VENV)/.lint: requirements/lint.txt $(VENV)/.build
	@$(PIP) install -q --ignore-installed -r requirements/lint.txt
	@touch $@

deps: $(VENV)/.build $(VENV)/.test $(VENV)/.nccl

# --- Building -------------------------------------------------------------------------------------

# Rewritten only when the settings change, so that a change of settings builds anew.
build/flags: FORCE
	@mkdir -p build
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
FORCE:

CMAKE_SETTINGS := build-dir=$(BUILD) cmake.build-type=Release \
	cmake.define.ACCOUNT_BUILD_TESTS=ON cmake.define.ACCOUNT_BUILD_BENCHMARKS=ON \
	cmake.define.ACCOUNT_WERROR=$(WERROR)

# One build tree serves the package, the C++ tests and the benchmarks.
$(INSTALLED): $(SOURCES) build/flags $(VENV)/.build
	@echo 'Building into $(BUILD)'
	@rm -rf $(WHEEL)
	@$(PIP) wheel -v --no-build-isolation --no-deps --wheel-dir $(WHEEL) \
		$(addprefix --config-settings=,$(CMAKE_SETTINGS)) .
	@$(PIP) install -q --no-index --no-deps --force-reinstall $(WHEEL)/*.whl
	@touch $@

build: $(INSTALLED)

# --- Using it -------------------------------------------------------------------------------------

demo: $(INSTALLED) $(VENV)/.demo
	@$(BIN)/python examples/fine_tune/demo.py --out build/demo --steps $(DEMO_STEPS) --length $(DEMO_LENGTH)

test: $(VENV)/.test $(VENV)/.nccl
	@$(MAKE) --no-print-directory build
	@$(BIN)/python tests/run_all.py --build $(BUILD)

# Hours of what `make test` does for minutes: crashes of the disk, SIGKILLs of whole jobs, stops while
# something goes wrong. Another seed is another walk.
soak: $(INSTALLED)
	@ACCOUNT_CRASH_STATES=$(SOAK_STATES) ACCOUNT_CRASH_SEED=$(SOAK_SEED) \
		$(BUILD)/tests/unit/ledger/test_ledger_crash_states
	@ACCOUNT_KILLS=$(SOAK_KILLS) ACCOUNT_KILLS_SEED=$(SOAK_SEED) \
		$(BUILD)/tests/e2e/cpp/e2e_many_kills
	@ACCOUNT_FAULT_TRIALS=$(SOAK_FAULTS) ACCOUNT_FAULT_SEED=$(SOAK_SEED) \
		$(BUILD)/tests/e2e/cpp/e2e_fault

# Each parser, from its corpus, for FUZZ_SECONDS; the build is one of its own, by Clang.
fuzz:
	@requirements/system.sh $(PYTHON) requirements/system.txt requirements/system-fuzz.txt
	@mkdir -p build
	@cmake --preset fuzz >build/fuzz-configure.log || { cat build/fuzz-configure.log; exit 1; }
	@cmake --build --preset fuzz --target fuzz_parsers
	@$(PYTHON) tests/fuzz/run.py build/fuzz/tests/fuzz/fuzz_parsers --seconds $(FUZZ_SECONDS)

# Writes the table that the README shows.
bench: $(INSTALLED)
	@$(BIN)/python benchmarks/overhead.py --bench-op $(BUILD)/benchmarks/bench_op --readme README.md

lint: $(INSTALLED) $(VENV)/.lint
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tests/house/lint.py $(BUILD) $(LINT)

clean:
	rm -rf build $(VENV)
