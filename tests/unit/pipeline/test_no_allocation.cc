// Nothing in the pipeline allocates: bursts of every kind run through all passes while malloc and
// operator new abort. What the objects could reach at all is check_symbols.py's question; this one
// also sees what is behind indirect calls.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "dataplane/pipeline/hold.hh"
#include "dataplane/pipeline/pipelines.hh"
#include "tests/unit/pipeline/test_router.hh"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kInterposed = false;  // the sanitizer has the allocator
namespace {
struct [[maybe_unused]] Forbidden {};
}  // namespace
#else
constexpr bool kInterposed = true;
namespace {
thread_local bool forbidden = false;

void must_be_allowed(const char* what) {
    if (!forbidden) return;
    forbidden = false;
    (void)!write(STDERR_FILENO, what, std::strlen(what));
    (void)!write(STDERR_FILENO, " while a burst runs\n", 20);
    std::abort();
}
struct Forbidden {
    Forbidden() { forbidden = true; }
    ~Forbidden() { forbidden = false; }
};
}  // namespace

// In place of glibc's, which has these names for its own.
extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT
void* __libc_realloc(void*, std::size_t);         // NOLINT
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT
void __libc_free(void*);                          // NOLINT
void* malloc(std::size_t size) {
    must_be_allowed("malloc");
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    must_be_allowed("calloc");
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
    must_be_allowed("realloc");
    return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    must_be_allowed("aligned_alloc");
    return __libc_memalign(alignment, size);
}
void free(void* memory) {
    if (memory != nullptr) must_be_allowed("free");
    __libc_free(memory);
}
}
// operator new and delete of libstdc++ come down to these.
#endif

namespace wye::pipeline::test {
namespace {

constexpr std::size_t kBuffers = 512;
constexpr std::uint16_t kBufferBytes = 2048;

/// Buffers made beforehand.
class FixedPool : public FramePool {
  public:
    bool allocate(Frame& frame) noexcept override {
        if (count_ == 0) return false;
        frame = {};
        frame.buffer = free_[--count_];
        frame.data = static_cast<std::byte*>(frame.buffer) + kMinHeadroom;
        frame.headroom = kMinHeadroom;
        frame.tailroom = kBufferBytes - kMinHeadroom;
        return true;
    }
    void release(std::span<const Frame> frames) noexcept override {
        for (const Frame& frame : frames) free_[count_++] = frame.buffer;
    }
    [[nodiscard]] std::size_t available() const { return count_; }

  private:
    std::array<std::array<std::byte, kBufferBytes>, kBuffers> memory_;
    std::array<void*, kBuffers> free_ = [this] {
        std::array<void*, kBuffers> all{};
        for (std::size_t i = 0; i < kBuffers; ++i) all[i] = memory_[i].data();
        return all;
    }();
    std::size_t count_ = kBuffers;
};

class NoAllocation : public ::testing::Test {
  protected:
    NoAllocation() { router.context.pool = pool.get(); }
    ~NoAllocation() override {
        for (unsigned i = 0; i < 4 && router.context.hold->size() != 0; ++i) {
            router.advance_milliseconds(1'000'000);
            run_held(false);
        }
        router.context.pool = &router.pool;
        EXPECT_EQ(pool->available(), kBuffers) << "frames were lost";
    }

    Frame frame_of(const Bytes& bytes) {
        Frame frame;
        EXPECT_TRUE(pool->allocate(frame));
        std::memcpy(frame.data, bytes.data(), bytes.size());
        frame.length = static_cast<std::uint32_t>(bytes.size());
        frame.tailroom = static_cast<std::uint16_t>(frame.tailroom - bytes.size());
        return frame;
    }
    void receive(std::vector<Bytes> packets) {
        std::vector<Frame> frames;
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            frames.push_back(frame_of(packets[i % packets.size()]));
        }
        {
            const Forbidden armed;
            run_from_port(router.context, PortId{0}, frames);
        }
        collect();
    }
    void from_host(const Bytes& bytes, VportId vport, VrfId vrf) {
        HostFrame frame{frame_of(bytes), vport, vrf};
        {
            const Forbidden armed;
            run_from_host(router.context, {&frame, 1});
        }
        collect();
    }
    void run_held(bool all) {
        {
            const Forbidden armed;
            pipeline::run_held(router.context, all);
        }
        collect();
    }
    /// Half of what is to be transmitted is taken by the port.
    void collect() {
        PortOutput& output = (*router.context.outputs)[0];
        const std::size_t taken = output.count / 2;
        sent += output.count;
        const std::span<const Frame> gone(output.frames.data(), taken);
        pool->release(gone);
        {
            const Forbidden armed;
            book_transmitted(router.context, PortId{0}, taken);
        }
        PuntedFrame frame;
        for (; router.context.punt->pop({&frame, 1}) == 1; ++punted)
            pool->release({&frame.frame, 1});
        ring::ResolveRequest request;
        while (router.context.resolve->pop({&request, 1}) == 1) ++resolves;
    }
    static Bytes to(std::string_view destination, std::uint8_t ttl = 64, std::size_t payload = 18) {
        const bool six = destination.find(':') != std::string_view::npos;
        return ethernet({}, ip_packet({.source = six ? "2001:db8:1::9" : "172.16.0.9",
                                       .destination = destination,
                                       .ttl = ttl},
                                      udp(1024, 443, Bytes(payload))));
    }

    TestRouter router;
    std::unique_ptr<FixedPool> pool = std::make_unique<FixedPool>();
    std::size_t sent = 0, punted = 0, resolves = 0;
};

/// A tenant with a next hop of every kind, both tunnel kinds in both directions.
struct Everything {
    VrfId underlay, red;
    VportId carrier, site;

    explicit Everything(TestRouter& router)
        : underlay(router.add_vrf(router.add_tenant(), true)),
          red(router.add_vrf(router.add_tenant())),
          carrier(router.add_vport(underlay, {.vlan = 100, .source4 = "192.0.2.1"})),
          site(router.add_vport(red, {.source4 = "172.16.0.1", .source6 = "2001:db8:1::1"})) {
        const auto gone = [&](std::string_view prefix, NextHopKind kind) {
            router.add_route(red, prefix, router.add_nexthop(kind, site));
        };
        const auto far =
            router.add_nexthop(NextHopKind::adjacency, carrier, "192.0.2.2", "02:00:00:00:00:03");
        router.add_route(underlay, "192.0.2.0/24", far);
        router.add_route(underlay, "192.0.2.1/32", router.add_nexthop(NextHopKind::local, carrier));
        const auto next =
            router.add_nexthop(NextHopKind::adjacency, site, "172.16.0.2", "02:00:00:00:00:04");
        const auto next6 =
            router.add_nexthop(NextHopKind::adjacency, site, "2001:db8:1::2", "02:00:00:00:00:04");
        router.add_route(red, "10.0.0.0/16", next);
        router.add_route(red, "10.7.0.0/16", table::Leaf::of(router.add_group({next, next, next})));
        router.add_route(red, "2001:db8:2::/48", next6);
        router.add_route(red, "10.1.0.0/16",
                         router.add_nexthop(NextHopKind::adjacency, site, "172.16.0.3"));
        gone("172.16.0.1/32", NextHopKind::local);
        gone("172.16.0.0/16", NextHopKind::glean);
        gone("10.2.0.0/16", NextHopKind::blackhole);
        gone("10.3.0.0/16", NextHopKind::unreachable);
        gone("10.4.0.0/16", NextHopKind::prohibit);
        for (const TunnelKind kind : {TunnelKind::geneve, TunnelKind::vxlan}) {
            const bool geneve = kind == TunnelKind::geneve;
            const TunnelId tunnel = router.add_tunnel({.kind = kind,
                                                       .local = "192.0.2.1",
                                                       .remote = "192.0.2.2",
                                                       .vni = 5001,
                                                       .underlay = underlay});
            const VportId inside = router.add_vport(red, {.tunnel = tunnel});
            router.add_route(red, geneve ? "10.5.0.0/16" : "10.6.0.0/16",
                             router.add_nexthop(NextHopKind::adjacency, inside, "169.254.0.2",
                                                "02:00:00:00:00:01"));
        }
        add_acls(router);
    }
    void add_acls(TestRouter& router) const {
        std::vector<table::AclRuleSpec> rules(2);
        rules[0].destination = {net::parse_prefix("10.9.0.0/16")->address, 16};
        rules[0].action = AclAction::deny;
        rules[1].action = AclAction::permit;
        const auto acl = router.add_acl(rules, true, 0);
        router.change_vport(site, [acl](table::VportPolicy& policy) {
            policy.ingress_acl = acl;
            policy.egress_acl = acl;
        });
    }
};

TEST_F(NoAllocation, InAnyPassOfReceivedBursts) {
    if (!kInterposed) GTEST_SKIP() << "the sanitizer has the allocator";
    const Everything tables(router);
    std::vector<Bytes> mixture;
    for (unsigned i = 0; i < 10; ++i) mixture.push_back(to("10." + std::to_string(i) + ".0.1"));
    mixture.push_back(to("10.0.0.1", 1));                         // TTL exceeded
    mixture.push_back(to("2001:db8:2::1"));                       // IPv6
    mixture.push_back(to("2001:db8:2::1", 1));                    // hop limit exceeded
    mixture.push_back(to("2001:db8:3::1"));                       // no route
    mixture.push_back(to("172.16.0.1"));                          // to the router
    mixture.push_back(to("172.16.0.77"));                         // glean: held
    mixture.push_back(to("10.5.0.1", 64, 1472));                  // too big for the tunnel
    mixture.push_back(ethernet({.vlans = {7}}, to("10.0.0.1")));  // no vport
    mixture.push_back(Bytes(60));                                 // nothing at all
    for (const Bytes& packet : std::vector<Bytes>(mixture)) receive({packet});
    receive(mixture);
    EXPECT_GE(sent, 5 * kMaxBurst);
    EXPECT_GT(punted, 0u);
    EXPECT_GT(resolves, 0u);
    EXPECT_GT(router.context.hold->size(), 0u);
    EXPECT_GT(router.total(&table::LedgerRow::generated), 0u);
    run_held(true);
    router.advance_milliseconds(1'000'000);
    run_held(false);
}

TEST_F(NoAllocation, InDecapsulation) {
    if (!kInterposed) GTEST_SKIP() << "the sanitizer has the allocator";
    const Everything tables(router);
    const Bytes inner = to("10.0.0.1");
    for (const bool geneve : {true, false}) {
        Bytes payload = from_hex(geneve ? "00006558 00138900" : "08000000 00138900");
        payload.insert(payload.end(), inner.begin(), inner.end());
        const std::uint16_t port = geneve ? 6081 : 4789;
        const std::size_t before = sent;
        receive({ethernet({.vlans = {100}},
                          ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"},
                                    udp(50000, port, payload)))});
        EXPECT_EQ(sent - before, kMaxBurst) << (geneve ? "GENEVE" : "VXLAN");
    }
}

TEST_F(NoAllocation, OfFramesFromTheHost) {
    if (!kInterposed) GTEST_SKIP() << "the sanitizer has the allocator";
    const Everything tables(router);
    from_host(to("10.0.0.1"), tables.carrier, VrfId{});
    from_host(ip_packet({.source = "172.16.0.1", .destination = "10.5.0.1"}, udp(1, 2)), VportId{},
              tables.red);
    from_host(Bytes(3), VportId{}, tables.red);
    EXPECT_EQ(sent, 2u);
}

TEST(NoAllocationDeathTest, WouldBeSeen) {
    if (!kInterposed) GTEST_SKIP() << "the sanitizer has the allocator";
    const auto allocate = [] {
        const Forbidden armed;
        auto* number = new int(1);
        asm volatile("" : : "r"(number) : "memory");
        delete number;
    };
    EXPECT_DEATH(allocate(), "malloc while a burst runs");
}

}  // namespace
}  // namespace wye::pipeline::test
