// Which shim wyectl talks to.
#pragma once

#include <string>

namespace wye::cli {

struct Found {
    std::string socket;  // empty: see error
    std::string error;
    bool usage = false;  // the error is the user's to fix on the command line
};

/// The socket of the instance `name`; of the only one that answers if `name` is empty.
/// `run_dir`: usually /run/wye; an instance's socket is run_dir/NAME/shim.sock.
Found find_socket(const std::string& run_dir, const std::string& name);

}  // namespace wye::cli
