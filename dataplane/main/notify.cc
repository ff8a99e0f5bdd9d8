#include "dataplane/main/notify.hh"

#include <cstdio>

#include "dataplane/base/systemd.hh"

namespace wye::dataplane {

void tell_ready(const std::string& line) {
    std::printf("wye-dataplane: ready, %s\n", line.c_str());
    std::fflush(stdout);
    tell_systemd_ready();
}

void say(const std::string& text) {
    std::fprintf(stderr, "wye-dataplane: %s\n", text.c_str());
}

}  // namespace wye::dataplane
