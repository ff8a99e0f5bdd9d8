#include "dataplane/net/geneve.hh"

namespace wye::net {

GeneveOptions walk_geneve_options(std::span<const std::byte> options) noexcept {
    constexpr std::size_t kOptionHeader = 4;
    bool critical = false;
    while (!options.empty()) {
        // RFC 8926 3.5: the sum of the options' lengths must be the header's option length.
        if (options.size() < kOptionHeader) return GeneveOptions::mismatched;
        // RFC 8926 3.5: the type's high bit says critical; the three R bits are ignored.
        critical = critical || std::to_integer<unsigned>(options[2] & std::byte{0x80}) != 0;
        const std::size_t data = 4 * std::to_integer<std::size_t>(options[3] & std::byte{0x1f});
        if (options.size() - kOptionHeader < data) return GeneveOptions::mismatched;
        options = options.subspan(kOptionHeader + data);
    }
    return critical ? GeneveOptions::critical : GeneveOptions::skipped;
}

}  // namespace wye::net
