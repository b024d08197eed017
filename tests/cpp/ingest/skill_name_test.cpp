// The skill name of each tool use.
#include "session_buddy/ingest/skill_name.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "session_buddy/core/invocation.hpp"

namespace session_buddy::ingest {
namespace {

using nlohmann::json;

const SkillNamer& namer() {
    static const SkillNamer kNamer;
    return kNamer;
}

TEST(SkillNamer, names_tools_by_the_table) {
    const struct {
        const char* tool;
        json input;
        const char* expected;
    } cases[] = {
        {"Skill", {{"skill", "elixir:hex-docs-search"}}, "elixir:hex-docs-search"},
        {"Skill", {{"skill_name", "pdf"}}, "pdf"},
        {"Skill", {{"command", "commit"}}, "commit"},
        {"Skill", {{"command", "/commit"}}, "commit"},
        {"Skill", {{"skill", "new"}, {"skill_name", "old"}, {"command", "older"}}, "new"},
        {"Skill", {{"skill", ""}, {"command", "older"}}, "older"},
        {"Skill", {{"skill", 3}}, "Skill"},
        {"Skill", json::object(), "Skill"},
        {"Skill", nullptr, "Skill"},
        {"Agent", {{"subagent_type", "Explore"}}, "agent:Explore"},
        {"Task", {{"subagent_type", "general-purpose"}}, "agent:general-purpose"},
        {"Task", {{"prompt", "x"}}, "Task"},
        {"mcp__github__create_issue", {{"command", "pytest"}}, "mcp__github__create_issue"},
        {"Read", {{"file_path", "/x"}}, "Read"},
        {"Edit", json::array(), "Edit"},
        {"Bash", {{"command", "uv run pytest -q"}}, "pytest-run"},
        {"Bash", {{"command", "ls"}}, "Bash"},
        {"Bash", {{"command", json::array({"pytest"})}}, "Bash"},
        {"Bash", nullptr, "Bash"},
        {"BashOutput", {{"command", "pytest"}}, "BashOutput"},
        {"", json::object(), "unknown"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(namer().for_tool(c.tool, c.input), c.expected) << c.tool << ' ' << c.input;
    }
}

TEST(SkillNamer, finds_the_tool_in_a_command_line) {
    const struct {
        const char* command;
        const char* expected;
    } cases[] = {
        // The names in the specification.
        {"pytest", "pytest-run"},
        {"ruff check .", "ruff-check"},
        {"ruff format src", "ruff-format"},
        {"mypy --strict src", "mypy"},
        {"npm test", "npm test"},
        {"cargo test --release", "cargo test"},
        {"go test ./...", "go test"},
        {"mix test --seed 0", "mix test"},
        {"make -j8 all", "make:all"},
        {"git commit -m x", "git commit"},
        // Wrappers before a tool.
        {"uv run pytest tests", "pytest-run"},
        {"uv run --with pytest-cov --python 3.12 pytest tests", "pytest-run"},
        {"uv run --python=3.12 -- pytest", "pytest-run"},
        {"uv run -m pytest", "pytest-run"},
        {"uv --project api run ruff check", "ruff-check"},
        {"uvx ruff@0.6.1 format", "ruff-format"},
        {"uv tool run mypy .", "mypy"},
        {"poetry run mypy .", "mypy"},
        {"pdm run pytest", "pytest-run"},
        {"pipenv run pytest", "pytest-run"},
        {"hatch run pytest", "pytest-run"},
        {"conda run -n env pytest", "pytest-run"},
        {"npx eslint .", "eslint"},
        {"npx --yes eslint@9 .", "eslint"},
        {"npx -p typescript tsc --noEmit", "tsc"},
        {"pnpm exec vitest run", "vitest"},
        {"bundle exec rspec", "rspec"},
        {"python -m pytest -q", "pytest-run"},
        {"python3.11 -X dev -m pytest", "pytest-run"},
        {"python3 -W error -um mypy", "mypy"},
        {"python -mpytest", "pytest-run"},
        {".venv/bin/python -m ruff check", "ruff-check"},
        {"python -m pip install x", "pip install"},
        {"python -m unittest discover", "unittest"},
        {"coverage run --source src -m pytest", "pytest-run"},
        {"uv run coverage run -m pytest", "pytest-run"},
        {"/usr/local/bin/pytest", "pytest-run"},
        {"./node_modules/.bin/jest", "jest"},
        {"./gradlew test", "gradle"},
        {"cd web && npm test", "npm test"},
        {"cd /tmp; pytest", "pytest-run"},
        {"CI=1 PYTHONPATH=src:. pytest", "pytest-run"},
        {"A='x y' B=$(pwd) pytest", "pytest-run"},
        {"export X=1 && pytest", "pytest-run"},
        {"env -u HOME A=1 pytest", "pytest-run"},
        {"sudo -u ci make install", "make:install"},
        {"time pytest", "pytest-run"},
        {"timeout 60 pytest", "pytest-run"},
        {"timeout -k 5 --signal=KILL 60s uv run pytest", "pytest-run"},
        {"nice -n 10 nohup pytest &", "pytest-run"},
        {"stdbuf -oL pytest", "pytest-run"},
        {"xvfb-run -a npx playwright test", "playwright test"},
        {"sudo env A=1 time uv run python -m pytest", "pytest-run"},
        // Pipes, lists, nesting.
        {"pytest 2>&1 | tail -20", "pytest-run"},
        {"pytest | tee out.txt; echo done", "pytest-run"},
        {"find . -name '*.py' | xargs -n 10 ruff check", "ruff-check"},
        {"echo start && mypy . || true", "mypy"},
        {"(cd web && npm test)", "npm test"},
        {"{ pytest; }", "pytest-run"},
        {"bash -c 'cd x && pytest'", "pytest-run"},
        {"bash -lc \"pytest -q\"", "pytest-run"},
        {"sh -e -o pipefail -c 'make'", "make"},
        {"bash -c \"bash -c 'make'\"", "make"},
        {"eval \"pytest -q\"", "pytest-run"},
        {"out=$(pytest -q); echo $out", "pytest-run"},
        {"echo \"$(mypy .)\"", "mypy"},
        {"if pytest; then echo ok; fi", "pytest-run"},
        {"for f in a b; do ruff check $f; done", "ruff-check"},
        {"while ! make; do sleep 1; done", "make"},
        {"! mypy .", "mypy"},
        // Options between the words of a command.
        {"git -C repo -c user.name=x commit -m y", "git commit"},
        {"npm --prefix web test", "npm test"},
        {"npm run -s lint", "npm run lint"},
        {"cargo +nightly test", "cargo test"},
        {"go -C sub test ./...", "go test"},
        {"make -C sub", "make"},
        {"ruff --config x.toml check", "ruff-check"},
        // More words win; another spelling of the same.
        {"npm run test", "npm test"},
        {"npm run build", "npm run build"},
        {"npm run storybook", "npm run storybook"},
        {"mix test.watch", "Bash"},
        // The first known tool; a preparation only if there is no other.
        {"ruff check . && mypy .", "ruff-check"},
        {"mypy . && ruff check .", "mypy"},
        {"npm install && npm test", "npm test"},
        {"npm ci", "npm ci"},
        {"npm ci && pip install x", "npm ci"},
        {"cmake -B build && cmake --build build && ctest", "ctest"},
        {"git add -A && git commit -m x && git push", "git commit"},
        {"git commit -m \"$(cat <<'EOF'\nfix: don't run pytest (yet; make\n\nmake it so\nEOF\n)\"", "git commit"},
        // Words that resemble a tool.
        {"ls", "Bash"},
        {"", "Bash"},
        {"echo pytest", "Bash"},
        {"echo 'done; pytest'", "Bash"},
        {"grep -r pytest . | head", "Bash"},
        {"cat pytest.ini # pytest", "Bash"},
        {"which ruff", "Bash"},
        {"command -v pytest", "Bash"},
        {"git status", "Bash"},
        {"git log --grep commit", "Bash"},
        {"git stash push -m commit", "Bash"},
        {"cat > run.sh <<'EOF'\npytest\nEOF", "Bash"},
        {"python script.py -m pytest", "Bash"},
        {"python -c 'import pytest' -m pytest", "Bash"},
        {"bash script.sh -c make", "Bash"},
        {"pip show pytest", "Bash"},
        {"./make-release.sh", "Bash"},
        {"pytest-watch", "Bash"},
        {"uv run script.py", "Bash"},
        {"uv run", "Bash"},
        {"sudo", "Bash"},
        {"A=pytest", "Bash"},
        {"for make in a b; do echo; done", "Bash"},
        {"bash -c", "Bash"},
        {"'", "Bash"},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(namer().for_shell_command(c.command).value_or("Bash"), c.expected) << c.command;
    }
}

TEST(SkillNamer, strips_a_bounded_number_of_wrappers) {
    const SkillNamer namer;
    const auto behind = [&namer](int wrappers) {
        std::string line;
        for (int i = 0; i < wrappers; ++i) {
            line += "nice ";
        }
        return namer.for_shell_command(line + "pytest").value_or("Bash");
    };
    EXPECT_EQ(behind(16), "pytest-run");
    EXPECT_EQ(behind(17), "Bash");
}

TEST(SkillNamer, extra_rules_win_over_built_in_ones_of_the_same_length) {
    const ToolRule extra[] = {
        {"bd sync", "beads-sync"}, {"pytest", "my-tests"}, {"ruff", "ruff-any"}, {" ", "nothing"}};
    const SkillNamer custom(extra);
    EXPECT_EQ(custom.for_shell_command("cd x && bd --quiet sync"), "beads-sync");
    EXPECT_EQ(custom.for_shell_command("uv run pytest"), "my-tests");
    EXPECT_EQ(custom.for_shell_command("ruff check"), "ruff-check");
    EXPECT_EQ(custom.for_shell_command("ruff rule"), "ruff-any");
    EXPECT_EQ(custom.for_shell_command("mypy"), "mypy");
}

TEST(SkillNamer, typed_commands_lose_their_slash) {
    EXPECT_EQ(SkillNamer::for_typed_command("/compact"), "compact");
    EXPECT_EQ(SkillNamer::for_typed_command(" /handy:make-it "), "handy:make-it");
    EXPECT_EQ(SkillNamer::for_typed_command("/"), "unknown");
}

TEST(McpServer, is_the_part_between_the_prefix_and_the_tool) {
    EXPECT_EQ(mcp_server("mcp__github__create_issue"), "github");
    EXPECT_EQ(mcp_server("mcp__claude_ai_Gmail__search__all"), "claude_ai_Gmail");
    for (const char* name : {"", "Read", "mcp__", "mcp__github", "mcp__github__", "mcp____tool", "github__create"}) {
        EXPECT_EQ(mcp_server(name), "") << name;
    }
}

TEST(SkillNamer, every_rule_of_the_table_names_its_own_command) {
    std::set<std::string> commands;
    for (const ToolRule& rule : default_tool_rules()) {
        EXPECT_TRUE(is_valid_skill_name(rule.skill)) << rule.skill;
        EXPECT_TRUE(commands.insert(rule.command).second) << rule.command << " is a duplicate";
        // "ruff" without an argument prints its help.
        EXPECT_EQ(namer().for_shell_command(rule.command + " ."), rule.skill) << rule.command;
    }
}

TEST(ToSkillName, sanitizes_any_text) {
    const struct {
        std::string text;
        std::string expected;
    } cases[] = {
        {"plain", "plain"},
        {"  a b\t", "a b"},
        {"a\nb\x01\x7F", "ab"},
        {"caf\xC3\xA9", "caf\xC3\xA9"},
        {"a\xC2\x85 b", "a b"},  // C1
        {"a\xFF\xC3(", "a("},
        {"\xE0\x80\x80x\xED\xA0\x80y\xF4\x90\x80\x80z", "xyz"},  // overlong, surrogate, too high
        {std::string("a\0b", 3), "ab"},
        {std::string(300, 'x'), std::string(256, 'x')},
        {std::string(255, 'x') + "\xC3\xA9", std::string(255, 'x')},  // truncated before the character, not inside
        {"\n", "fallback"},
        {"", "fallback"},
    };
    for (const auto& c : cases) {
        const std::string name = to_skill_name(c.text, "fallback");
        EXPECT_EQ(name, c.expected);
        EXPECT_TRUE(is_valid_skill_name(name)) << name;
    }
}

}  // namespace
}  // namespace session_buddy::ingest
