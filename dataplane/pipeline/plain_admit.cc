// PlainLane, admit: which run's each frame is, and which list's.
#include "dataplane/pipeline/plain_lists.hh"

namespace wye::pipeline {
namespace {

/// Headers are written in pieces that may reach so far before the frame.
constexpr std::uint16_t kLeastHeadroom = TunnelExit::kHeader + Exit::kHeader;

bool is_ip(std::uint16_t ether_type) noexcept {
    return (ether_type == PlainIpv4::kEtherType) | (ether_type == PlainIpv6::kEtherType);
}

bool belongs_to(const PlainRun& run, const Frame& frame) noexcept {
    const auto tags = load<std::uint64_t>(frame.data + 2 * sizeof(net::MacAddress));
    const auto type = load<std::uint16_t>(frame.data + run.l3_offset - sizeof(Be16));
    return ((tags & run.tag_mask) == run.tags) & is_ip(type);
}

}  // namespace

[[gnu::noinline]] void PlainLane::admit(Context& context, std::span<Frame> frames,
                                        Live& unknown) noexcept {
    // Frames of the burst's first run enter at once, those of others when all their runs are found
    // together.
    std::array<Waiting, kMaxBurst> waiting;
    std::size_t count = 0;
    PlainRun* run = nullptr;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        Frame& frame = frames[i];
        if (frame.length < kShortestFrame || frame.headroom < kLeastHeadroom) [[unlikely]] {
            unknown.add(i);
            continue;
        }
        if (run == nullptr || !belongs_to(*run, frame)) [[unlikely]] {
            Waiting& next = waiting[count];
            next.frame = &frame;
            if (!runs_.identify(port_, frame, next.wanted)) {
                unknown.add(i);
                continue;
            }
            if (run != nullptr) {
                ++count;
                continue;
            }
            run = runs_.take(next.wanted);
            runs_.resolve(context);
        }
        if (!enter({&frame, run})) [[unlikely]]
            unknown.add(i);
    }
    if (count != 0) enter_waiting(context, std::span(waiting).first(count), unknown);
}

[[gnu::noinline]] void PlainLane::enter_waiting(Context& context, std::span<const Waiting> waiting,
                                                Live& unknown) noexcept {
    std::array<PlainRun*, kMaxBurst> runs;
    PlainRun** next = runs.data();
    for (const Waiting& one : waiting) *next++ = runs_.take(one.wanted);
    runs_.resolve(context);
    for (PlainRun* const run : std::span(runs).first(waiting.size())) runs_.prefetch(context, *run);
    next = runs.data();
    for (const Waiting& one : waiting) {
        if (!enter({one.frame, *next++})) {
            unknown.add(static_cast<std::size_t>(one.frame - frames_.data()));
        }
    }
}

[[gnu::always_inline]] inline bool PlainLane::enter(const Entry& entry) noexcept {
    // What the vport is not known for has a MAC address that no frame has.
    if (load<std::uint64_t>(entry.frame->data) << 16 != entry.run->mac) [[unlikely]]
        return false;
    const auto type = load<std::uint16_t>(entry.l3() - sizeof(Be16));
    return type == PlainIpv4::kEtherType ? enter_as<PlainIpv4>(entry, ipv4_)
                                         : enter_as<PlainIpv6>(entry, ipv6_);
}

}  // namespace wye::pipeline
