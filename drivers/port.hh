// Port: what the data plane asks of a port, whatever is behind it.
//
// Life: probe_port (takes the device; the buffers are made then, for the longest frame of all ports),
// start (a queue pair for each worker that there may be, as far as the device has them), stop. Errors name the port and say what to do.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"
#include "dataplane/worker/port_io.hh"
#include "drivers/ethdev/mbuf_pool.hh"
#include "drivers/ethdev/port_specification.hh"

namespace wye::drivers {

/// How a port runs, as its driver and the kernel say once it does; for people. Empty: nothing of the kind.
struct PortUse {
    std::string driver;    // "net_ice", "af_xdp"
    std::string mode;      // "native"; "Vector AVX512"
    std::string buffers;   // "zero-copy", "copying"
    std::string takes;     // of what comes to an interface that is shared with the kernel
    std::string offloads;  // that are in use
};

class Port {
  public:
    Port() = default;
    virtual ~Port() = default;  // stops, and gives the device back
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    virtual Status start(MbufPool& pool) = 0;
    virtual void stop() = 0;
    // After start().
    [[nodiscard]] virtual std::uint16_t receive_queues() const = 0;
    /// One for each worker, or a single one where the device has fewer.
    [[nodiscard]] virtual std::uint16_t transmit_queues() const = 0;
    /// receive() and transmit() of a pair may be called at the same time, by two workers.
    [[nodiscard]] virtual bool pairs_apart() const { return true; }
    /// The pair of that number, of which there may be only one half. Outlived by the port.
    [[nodiscard]] virtual std::unique_ptr<worker::PortIo> queue(std::uint16_t index) = 0;

    [[nodiscard]] virtual const PortSpecification& specification() const = 0;
    [[nodiscard]] virtual std::uint16_t mtu() const = 0;
    /// Of a whole frame with two tags, bytes.
    [[nodiscard]] virtual std::uint32_t longest_frame() const = 0;
    /// What the device may write into a buffer: the buffers of start() are made for it.
    [[nodiscard]] virtual std::uint32_t buffer_bytes() const = 0;
    [[nodiscard]] virtual net::MacAddress mac() const = 0;
    [[nodiscard]] virtual bool link_up() const = 0;
    /// Ten times a second, by the control thread: sees that the device was reset or removed, takes it
    /// out of service once no worker uses it, takes it again when it is back. What happened, in words.
    virtual std::vector<std::string> tend() { return {}; }
    /// The outer tags that vports have: a virtual function is to let them through. What it refuses, in
    /// words.
    virtual std::vector<std::string> set_vlans(std::span<const std::uint16_t>) { return {}; }
    /// After start().
    [[nodiscard]] virtual PortUse use() const = 0;
    /// The same for the log; empty where there was nothing to choose.
    [[nodiscard]] virtual std::string description() const { return {}; }
};

/// By the kind that the configuration says. `queues`: one for each worker that there may be.
Result<std::unique_ptr<Port>> probe_port(const PortSpecification& specification,
                                         std::uint16_t queues);

}  // namespace wye::drivers
