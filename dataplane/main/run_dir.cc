#include "dataplane/main/run_dir.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace wye::dataplane {
namespace {

std::string read_owner(int descriptor) {
    char text[32] = {};
    const ssize_t n = pread(descriptor, text, sizeof text - 1, 0);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string("?");
}

/// False where a predecessor that was about to end took the file away between open and flock.
bool is_still(int descriptor, const std::string& file) {
    struct stat held {};
    struct stat named {};
    return fstat(descriptor, &held) == 0 && stat(file.c_str(), &named) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

Outcome<Descriptor> lock_file(const std::string& path, const std::string& file) {
    while (true) {
        Descriptor lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
        if (!lock.valid()) {
            return failure(ExitCode::run_dir,
                           fmt::format("{} cannot be opened: {}", file, std::strerror(errno)));
        }
        if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
            return failure(ExitCode::running,
                           fmt::format("another wye-dataplane (process {}) has {}; stop it, or "
                                       "give this one another instance",
                                       read_owner(lock.get()), path));
        }
        if (is_still(lock.get(), file)) return lock;
    }
}

}  // namespace

Outcome<Descriptor> take_run_dir(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) {
        return failure(ExitCode::run_dir,
                       fmt::format("run_dir {} cannot be made: {}", path, error.message()));
    }
    const std::string file = path + "/lock";
    auto lock = lock_file(path, file);
    if (!lock) return lock;
    const std::string self = std::to_string(getpid());
    if (ftruncate(lock->get(), 0) != 0 ||
        pwrite(lock->get(), self.data(), self.size(), 0) != static_cast<ssize_t>(self.size())) {
        return failure(ExitCode::run_dir,
                       fmt::format("{} cannot be written: {}", file, std::strerror(errno)));
    }
    return lock;
}

void leave_run_dir(const std::string& path) {
    (void)unlink((path + "/dataplane.sock").c_str());
    (void)unlink((path + "/lock").c_str());
}

}  // namespace wye::dataplane
