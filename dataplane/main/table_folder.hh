// Where the tables' file lies: on hugetlbfs where there is one with room, else in the run directory.
//
// The run directory is the index in either case: run_dir/arena-N is the arena itself, or a symbolic
// link to FOLDER/wye-INSTANCE/arena-<16 hex digits>. So a successor finds the old tables wherever a
// predecessor's configuration had put them, and never takes those of somebody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/table/arena.hh"

namespace wye::dataplane {

constexpr std::uint64_t kHugePageBytes = std::uint64_t{2} << 20;

struct PlaceRequest {
    std::string instance;
    std::string folder;     // as configured; empty: choose
    bool hugepages = true;  // false: choose none on hugetlbfs
    table::ArenaLimits limits;
};

/// FOLDER/wye-INSTANCE, mode 0750, and the lock on it while a process lives.
struct TableFolder {
    std::string path;
    Descriptor lock;
};

/// A mounted hugetlbfs with 2 MiB pages: of /proc/self/mounts, the first that may be written to.
std::optional<std::string> find_hugetlbfs();

/// Pages of 2 MiB that a file in this hugetlbfs could still get: not free ones that others have
/// reserved, and no more than the mount's own limit.
std::uint64_t free_huge_pages(const std::string& hugetlbfs);

/// Makes FOLDER/wye-INSTANCE if need be and locks it; refused while another process has it.
Result<TableFolder> take_table_folder(const std::string& folder, const std::string& instance);

/// nullopt: the run directory. A folder that was configured and cannot be had is an error. One is
/// chosen only if it has as many free pages as the limits allow the tables to grow to, so that
/// choosing it never makes them smaller than they would be in the run directory.
Result<std::optional<TableFolder>> choose_table_folder(const PlaceRequest& request,
                                                       std::vector<std::string>& notes);

/// Removes the arenas in `folder` (locked by us) that no link in `run_dir` points to: a predecessor
/// ended between making and linking one, or its run directory is gone.
void remove_stale_arenas(const TableFolder& folder, const std::string& run_dir);

/// As remove_stale_arenas, in the folder on hugetlbfs that this instance does not use (any more).
void tidy_unused_folder(const PlaceRequest& request, const std::string& run_dir);

}  // namespace wye::dataplane
