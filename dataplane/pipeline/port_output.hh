// PortOutput: frames on their way out by one port, and whose they are. The worker transmits them after
// the burst. Owner: the worker; the pipeline fills it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/pipeline/frame.hh"

namespace wye::pipeline {

/// Of the port by which a packet entered, and of its tenant (dataplane/table/counters.hh).
struct alignas(8) LedgerRows {
    std::uint32_t port, tenant;
    friend constexpr bool operator==(const LedgerRows&, const LedgerRows&) noexcept = default;
};

struct PortOutput {
    /// Room for all that run_held can let go at once (Limits::held_packets), and a few bursts.
    static constexpr std::size_t kCapacity = 40 * kMaxBurst;
    /// Whose cells to book when the port takes or refuses frames: those from `first` on, up to the
    /// next owner's, of which there is at least one.
    struct Owner {
        LedgerRows rows;
        VportId vport;  // by which they leave
        std::uint32_t first;
    };
    std::size_t count = 0;
    std::size_t owner_count = 0;
    LedgerRows last_rows{};  // of the last owner
    VportId last_vport;      // invalid: there is none
    std::array<Frame, kCapacity> frames;
    std::array<Owner, kCapacity> owners;

    /// The frame that is put there next is this owner's. There must be room.
    void begin_frame(const LedgerRows& rows, VportId vport) noexcept {
        if (last_rows == rows && last_vport == vport) [[likely]]
            return;
        last_rows = rows;
        last_vport = vport;
        owners[owner_count++] = {rows, vport, static_cast<std::uint32_t>(count)};
    }
    void add(const Frame& frame, const LedgerRows& rows, VportId vport) noexcept {
        begin_frame(rows, vport);
        frames[count++] = frame;
    }
    /// The first frame that is not owners[index]'s any more.
    [[nodiscard]] std::size_t end_of(std::size_t index) const noexcept {
        return index + 1 < owner_count ? owners[index + 1].first : count;
    }
    [[nodiscard]] std::size_t owner_index_of(std::size_t frame) const noexcept {
        std::size_t index = 0;
        while (end_of(index) <= frame) ++index;
        return index;
    }
    /// Puts a frame behind all others, which keep their order.
    void move_to_end(std::size_t frame) noexcept {
        const Frame moved = frames[frame];
        const std::size_t index = owner_index_of(frame);
        const Owner owner = owners[index];
        std::copy(frames.begin() + frame + 1, frames.begin() + count, frames.begin() + frame);
        for (std::size_t i = index + 1; i < owner_count; ++i) --owners[i].first;
        --count;
        if (end_of(index) == owner.first) {
            std::copy(owners.begin() + index + 1, owners.begin() + owner_count,
                      owners.begin() + index);
            --owner_count;
        }
        last_vport = VportId{};
        add(moved, owner.rows, owner.vport);
    }
    void clear() noexcept {
        count = owner_count = 0;
        last_vport = VportId{};
    }
};

}  // namespace wye::pipeline
