// EthdevPort: a port of the configuration as a device of DPDK, and its queue pairs as PortIo.
//
// What a back end does that a step may not: af_packet and tap make system calls in receive and
// transmit; af_packet may wait in transmit for the kernel to free its ring, and drops what the
// kernel then refuses without telling, so such a frame counts as transmitted. pcap writes a file.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"
#include "dataplane/worker/port_io.hh"
#include "drivers/ethdev/kernel_interface.hh"
#include "drivers/ethdev/local_socket.hh"
#include "drivers/ethdev/mbuf_pool.hh"
#include "drivers/ethdev/port_specification.hh"
#include "drivers/ethdev/queue_gate.hh"
#include "drivers/ethdev/vlan_filter.hh"
#include "drivers/port.hh"

namespace wye::drivers {

/// How a device was lost.
enum class Loss : std::uint8_t { none, reset, removed };

class EthdevPort final : public Port {
  public:
    static Result<std::unique_ptr<EthdevPort>> probe(const PortSpecification& specification,
                                                     std::uint16_t queues);
    ~EthdevPort() override;  // stops, and gives the device back

    Status start(MbufPool& pool) override;
    void stop() override;
    [[nodiscard]] std::uint16_t receive_queues() const override { return rx_queues_; }
    [[nodiscard]] std::uint16_t transmit_queues() const override { return tx_queues_; }
    [[nodiscard]] std::unique_ptr<worker::PortIo> queue(std::uint16_t index) override;

    [[nodiscard]] const PortSpecification& specification() const override { return specification_; }
    [[nodiscard]] std::uint16_t mtu() const override { return mtu_; }
    [[nodiscard]] std::uint32_t longest_frame() const override;
    [[nodiscard]] std::uint32_t buffer_bytes() const override;
    [[nodiscard]] net::MacAddress mac() const override;
    [[nodiscard]] bool link_up() const override;
    [[nodiscard]] PortUse use() const override;
    [[nodiscard]] std::string description() const override;
    std::vector<std::string> set_vlans(std::span<const std::uint16_t> vlans) override;
    std::vector<std::string> tend() override;
    /// What the device's events call, on any thread; tend() sees to it.
    void lose(Loss loss) noexcept { loss_ = loss; }

  private:
    EthdevPort(PortSpecification specification, std::uint16_t queues);
    Status open_interface();
    Status probe_device();
    Status find_mtu();
    Status configure();
    Status setup_queues(MbufPool& pool);
    [[nodiscard]] std::uint16_t wanted_receive_queues() const;
    std::vector<std::string> ask_for_vlans();
    [[nodiscard]] Error error(const std::string& text) const;
    // recovery.cc
    enum class Condition : std::uint8_t {
        running,
        closing,  // workers are asked to leave the queues
        away,     // no device
    };
    void open_gates();
    void close_gates();
    [[nodiscard]] bool gates_closed() const;
    void listen();
    void stop_listening();
    std::vector<std::string> look();
    [[nodiscard]] bool was_reset_silently();
    void put_away();
    std::vector<std::string> bring_back();
    std::vector<std::string> say_once(const std::string& text);
    // queue_pairs.cc
    std::vector<std::string> look_at_pairs();
    // memif_client.cc
    [[nodiscard]] bool connects_memif() const;
    int connect_memif();
    std::vector<std::string> keep_memif_connected();

    PortSpecification specification_;
    std::uint16_t queues_;  // workers
    std::uint16_t rx_queues_ = 0, tx_queues_ = 0;
    std::uint16_t id_ = 0xffff;  // DPDK's number
    std::uint16_t mtu_ = 1500;
    std::string device_;  // its name in DPDK, once probed
    std::optional<KernelInterface> interface_;
    std::optional<SocketClaim> socket_;  // where it listens
    VlanFilter vlans_;
    std::vector<std::uint16_t> wanted_vlans_{0};
    bool filters_vlans_ = false;
    bool started_ = false;
    // recovery.cc, memif_client.cc
    std::vector<std::unique_ptr<QueueGate>> gates_;  // one a queue pair
    MbufPool* pool_ = nullptr;                       // of start()
    Condition condition_ = Condition::running;
    std::atomic<Loss> loss_{Loss::none};
    bool asks_for_reset_ = false;  // its driver does not tell of one
    Nanoseconds next_question_{0}, next_try_{0};
    std::string driver_;                    // the kernel's, of a PCI device: vfio-pci
    std::string said_;                      // the last problem that was told
    std::optional<Nanoseconds> pairs_due_;  // when to look whether the other end takes all queues
    bool pairs_told_ = false;
};

}  // namespace wye::drivers
