// A Linux interface that a port stands on (af_packet, tap): what is asked of the kernel about it.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"

namespace wye::drivers {

class KernelInterface {
  public:
    /// Fails in words when this network namespace has no such interface.
    static Result<KernelInterface> open(const std::string& name);

    /// Refused when another data plane in this network namespace has it. Held until destruction.
    Status claim();
    Status set_mtu(std::uint16_t mtu);
    Status set_up();
    /// Frames that the kernel has merged would not fit: off, as far as the device lets us.
    void disable_receive_merging();
    /// The part of it that the device does (LRO); the kernel's own (GRO) stays as it is.
    void disable_receive_joining();
    [[nodiscard]] Result<std::uint16_t> mtu() const;
    [[nodiscard]] bool running() const;  // carrier and up
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] unsigned index() const { return index_; }

  private:
    KernelInterface(std::string name, unsigned index, Descriptor socket);
    std::string name_;
    unsigned index_;
    Descriptor socket_;  // for ioctl
    Descriptor claim_;
};

}  // namespace wye::drivers
