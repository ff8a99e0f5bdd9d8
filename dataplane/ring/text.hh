// The vocabulary in words, for logs, completions that people read, and tests.
#pragma once

#include <string_view>

#include "dataplane/ring/vocabulary.hh"

namespace wye::ring {

/// The name as in vocabulary.hh: "route_set"; "unknown" for a number that is none.
std::string_view to_string(Opcode opcode) noexcept;
std::string_view to_string(Outcome outcome) noexcept;
std::string_view to_string(EventKind kind) noexcept;
std::string_view to_string(RouteProtocol protocol) noexcept;
std::string_view to_string(Stream stream) noexcept;

/// What the outcome means for the object that the command named, and what to do about it. Reads
/// after the object's name: "vport red-site: " + words.
std::string_view outcome_words(Outcome outcome) noexcept;

}  // namespace wye::ring
