// Names of functions for addresses in this process, for people: the program's own symbol table,
// which has what is local to a file too, and the dynamic one of each library.
//
// Reads files and allocates: for a control thread that has something to report.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace wye::worker {

/// One for each address: "wye::worker::Worker::turn()", or "libc.so.6+0x1234" where no name is known.
/// All but the first are return addresses, so that the call before them is what is named.
std::vector<std::string> function_names(std::span<void* const> addresses);

}  // namespace wye::worker
