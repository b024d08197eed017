// Restores a removed write-ahead log. The file formats are described in https://sqlite.org/walformat.html.
//
// There are two cases. If the index still exists, all connections share its locks, and it says which frames the log
// must have: each is in the old log or in a new one that another connection has created. If the index was removed as
// well, newer connections do not see the older ones; if they have not written yet, they get the old log.
#include "wal_rescue.hpp"

#include <SQLiteCpp/Database.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "session_buddy/core/log.hpp"
#include "session_buddy/storage/error.hpp"
#include "wal_files.hpp"

namespace session_buddy::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Timeout for the locks, which other connections hold while they write.
constexpr milliseconds kLockTime{2000};
constexpr milliseconds kLockPause{2};
/// The log may be removed again while it is restored, or another process may have to restore the rest first.
constexpr int kAttempts = 5;
constexpr milliseconds kAttemptPause{100};

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kMinPage = 512;
constexpr std::uint32_t kMaxPage = 65536;
constexpr int kIndexRegionBytes = 32768;
constexpr std::size_t kIndexHeaderBytes = 48;  // each of its two copies
// The locks on the index: SQLite's WAL_WRITE_LOCK is followed by those of checkpoints and recovery.
constexpr int kFirstLock = 0;
constexpr int kLocks = 3;
constexpr off_t kLockOffset = 120;
constexpr off_t kDeadManSwitch = 128;

std::uint32_t big_endian(const std::uint8_t* bytes) {
    return std::uint32_t{bytes[0]} << 24U | std::uint32_t{bytes[1]} << 16U | std::uint32_t{bytes[2]} << 8U | bytes[3];
}

std::uint32_t little_endian(const std::uint8_t* bytes) {
    return std::uint32_t{bytes[3]} << 24U | std::uint32_t{bytes[2]} << 16U | std::uint32_t{bytes[1]} << 8U | bytes[0];
}

bool read_at(int file, std::uint8_t* bytes, std::size_t size, std::uint64_t offset) {
    while (size > 0) {
        const auto count = ::pread(file, bytes, size, static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        bytes += count;
        size -= static_cast<std::size_t>(count);
        offset += static_cast<std::uint64_t>(count);
    }
    return true;
}

void write_at(int file, const std::uint8_t* bytes, std::size_t size, std::uint64_t offset) {
    while (size > 0) {
        const auto count = ::pwrite(file, bytes, size, static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            throw std::system_error(count < 0 ? errno : ENOSPC, std::generic_category(), "write");
        }
        bytes += count;
        size -= static_cast<std::size_t>(count);
        offset += static_cast<std::uint64_t>(count);
    }
}

using Checksum = std::array<std::uint32_t, 2>;

struct WalHeader {
    std::array<std::uint8_t, kHeaderBytes> bytes{};
    std::uint32_t page_size = 0;
    Checksum checksum{};

    [[nodiscard]] bool has_big_endian_checksums() const { return (bytes[3] & 1U) != 0; }
    [[nodiscard]] std::span<const std::uint8_t, 8> salt() const { return std::span(bytes).subspan<16, 8>(); }
};

Checksum add(Checksum sum, std::span<const std::uint8_t> bytes, bool is_big_endian) {
    const auto word = is_big_endian ? big_endian : little_endian;
    for (std::size_t offset = 0; offset + 8 <= bytes.size(); offset += 8) {
        sum[0] += word(bytes.data() + offset) + sum[1];
        sum[1] += word(bytes.data() + offset + 4) + sum[0];
    }
    return sum;
}

std::optional<WalHeader> read_header(int file) {
    constexpr std::uint32_t kMagic = 0x377f0682;
    WalHeader header;
    if (file < 0 || !read_at(file, header.bytes.data(), kHeaderBytes, 0) ||
        (big_endian(header.bytes.data()) & ~1U) != kMagic) {
        return std::nullopt;
    }
    header.page_size = big_endian(header.bytes.data() + 8);
    header.checksum = add({}, std::span(header.bytes).first(24), header.has_big_endian_checksums());
    const bool is_valid = header.page_size >= kMinPage && header.page_size <= kMaxPage &&
                          header.checksum[0] == big_endian(header.bytes.data() + 24) &&
                          header.checksum[1] == big_endian(header.bytes.data() + 28);
    return is_valid ? std::optional(header) : std::nullopt;
}

/// The frames after a header, each with a checksum over itself and all earlier ones.
class FrameChain {
  public:
    explicit FrameChain(const WalHeader& header)
        : header_(header), checksum_(header.checksum), frame_(kFrameHeaderBytes + header.page_size) {}

    /// Reads the next frame from `file`. Returns false if the file does not have it.
    bool read_next_from(int file) {
        if (!read_at(file, frame_.data(), frame_.size(), offset()) ||
            !std::ranges::equal(std::span(frame_).subspan(8, 8), header_.salt())) {
            return false;
        }
        next_ = add(checksum_, std::span(frame_).first(8), header_.has_big_endian_checksums());
        next_ = add(next_, page(), header_.has_big_endian_checksums());
        return next_[0] == big_endian(frame_.data() + 16) && next_[1] == big_endian(frame_.data() + 20);
    }

    bool read_next_from(std::span<const FileDescriptor> files) {
        return std::ranges::any_of(files, [this](const FileDescriptor& file) { return read_next_from(file.get()); });
    }

    /// Appends the frame that was read.
    void advance() {
        checksum_ = next_;
        ++count_;
        if (big_endian(frame_.data() + 4) != 0) {
            committed_ = count_;
        }
    }

    /// Writes the frame that was read at its offset.
    void write_to(int file) const { write_at(file, frame_.data(), frame_.size(), offset()); }

    [[nodiscard]] std::uint32_t page_number() const { return big_endian(frame_.data()); }
    [[nodiscard]] std::span<const std::uint8_t> page() const { return std::span(frame_).subspan(kFrameHeaderBytes); }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    /// Number of frames up to the last commit.
    [[nodiscard]] std::uint64_t committed() const { return committed_; }
    [[nodiscard]] const Checksum& checksum() const { return checksum_; }

  private:
    [[nodiscard]] std::uint64_t offset() const { return kHeaderBytes + count_ * frame_.size(); }

    WalHeader header_;
    Checksum checksum_;
    Checksum next_{};
    std::uint64_t count_ = 0;
    std::uint64_t committed_ = 0;
    std::vector<std::uint8_t> frame_;
};

/// The header of the WAL index.
struct WalIndex {
    std::uint32_t changes = 0;    ///< commits since it was created
    std::uint32_t max_frame = 0;  ///< last committed frame
    Checksum checksum{};          ///< of max_frame
    std::array<std::uint8_t, 8> salt{};
};

/// nullopt if the index must be rebuilt from the log: the two copies of its header differ, or are all zeros.
std::optional<WalIndex> read_index(std::span<const std::uint8_t, 2 * kIndexHeaderBytes> bytes) {
    constexpr std::size_t kIsReady = 12;
    if (!std::ranges::equal(bytes.first<kIndexHeaderBytes>(), bytes.last<kIndexHeaderBytes>()) ||
        bytes[kIsReady] == 0) {
        return std::nullopt;
    }
    WalIndex index;
    std::memcpy(&index.changes, bytes.data() + 8, sizeof index.changes);
    std::memcpy(&index.max_frame, bytes.data() + 16, sizeof index.max_frame);
    std::memcpy(index.checksum.data(), bytes.data() + 24, sizeof index.checksum);
    std::memcpy(index.salt.data(), bytes.data() + 32, index.salt.size());
    return index;
}

template <typename Attempt>
bool retry_until_timeout(const Attempt& attempt) {
    const auto deadline = steady_clock::now() + kLockTime;
    while (!attempt()) {
        if (steady_clock::now() >= deadline) {
            return false;
        }
        std::this_thread::sleep_for(kLockPause);
    }
    return true;
}

/// The index that the connection has open, and its locks, accessed through SQLite's VFS methods.
class OpenIndex {
  public:
    explicit OpenIndex(SQLite::Database& database) {
        // NOLINTNEXTLINE(bugprone-multi-level-implicit-pointer-conversion): how SQLite hands out a pointer
        sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_FILE_POINTER, &file_);
        if (file_ == nullptr || file_->pMethods == nullptr || file_->pMethods->iVersion < 2) {
            file_ = nullptr;
        }
    }
    ~OpenIndex() {
        if (locked_) {
            file_->pMethods->xShmLock(file_, kFirstLock, kLocks, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
        }
    }
    OpenIndex(const OpenIndex&) = delete;
    OpenIndex& operator=(const OpenIndex&) = delete;

    [[nodiscard]] bool lock() {
        locked_ = file_ != nullptr && retry_until_timeout([this] {
                      return file_->pMethods->xShmLock(file_, kFirstLock, kLocks,
                                                       SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE) == SQLITE_OK;
                  });
        return locked_;
    }

    /// Requires the lock, and an index that is not truncated.
    [[nodiscard]] std::optional<WalIndex> read() const {
        const std::uint8_t* const bytes = header();
        return bytes == nullptr
                   ? std::nullopt
                   : read_index(std::span<const std::uint8_t, 2 * kIndexHeaderBytes>(bytes, 2 * kIndexHeaderBytes));
    }

    /// Makes the next reader rebuild the index from the log.
    void invalidate() const {
        if (std::uint8_t* const bytes = header()) {
            std::memset(bytes, 0, 2 * kIndexHeaderBytes);
        }
    }

  private:
    [[nodiscard]] std::uint8_t* header() const {
        if (file_ == nullptr) {
            return nullptr;
        }
        volatile void* region = nullptr;
        const int result = file_->pMethods->xShmMap(file_, 0, kIndexRegionBytes, 0, &region);
        return result == SQLITE_OK ? const_cast<std::uint8_t*>(static_cast<volatile std::uint8_t*>(region)) : nullptr;
    }

    sqlite3_file* file_ = nullptr;
    bool locked_ = false;
};

/// Opens or creates a file next to the database, with the owner and mode that SQLite would use.
FileDescriptor open_companion(const std::string& database, const char* suffix) {
    struct stat owner {};
    if (::stat(database.c_str(), &owner) != 0) {
        throw std::system_error(errno, std::generic_category(), "stat");
    }
    const std::string path = database + suffix;
    const mode_t mode = owner.st_mode & 0777U;
    FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno == ENOENT) {
        file = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode));
        if (file) {
            ::fchmod(file.get(), mode);
            if (::geteuid() == 0 && ::fchown(file.get(), owner.st_uid, owner.st_gid) != 0) {
                log::kStorage.debug("\"{}\" keeps its owner", path);
            }
        }
    }
    if (!file) {
        throw std::system_error(errno, std::generic_category(), "open");
    }
    return file;
}

bool is_at_path(int file, const std::string& path) {
    struct stat open {};
    const auto there = file_state(path);
    return there.has_value() && ::fstat(file, &open) == 0 && there->device == static_cast<std::uint64_t>(open.st_dev) &&
           there->inode == static_cast<std::uint64_t>(open.st_ino);
}

void sync(int file) {
    if (::fsync(file) != 0) {
        throw std::system_error(errno, std::generic_category(), "fsync");
    }
}

/// The index at the path, which newer connections use, with the locks that SQLite would take. No connection of this
/// process has it open, because they all share the lost one.
class NewIndex {
  public:
    explicit NewIndex(const std::string& database) : file_(open_companion(database, "-shm")) {}

    [[nodiscard]] bool lock() {
        // The dead-man switch lock keeps other processes from treating the file as a leftover.
        return retry_until_timeout(
            [this] { return lock(F_RDLCK, kDeadManSwitch, 1) && lock(F_WRLCK, kLockOffset + kFirstLock, kLocks); });
    }
    [[nodiscard]] std::optional<WalIndex> read() const {
        std::array<std::uint8_t, 2 * kIndexHeaderBytes> bytes{};
        return read_at(file_.get(), bytes.data(), bytes.size(), 0) ? read_index(bytes) : std::nullopt;
    }
    void invalidate() const {
        constexpr std::array<std::uint8_t, 2 * kIndexHeaderBytes> kZeros{};
        struct stat state {};
        if (::fstat(file_.get(), &state) == 0 && state.st_size >= static_cast<off_t>(kZeros.size())) {
            write_at(file_.get(), kZeros.data(), kZeros.size(), 0);
        }
    }
    [[nodiscard]] int descriptor() const { return file_.get(); }

  private:
    [[nodiscard]] bool lock(int kind, off_t first, off_t count) const {
        struct flock range {};
        range.l_type = static_cast<short>(kind);
        range.l_whence = SEEK_SET;
        range.l_start = first;
        range.l_len = count;
        return ::fcntl(file_.get(), F_SETLK, &range) == 0;
    }

    FileDescriptor file_;  // closing it releases the locks
};

using Logs = std::span<const FileDescriptor>;

/// The header of the log that the index belongs to.
std::optional<WalHeader> find_header(Logs logs, std::span<const std::uint8_t> salt) {
    for (const FileDescriptor& log : logs) {
        if (auto header = read_header(log.get()); header && std::ranges::equal(header->salt(), salt)) {
            return header;
        }
    }
    return std::nullopt;
}

/// Reads the chain of frames from any of the logs, at most `limit`.
FrameChain read_chain(const WalHeader& header, Logs logs, std::uint64_t limit = UINT64_MAX) {
    FrameChain chain(header);
    while (chain.count() < limit && chain.read_next_from(logs)) {
        chain.advance();
    }
    return chain;
}

/// Case 1, a shared index: completes the new log, the last of `logs`, from the other ones. Returns `failed` if a frame
/// is in none of them.
WalRescue restore_frames(const WalIndex& index, Logs logs) {
    if (index.max_frame == 0) {
        return WalRescue::nothing_lost;
    }
    const auto header = find_header(logs, index.salt);
    if (!header) {
        return WalRescue::failed;
    }
    WalRescue result = WalRescue::nothing_lost;
    const int new_wal = logs.back().get();
    if (const auto found = read_header(new_wal); !found || found->bytes != header->bytes) {
        write_at(new_wal, header->bytes.data(), kHeaderBytes, 0);
        result = WalRescue::restored;
    }
    FrameChain chain(*header);
    while (chain.count() < index.max_frame) {
        if (!chain.read_next_from(new_wal)) {
            if (!chain.read_next_from(logs)) {
                return WalRescue::failed;
            }
            chain.write_to(new_wal);
            result = WalRescue::restored;
        }
        chain.advance();
    }
    return chain.checksum() == index.checksum ? result : WalRescue::failed;
}

WalRescue restore_at_path(const WalFiles& files, const OpenIndex& index, bool is_last_attempt) {
    const auto known = index.read();
    if (!known) {
        return WalRescue::nothing_lost;  // another connection has restored the log, and the index is rebuilt from it
    }
    std::vector<FileDescriptor> logs = files.wals_in_process();
    logs.push_back(open_companion(files.path(), "-wal"));
    const WalRescue result = restore_frames(*known, logs);
    sync(logs.back().get());
    if (result == WalRescue::failed) {
        if (!is_last_attempt) {
            return result;  // another process may have to restore the rest
        }
        index.invalidate();
        log::kStorage.error("part of the write-ahead log of database \"{}\" is lost: it was removed more than once",
                            files.path());
        return WalRescue::nothing_lost;  // nothing else can be restored
    }
    return is_at_path(logs.back().get(), files.path() + "-wal") ? result : WalRescue::failed;
}

/// Whether the database file was written after the log was removed (the ctime of the log).
bool is_written_since(const std::string& database, int wal) {
    struct stat log {};
    struct stat file {};
    if (::fstat(wal, &log) != 0 || ::stat(database.c_str(), &file) != 0) {
        return true;
    }
#ifdef __APPLE__
    const auto removed = std::pair(log.st_ctimespec.tv_sec, log.st_ctimespec.tv_nsec);
    const auto written = std::pair(file.st_mtimespec.tv_sec, file.st_mtimespec.tv_nsec);
#else
    const auto removed = std::pair(log.st_ctim.tv_sec, log.st_ctim.tv_nsec);
    const auto written = std::pair(file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
#endif
    return written >= removed;
}

/// Whether anything was committed since this index was created.
bool is_written_to(const std::optional<WalIndex>& index) {
    return index && (index->changes != 0 || index->max_frame != 0);
}

/// Case 2, a new index: restores the log for connections that do not know it. Returns `diverged` if they may have
/// written.
WalRescue restore_for_new_index(const WalFiles& files, const std::optional<WalIndex>& old_index) {
    const std::vector<FileDescriptor> logs = files.wals_in_process();
    const auto header = old_index ? find_header(logs, old_index->salt) : read_header(files.wal());
    if (!header || (old_index && old_index->max_frame == 0)) {
        return WalRescue::nothing_lost;
    }
    const std::uint64_t committed =
        read_chain(*header, logs, old_index ? old_index->max_frame : UINT64_MAX).committed();
    if (committed == 0) {
        return WalRescue::nothing_lost;
    }
    NewIndex index(files.path());
    if (!index.lock()) {
        return WalRescue::diverged;
    }
    std::array<FileDescriptor, 1> new_log{open_companion(files.path(), "-wal")};
    const int wal = new_log.front().get();
    const auto new_header = read_header(wal);
    std::uint64_t there = 0;
    if (new_header && new_header->bytes == header->bytes) {  // it was restored before, maybe not completely
        there = read_chain(*header, new_log).committed();
        const std::uint64_t common = std::min(there, committed);
        if (read_chain(*header, new_log, common).checksum() != read_chain(*header, logs, common).checksum()) {
            return WalRescue::diverged;
        }
        if (there >= committed) {
            return WalRescue::nothing_lost;
        }
    } else if (new_header || is_written_to(index.read()) || is_written_since(files.path(), files.wal())) {
        return WalRescue::diverged;
    }
    write_at(wal, header->bytes.data(), kHeaderBytes, 0);
    FrameChain chain(*header);
    while (chain.count() < committed && chain.read_next_from(logs)) {
        if (chain.count() >= there) {
            chain.write_to(wal);
        }
        chain.advance();
    }
    sync(wal);
    index.invalidate();
    return is_at_path(wal, files.path() + "-wal") && is_at_path(index.descriptor(), files.path() + "-shm")
               ? WalRescue::restored
               : WalRescue::failed;
}

WalRescue restore_once(SQLite::Database& database, const WalFiles& files, bool is_last_attempt) {
    OpenIndex index(database);
    if (!index.lock()) {
        log::kStorage.warning("cannot lock the removed write-ahead log of database \"{}\" to restore it", files.path());
        return WalRescue::failed;
    }
    if (files.index_is_emptied()) {
        return WalRescue::failed;  // reading it would raise SIGBUS
    }
    return files.index_is_shared() ? restore_at_path(files, index, is_last_attempt)
                                   : restore_for_new_index(files, index.read());
}

/// Reads an SQLite varint and advances `bytes`; nullopt if it is incomplete.
std::optional<std::uint64_t> read_varint(std::span<const std::uint8_t>& bytes) {
    std::uint64_t value = 0;
    for (std::size_t offset = 0; offset < std::min<std::size_t>(bytes.size(), 9); ++offset) {
        if (offset == 8) {
            value = value << 8U | bytes[offset];
        } else {
            value = value << 7U | (bytes[offset] & 0x7FU);
        }
        if (offset == 8 || (bytes[offset] & 0x80U) == 0) {
            bytes = bytes.subspan(offset + 1);
            return value;
        }
    }
    return std::nullopt;
}

void add_row_ids(std::span<const std::uint8_t> page, bool is_first, std::vector<std::int64_t>& ids) {
    constexpr std::uint8_t kTableLeaf = 0x0D;
    constexpr std::size_t kPageHeader = 8;
    const std::size_t begin = is_first ? 100 : 0;
    if (page[begin] != kTableLeaf) {
        return;
    }
    const auto number_at = [&](std::size_t offset) { return std::size_t{page[offset]} << 8U | page[offset + 1]; };
    const std::size_t cells = number_at(begin + 3);
    for (std::size_t cell = 0; cell < cells; ++cell) {
        const std::size_t pointer = begin + kPageHeader + 2 * cell;
        if (pointer + 2 > page.size() || number_at(pointer) >= page.size()) {
            return;
        }
        auto bytes = page.subspan(number_at(pointer));
        const auto size = read_varint(bytes);
        const auto id = size ? read_varint(bytes) : std::nullopt;
        if (id) {
            ids.push_back(static_cast<std::int64_t>(*id));
        }
    }
}

/// A log that was restored, and the database that it belongs to.
struct RestoredWal {
    FileState database;
    FileState wal;
};
/// By path: one entry for each database that this process lost a log of.
std::map<std::string, RestoredWal> restored_wals;

/// Protects restored_wals, and the POSIX locks on a new index, which belong to the process and not to a thread.
std::mutex mutex;

}  // namespace

WalRescue restore_wal(SQLite::Database& database, const WalFiles& files) {
    const std::lock_guard lock(mutex);
    if (files.wal() < 0) {
        return WalRescue::failed;
    }
    try {
        if (!files.wal_is_lost()) {
            return WalRescue::nothing_lost;
        }
        for (int left = kAttempts;; --left) {
            const WalRescue result = restore_once(database, files, left == 1);
            if (result == WalRescue::restored) {
                if (const auto wal = file_state(files.path() + "-wal")) {
                    restored_wals.insert_or_assign(files.path(), RestoredWal{files.database(), *wal});
                }
            }
            if (result != WalRescue::failed || left == 1) {
                return result;
            }
            std::this_thread::sleep_for(kAttemptPause);
        }
    } catch (const std::exception& error) {  // StorageError, std::system_error
        log::kStorage.error("cannot restore the removed write-ahead log of database \"{}\": {}", files.path(),
                            error.what());
        return WalRescue::failed;
    }
}

void discard_foreign_wal(const std::string& path) {
    const std::string resolved = resolve_links(path);
    const std::lock_guard lock(mutex);
    const auto restored = restored_wals.find(resolved);
    if (restored == restored_wals.end()) {
        return;
    }
    const auto database = file_state(resolved);
    const auto wal = file_state(resolved + "-wal");
    if (wal && wal->same_file(restored->second.wal)) {
        if (!database || database->same_file(restored->second.database)) {
            return;
        }
        const FileDescriptor file(::open((resolved + "-wal").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        if (!file || ::ftruncate(file.get(), 0) != 0) {
            throw StorageError(StorageErrc::io, path,
                               "database \"" + path + "\" was replaced: remove the -wal file of the old one");
        }
        log::kStorage.warning("database \"{}\" was replaced: discarded the write-ahead log of the old file", path);
    }
    restored_wals.erase(restored);
}

bool reads_complete_wal(SQLite::Database& database, const WalFiles& files) {
    if (files.wal() < 0 || files.index_is_emptied()) {
        return false;
    }
    const auto index = OpenIndex(database).read();
    const auto header = read_header(files.wal());
    if (!index || !header || !std::ranges::equal(header->salt(), index->salt)) {
        return false;
    }
    FrameChain chain(*header);
    while (chain.count() < index->max_frame && chain.read_next_from(files.wal())) {
        chain.advance();
    }
    return chain.count() == index->max_frame && chain.checksum() == index->checksum;
}

std::vector<std::int64_t> row_ids_in_wal(int wal) {
    std::vector<std::int64_t> ids;
    const auto header = read_header(wal);
    if (!header) {
        return ids;
    }
    FrameChain chain(*header);
    while (chain.read_next_from(wal)) {
        chain.advance();
        add_row_ids(chain.page(), chain.page_number() == 1, ids);
    }
    std::ranges::sort(ids);
    const auto repeated = std::ranges::unique(ids);
    ids.erase(repeated.begin(), repeated.end());
    return ids;
}

}  // namespace session_buddy::storage
