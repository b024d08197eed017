// See spool.hpp.
#include "session_buddy/app/spool.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "session_buddy/core/log.hpp"
#include "session_buddy/core/small_file.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Kind = storage::SkillEvent::Kind;

constexpr log::Logger kLog{"session_buddy.spool"};

constexpr std::string_view kEnding = ".json";
constexpr std::string_view kUnfinished = ".part";
/// What a process that was killed left half written is removed when it is this old.
constexpr std::chrono::hours kAbandoned{1};

constexpr std::array<std::pair<Kind, std::string_view>, 5> kKinds{{{Kind::invocation, "invocation"},
                                                                   {Kind::command, "command"},
                                                                   {Kind::started, "started"},
                                                                   {Kind::finished, "finished"},
                                                                   {Kind::session_end, "session_end"}}};

std::string_view name_of(Kind kind) {
    return std::ranges::find(kKinds, kind, &std::pair<Kind, std::string_view>::first)->second;
}

std::string to_json(const storage::SkillEvent& event) {
    json fields{{"kind", name_of(event.kind)},
                {"key", event.key},
                {"at", format_precise_timestamp(event.at)},
                {"skill_name", event.record.skill_name},
                {"session_id", event.record.session_id},
                {"completed", event.record.completed}};
    if (event.record.duration_seconds) {
        fields["duration_seconds"] = *event.record.duration_seconds;
    }
    if (event.record.error_type) {
        fields["error_type"] = *event.record.error_type;
    }
    return fields.dump() + '\n';
}

/// Nothing where the text is no event. Whether its values can be stored is for the store to say.
std::optional<storage::SkillEvent> from_json(std::string_view text) {
    try {
        const json fields = json::parse(text);
        const auto kind =
            std::ranges::find(kKinds, fields.at("kind").get<std::string>(), &std::pair<Kind, std::string_view>::second);
        const auto at = parse_timestamp(fields.at("at").get<std::string>());
        if (kind == kKinds.end() || !at) {
            return std::nullopt;
        }
        storage::SkillEvent event;
        event.kind = kind->first;
        event.key = fields.at("key").get<std::string>();
        event.at = *at;
        event.record.skill_name = fields.at("skill_name").get<std::string>();
        event.record.session_id = fields.at("session_id").get<std::string>();
        event.record.completed = fields.at("completed").get<bool>();
        if (fields.contains("duration_seconds")) {
            event.record.duration_seconds = fields.at("duration_seconds").get<double>();
        }
        if (fields.contains("error_type")) {
            event.record.error_type = fields.at("error_type").get<std::string>();
        }
        return event;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

[[noreturn]] void fail(const fs::path& path, int error) {
    throw SpoolError(fmt::format("cannot write to \"{}\": {}", path.string(), std::generic_category().message(error)));
}

/// Sorts by time.
std::string new_name() {
    static std::atomic<unsigned> count{0};
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return fmt::format("{:020}-{}-{}", std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(), ::getpid(),
                       count.fetch_add(1));
}

void write_file(const fs::path& path, std::string_view text, bool sync) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        fail(path, errno);
    }
    int error = 0;
    while (!text.empty() && error == 0) {
        const auto count = ::write(file, text.data(), text.size());
        if (count > 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    if (error == 0 && sync && ::fsync(file) != 0) {
        error = errno;
    }
    if (::close(file) != 0 && error == 0) {
        error = errno;
    }
    if (error != 0) {
        ::unlink(path.c_str());
        fail(path, error);
    }
}

void sync_folder(const fs::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        fail(folder, errno);
    }
    const int error = ::fsync(descriptor) != 0 ? errno : 0;
    ::close(descriptor);
    if (error != 0) {
        fail(folder, error);
    }
}

void remove_if_abandoned(const fs::path& path) {
    std::error_code error;
    const auto written = fs::last_write_time(path, error);
    if (!error && fs::file_time_type::clock::now() - written > kAbandoned) {
        fs::remove(path, error);
    }
}

/// Complete files, not sorted; none where there is no folder.
std::vector<fs::path> waiting_in(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        if (entry->path().extension() == kEnding) {
            files.push_back(entry->path());
        } else if (entry->path().extension() == kUnfinished) {
            remove_if_abandoned(entry->path());
        }
    }
    return files;
}

void set_aside(const fs::path& file) {
    std::error_code error;
    fs::rename(file, fs::path(file).replace_extension(".bad"), error);
    kLog.warning("\"{}\" holds no event and is set aside as *.bad", file.string());
}

}  // namespace

Spool::Spool(const std::string& db_path, std::uint32_t max_events)
    : folder_(db_path + "-spool"), max_events_(max_events) {}

void Spool::put(const storage::SkillEvent& event, Durability durability) const {
    if (::mkdir(folder_.c_str(), S_IRWXU) == 0) {
        if (durability == Durability::power) {
            sync_folder(folder_.has_parent_path() ? folder_.parent_path() : fs::path("."));
        }
    } else if (errno != EEXIST) {
        fail(folder_, errno);
    }
    if (waiting_in(folder_).size() >= max_events_) {
        throw SpoolError(
            fmt::format("\"{}\" is full: max_spool_events ({}) wait in it already", folder_.string(), max_events_));
    }
    const std::string name = new_name();
    const fs::path unfinished = folder_ / (name + std::string(kUnfinished));
    write_file(unfinished, to_json(event), durability == Durability::power);
    const fs::path finished = folder_ / (name + std::string(kEnding));
    if (::rename(unfinished.c_str(), finished.c_str()) != 0) {
        const int error = errno;
        ::unlink(unfinished.c_str());
        fail(finished, error);
    }
    if (durability == Durability::power) {
        sync_folder(folder_);
    }
}

std::size_t Spool::take_in(storage::EventStore& store, std::size_t limit) const {
    std::vector<fs::path> files = waiting_in(folder_);
    std::ranges::sort(files);
    files.resize(std::min(files.size(), limit));
    std::vector<storage::SkillEvent> events;
    std::vector<fs::path> taken;
    for (const fs::path& file : files) {
        std::string text;
        try {
            text = read_small_file(file.string());
        } catch (const FileError&) {
            continue;  // another process took it in
        }
        if (auto event = from_json(text)) {
            events.push_back(std::move(*event));
            taken.push_back(file);
        } else {
            set_aside(file);
        }
    }
    try {
        store.take(events, storage::Source::hook);
    } catch (const storage::StorageError& error) {
        if (error.code() != storage::StorageErrc::invalid_argument) {
            throw;
        }
        for (std::size_t index = 0; index < events.size(); ++index) {  // one of them
            try {
                store.take({&events[index], 1}, storage::Source::hook);
            } catch (const storage::StorageError& refused) {
                if (refused.code() != storage::StorageErrc::invalid_argument) {
                    throw;
                }
                set_aside(taken[index]);
            }
        }
    }
    for (const fs::path& file : taken) {
        std::error_code ignored;
        fs::remove(file, ignored);
    }
    return files.size();
}

}  // namespace session_buddy::app
