// A plan of placement as a picture: packages, NUMA nodes, last-level caches, cores and their hardware
// threads, NICs where they are plugged in, and who sits where; with a legend, and below it what is
// not ideal. One SVG file with its style inside, readable on light and on dark ground, and without
// telling colours apart.
#pragma once

#include <string>

#include "drivers/placement/plan.hh"

namespace wye::host {

std::string placement_svg(const drivers::Machine& machine, const drivers::Plan& plan);

}  // namespace wye::host
