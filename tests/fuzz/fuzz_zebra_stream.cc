// Any bytes, cut anywhere, must leave the decoder of the zebra stream with values in their bounds.
// The first byte says how the rest is cut.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "controlplane-shim/frr/decoder.hh"

namespace {

using namespace wye::frr;

void require(bool condition) {
    if (!condition) std::abort();
}

class CheckingSink : public RouteSink {
  public:
    void vrf_named(std::uint32_t, const std::string& name) override {
        require(!name.empty() && name.size() < 64);
    }
    void route_installed(Operation, const RouteKey& key, Route&& route) override {
        check(key);
        require(route.nexthops.size() <= 64);
        require(route.nexthops.empty() == (route.kind != RouteKind::unicast));
        for (const auto& hop : route.nexthops) require(hop.weight > 0);
    }
    void route_removed(Operation, const RouteKey& key) override { check(key); }
    void snapshot_begin() override { require(!std::exchange(begun_, true)); }
    void snapshot_end() override { require(begun_ && !std::exchange(ended_, true)); }
    void disconnected() override {}

  private:
    static void check(const RouteKey& key) {
        const auto& prefix = key.prefix;
        require(wye::net::mask(prefix.address, prefix.length) == prefix.address);
    }
    bool begun_ = false;
    bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t cut = std::size_t{data[0]} + 1;
    std::span<const std::uint8_t> rest(data + 1, size - 1);
    CheckingSink sink;
    Decoder decoder(sink, 1);
    while (!rest.empty()) {
        const std::size_t take = std::min(cut, rest.size());
        if (!decoder.feed(rest.first(take))) return 0;
        rest = rest.subspan(take);
    }
    return 0;
}
