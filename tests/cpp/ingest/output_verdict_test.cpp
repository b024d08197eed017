// Verdicts on outputs of real tools, recorded by scripts/record_outputs.py, and on lines of tools that it does not run.
#include "session_buddy/ingest/output_verdict.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ingest/verdict_lines.hpp"

namespace session_buddy::ingest {
namespace {

constexpr std::string_view kHeader = "%%%% ";

[[nodiscard]] std::optional<OutputVerdict> judge(std::initializer_list<std::string> skills, std::string_view output,
                                                 LinesShown shown = LinesShown::last) {
    const std::vector<std::string> names(skills);
    return judge_output(names, output, shown);
}

[[nodiscard]] std::string_view outcome_of(const std::optional<OutputVerdict>& verdict) {
    return verdict ? kOutcomes[verdict->outcome] : "no verdict";
}

/// The last lines, as `tail -<count>` writes them.
[[nodiscard]] std::string_view last_lines(std::string_view text, int count) {
    std::size_t begin = text.size();
    for (int i = 0; i <= count && begin > 0 && begin != std::string_view::npos; ++i) {
        begin = text.rfind('\n', begin - 1);
    }
    return begin == std::string_view::npos || begin == 0 ? text : text.substr(begin + 1);
}

[[nodiscard]] std::string_view first_lines(std::string_view text, int count) {
    std::size_t end = 0;
    for (int i = 0; i < count && end != std::string_view::npos; ++i) {
        end = text.find('\n', end == 0 ? 0 : end + 1);
    }
    return text.substr(0, end);
}

[[nodiscard]] std::string lines_with(std::string_view text, std::string_view part) {
    std::string lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        const std::string_view line = text.substr(0, end);
        lines += line.find(part) == std::string_view::npos ? std::string_view{} : line;
        text.remove_prefix(end);
    }
    return lines;
}

[[nodiscard]] std::string with_windows_line_ends(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\n') {
            result += '\r';
        }
        result += c;
    }
    return result;
}

struct Sample {
    std::string skill;
    std::string name;
    std::string outcome;  ///< as the exit status said
    std::string output;

    [[nodiscard]] std::string label() const { return skill + ": " + name; }
    /// Of its case, which may have a second sample in colours.
    [[nodiscard]] bool is_in(const std::set<std::string>& cases) const {
        const std::string text = label();
        return cases.contains(text.substr(0, text.find(" in colours")));
    }
};

[[nodiscard]] std::vector<Sample> samples() {
    const char* folder = std::getenv("SESSION_BUDDY_OUTPUTS");  // those of a test that ran the tools, else those in git
    std::vector<Sample> all;
    for (const auto& file :
         std::filesystem::directory_iterator(folder == nullptr ? SESSION_BUDDY_TEST_OUTPUTS : folder)) {
        std::ifstream stream(file.path(), std::ios::binary);
        const std::string text(std::istreambuf_iterator<char>(stream), {});
        std::string skill = file.path().stem().string();
        std::ranges::replace(skill, '_', ' ');
        std::size_t pos = 0;
        while (pos < text.size()) {
            const std::size_t line_end = text.find('\n', pos);
            const std::string header = text.substr(pos + kHeader.size(), line_end - pos - kHeader.size());
            const std::size_t next = text.find("\n" + std::string(kHeader), line_end);
            const std::size_t end = std::min(next, text.size() - 1) + 1;
            all.push_back({.skill = skill,
                           .name = header.substr(header.find(' ') + 1),
                           .outcome = header.substr(0, header.find(' ')),
                           .output = text.substr(line_end + 1, end - line_end - 1)});
            pos = end;
        }
    }
    return all;
}

TEST(OutputVerdict, judges_recorded_outputs) {
    // The tools write nothing that says it.
    const std::set<std::string> silent{"npm test: script", "bun run: script", "ctest: none"};
    for (const Sample& sample : samples()) {
        const std::vector<std::string> skills{sample.skill};
        const auto verdict = judge_output(skills, sample.output, LinesShown::all);
        EXPECT_EQ(outcome_of(verdict), sample.is_in(silent) ? "no verdict" : sample.outcome) << sample.label();
        EXPECT_EQ(judge_output(skills, with_windows_line_ends(sample.output), LinesShown::all), verdict)
            << sample.label();
    }
}

TEST(OutputVerdict, judges_the_last_lines_of_recorded_outputs) {
    // These say it only further above, or these lines could also stand there in the other case.
    const std::set<std::string> silent{
        "npm test: script",
        "ctest: none",
        "bun run: script",

        "deno fmt: clean",
        "deno lint: clean",
        "playwright test: plain",
        "npm run build: vite-missing",
        "eslint: no-config",
        "node --test: spec-throws",
        "pylint: findings",
        "ruff-check: usage",
        "pre-commit: plain",
        "ruff-format: check-clean",
        "ruff-format: reformats",
        "ruff-format: unchanged",
        "bandit: clean",
        "bandit: findings",
        "jest: no-tests",
        "cargo fmt: check-ugly",
        "ava: plain",
        "mocha: dot",
        "mocha: throws",
        "shellcheck: findings",
    };
    for (const Sample& sample : samples()) {
        const std::vector<std::string> skills{sample.skill};
        EXPECT_EQ(outcome_of(judge_output(skills, last_lines(sample.output, 5))),
                  sample.is_in(silent) ? "no verdict" : sample.outcome)
            << sample.label();
    }
}

TEST(OutputVerdict, is_never_wrong_about_a_part_of_a_recorded_output) {
    for (const Sample& sample : samples()) {
        const std::vector<std::string> skills{sample.skill};
        const auto check = [&](std::string_view part, LinesShown shown, std::string_view filter) {
            const auto verdict = judge_output(skills, part, shown);
            EXPECT_TRUE(!verdict || outcome_of(verdict) == sample.outcome) << sample.label() << " through " << filter;
        };
        for (int count = 1; count < 40; ++count) {
            check(last_lines(sample.output, count), LinesShown::last, "tail -" + std::to_string(count));
            check(first_lines(sample.output, count), LinesShown::some, "head -" + std::to_string(count));
        }
        for (const std::string_view part : {"pass", "fail", "error", "ok", "FAIL", "PASS", "Test", "warn", "0", "1"}) {
            check(lines_with(sample.output, part), LinesShown::some, "grep " + std::string(part));
        }
    }
}

TEST(OutputVerdict, knows_the_lines_of_tools) {
    const struct {
        std::string skill;
        std::string_view line;
        std::string_view expected;
    } cases[] = {
        {"pytest-run", "=== 3 failed, 97 passed, 2 skipped, 1 warning in 63.21s (0:01:03) ===", "failed"},
        {"pytest-run", "100 passed, 2 skipped, 10 warnings in 3.21s", "completed"},
        {"pytest-run", "1 passed, 3 warnings, 2 errors in 0.50s", "failed"},
        {"pytest-run", "10 passed, 5 deselected in 0.50s", "completed"},
        {"pytest-run", "3 skipped, 1 error in 0.50s", "failed"},
        {"pytest-run", "FAIL Required test coverage of 90% not reached. Total coverage: 80.00%\n5 passed in 0.1s",
         "failed"},
        {"pytest-run", "[gw1] [ 50%] FAILED tests/test_a.py::test_b[x y]", "failed"},
        {"pytest-run", "tests/test_a.py::TestB::test_c ERROR                 [ 33%]", "failed"},
        {"pytest-run", "INTERNALERROR> Traceback (most recent call last):", "failed"},
        {"pytest-run", "collected 5 items", "no verdict"},
        {"unittest", "FAILED (failures=1, skipped=2)", "failed"},
        {"unittest", "FAILED (skipped=2, errors=1)", "failed"},
        {"unittest", "FAILED (unexpected successes=1)", "failed"},
        {"unittest", "OK (skipped=1)", "completed"},
        {"tox", "  congratulations :) (1.02 seconds)", "completed"},
        {"tox", "ERROR:   py311: commands failed", "failed"},
        {"nox", "nox > Session lint-3.11 failed with exit code 1.", "failed"},
        {"pre-commit", "trim trailing whitespace.................................................Failed", "failed"},
        {"jest", "Tests:       1 failed, 2 skipped, 12 passed, 15 total", "failed"},
        {"jest", "Test Suites: 2 skipped, 10 passed, 10 of 12 total", "completed"},
        {"jest", "Jest: \"global\" coverage threshold for statements (90%) not met: 50%", "failed"},
        {"vitest", " Test Files  2 failed | 10 passed (12)", "failed"},
        {"vitest", " Test Files  10 passed | 1 skipped (11)", "completed"},
        {"vitest", " Test Files  1 passed (1)\n      Tests  1 passed (1)\n     Errors  1 error", "failed"},
        {"mocha", "  12 passing (2s)\n  1 failing", "failed"},
        {"cypress run", "    ✔  All specs passed!                        00:12        9        9", "completed"},
        {"cypress run", "    ✖  1 of 3 failed (33%)                      00:20       12       11        1", "failed"},
        {"playwright test", "  1 failed\n    [chromium] › a.spec.ts:3:5 › adds ─────\n  5 passed (3.2s)", "failed"},
        {"deno test", "ok | 12 passed | 0 failed (31ms)", "completed"},
        {"deno test", "ok | 2 passed (3 steps) | 0 failed | 1 ignored (31ms)", "completed"},
        {"deno test", "FAILED | 1 passed | 1 failed (5ms)", "failed"},
        {"bun test", " 2 pass\n 0 fail\n 3 expect() calls\nRan 2 tests across 1 file. [12.00ms]", "completed"},
        {"bun test", " 1 pass\n 1 fail\nRan 2 tests across 1 file. [12.00ms]", "failed"},
        {"tsc", "src/a.ts(12,7): error TS2322: Type 'string' is not assignable to type 'number'.", "failed"},
        {"tsc", "src/a.ts:12:7 - error TS2322: Type 'string' is not assignable to type 'number'.", "failed"},
        {"tsc", "error TS18003: No inputs were found in config file.", "failed"},
        {"tsc", "Found 12 errors in 3 files.", "failed"},
        {"tsc", "", "no verdict"},
        {"eslint", "✖ 12 problems (3 errors, 9 warnings)", "failed"},
        {"eslint", "✖ 9 problems (0 errors, 9 warnings)", "completed"},
        {"eslint", "  12:5  error  'a' is not defined  no-undef", "failed"},
        {"prettier", "[warn] Code style issues found in 3 files. Run Prettier with --write to fix.", "failed"},
        {"pnpm test", " ELIFECYCLE  Test failed. See above for more details.", "failed"},
        {"pnpm run", " ERR_PNPM_NO_SCRIPT  Missing script: x", "failed"},
        {"npm run", "npm ERR! code ELIFECYCLE", "failed"},
        {"yarn build", "error Command failed with exit code 1.", "failed"},
        {"bun run", "error: script \"test\" exited with code 1", "failed"},
        {"turbo", " Tasks:    3 successful, 3 total", "completed"},
        {"turbo", " Tasks:    2 successful, 3 total", "no verdict"},
        {"turbo", "Failed:    web#test", "failed"},
        {"nx", " NX   Successfully ran target test for project api", "completed"},
        {"nx", " NX   Running target test for 3 projects failed", "failed"},
        {"npm run build", "✓ built in 2.31s", "completed"},
        {"npm run build", "error during build:", "failed"},
        {"go test", "FAIL\texample.org/a [build failed]", "failed"},
        {"go test", "ok  \texample.org/a\t(cached)", "completed"},
        {"go test", "ok  \texample.org/a\t0.012s\tcoverage: 80.0% of statements", "completed"},
        {"go test", "--- FAIL: TestA/b_c (0.00s)", "failed"},
        {"gotestsum", "DONE 12 tests, 1 skipped, 2 failures in 0.312s", "failed"},
        {"gotestsum", "DONE 12 tests, 1 skipped in 0.312s", "completed"},
        {"golangci-lint", "main.go:5:2: Error return value is not checked (errcheck)", "failed"},
        {"golangci-lint", "0 issues.", "completed"},
        {"golangci-lint", "3 issues:", "failed"},
        {"cargo nextest", "     Summary [   0.005s] 2 tests run: 1 passed, 1 failed, 0 skipped", "failed"},
        {"cargo nextest", "     Summary [   0.005s] 2 tests run: 2 passed, 0 skipped", "completed"},
        {"cargo build", "    Finished release [optimized] target(s) in 0.10s", "completed"},
        {"cargo build", "error[E0425]: cannot find value `a` in this scope", "failed"},
        {"mix test", "1 doctest, 1 property, 45 tests, 2 failures, 3 excluded", "failed"},
        {"mix test", "45 tests, 0 failures, 1 skipped", "completed"},
        {"mix test", "110 tests, 10 failures", "failed"},
        {"mix credo", "120 mods/funs, found no issues.", "completed"},
        {"mix credo", "120 mods/funs, found 2 warnings, 1 code readability issue.", "failed"},
        {"make", "make[2]: *** [Makefile:12: test] Error 2", "failed"},
        {"make", "make: [Makefile:12: test] Error 2 (ignored)", "no verdict"},
        {"make:test", "mingw32-make: *** [Makefile:12: test] Error 2", "failed"},
        {"just", "error: Recipe `test` failed on line 3 with exit code 1", "failed"},
        {"ninja", "[1/2] Building CXX object a.o", "no verdict"},
        {"ctest", "97% tests passed, 3 tests failed out of 100", "failed"},
        {"ctest", "100% tests passed, 0 tests failed out of 100", "completed"},
        {"bazel test", "Executed 1 out of 3 tests: 2 tests pass and 1 fails locally.", "failed"},
        {"bazel build", "INFO: Build completed successfully, 12 total actions", "completed"},
        {"mvn", "[INFO] BUILD SUCCESS", "completed"},
        {"mvn", "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:test", "failed"},
        {"gradle", "BUILD SUCCESSFUL in 1m 3s", "completed"},
        {"gradle", "BUILD FAILED in 3s", "failed"},
        {"gradle", "> Task :app:test FAILED", "failed"},
        {"sbt", "[success] Total time: 3 s, completed", "completed"},
        {"dotnet test", "Failed!  - Failed:     1, Passed:     4, Skipped:     0, Total:     5", "failed"},
        {"dotnet test", "Passed!  - Failed:     0, Passed:     4, Skipped:     0, Total:     4", "completed"},
        {"dotnet test", "Test summary: total: 5, failed: 1, succeeded: 4, skipped: 0, duration: 1.2s", "failed"},
        {"dotnet build", "Build succeeded.", "completed"},
        {"dotnet build", "Program.cs(3,1): error CS0103: The name 'x' does not exist [/a/b.csproj]", "failed"},
        {"rspec", "12 examples, 0 failures, 1 pending", "completed"},
        {"rspec", "12 examples, 1 failure", "failed"},
        {"rspec", "rspec ./spec/a_spec.rb:12 # Sum adds", "failed"},
        {"rails test", "12 runs, 30 assertions, 0 failures, 1 errors, 0 skips", "failed"},
        {"rubocop", "12 files inspected, no offenses detected", "completed"},
        {"rubocop", "12 files inspected, 3 offenses detected, 2 offenses autocorrectable", "failed"},
        {"rubocop", "12 files inspected, 3 offenses detected, 3 offenses corrected", "completed"},
        {"phpunit", "Tests: 12, Assertions: 30, Errors: 1, Skipped: 2.", "failed"},
        {"phpunit", "  Tests:    1 failed, 4 passed (5 assertions)", "failed"},
        {"phpstan", " [OK] No errors", "completed"},
        {"phpstan", " [ERROR] Found 3 errors", "failed"},
        {"swift test", "✘ Test run with 3 tests failed after 0.001 seconds with 1 issue.", "failed"},
        {"swift build", "Build complete! (0.10s)", "completed"},
        {"xcodebuild", "** BUILD SUCCEEDED **", "completed"},
        {"xcodebuild", "** TEST FAILED **", "failed"},
        {"flutter test", "00:03 +12: All tests passed!", "completed"},
        {"flutter test", "00:03 +11 -1: Some tests failed.", "failed"},
        {"cabal test", "Test suite sample-test: PASS", "completed"},
        {"git push", "   1a2b3c4..5d6e7f8  main -> main", "completed"},
        {"git commit", "[main 1a2b3c4] 3 failed", "completed"},
        {"docker build", "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete", "failed"},
        {"docker build", "#8 naming to docker.io/library/a:latest done", "completed"},
        {"terraform plan", "Plan: 3 to add, 0 to change, 1 to destroy.", "completed"},
        {"terraform plan", "│ Error: Unsupported argument", "failed"},
        {"shellcheck", "a.sh:2:6: warning: Double quote to prevent globbing. [SC2086]", "failed"},
        {"pyright", "10 errors, 0 warnings, 0 informations", "failed"},
        {"pip-audit", "No known vulnerabilities found", "completed"},
        {"uv build", "Successfully built dist/a-1.0.tar.gz", "completed"},
        {"pip install", "ERROR: No matching distribution found for no-such-package", "failed"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(outcome_of(judge({c.skill}, c.line)), c.expected) << c.skill << ": " << c.line;
    }
}

TEST(OutputVerdict, ignores_what_only_resembles_a_verdict) {
    const struct {
        std::string skill;
        std::string_view output;
    } cases[] = {
        {"pytest-run", "0 failed"},
        {"pytest-run", "the server said: 3 failed in 2.0s"},
        {"pytest-run", "test_a.py::test_that_failed PASSED [100%]"},
        {"pytest-run", "def test_2_failed(): pass  # 2 passed"},
        {"pytest-run", "ERROR    root:test_a.py:5 message"},
        {"pytest-run", "Found 3 errors."},
        {"ruff-check", "1 failed, 2 passed in 0.1s"},
        {"ruff-check", ""},
        {"jest", "  ✓ 1 failed (2 ms)"},
        {"jest", "Snapshots:   0 total"},
        {"vitest", " ✓ Tests  1 failed"},
        {"mocha", "    ✔ 1 failing"},
        {"mocha", "0 failing"},
        {"go test", "    a_test.go:5: FAIL"},
        {"go test", "FAILED"},
        {"cargo test", "test tests::failed ... ok"},
        {"cargo test", "    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.00s"},
        {"make", "echo '*** failed'"},
        {"mypy", "x = 'error: no'"},
        {"pylint", "Your code has been rated at 9.50/10 (previous run: 10.00/10, -0.50)"},
        {"pre-commit", "check....................................................................Passed"},
        {"git merge", "docs: say what an error: is"},
        {"tsc", "a.ts(1,x): error TS: text"},
        {"Bash", "1 failed in 0.1s"},
        {"clang-format", "1 failed in 0.1s"},
        {"npm test", ""},
        {"npm test", "OK"},
        {"npm test", "error: something"},
        {"make:build", "fatal: not a git repository"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(outcome_of(judge({c.skill}, c.output)), "no verdict") << c.skill << ": " << c.output;
    }
}

TEST(OutputVerdict, reads_through_what_is_around_a_line) {
    for (const std::string_view output : {
             "\x1b[31m\x1b[1m1 failed\x1b[0m, \x1b[32m2 passed\x1b[0m\x1b[31m in 0.02s\x1b[0m",
             "\x1b]8;;https://example.org\x1b\\1 failed\x1b]8;;\x1b\\ in 0.02s",
             "\x1b]0;title\a1 failed in 0.02s",
             "collecting 10%\rcollecting 100%\r1 failed in 0.02s\r\n",
             "2026-01-02T03:04:05.678Z 1 failed in 0.02s",
             "2026-01-02 03:04:05,678 1 failed in 0.02s",
             "[03:04:05] 1 failed in 0.02s",
             "[test] 1 failed in 0.02s",
             "web-1  | 1 failed in 0.02s",
             "api:test: 1 failed in 0.02s",
             "packages/a test: 1 failed in 0.02s",
             "12:1 failed in 0.02s",
             "\t  1 failed in 0.02s  \t",
             "... [120 lines truncated] ...\n\n1 failed in 0.02s\nsome more\n",
             "==== 1 failed in 0.02s ====",
         }) {
        EXPECT_EQ(outcome_of(judge({"pytest-run"}, output)), "failed") << output;
    }
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, "…1 failed in 0.02s")), "no verdict") << "the start of the line was cut";
}

TEST(OutputVerdict, prefers_failures_of_several_runs) {
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, "1 failed in 0.1s\n5 passed in 0.1s\n")), "failed");
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, "5 passed in 0.1s\n1 failed in 0.1s\n")), "failed");
}

TEST(OutputVerdict, names_the_tool_of_a_chain) {
    const auto verdict = [](Outcome outcome, std::size_t tool) {
        return std::optional(OutputVerdict{.outcome = outcome, .tool = tool});
    };
    EXPECT_EQ(judge({"ruff-check", "pytest-run"}, "All checks passed!\n1 failed in 0.1s\n"),
              verdict(Outcome::failed, 1));
    EXPECT_EQ(judge({"ruff-check", "pytest-run"}, "Found 3 errors.\n5 passed in 0.1s\n"), verdict(Outcome::failed, 0));
    EXPECT_EQ(judge({"ruff-check", "pytest-run"}, "All checks passed!\n5 passed in 0.1s"),
              verdict(Outcome::completed, 0));
    EXPECT_EQ(judge({"mypy", "pytest-run"}, "5 passed in 0.1s"), verdict(Outcome::completed, 1));
    EXPECT_EQ(judge({"npm run build", "npm test"}, "Tests:  1 failed, 2 total"), verdict(Outcome::failed, 1));
    EXPECT_EQ(judge({"npm test", "npm run lint"}, "✖ 2 problems (1 error, 1 warning)"), verdict(Outcome::failed, 1));
    EXPECT_EQ(judge({"npm test", "pytest-run"}, "1 failed in 0.1s"), verdict(Outcome::failed, 1));
    EXPECT_EQ(judge({}, "1 failed in 0.1s"), std::nullopt);
}

TEST(OutputVerdict, reads_the_tools_inside_a_wrapper) {
    for (const std::string skill :
         {"npm test", "npm run", "make", "make:test", "just:test", "yarn test", "my-own-tool"}) {
        EXPECT_EQ(outcome_of(judge({skill}, "1 failed, 2 passed in 0.1s")), "failed") << skill;
        EXPECT_EQ(outcome_of(judge({skill}, "2 passed in 0.1s")), "completed") << skill;
        EXPECT_EQ(outcome_of(judge({skill}, "2 passed in 0.1s", LinesShown::some)), "no verdict")
            << skill << ": what another tool wrote may be missing";
        EXPECT_EQ(outcome_of(judge({skill}, "2 passed in 0.1s\nError: Cannot find module './check'")), "no verdict")
            << skill << ": another tool failed, perhaps";
    }
    EXPECT_EQ(outcome_of(judge({"tox"}, "2 passed in 0.1s")), "no verdict") << "tox itself says if all passed";
    EXPECT_EQ(outcome_of(judge({"tox"}, "1 failed in 0.1s")), "failed");
}

TEST(OutputVerdict, knows_lines_that_say_that_the_program_is_missing) {
    for (const auto& [skill, line] : std::initializer_list<std::pair<std::string, std::string_view>>{
             {"pytest-run", "bash: line 1: pytest: command not found"},
             {"pytest-run", "zsh:1: command not found: pytest"},
             {"pytest-run", "(eval):1: command not found: pytest"},
             {"pytest-run", "/usr/bin/python3: No module named pytest"},
             {"ruff-check", "error: Failed to spawn: `ruff`"},
             {"cargo test", "/bin/sh: 1: cargo: not found"},
             {"npm test", "sh: 1: jest: not found"},
         }) {
        EXPECT_EQ(outcome_of(judge({skill}, line)), "failed") << line;
    }
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, "bash: line 1: jq: command not found")), "no verdict");
    EXPECT_EQ(outcome_of(judge({"npm test"}, "sh: 1: my-script: not found")), "no verdict");
}

TEST(OutputVerdict, counts_only_decisive_lines_of_a_filtered_output) {
    EXPECT_EQ(outcome_of(judge({"mocha"}, "  5 passing (2s)", LinesShown::some)), "no verdict");
    EXPECT_EQ(outcome_of(judge({"mocha"}, "  1 failing", LinesShown::some)), "failed");
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, "5 passed in 0.1s", LinesShown::some)), "completed");
    EXPECT_EQ(outcome_of(judge({"jest"}, "Tests: 5 passed, 5 total", LinesShown::last)), "no verdict");
    EXPECT_EQ(outcome_of(judge({"jest"}, "Tests: 5 passed, 5 total", LinesShown::all)), "completed");
    EXPECT_EQ(outcome_of(judge({"pre-commit"}, "check....Passed", LinesShown::all)), "completed");
}

TEST(OutputVerdict, looks_only_at_the_end_of_an_output) {
    const std::string filler(kMaxVerdictBytes, 'x');
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, "1 failed in 0.1s\n" + filler)), "no verdict");
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, filler + "\n1 failed in 0.1s\n")), "failed");
    EXPECT_EQ(outcome_of(judge({"pre-commit"}, filler + "\ncheck....Passed", LinesShown::all)), "no verdict")
        << "its beginning is not looked at";
    // The first line in the window began before it.
    const std::string line = "1 passed in 0.1s";
    const std::string cut = "1 failed, " + line + "\n" + std::string(kMaxVerdictBytes - line.size() - 1, '\n');
    ASSERT_GT(cut.size(), kMaxVerdictBytes);
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, cut)), "no verdict");
    // A line that begins exactly at the window is complete.
    const std::string whole = "x\n" + line + "\n" + std::string(kMaxVerdictBytes - line.size() - 1, '\n');
    EXPECT_EQ(outcome_of(judge({"pytest-run"}, whole)), "completed");
}

TEST(VerdictLine, matches_numbers_words_and_wildcards) {
    const struct {
        std::string_view pattern;
        std::string_view line;
        bool expected;
    } cases[] = {
        {"# failed", "1 failed", true},
        {"# failed", "10 failed", true},
        {"# failed", "0 failed", false},
        {"# failed", "00 failed", false},
        {"# failed", "1.5 failed", false},
        {"# failed", "x failed", false},
        {"# failed", "1  \t failed", true},
        {"# failed", "1failed", false},
        {"# failed", "1 failed now", false},
        {"~ s", "0 s", true},
        {"~ s", "1.25 s", true},
        {"~ s", "1. s", false},
        {"~", "1.2.3", true},
        {"(#,#)", "(1,25)", true},
        {"[#/&]", "[12/12]", true},
        {"[#/&]", "[1/12]", false},
        {"[#/&]", "[12/1]", false},
        {"[#/&]", "[12/120]", false},
        {"@.py", "a.py.py", true},
        {"@.py", ".py", false},
        {"@.py", "a b.py", false},
        {"@", "a b", false},
        {"a*b", "ab", true},
        {"a*b", "a b b", true},
        {"a*b", "a b c", false},
        {"*b*c", "xbxbc", true},
        {"a*", "a", true},
        {"a\\*", "a*", true},
        {"a\\*", "ab", false},
        {"\\#~", "#12", true},
        {"@: *", "a:b: c", true},
        {"* # @", "x 0 1 y", true},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(matches(c.pattern, c.line), c.expected) << c.pattern << " on " << c.line;
    }
}

TEST(VerdictLine, patterns_are_well_formed) {
    std::set<std::string> names;
    for (const ToolVerdicts& tool : tool_verdicts()) {
        EXPECT_TRUE(names.insert(std::string(tool.skills)).second) << tool.skills;
        for (const VerdictLine& line : tool.lines) {
            EXPECT_FALSE(line.pattern.empty());
            EXPECT_FALSE(line.pattern.starts_with(' ') || line.pattern.ends_with(' ') || line.pattern.ends_with('\\'))
                << line.pattern << ": lines are trimmed";
            EXPECT_EQ(line.pattern.find("  "), std::string_view::npos)
                << line.pattern << ": a blank stands for several";
        }
    }
}

}  // namespace
}  // namespace session_buddy::ingest
