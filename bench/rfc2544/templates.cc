#include "bench/rfc2544/templates.hh"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>

namespace wye::rfc2544 {
namespace {

constexpr std::uint32_t kMicroseconds = 0xA1B2C3D4;
constexpr std::uint32_t kNanoseconds = 0xA1B23C4D;
constexpr std::uint32_t kEthernet = 1;
constexpr std::size_t kShortest = 52;  // Ethernet, IPv4, UDP, and a stamp

struct FileHeader {
    std::uint32_t magic, version, zone, precision, longest, link;
};
struct FrameHeader {
    std::uint32_t seconds, fraction, kept, length;
};

template <typename T>
bool read(std::istream& file, T& value) {
    return static_cast<bool>(file.read(reinterpret_cast<char*>(&value), sizeof value));
}

}  // namespace

Templates read_templates(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    FileHeader head{};
    if (!file || !read(file, head)) {
        throw std::runtime_error(fmt::format("{}: no pcap file", path));
    }
    if ((head.magic != kMicroseconds && head.magic != kNanoseconds) || head.link != kEthernet) {
        throw std::runtime_error(fmt::format("{}: no classic pcap file of Ethernet frames", path));
    }
    Templates found;
    FrameHeader frame{};
    while (read(file, frame)) {
        if (frame.kept != frame.length || frame.kept < kShortest || frame.kept > 16384) {
            throw std::runtime_error(fmt::format("{}: frame {} has {} of {} bytes", path,
                                                 found.frames.size(), frame.kept, frame.length));
        }
        std::vector<std::uint8_t> bytes(frame.kept);
        if (!file.read(reinterpret_cast<char*>(bytes.data()), frame.kept)) {
            throw std::runtime_error(fmt::format("{}: ends within a frame", path));
        }
        found.longest = std::max(found.longest, bytes.size());
        found.frames.push_back(std::move(bytes));
    }
    if (found.frames.empty()) throw std::runtime_error(fmt::format("{}: no frame", path));
    return found;
}

}  // namespace wye::rfc2544
