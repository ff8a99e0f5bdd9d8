#include "dataplane/main/table_folder.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>

#include "dataplane/table/arena_layout.hh"

namespace wye::dataplane {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPool = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

std::uint64_t read_pool(const char* name) {
    std::ifstream file(std::string(kPool) + name);
    std::uint64_t value = 0;
    file >> value;
    return value;
}

bool has_two_megabyte_pages(const char* folder) {
    struct statfs info {};
    return statfs(folder, &info) == 0 && info.f_type == HUGETLBFS_MAGIC &&
           static_cast<std::uint64_t>(info.f_bsize) == kHugePageBytes;
}

std::string folder_of(const std::string& parent, const std::string& instance) {
    return fmt::format("{}/wye-{}", parent, instance);
}

std::string cannot(const std::string& what, const std::string& path) {
    return fmt::format("the tables' folder {} cannot be {}: {}", path, what, std::strerror(errno));
}

Result<TableFolder> lock_folder(const std::string& path) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Descriptor lock(open(path.c_str(), kFlags));
    if (!lock.valid()) return fail(cannot("opened", path));
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(
            fmt::format("the tables' folder {} is another wye-dataplane's: give this one "
                        "another instance or tables.folder",
                        path));
    }
    return TableFolder{path, std::move(lock)};
}

std::string pages(std::uint64_t count) {
    return fmt::format("{} huge pages", count);
}

}  // namespace

std::optional<std::string> find_hugetlbfs() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> mounts(
        setmntent("/proc/self/mounts", "re"), endmntent);
    if (!mounts) return std::nullopt;
    while (const mntent* mount = getmntent(mounts.get())) {
        if (std::strcmp(mount->mnt_type, "hugetlbfs") != 0) continue;
        if (!has_two_megabyte_pages(mount->mnt_dir)) continue;
        if (access(mount->mnt_dir, W_OK | X_OK) == 0) return mount->mnt_dir;
    }
    return std::nullopt;
}

std::uint64_t free_huge_pages(const std::string& hugetlbfs) {
    const std::uint64_t free = read_pool("free_hugepages");
    const std::uint64_t reserved = read_pool("resv_hugepages");
    const std::uint64_t left = free > reserved ? free - reserved : 0;
    struct statfs info {};
    // Without a limit of its own a mount reports no blocks at all.
    if (statfs(hugetlbfs.c_str(), &info) != 0 || info.f_blocks == 0) return left;
    return std::min<std::uint64_t>(left, info.f_bavail);
}

Result<TableFolder> take_table_folder(const std::string& folder, const std::string& instance) {
    const std::string path = folder_of(folder, instance);
    if (mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return fail(cannot("made", path));
    auto taken = lock_folder(path);
    // The mode is part of the contract, whatever the umask.
    if (taken && fchmod(taken->lock.get(), 0750) != 0) return fail(cannot("given mode 0750", path));
    return taken;
}

Result<std::optional<TableFolder>> choose_table_folder(const PlaceRequest& request,
                                                       std::vector<std::string>& notes) {
    if (!request.folder.empty()) {
        auto taken = take_table_folder(request.folder, request.instance);
        if (!taken) return tl::unexpected(taken.error());
        return std::optional(std::move(*taken));
    }
    const auto hugetlbfs = request.hugepages ? find_hugetlbfs() : std::nullopt;
    if (!hugetlbfs) return std::nullopt;
    const std::uint64_t available = free_huge_pages(*hugetlbfs);
    const std::uint64_t needed =
        table::lay_out_arena(request.limits, kHugePageBytes).total / kHugePageBytes;
    if (available < needed) {
        if (available > 0) {
            notes.push_back(
                fmt::format("tables are in ordinary memory: limits let them grow to {}"
                            ", {} has {} (lower limits.table_megabytes, or say "
                            "tables.folder)",
                            pages(needed), *hugetlbfs, available));
        }
        return std::nullopt;
    }
    auto taken = take_table_folder(*hugetlbfs, request.instance);
    if (!taken) {
        notes.push_back("tables are in ordinary memory: " + taken.error().text);
        return std::nullopt;
    }
    return std::optional(std::move(*taken));
}

void remove_stale_arenas(const TableFolder& folder, const std::string& run_dir) {
    std::error_code ignored;
    std::set<fs::path> linked;
    for (const auto& entry : fs::directory_iterator(run_dir, ignored)) {
        if (entry.is_symlink(ignored)) linked.insert(fs::read_symlink(entry.path(), ignored));
    }
    for (const auto& entry : fs::directory_iterator(folder.path, ignored)) {
        const bool ours = entry.path().filename().string().starts_with("arena-");
        if (ours && !linked.contains(entry.path())) fs::remove(entry.path(), ignored);
    }
}

void tidy_unused_folder(const PlaceRequest& request, const std::string& run_dir) {
    const auto hugetlbfs = find_hugetlbfs();
    if (!hugetlbfs || request.folder == *hugetlbfs) return;
    const auto unused = lock_folder(folder_of(*hugetlbfs, request.instance));
    if (!unused) return;
    remove_stale_arenas(*unused, run_dir);
    (void)rmdir(unused->path.c_str());  // not while the predecessor's tables are there
}

}  // namespace wye::dataplane
