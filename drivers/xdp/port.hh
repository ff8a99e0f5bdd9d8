// XdpPort: a Linux interface that the kernel keeps, as a port: an XDP program steers the router's frames
// to AF_XDP sockets, one on each of its queues. What the sockets do that a step may not: socket.hh.
//
// Queue i of the port, of n workers, serves the interface's queues i, i + n, … and sends by queue i.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "drivers/ethdev/kernel_interface.hh"
#include "drivers/port.hh"
#include "drivers/xdp/memory.hh"
#include "drivers/xdp/socket.hh"
#include "drivers/xdp/steering.hh"

namespace wye::drivers {

class XdpPort final : public Port {
  public:
    static Result<std::unique_ptr<Port>> probe(const PortSpecification& specification,
                                               std::uint16_t queues);
    ~XdpPort() override;

    Status start(MbufPool& pool) override;
    void stop() override;
    [[nodiscard]] std::uint16_t receive_queues() const override {
        return static_cast<std::uint16_t>(workers_);
    }
    [[nodiscard]] std::uint16_t transmit_queues() const override { return receive_queues(); }
    /// Both halves of a socket share its buffers and what it has sent.
    [[nodiscard]] bool pairs_apart() const override { return false; }
    [[nodiscard]] std::unique_ptr<worker::PortIo> queue(std::uint16_t index) override;
    [[nodiscard]] const PortSpecification& specification() const override { return specification_; }
    [[nodiscard]] std::uint16_t mtu() const override { return mtu_; }
    [[nodiscard]] std::uint32_t longest_frame() const override;
    [[nodiscard]] std::uint32_t buffer_bytes() const override { return longest_frame(); }
    [[nodiscard]] net::MacAddress mac() const override;
    [[nodiscard]] bool link_up() const override { return interface_.running(); }
    /// The kernel is asked.
    [[nodiscard]] PortUse use() const override;
    [[nodiscard]] std::string description() const override;

  private:
    XdpPort(PortSpecification specification, std::uint16_t workers, KernelInterface interface)
        : specification_(std::move(specification)),
          workers_(workers),
          interface_(std::move(interface)) {}
    Status prepare();
    Status check_queues();
    Status attach();
    Status open_sockets(MbufPool& pool);
    [[nodiscard]] Error error(const std::string& text) const;

    PortSpecification specification_;
    std::uint16_t workers_;
    KernelInterface interface_;
    std::uint16_t mtu_ = 1500;
    std::uint32_t queues_ = 1;  // of the interface, to receive by
    bool tags_kept_ = true;
    std::unique_ptr<Steering> steering_;
    Descriptor promiscuous_;
    std::unique_ptr<XdpMemory> memory_;
    std::vector<std::unique_ptr<XdpSocket>> sockets_;  // by queue of the interface
};

}  // namespace wye::drivers
