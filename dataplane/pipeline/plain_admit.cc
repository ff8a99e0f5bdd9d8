// PlainLane, admit: which run's each frame is, and which list's.
#include <algorithm>
#include <bit>

#include "dataplane/pipeline/plain_lists.hh"
#include "dataplane/pipeline/plain_strip.hh"

namespace wye::pipeline {
namespace {

bool is_ip(std::uint16_t ether_type) noexcept {
    return (ether_type == PlainIpv4::kEtherType) | (ether_type == PlainIpv6::kEtherType);
}

std::uint16_t type_of(const PlainRun& run, const Frame& frame) noexcept {
    return load<std::uint16_t>(frame.data + run.l3_offset - sizeof(Be16));
}

bool belongs_to(const PlainRun& run, const Frame& frame) noexcept {
    const auto tags = load<std::uint64_t>(frame.data + 2 * sizeof(net::MacAddress));
    return ((tags & run.tag_mask) == run.tags) & is_ip(type_of(run, frame));
}

/// Nothing is to be asked of its packets before they may be stripped.
bool ends_tunnels(const PlainRun& run) noexcept {
    return run.is_underlay && !run.acl;
}

}  // namespace

/// Frames of the burst's first run enter at once, sixteen together where the CPU can; those of others
/// when all their runs are found together.
[[gnu::noinline]] void PlainLane::admit(Context& context, std::span<Frame> frames,
                                        Live& unknown) noexcept {
    if (frames.empty()) return;
    Admission admission;
    begin_first_run(context, frames[0], admission);
    std::uint64_t left = (std::uint64_t{1} << frames.size()) - 1;
    if (is_worth_vectors(frames, admission.run)) left &= ~enter_sixteens(*admission.run, frames);
    if (admission.run != nullptr && ends_tunnels(*admission.run)) {
        enter_each<true>(left, admission, unknown);
    } else {
        enter_each<false>(left, admission, unknown);
    }
    if (admission.count != 0) {
        enter_waiting(context, std::span(admission.waiting).first(admission.count), unknown);
    }
}

template <bool kEndsTunnels>
void PlainLane::enter_each(std::uint64_t left, Admission& admission, Live& unknown) noexcept {
    for (; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(left));
        if (!enter_or_wait<kEndsTunnels>(frames_[i], admission)) unknown.add(i);
    }
}

/// Whether most frames seem to be the run's, and IPv4: two more of them are.
bool PlainLane::is_worth_vectors(std::span<const Frame> frames,
                                 const PlainRun* run) const noexcept {
    if (check_sixteen_ == nullptr || frames.size() < kSixteen || run == nullptr) return false;
    const auto seems_so = [run](const Frame& frame) {
        return frame.length >= kShortestFrame && belongs_to(*run, frame) &&
               type_of(*run, frame) == PlainIpv4::kEtherType;
    };
    return run->is_usable() && seems_so(frames[1]) && seems_so(frames[kSixteen - 1]);
}

void PlainLane::begin_first_run(Context& context, const Frame& frame,
                                Admission& admission) noexcept {
    PlainRuns::Wanted wanted;
    if (frame.length < kShortestFrame || !runs_.identify(port_, frame, wanted)) return;
    runs_.find_place(wanted);
    admission.run = runs_.take(wanted);
    runs_.resolve(context);
}

/// False: the general passes classify the frame.
template <bool kEndsTunnels>
[[gnu::always_inline]] inline bool PlainLane::enter_or_wait(Frame& frame,
                                                            Admission& admission) noexcept {
    if (frame.length < kShortestFrame || frame.headroom < kLeastHeadroom) [[unlikely]]
        return false;
    if (admission.run != nullptr && belongs_to(*admission.run, frame)) [[likely]]
        return enter<kEndsTunnels>({frame, *admission.run});
    Waiting& next = admission.waiting[admission.count];
    next.frame = &frame;
    if (!runs_.identify(port_, frame, next.wanted)) return false;
    ++admission.count;
    return true;
}

/// Which of the frames have entered: bit i, frames[i]. Those behind the last sixteen have not.
[[gnu::noinline]] std::uint64_t PlainLane::enter_sixteens(PlainRun& run,
                                                          std::span<Frame> frames) noexcept {
    if (sixteen_of_ != run.mark()) {
        sixteen_of_ = run.mark();
        sixteen_run_ = SixteenRun(run);
    }
    std::uint64_t entered = 0;
    for (std::size_t first = 0; first + kSixteen <= frames.size(); first += kSixteen) {
        Sixteen found;
        check_sixteen_(&frames[first], sixteen_run_, found);
        enter_found(run, &frames[first], found);
        entered |= std::uint64_t{found.plain} << first;
    }
    return entered;
}

inline void PlainLane::enter_found(PlainRun& run, Frame* frames, const Sixteen& found) noexcept {
    run.ipv4 += static_cast<std::uint32_t>(std::popcount(found.plain));
    run.bytes += found.bytes;
    for (std::uint32_t padded = found.plain & ~found.is_whole; padded != 0; padded &= padded - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(padded));
        frames[i].trim_to(run.l3_offset + found.lengths[i]);
    }
    // Known ends first, in a loop of its own: an entry whose address is handed on lies in memory, and
    // would have to be read back from there to enter the list.
    const std::uint32_t stripped = ends_tunnels(run) ? strip_found(run, frames, found) : 0;
    for (std::uint32_t left = found.plain & ~stripped; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(left));
        table::prefetch_in_table(run.table4, found.destinations[i]);
        ipv4_.add({frames[i], run}, found.lengths[i], found.destinations[i]);
    }
}

/// Which of them were for known ends of tunnels.
[[gnu::noinline]] std::uint32_t PlainLane::strip_found(PlainRun& run, Frame* frames,
                                                       const Sixteen& found) noexcept {
    std::uint32_t stripped = 0;
    for (std::uint32_t left = found.plain; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(left));
        const Entry entry(frames[i], run);
        if (strip_known(entry, found.lengths[i], PlainIpv4::is_not_udp(entry.l3()))) {
            stripped |= 1u << i;
        }
    }
    return stripped;
}

[[gnu::noinline]] void PlainLane::enter_waiting(Context& context, std::span<Waiting> waiting,
                                                Live& unknown) noexcept {
    for (Waiting& one : waiting) runs_.find_place(one.wanted);
    std::array<PlainRun*, kMaxBurst> runs;
    PlainRun** next = runs.data();
    for (const Waiting& one : waiting) *next++ = runs_.take(one.wanted);
    runs_.resolve(context);
    for (PlainRun* const run : std::span(runs).first(waiting.size())) runs_.prefetch(context, *run);
    next = runs.data();
    for (const Waiting& one : waiting) {
        PlainRun& run = **next++;
        const Entry entry(*one.frame, run);
        if (!(ends_tunnels(run) ? enter<true>(entry) : enter<false>(entry))) {
            unknown.add(static_cast<std::size_t>(one.frame - frames_.data()));
        }
    }
}

template <bool kEndsTunnels>
[[gnu::always_inline]] inline bool PlainLane::enter(const Entry& entry) noexcept {
    // What the vport is not known for has a MAC address that no frame has.
    if (load<std::uint64_t>(entry.frame->data) << 16 != entry.run->mac) [[unlikely]]
        return false;
    const auto type = load<std::uint16_t>(entry.l3() - sizeof(Be16));
    const std::uint32_t size = entry.length();
    if (type != PlainIpv4::kEtherType) return enter_as<PlainIpv6>(entry, size, ipv6_);
    if constexpr (kEndsTunnels) {
        if (size <= 0xffff &&
            strip_known(entry, size, PlainIpv4::faults_of_udp(entry.l3(), size))) {
            ++entry.run->ipv4;
            entry.run->bytes += size + entry.run->l3_offset;
            return true;
        }
    }
    return enter_as<PlainIpv4>(entry, size, ipv4_);
}

}  // namespace wye::pipeline
