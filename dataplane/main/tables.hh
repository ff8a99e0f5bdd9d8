// Which tables a new process begins with: a fresh arena beside what a predecessor left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/control/control.hh"
#include "dataplane/main/exit_code.hh"
#include "dataplane/main/table_folder.hh"
#include "dataplane/table/arena_writer.hh"

namespace wye::dataplane {

struct TablesRequest {
    std::string run_dir;
    PlaceRequest place;
    std::uint64_t process = 0;  // the number that this process gave itself
    bool ids_kept = true;
};

struct Tables {
    table::ArenaWriter arena;  // fresh: run_dir/arena-N, or what that links to
    std::optional<control::Predecessor> predecessor;
    std::vector<std::string> notes;  // for people
    Descriptor folder_lock;          // to be held as long as the arena is used
};

/// The newest committed arena that run_dir has or links to is the predecessor, unless `ids_kept` is
/// false (the counter file, which gives objects their ids, was made anew). Others are removed.
Outcome<Tables> open_tables(const TablesRequest& request);

}  // namespace wye::dataplane
