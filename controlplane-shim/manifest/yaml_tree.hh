// A YAML document as a tree that still knows its lines and every key that was written, also twice.
//
// yaml-cpp's own nodes drop the first of two equal keys and resolve aliases silently; this is built
// from its parser's events. Anchors, aliases and tags are noted as problems: a manifest says what
// it means at the place where it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane-shim/manifest/problems.hh"

namespace wye::manifest {

struct Node {
    enum class Kind : std::uint8_t {
        empty,     // a key without a value, ~ or null
        scalar,    // text
        sequence,  // values
        mapping,   // keys[i]: values[i], in the order of the file
        refused,   // an alias: already noted as a problem
    } kind = Kind::empty;
    int line = 1;  // from 1
    std::string text;
    std::vector<Node> keys, values;
};

/// None if the text is no YAML, or more than one document: the problem is noted.
std::optional<Node> parse_yaml(std::string_view text, Problems& problems);

}  // namespace wye::manifest
