// The XDP program of AF_XDP ports, run by the kernel on bytes (BPF_PROG_TEST_RUN): which frames are the
// router's, and that all others are the kernel's. Frames are written here byte by byte, and a naive
// reading of random ones says what should come out.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdlib>
#include <random>
#include <stdexcept>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "drivers/xdp/steering.hh"

namespace {

using namespace wye;
using namespace wye::drivers;
using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kPass = 2;      // XDP_PASS
constexpr std::uint32_t kRedirect = 4;  // XDP_REDIRECT

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Bytes ethernet(std::uint16_t type) {
    return Bytes{0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2} +
           Bytes{static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type & 0xff)};
}
/// Goes between the addresses and the type of an untagged frame.
Bytes tagged(Bytes frame, std::uint16_t tpid, std::uint16_t tci) {
    const Bytes tag{static_cast<std::uint8_t>(tpid >> 8), static_cast<std::uint8_t>(tpid & 0xff),
                    static_cast<std::uint8_t>(tci >> 8), static_cast<std::uint8_t>(tci & 0xff)};
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    return frame;
}
Bytes udp(std::uint16_t port) {
    return {0xc0,
            0x01,
            static_cast<std::uint8_t>(port >> 8),
            static_cast<std::uint8_t>(port & 0xff),
            0x00,
            0x10,
            0x00,
            0x00,
            0x08,
            0,
            0,
            0,
            0,
            0,
            0x64,
            0};
}
Bytes ipv4(std::uint8_t protocol, std::uint16_t flags_and_offset, const Bytes& options,
           const Bytes& payload) {
    const auto words = static_cast<std::uint8_t>(5 + options.size() / 4);
    return Bytes{static_cast<std::uint8_t>(0x40 | words),
                 0,
                 0,
                 60,
                 0,
                 1,
                 static_cast<std::uint8_t>(flags_and_offset >> 8),
                 static_cast<std::uint8_t>(flags_and_offset & 0xff),
                 64,
                 protocol,
                 0,
                 0,
                 192,
                 0,
                 2,
                 1,
                 192,
                 0,
                 2,
                 2} +
           options + payload;
}
Bytes ipv6(std::uint8_t next, const Bytes& payload) {
    Bytes header{0x60, 0, 0, 0, 0, 16, next, 64};
    header.resize(40, 0x20);
    return header + payload;
}
/// Of 8 + 8 * more bytes.
Bytes extension(std::uint8_t next, std::uint8_t more, const Bytes& behind) {
    Bytes header{next, more};
    header.resize(8 + std::size_t{more} * 8, 0);
    return header + behind;
}

constexpr std::uint8_t kUdp = 17, kTcp = 6, kHopByHop = 0, kRouting = 43, kFragment = 44,
                       kDestination = 60, kEsp = 50;

/// A program with a socket on queue 0, where test runs come in.
class Program {
  public:
    explicit Program(const XdpSpecification& rules) {
        auto loaded = Steering::load(rules, 1);
        if (!loaded) throw std::runtime_error(loaded.error().text);
        steering_ = std::move(*loaded);
    }
    void open_socket() {
        socket_ = Descriptor(socket(AF_XDP, SOCK_RAW, 0));
        const Status set = steering_->set_socket(0, socket_.get());
        if (!set) throw std::runtime_error(set.error().text);
    }
    void close_socket() { socket_.reset(); }
    std::uint32_t verdict(const Bytes& frame) const {
        bpf_test_run_opts options{};
        options.sz = sizeof options;
        options.data_in = frame.data();
        options.data_size_in = static_cast<std::uint32_t>(frame.size());
        const int failed = bpf_prog_test_run_opts(steering_->program(), &options);
        EXPECT_EQ(failed, 0) << "of " << frame.size() << " bytes";
        return options.retval;
    }

  private:
    std::unique_ptr<Steering> steering_;
    Descriptor socket_;
};

class SteeringProgram : public testing::Test {
  protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "needs the right to load an XDP program (root)";
        XdpSpecification rules;
        rules.vlans = {100, 4094};
        program_ = std::make_unique<Program>(rules);
        program_->open_socket();
    }
    std::uint32_t verdict(const Bytes& frame) const { return program_->verdict(frame); }

    std::unique_ptr<Program> program_;
};

TEST_F(SteeringProgram, TunnelsAreTheRouters) {
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{4789, 6081}) {
        const Bytes over4 = ethernet(0x0800) + ipv4(kUdp, 0x4000, {}, udp(port));
        const Bytes over6 = ethernet(0x86dd) + ipv6(kUdp, udp(port));
        for (const Bytes& frame : {over4, over6}) {
            EXPECT_EQ(verdict(frame), kRedirect);
            EXPECT_EQ(verdict(tagged(frame, 0x8100, 7)), kRedirect);
            EXPECT_EQ(verdict(tagged(frame, 0x88a8, 7)), kRedirect);
            EXPECT_EQ(verdict(tagged(tagged(frame, 0x8100, 8), 0x88a8, 7)), kRedirect);
            EXPECT_EQ(verdict(tagged(tagged(tagged(frame, 0x8100, 9), 0x8100, 8), 0x88a8, 7)),
                      kPass)
                << "three tags";
        }
    }
}

TEST_F(SteeringProgram, WithoutASocketEverythingIsTheKernels) {
    const Bytes frame = ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(4789));
    EXPECT_EQ(verdict(frame), kRedirect);
    program_->close_socket();  // as when the router ends, in whatever way
    EXPECT_EQ(verdict(frame), kPass);
    EXPECT_EQ(verdict(tagged(frame, 0x8100, 100)), kPass);
}

TEST_F(SteeringProgram, OtherTrafficIsTheKernels) {
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv4(kTcp, 0, {}, udp(4789))), kPass);
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(53))), kPass);
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(0))), kPass);
    EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(kTcp, udp(6081))), kPass);
    EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(58, udp(6081))), kPass) << "ND";
    EXPECT_EQ(verdict(ethernet(0x0806) + Bytes(28, 1)), kPass) << "ARP";
    EXPECT_EQ(verdict(ethernet(0x88cc) + Bytes(46, 1)), kPass) << "LLDP";
    EXPECT_EQ(verdict(ethernet(0x0600) + ipv4(kUdp, 0, {}, udp(4789))), kPass);
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv6(kUdp, udp(4789))), kPass) << "IPv6 called IPv4";
    EXPECT_EQ(verdict(ethernet(0x86dd) + ipv4(kUdp, 0, {}, udp(4789))), kPass);
    Bytes source = udp(9);  // only the destination port counts
    source[0] = 4789 >> 8;
    source[1] = 4789 & 0xff;
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv4(kUdp, 0, {}, source)), kPass);
}

TEST_F(SteeringProgram, AChosenVlanIsTheRoutersWhateverIsInIt) {
    const Bytes arp = ethernet(0x0806) + Bytes(28, 1);
    const Bytes nd = ethernet(0x86dd) + ipv6(58, Bytes(24, 0));
    for (const Bytes& frame : {arp, nd, ethernet(0x88cc)}) {
        EXPECT_EQ(verdict(tagged(frame, 0x8100, 100)), kRedirect);
        EXPECT_EQ(verdict(tagged(frame, 0x88a8, 100)), kRedirect);
        EXPECT_EQ(verdict(tagged(frame, 0x8100, 0xe064)), kRedirect) << "priority is no part of it";
        EXPECT_EQ(verdict(tagged(frame, 0x8100, 4094)), kRedirect);
        EXPECT_EQ(verdict(tagged(tagged(frame, 0x8100, 5), 0x88a8, 100)), kRedirect);
        EXPECT_EQ(verdict(tagged(tagged(frame, 0x8100, 100), 0x88a8, 5)), kPass)
            << "the outer tag counts";
        for (const std::uint16_t vlan :
             std::initializer_list<std::uint16_t>{0, 99, 101, 36, 4095}) {
            EXPECT_EQ(verdict(tagged(frame, 0x8100, vlan)), kPass) << vlan;
        }
    }
}

TEST_F(SteeringProgram, Ipv4OptionsAreSkipped) {
    const Bytes options(40, 1);
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv4(kUdp, 0, options, udp(4789))), kRedirect);
    EXPECT_EQ(verdict(ethernet(0x0800) + ipv4(kUdp, 0, options, udp(4790))), kPass);
    Bytes short_header = ipv4(kUdp, 0, {}, udp(4789));
    short_header[0] = 0x44;
    EXPECT_EQ(verdict(ethernet(0x0800) + short_header), kPass);
}

TEST_F(SteeringProgram, Ipv6ExtensionHeadersAreWalkedUpToEight) {
    for (const std::uint8_t kind : {kHopByHop, kRouting, kDestination}) {
        EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(kind, extension(kUdp, 3, udp(6081)))), kRedirect);
    }
    Bytes chain = udp(4789);
    std::uint8_t next = kUdp;
    for (int headers = 1; headers <= 9; ++headers) {
        chain = extension(next, static_cast<std::uint8_t>(headers % 3), chain);
        next = kDestination;
        EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(next, chain)), headers <= 8 ? kRedirect : kPass)
            << headers;
    }
    EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(kEsp, extension(kUdp, 0, udp(4789)))), kPass);
    EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(kHopByHop, extension(kUdp, 255, udp(4789)))),
              kRedirect)
        << "a header of 2048 bytes";
}

TEST_F(SteeringProgram, FragmentsStayTogetherWithTheKernel) {
    const auto over4 = [](std::uint16_t field) {
        return ethernet(0x0800) + ipv4(kUdp, field, {}, udp(4789));
    };
    EXPECT_EQ(verdict(over4(0x4000)), kRedirect) << "DF";
    EXPECT_EQ(verdict(over4(0x2000)), kPass) << "the first of several";
    EXPECT_EQ(verdict(over4(0x2001)), kPass);
    EXPECT_EQ(verdict(over4(0x00b9)), kPass) << "the last";
    const Bytes fragment{kUdp, 0, 0, 1, 0, 0, 0, 1};
    EXPECT_EQ(verdict(ethernet(0x86dd) + ipv6(kFragment, fragment + udp(4789))), kPass);
    EXPECT_EQ(verdict(ethernet(0x86dd) +
                      ipv6(kDestination, extension(kFragment, 0, fragment + udp(4789)))),
              kPass);
}

TEST_F(SteeringProgram, WhatIsCutOffBeforeItsPortIsTheKernels) {
    const Bytes options(8, 1);
    const Bytes hop = extension(kUdp, 1, udp(4789));
    for (const Bytes& whole :
         {ethernet(0x0800) + ipv4(kUdp, 0, options, udp(4789)),
          tagged(ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(6081)), 0x8100, 3),
          ethernet(0x86dd) + ipv6(kHopByHop, hop),
          tagged(tagged(ethernet(0x86dd) + ipv6(kUdp, udp(4789)), 0x8100, 3), 0x88a8, 4)}) {
        const std::size_t needed = whole.size() - 8;  // the UDP header is the last that is read
        for (std::size_t length = 14; length <= whole.size(); ++length) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            EXPECT_EQ(verdict(cut), length < needed ? kPass : kRedirect) << length;
        }
    }
}

TEST_F(SteeringProgram, TakesEverythingWhereToldSo) {
    XdpSpecification rules;
    rules.steer = Steer::all;
    Program all(rules);
    EXPECT_EQ(all.verdict(ethernet(0x0806) + Bytes(28, 1)), kPass) << "no socket yet";
    all.open_socket();
    EXPECT_EQ(all.verdict(ethernet(0x0806) + Bytes(28, 1)), kRedirect);
    EXPECT_EQ(all.verdict(ethernet(0x1234)), kRedirect);
}

TEST_F(SteeringProgram, PortsAreThoseOfTheConfiguration) {
    XdpSpecification rules;
    rules.udp_ports = {8472};
    Program other(rules);
    other.open_socket();
    EXPECT_EQ(other.verdict(ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(8472))), kRedirect);
    EXPECT_EQ(other.verdict(ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(4789))), kPass);
    EXPECT_EQ(other.verdict(ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(0))), kPass);
}

/// The rules once more, in the plainest way; at() throws where the frame ends.
bool naive(const Bytes& frame) {
    const auto word = [&](std::size_t at) { return frame.at(at) << 8 | frame.at(at + 1); };
    std::size_t at = 12;
    for (int depth = 0; depth < 2 && (word(at) == 0x8100 || word(at) == 0x88a8); ++depth) {
        const int tci = word(at + 2);
        (void)word(at + 4);
        if (depth == 0 && ((tci & 0xfff) == 100 || (tci & 0xfff) == 4094)) return true;
        at += 4;
    }
    const int type = word(at);
    at += 2;
    if (type == 0x0800) {
        (void)frame.at(at + 19);
        const int first = frame[at];
        if (first >> 4 != 4 || (first & 15) < 5 || frame[at + 9] != kUdp) return false;
        if ((word(at + 6) & 0x3fff) != 0) return false;
        at += std::size_t(first & 15) * 4;
    } else if (type == 0x86dd) {
        (void)frame.at(at + 39);
        if (frame[at] >> 4 != 6) return false;
        int next = frame[at + 6];
        at += 40;
        for (int walked = 0; walked < 8; ++walked) {
            if (next != kHopByHop && next != kRouting && next != kDestination) break;
            (void)frame.at(at + 7);
            next = frame[at];
            at += (std::size_t{frame[at + 1]} + 1) * 8;
        }
        if (next != kUdp) return false;
    } else {
        return false;
    }
    (void)frame.at(at + 7);
    return word(at + 2) == 4789 || word(at + 2) == 6081;
}

std::uint32_t expected(const Bytes& frame) {
    try {
        return naive(frame) ? kRedirect : kPass;
    } catch (const std::out_of_range&) {
        return kPass;
    }
}

TEST_F(SteeringProgram, AgreesWithANaiveReadingOfSpoiltFrames) {
    std::mt19937 random(4);
    const auto up_to = [&](std::size_t most) {
        return std::uniform_int_distribution<std::size_t>(0, most)(random);
    };
    const std::vector<Bytes> good{
        ethernet(0x0800) + ipv4(kUdp, 0, {}, udp(4789)),
        ethernet(0x0800) + ipv4(kUdp, 0x4000, Bytes(12, 1), udp(6081)),
        ethernet(0x86dd) + ipv6(kUdp, udp(4789)),
        ethernet(0x86dd) + ipv6(kHopByHop, extension(kRouting, 1, extension(kUdp, 0, udp(6081)))),
    };
    // Places and values that matter are met often enough only if they are sought.
    const Bytes values{0,    1,    5,    6,    17,   43,   44,   50,  60,
                       0x08, 0x81, 0x86, 0x88, 0xa8, 0xdd, 0x64, 0xff};
    std::size_t routers = 0;
    constexpr std::size_t kFrames = 40'000;
    for (std::size_t i = 0; i < kFrames; ++i) {
        Bytes frame = good[up_to(good.size() - 1)];
        for (std::size_t tags = up_to(3); tags > 0; --tags) {
            const std::uint16_t tci =
                up_to(3) == 0 ? 100 : static_cast<std::uint16_t>(up_to(65535));
            frame = tagged(frame, up_to(1) == 0 ? 0x8100 : 0x88a8, tci);
        }
        for (std::size_t spoilt = up_to(3); spoilt > 0; --spoilt) {
            frame[up_to(frame.size() - 1)] = up_to(1) == 0 ? values[up_to(values.size() - 1)]
                                                           : static_cast<std::uint8_t>(up_to(255));
        }
        if (up_to(3) == 0) frame.resize(14 + up_to(frame.size() - 14));
        const std::uint32_t wanted = expected(frame);
        ASSERT_EQ(verdict(frame), wanted) << "frame " << i;
        routers += wanted == kRedirect ? 1 : 0;
    }
    EXPECT_GT(routers, kFrames / 8);
    EXPECT_LT(routers, kFrames * 7 / 8);
}

}  // namespace
