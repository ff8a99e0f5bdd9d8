// The writer's side of dataplane/table/vport_key.hh. Owner: control thread. The table's state is in
// the arena alone; this adds the count.
#pragma once

#include <cstdint>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/vport_key.hh"

namespace wye::table {

class VportKeyWriter {
  public:
    /// Of a fresh arena, which must outlive this.
    explicit VportKeyWriter(ArenaWriter& arena) : arena_(arena) {}

    /// Publishes, or points an attachment to another vport, in one store. False: the table is half
    /// full already, which limits.vports rules out for distinct vports.
    [[nodiscard]] bool insert(std::uint16_t port, std::uint16_t vlan, std::uint16_t inner_vlan,
                              VportId vport);
    /// False: there was none. The vport's record stays readable until a grace period has passed.
    bool remove(std::uint16_t port, std::uint16_t vlan, std::uint16_t inner_vlan);
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  private:
    ArenaWriter& arena_;
    std::uint32_t size_ = 0;
};

}  // namespace wye::table
