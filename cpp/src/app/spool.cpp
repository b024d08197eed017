// Spool files: atomic creation (write, fsync, rename), parsing, draining, and quarantine of invalid files.
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

#include "session_buddy/core/ascii.hpp"
#include "session_buddy/core/enum_names.hpp"
#include "session_buddy/core/log.hpp"
#include "session_buddy/core/timestamp.hpp"
#include "session_buddy/storage/error.hpp"

namespace session_buddy::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Kind = storage::SkillEvent::Kind;

constexpr std::string_view kSuffix = ".json";
constexpr std::string_view kDurableSuffix = "-p.json";  // spooled with Durability::power
constexpr std::string_view kPartialSuffix = ".part";
constexpr std::size_t kMaxSpooledEventBytes = 16384;  // of an event with all strings at their maximum length, escaped
/// A half-written file of a killed process is removed at this age.
constexpr std::chrono::hours kMaxPartialAge{1};

constexpr EnumNames kKinds{std::array{EnumName{Kind::invocation, "invocation"}, EnumName{Kind::command, "command"},
                                      EnumName{Kind::started, "started"}, EnumName{Kind::finished, "finished"},
                                      EnumName{Kind::session_end, "session_end"}, EnumName{Kind::use, "use"}}};

std::string to_hex(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

/// Empty if the text is not hexadecimal.
std::string from_hex(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        const int high = ascii::hex_digit(text[i]);
        const int low = ascii::hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return {};
        }
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

std::string to_json(const storage::SkillEvent& event, storage::Source source) {
    json fields{{"kind", kKinds[event.kind]},
                {"source", static_cast<unsigned>(source)},
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
    if (event.kind == storage::SkillEvent::Kind::use || event.kind == storage::SkillEvent::Kind::command) {
        fields["evidence"] = to_hex(encode(event.evidence));
    }
    return fields.dump() + '\n';
}

struct ParsedEvent {
    storage::SkillEvent event;
    storage::Source source;
};

/// nullopt if the text is not an event. The store validates its values.
std::optional<ParsedEvent> from_json(std::string_view text) {
    try {
        const json fields = json::parse(text);
        const auto kind = kKinds.find(fields.at("kind").get<std::string>());
        const auto at = parse_timestamp(fields.at("at").get<std::string>());
        const auto source = static_cast<storage::Source>(fields.at("source").get<std::uint8_t>());
        if (!kind || !at || (source != storage::Source::hook && source != storage::Source::hook_request)) {
            return std::nullopt;
        }
        storage::SkillEvent event;
        event.kind = *kind;
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
        if (fields.contains("evidence")) {
            auto evidence = decode_evidence(from_hex(fields.at("evidence").get<std::string>()));
            if (!evidence) {
                return std::nullopt;
            }
            event.evidence = std::move(*evidence);
        }
        return ParsedEvent{.event = std::move(event), .source = source};
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

[[noreturn]] void fail(const fs::path& path, int error) {
    throw SpoolError(fmt::format("cannot write to \"{}\": {}", path.string(), std::generic_category().message(error)));
}

/// A unique file name that sorts by time.
std::string new_name() {
    static std::atomic<unsigned> count{0};
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return fmt::format("{:020}-{}-{}", std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(), ::getpid(),
                       count.fetch_add(1));
}

/// Flushes a file or folder to the disk.
int flush_to_disk(int descriptor) {
#ifdef F_FULLFSYNC
    return ::fcntl(descriptor, F_FULLFSYNC);
#else
    return ::fsync(descriptor);
#endif
}

void write_file(const fs::path& path, std::string_view text, bool to_disk) {
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
    if (error == 0 && to_disk && flush_to_disk(file) != 0) {
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

void flush_folder(const fs::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        fail(folder, errno);
    }
    const int error = flush_to_disk(descriptor) != 0 ? errno : 0;
    ::close(descriptor);
    if (error != 0) {
        fail(folder, error);
    }
}

/// nullopt if the file is missing or not readable.
std::optional<std::string> text_of(const fs::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (descriptor < 0) {
        return std::nullopt;
    }
    std::string text(kMaxSpooledEventBytes, '\0');
    const auto count = ::read(descriptor, text.data(), text.size());
    ::close(descriptor);
    if (count < 0) {
        return std::nullopt;
    }
    text.resize(static_cast<std::size_t>(count));
    return text;
}

void remove_if_abandoned(const fs::path& path) {
    std::error_code error;
    const auto written = fs::last_write_time(path, error);
    if (!error && fs::file_time_type::clock::now() - written > kMaxPartialAge) {
        fs::remove(path, error);
    }
}

/// Names of complete files, unsorted; empty if the folder is missing.
std::vector<std::string> list_events(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        std::string name = entry->path().filename().string();
        if (name.ends_with(kSuffix)) {
            names.push_back(std::move(name));
        } else if (name.ends_with(kPartialSuffix)) {
            remove_if_abandoned(entry->path());
        }
    }
    return names;
}

/// Whether the database rejects the event permanently.
bool is_permanent(const storage::StorageError& error) {
    return error.code() == storage::StorageErrc::invalid_argument || error.code() == storage::StorageErrc::incompatible;
}

fs::path real_path(const std::string& db_path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(db_path, error);
    return error ? fs::path(db_path) : real;
}

}  // namespace

struct Spool::SpooledEvent {
    std::string name;
    ParsedEvent read;
};

Spool::Spool(const std::string& db_path, std::uint32_t max_events)
    : folder_(real_path(db_path) += "-spool"), max_events_(max_events) {}

void Spool::put(const storage::SkillEvent& event, storage::Source source, storage::Durability durability) const {
    const bool is_durable = durability == storage::Durability::power;
    if (::mkdir(folder_.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        fail(folder_, errno);
    }
    if (list_events(folder_).size() >= max_events_) {
        throw SpoolError(
            fmt::format("spool \"{}\" is full: max_spool_events ({}) reached", folder_.string(), max_events_));
    }
    const std::string text = to_json(event, source);
    // After a clock jump another process may remove the file as abandoned; then it is written once more.
    for (int attempt = 1;; ++attempt) {
        const std::string name = new_name();
        const fs::path unfinished = folder_ / (name + std::string(kPartialSuffix));
        const fs::path finished = folder_ / (name + std::string(is_durable ? kDurableSuffix : kSuffix));
        write_file(unfinished, text, is_durable);
        if (::rename(unfinished.c_str(), finished.c_str()) == 0) {
            break;
        }
        const int error = errno;
        ::unlink(unfinished.c_str());
        if (error != ENOENT || attempt > 1) {
            fail(finished, error);
        }
    }
    if (is_durable) {
        flush_folder(folder_);
        flush_folder(folder_.parent_path());  // the process that created the folder may not have flushed it
    }
}

bool Spool::drain(storage::EventStore& store, std::size_t limit, std::chrono::steady_clock::duration max_lock) const {
    std::vector<std::string> names = list_events(folder_);
    std::ranges::sort(names);
    const std::vector<SpooledEvent> waiting = read(names, limit);
    if (std::ranges::any_of(waiting, [](const SpooledEvent& one) { return one.name.ends_with(kDurableSuffix); })) {
        store.set_durability(storage::Durability::power);
    }
    std::size_t removed = 0;
    const auto store_some = [&](std::span<const SpooledEvent> some) {
        std::vector<storage::SkillEvent> events;
        for (const SpooledEvent& one : some) {
            events.push_back(one.read.event);
        }
        const std::size_t stored = store.ingest_some(events, some.front().read.source, max_lock).size();
        for (const SpooledEvent& one : some.first(stored)) {
            removed += ::unlink((folder_ / one.name).c_str()) == 0 ? 1U : 0U;
        }
        return stored;
    };
    for (auto begin = waiting.begin(); begin != waiting.end();) {
        const auto end = std::find_if(begin, waiting.end(),
                                      [&](const SpooledEvent& one) { return one.read.source != begin->read.source; });
        try {
            const std::size_t stored = store_some({begin, end});
            if (begin + static_cast<std::ptrdiff_t>(stored) != end) {
                return removed > 0;  // let other programs get the lock
            }
        } catch (const storage::StorageError& error) {
            if (!is_permanent(error)) {
                throw;
            }
            for (auto one = begin; one != end;
                 ++one) {  // store one by one, so that only the rejected event is quarantined
                try {
                    store_some({one, one + 1});
                } catch (const storage::StorageError& rejection) {
                    if (!is_permanent(rejection)) {
                        throw;
                    }
                    quarantine(one->name, "is rejected by the database");
                    ++removed;
                }
            }
        }
        begin = end;
    }
    return removed > 0 && names.size() > waiting.size() && waiting.size() == limit;
}

std::vector<Spool::SpooledEvent> Spool::read(std::span<const std::string> names, std::size_t limit) const {
    std::vector<SpooledEvent> waiting;
    for (const std::string& name : names) {
        if (waiting.size() == limit) {
            break;
        }
        const auto text = text_of(folder_ / name);
        if (!text) {
            continue;  // another process stored it, or it is not readable for this user
        }
        if (auto event = from_json(*text)) {
            waiting.push_back({.name = name, .read = std::move(*event)});
        } else {
            quarantine(name, "is not a valid event");
        }
    }
    return waiting;
}

void Spool::quarantine(const std::string& name, const char* why) const {
    std::error_code error;
    const fs::path file = folder_ / name;
    fs::rename(file, fs::path(file).replace_extension(".bad"), error);
    log::kSpool.warning("\"{}\" {}; {}", file.string(), why,
                        error ? "cannot rename it: rename it to *.bad manually" : "renamed to *.bad");
}

}  // namespace session_buddy::app
