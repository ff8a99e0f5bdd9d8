// Any bytes, cut anywhere, must leave the decoder of bfdd's stream with whole messages or a reason.
// The first byte says how the rest is cut.
#include <algorithm>
#include <cstdlib>

#include "controlplane-shim/bfd/protocol.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace wye::bfdd;
    if (size == 0) return 0;
    const std::size_t cut = std::size_t{data[0]} + 1;
    std::span<const std::uint8_t> rest(data + 1, size - 1);
    Decoder decoder;
    while (!rest.empty()) {
        const std::size_t take = std::min(cut, rest.size());
        std::vector<Message> out;
        const bool good = decoder.feed(rest.first(take), out);
        for (const Message& message : out) {
            const auto* const add = std::get_if<Add>(&message);
            if (add != nullptr && add->request.interface_name.size() > 64) std::abort();
        }
        if (!good) {
            if (decoder.error().empty()) std::abort();
            return 0;
        }
        rest = rest.subspan(take);
    }
    return 0;
}
