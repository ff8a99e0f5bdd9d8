// Which tables a new process begins with: a fresh arena beside what a predecessor left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/control/control.hh"
#include "dataplane/main/exit_code.hh"
#include "dataplane/table/arena_writer.hh"

namespace wye::dataplane {

struct Tables {
    table::ArenaWriter arena;  // fresh: run_dir/arena-N
    std::optional<control::Predecessor> predecessor;
    std::vector<std::string> notes;  // for people
};

/// The newest committed arena in the run directory is the predecessor, unless `ids_kept` is false
/// (the counter file, which gives objects their ids, was made anew). Other arenas are removed.
Outcome<Tables> open_tables(const std::string& run_dir, const table::ArenaLimits& limits,
                            std::uint64_t instance, bool ids_kept);

}  // namespace wye::dataplane
