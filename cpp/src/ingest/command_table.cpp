// The tables of command_table.hpp.
#include "command_table.hpp"

#include <array>

namespace session_buddy::ingest {
namespace {

using Form = CommandWrapper::Form;

constexpr std::string_view kUvRunOptions =
    "--with --with-requirements --with-editable --from --python -p --extra --group --only-group --no-group --env-file "
    "--project --directory --package --index --index-url -i --default-index --extra-index-url --find-links -f "
    "--cache-dir --config-file --color --refresh-package";
constexpr std::string_view kContainerOptions =
    "-e --env --env-file -u --user -w --workdir -v --volume -p --publish --name --network --net --entrypoint --mount "
    "-h "
    "--hostname --platform --add-host --cpus -m --memory -l --label --pull --tmpfs --gpus --device --cap-add "
    "--cap-drop "
    "--security-opt --shm-size --ulimit --restart --pid --ipc --userns --link --expose --volumes-from --index "
    "--detach-keys";
constexpr std::string_view kComposeOptions =
    "-f --file -p --project-name --profile --env-file --project-directory --ansi";

// NOLINTBEGIN(modernize-use-designated-initializers): tables
constexpr std::array kWrappers = std::to_array<CommandWrapper>({
    // Of the system.
    {"sudo", "-u -g -C -D -h -p -R -T -U --user --group --chdir --prompt --host"},
    {"doas", "-u -C"},
    {"env", "-u --unset -C --chdir", Form::words, 0, "", "-S --split-string"},
    {"time", "-f --format -o --output"},
    {"nice", "-n --adjustment"},
    {"ionice", "-c -n -p"},
    {"chrt", "", Form::words, 1},
    {"taskset", "", Form::words, 1},
    {"nohup", ""},
    {"exec", "-a"},
    {"command", ""},
    {"builtin", ""},
    {"setsid", ""},
    {"unbuffer", ""},
    {"stdbuf", "-i -o -e --input --output --error"},
    {"timeout", "-s --signal -k --kill-after", Form::words, 1},
    {"gtimeout", "-s --signal -k --kill-after", Form::words, 1},
    {"caffeinate", "-t -w"},
    {"strace", "-e -o -p -s"},
    {"xargs", "-a -d -E -I -L -n -P -s --arg-file --delimiter --max-lines --max-args --max-procs --max-chars"},
    {"parallel", "-j --jobs -n -N -S --timeout --delay --joblog --results"},
    {"find", "", Form::after_option, 0, "", "-exec -execdir -ok -okdir"},
    {"fd", "", Form::after_option, 0, "", "-x --exec -X --exec-batch"},
    {"watch", "-n --interval", Form::script, 0, "", "", true},
    {"script", "", Form::script, 1, "", "-c --command", true},
    {"su", "", Form::script, 1, "", "-c --command"},
    {"ssh", "-p -i -l -o -F -J -L -R -D -b -c -E -W", Form::script, 1},
    {"powershell", "-ExecutionPolicy -ep -ex -WorkingDirectory -wd -Version", Form::script},
    {"pwsh", "-ExecutionPolicy -ep -ex -WorkingDirectory -wd -Version", Form::script},
    {"cmd", "", Form::script},
    {"tmux new", "-s -n -c -x -y -e -t -F -f", Form::script, 0, "", "", true},
    {"tmux new-session", "-s -n -c -x -y -e -t -F -f", Form::script, 0, "", "", true},
    {"tmux new-window", "-n -c -e -t -F", Form::script, 0, "", "", true},
    {"tmux neww", "-n -c -e -t -F", Form::script, 0, "", "", true},
    {"tmux split-window", "-c -e -t -F -l -p", Form::script, 0, "", "", true},
    {"screen", "-S -dmS -dSm -L -s -t -T -e -h -c", Form::words, 0, "", "", true},
    {"xvfb-run", "-n -s -e -f -w --server-num --server-args --error-file --auth-file --wait"},
    {"ccache", ""},
    {"eatmydata", ""},
    {"valgrind", ""},
    // Containers: the tool inside.
    {"docker run", kContainerOptions, Form::words, 1},
    {"docker exec", kContainerOptions, Form::words, 1},
    {"docker container run", kContainerOptions, Form::words, 1},
    {"docker container exec", kContainerOptions, Form::words, 1},
    {"docker compose run", kContainerOptions, Form::words, 1},
    {"docker compose exec", kContainerOptions, Form::words, 1},
    {"docker-compose run", kContainerOptions, Form::words, 1},
    {"docker-compose exec", kContainerOptions, Form::words, 1},
    {"podman run", kContainerOptions, Form::words, 1},
    {"podman exec", kContainerOptions, Form::words, 1},
    {"podman compose run", kContainerOptions, Form::words, 1},
    {"podman compose exec", kContainerOptions, Form::words, 1},
    {"podman-compose run", kContainerOptions, Form::words, 1},
    {"podman-compose exec", kContainerOptions, Form::words, 1},
    {"kubectl exec", "", Form::after_dashes},
    {"oc exec", "", Form::after_dashes},
    {"devcontainer exec", "--workspace-folder --container-id --config --remote-env --id-label"},
    {"ddev exec", "-s --service -d --dir"},
    {"toolbox run", "-c --container"},
    {"distrobox enter", "", Form::after_dashes},
    // Environments and secrets.
    {"mise exec", "", Form::after_dashes, 0, "", "-c --command"},
    {"mise x", "", Form::after_dashes, 0, "", "-c --command"},
    {"asdf exec", ""},
    {"fnm exec", "--using --fnm-dir --log-level --arch"},
    {"nvm exec", "", Form::words, 1},
    {"volta run", "--node --npm --pnpm --yarn"},
    {"rbenv exec", ""},
    {"pyenv exec", ""},
    {"direnv exec", "", Form::words, 1},
    {"nix develop", "", Form::after_option, 0, "", "-c --command"},
    {"nix shell", "", Form::after_option, 0, "", "-c --command"},
    {"nix-shell", "", Form::script, 0, "", "--run --command"},
    {"devbox run", "-c --config -e --env --env-file --environment"},
    {"flox activate", "", Form::after_dashes},
    {"guix shell", "", Form::after_dashes},
    {"dotenv", "-e -f --file -v -c -p -o", Form::words},
    {"dotenv run", ""},
    {"dotenvx run", "-f --env-file -e --env", Form::words},
    {"env-cmd", "-f --file -r --rc-file -e --environments"},
    {"cross-env", ""},
    {"cross-env-shell", "", Form::script},
    {"aws-vault exec", "-d --duration -m --mfa-token", Form::words, 1},
    {"op run", "--env-file --account"},
    {"doppler run", "-p --project -c --config -t --token"},
    {"infisical run", "--env --path --projectId --token"},
    {"chamber exec", "", Form::after_dashes},
    {"sops exec-env", "", Form::script, 1},
    // Proxies that shorten outputs for agents.
    {"rtk", ""},
    {"rtk test", ""},
    {"rtk err", ""},
    {"rtk proxy", ""},
    {"rtk summary", ""},
    // Python.
    {"uv run", kUvRunOptions, Form::words_or_module},
    {"uv tool run", kUvRunOptions},
    {"uvx", kUvRunOptions},
    {"poetry run", "-C --directory -P --project"},
    {"pdm run", "-p --project"},
    {"pipenv run", ""},
    {"hatch run", "-e --env"},
    {"rye run", ""},
    {"pixi run", "-e --environment --manifest-path"},
    {"conda run", "-n --name -p --prefix --cwd"},
    {"mamba run", "-n --name -p --prefix --cwd"},
    {"micromamba run", "-n --name -p --prefix --cwd"},
    {"pipx run", "--spec --python"},
    {"coverage run", "--rcfile --source --omit --include --context --data-file --concurrency", Form::module},
    {"python", "-X -W --check-hash-based-pycs", Form::file},
    {"pypy", "-X -W", Form::file},
    // JavaScript.
    {"node", "-r --require --import --loader --env-file", Form::file},
    {"npx", "-p --package -w --workspace"},
    {"npm exec", "-p --package -w --workspace"},
    {"npm x", "-p --package -w --workspace"},
    {"pnpm exec", ""},
    {"pnpm dlx", "--package"},
    {"pnpm", "-C --dir -F --filter"},
    {"pnpm run", ""},
    {"pnpx", "-p --package"},
    {"yarn exec", ""},
    {"yarn dlx", "-p --package"},
    {"yarn", "--cwd"},
    {"yarn run", ""},
    {"yarn workspace", "", Form::words, 1, "yarn"},
    {"yarn workspaces foreach", "-j --jobs --from --include --exclude --since", Form::words, 0, "yarn"},
    {"yarn workspaces", "", Form::words, 0, "yarn"},
    {"bunx", "-p --package"},
    {"bun x", ""},
    {"bun run", "--cwd --filter"},
    {"corepack", ""},
    {"concurrently", "-n --names -c --prefix-colors -p --prefix -s --success -l --prefix-length -m --max-processes",
     Form::scripts},
    {"c8", "-r --reporter -o --reports-dir -n --include -x --exclude"},
    {"nyc", "-r --reporter"},
    {"nx exec", "", Form::after_dashes},
    {"lerna exec", "--scope --ignore --concurrency", Form::words},
    // Others.
    {"bundle exec", ""},
    {"php", "-d -c", Form::file},
    {"ruby", "-I -r", Form::file},
    {"dotnet tool run", ""},
    {"dotnet exec", ""},
    {"sail", ""},
    {"composer exec", ""},
});

constexpr std::string_view kNoYarnTasks =
    "add remove install upgrade up set config why info list link unlink cache init create dlx exec workspace "
    "workspaces "
    "node npm pack publish version audit outdated dedupe import plugin rebuild constraints global bin login logout "
    "owner "
    "help generate-lock-entry policies self-update licenses run patch patch-commit stage search team tag unplug";
constexpr std::string_view kNoPnpmTasks =
    "add remove rm uninstall un install i update up upgrade link ln unlink import rebuild rb prune fetch audit "
    "outdated "
    "list ls la ll why licenses dlx create exec run store server config c root bin setup init deploy doctor env pack "
    "publish patch patch-commit patch-remove self-update approve-builds ignored-builds dedupe cat-file cat-index "
    "find-hash "
    "recursive m multi help completion view info login whoami ping dist-tag search owner";
constexpr std::string_view kNoBunTasks =
    "install i add a remove rm update outdated link unlink pm build init create c upgrade exec repl x run test publish "
    "patch audit info why help node jest";

constexpr std::array kRunners = std::to_array<TaskRunner>({
    {"make", "make:", "-C -f -I -o -W --directory --file --makefile --include-dir --old-file --what-if --assume-old",
     "", "make"},
    {"gmake", "make:", "-C -f -I -o -W --directory --file --makefile --include-dir", "", "make"},
    {"just", "just:", "-f --justfile -d --working-directory --dotenv-path --shell --color --dotenv-filename -E", "",
     "just"},
    // Taskwarrior has the same name: its commands are no tasks.
    {"task", "task:", "-d --dir -t --taskfile -c --concurrency -o --output -I --interval",
     "add list ls next done modify delete info start stop annotate append edit export import undo projects tags",
     "task"},
    {"go-task", "task:", "-d --dir -t --taskfile -c --concurrency -o --output -I --interval", "", "task"},
    {"mise run", "mise:", "-C --cd -j --jobs -o --output -t --tool -S --shell", "", "mise"},
    {"mise r", "mise:", "-C --cd -j --jobs -o --output -t --tool -S --shell", "", "mise"},
    {"mise", "mise:", "-C --cd -E --env -j --jobs",
     "activate alias backends bin-paths cache completion config cfg current deactivate direnv doctor dr edit en env e "
     "exec x "
     "fmt generate gen global implode install i install-into latest link ln list ls ls-remote lsp local l mcp outdated "
     "plugins p prepare prune registry reshim run r search self-update set settings shell sh shell-alias sync tasks t "
     "test-tool token tool tool-stub trust uninstall unset untrust unuse upgrade up usage use u version v watch w "
     "where "
     "which help",
     ""},
    {"poe", "poe:", "-C --directory -e --executor", "", ""},
    {"invoke", "invoke:", "-c --collection -r --search-root", "", ""},
    {"inv", "invoke:", "-c --collection -r --search-root", "", ""},
    {"hatch run", "hatch:", "-e --env", "", ""},
    {"hatch test", "hatch test", "", "", "hatch test"},
    {"pdm run", "pdm:", "", "", ""},
    {"rye run", "rye:", "", "", ""},
    {"pixi run", "pixi:", "-e --environment --manifest-path", "", ""},
    {"devbox run", "devbox:", "-c --config -e --env --env-file --environment", "", ""},
    {"npm run", "npm run ", "-w --workspace --prefix -C", "", "npm run"},
    {"npm run-script", "npm run ", "-w --workspace --prefix -C", "", "npm run"},
    {"pnpm run", "pnpm ", "", "", "pnpm run"},
    {"pnpm", "pnpm ", "-C --dir -F --filter", kNoPnpmTasks, ""},
    {"yarn run", "yarn ", "", "", "yarn run"},
    {"yarn", "yarn ", "--cwd", kNoYarnTasks, ""},
    {"bun run", "bun run ", "--cwd --filter", "", "bun run"},
    {"bun", "bun run ", "--cwd --filter", kNoBunTasks, ""},
    {"deno task", "deno task ", "-c --config --cwd", "", ""},
    {"turbo run", "turbo:", "-F --filter --concurrency --cwd", "", "turbo"},
    {"turbo", "turbo:", "-F --filter --concurrency --cwd",
     "bin boundaries completion daemon devtools docs gen generate info link login logout ls prune query run scan "
     "telemetry "
     "unlink watch help",
     ""},
    {"nx run", "nx:", "-c --configuration", "", "nx"},
    {"nx run-many", "nx:", "", "", "nx", "-t --target --targets"},
    {"nx affected", "nx:", "", "", "nx", "-t --target --targets"},
    {"nx", "nx:", "",
     "add affected connect connect-to-nx-cloud daemon exec format format:check format:write g generate graph dep-graph "
     "import "
     "init list migrate mcp new release repair report reset run run-many show sync sync:check view-logs watch help",
     ""},
    {"lerna run", "lerna:", "--scope --ignore --concurrency", "", "lerna"},
    {"composer run", "composer:", "-d --working-dir", "", ""},
    {"composer run-script", "composer:", "-d --working-dir", "", ""},
    {"composer", "composer:", "-d --working-dir",
     "about archive audit browse home bump check-platform-reqs clear-cache clearcache cc config create-project depends "
     "why "
     "diagnose dump-autoload dumpautoload exec fund global help info show init install i licenses list outdated "
     "prohibits "
     "why-not reinstall remove rm uninstall require r run run-script search self-update selfupdate status suggests "
     "update u "
     "upgrade validate",
     ""},
    {"melos run", "melos:", "", "", ""},
    {"cargo make", "cargo make:", "", "", ""},
    {"moon run", "moon:", "", "", ""},
    {"mage", "mage:", "-d -w", "", ""},
});

constexpr std::array kProgramOptions = std::to_array<ProgramOptions>({
    {"git", "-C -c --git-dir --work-tree --namespace --exec-path --config-env"},
    {"npm", "--prefix -w --workspace -C --userconfig --loglevel"},
    {"pnpm", "-C --dir -F --filter"},
    {"yarn", "--cwd"},
    {"bun", "--cwd --filter"},
    {"cargo", "-C --config --color -Z --manifest-path"},
    {"go", "-C"},
    {"uv", "--project --directory --config-file --cache-dir --color"},
    {"poetry", "-C --directory -P --project"},
    {"pdm", "-p --project"},
    {"hatch", "-e --env -p --project"},
    {"docker",
     "-H --host -c --context --config -l --log-level -f --file -p --project-name --profile --env-file "
     "--project-directory --ansi"},
    {"docker-compose", kComposeOptions},
    {"podman", kComposeOptions},
    {"podman-compose", kComposeOptions},
    {"kubectl", "-n --namespace --context --kubeconfig --cluster"},
    {"helm", "-n --namespace --kube-context --kubeconfig"},
    {"ruff", "--config"},
    {"mise", "-C --cd -E --env"},
    {"gh", "-R --repo"},
    {"tmux", "-L -S -f"},
    {"nix", "--option"},
});

constexpr std::array kInformationWords = std::to_array<InformationWords>({
    {"pytest", "-V -h --collect-only --co --fixtures --markers --setup-plan"},
    {"py.test", "-V -h --collect-only --co --fixtures --markers --setup-plan"},
    {"ruff", "-V -h", "rule config linter clean version help server analyze"},
    {"mypy", "-V -h"},
    {"tox", "-h -l --listenvs --listenvs-all --showconfig", "list l config c"},
    {"nox", "-h -l --list"},
    {"pre-commit", "",
     "install install-hooks uninstall autoupdate clean gc init-templatedir migrate-config sample-config"},
    {"prek", "", "install install-hooks uninstall auto-update autoupdate list clean gc cache util sample-config self"},
    {"make", "-h -v -n -p -q --dry-run --just-print --recon --print-data-base --question", "help"},
    {"gmake", "-h -v -n -p -q --dry-run --just-print --recon --print-data-base --question", "help"},
    {"just", "-h -V -l -n --list --summary --show --dump --evaluate --dry-run --variables --choose", "help"},
    {"task", "-h -l -a -n --list --list-all --dry --summary --init --status", "help"},
    {"go-task", "-h -l -a -n --list --list-all --dry --summary --init --status", "help"},
    {"mise", "-n --dry-run"},
    {"jest", "-h -v --listTests --showConfig --clearCache --init"},
    {"vitest", "-h -v", "list init"},
    {"mocha", "-h -V --dry-run --list-reporters --list-interfaces"},
    {"playwright", "-h --list"},
    {"eslint", "-h -v --print-config --env-info --init --inspect-config"},
    {"tsc", "-h -v --showConfig --init --all --listFilesOnly"},
    {"prettier", "-h -v --find-config-path --file-info --support-info"},
    {"cargo", "-h --list"},
    {"go", "-h -list"},
    {"ctest", "-h -N --show-only"},
    {"cmake", "-h --help-command --help-module", "-E -P"},
    {"ninja", "-h -n -t"},
    {"mvn", "-h -v", "help:effective-pom help:describe help:help"},
    {"mvnw", "-h -v"},
    {"gradle", "-h -v -? --status --stop", "tasks help projects properties"},
    {"gradlew", "-h -v -? --status --stop", "tasks help projects properties"},
    {"phpunit", "-h --list-tests --list-suites --list-groups"},
    {"rake", "-h -T -P -V --tasks --dry-run"},
    {"golangci-lint", "-h", "linters formatters version config cache help completion"},
    {"npm", "-h"},
    {"git", "-h --dry-run"},
    {"docker compose", "", "ps logs config ls top images port events version stats"},
    {"terraform", "-h"},
    {"xcodebuild", "-h -list -version -showBuildSettings -showsdks -showdestinations"},
    {"sbt", "-h -V"},
    {"biome", "-h -V", "version explain init start stop rage lsp-proxy migrate"},
    {"black", "-h"},
    {"isort", "-h -V --show-files --show-config"},
    {"flake8", "-h"},
    {"pylint", "-h --list-msgs --generate-rcfile"},
    {"pyright", "-h"},
    {"semgrep", "-h", "login logout show"},
    {"nx", "--graph"},
    {"turbo", "--dry --dry-run --graph"},
});
// NOLINTEND(modernize-use-designated-initializers)

}  // namespace

std::span<const CommandWrapper> command_wrappers() {
    return kWrappers;
}

std::span<const TaskRunner> task_runners() {
    return kRunners;
}

std::span<const ProgramOptions> program_options() {
    return kProgramOptions;
}

std::span<const InformationWords> information_words() {
    return kInformationWords;
}

}  // namespace session_buddy::ingest
