// The writer's side of the tunnel hash in dataplane/table/tunnel.hh. Owner: control thread.
#pragma once

#include <cstdint>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/tunnel.hh"

namespace wye::table {

class TunnelKeyWriter {
  public:
    /// Of a fresh arena, which must outlive this.
    explicit TunnelKeyWriter(ArenaWriter& arena) : arena_(arena) {}

    /// Publishes the tunnel under the key in its record, which must be complete. False: another
    /// tunnel has this key, or the table is half full.
    [[nodiscard]] bool insert(TunnelId tunnel);
    /// False: it was not published. Its record, key included, must not change until a grace period
    /// has passed: readers may be comparing.
    bool remove(TunnelId tunnel);
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  private:
    ArenaWriter& arena_;
    std::uint32_t size_ = 0;
};

}  // namespace wye::table
