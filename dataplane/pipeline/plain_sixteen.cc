#include "dataplane/pipeline/plain_sixteen.hh"

#include <bit>
#include <cstring>

#include "dataplane/base/avx512.hh"
#include "dataplane/base/instruction_set.hh"
#include "dataplane/net/ip_protocol.hh"
#include "dataplane/pipeline/exits.hh"
#include "dataplane/pipeline/plain_headers.hh"

namespace wye::pipeline {

SixteenRun::SixteenRun(const PlainRun& run) noexcept : l3_offset(run.l3_offset) {
    constexpr std::size_t kTags = 2 * sizeof(net::MacAddress);
    // As a frame's link header lies in memory: the MAC address that it goes to, tags, EtherType.
    std::array<std::byte, kTags + 8 + sizeof(Be16)> mask{}, link{};
    store(mask.data(), UINT64_MAX >> 16);
    store(link.data(), run.mac >> 16);
    store(mask.data() + kTags, run.tag_mask);
    store(link.data() + kTags, run.tags);
    store(mask.data() + l3_offset - sizeof(Be16), std::uint16_t{0xffff});
    store(link.data() + l3_offset - sizeof(Be16), PlainIpv4::kEtherType);
    is_tagged = l3_offset > sizeof(net::EthernetHeader);
    std::memcpy(first_mask.data(), mask.data(), sizeof first_mask);
    std::memcpy(first.data(), link.data(), sizeof first);
    if (!is_tagged) return;
    std::memcpy(last_mask.data(), mask.data() + l3_offset - sizeof last, sizeof last);
    std::memcpy(last.data(), link.data() + l3_offset - sizeof last, sizeof last);
}

namespace {

#define WYE_SIXTEEN_TARGET [[gnu::target("avx512f,avx512bw,avx512dq")]]

/// Every lane a packet's, in order.
struct Transposed {
    __m512i words[4];
};

WYE_SIXTEEN_TARGET inline __m128i load_piece(const void* at) noexcept {
    return _mm_loadu_si128(static_cast<const __m128i*>(at));
}

/// 16 bytes each of the packets i, i + 4, i + 8 and i + 12.
WYE_SIXTEEN_TARGET inline __m512i load_four(const std::byte* const* at, std::size_t i,
                                            std::ptrdiff_t offset) noexcept {
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load_piece(at[i] + offset)),
                                                load_piece(at[i + 4] + offset), 1);
    const __m256i high = _mm256_inserti128_si256(
        _mm256_castsi128_si256(load_piece(at[i + 8] + offset)), load_piece(at[i + 12] + offset), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/// The 32-bit words of 16 bytes of each packet.
WYE_SIXTEEN_TARGET inline Transposed load_words(const std::byte* const* at,
                                                std::ptrdiff_t offset) noexcept {
    const __m512i a = load_four(at, 0, offset), b = load_four(at, 1, offset),
                  c = load_four(at, 2, offset), d = load_four(at, 3, offset);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    return {{_mm512_unpacklo_epi64(ab_low, cd_low), _mm512_unpackhi_epi64(ab_low, cd_low),
             _mm512_unpacklo_epi64(ab_high, cd_high), _mm512_unpackhi_epi64(ab_high, cd_high)}};
}

/// In every second word, whether one of the words beside it is not zero.
WYE_SIXTEEN_TARGET inline __m512i join(__m512i a, __m512i b) noexcept {
    return _mm512_or_si512(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

/// Lanes that are not zero: packets of which a bit that counts is not what it must be.
WYE_SIXTEEN_TARGET inline __m512i differences(const std::byte* const* at, std::ptrdiff_t offset,
                                              const std::array<std::uint64_t, 2>& mask,
                                              const std::array<std::uint64_t, 2>& wanted) noexcept {
    const __m512i masks = _mm512_broadcast_i32x4(load_piece(mask.data()));
    const __m512i wants = _mm512_broadcast_i32x4(load_piece(wanted.data()));
    __m512i four[4];
    for (std::size_t i = 0; i < 4; ++i) {
        // (a ^ b) & c
        four[i] = _mm512_ternarylogic_epi32(load_four(at, i, offset), wants, masks, 0x28);
    }
    const __m512i low = join(four[0], four[1]), high = join(four[2], four[3]);
    return _mm512_or_si512(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
}

/// Zero where the sum of the headers' 16-bit words (RFC 1071) is right.
WYE_SIXTEEN_TARGET inline __m512i wrong_sums(const Transposed& head, __m512i destination) noexcept {
    const __m512i low = all(0xffff);
    __m512i even = _mm512_and_si512(destination, low), odd = _mm512_srli_epi32(destination, 16);
    for (const __m512i& word : head.words) {
        even = _mm512_add_epi32(even, _mm512_and_si512(word, low));
        odd = _mm512_add_epi32(odd, _mm512_srli_epi32(word, 16));
    }
    __m512i sum = _mm512_add_epi32(even, odd);
    sum = _mm512_add_epi32(_mm512_and_si512(sum, low), _mm512_srli_epi32(sum, 16));
    sum = _mm512_add_epi32(_mm512_and_si512(sum, low), _mm512_srli_epi32(sum, 16));
    return _mm512_xor_si512(sum, low);
}

/// Where the first octet is 1 to 126 or 128 to 223.
WYE_SIXTEEN_TARGET inline __mmask16 are_usual(__mmask16 of, __m512i addresses) noexcept {
    const __m512i octet = _mm512_and_si512(addresses, all(0xff));
    of = _mm512_mask_cmplt_epu32_mask(of, _mm512_sub_epi32(octet, all(1)), all(223));
    return _mm512_mask_cmpneq_epi32_mask(of, octet, all(127));
}

/// Piece by piece: the frames were written a moment ago, and a load that is wider than the stores
/// before it has to wait for them.
WYE_SIXTEEN_TARGET inline __m128i lengths_of(const Frame* frames) noexcept {
    __m128i four = _mm_cvtsi32_si128(static_cast<int>(frames[0].length));
    four = _mm_insert_epi32(four, static_cast<int>(frames[1].length), 1);
    four = _mm_insert_epi32(four, static_cast<int>(frames[2].length), 2);
    return _mm_insert_epi32(four, static_cast<int>(frames[3].length), 3);
}

/// Which of sixteen frames, of which all that is read is there.
WYE_SIXTEEN_TARGET inline void check_headers(const std::byte* const* l3, __m512i frame_lengths,
                                             const SixteenRun& run, Sixteen& result) noexcept {
    __m512i wrong =
        differences(l3, -static_cast<std::ptrdiff_t>(run.l3_offset), run.first_mask, run.first);
    if (run.is_tagged) {
        wrong = _mm512_or_si512(wrong, differences(l3, -16, run.last_mask, run.last));
    }
    const Transposed head = load_words(l3, 0);                // up to the source address
    const __m512i destination = load_words(l3, 12).words[1];  // from there to the ports
    wrong = _mm512_or_si512(wrong, wrong_sums(head, destination));
    // Version 4, five words of header; neither MF nor an offset: a | (b & c).
    wrong = _mm512_ternarylogic_epi32(wrong, _mm512_xor_si512(head.words[0], all(0x45)), all(0xff),
                                      0xf8);
    wrong = _mm512_ternarylogic_epi32(wrong, head.words[1], all(0xff3f'0000), 0xf8);
    __mmask16 good = _mm512_testn_epi32_mask(wrong, wrong);
    good = are_usual(are_usual(good, head.words[3]), destination);
    // A TTL that is not at its end; UDP or TCP, with the length that each has at least.
    good = _mm512_mask_cmpgt_epu32_mask(good, _mm512_and_si512(head.words[2], all(0xff)), all(1));
    const __m512i protocol = _mm512_and_si512(_mm512_srli_epi32(head.words[2], 8), all(0xff));
    const __mmask16 udp = _mm512_cmpeq_epi32_mask(protocol, all(net::protocol::udp)),
                    tcp = _mm512_cmpeq_epi32_mask(protocol, all(net::protocol::tcp));
    good = static_cast<__mmask16>(good & (udp | tcp));
    const __m512i swap = _mm512_broadcast_i32x4(
        _mm_setr_epi8(3, 2, -1, -1, 7, 6, -1, -1, 11, 10, -1, -1, 15, 14, -1, -1));
    const __m512i lengths = _mm512_shuffle_epi8(head.words[0], swap);
    const __m512i sizes = _mm512_sub_epi32(frame_lengths, all(run.l3_offset));
    const __m512i least =
        _mm512_mask_mov_epi32(all(sizeof(net::Ipv4Header) + sizeof(net::UdpHeader)), tcp,
                              all(sizeof(net::Ipv4Header) + sizeof(net::TcpHeader)));
    good = _mm512_mask_cmpge_epu32_mask(good, lengths, least);
    good = _mm512_mask_cmple_epu32_mask(good, lengths, sizes);
    _mm512_store_si512(result.lengths.data(), lengths);
    _mm512_store_si512(result.destinations.data(), destination);
    result.plain = good;
    result.is_whole = _mm512_cmpeq_epi32_mask(lengths, sizes);
    result.bytes = static_cast<std::uint32_t>(_mm512_mask_reduce_add_epi32(good, frame_lengths));
}

WYE_SIXTEEN_TARGET void check_avx512(const Frame* frames, const SixteenRun& run,
                                     Sixteen& result) noexcept {
    std::array<const std::byte*, kSixteen> l3;
    std::uint32_t too_little = 0;  // bit 31
    for (std::size_t i = 0; i < kSixteen; ++i) {
        l3[i] = frames[i].data + run.l3_offset;
        too_little |= std::uint32_t{frames[i].headroom} - kLeastHeadroom;
        too_little |= frames[i].length - run.l3_offset - PlainIpv4::kLeast;
    }
    if (too_little >> 31 != 0) [[unlikely]] {
        result.plain = result.is_whole = result.bytes = 0;
        return;
    }
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(lengths_of(frames)),
                                                lengths_of(frames + 4), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(lengths_of(frames + 8)),
                                                 lengths_of(frames + 12), 1);
    check_headers(l3.data(), _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1), run, result);
}

}  // namespace

CheckSixteen check_sixteen() noexcept {
    return instruction_set() >= InstructionSet::avx512 ? check_avx512 : nullptr;
}

std::string_view admission_variant() noexcept {
    return check_sixteen() != nullptr ? "AVX-512" : "x86-64-v2";
}

}  // namespace wye::pipeline
