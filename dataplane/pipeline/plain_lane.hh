// PlainLane: the short way through the router, for what nearly all packets are: plain ones
// (plain_headers.hh) that leave by a neighbour who is known, also into a tunnel over IPv4 or out of
// one. It says of them what the passes of pipelines.hh say, in fewer steps: whose they are is found
// once for a row of frames (plain_runs.hh), and where they go once for all that go there (exits.hh).
//
//   admit        tags → run; the vport's MAC address; PlainIpv4 or PlainIpv6 (plain_admit.cc), sixteen
//                frames at once where the CPU can (plain_sixteen.hh); of a packet out of a tunnel whose
//                end is known, what is inside (plain_strip.hh)
//   match        ingress ACLs of all
//   look up      destinations of all
//   leave        exit → MTU → TTL, link header, or encapsulate → output queue (plain_leave.cc)
//   decapsulate  what was for an end that is not known yet (plain_decap.cc), and with its inside
//                once more from `match` on
//
// A packet for which anything else is to be done is given up, unchanged but for its link padding, and
// the general passes have it: what the lane refuses is decided, counted and answered there alone.
// tests/unit/pipeline/test_plain_lane.cc compares both ways, packet by packet and cell by cell.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/pipeline/burst.hh"
#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/exits.hh"
#include "dataplane/pipeline/plain_headers.hh"
#include "dataplane/pipeline/plain_runs.hh"
#include "dataplane/pipeline/plain_sixteen.hh"

namespace wye::pipeline {

class PlainLane {
  public:
    /// At most kMaxBurst frames that one port received. Those in `unknown` are to be classified;
    /// those in `admitted` have a Packet in the burst that is to be looked up.
    void run(Context& context, PortId port, std::span<Frame> frames, Live& unknown,
             Live& admitted) noexcept;

  private:
    /// A packet, the frame that it lies in, and whose it is.
    class Entry {
      public:
        Entry() = default;
        Entry(Frame& in, PlainRun& of) noexcept : Entry(in, of, in.data + of.l3_offset) {}
        Entry(Frame& in, PlainRun& of, std::byte* l3) noexcept : frame(&in), run(&of), l3_(l3) {}
        [[nodiscard]] std::byte* l3() const noexcept { return l3_; }
        /// To the end of the frame; once the packet is in a list, that is its own.
        [[nodiscard]] std::uint32_t length() const noexcept {
            return static_cast<std::uint32_t>(frame->data + frame->length - l3_);
        }

        Frame* frame;  // as it was received, but for padding at its end
        PlainRun* run;

      private:
        std::byte* l3_;
    };
    /// Packets of one family, and where they go.
    template <class Family>
    struct List {
        std::size_t count = 0;
        std::array<Entry, kMaxBurst> entries;
        std::array<std::uint32_t, kMaxBurst> lengths;  // of the IP packets
        std::array<typename Family::Address, kMaxBurst> destinations;
        void add(const Entry& entry, std::uint32_t length,
                 const typename Family::Address& destination) noexcept {
            entries[count] = entry;
            lengths[count] = length;
            destinations[count++] = destination;
        }
        [[nodiscard]] std::span<const Entry> all() const noexcept {
            return std::span(entries).first(count);
        }
    };
    /// The end of a tunnel as its packets show it, and the run of what comes out. Stays from burst to
    /// burst as runs do, in a slot by addresses and VNI.
    struct TunnelEnd {
        std::uint64_t state;         // of the lane, in which the destination was the router's
        std::uint64_t addresses;     // outer, as they lie in the packet
        std::uint64_t mask, header;  // what the tunnel header must be
        LedgerRows outer_rows;
        VrfId outer_vrf;
        std::uint16_t port;
        PlainRun run;
        /// Zero: an outer packet of this run is for this end.
        [[nodiscard]] std::uint64_t differs(const PlainRun& outer,
                                            const std::byte* l3) const noexcept;
    };
    static constexpr std::size_t kTunnelEnds = 2048;

    /// A frame that is not of the burst's first run.
    struct Waiting {
        Frame* frame;
        PlainRuns::Wanted wanted;
    };

    /// Of a burst that is being admitted.
    struct Admission {
        PlainRun* run = nullptr;  // the first frame's; null: it has none
        std::array<Waiting, kMaxBurst> waiting;
        std::size_t count = 0;
    };

    void admit(Context& context, std::span<Frame> frames, Live& unknown) noexcept;
    void begin_first_run(Context& context, const Frame& frame, Admission& admission) noexcept;
    template <bool kEndsTunnels>
    void enter_each(std::uint64_t left, Admission& admission, Live& unknown) noexcept;
    template <bool kEndsTunnels>
    [[gnu::always_inline]] bool enter_or_wait(Frame& frame, Admission& admission) noexcept;
    [[nodiscard]] bool is_worth_vectors(std::span<const Frame> frames,
                                        const PlainRun* run) const noexcept;
    std::uint64_t enter_sixteens(PlainRun& run, std::span<Frame> frames) noexcept;
    void enter_found(PlainRun& run, Frame* frames, const Sixteen& found) noexcept;
    std::uint32_t strip_found(PlainRun& run, Frame* frames, const Sixteen& found) noexcept;
    void enter_waiting(Context& context, std::span<Waiting> waiting, Live& unknown) noexcept;
    template <bool kEndsTunnels>
    [[gnu::always_inline]] bool enter(const Entry& entry) noexcept;
    template <class Family>
    [[gnu::always_inline]] static bool enter_as(const Entry& entry, std::uint32_t size,
                                                List<Family>& list) noexcept;
    template <class Family>
    void pass(Context& context, List<Family>& list) noexcept;
    template <class Family>
    void match(Context& context, List<Family>& list) noexcept;
    template <class Family>
    void look_up(Context& context, const List<Family>& list) noexcept;
    template <class Family>
    void prefetch(const List<Family>& list) const noexcept;
    template <class Family>
    void leave_all(Context& context, const List<Family>& list) noexcept;
    template <class Family>
    bool leave(Context& context, const Entry& entry, std::uint32_t length,
               table::Leaf leaf) noexcept;
    template <class Family>
    bool encapsulate(Context& context, const Entry& entry, std::uint32_t length,
                     TunnelExit& exit) noexcept;
    void decapsulate(Context& context) noexcept;
    TunnelEnd& slot_of(const std::byte* l3) noexcept;
    [[gnu::always_inline]] bool strip_known(const Entry& outer, std::uint32_t length,
                                            std::uint64_t faults) noexcept;
    PlainRun* find_end(Context& context, const Entry& entry) noexcept;
    PlainRun* begin_end(Context& context, const Entry& entry, TunnelEnd& end) noexcept;
    [[gnu::always_inline]] bool strip(const Entry& outer, std::uint32_t length,
                                      PlainRun& inner) noexcept;
    template <class Family>
    [[gnu::always_inline]] static bool strip_as(const Entry& outer, std::uint32_t length,
                                                PlainRun& inner, List<Family>& list) noexcept;
    template <class Family>
    void deny(Context& context, const Entry& entry) const noexcept;
    void give_up(Context& context, const Entry& entry) noexcept;

    std::span<Frame> frames_;
    PortId port_;
    /// Another one as soon as anything can have changed by which tunnels' ends are known.
    std::uint64_t state_ = 0;
    Live* admitted_ = nullptr;
    CheckSixteen check_sixteen_ = check_sixteen();
    std::uint64_t sixteen_of_ = 0;  // the run's mark that sixteen_run_ is of
    SixteenRun sixteen_run_;
    PlainRuns runs_;
    Exits exits_, underlay_exits_;
    List<PlainIpv4> ipv4_;
    List<PlainIpv6> ipv6_;
    std::array<Entry, kMaxBurst> ends_;  // for the end of a tunnel, perhaps
    std::size_t end_count_ = 0;
    std::array<TunnelEnd, kTunnelEnds> tunnel_ends_{};
    std::array<table::Leaf, kMaxBurst> leaves_;
};

}  // namespace wye::pipeline
