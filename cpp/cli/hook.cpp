// The binary session-buddy-hook.
#include <span>
#include <vector>

#include "session_buddy/app/hook_command.hpp"

int main(int count, char** words) {
    const std::vector<const char*> arguments(words + (count > 0 ? 1 : 0), words + count);
    return session_buddy::app::run_hook_command(arguments);
}
