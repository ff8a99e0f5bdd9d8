// Waits for what Linux tells of a carrier: by a work queue that runs once a second at most (linkwatch).
#pragma once

#include <chrono>
#include <thread>

#include "drivers/port.hh"

namespace wye::drivers {

/// Whether the port's link is up, or down, within five seconds.
inline bool link_becomes(const Port& port, bool up) {
    for (int i = 0; i < 500 && port.link_up() != up; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return port.link_up() == up;
}

}  // namespace wye::drivers
