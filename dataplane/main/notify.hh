// Telling whoever started the process that it is ready.
#pragma once

#include <string>

namespace wye::dataplane {

/// A line on standard output, and READY=1 to systemd where it asked for that (NOTIFY_SOCKET).
void tell_ready(const std::string& line);

/// For people and logs: "wye-dataplane: " and the text, on standard error.
void say(const std::string& text);

}  // namespace wye::dataplane
