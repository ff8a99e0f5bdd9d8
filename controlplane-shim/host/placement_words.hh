// A plan of placement for people, for programs, and as the section of dataplane.yaml that it means.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "drivers/placement/plan.hh"

namespace wye::host {

std::string placement_words(const drivers::Machine& machine, const drivers::Plan& plan);
nlohmann::json placement_json(const drivers::Machine& machine, const drivers::Plan& plan);
/// "workers:" with a line for each.
std::string workers_section(const drivers::Machine& machine, const drivers::Plan& plan);

/// "refused", "warning", "hint".
std::string_view severity_name(drivers::Advice::Severity severity);

}  // namespace wye::host
