// The table of the tools with a verdict, each with the lines that it writes. Add a tool here, and a sample of its
// output with scripts/record_outputs.py. In an output that shows both, a line that says failed wins.
#include "verdict_lines.hpp"

#include <array>

#include "session_buddy/core/ascii.hpp"

namespace session_buddy::ingest {
namespace {

// The names of the tables are for this file only.
namespace tables {

using enum Says;

// NOLINTBEGIN(modernize-use-designated-initializers): tables

// ---- Python

constexpr auto kPytest = std::to_array<VerdictLine>({
    {failed, "# failed* in ~s*"},
    {failed, "# error* in ~s*"},
    {failed, "# passed*, # error* in ~s*"},
    {failed, "# skipped*, # error* in ~s*"},
    {failed, "no tests ran in ~s*"},
    {failed, "no tests collected* in ~s*"},
    {failed, "# deselected* in ~s*"},
    {failed, "FAILED @.py::*"},
    {failed, "ERROR @.py::*"},
    {failed, "ERROR @.py"},
    {failed, "ERROR @.py - *"},
    {failed, "@.py::* FAILED [*%]"},
    {failed, "@.py::* ERROR [*%]"},
    {failed, "@.py::@ FAILED"},
    {failed, "@.py::@ ERROR"},
    {failed, "[gw~] [*%] FAILED @.py::*"},
    {failed, "Interrupted: # error* during collection"},
    {failed, "stopping after # failures"},
    {failed, "INTERNALERROR>*"},
    {failed, "pytest: error: *"},
    {failed_if_named, "ERROR: usage: *"},
    {failed, "ERROR: file or directory not found: *"},
    {failed_if_named, "ERROR: not found: *"},
    {failed, "ERROR: found no collectors for *"},
    {failed, "ImportError while loading conftest *"},
    {failed, "FAIL Required test coverage of *"},
    {failed, "ERROR: Coverage failure: *"},
    {failed_if_named, "# failed"},  // pytest-sugar
    {passed, "# passed* in ~s*"},
    {passed, "# skipped* in ~s*"},
    {passed, "# xfailed* in ~s*"},
    {passed, "# xpassed* in ~s*"},
    {passed, "# test* collected in ~s*"},
    {passed, "#/# tests collected * in ~s*"},
});
constexpr auto kUnittest = std::to_array<VerdictLine>({
    {failed, "FAILED (failures=#*"},
    {failed, "FAILED (errors=#*"},
    {failed, "FAILED (*failures=#*"},
    {failed, "FAILED (*errors=#*"},
    {failed, "FAILED (*unexpected successes=#*"},
    {failed, "NO TESTS RAN*"},
    {passed_if_named, "OK"},
    {passed_if_named, "OK (skipped=#*)"},
    {passed_if_named, "OK (expected failures=#*)"},
    {passed_if_last, "Ran # test* in ~s"},
});
constexpr auto kTox = std::to_array<VerdictLine>({
    {failed, "evaluation failed :(*"},
    {failed, "@: FAIL code ~*"},
    {failed, "@: FAIL \xE2\x9C\x96 in *"},  // ✖
    {failed, "ERROR: @: commands failed"},
    {passed, "congratulations :)*"},
});
constexpr auto kNox = std::to_array<VerdictLine>({
    {failed, "nox > Session * failed*"},
    {failed, R"(nox > \* *: failed*)"},
    {failed, "nox > Command * failed with exit code *"},
    {failed, "nox > Sessions not found: *"},
    {passed_if_last, "nox > Session * was successful*"},
});
constexpr auto kRuffCheck = std::to_array<VerdictLine>({
    {failed, "Found # error."},
    {failed, "Found # errors."},
    {failed, "Found # error* (~ fixed, # remaining)."},
    {failed_if_named, "--> @:#:#"},
    {failed_if_named, "@:#:#: @ *"},
    {failed_if_named, "error: *"},
    {failed, "ruff failed"},
    {passed, "All checks passed!"},
    {passed, "Found # error* (& fixed, 0 remaining)."},
});
constexpr auto kRuffFormat = std::to_array<VerdictLine>({
    {failed, "# file* would be reformatted*"},
    {failed, "Would reformat: *"},
    {failed, "error: Failed to *"},
    {failed_if_named, "error: *"},
    {passed_if_all, "# file* already formatted*"},
    {passed_if_all, "# file* reformatted*"},
    {passed_if_all, "# file* left unchanged*"},
});
constexpr auto kMypy = std::to_array<VerdictLine>({
    {failed, "Found # error* in # file* (*)"},
    {failed, "@.py:#: error: *"},
    {failed, "@.py:#:#: error: *"},
    {failed, "@.pyi:#: error: *"},
    {failed_if_named, "@: error: *"},
    {failed, "mypy: can't read file *"},
    {passed, "Success: no issues found*"},
});
constexpr auto kPyright = std::to_array<VerdictLine>({
    {failed, "# error*, ~ warning*"},
    {failed, "@.py:#:# - error: *"},
    {passed, "0 errors, ~ warning*"},
});
constexpr auto kTy = std::to_array<VerdictLine>({
    {failed, "Found # diagnostic*"},
    {passed, "All checks passed!"},
});
constexpr auto kPyrefly = std::to_array<VerdictLine>({
    {failed, "INFO # error*"},
    {passed, "INFO 0 errors*"},
});
constexpr auto kFlake8 = std::to_array<VerdictLine>({{failed_if_named, "@.py:#:#: @ *"}});
// Other messages than errors depend on --fail-under, and so does the rating.
constexpr auto kPylint = std::to_array<VerdictLine>({
    {failed_if_named, "@.py:#:~: E#: * (@)"},
    {failed_if_named, "@.py:#:~: F#: * (@)"},
    {passed_if_last, "Your code has been rated at 10.00/10*"},
});
constexpr auto kBlack = std::to_array<VerdictLine>({
    {failed, "Oh no! *"},
    {failed, "error: cannot format *"},
    {failed, "# file* would be reformatted*"},
    {failed, "# file* failed to reformat."},
    {failed, "# file*, # file* failed to reformat."},
    {failed, "would reformat @"},
    {passed, "All done! *"},
});
constexpr auto kIsort = std::to_array<VerdictLine>({{failed, "ERROR: * Imports are incorrectly sorted*"}});
constexpr auto kBandit = std::to_array<VerdictLine>({
    {failed, ">> Issue: [*"},
    {passed, "No issues identified."},
});
constexpr auto kPreCommit = std::to_array<VerdictLine>({
    {failed, "*...Failed"},
    {failed, "- files were modified by this hook"},
    {failed, "- exit code: #"},
    {failed_if_named, "An error has occurred: *"},
    {passed_if_all, "*...Passed"},
    {passed_if_all, "*...Skipped"},
});
constexpr auto kPipAudit = std::to_array<VerdictLine>({
    {failed, "Found # known vulnerabilit*"},
    {passed, "No known vulnerabilities found*"},
});
constexpr auto kUvBuild = std::to_array<VerdictLine>({
    {failed_if_named, "error: *"},
    {failed_if_named, "\xC3\x97 Failed to build *"},  // ×
    {passed_if_named, "Successfully built *"},
});
constexpr auto kPipInstall = std::to_array<VerdictLine>({
    {failed_if_named, "ERROR: *"},
    {failed_if_named, "error: *"},
    {failed_if_named, "\xC3\x97 No solution found *"},
    {failed_if_named, "\xC3\x97 Failed to *"},
    {passed_if_named, "Successfully installed *"},
    {passed_if_named, "Requirement already satisfied: *"},
    {passed_if_named, "Installed # package* in *"},
    {passed_if_named, "Audited # package* in *"},
    {passed_if_named, "Checked # package* in *"},
});

// ---- JavaScript and TypeScript

constexpr auto kJest = std::to_array<VerdictLine>({
    {failed, "Test Suites: # failed*"},
    {failed, "Tests: # failed*"},
    {failed, "FAIL @.test.*"},
    {failed, "FAIL @.spec.*"},
    {failed, "FAIL @__tests__*"},
    {failed, "No tests found, exiting with code #"},
    {failed, "Jest: * threshold for * not met*"},
    {failed_if_named, "\xE2\x97\x8F Validation Error:*"},  // ●
    {passed, "Test Suites: # passed*"},
    {passed, "Test Suites: # skipped*"},
    {passed_if_all, "Tests: # passed, # total"},
    {passed, "No tests found, exiting with code 0"},
});
constexpr auto kVitest = std::to_array<VerdictLine>({
    {failed, "Test Files # failed*"},
    {failed, "Tests # failed*"},
    {failed, "Type Errors # *"},
    {failed, "Errors # error*"},
    {failed, "Snapshots # failed*"},
    {failed, "FAIL @.test.*"},
    {failed, "FAIL @.spec.*"},
    {failed, "No test files found, exiting with code #"},
    {failed, "ERROR: Coverage for * does not meet *threshold*"},
    {failed_if_named, "\xE2\x8E\xAF* Startup Error *"},  // ⎯
    {passed_if_last, "Test Files # passed*"},
    {passed_if_last, "Test Files # skipped*"},
    {passed_if_all, "Tests # passed (#)"},
    {passed, "No test files found, exiting with code 0"},
});
constexpr auto kMocha = std::to_array<VerdictLine>({
    {failed, "# failing"},
    {failed, "Error: No test files found*"},
    {passed_if_last, "~ passing (*)"},
});
constexpr auto kCypress = std::to_array<VerdictLine>({
    {failed, "# failing"},
    {failed, "\xE2\x9C\x96 # of # failed (*"},  // ✖
    {failed_if_named, "Cypress failed to *"},
    {passed, "\xE2\x9C\x94 All specs passed!*"},  // ✔
});
constexpr auto kPlaywright = std::to_array<VerdictLine>({
    {failed, "# failed"},
    {failed, "# interrupted"},
    {failed_if_named, "# did not run"},
    {failed, "# error* not a part of any test*"},
    {failed, "Error: No tests found*"},
    {passed_if_all, "# passed (*)"},
});
constexpr auto kNodeTest = std::to_array<VerdictLine>({
    {failed, R"(\# fail #)"},
    {failed, R"(\# cancelled #)"},
    {failed, "\xE2\x84\xB9 fail #"},  // ℹ
    {failed, "\xE2\x84\xB9 cancelled #"},
    {failed_if_named, "\xE2\x9C\x96 failing tests:"},
    {passed_if_last, R"(\# fail 0)"},
    {passed_if_last, "\xE2\x84\xB9 fail 0"},
});
constexpr auto kAva = std::to_array<VerdictLine>({
    {failed, "# test* failed"},
    {failed, "# uncaught exception*"},
    {failed, "# unhandled rejection*"},
    {failed_if_named, "\xE2\x9C\x96 No tests found *"},
    {failed_if_named, "\xE2\x9C\x98 Couldn't find any files to test*"},
    {passed_if_all, "# test* passed"},
});
constexpr auto kTap = std::to_array<VerdictLine>({
    {failed, R"(\# { total: #, pass: ~, fail: #*)"},
    {failed, R"(\# failed # of # test*)"},
    {passed_if_last, R"(\# { total: #, pass: &* })"},
});
constexpr auto kDenoTest = std::to_array<VerdictLine>({
    {failed, "FAILED | ~ passed * | # failed *"},
    {failed, "FAILED | ~ passed | # failed*"},
    {failed_if_named, "error: *"},
    {passed, "ok | ~ passed * | 0 failed*"},
    {passed, "ok | ~ passed | 0 failed*"},
});
constexpr auto kDenoLint = std::to_array<VerdictLine>({
    {failed, "Found # problem*"},
    {failed, "error: Found # not formatted file*"},
    {failed_if_named, "error: *"},
    {passed_if_all, "Checked # file*"},
});
constexpr auto kBunTest = std::to_array<VerdictLine>({
    {failed, "# fail"},
    {failed_if_named, "No tests found!"},
    {failed_if_named, "error: *"},
    {passed_if_last, "0 fail"},
});
constexpr auto kTsc = std::to_array<VerdictLine>({
    {failed, "@(#,#): error TS#: *"},
    {failed, "@:#:# - error TS#: *"},
    {failed, "error TS#: *"},
    {failed, "Found # error in @:#"},
    {failed, "Found # errors in *"},
    {failed, "Found # error*. Watching for file changes."},
    {failed, "@ @ - Found # error*. Watching for file changes."},
    {failed_if_named, "This is not the tsc command you are looking for"},
    {passed, "Found 0 errors. Watching for file changes."},
    {passed, "@ @ - Found 0 errors. Watching for file changes."},
});
constexpr auto kEslint = std::to_array<VerdictLine>({
    {failed, "\xE2\x9C\x96 # problem* (# error*"},  // ✖
    {failed, "ESLint found too many warnings (*"},
    {failed_if_named, "#:# error *"},
    {failed, "Oops! Something went wrong! :(*"},
    {failed, "ESLint couldn't find *"},
    {passed_if_last, "\xE2\x9C\x96 # problem* (0 errors, # warning*"},
    {passed, "\xE2\x9C\x94 No ESLint warnings or errors"},
});
// With --deny-warnings, warnings fail, too.
constexpr auto kOxlint = std::to_array<VerdictLine>({
    {failed, "Found ~ warning* and # error*."},
    {passed, "Found 0 warnings and 0 errors."},
});
constexpr auto kPrettier = std::to_array<VerdictLine>({
    {failed, "[error] @: *"},
    {failed, "[warn] Code style issues *"},
    {failed, "Error occurred when checking code style *"},
    {passed, "All matched files use Prettier code style!"},
});
constexpr auto kBiome = std::to_array<VerdictLine>({
    {failed, "\xC3\x97 Some errors were emitted while *"},  // ×
    {failed, "\xE2\x9C\x96 Some errors were emitted while *"},
    {failed_if_named, "Found # error*."},
    {failed_if_named, "\xC3\x97 No files were processed *"},
    {passed_if_last, "Checked # file* in *. No fixes applied."},
    {passed_if_last, "Checked # file* in *. Fixed # file*."},
    {passed_if_last, "Formatted # file* in *."},
});
// npm, pnpm, yarn and bun say when a script fails only in some versions; what the script runs says it, too.
constexpr auto kNpmRun = std::to_array<VerdictLine>({
    {failed, "npm ERR! *"},
    {failed, "npm error *"},
    {failed, "ELIFECYCLE *"},
    {failed, "[ELIFECYCLE] *"},
    {failed, "ERR_PNPM_@ *"},
    {failed, "[ERR_PNPM_@] *"},
    {failed, "Error: ERR_PNPM_@"},
    {failed, "error Command failed with exit code #."},
    {failed, "error Command failed with signal *"},
    {failed, "error Command \"*\" not found.*"},
    {failed, "error Couldn't find *"},
    {failed, "Usage Error: Couldn't find a script *"},
    {failed, "error: script \"*\" exited with code #*"},
    {failed, "error: Script not found \"*\""},
});
constexpr auto kYarnRun = std::to_array<VerdictLine>({
    {failed, "error Command failed with exit code #."},
    {failed, "error Command failed with signal *"},
    {failed, "error Command \"*\" not found.*"},
    {failed, "error Couldn't find *"},
    {failed, "Usage Error: Couldn't find a script *"},
    {passed, "Done in ~s."},
});
constexpr auto kNpmInstall = std::to_array<VerdictLine>({
    {failed, "npm ERR! *"},
    {failed, "npm error *"},
    {failed, "ERR_PNPM_@ *"},
    {failed, "[ERR_PNPM_@] *"},
    {failed_if_named, "error An unexpected error occurred: *"},
    {failed_if_named, "error: *"},
    {passed_if_named, "added # package* in *"},
    {passed_if_named, "added # package*, and *"},
    {passed_if_named, "changed # package*"},
    {passed_if_named, "removed # package*"},
    {passed_if_named, "up to date in *"},
    {passed_if_named, "up to date, audited *"},
    {passed_if_named, "Done in ~s*"},
    {passed_if_named, "Already up to date"},
    {passed_if_named, "# package* installed [*]"},
});
constexpr auto kNpmAudit = std::to_array<VerdictLine>({
    {failed_if_named, "# vulnerabilit*"},
    {failed_if_named, "# @ severity vulnerabilit*"},
    {failed, "npm ERR! *"},
    {failed, "npm error *"},
    {passed_if_named, "found 0 vulnerabilities"},
});
constexpr auto kTaskRunner = std::to_array<VerdictLine>({
    {failed, R"(Failed: @\#@)"},
    {failed, "ERROR run failed: *"},
    {failed, "NX Running target * failed*"},
    {failed, "NX Ran target* failed*"},
    {passed, "Tasks: # successful, & total"},
    {passed, "NX Successfully ran target*"},
});
constexpr auto kBundler = std::to_array<VerdictLine>({
    {failed, "error during build:"},
    {failed, "\xE2\x9C\x97 Build failed in *"},  // ✗
    {failed, "Failed to compile."},
    {failed, "> Build failed because of webpack errors"},
    {failed, "webpack ~ compiled with # error*"},
    {failed, "webpack @ compiled with # error*"},
    {passed_if_last, "\xE2\x9C\x93 built in *s"},  // ✓
    {passed_if_last, "webpack @ compiled successfully in *"},
    {passed_if_last, "webpack @ compiled with # warning*"},
    {passed_if_last, "\xE2\x97\x8B (Static) prerendered as static content*"},  // ○
    {passed_if_last, "\xC6\x92 (Dynamic) server-rendered on demand*"},         // ƒ
});

// ---- Go, Rust, Elixir

constexpr auto kGoTest = std::to_array<VerdictLine>({
    {failed, "FAIL"},
    {failed, "FAIL @ ~s"},
    {failed, "FAIL @ [build failed]"},
    {failed, "FAIL @ [setup failed]"},
    {failed, "--- FAIL: @ (~s)"},
    {failed_if_named, "panic: *"},
    {failed_if_named, "go: cannot find main module*"},
    {failed_if_named, "go: go.mod file not found *"},
    {failed_if_named, "no required module provides package *"},
    {failed_if_named, "package @ is not in std*"},
    {passed_if_last, "ok @ ~s*"},
    {passed_if_last, "ok @ (cached)*"},
    {passed_if_last, "? @ [no test files]"},
    {passed_if_named, "PASS"},
    {passed_if_named, "@ coverage: ~% of statements"},
});
constexpr auto kGotestsum = std::to_array<VerdictLine>({
    {failed, "DONE * # failure* in ~s"},
    {failed, "DONE * # error* in ~s"},
    {failed, "FAIL: @ @ (~s)"},
    {passed, "DONE ~ tests in ~s"},
    {passed, "DONE # test* in ~s"},
    {passed, "DONE # test*, # skipped in ~s"},
});
constexpr auto kGoBuild = std::to_array<VerdictLine>({
    {failed_if_named, "@.go:#:#: *"},
    {failed_if_named, "@.go:#: *"},
    {failed_if_named, "vet: *"},
    {failed_if_named, "go: cannot find main module*"},
    {failed_if_named, "go: go.mod file not found *"},
    {failed_if_named, "no required module provides package *"},
    {failed_if_named, "package @ is not in std*"},
});
constexpr auto kGolangciLint = std::to_array<VerdictLine>({
    {failed_if_named, "@.go:#:#: * (@)"},
    {failed_if_named, "# issues:"},
    {failed_if_named, "level=error *"},
    {failed_if_named, "Error: *"},
    {passed_if_named, "0 issues."},
});
constexpr auto kStaticcheck = std::to_array<VerdictLine>({{failed_if_named, "@.go:#:#: * (@)"}});
constexpr auto kCargoTest = std::to_array<VerdictLine>({
    {failed, "test result: FAILED. *"},
    {failed, "test * ... FAILED"},
    {failed, "error: test failed, to rerun pass *"},
    {failed, "error: doctest failed, to rerun pass *"},
    {failed, "error: # target* failed:"},
    {failed, "error: could not compile *"},
    {failed, "error: could not find `Cargo.toml` *"},
    {failed_if_named, "error[E#]: *"},
    {failed_if_named, "error: no @ target named *"},
    {failed_if_named, "error: package ID specification *"},
    {failed_if_named, "error: failed to *"},
    {failed_if_named, "error: unexpected argument *"},
    {passed_if_last, "test result: ok. *"},
});
constexpr auto kNextest = std::to_array<VerdictLine>({
    {failed, "Summary [*] * # failed*"},
    {failed, "Summary [*] * # timed out*"},
    {failed, "Summary [*] * # exec failed*"},
    {failed, "error: test run failed"},
    {failed, "error: no tests to run*"},
    {failed, "error: could not compile *"},
    {failed_if_named, "FAIL [*] *"},
    {failed_if_named, "error: *"},
    {passed, "Summary [*] # test* run: # passed*"},
});
constexpr auto kCargoBuild = std::to_array<VerdictLine>({
    {failed, "error[E#]: *"},
    {failed, "error: could not compile *"},
    {failed, "error: aborting due to *"},
    {failed_if_named, "error: *"},
    {passed, "Finished `@` profile *"},
    {passed, "Finished dev [*] target(s) in *"},
    {passed, "Finished release [*] target(s) in *"},
});
constexpr auto kCargoFormat = std::to_array<VerdictLine>({
    {failed, "Diff in @*:#:"},
    {failed, "Diff in * at line #:"},
    {failed_if_named, "error: *"},
    {failed_if_named, "error[E#]: *"},
});
constexpr auto kMix = std::to_array<VerdictLine>({
    {failed, "# test*, # failure*"},
    {failed, "# doctest*, # failure*"},
    {failed, "# propert*, # failure*"},
    {failed, "# test*, # invalid*"},
    {failed, "Compilation error in file *"},
    {failed, R"(\*\* (Mix) *)"},
    {failed, R"(\*\* (CompileError) *)"},
    {failed, R"(\*\* (SyntaxError) *)"},
    {failed, R"(\*\* (TokenMissingError) *)"},
    {failed, "Coverage test failed, threshold not met:"},
    {failed, "There are no tests to run"},
    {passed, "# test*, 0 failures*"},
    {passed, "# doctest*, 0 failures*"},
    {passed, "# propert*, 0 failures*"},
});
constexpr auto kMixBuild = std::to_array<VerdictLine>({
    {failed, "Compilation error in file *"},
    {failed, R"(\*\* (Mix) *)"},
    {failed, R"(\*\* (CompileError) *)"},
    {failed, R"(\*\* (SyntaxError) *)"},
    {failed, R"(\*\* (TokenMissingError) *)"},
    {failed_if_named, "Compilation failed *"},
    {passed_if_named, "Generated @ app"},
});
constexpr auto kCredo = std::to_array<VerdictLine>({
    {passed, "# mods/funs, found no issues."},
    {failed, "# mods/funs, found *#*."},
});
constexpr auto kDialyzer = std::to_array<VerdictLine>({
    {passed, "done (passed successfully)"},
    {failed, "done (warnings were emitted)"},
});

// ---- C, C++ and build systems

constexpr auto kMake = std::to_array<VerdictLine>({
    {failed, R"(make: \*\*\* *)"},
    {failed, R"(make[~]: \*\*\* *)"},
    {failed, R"(gmake: \*\*\* *)"},
    {failed, R"(gmake[~]: \*\*\* *)"},
    {failed, R"(mingw32-make: \*\*\* *)"},
    {failed, R"(mingw32-make[~]: \*\*\* *)"},
    {passed_if_named, "make: '*' is up to date."},
    {passed_if_named, "make: Nothing to be done for '*'."},
});
constexpr auto kJust = std::to_array<VerdictLine>({
    {failed, "error: Recipe `*` failed *"},
    {failed, "error: recipe `*` failed *"},
    {failed_if_named, "error: Justfile does not contain recipe *"},
    {failed_if_named, "error: No justfile found"},
    {failed, "task: Failed to run task *"},
    {failed, "task: Task \"*\" does not exist*"},
});
constexpr auto kNinja = std::to_array<VerdictLine>({
    {failed, "ninja: build stopped: *"},
    {failed, "ninja: error: *"},
    {failed_if_named, "FAILED: *"},
    {passed_if_last, "[#/&] *"},
    {passed, "ninja: no work to do."},
});
constexpr auto kCmake = std::to_array<VerdictLine>({
    {failed, "CMake Error*"},
    {failed, "-- Configuring incomplete, errors occurred!"},
    {passed_if_named, "-- Build files have been written to: *"},
    {passed_if_last, "[100%] Built target @"},
});
constexpr auto kMeson = std::to_array<VerdictLine>({
    {failed, "Fail: #"},
    {failed, "Timeout: #"},
    {failed, "Unexpected Pass: #"},
    {failed, "@meson.build:#:~: ERROR: *"},
    {failed, "ninja: build stopped: *"},
    {passed_if_last, "Fail: 0"},
    {passed_if_named, "[#/&] *"},
});
constexpr auto kCtest = std::to_array<VerdictLine>({
    {failed, "~% tests passed, # test* failed out of #"},
    {failed, "The following tests FAILED:"},
    {failed, "Errors while running CTest"},
    {failed, "CMake Error*"},
    {passed, "100% tests passed, 0 tests failed out of #"},
    {passed, "100% tests passed out of #"},
});
constexpr auto kBazel = std::to_array<VerdictLine>({
    {failed, "FAILED: Build did NOT complete successfully*"},
    {failed, "ERROR: Build did NOT complete successfully*"},
    {failed, "INFO: Build completed, # test* FAILED*"},
    {failed, "Executed # out of # test*: * fail*"},
    {passed_if_last, "INFO: Build completed successfully, *"},
});
constexpr auto kClangTidy = std::to_array<VerdictLine>({
    {failed_if_named, "@:#:#: error: *"},
    {failed_if_named, "# warning* treated as error*"},
});

// ---- The JVM, .NET, Ruby, PHP and others

constexpr auto kMaven = std::to_array<VerdictLine>({
    {failed, "[INFO] BUILD FAILURE"},
    {failed, "[ERROR] BUILD FAILURE"},
    {failed, "[ERROR] Failed to execute goal *"},
    {failed, "[ERROR] No goals have been specified *"},
    {failed_if_named, "BUILD FAILURE"},
    {passed, "[INFO] BUILD SUCCESS"},
    {passed_if_named, "BUILD SUCCESS"},
});
constexpr auto kGradle = std::to_array<VerdictLine>({
    {failed, "BUILD FAILED in *s"},
    {failed, "FAILURE: Build failed with an exception."},
    {failed, "FAILURE: Build completed with # failures."},
    {failed, "> Task @ FAILED"},
    {passed, "BUILD SUCCESSFUL in *s"},
});
constexpr auto kSbt = std::to_array<VerdictLine>({
    {failed, "[error] (@) *"},
    {failed, "[error] Total time: *"},
    {passed_if_last, "[success] Total time: *"},
});
constexpr auto kDotnet = std::to_array<VerdictLine>({
    {failed, "Failed! - Failed: #,*"},
    {failed, "Test Run Failed."},
    {failed, "Test summary: total: #, failed: #,*"},
    {failed, "Build FAILED."},
    {failed, "Build failed with # error*"},
    {failed, "@: error @: * [@]"},
    {failed_if_named, "MSBUILD : error *"},
    {passed_if_last, "Passed! - Failed: 0, *"},
    {passed_if_last, "Test Run Successful."},
    {passed_if_last, "Test summary: total: #, failed: 0, *"},
});
constexpr auto kDotnetBuild = std::to_array<VerdictLine>({
    {failed, "Build FAILED."},
    {failed, "Build failed with # error*"},
    {failed, "@: error @: * [@]"},
    {failed_if_named, "MSBUILD : error *"},
    {passed, "Build succeeded*"},
});
constexpr auto kRspec = std::to_array<VerdictLine>({
    {failed, "~ example*, # failure*"},
    {failed, "~ example*, ~ failures, # error* occurred outside of examples"},
    {failed, R"(rspec @:# \# *)"},
    {failed, R"(rspec @[#:*] \# *)"},
    {passed, "~ example*, 0 failures"},
    {passed, "~ example*, 0 failures, # pending"},
});
constexpr auto kMinitest = std::to_array<VerdictLine>({
    {failed, "# runs, ~ assertions, # failures, *"},
    {failed, "# runs, ~ assertions, ~ failures, # errors, *"},
    {failed, "# tests, ~ assertions, # failures, *"},
    {failed, "# tests, ~ assertions, ~ failures, # errors, *"},
    {failed, "rake aborted!"},
    {passed, "# runs, ~ assertions, 0 failures, 0 errors, *"},
    {passed, "# tests, ~ assertions, 0 failures, 0 errors, *"},
});
constexpr auto kRake = std::to_array<VerdictLine>({{failed, "rake aborted!"}});
constexpr auto kRubocop = std::to_array<VerdictLine>({
    {failed, "# file* inspected, # offense* detected"},
    {failed, "# file* inspected, # offense* detected, # offense* autocorrectable"},
    {failed, "# file* inspected, # offense* detected, # offense* auto-correctable"},
    {passed, "# file* inspected, no offenses detected"},
    {passed, "# file* inspected, # offense* detected, & offense* corrected"},
});
constexpr auto kPhpunit = std::to_array<VerdictLine>({
    {failed, "Tests: #, Assertions: ~, *Failures: #*"},
    {failed, "Tests: #, Assertions: ~, *Errors: #*"},
    {failed, "FAILURES!"},
    {failed, "ERRORS!"},
    {failed, "Tests: # failed, *"},  // Pest
    {passed, "OK (# test*, # assertion*)"},
    {passed_if_last, "OK, but *"},
    {passed, "Tests: # passed (# assertion*"},
});
constexpr auto kPhpstan = std::to_array<VerdictLine>({
    {failed, "[ERROR] Found # error*"},
    {passed, "[OK] No errors"},
});
constexpr auto kSwiftTest = std::to_array<VerdictLine>({
    {failed, "Test Suite '*' failed at *"},
    {failed, "Executed # test*, with # failure*"},
    {failed, "\xE2\x9C\x98 Test run with # test* failed *"},  // ✘
    {failed_if_named, "error: *"},
    {failed_if_named, "@:#:#: error: *"},
    {passed_if_all, "Executed # test*, with 0 failures *"},
    {passed_if_last, "\xE2\x9C\x94 Test run with # test* passed *"},  // ✔
});
constexpr auto kSwiftBuild = std::to_array<VerdictLine>({
    {failed_if_named, "error: *"},
    {failed_if_named, "@:#:#: error: *"},
    {passed, "Build complete! *"},
});
constexpr auto kXcodebuild = std::to_array<VerdictLine>({
    {failed, R"(\*\* @ FAILED \*\*)"},
    {passed, R"(\*\* @ SUCCEEDED \*\*)"},
});
constexpr auto kDartTest = std::to_array<VerdictLine>({
    {failed, "~:~ +*: Some tests failed.*"},
    {failed_if_named, "Some tests failed."},
    {passed, "~:~ +*: All tests passed!"},
    {passed_if_named, "All tests passed!"},
});
constexpr auto kZig = std::to_array<VerdictLine>({
    {failed, "Build Summary: * # failed*"},
    {failed_if_named, "error: *"},
    {failed_if_named, "@:#:#: error: *"},
});
constexpr auto kHaskell = std::to_array<VerdictLine>({
    {failed, "Test suite @: FAIL"},
    {failed, "# of # tests failed (~s)"},
    {failed, "~ example*, # failure*"},
    {failed_if_named, "@: Cannot build *"},
    {passed_if_last, "Test suite @: PASS"},
    {passed_if_last, "All # tests passed (~s)"},
    {passed_if_last, "~ example*, 0 failures*"},
});

// ---- Any language

constexpr auto kGitCommit = std::to_array<VerdictLine>({
    {failed_if_named, "nothing to commit*"},
    {failed_if_named, "no changes added to commit*"},
    {failed_if_named, "nothing added to commit *"},
    {failed_if_named, "Aborting commit *"},
    {failed_if_named, "husky - * hook exited with code #*"},
    {failed_if_named, "husky - * script failed (code #)"},
    {failed_if_named, "fatal: *"},
    {failed_if_named, "error: *"},
    {passed_if_named, "[@ @] *"},
    {passed_if_named, "[@ (root-commit) @] *"},
    {passed_if_named, "[detached HEAD @] *"},
});
constexpr auto kGitPush = std::to_array<VerdictLine>({
    {failed_if_named, "! [rejected] *"},
    {failed_if_named, "! [remote rejected] *"},
    {failed_if_named, "husky - * hook exited with code #*"},
    {failed_if_named, "husky - * script failed (code #)"},
    {failed_if_named, "fatal: *"},
    {failed_if_named, "error: *"},
    {passed_if_named, "Everything up-to-date"},
    {passed_if_named, "@..@ @ -> @"},
    {passed_if_named, R"(\* [new branch] @ -> @)"},
    {passed_if_named, R"(\* [new tag] @ -> @)"},
    {passed_if_named, "+ @...@ @ -> @ (forced update)"},
});
constexpr auto kGitMerge = std::to_array<VerdictLine>({
    {failed_if_named, "CONFLICT (*"},
    {failed_if_named, "Automatic merge failed; *"},
    {failed_if_named, "Could not apply *"},
    {failed_if_named, "There is no tracking information for the current branch."},
    {failed_if_named, "fatal: *"},
    {failed_if_named, "error: *"},
    {passed_if_named, "Already up to date."},
    {passed_if_named, "Merge made by *"},
    {passed_if_named, "Fast-forward"},
    {passed_if_named, "Successfully rebased and updated *"},
    {passed_if_named, "Current branch @ is up to date*"},
    {passed_if_named, "[@ @] *"},
    {passed_if_named, "[detached HEAD @] *"},
});
constexpr auto kDockerBuild = std::to_array<VerdictLine>({
    {failed_if_named, "ERROR: failed to solve: *"},
    {failed_if_named, "ERROR: failed to build*"},
    {failed_if_named, "ERROR: unable to prepare context*"},
    {failed_if_named, "ERROR: Cannot connect to the Docker daemon*"},
    {failed_if_named, "The command '*' returned a non-zero code: #"},
    {failed_if_named, "failed to solve: *"},
    {passed_if_named, "Successfully tagged @"},
    {passed_if_named, "Successfully built @"},
    {passed_if_named, R"(\#~ naming to @ *done)"},
    {passed_if_named, "=> => naming to @ *"},
});
constexpr auto kDockerCompose = std::to_array<VerdictLine>({
    {failed_if_named, "failed to solve: *"},
    {failed_if_named, "Error response from daemon: *"},
    {failed_if_named, "no configuration file provided: not found"},
    {failed_if_named, "service \"*\" didn't complete successfully: exit #"},
});
constexpr auto kTerraform = std::to_array<VerdictLine>({
    {failed_if_named, "Error: *"},
    {failed_if_named, "\xE2\x94\x82 Error: *"},  // │
    {passed_if_named, "Plan: ~ to *"},
    {passed_if_named, "No changes.*"},
    {passed_if_named, "Apply complete! *"},
});
constexpr auto kShellcheck = std::to_array<VerdictLine>({
    {failed_if_named, "In @ line #:"},
    {failed_if_named, "@:#:#: @: * [SC#]"},
    {failed_if_named, "@: @: openBinaryFile: *"},
});
constexpr auto kHadolint = std::to_array<VerdictLine>({{failed_if_named, "@:# @ @: *"}});
constexpr auto kCppcheck = std::to_array<VerdictLine>({{failed_if_named, "cppcheck: error: *"}});

constexpr auto kTools = std::to_array<ToolVerdicts>({
    {"pytest-run", ToolKind::test, Inner::none, kPytest, "pytest"},
    {"unittest,manage.py test,setup.py test", ToolKind::test, Inner::none, kUnittest},
    {"tox", ToolKind::test, Inner::failed, kTox},
    {"nox", ToolKind::test, Inner::failed, kNox},
    {"ruff-check", ToolKind::check, Inner::none, kRuffCheck, "ruff"},
    {"ruff-format", ToolKind::check, Inner::none, kRuffFormat, "ruff"},
    {"mypy", ToolKind::check, Inner::none, kMypy},
    {"pyright", ToolKind::check, Inner::none, kPyright},
    {"ty", ToolKind::check, Inner::none, kTy},
    {"pyrefly", ToolKind::check, Inner::none, kPyrefly},
    {"flake8", ToolKind::check, Inner::none, kFlake8},
    {"pylint", ToolKind::check, Inner::none, kPylint},
    {"black", ToolKind::check, Inner::none, kBlack},
    {"isort", ToolKind::check, Inner::none, kIsort},
    {"bandit", ToolKind::check, Inner::none, kBandit},
    {"pre-commit,prek", ToolKind::check, Inner::failed, kPreCommit},
    {"pip-audit", ToolKind::check, Inner::none, kPipAudit},
    {"uv build", ToolKind::build, Inner::none, kUvBuild},
    {"pip install,uv sync,uv add,poetry install", ToolKind::other, Inner::none, kPipInstall},
    {"jest", ToolKind::test, Inner::none, kJest},
    {"vitest", ToolKind::test, Inner::none, kVitest},
    {"mocha", ToolKind::test, Inner::none, kMocha},
    {"cypress run", ToolKind::test, Inner::none, kCypress},
    {"playwright test", ToolKind::test, Inner::none, kPlaywright},
    {"node --test,node test", ToolKind::test, Inner::none, kNodeTest},
    {"ava", ToolKind::test, Inner::none, kAva},
    {"tap", ToolKind::test, Inner::none, kTap},
    {"deno test", ToolKind::test, Inner::none, kDenoTest},
    {"deno lint,deno fmt", ToolKind::check, Inner::none, kDenoLint},
    {"bun test", ToolKind::test, Inner::none, kBunTest},
    {"tsc", ToolKind::check, Inner::none, kTsc},
    {"eslint,next lint", ToolKind::check, Inner::none, kEslint},
    {"oxlint", ToolKind::check, Inner::none, kOxlint},
    {"prettier", ToolKind::check, Inner::none, kPrettier},
    {"biome", ToolKind::check, Inner::none, kBiome},
    {"npm install,npm ci,pnpm install,yarn install,bun install", ToolKind::other, Inner::none, kNpmInstall},
    {"npm audit", ToolKind::check, Inner::none, kNpmAudit},
    {"yarn *", ToolKind::other, Inner::all, kYarnRun},
    {"npm *,pnpm *,bun run*", ToolKind::other, Inner::all, kNpmRun},
    {"turbo*,nx*", ToolKind::other, Inner::failed, kTaskRunner},
    {"vite build,next build,webpack", ToolKind::build, Inner::none, kBundler},
    {"go test", ToolKind::test, Inner::none, kGoTest},
    {"gotestsum", ToolKind::test, Inner::none, kGotestsum},
    {"go build,go vet", ToolKind::build, Inner::none, kGoBuild},
    {"golangci-lint", ToolKind::check, Inner::none, kGolangciLint},
    {"staticcheck", ToolKind::check, Inner::none, kStaticcheck},
    {"cargo test,cargo bench,cargo llvm-cov", ToolKind::test, Inner::none, kCargoTest},
    {"cargo nextest", ToolKind::test, Inner::none, kNextest},
    {"cargo build,cargo check,cargo clippy", ToolKind::build, Inner::none, kCargoBuild},
    {"cargo fmt,rustfmt", ToolKind::check, Inner::none, kCargoFormat},
    {"mix test", ToolKind::test, Inner::none, kMix},
    {"mix compile,mix format", ToolKind::build, Inner::none, kMixBuild},
    {"mix credo", ToolKind::check, Inner::none, kCredo},
    {"mix dialyzer", ToolKind::check, Inner::none, kDialyzer},
    {"make,make:*", ToolKind::other, Inner::all, kMake},
    {"just,just:*,task,task:*", ToolKind::other, Inner::all, kJust},
    {"ninja", ToolKind::build, Inner::failed, kNinja},
    {"cmake", ToolKind::build, Inner::failed, kCmake},
    {"rake", ToolKind::other, Inner::all, kRake},
    {"crackerjack", ToolKind::other, Inner::failed, {}},
    {"meson", ToolKind::build, Inner::none, kMeson},
    {"ctest", ToolKind::test, Inner::none, kCtest},
    {"bazel test,bazel build", ToolKind::build, Inner::none, kBazel},
    {"clang-tidy", ToolKind::check, Inner::none, kClangTidy},
    {"cppcheck", ToolKind::check, Inner::none, kCppcheck},
    {"mvn", ToolKind::build, Inner::none, kMaven},
    {"gradle", ToolKind::build, Inner::none, kGradle},
    {"sbt", ToolKind::build, Inner::none, kSbt},
    {"dotnet test", ToolKind::test, Inner::none, kDotnet},
    {"dotnet build", ToolKind::build, Inner::none, kDotnetBuild},
    {"rspec", ToolKind::test, Inner::none, kRspec},
    {"rails test", ToolKind::test, Inner::none, kMinitest},
    {"rubocop", ToolKind::check, Inner::none, kRubocop},
    {"phpunit,pest,artisan test", ToolKind::test, Inner::none, kPhpunit},
    {"phpstan", ToolKind::check, Inner::none, kPhpstan},
    {"swift test", ToolKind::test, Inner::none, kSwiftTest},
    {"swift build", ToolKind::build, Inner::none, kSwiftBuild},
    {"xcodebuild", ToolKind::build, Inner::none, kXcodebuild},
    {"flutter test,dart test", ToolKind::test, Inner::none, kDartTest},
    {"zig build", ToolKind::build, Inner::none, kZig},
    {"stack test,cabal test", ToolKind::test, Inner::none, kHaskell},
    {"git commit", ToolKind::other, Inner::failed, kGitCommit},
    {"git push", ToolKind::other, Inner::failed, kGitPush},
    {"git pull,git merge,git rebase,git cherry-pick", ToolKind::other, Inner::none, kGitMerge},
    {"docker build", ToolKind::build, Inner::none, kDockerBuild},
    {"docker compose", ToolKind::other, Inner::none, kDockerCompose},
    {"terraform plan,terraform apply", ToolKind::other, Inner::none, kTerraform},
    {"shellcheck", ToolKind::check, Inner::none, kShellcheck},
    {"hadolint", ToolKind::check, Inner::none, kHadolint},
});

// NOLINTEND(modernize-use-designated-initializers)

static_assert(kTools.size() <= kMaxToolVerdicts);

}  // namespace tables

[[nodiscard]] constexpr bool is_space_or_tab(char c) {
    return c == ' ' || c == '\t';
}

/// The end of the number that begins at `begin`; `begin` if there is none.
[[nodiscard]] std::size_t end_of_number(std::string_view line, std::size_t begin, bool with_fraction) {
    const auto is_digit = [&](std::size_t at) { return at < line.size() && ascii::is_digit(line[at]); };
    std::size_t end = begin;
    while (is_digit(end) ||
           (with_fraction && end > begin && end < line.size() && line[end] == '.' && is_digit(end + 1))) {
        ++end;
    }
    return end;
}

}  // namespace

std::span<const ToolVerdicts> tool_verdicts() {
    return tables::kTools;
}

bool matches(std::string_view pattern, std::string_view line) {
    constexpr std::size_t kNone = std::string_view::npos;
    std::size_t at = 0;            // in the pattern
    std::size_t pos = 0;           // in the line
    std::size_t wildcard = kNone;  // what follows the last wildcard, to try again with one more character in it
    std::size_t covered = 0;       // the end of what it matches
    bool is_word = false;          // `@`
    std::string_view number;
    while (true) {
        bool fits = true;
        if (at == pattern.size()) {
            if (pos == line.size()) {
                return true;
            }
            fits = false;
        } else if (pattern[at] == '*' || pattern[at] == '@') {
            is_word = pattern[at] == '@';
            if (!is_word && at + 1 == pattern.size()) {
                return true;
            }
            if (is_word && (pos == line.size() || is_space_or_tab(line[pos]))) {
                fits = false;
            } else {
                pos += is_word ? 1 : 0;
                wildcard = ++at;
                covered = pos;
            }
        } else if (pattern[at] == '#' || pattern[at] == '~') {
            const std::size_t end = end_of_number(line, pos, pattern[at] == '~');
            number = line.substr(pos, end - pos);
            fits = end > pos && (pattern[at] == '~' || number.find_first_of("123456789") != kNone);
            pos = end;
            ++at;
        } else if (pattern[at] == '&') {
            fits = !number.empty() && end_of_number(line, pos, false) == pos + number.size() &&
                   line.substr(pos, number.size()) == number;
            pos += number.size();
            ++at;
        } else if (pattern[at] == ' ') {
            const std::size_t begin = pos;
            while (pos < line.size() && is_space_or_tab(line[pos])) {
                ++pos;
            }
            fits = pos > begin;
            ++at;
        } else {
            if (pattern[at] == '\\') {
                ++at;
            }
            fits = pos < line.size() && line[pos] == pattern[at];
            ++pos;
            ++at;
        }
        if (!fits) {
            if (wildcard == kNone || covered >= line.size() || (is_word && is_space_or_tab(line[covered]))) {
                return false;
            }
            pos = ++covered;
            at = wildcard;
        }
    }
}

}  // namespace session_buddy::ingest
