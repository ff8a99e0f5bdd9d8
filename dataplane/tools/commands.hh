// What wye-arena can be asked: each command reads the arena and makes one JSON document, which is
// printed as it is or as text. Nothing is printed before the lease was seen to have held.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "dataplane/base/result.hh"
#include "dataplane/tools/source.hh"

namespace wye::tools {

struct Question {
    std::string command;  // summary, routes, lookup, digest, check
    std::string vrf;
    std::string address;  // lookup
};

/// An error is a fault of the arena, or of the question.
Result<nlohmann::json> answer(Source& source, const Question& question);

std::string as_text(const Question& question, const nlohmann::json& answer);

}  // namespace wye::tools
