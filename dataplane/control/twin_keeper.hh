// TwinKeeper: who reads and writes the kernel twins, as the control thread sees it.
//
// Implemented by the owner of the host thread. The control thread calls it when a descriptor and
// the object it belongs to are both there, in whatever order they came; it keeps the descriptors by
// name itself and hands them back to the next shim (dataplane/control/twins.hh).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/base/descriptor.hh"
#include "dataplane/ring/handshake.hh"

namespace wye::control {

/// A vport's TAP or a VRF's `inject`, by the id that the tables use.
struct TwinId {
    ring::TwinKind kind = ring::TwinKind::vport_tap;
    std::uint32_t object = 0;  // VportId or VrfId
    friend bool operator==(const TwinId&, const TwinId&) = default;
};

/// All calls come from the control thread and do not block.
class TwinKeeper {
  public:
    virtual ~TwinKeeper() = default;
    /// From now on frames go by this descriptor, the keeper's own copy. A twin that was attached
    /// under the same id is replaced.
    virtual void attach(TwinId twin, Descriptor descriptor) = 0;
    virtual void detach(TwinId twin) = 0;
    /// Twins whose descriptor failed since the last call (at most out.size()); already detached.
    virtual std::size_t take_lost(std::span<TwinId> out) = 0;
};

}  // namespace wye::control
