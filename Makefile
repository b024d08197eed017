# All tasks of developers and CI. `make` without a target lists them.
# Each step writes a stamp under build/, so that a second run repeats only what changed.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
JOBS ?= $(shell scripts/jobs)
TEST_JOBS ?= $(shell scripts/jobs tests)
export PYTHON
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CTEST_PARALLEL_LEVEL := $(JOBS)
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

RELEASE := build/release
STAMPS := build/stamps
LOGS := build/logs
SOURCES := CMakeLists.txt pyproject.toml scripts/build_backend.py $(shell find cpp cmake python -type f -not -name '*.pyc') \
    $(shell find dashboard clients -name node_modules -prune -o -name dist -prune -o -name screenshots -prune -o -type f -print)
CPP_TESTS := $(shell find tests/cpp fuzz -type f)
CPP_HEADERS := $(shell find cpp/include cpp/src cpp/cli cpp/bindings -name '*.hpp' 2>/dev/null)
CPP_UNITS := $(shell find cpp/src cpp/cli cpp/bindings -name '*.cpp' 2>/dev/null)
CPP_FILES := $(shell find cpp tests/cpp tests/cmake bench fuzz -name '*.cpp' -o -name '*.hpp')
JS_PACKAGES := clients/js dashboard
SCRIPTS := .ci/run $(filter-out %.txt %.ini %.py,$(wildcard scripts/*))
# Each worker starts with adjacent tests, which share servers and browsers, and takes from others when it has none left.
PYTEST := python -m pytest -n $(TEST_JOBS) --dist worksteal

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- Setup and build

$(STAMPS)/system-%: scripts/system-packages
	@mkdir -p $(@D)
	@scripts/system-packages $*
	@touch $@

$(STAMPS)/venv: scripts/requirements-build.txt scripts/requirements-node.txt | $(STAMPS)/system-build
	@echo "Preparing .venv"
	@[ -x .venv/bin/python ] || $(PYTHON) -m venv .venv
	@python -m pip install -q --upgrade 'pip>=24'
	@python -m pip install -q -r $<
	@scripts/node
	@touch $@

$(STAMPS)/installed: $(SOURCES) $(STAMPS)/venv
	@echo "Building and installing into .venv with $(JOBS) jobs (minutes the first time)"
	@scripts/install $(RELEASE)
	@touch $@

$(STAMPS)/tests-built: $(STAMPS)/installed $(CPP_TESTS) | $(STAMPS)/system-test
	@echo "Building the C++ tests"
	@cmake -S . -B $(RELEASE) -DSESSION_BUDDY_BUILD_TESTS=ON > $(RELEASE)/configure.log || { cat $(RELEASE)/configure.log; exit 1; }
	@cmake --build $(RELEASE)
	@touch $@

$(STAMPS)/wire-programs-built: $(STAMPS)/installed $(shell find bench/wire -type f) | $(STAMPS)/system-test
	@cmake -S . -B $(RELEASE) -DSESSION_BUDDY_BUILD_TESTS=ON > $(RELEASE)/configure.log || { cat $(RELEASE)/configure.log; exit 1; }
	@cmake --build $(RELEASE) --target load_client request_client floor_plain floor_tls
	@touch $@

$(STAMPS)/test-tools: scripts/test-tools scripts/requirements-test.txt pyproject.toml tests/js/package-lock.json clients/js/package-lock.json dashboard/package-lock.json $(STAMPS)/installed | $(STAMPS)/system-test
	@echo "Installing what the tests need"
	@python -c 'import json, subprocess, sys; from importlib.metadata import requires; \
	    extra = [r.split(";")[0] for r in requires("session-buddy-realtime") if "extra ==" in r]; \
	    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "-r", "scripts/requirements-test.txt", *extra])'
	@scripts/test-tools
	@touch $@

$(STAMPS)/lint-tools: scripts/requirements-lint.txt $(STAMPS)/venv
	@python -m pip install -q -r $<
	@touch $@

.PHONY: build
build: $(STAMPS)/installed ## Build everything and install it into .venv
	@$(SAY_HOW_TO_USE)

# ---- Use

# Prints nothing if the environment is active in the shell that started make.
SAY_HOW_TO_USE := [ "$${VIRTUAL_ENV:-}" = "$(CURDIR)/.venv" ] || \
    echo "The commands are in .venv: \"source .venv/bin/activate\" puts session-buddy on the PATH of a shell."

.PHONY: demo
demo: $(STAMPS)/installed ## Serve generated demo data and print the addresses (DEMO_OPTIONS="--port 0")
	@$(SAY_HOW_TO_USE)
	@session-buddy demo $(DEMO_OPTIONS)

# ---- Testing

# The downloads of the test tools wait for the network while the C++ tests compile.
.PHONY: test
test: $(STAMPS)/installed $(STAMPS)/system-test ## Run all C++ and Python tests
	@printf '%s\n' $(STAMPS)/tests-built $(STAMPS)/test-tools | xargs -n 1 -P 2 $(MAKE)
	@$(MAKE) test-cpp test-python
	@scripts/summary

.PHONY: test-cpp
test-cpp: $(STAMPS)/tests-built ## Run the C++ tests
	@mkdir -p $(LOGS)
	@ctest --test-dir $(RELEASE) -j $(TEST_JOBS) --output-on-failure --progress | tee $(LOGS)/ctest.log

# On Debian every tool was installed above, so a test that misses one fails instead of being skipped.
.PHONY: test-python
test-python: $(STAMPS)/installed $(STAMPS)/test-tools $(STAMPS)/wire-programs-built ## Run the Python tests (PYTEST_OPTIONS="-k name")
	@mkdir -p $(LOGS)
	@SESSION_BUDDY_TEST_STRICT=$(STRICT) $(PYTEST) $(PYTEST_OPTIONS) | tee $(LOGS)/pytest.log
STRICT := $(if $(wildcard /etc/debian_version),1,)

# Its modules have a separate name pattern, so that no other target collects them.
.PHONY: test-recorded
test-recorded: $(STAMPS)/installed $(STAMPS)/test-tools ## Run the tests on recorded sessions (RECORDED=folder with data/ and spec/)
	@SESSION_BUDDY_TEST_RECORDED=$(abspath $(RECORDED)) $(PYTEST) -o python_files='recorded_*.py' $(PYTEST_OPTIONS)
RECORDED ?= ../shared

.PHONY: test-crackerjack
test-crackerjack: $(STAMPS)/installed $(STAMPS)/test-tools ## Run the tests with a real Crackerjack (CRACKERJACK=program)
	@SESSION_BUDDY_TEST_CRACKERJACK=$$(command -v $(CRACKERJACK)) $(PYTEST) tests/python/integrations/crackerjack_run.py $(PYTEST_OPTIONS)
CRACKERJACK ?= crackerjack

.PHONY: test-fresh
test-fresh: ## make demo and make test in a minimal Debian (SUITE=bookworm or trixie; WHO=user: not as root)
	@scripts/test-fresh "$(SUITE)" $(WHO)
WHO ?= root

.PHONY: load
load: $(STAMPS)/installed $(STAMPS)/test-tools ## Load test: 100 clients for a minute, and a stalled one among 99 good ones
	@SESSION_BUDDY_TEST_LOAD_SECONDS=$(LOAD_SECONDS) python -m pytest -q -s tests/python/load/test_load.py
LOAD_SECONDS ?= 60

.PHONY: oracle
oracle: $(STAMPS)/installed $(STAMPS)/test-tools ## Compare the server with SQL under random writes for ORACLE_SECONDS (780)
	@SESSION_BUDDY_TEST_ORACLE_SECONDS=$(ORACLE_SECONDS) python -m pytest -q -s -n 2 tests/python/faults/test_oracle.py
ORACLE_SECONDS ?= 780

.PHONY: calibrate
calibrate: $(STAMPS)/installed | $(STAMPS)/system-bench ## Measure alerts and deviations, compare with river, and write tables and plots in docs/
	@python -m pip install -q -r scripts/requirements-calibrate.txt
	@cmake -S . -B $(RELEASE) -DSESSION_BUDDY_BUILD_BENCH=ON > $(RELEASE)/configure.log || { cat $(RELEASE)/configure.log; exit 1; }
	@cmake --build $(RELEASE) --target alert_calibration alert_streams anomaly_calibration
	@$(RELEASE)/bench/alert_calibration --csv $(RELEASE)/alerts.csv > $(RELEASE)/calibration.md
	@python bench/drift_compare.py $(RELEASE)/bench/alert_streams --csv $(RELEASE)/comparison.csv >> $(RELEASE)/calibration.md
	@$(RELEASE)/bench/anomaly_calibration >> $(RELEASE)/calibration.md
	@python scripts/plot_calibration.py $(RELEASE)/alerts.csv $(RELEASE)/comparison.csv docs/images
	@mv $(RELEASE)/calibration.md docs/explanation/anomaly-calibration.md

.PHONY: bench
bench: $(STAMPS)/installed $(STAMPS)/test-tools | $(STAMPS)/system-bench ## Compare with other servers and write docs/explanation/performance.md (BENCH_OPTIONS="--quick")
	@cmake -S . -B $(RELEASE) -DSESSION_BUDDY_BUILD_BENCH=ON > $(RELEASE)/configure.log || { cat $(RELEASE)/configure.log; exit 1; }
	@cmake --build $(RELEASE) --target bench/all
	@python bench/run.py $(BENCH_OPTIONS)

.PHONY: bench-micro
bench-micro: $(STAMPS)/installed | $(STAMPS)/system-bench ## Run the micro-benchmarks and count instructions
	@cmake -S . -B $(RELEASE) -DSESSION_BUDDY_BUILD_BENCH=ON > $(RELEASE)/configure.log || { cat $(RELEASE)/configure.log; exit 1; }
	@cmake --build $(RELEASE) --target micro_bench
	@$(RELEASE)/bench/micro_bench --benchmark_min_time=0.2
	@python scripts/count_instructions.py $(RELEASE)/bench/micro_bench build/bench

.PHONY: coverage
coverage: $(STAMPS)/tests-built $(STAMPS)/test-tools ## Line coverage of cpp/ and python/ by all tests
	@scripts/coverage $(JOBS)

.PHONY: asan
asan: $(STAMPS)/test-tools ## Run C++ and server tests under AddressSanitizer and UBSan (SHORT=1: fewer server tests)
	@SHORT=$(SHORT) scripts/sanitizer asan

.PHONY: tsan
tsan: $(STAMPS)/test-tools ## Run the same under ThreadSanitizer
	@SHORT=$(SHORT) scripts/sanitizer tsan

.PHONY: fuzz
fuzz: $(STAMPS)/venv | $(STAMPS)/system-fuzz ## Run every fuzz target for FUZZ_SECONDS (60); fails on a crash
	@python scripts/fuzz.py $(FUZZ_SECONDS) $(JOBS)
FUZZ_SECONDS ?= 60

.PHONY: check-dependencies
check-dependencies: $(STAMPS)/venv ## Compile against the pinned release of every library, fetched (needs GitHub)
	@cmake -S tests/cmake/dependencies -B build/dependencies -G Ninja $(foreach name,SQLite3 ZLIB SQLiteCpp Boost nlohmann_json simdjson spdlog prometheus-cpp \
	    CLI11 tomlplusplus GTest,-DCMAKE_DISABLE_FIND_PACKAGE_$(name)=ON) $(CMAKE_OPTIONS)
	@cmake --build build/dependencies
	@ctest --test-dir build/dependencies --output-on-failure

# ---- Format and lint

.PHONY: format
format: $(STAMPS)/lint-tools $(STAMPS)/test-tools ## Format the C++, Python and TypeScript code
	@clang-format -i $(CPP_FILES)
	@ruff check -q --fix-only python tests scripts bench
	@ruff format python tests scripts bench
	@for folder in $(JS_PACKAGES); do npm run --silent --prefix $$folder format; done

.PHONY: lint
lint: lint-words lint-format lint-shell lint-python lint-js lint-cpp ## Check words, formatting, types and the linters' rules

.PHONY: lint-words
lint-words:
	@python scripts/check_words.py

.PHONY: lint-format
lint-format: $(STAMPS)/lint-tools
	@clang-format --dry-run --Werror $(CPP_FILES)
	@echo "clang-format: clean"

.PHONY: lint-python
lint-python: $(STAMPS)/lint-tools $(STAMPS)/installed
	@ruff check python tests scripts bench
	@ruff format --check python tests scripts bench
	@mypy --strict python/session_buddy
	@mypy --strict bench/run.py bench/peers

.PHONY: lint-js
lint-js: $(STAMPS)/test-tools
	@for folder in $(JS_PACKAGES); do npm run --silent --prefix $$folder lint; done

.PHONY: lint-shell
lint-shell: $(STAMPS)/lint-tools
	@shellcheck $(SCRIPTS)
	@echo "shellcheck: clean"

# One stamp per file, so that only changed files are checked again; all of them after a change of a header.
TIDIED := $(CPP_UNITS:%=build/tidy/%.ok)
.PHONY: lint-cpp
lint-cpp: $(STAMPS)/installed $(STAMPS)/lint-tools
	@cmake -S . -B build/lint -G Ninja -DSESSION_BUDDY_UNITY_BUILD=OFF -DSESSION_BUDDY_BUILD_PYTHON=ON \
	    -DPython_EXECUTABLE="$$(command -v python)" -Dpybind11_DIR="$$(python -m pybind11 --cmakedir)" > build/lint.log || { cat build/lint.log; exit 1; }
	@$(MAKE) -k -j $(JOBS) $(TIDIED)
	@echo "clang-tidy: $(words $(TIDIED)) files clean"

build/tidy/%.ok: % $(CPP_HEADERS) .clang-tidy
	@mkdir -p $(@D)
	@echo "clang-tidy $<"
	@clang-tidy -p build/lint --quiet $< 2> $@.log || { cat $@.log; exit 1; }
	@touch $@

.PHONY: clean
clean: ## Remove build results; keep .venv
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .coverage*

.PHONY: distclean
distclean: clean ## Remove everything not tracked by git
	rm -rf .venv tests/js/node_modules dashboard/node_modules clients/js/node_modules
