// Command lines as agents write them: after which tool each is named, and what its exit status says about that tool.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "session_buddy/ingest/shell_command.hpp"
#include "session_buddy/ingest/skill_name.hpp"

namespace session_buddy::ingest {
namespace {

ToolReading read_line(std::string_view command, const char* tool = "Bash") {
    static const SkillNamer kNamer;
    return kNamer.read(tool, {{"command", command}});
}

std::string name_of(std::string_view command, const char* tool = "Bash") {
    return read_line(command, tool).skill_name;
}

TEST(CommandLine, is_named_after_the_tool_inside) {
    const struct {
        const char* line;
        const char* name;
    } cases[] = {
        // Runners of binaries and scripts of a project.
        {"mise run fmt", "mise:fmt"},
        {"mise run lint && mise run test:ci", "mise:lint"},
        {"mise r build", "mise:build"},
        {"mise check", "mise:check"},
        {"mise exec -- pytest -q", "pytest-run"},
        {"mise x node@22 -- npm test", "npm test"},
        {"mise exec python@3.12 -c 'ruff check .'", "ruff-check"},
        {"mise install", "Bash"},
        {"mise ls", "Bash"},
        {"yarn jest --ci", "jest"},
        {"yarn tsc --noEmit", "tsc"},
        {"yarn run eslint src", "eslint"},
        {"yarn typecheck", "yarn typecheck"},
        {"yarn run build", "yarn build"},
        {"yarn --cwd api test", "yarn test"},
        {"yarn workspace web test", "yarn test"},
        {"yarn workspace web run lint", "yarn lint"},
        {"yarn workspaces foreach -A run build", "yarn build"},
        {"yarn add -D vitest", "yarn add"},
        {"yarn why eslint", "Bash"},
        {"pnpm vitest run", "vitest"},
        {"pnpm --filter web exec tsc -b", "tsc"},
        {"pnpm -r test", "pnpm test"},
        {"pnpm test:unit", "pnpm test:unit"},
        {"pnpm run typecheck", "pnpm typecheck"},
        {"pnpm dlx eslint@9 .", "eslint"},
        {"pnpm why react", "Bash"},
        {"pnpm add -D jest", "pnpm add"},
        {"npm start", "npm start"},
        {"npm run start", "npm start"},
        {"npm run typecheck", "npm run typecheck"},
        {"npm run test:ci", "npm run test:ci"},
        {"npm run lint -- --fix", "npm run lint"},
        {"npm run ./x.js", "npm run"},
        {"npm -w web run build", "npm run build"},
        {"npm --prefix web test", "npm test"},
        {"npm x -- prettier --check .", "prettier"},
        {"npx jest --ci", "jest"},
        {"npx --yes @biomejs/biome@1 check", "biome"},
        {"npx tsx run.ts", "Bash"},
        {"bunx vitest", "vitest"},
        {"bun run typecheck", "bun run typecheck"},
        {"bun lint", "bun run lint"},
        {"bun test", "bun test"},
        {"bun run src/main.ts", "bun run"},
        {"corepack pnpm test", "pnpm test"},
        {"corepack yarn@4 jest", "jest"},
        {"cross-env CI=1 NODE_ENV=test jest", "jest"},
        {"node --experimental-vm-modules node_modules/jest/bin/jest.js", "jest"},
        {"node --test tests/", "node --test"},
        {"node test.js", "Bash"},
        {"concurrently -k \"npm test\" \"npm run lint\"", "npm test"},
        {"concurrently npm:lint npm:build", "npm run lint"},
        {"turbo run test --filter web", "turbo:test"},
        {"npx turbo lint", "turbo:lint"},
        {"turbo login", "Bash"},
        {"nx test web", "nx:test"},
        {"nx run web:build:production", "nx:build"},
        {"npx nx run-many -t lint test", "nx:lint"},
        {"nx affected --target=test,lint", "nx:test"},
        {"nx graph", "Bash"},
        {"lerna run test --scope web", "lerna:test"},
        {"deno task check", "deno task check"},
        {"make -j8", "make"},
        {"make -j 8 test", "make:test"},
        {"make CC=clang -C sub lint", "make:lint"},
        {"make build/main.o", "make"},
        {"make $TARGET", "make"},
        {"gmake check", "make:check"},
        {"just", "just"},
        {"just -f tools/justfile test-all", "just:test-all"},
        {"just --list", "Bash"},
        {"task test", "task:test"},
        {"task add buy milk", "Bash"},
        {"poe check", "poe:check"},
        {"uv run poe test", "poe:test"},
        {"invoke lint", "invoke:lint"},
        {"hatch run pytest -x", "pytest-run"},
        {"hatch run test", "hatch:test"},
        {"hatch run dev:lint", "hatch:dev:lint"},
        {"hatch -e test run mypy .", "mypy"},
        {"pdm run check", "pdm:check"},
        {"pixi run test", "pixi:test"},
        {"composer test", "composer:test"},
        {"composer run-script lint", "composer:lint"},
        {"composer update", "Bash"},
        {"cargo make ci", "cargo make:ci"},
        // Containers and machines.
        {"docker exec -it web npm test", "npm test"},
        {"docker exec -e CI=1 -w /app web sh -c 'cd api && pytest -q'", "pytest-run"},
        {"docker compose exec -T web npx eslint .", "eslint"},
        {"docker compose -f ci.yml run --rm web cargo test", "cargo test"},
        {"docker-compose run web bundle exec rspec", "rspec"},
        {"docker compose up -d", "docker compose"},
        {"docker compose ps", "Bash"},
        {"docker run --rm -v $PWD:/w -w /w golang:1 go test ./...", "go test"},
        {"docker run --rm alpine ls", "Bash"},
        {"podman exec db pytest", "pytest-run"},
        {"podman compose exec web npm test", "npm test"},
        {"kubectl -n ci exec deploy/web -- npm test", "npm test"},
        {"ssh -p 2222 ci@host 'cd app && make test'", "make:test"},
        {"su ci -c 'npm test'", "npm test"},
        {"devcontainer exec --workspace-folder . cargo build", "cargo build"},
        // Environments, secrets and proxies.
        {"nix develop -c pytest", "pytest-run"},
        {"nix develop .#ci --command cargo test", "cargo test"},
        {"nix-shell --run 'make check'", "make:check"},
        {"devbox run test", "devbox:test"},
        {"devbox run -- npm test", "npm test"},
        {"fnm exec --using 20 npm test", "npm test"},
        {"nvm use 20 && npm test", "npm test"},
        {"nvm exec 20 npm test", "npm test"},
        {"direnv exec . mypy .", "mypy"},
        {"dotenv -- npm test", "npm test"},
        {"dotenv -e .env.test -- jest", "jest"},
        {"aws-vault exec dev -- terraform plan", "terraform plan"},
        {"op run --env-file .env -- npm test", "npm test"},
        {"doppler run -- pytest", "pytest-run"},
        {"rtk npm test", "npm test"},
        {"rtk test cargo test", "cargo test"},
        {"rtk proxy pytest", "pytest-run"},
        {"rtk git status", "Bash"},
        {"uv run ruff format", "ruff-format"},
        {"poetry run python -m pytest", "pytest-run"},
        {"conda run -n ci mypy .", "mypy"},
        {"watch -n1 pytest", "pytest-run"},
        {"tmux new -d -s t 'npm test'", "npm test"},
        {"time -p make test", "make:test"},
        {"env -S 'pytest -q'", "pytest-run"},
        {"caffeinate -i cargo build", "cargo build"},
        // Other shells.
        {"powershell -NoProfile -c \"npm test\"", "npm test"},
        {"pwsh -Command npm test", "npm test"},
        {"cmd /c npm test", "npm test"},
        {"cmd.exe /d /s /c \"npm run build\"", "npm run build"},
        {"bash -euo pipefail -c 'cd x; pytest'", "pytest-run"},
        {"zsh -ic 'npm test'", "npm test"},
        // Programs that run a command for files.
        {"find . -name '*.ts' -exec prettier --write {} +", "prettier"},
        {"find src -type f -execdir eslint {} \\;", "eslint"},
        {"find . -name pytest", "Bash"},
        {"fd -e py -x black", "black"},
        {"git ls-files -z | xargs -0 shellcheck", "shellcheck"},
        {"parallel pytest ::: a b", "pytest-run"},
        // Python, PHP and others.
        {"python setup.py test", "setup.py test"},
        {"python manage.py test app", "manage.py test"},
        {"python .venv/bin/pytest", "pytest-run"},
        {"python -m black .", "black"},
        {"php artisan test", "artisan test"},
        {"php vendor/bin/phpunit", "phpunit"},
        {"vendor/bin/pest", "pest"},
        {"bin/rails test", "rails test"},
        {"bin/rspec", "rspec"},
        {"prek run -a", "prek"},
        {"ruff .", "ruff-check"},
        {"ruff --fix src", "ruff-check"},
        {"ruff", "Bash"},
        {"ruff rule E501", "Bash"},
        {"ty check", "ty"},
        {"pyrefly check", "pyrefly"},
        {"cargo +nightly llvm-cov", "cargo llvm-cov"},
        {"gotestsum ./...", "gotestsum"},
        {"bazelisk test //...", "bazel test"},
        {"buf lint", "buf lint"},
        {"dart analyze", "dart analyze"},
        {"helm upgrade web ./chart --version 1.2.3", "helm upgrade"},
        {"vercel build", "vercel build"},
        {"gh pr create --fill", "gh pr create"},
        {"gh run view 1", "Bash"},
        {"apt-get install -y jq", "apt-get install"},
        {"sudo apt-get install -y jq && make test", "make:test"},
        // The grammar.
        {"\\npm test", "npm test"},
        {"'pytest'", "pytest-run"},
        {"`which pytest` -q", "pytest-run"},
        {"$(command -v ruff) check .", "ruff-check"},
        {"function t() { npm test; }; t", "npm test"},
        {"t() { cd a && npm test; }; time t", "npm test"},
        {"case $1 in x) npm test;; esac", "npm test"},
        {"pushd x && npm test && popd", "npm test"},
        {"trap 'make clean' EXIT; npm test", "npm test"},
        {"cd x &&\n  npm test", "npm test"},
        {". .venv/bin/activate; pytest", "pytest-run"},
        {"exit 0; pytest", "Bash"},
        {"true || pytest", "Bash"},
        {"git add -A && git commit -m 'fix: npm test'", "git commit"},
        {"git stash && git pull --rebase", "git pull"},
        // What only informs is no run.
        {"pytest --version", "Bash"},
        {"uv run pytest --help", "Bash"},
        {"pytest --collect-only -q", "Bash"},
        {"npm test -- --help", "Bash"},
        {"which pytest", "Bash"},
        {"type -p pytest", "Bash"},
        {"tsc -v", "Bash"},
        {"eslint --print-config a.js", "Bash"},
        {"ctest -N", "Bash"},
        {"ctest -V", "ctest"},
        {"make -n test", "Bash"},
        {"make help", "Bash"},
        {"jest --listTests", "Bash"},
        {"pre-commit install", "Bash"},
        {"pre-commit run -a", "pre-commit"},
        {"cargo test -- --list", "Bash"},
        {"git push --dry-run", "Bash"},
        {"gradle tasks", "Bash"},
        {"echo \"npm test\"", "Bash"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(name_of(c.line), c.name) << c.line;
    }
}

TEST(CommandLine, of_powershell_is_read_too) {
    const struct {
        const char* line;
        const char* name;
    } cases[] = {
        {"npm test", "npm test"},
        {"& \"C:\\Program Files\\nodejs\\npm.cmd\" test", "npm test"},
        {".\\gradlew.bat test", "gradle"},
        {"$env:CI = '1'; npm test", "npm test"},
        {"Set-Location api; pytest -q | Select-Object -Last 5", "pytest-run"},
        {"npm `\n  test", "npm test"},
        {"Get-ChildItem", "PowerShell"},
        {"Write-Output 'npm test'", "PowerShell"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(name_of(c.line, "PowerShell"), c.name) << c.line;
    }
    EXPECT_TRUE(read_line("npm test | Select-Object -Last 5", "PowerShell").tools[0].is_masked);
    EXPECT_TRUE(read_line("npm test | Select-Object -Last 5; exit $LASTEXITCODE", "PowerShell").tools.empty());
}

/// What the exit status says about the tool after which the line is named.
enum class Says : std::uint8_t {
    all,      ///< 0: it passed; otherwise: it failed
    failure,  ///< 0: nothing; otherwise: it failed
    success,  ///< 0: it passed; otherwise: nothing
    nothing,
};

Says status_of(const ToolReading& reading) {
    for (const KnownTool& tool : reading.tools) {
        if (tool.skill_name == reading.skill_name) {
            return tool.is_masked ? (tool.may_cause_failure ? Says::failure : Says::nothing)
                                  : (tool.may_cause_failure ? Says::all : Says::success);
        }
    }
    return Says::all;
}

TEST(CommandLine, hides_or_passes_on_the_status_of_its_tool) {
    const struct {
        const char* line;
        Says says;
    } cases[] = {
        {"pytest", Says::all},
        {"pytest 2>&1", Says::all},
        {"pytest > out.txt 2>&1", Says::all},
        {"cd x && pytest", Says::all},
        {"cd x; pytest", Says::all},
        {"pytest && echo ok", Says::all},
        {"export A=1\npytest", Says::all},
        {"(cd x && pytest)", Says::all},
        {"{ pytest; }", Says::all},
        {"bash -c 'pytest'", Says::all},
        {"eval 'pytest -q'", Says::all},
        {"out=$(pytest)", Says::all},
        {"t() { pytest; }; t", Says::all},
        {"cat x | xargs ruff check", Says::all},
        {"find . -name '*.ts' -exec prettier -c {} +", Says::all},
        {"[ -f x ] && pytest", Says::all},
        {"test -f x || pytest", Says::all},
        {"if [ -d x ]; then pytest; fi", Says::all},
        {"trap 'rm -f x' EXIT; pytest", Says::all},
        {"timeout 60 pytest", Says::all},
        {"concurrently 'pytest' 'mypy .'", Says::all},
        // Masks.
        {"pytest | tail -5", Says::nothing},
        {"pytest 2>&1 | tee log", Says::nothing},
        {"pytest |& head", Says::nothing},
        {"cd x && pytest -q 2>&1 | tail -20", Says::nothing},
        {"bash -c 'pytest | tail'", Says::nothing},
        {"pytest || true", Says::nothing},
        {"pytest || echo failed", Says::nothing},
        {"pytest > /dev/null 2>&1 || :", Says::nothing},
        {"pytest && echo ok || echo failed", Says::nothing},
        {"pytest; echo done", Says::nothing},
        {"pytest; true", Says::nothing},
        {"pytest\nls", Says::nothing},
        {"pytest; false", Says::nothing},
        {"pytest; exit 1", Says::nothing},
        {"pytest &", Says::nothing},
        {"nohup pytest > log 2>&1 &\nsleep 5; cat log", Says::nothing},
        {"echo $(pytest)", Says::nothing},
        {"export OUT=$(pytest)", Says::nothing},
        {"echo \"`pytest`\"", Says::nothing},
        {"cat <(pytest)", Says::nothing},
        {"if pytest; then echo ok; fi", Says::nothing},
        {"if pytest; then echo ok; else echo bad; fi", Says::nothing},
        {"while ! pytest; do sleep 1; done", Says::nothing},
        {"until pytest; do sleep 1; done", Says::nothing},
        {"! pytest", Says::nothing},
        {"find . -exec pytest {} \\;", Says::nothing},
        {"watch pytest", Says::nothing},
        {"tmux new -d 'pytest'", Says::nothing},
        {"pytest | grep -c passed", Says::nothing},
        {"set -o pipefail; pytest | tail || true", Says::nothing},
        {"set -e; pytest | tail", Says::nothing},
        {"set -e; pytest || true", Says::nothing},
        {"pytest; exit ${PIPESTATUS[1]}", Says::nothing},
        {"for f in a b; do pytest $f; done", Says::failure},
        {"pytest & wait", Says::nothing},
        {"t() { pytest; return 0; }; t", Says::nothing},
        // No masks.
        {"set -o pipefail; pytest | tail -5", Says::all},
        {"set -eo pipefail\npytest 2>&1 | tee log\nls", Says::all},
        {"bash -o pipefail -c 'pytest | tail'", Says::all},
        {"bash -euo pipefail -c 'pytest | tail; ls'", Says::all},
        {"set -e; pytest; ls", Says::all},
        {"bash -ec 'pytest; ls'", Says::all},
        {"pytest || exit 1", Says::all},
        {"pytest || exit 1; ls", Says::all},
        {"pytest || false", Says::all},
        {"pytest || { cat log; exit 1; }", Says::all},
        {"pytest || (cat log; false)", Says::all},
        {"pytest > log || { tail log; exit 1; }; echo ok", Says::all},
        {"pytest; exit $?", Says::all},
        {"pytest; rc=$?; cat log; exit $rc", Says::all},
        {"pytest | tee log; exit ${PIPESTATUS[0]}", Says::all},
        {"pytest | tee log; test ${PIPESTATUS[0]} -eq 0", Says::all},
        {"pytest | tail; rc=${PIPESTATUS[0]}; echo $rc; exit $rc", Says::all},
        {"pytest | tail; (exit ${pipestatus[1]})", Says::all},
        {"pytest > log; rc=$?; tail log; [ $rc -eq 0 ]", Says::all},
        {"if ! pytest; then exit 1; fi; ls", Says::all},
        {"if pytest; then echo ok; else exit 1; fi", Says::all},
        {"for f in a b; do pytest $f || exit 1; done", Says::all},
        {"t() { pytest || return 1; ls; }; t", Says::all},
        {"! pytest && exit 1; ls", Says::all},
        {"set +e; pytest; rc=$?; set -e; ls; exit $rc", Says::all},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(static_cast<int>(status_of(read_line(c.line))), static_cast<int>(c.says)) << c.line;
    }
}

/// name, basis, claim, mask, verdict: "mypy output failed - -"
std::string concluded(const char* line, bool is_error, std::string_view output = {}) {
    const ToolConclusion c = read_line(line).conclude(is_error, output);
    std::string text =
        c.skill_name + ' ' + std::string(kNameBases[c.name_basis]) + ' ' + std::string(kOutcomes[c.outcome]);
    text += c.is_masked ? " masked" : " -";
    return text + ' ' + (c.verdict ? std::string(kOutcomes[*c.verdict]) : "-");
}

TEST(ToolReading, concludes_which_tool_failed) {
    constexpr const char* kPytestFailed = "FAILED t.py::test_a - assert 0\n=== 1 failed, 4 passed in 0.12s ===\n";
    constexpr const char* kPytestPassed = "....                    [100%]\n=== 4 passed in 0.12s ===\n";
    const struct {
        const char* line;
        bool is_error;
        const char* output;
        const char* expected;
    } cases[] = {
        {"ls", true, "", "Bash tool failed - -"},
        {"pytest", false, kPytestFailed, "pytest-run command completed - -"},
        {"pytest", true, kPytestPassed, "pytest-run command failed - -"},
        {"cd x && pytest", true, kPytestPassed, "pytest-run command failed - -"},
        // The status is hidden.
        {"pytest | tail -3", false, kPytestFailed, "pytest-run command completed masked failed"},
        {"pytest | tail -3", false, kPytestPassed, "pytest-run command completed masked completed"},
        {"pytest | tail -3", false, "", "pytest-run command completed masked -"},
        {"pytest | grep -c x", true, "0\n", "pytest-run command completed masked -"},
        {"pytest; false", true, kPytestPassed, "pytest-run command completed masked completed"},
        {"pytest; false", true, kPytestFailed, "pytest-run command completed masked failed"},
        // Another command may have failed.
        {"pytest && ./deploy", true, "", "pytest-run command failed - -"},
        {"pytest && ./deploy", true, kPytestFailed, "pytest-run command failed - -"},
        {"pytest && ./deploy", true, kPytestPassed, "pytest-run command completed masked completed"},
        {"./setup && pytest", true, "", "pytest-run command failed - -"},
        // Several known tools.
        {"ruff check . && pytest", false, "", "ruff-check command completed - -"},
        {"ruff check . && pytest", true, "", "ruff-check command failed - -"},
        {"ruff check . && pytest", true, kPytestFailed, "pytest-run output failed - -"},
        {"pytest && mypy .", true, kPytestPassed, "mypy output failed - -"},
        {"ruff check .; pytest", true, "", "pytest-run output failed - -"},
        {"ruff check .; pytest", false, "", "ruff-check command completed masked -"},
        {"ruff check . || true; pytest | tail", false, kPytestFailed, "pytest-run output completed masked failed"},
        {"npm ci && npm test", true, "", "npm test command failed - -"},
        {"git add -A && git commit -m x && git push", true, "", "git commit command failed - -"},
        {"pytest || mypy .", true, "", "pytest-run command failed - -"},
        // Printed statuses.
        {"pytest > log; echo \"exit: $?\"", false, "exit: 1\n", "pytest-run command completed masked failed"},
        {"pytest > log; echo \"exit: $?\"", false, "exit: 0\r\n", "pytest-run command completed masked completed"},
        {"pytest > log; echo \"exit: $?\"", false, "it exit: 1\n", "pytest-run command completed masked -"},
        {"pytest | tail; echo EXIT=${PIPESTATUS[0]}", false, "x\nEXIT=2", "pytest-run command completed masked failed"},
        {"pytest > log; echo $?", false, "12 lines\n1\n", "pytest-run command completed masked failed"},
        {"pytest > log; rc=$?; tail log; echo \"rc $rc\"", false, "rc 0",
         "pytest-run command completed masked completed"},
        {"mypy .; echo \"mypy $?\"; pytest; echo \"pytest $?\"", false, "mypy 0\npytest 1\n",
         "pytest-run output completed masked failed"},
        {"mypy .; echo \"rc $?\"; pytest; echo \"rc $?\"", false, "rc 0\nrc 1\n", "mypy command completed masked -"},
        {"pytest; echo \"rc $RC\"", false, "rc 1", "pytest-run command completed masked -"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(concluded(c.line, c.is_error, c.output), c.expected)
            << c.line << ' ' << c.is_error << ' ' << c.output;
    }
}

TEST(ToolReading, knows_which_lines_of_the_output_are_shown) {
    const struct {
        const char* line;
        LinesShown shown;
    } cases[] = {
        {"pytest || true", LinesShown::all},
        {"pytest 2>&1 | tee log", LinesShown::all},
        {"pytest | tail -5", LinesShown::last},
        {"pytest | tee log | tail -5", LinesShown::last},
        {"pytest | grep passed", LinesShown::some},
        {"pytest | head", LinesShown::some},
        {"pytest 2>&1 | grep passed | tail", LinesShown::some},
        {"pytest > log; ls", LinesShown::some},
        {"pytest 2>/dev/null; ls", LinesShown::some},
        {"pytest > log 2>&1; cat log", LinesShown::all},
        {"pytest &> log; tail log", LinesShown::last},
        {"pytest > log; grep passed log", LinesShown::some},
        {"> x; pytest; ls", LinesShown::all},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(static_cast<int>(read_line(c.line).tools.at(0).shown), static_cast<int>(c.shown)) << c.line;
    }
}

TEST(ToolReading, needs_the_output_only_where_it_can_matter) {
    EXPECT_FALSE(read_line("ls | tail").needs_output(true));
    EXPECT_FALSE(read_line("cd x && pytest").needs_output(true));
    EXPECT_FALSE(read_line("ruff check . && pytest").needs_output(false));
    EXPECT_TRUE(read_line("ruff check . && pytest").needs_output(true));
    EXPECT_TRUE(read_line("pytest | tail").needs_output(false));
}

TEST(ToolReading, keeps_nothing_of_the_command_but_names) {
    const ToolReading reading =
        read_line("A=secret pytest secret/x -k 'secret' | grep secret; echo \"secret $?\"; make secret/");
    ASSERT_EQ(reading.tools.size(), 2U);
    EXPECT_EQ(reading.tools[0].skill_name, "pytest-run");
    EXPECT_EQ(reading.tools[1].skill_name, "make");
}

TEST(ToolReading, is_bounded_for_any_command) {
    std::string calls = "a() { pytest; pytest; }; ";
    for (char name = 'b'; name < 'i'; ++name) {
        calls += std::string(1, name) + "() { " + std::string(1, static_cast<char>(name - 1)) + "; " +
                 std::string(1, static_cast<char>(name - 1)) + "; }; ";
    }
    EXPECT_EQ(name_of(calls + "h"), "pytest-run");
    EXPECT_EQ(name_of("f() { f; pytest; f; }; f"), "pytest-run");
    std::string tools;
    for (int i = 0; i < 1000; ++i) {
        tools +=
            "make t" + std::string(static_cast<std::size_t>(i % 7), 'x') + "; pnpm run a" + std::to_string(i) + "; ";
    }
    EXPECT_LE(read_line(tools).tools.size(), 62U);
    std::string wrappers;
    for (int i = 0; i < 30; ++i) {
        wrappers += "yarn run pnpm run ";
    }
    EXPECT_EQ(name_of(wrappers + "jest"), "yarn pnpm");
    // Each of these takes seconds if a step of it takes time in proportion to the script.
    for (const char* part : {"echo x# $?; ", "x#=$?; ", "f#() { a; }; f#; ", "pytest | tail; ", "if a; then b; fi; "}) {
        std::string script;
        for (int i = 0; script.size() + 32 < kMaxShellBytes; ++i) {
            std::string own = part;
            for (std::size_t at = own.find('#'); at != std::string::npos; at = own.find('#')) {
                own.replace(at, 1, std::to_string(i));
            }
            script += own;
        }
        EXPECT_EQ(name_of(script + "; make x"), script.starts_with("pytest") ? "pytest-run" : "make:x");
    }
}

}  // namespace
}  // namespace session_buddy::ingest
