// Sixteen frames in vectors against the same conditions one by one, as PlainLane::enter has them:
// random frames that are nearly plain, each spoilt in a place or two, between those of other runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "dataplane/pipeline/exits.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/plain_sixteen.hh"
#include "test_router.hh"

namespace wye::pipeline::test {
namespace {

constexpr std::uint64_t kMac = 0x0100'0000'0002'0000;  // 02:00:00:00:00:01, behind two bytes
constexpr std::uint64_t kTag = 0xff0f'ffff;

struct Case {
    const char* name;
    unsigned tags;
};

/// Memory of its own, to the byte: the address sanitizer sees what is read beyond.
struct OwnFrame {
    explicit OwnFrame(const Bytes& bytes, std::uint16_t headroom = kMinHeadroom)
        : memory(headroom + bytes.size()) {
        std::copy(bytes.begin(), bytes.end(), memory.begin() + headroom);
        frame.data = memory.data() + headroom;
        frame.length = static_cast<std::uint32_t>(bytes.size());
        frame.headroom = headroom;
    }
    std::vector<std::byte> memory;
    Frame frame;
};

class Generator {
  public:
    explicit Generator(unsigned tags) : tags_(tags) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    OwnFrame frame() {
        Bytes bytes = link();
        const Bytes packet = ip();
        bytes.insert(bytes.end(), packet.begin(), packet.end());
        if (below(3) == 0) bytes.resize(bytes.size() + below(40));
        for (std::size_t spoilt = below(4); spoilt == 1; spoilt = below(4)) {
            const std::size_t at = below(std::min<std::size_t>(bytes.size(), 44));
            if (below(2) == 0) {
                bytes[at] ^= static_cast<std::byte>(1u << below(8));
            } else {
                bytes[at] = static_cast<std::byte>(random_());
            }
            // Else nothing but the checksum would ever be wrong.
            if (below(2) == 0) mend_checksum(bytes);
        }
        if (below(40) == 0) bytes.resize(below(bytes.size()));
        return OwnFrame(bytes, below(60) == 0 ? kLeastHeadroom - 1 : kMinHeadroom);
    }

  private:
    Bytes link() {
        Bytes bytes(12, std::byte{0});
        bytes[0] = std::byte{2};
        bytes[5] = std::byte{1};
        for (unsigned i = 0; i < tags_; ++i) {
            const auto priority = static_cast<std::byte>(below(8) << 5);
            const Bytes tag{i + 1 < tags_ ? std::byte{0x88} : std::byte{0x81},
                            i + 1 < tags_ ? std::byte{0xa8} : std::byte{0}, priority, std::byte{7}};
            bytes.insert(bytes.end(), tag.begin(), tag.end());
        }
        bytes.push_back(below(30) == 0 ? std::byte{0x86} : std::byte{0x08});
        bytes.push_back(std::byte{0});
        return bytes;
    }
    Bytes ip() {
        const bool tcp = below(2) == 0;
        const std::size_t length = (tcp ? 40 : 28) + below(3) * below(30);
        Bytes bytes(length);
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
        bytes[0] = std::byte{0x45};
        bytes[2] = static_cast<std::byte>(length >> 8);
        bytes[3] = static_cast<std::byte>(length);
        bytes[6] &= std::byte{0x40};
        bytes[7] = std::byte{0};
        bytes[8] = static_cast<std::byte>(below(4) == 0 ? below(4) : 64);
        bytes[9] = static_cast<std::byte>(below(20) == 0 ? below(20) : tcp ? 6 : 17);
        for (const std::size_t address : {std::size_t{12}, std::size_t{16}}) {
            if (below(4) != 0) bytes[address] = static_cast<std::byte>(1 + below(126));
        }
        Bytes framed(14);
        framed.insert(framed.end(), bytes.begin(), bytes.end());
        mend(framed, 14);
        return {framed.begin() + 14, framed.end()};
    }
    void mend_checksum(Bytes& bytes) const { mend(bytes, 14 + 4 * tags_); }
    static void mend(Bytes& bytes, std::size_t l3) {
        if (bytes.size() < l3 + 20) return;
        bytes[l3 + 10] = bytes[l3 + 11] = std::byte{0};
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < 20; i += 2) {
            sum += std::to_integer<std::uint32_t>(bytes[l3 + i]) << 8 |
                   std::to_integer<std::uint32_t>(bytes[l3 + i + 1]);
        }
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        bytes[l3 + 10] = static_cast<std::byte>(~sum >> 8);
        bytes[l3 + 11] = static_cast<std::byte>(~sum);
    }

    unsigned tags_;
    std::mt19937 random_{20261121};
};

PlainRun run_with(unsigned tags) {
    PlainRun run{};
    run.mac = kMac;
    run.l3_offset = static_cast<std::uint16_t>(14 + 4 * tags);
    run.tag_mask = tags == 0 ? 0 : tags == 1 ? kTag : kTag | kTag << 32;
    run.tags = tags == 0   ? 0
               : tags == 1 ? std::uint64_t{0x0700'0081}
                           : std::uint64_t{0x0700'a888} | std::uint64_t{0x0700'0081} << 32;
    return run;
}

/// The length of the IP packet; 0: the frame is not plain, or not of the run.
std::uint32_t length_of(const PlainRun& run, const Frame& frame) {
    if (frame.length < run.l3_offset + PlainIpv4::kLeast) return 0;
    if (load<std::uint64_t>(frame.data) << 16 != run.mac) return 0;
    if ((load<std::uint64_t>(frame.data + 12) & run.tag_mask) != run.tags) return 0;
    if (load<std::uint16_t>(frame.data + run.l3_offset - 2) != PlainIpv4::kEtherType) return 0;
    return PlainIpv4::length(frame.data + run.l3_offset, frame.length - run.l3_offset);
}

class Sixteens : public testing::TestWithParam<unsigned> {};

TEST_P(Sixteens, AreWhatTheyAreOneByOne) {
    const CheckSixteen check = check_sixteen();
    if (check == nullptr) GTEST_SKIP() << "needs a CPU with AVX-512 (F, BW, DQ)";
    Generator generator(GetParam());
    const PlainRun run = run_with(GetParam());
    const SixteenRun what(run);
    std::size_t plain = 0, others = 0, refused = 0;
    for (int round = 0; round < 60000; ++round) {
        std::vector<OwnFrame> owned;
        std::array<Frame, kSixteen> frames;
        bool fit = true;
        for (Frame& frame : frames) {
            frame = owned.emplace_back(generator.frame()).frame;
            fit = fit && frame.headroom >= kLeastHeadroom &&
                  frame.length >= run.l3_offset + PlainIpv4::kLeast;
        }
        Sixteen found;
        check(frames.data(), what, found);
        std::uint32_t bytes = 0;
        for (std::size_t i = 0; i < kSixteen; ++i) {
            const std::uint32_t length = fit ? length_of(run, frames[i]) : 0;
            ASSERT_EQ(found.plain >> i & 1, length != 0 ? 1u : 0u) << round << ' ' << i;
            ++(length != 0 ? plain : others);
            if (length == 0) continue;
            bytes += frames[i].length;
            ASSERT_EQ(found.lengths[i], length);
            ASSERT_EQ(found.is_whole >> i & 1, length + run.l3_offset == frames[i].length);
            ASSERT_EQ(found.destinations[i],
                      PlainIpv4::destination(frames[i].data + run.l3_offset));
        }
        ASSERT_EQ(found.bytes, bytes);
        refused += fit ? 0 : 1;
    }
    EXPECT_GT(plain, 100000u);
    EXPECT_GT(others, 100000u);
    EXPECT_GT(refused, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Tags, Sixteens, testing::Values(0u, 1u, 2u));

}  // namespace
}  // namespace wye::pipeline::test
