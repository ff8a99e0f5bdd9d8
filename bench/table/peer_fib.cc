#include "bench/table/peer_fib.hh"

#include <rte_eal.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_memory.h>

#include <array>
#include <string>

namespace wye::table {

struct PeerFib::Impl {
    rte_fib* fib4 = nullptr;
    rte_fib6* fib6 = nullptr;
    bool vector = false;  // the AVX-512 lookup was taken
    std::vector<std::uint32_t> addresses4;
    std::vector<std::array<std::uint8_t, 16>> addresses6;

    ~Impl() {
        if (fib4 != nullptr) rte_fib_free(fib4);
        if (fib6 != nullptr) rte_fib6_free(fib6);
    }
    [[nodiscard]] bool create(net::IpFamily family);
    [[nodiscard]] bool add(const RealRoute& route) const;
};

bool start_peers() {
    static const bool started = [] {
        std::vector<std::string> words{
            "bench", "--no-huge", "--no-shconf", "--no-pci", "-m", "1024", "--log-level=error",
            // EAL's own default is 256 bits, with which the AVX-512 lookups are not offered.
            "--force-max-simd-bitwidth=512", "--file-prefix=wye-bench-fib"};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
    }();
    return started;
}

bool PeerFib::Impl::create(net::IpFamily family) {
    if (family == net::IpFamily::ipv4) {
        rte_fib_conf conf{};
        conf.type = RTE_FIB_DIR24_8;
        conf.max_routes = 1 << 20;
        conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_4B;
        conf.dir24_8.num_tbl8 = 1 << 15;
        fib4 = rte_fib_create("peer4", SOCKET_ID_ANY, &conf);
        if (fib4 == nullptr) return false;
        vector = rte_fib_select_lookup(fib4, RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512) == 0;
        return true;
    }
    rte_fib6_conf conf{};
    conf.type = RTE_FIB6_TRIE;
    conf.max_routes = 1 << 18;
    conf.trie.nh_sz = RTE_FIB6_TRIE_4B;
    conf.trie.num_tbl8 = 1 << 18;
    fib6 = rte_fib6_create("peer6", SOCKET_ID_ANY, &conf);
    if (fib6 == nullptr) return false;
    vector = rte_fib6_select_lookup(fib6, RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512) == 0;
    return true;
}

bool PeerFib::Impl::add(const RealRoute& route) const {
    const net::IpPrefix& prefix = route.prefix;
    if (fib4 != nullptr) {
        return rte_fib_add(fib4, prefix.address.ipv4().host(), prefix.length, route.leaf.value) ==
               0;
    }
    return rte_fib6_add(fib6, prefix.address.bytes.data(), prefix.length, route.leaf.value) == 0;
}

std::unique_ptr<PeerFib> PeerFib::make(net::IpFamily family, const std::vector<RealRoute>& routes) {
    auto impl = std::make_unique<Impl>();
    if (!start_peers() || !impl->create(family)) return nullptr;
    for (const RealRoute& route : routes) {
        if (!impl->add(route)) return nullptr;
    }
    return std::unique_ptr<PeerFib>(new PeerFib(std::move(impl)));
}

PeerFib::PeerFib(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerFib::~PeerFib() = default;

std::string_view PeerFib::variant() const noexcept {
    return impl_->vector ? "AVX-512" : "scalar";
}

void PeerFib::set_addresses(const std::vector<net::IpAddress>& addresses) {
    impl_->addresses4.clear();
    impl_->addresses6.clear();
    for (const auto& address : addresses) {
        if (address.is_ipv4()) {
            impl_->addresses4.push_back(address.ipv4().host());
        } else {
            impl_->addresses6.push_back(address.bytes);
        }
    }
}

void PeerFib::look_up(std::size_t at, std::size_t count) {
    leaves.resize(count);
    if (impl_->fib4 != nullptr) {
        rte_fib_lookup_bulk(impl_->fib4, impl_->addresses4.data() + at, leaves.data(),
                            static_cast<int>(count));
        return;
    }
    auto* addresses = reinterpret_cast<std::uint8_t(*)[16]>(impl_->addresses6.data() + at);
    rte_fib6_lookup_bulk(impl_->fib6, addresses, leaves.data(), static_cast<int>(count));
}

}  // namespace wye::table
