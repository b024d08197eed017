"""Run development tools on small projects and write what they print, as samples for the verdicts read from outputs.

usage: record_outputs.py [--into FOLDER] [--node-modules FOLDER] [--only TOOL,TOOL: CASE]

The samples of a tool are in FOLDER/<skill name>.txt, with _ for a blank. Each follows a line with its outcome, as the
exit status of the tool says it, and its name. Tools that are not on the PATH, or not in the node_modules, are skipped
and named at the end. The tests OutputVerdict.*recorded* read the samples.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INTO = ROOT / "tests" / "cpp" / "ingest" / "outputs"
HEADER = "%%%% "
MAX_LINES = 60
NODE_TOOLS = {
    *("jest", "vitest", "mocha", "ava", "tap", "tsc", "eslint", "prettier", "biome", "pyright"),
    *("playwright test", "bun test", "bun run"),
    *("npm test", "npm run build", "yarn test", "pnpm test"),
}
COLORS = {
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "PY_COLORS": "1",
    "MYPY_FORCE_COLOR": "1",
    "CARGO_TERM_COLOR": "always",
}
PLAIN = {"NO_COLOR": "1", "CARGO_TERM_COLOR": "never", "TERM": "dumb"}


@dataclasses.dataclass(frozen=True)
class Case:
    skill: str
    name: str
    files: dict[str, str]
    command: str
    program: str = ""  # if it is not the first word of the command


PY_OK = {"test_sum.py": "def test_sum():\n    assert 1 + 1 == 2\n\ndef test_failed_is_a_name():\n    pass\n"}
PY_BAD = PY_OK | {"test_bad.py": "def test_bad():\n    assert 1 + 1 == 3\n"}
PY_BROKEN = PY_OK | {"test_broken.py": "import no_such_module\n"}
PY_FIXTURE = {
    "test_fixture.py": "import pytest\n\n@pytest.fixture\ndef broken():\n    raise OSError('x')\n\n"
    "def test_a(broken):\n    pass\n\ndef test_b():\n    pass\n"
}
PY_SKIPPED = {"test_skip.py": "import pytest\n\n@pytest.mark.skip\ndef test_a():\n    pass\n"}
PY_XFAIL = {
    "test_x.py": "import pytest\n\n@pytest.mark.xfail\ndef test_a():\n    assert False\n\ndef test_b():\n    pass\n"
}
UNIT_OK = {"test_u.py": "import unittest\n\nclass T(unittest.TestCase):\n    def test_failed(self):\n        pass\n"}
UNIT_BAD = {
    "test_u.py": "import unittest\n\nclass T(unittest.TestCase):\n"
    "    def test_a(self):\n        self.assertEqual(1, 2)\n"
    "    def test_b(self):\n        raise OSError\n"
}
CLEAN = {"a.py": '"""A module."""\n\nVALUE = 1\n'}
LINT = {"a.py": "import os\nimport  sys\nx: int = 'a'\ndef f( ) :\n  return y\n"}
UGLY = {"a.py": "x = {  'a':1 }\n"}
UNSORTED = {"a.py": "import sys\nimport os\n\nprint(sys, os)\n"}

JS_SUM = {"package.json": '{"name": "sample", "version": "1.0.0"}\n'}
JEST_OK = JS_SUM | {"sum.test.js": "test('adds; failed is only a name', () => { expect(1 + 1).toBe(2); });\n"}
JEST_BAD = JEST_OK | {"bad.test.js": "test('adds', () => { expect(1 + 1).toBe(3); });\n"}
JEST_BROKEN = JEST_OK | {"broken.test.js": "require('./missing');\n"}
VITEST_OK = JS_SUM | {
    "sum.test.mjs": "import { test, expect } from 'vitest';\ntest('1 failed', () => { expect(2).toBe(2); });\n"
}
VITEST_BAD = VITEST_OK | {
    "bad.test.mjs": "import { test, expect } from 'vitest';\ntest('adds', () => { expect(2).toBe(3); });\n"
}
VITEST_BROKEN = VITEST_OK | {"broken.test.mjs": "import './missing.mjs';\n"}
MOCHA_OK = JS_SUM | {"test/a.js": "describe('sum', () => { it('1 failing', () => {}); });\n"}
MOCHA_BAD = MOCHA_OK | {"test/b.js": "describe('bad', () => { it('throws', () => { throw new Error('x'); }); });\n"}
NODE_OK = {"a.test.mjs": "import test from 'node:test';\ntest('fail 1', () => {});\n"}
NODE_BAD = NODE_OK | {"b.test.mjs": "import test from 'node:test';\ntest('bad', () => { throw new Error('x'); });\n"}
AVA_OK = JS_SUM | {"a.test.mjs": "import test from 'ava';\ntest('1 test failed', t => t.pass());\n"}
AVA_BAD = AVA_OK | {"b.test.mjs": "import test from 'ava';\ntest('bad', t => t.is(1, 2));\n"}
TS_BAD = {"a.ts": "const a: number = 'x';\nexport { a };\n", "tsconfig.json": '{"compilerOptions": {"strict": true}}\n'}
TS_CONFIG = {"tsconfig.json": '{"compilerOptions": {"noSuchOption": true}}\n', "a.ts": "export {};\n"}
ESLINT = {"eslint.config.mjs": "export default [{ rules: { 'no-undef': 'error', 'no-unused-vars': 'warn' } }];\n"}
ESLINT_BAD = ESLINT | {"a.mjs": "const a = 1;\nmissing();\n"}
ESLINT_WARNING = ESLINT | {"a.mjs": "const a = 1;\n"}
BIOME_OK = {"a.js": "export const value = 1;\n"}
BIOME_BAD = {"a.js": "export const value = 1\ndebugger\n"}
PLAYWRIGHT_OK = JS_SUM | {
    "a.spec.js": "const { test, expect } = require('@playwright/test');\n"
    "test('1 failed', () => { expect(2).toBe(2); });\n"
}
PLAYWRIGHT_BAD = PLAYWRIGHT_OK | {
    "b.spec.js": "const { test, expect } = require('@playwright/test');\ntest('bad', () => { expect(2).toBe(3); });\n"
}
BUN_OK = JS_SUM | {"a.test.js": "import { test } from 'bun:test';\ntest('1 fail', () => {});\n"}
BUN_BAD = BUN_OK | {"b.test.js": "import { test } from 'bun:test';\ntest('bad', () => { throw new Error('x'); });\n"}
DENO_OK = {"a_test.js": "Deno.test('FAILED', () => {});\n"}
DENO_BAD = DENO_OK | {"b_test.js": "Deno.test('bad', () => { throw new Error('x'); });\n"}
DENO_LINT = {"a.js": "export const value = 1;\n"}
DENO_LINT_BAD = {"a.js": "export function f( ) { debugger; let a = 1; return a }\n"}
VITE_OK = {"package.json": '{"scripts": {"build": "vite build"}}\n', "index.html": "<p>text</p>\n"}
VITE_BAD = VITE_OK | {"index.html": '<script type="module" src="./missing.js"></script>\n'}
WEBPACK_OK = {"package.json": '{"scripts": {"build": "webpack --mode production"}}\n', "src/index.js": "let a;\n"}
WEBPACK_BAD = WEBPACK_OK | {"src/index.js": "import './missing';\n"}
TURBO_FILES = {
    "package.json": '{"name": "sample", "packageManager": "npm@10.0.0", "workspaces": ["web"], "private": true}\n',
    "package-lock.json": '{"name": "sample", "lockfileVersion": 3, "requires": true, "packages": {"": '
    '{"name": "sample", "workspaces": ["web"]}, "node_modules/web": {"resolved": "web", "link": true}, "web": '
    '{"version": "1.0.0"}}}\n',
    "turbo.json": '{"tasks": {"test": {}}}\n',
}
TURBO_SCRIPT = '{"name": "web", "version": "1.0.0", "scripts": {"test": "exit %s"}}\n'
RUBOCOP = {".rubocop.yml": "AllCops:\n  NewCops: disable\n  SuggestExtensions: false\n"}
RUBOCOP_OK = RUBOCOP | {"a.rb": "# frozen_string_literal: true\n\nputs 1\n"}
RUBOCOP_BAD = RUBOCOP | {"a.rb": "puts  1\n"}
SCRIPT = '{"name": "sample", "version": "1.0.0", "scripts": {"test": "%s", "build": "%s"}}\n'

GO = {"go.mod": "module example.org/sample\n\ngo 1.20\n"}
GO_OK = GO | {
    "a/a_test.go": 'package a\n\nimport "testing"\n\nfunc TestFAIL(t *testing.T) {}\n',
    "b/b.go": "package b\n",
}
GO_BAD = GO_OK | {"c/c_test.go": 'package c\n\nimport "testing"\n\nfunc TestBad(t *testing.T) { t.Error("x") }\n'}
GO_BUILD = GO_OK | {"c/c_test.go": 'package c\n\nimport "testing"\n\nfunc TestBad(t *testing.T) { missing() }\n'}
GO_PANIC = GO | {"c/c_test.go": 'package c\n\nimport "testing"\n\nfunc TestBad(t *testing.T) { panic("x") }\n'}
GO_MAIN_BAD = GO | {"main.go": "package main\n\nfunc main() { missing() }\n"}
GO_VET = GO | {"main.go": 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Printf("%d", "x") }\n'}
CARGO = {"Cargo.toml": '[package]\nname = "sample"\nversion = "0.1.0"\nedition = "2021"\n'}
CARGO_OK = CARGO | {
    "src/lib.rs": "//! A sample.\n\npub fn one() -> i32 {\n    1\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n"
    "    fn failed() {\n        assert_eq!(super::one(), 1);\n    }\n}\n"
}
CARGO_BAD = CARGO | {"src/lib.rs": CARGO_OK["src/lib.rs"].replace("super::one(), 1", "super::one(), 2")}
CARGO_BROKEN = CARGO | {"src/lib.rs": "pub fn one() -> i32 {\n    missing()\n}\n"}
CARGO_WARNING = CARGO | {"src/lib.rs": "fn unused() {}\n"}
CARGO_CLIPPY = CARGO | {"src/lib.rs": "pub fn one() -> i32 {\n    return 1;\n}\n"}
CARGO_UGLY = CARGO | {"src/lib.rs": "pub fn one( ) -> i32 { 1 }\n"}

MAKE_BAD = {"Makefile": "all: sub\n\nsub:\n\t@echo compiling; exit 3\n"}
MAKE_OK = {"Makefile": "all:\n\t@echo done\n"}
CMAKE = "cmake_minimum_required(VERSION 3.20)\nproject(sample NONE)\nenable_testing()\n"
CTEST_OK = {"CMakeLists.txt": CMAKE + "add_test(NAME failed_name COMMAND true)\n"}
CTEST_BAD = {"CMakeLists.txt": CMAKE + "add_test(NAME ok COMMAND true)\nadd_test(NAME bad COMMAND false)\n"}
CTEST_NONE = {"CMakeLists.txt": CMAKE}
CMAKE_BAD = {"CMakeLists.txt": CMAKE + 'message(FATAL_ERROR "broken")\n'}
CMAKE_C = "cmake_minimum_required(VERSION 3.20)\nproject(sample C)\nadd_executable(sample main.c)\n"
C_OK = {"CMakeLists.txt": CMAKE_C, "main.c": "int main(void) { return 0; }\n"}
C_BAD = {"CMakeLists.txt": CMAKE_C, "main.c": "int main(void) { return missing; }\n"}
MESON = {"meson.build": "project('sample', 'c')\nexecutable('sample', 'main.c')\n"}
SHELL_BAD = {"a.sh": "#!/bin/sh\necho $1\n"}

RSPEC_OK = {"a_spec.rb": "RSpec.describe 'sum' do\n  it('1 failure') { expect(2).to eq(2) }\nend\n"}
RSPEC_BAD = {"a_spec.rb": "RSpec.describe 'sum' do\n  it('adds') { expect(2).to eq(3) }\nend\n"}
RSPEC_BROKEN = {"a_spec.rb": "require 'missing'\nRSpec.describe('x') {}\n"}
MINITEST = (
    "require 'minitest/autorun'\n\nclass T < Minitest::Test\n  def test_failures\n    assert_equal 2, %s\n  end\nend\n"
)
PHPUNIT = (
    "<?php\nuse PHPUnit\\Framework\\TestCase;\n\nclass ATest extends TestCase\n{\n    public function testA(): void\n"
)
PHPUNIT += "    {\n        $this->assertSame(2, %s);\n    }\n}\n"
MIX = {
    "mix.exs": "defmodule Sample.MixProject do\n  use Mix.Project\n"
    '  def project, do: [app: :sample, version: "0.1.0"]\nend\n',
    "lib/sample.ex": "defmodule Sample do\n  def one, do: 1\nend\n",
    "test/test_helper.exs": "ExUnit.start()\n",
}
MIX_TEST = (
    'defmodule SampleTest do\n  use ExUnit.Case\n\n  test "1 failure" do\n    assert Sample.one() == %s\n  end\nend\n'
)
MIX_OK = MIX | {"test/sample_test.exs": MIX_TEST % "1"}
MIX_BAD = MIX | {"test/sample_test.exs": MIX_TEST % "2"}
MIX_BROKEN = MIX | {"lib/sample.ex": "defmodule Sample do\n  def one, do: missing()\nend\n"}
TOX = (
    "[tox]\nenv_list = one, two\nskipsdist = true\n[testenv]\nskip_install = true\nallowlist_externals = sh\n"
    "commands = sh -c 'exit %s'\n"
)
NOX = (
    "import nox\n\n@nox.session(python=False)\ndef tests(session):\n"
    "    session.run('sh', '-c', 'exit %s', external=True)\n"
)
HOOKS = (
    "repos:\n- repo: local\n  hooks:\n"
    "  - {id: check, name: check, language: system, entry: sh -c 'exit %s', always_run: true}\n"
)
GIT = "git init -q . && git config user.email a@example.org && git config user.name A && git add -A && "

CASES = (
    Case("pytest-run", "plain", PY_OK, "pytest -p no:cacheprovider"),
    Case("pytest-run", "quiet", PY_OK, "pytest -q -p no:cacheprovider"),
    Case("pytest-run", "verbose", PY_OK, "pytest -v -p no:cacheprovider"),
    Case("pytest-run", "skipped", PY_SKIPPED, "pytest -p no:cacheprovider"),
    Case("pytest-run", "expected-failure", PY_XFAIL, "pytest -p no:cacheprovider"),
    Case("pytest-run", "xdist", PY_OK, "pytest -p xdist -n 2 -p no:cacheprovider"),
    Case("pytest-run", "assertion", PY_BAD, "pytest -p no:cacheprovider"),
    Case("pytest-run", "assertion-quiet", PY_BAD, "pytest -q -p no:cacheprovider"),
    Case("pytest-run", "assertion-very-quiet", PY_BAD, "pytest -qq --no-header -p no:cacheprovider"),
    Case("pytest-run", "assertion-verbose", PY_BAD, "pytest -v -p no:cacheprovider"),
    Case("pytest-run", "assertion-no-traceback", PY_BAD, "pytest --tb=no -q -p no:cacheprovider"),
    Case("pytest-run", "assertion-first", PY_BAD, "pytest -x -p no:cacheprovider"),
    Case("pytest-run", "assertion-xdist", PY_BAD, "pytest -p xdist -n 2 -p no:cacheprovider"),
    Case("pytest-run", "collection", PY_BROKEN, "pytest -p no:cacheprovider"),
    Case("pytest-run", "fixture", PY_FIXTURE, "pytest -p no:cacheprovider"),
    Case("pytest-run", "no-tests", {"a.txt": ""}, "pytest -p no:cacheprovider"),
    Case("pytest-run", "deselected", PY_OK, "pytest -k nothing -p no:cacheprovider"),
    Case("pytest-run", "no-file", PY_OK, "pytest missing.py -p no:cacheprovider"),
    Case("pytest-run", "usage", PY_OK, "pytest --no-such-option"),
    Case("unittest", "plain", UNIT_OK, "python -m unittest"),
    Case("unittest", "verbose", UNIT_OK, "python -m unittest -v"),
    Case("unittest", "assertion", UNIT_BAD, "python -m unittest"),
    Case("unittest", "assertion-verbose", UNIT_BAD, "python -m unittest -v"),
    Case("ruff-check", "clean", CLEAN, "ruff check --no-cache ."),
    Case("ruff-check", "findings", LINT, "ruff check --no-cache ."),
    Case("ruff-check", "findings-concise", LINT, "ruff check --no-cache --output-format concise ."),
    Case("ruff-check", "statistics", LINT, "ruff check --no-cache --statistics ."),
    Case("ruff-check", "fixed-some", LINT, "ruff check --no-cache --fix ."),
    Case("ruff-check", "fixed-all", {"a.py": "import os\n"}, "ruff check --no-cache --fix ."),
    Case("ruff-check", "no-file", CLEAN, "ruff check --no-cache missing.py"),
    Case("ruff-check", "usage", CLEAN, "ruff check --no-such-option"),
    Case("ruff-format", "check-clean", CLEAN, "ruff format --no-cache --check ."),
    Case("ruff-format", "check-ugly", UGLY, "ruff format --no-cache --check ."),
    Case("ruff-format", "reformats", UGLY, "ruff format --no-cache ."),
    Case("ruff-format", "unchanged", CLEAN, "ruff format --no-cache ."),
    Case("ruff-format", "syntax", {"a.py": "def\n"}, "ruff format --no-cache ."),
    Case("mypy", "clean", CLEAN, "mypy --cache-dir /dev/null a.py"),
    Case("mypy", "findings", LINT, "mypy --cache-dir /dev/null a.py"),
    Case("mypy", "findings-no-summary", LINT, "mypy --cache-dir /dev/null --no-error-summary a.py"),
    Case("mypy", "syntax", {"a.py": "def\n"}, "mypy --cache-dir /dev/null a.py"),
    Case("mypy", "no-file", CLEAN, "mypy --cache-dir /dev/null missing.py"),
    Case("pyright", "clean", CLEAN, "pyright a.py"),
    Case("pyright", "findings", LINT, "pyright a.py"),
    Case("ty", "clean", CLEAN, "ty check a.py"),
    Case("ty", "findings", LINT, "ty check a.py"),
    Case("pyrefly", "clean", CLEAN, "pyrefly check a.py"),
    Case("pyrefly", "findings", LINT, "pyrefly check a.py"),
    Case("flake8", "findings", LINT, "flake8 a.py"),
    Case("pylint", "clean", CLEAN, "pylint --persistent=n a.py"),
    Case("pylint", "findings", LINT, "pylint --persistent=n a.py"),
    Case("black", "check-clean", CLEAN, "black --check ."),
    Case("black", "check-ugly", UGLY, "black --check ."),
    Case("black", "reformats", UGLY, "black ."),
    Case("black", "syntax", {"a.py": "def\n"}, "black ."),
    Case("isort", "check-unsorted", UNSORTED, "isort --check ."),
    Case("bandit", "clean", CLEAN, "bandit -r ."),
    Case("bandit", "findings", {"a.py": "import subprocess\nsubprocess.call('x', shell=True)\n"}, "bandit -r ."),
    Case("tox", "plain", {"tox.ini": TOX % "0"}, "tox"),
    Case("tox", "command", {"tox.ini": TOX % "3"}, "tox"),
    Case("nox", "plain", {"noxfile.py": NOX % "0"}, "nox"),
    Case("nox", "command", {"noxfile.py": NOX % "3"}, "nox"),
    Case("pre-commit", "plain", {".pre-commit-config.yaml": HOOKS % "0"}, GIT + "pre-commit run -a", "pre-commit"),
    Case("pre-commit", "hook", {".pre-commit-config.yaml": HOOKS % "1"}, GIT + "pre-commit run -a", "pre-commit"),
    Case("jest", "plain", JEST_OK, "jest"),
    Case("jest", "verbose", JEST_OK, "jest --verbose"),
    Case("jest", "assertion", JEST_BAD, "jest"),
    Case("jest", "broken", JEST_BROKEN, "jest"),
    Case("jest", "no-tests", JS_SUM, "jest"),
    Case("jest", "no-tests-allowed", JS_SUM, "jest --passWithNoTests"),
    Case("vitest", "plain", VITEST_OK, "vitest run"),
    Case("vitest", "verbose", VITEST_OK, "vitest run --reporter=verbose"),
    Case("vitest", "assertion", VITEST_BAD, "vitest run"),
    Case("vitest", "broken", VITEST_BROKEN, "vitest run"),
    Case("vitest", "no-tests", JS_SUM, "vitest run"),
    Case("mocha", "plain", MOCHA_OK, "mocha"),
    Case("mocha", "throws", MOCHA_BAD, "mocha"),
    Case("mocha", "dot", MOCHA_BAD, "mocha --reporter dot"),
    Case("node --test", "plain", NODE_OK, "node --test --test-reporter=tap"),
    Case("node --test", "throws", NODE_BAD, "node --test --test-reporter=tap"),
    Case("node --test", "spec", NODE_OK, "node --test --test-reporter=spec"),
    Case("node --test", "spec-throws", NODE_BAD, "node --test --test-reporter=spec"),
    Case("ava", "plain", AVA_OK, "ava"),
    Case("ava", "assertion", AVA_BAD, "ava"),
    Case("tap", "plain", {"package.json": "{}", "test/a.js": "require('tap').pass('x')\n"}, "tap --disable-coverage"),
    Case("tap", "fails", {"package.json": "{}", "test/a.js": "require('tap').fail('x')\n"}, "tap --disable-coverage"),
    Case("playwright test", "plain", PLAYWRIGHT_OK, "playwright test"),
    Case("playwright test", "assertion", PLAYWRIGHT_BAD, "playwright test"),
    Case("playwright test", "list", PLAYWRIGHT_BAD, "playwright test --reporter list"),
    Case("playwright test", "no-tests", JS_SUM, "playwright test"),
    Case("bun test", "plain", BUN_OK, "bun test"),
    Case("bun test", "throws", BUN_BAD, "bun test"),
    Case("bun test", "no-tests", JS_SUM, "bun test"),
    Case("bun run", "script", {"package.json": SCRIPT % ("exit 3", "exit 2")}, "bun run build"),
    Case("bun run", "no-script", {"package.json": SCRIPT % ("exit 3", "exit 2")}, "bun run missing"),
    Case("deno test", "plain", DENO_OK, "deno test"),
    Case("deno test", "throws", DENO_BAD, "deno test"),
    Case("deno test", "no-tests", JS_SUM, "deno test"),
    Case("deno lint", "clean", DENO_LINT, "deno lint"),
    Case("deno lint", "findings", DENO_LINT_BAD, "deno lint"),
    Case("deno fmt", "clean", DENO_LINT, "deno fmt --check a.js"),
    Case("deno fmt", "ugly", DENO_LINT_BAD, "deno fmt --check a.js"),
    Case("turbo", "plain", TURBO_FILES | {"web/package.json": TURBO_SCRIPT % "0"}, "turbo run test"),
    Case("turbo", "task", TURBO_FILES | {"web/package.json": TURBO_SCRIPT % "3"}, "turbo run test"),
    Case("tsc", "type", TS_BAD, "tsc --noEmit"),
    Case("tsc", "type-pretty", TS_BAD, "tsc --noEmit --pretty"),
    Case("tsc", "config", TS_CONFIG, "tsc --noEmit"),
    Case("eslint", "error", ESLINT_BAD, "eslint ."),
    Case("eslint", "warning", ESLINT_WARNING, "eslint ."),
    Case("eslint", "too-many-warnings", ESLINT_WARNING, "eslint --max-warnings 0 ."),
    Case("eslint", "no-config", {"a.mjs": "export {};\n"}, "eslint ."),
    Case("oxlint", "clean", DENO_LINT, "oxlint a.js"),
    Case("oxlint", "findings", BIOME_BAD, "oxlint -D all a.js"),
    Case("prettier", "check-clean", BIOME_OK, "prettier --check a.js"),
    Case("prettier", "check-ugly", {"a.js": "const a   = 1\n"}, "prettier --check a.js"),
    Case("prettier", "syntax", {"a.js": "const const\n"}, "prettier --check a.js"),
    Case("biome", "clean", BIOME_OK, "biome check a.js"),
    Case("biome", "findings", BIOME_BAD, "biome check a.js"),
    Case("biome", "lint", BIOME_BAD, "biome lint a.js"),
    Case("biome", "format", BIOME_BAD, "biome format a.js"),
    Case("biome", "ci", BIOME_BAD, "biome ci a.js"),
    Case("npm test", "passes", JEST_OK | {"package.json": SCRIPT % ("jest", "true")}, "npm test"),
    Case("npm test", "script", {"package.json": SCRIPT % ("exit 3", "true")}, "npm test"),
    Case("npm test", "no-script", {"package.json": '{"name": "sample"}\n'}, "npm test"),
    Case("npm test", "jest", JEST_BAD | {"package.json": SCRIPT % ("jest", "true")}, "npm test"),
    Case("npm test", "vitest", VITEST_OK | {"package.json": SCRIPT % ("vitest run", "true")}, "npm test"),
    Case("npm run build", "no-script", {"package.json": '{"name": "sample"}\n'}, "npm run build"),
    Case("npm run build", "vite", VITE_OK, "npm run build"),
    Case("npm run build", "vite-missing", VITE_BAD, "npm run build"),
    Case("npm run build", "webpack", WEBPACK_OK, "npm run build"),
    Case("npm run build", "webpack-missing", WEBPACK_BAD, "npm run build"),
    Case("npm run build", "tsc", TS_BAD | {"package.json": SCRIPT % ("true", "tsc --noEmit")}, "npm run build"),
    Case(
        "npm install",
        "no-package",
        {"package.json": '{"name": "sample", "dependencies": {"x": "file:./no/such.tgz"}}\n'},
        "npm install",
    ),
    Case("npm install", "nothing", {"package.json": '{"name": "sample"}\n'}, "npm install"),
    Case("npm ci", "no-lock", {"package.json": '{"name": "sample"}\n'}, "npm ci"),
    Case("pnpm test", "script", {"package.json": SCRIPT % ("exit 3", "true")}, "pnpm test"),
    Case("pnpm run", "script", {"package.json": SCRIPT % ("exit 3", "exit 2")}, "pnpm run build"),
    Case("pnpm run", "no-script", {"package.json": SCRIPT % ("exit 3", "exit 2")}, "pnpm run missing"),
    Case("yarn test", "script", {"package.json": SCRIPT % ("exit 3", "true")}, "yarn test"),
    Case("yarn test", "passes", JEST_OK | {"package.json": SCRIPT % ("jest", "true")}, "yarn test"),
    Case("go test", "plain", GO_OK, "go test ./..."),
    Case("go test", "verbose", GO_OK, "go test -v ./..."),
    Case("go test", "no-test-files", GO | {"b/b.go": "package b\n"}, "go test ./..."),
    Case("go test", "error", GO_BAD, "go test ./..."),
    Case("go test", "error-verbose", GO_BAD, "go test -v ./..."),
    Case("go test", "build", GO_BUILD, "go test ./..."),
    Case("go test", "panic", GO_PANIC, "go test ./..."),
    Case("go test", "no-package", GO_OK, "go test ./missing"),
    Case("go build", "type", GO_MAIN_BAD, "go build -o /dev/null ."),
    Case("go vet", "findings", GO_VET, "go vet ./..."),
    Case("gotestsum", "plain", GO_OK, "gotestsum"),
    Case("gotestsum", "error", GO_BAD, "gotestsum"),
    Case("cargo test", "plain", CARGO_OK, "cargo test --offline"),
    Case("cargo test", "quiet", CARGO_OK, "cargo test --offline -q"),
    Case("cargo test", "assertion", CARGO_BAD, "cargo test --offline"),
    Case("cargo test", "assertion-quiet", CARGO_BAD, "cargo test --offline -q"),
    Case("cargo test", "no-fail-fast", CARGO_BAD, "cargo test --offline --no-fail-fast"),
    Case("cargo test", "compile", CARGO_BROKEN, "cargo test --offline"),
    Case("cargo build", "plain", CARGO_OK, "cargo build --offline"),
    Case("cargo build", "warning", CARGO_WARNING, "cargo build --offline"),
    Case("cargo build", "compile", CARGO_BROKEN, "cargo build --offline"),
    Case("cargo check", "plain", CARGO_OK, "cargo check --offline"),
    Case("cargo check", "compile", CARGO_BROKEN, "cargo check --offline"),
    Case("cargo clippy", "warning", CARGO_CLIPPY, "cargo clippy --offline"),
    Case("cargo clippy", "denied", CARGO_CLIPPY, "cargo clippy --offline -- -D warnings"),
    Case("cargo fmt", "check-ugly", CARGO_UGLY, "cargo fmt --check"),
    Case("cargo build", "no-manifest", {"a.txt": ""}, "cargo build --offline"),
    Case("make", "recipe", MAKE_BAD, "make"),
    Case("make", "keep-going", MAKE_BAD, "make -k"),
    Case("make", "no-target", MAKE_OK, "make missing"),
    Case("make", "pytest", PY_OK | {"Makefile": "test:\n\tpytest -q -p no:cacheprovider\n"}, "make test"),
    Case("make", "pytest-assertion", PY_BAD | {"Makefile": "test:\n\tpytest -q -p no:cacheprovider\n"}, "make test"),
    Case("make", "nothing", {"Makefile": "all: ;\n"}, "make"),
    Case("make", "up-to-date", {"Makefile": "a: b\n", "a": "", "b": ""}, "touch a; make a", "make"),
    Case("ctest", "plain", CTEST_OK, "cmake -B b > /dev/null && ctest --test-dir b", "ctest"),
    Case("ctest", "test", CTEST_BAD, "cmake -B b > /dev/null && ctest --test-dir b", "ctest"),
    Case("ctest", "output", CTEST_BAD, "cmake -B b > /dev/null && ctest --test-dir b --output-on-failure", "ctest"),
    Case("ctest", "none", CTEST_NONE, "cmake -B b > /dev/null && ctest --test-dir b", "ctest"),
    Case("cmake", "plain", CTEST_OK, "cmake -B b"),
    Case("cmake", "error", CMAKE_BAD, "cmake -B b"),
    Case("cmake", "build", C_OK, "cmake -B b > /dev/null && cmake --build b", "cmake"),
    Case("cmake", "build-error", C_BAD, "cmake -B b > /dev/null && cmake --build b", "cmake"),
    Case("cmake", "build-ninja-error", C_BAD, "cmake -G Ninja -B b > /dev/null && cmake --build b", "ninja"),
    Case("ninja", "plain", C_OK, "cmake -G Ninja -B b > /dev/null && ninja -C b", "ninja"),
    Case("ninja", "nothing", C_OK, "cmake -G Ninja -B b > /dev/null && ninja -C b > /dev/null && ninja -C b", "ninja"),
    Case("ninja", "error", C_BAD, "cmake -G Ninja -B b > /dev/null && ninja -C b", "ninja"),
    Case("ninja", "no-file", C_BAD, "ninja"),
    Case("shellcheck", "findings", SHELL_BAD, "shellcheck a.sh"),
    Case("shellcheck", "findings-gcc", SHELL_BAD, "shellcheck -f gcc a.sh"),
    Case("rspec", "plain", RSPEC_OK, "rspec a_spec.rb"),
    Case("rspec", "expectation", RSPEC_BAD, "rspec a_spec.rb"),
    Case("rspec", "load", RSPEC_BROKEN, "rspec a_spec.rb"),
    Case("rubocop", "clean", RUBOCOP_OK, "rubocop --cache false"),
    Case("rubocop", "findings", RUBOCOP_BAD, "rubocop --cache false"),
    Case("rubocop", "corrected", RUBOCOP_BAD, "rubocop --cache false -A"),
    Case("rails test", "plain", {"a.rb": MINITEST % "2"}, "ruby a.rb"),
    Case("rails test", "assertion", {"a.rb": MINITEST % "3"}, "ruby a.rb"),
    Case("phpunit", "plain", {"ATest.php": PHPUNIT % "2"}, "phpunit ATest.php"),
    Case("phpunit", "assertion", {"ATest.php": PHPUNIT % "3"}, "phpunit ATest.php"),
    Case("mix test", "plain", MIX_OK, "mix test"),
    Case("mix test", "assertion", MIX_BAD, "mix test"),
    Case("mix test", "compile", MIX_BROKEN, "mix test"),
    Case("mix compile", "plain", MIX_OK, "mix compile"),
    Case("mix compile", "error", MIX_BROKEN, "mix compile"),
    Case("mix format", "check", {"a.ex": "x =  1\n"} | MIX, "mix format --check-formatted a.ex"),
    Case("git commit", "plain", {"a": ""}, GIT + "git commit -m '1 failed'", "git"),
    Case("git commit", "nothing", {"a": ""}, GIT + "git commit -qm a; git commit -m a", "git"),
    Case("git push", "no-remote", {"a": ""}, GIT + "git commit -qm a; git push origin main", "git"),
    Case("git push", "plain", {"a": ""}, GIT + "git commit -qm a; git init -q --bare r; git push r HEAD:main", "git"),
    Case(
        "git push",
        "rejected",
        {"a": ""},
        GIT + "git commit -qm a; git init -q --bare r; git push -q r HEAD:main; "
        "git commit -q --amend --allow-empty -m b; git push r HEAD:main",
        "git",
    ),
    Case(
        "git merge",
        "conflict",
        {"a": "1\n"},
        GIT + "git commit -qm a; git checkout -qb x; echo 2 > a; git commit -qam x; git checkout -q -; "
        "echo 3 > a; git commit -qam y; git merge x",
        "git",
    ),
    Case(
        "git rebase",
        "conflict",
        {"a": "1\n"},
        GIT + "git commit -qm a; git checkout -qb x; echo 2 > a; git commit -qam x; git checkout -q -; "
        "echo 3 > a; git commit -qam y; git rebase x",
        "git",
    ),
    Case(
        "git merge",
        "fast-forward",
        {"a": "1\n"},
        GIT + "git commit -qm a; git checkout -qb x; echo 2 > a; git commit -qam x; git checkout -q -; git merge x",
        "git",
    ),
)


def shown(output: str, folder: Path) -> str:
    """Without the paths of this machine."""
    output = output.replace(str(folder), "/project")
    output = re.sub(r"[^\s()'\"]*/node_modules/", "node_modules/", output)
    output = re.sub(r"/[^\s()'\"]*/python3?[^/\s]*/", "/usr/lib/python3/", output)
    output = re.sub(r"/[^\s()'\"]*/bin/", "/usr/bin/", output)
    output = output.replace(str(Path.home()), "/home/user")
    return "\n".join(output.split("\n")[-MAX_LINES:])


def run(case: Case, node_modules: Path | None, environment: dict[str, str]) -> tuple[str, int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for path, content in case.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
        if node_modules is not None and case.skill in NODE_TOOLS:
            (folder / "node_modules").symlink_to(node_modules)
        result = subprocess.run(
            ["bash", "-c", case.command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        return shown(result.stdout.decode(errors="replace"), folder), result.returncode


def record(case: Case, node_modules: Path | None) -> str:
    """The samples of a case, plain and with colours if the tool has any."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_", "npm_", "CI"))}
    base["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    samples = ""
    for suffix, extra in (("", PLAIN), (" in colours", COLORS)):
        output, status = run(case, node_modules, base | extra)
        if suffix and "\x1b[" not in output:
            continue
        outcome = "completed" if status == 0 else "failed"
        samples += f"{HEADER}{outcome} {case.name}{suffix}\n{output}" + ("" if output.endswith("\n") else "\n")
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=INTO)
    parser.add_argument("--node-modules", type=Path)
    parser.add_argument("--only", default="", help='skill names or cases, such as "mypy,tsc: type"')
    arguments = parser.parse_args()
    node_modules = arguments.node_modules.resolve() if arguments.node_modules else None
    if node_modules is not None:
        os.environ["PATH"] = f"{node_modules / '.bin'}:{os.environ['PATH']}"
    only = set(filter(None, arguments.only.split(",")))
    skipped = set()
    samples: dict[str, str] = {}
    for case in CASES:
        program = case.program or case.command.split()[0]
        if only and not only & {case.skill, f"{case.skill}: {case.name}"}:
            continue
        if shutil.which(program) is None:
            skipped.add(program)
            continue
        samples[case.skill] = samples.get(case.skill, "") + record(case, node_modules)
    arguments.into.mkdir(parents=True, exist_ok=True)
    for skill, text in samples.items():
        (arguments.into / f"{skill.replace(' ', '_')}.txt").write_text(text, encoding="utf-8", newline="")
    if skipped:
        print("not installed: " + ", ".join(sorted(skipped)), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
