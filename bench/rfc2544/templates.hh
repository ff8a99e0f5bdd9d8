// The frames that the generator sends: read from a pcap file (classic format, either resolution, this
// machine's byte order, as bench/pktgen/make_traffic writes it), copied into buffers in turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wye::rfc2544 {

struct Templates {
    std::vector<std::vector<std::uint8_t>> frames;
    std::size_t longest = 0;  // bytes
};

/// Throws std::runtime_error with what is wrong: no such file, another format, no frame, one that is cut
/// off, or too short for a stamp behind its headers.
Templates read_templates(const std::string& path);

}  // namespace wye::rfc2544
