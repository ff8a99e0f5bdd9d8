#include "drivers/ethdev/port.hh"

#include <fmt/format.h>
#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "drivers/ethdev/capabilities.hh"
#include "drivers/ethdev/devargs.hh"
#include "drivers/ethdev/mbuf_frame.hh"

namespace wye::drivers {

using pipeline::Frame;

namespace {

constexpr std::uint32_t kEthernet = 14;
constexpr std::uint32_t kTag = 4;

/// One queue pair.
class EthdevQueue final : public worker::PortIo {
  public:
    EthdevQueue(QueueGate& gate, std::uint16_t queue, std::uint32_t longest_untagged,
                std::uint32_t longest_tagged)
        : gate_(gate), queue_(queue) {
        limit_frames(longest_untagged, longest_tagged);
    }
    ~EthdevQueue() override { gate_.stop_receiving(); }
    EthdevQueue(const EthdevQueue&) = delete;
    EthdevQueue& operator=(const EthdevQueue&) = delete;

    std::size_t receive(std::span<Frame> out) noexcept override {
        if (!usable()) [[unlikely]]
            return 0;
        std::array<rte_mbuf*, pipeline::kMaxBurst> mbufs;
        const auto wanted = static_cast<std::uint16_t>(std::min(out.size(), mbufs.size()));
        const std::uint16_t n = rte_eth_rx_burst(port_, queue_, mbufs.data(), wanted);
        std::size_t kept = 0;
        for (std::uint16_t i = 0; i < n; ++i) {
            rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void*));
            if (normalize(mbufs[i])) [[likely]] {
                out[kept++] = frame_of(mbufs[i]);
            } else {
                rte_pktmbuf_free(mbufs[i]);
                ++not_contiguous_;
            }
        }
        return kept;
    }

    std::size_t transmit(std::span<const Frame> frames) noexcept override {
        const std::uint16_t device = gate_.begin_sending();
        if (device == QueueGate::kNone) [[unlikely]]
            return 0;
        const std::size_t taken = transmit(device, frames);
        gate_.note(taken != 0);
        gate_.end_sending();
        return taken;
    }

  private:
    std::size_t transmit(std::uint16_t device, std::span<const Frame> frames) noexcept {
        std::size_t taken = 0;
        while (taken < frames.size()) {
            std::array<rte_mbuf*, pipeline::kMaxBurst> mbufs;
            std::uint16_t n = 0;
            while (n < mbufs.size() && taken + n < frames.size()) {
                rte_mbuf* mbuf = mbuf_of(frames[taken + n]);
                if (mbuf == nullptr) [[unlikely]]
                    break;
                mbufs[n++] = mbuf;
            }
            const std::uint16_t sent = rte_eth_tx_burst(device, queue_, mbufs.data(), n);
            taken += sent;
            if (sent < mbufs.size()) break;
        }
        return taken;
    }
    /// False: the device is gone, for now.
    bool usable() noexcept {
        if (gate_.changed(port_)) [[unlikely]]
            port_ = gate_.follow();
        return port_ != QueueGate::kNone;
    }

    QueueGate& gate_;
    std::uint16_t port_ = QueueGate::kNone;  // DPDK's number of the device, of who receives
    std::uint16_t queue_;
};

bool has_socket(const PortSpecification& port) {
    return port.kind == PortKind::memif || port.kind == PortKind::vhost_user;
}

std::string words_of(int error) {
    return rte_strerror(error < 0 ? -error : error);
}

/// What is known of a PCI device that DPDK did not take.
std::string why_not_pci(const std::string& address) {
    const std::filesystem::path device = "/sys/bus/pci/devices/" + address;
    std::error_code ignored;
    if (!std::filesystem::exists(device, ignored)) {
        return fmt::format("this machine has no PCI device {}; lspci -D lists them", address);
    }
    const auto driver = std::filesystem::read_symlink(device / "driver", ignored).filename();
    if (driver.empty()) {
        return fmt::format("{} is bound to no driver; bind it: dpdk-devbind.py -b vfio-pci {}",
                           address, address);
    }
    if (driver.string().starts_with("vfio") || driver.string().starts_with("uio")) {
        return fmt::format(
            "{} (driver {}) could not be opened: another process has it, or the "
            "rights to it are missing",
            address, driver.string());
    }
    return fmt::format(
        "{} is bound to the kernel's driver {}; bind it: dpdk-devbind.py -b "
        "vfio-pci {}",
        address, driver.string(), address);
}

/// A function that sees only what its PF lets through: of an SR-IOV NIC of this machine, or of the
/// host's that a virtual machine was given.
bool is_virtual_function(const PortSpecification& specification, const rte_eth_dev_info& info) {
    if (specification.kind != PortKind::pci) return false;
    std::error_code ignored;
    if (std::filesystem::exists("/sys/bus/pci/devices/" + specification.pci_address + "/physfn",
                                ignored)) {
        return true;
    }
    const std::string_view driver = info.driver_name != nullptr ? info.driver_name : "";
    return driver.ends_with("vf");
}

}  // namespace

EthdevPort::EthdevPort(PortSpecification specification, std::uint16_t queues)
    : specification_(std::move(specification)), queues_(queues) {
    const std::uint16_t pairs = std::max(queues_, specification_.receive_queues);
    for (std::uint16_t i = 0; i < pairs; ++i) gates_.push_back(std::make_unique<QueueGate>());
}

EthdevPort::~EthdevPort() {
    stop();
    if (device_.empty()) return;
    stop_listening();
    (void)rte_eth_dev_close(id_);
    if (specification_.kind != PortKind::pci) (void)rte_vdev_uninit(device_.c_str());
}

Error EthdevPort::error(const std::string& text) const {
    return {fmt::format("port \"{}\": {}", specification_.name.view(), text)};
}

Result<std::unique_ptr<EthdevPort>> EthdevPort::probe(const PortSpecification& specification,
                                                      std::uint16_t queues) {
    std::unique_ptr<EthdevPort> port(new EthdevPort(specification, queues));
    const Status done =
        port->open_interface().and_then([&] { return port->probe_device(); }).and_then([&] {
            return port->find_mtu();
        });
    if (!done) return tl::unexpected(port->error(done.error().text));
    return port;
}

Status EthdevPort::open_interface() {
    if (specification_.kind == PortKind::tap && KernelInterface::open(specification_.interface)) {
        return fail(fmt::format("interface \"{}\" exists already; a tap port makes its own",
                                specification_.interface));
    }
    if (specification_.kind != PortKind::af_packet) return {};
    auto opened = KernelInterface::open(specification_.interface);
    if (!opened) return tl::unexpected(opened.error());
    interface_.emplace(std::move(*opened));
    if (auto claimed = interface_->claim(); !claimed) return claimed;
    if (specification_.mtu) {
        if (auto set = interface_->set_mtu(*specification_.mtu); !set) return set;
    }
    interface_->disable_receive_merging();
    return interface_->set_up();
}

Status EthdevPort::probe_device() {
    std::optional<PrivateFiles> for_socket;
    if (has_socket(specification_)) {
        for_socket.emplace();
        if (specification_.socket.listens) {
            auto claim = SocketClaim::make(specification_.socket.path);
            if (!claim) return tl::unexpected(claim.error());
            socket_.emplace(std::move(*claim));
        }
    }
    std::uint16_t mtu = specification_.mtu.value_or(mtu_);
    if (interface_) mtu = interface_->mtu().value_or(mtu);
    const Devargs devargs = devargs_of(specification_, wanted_receive_queues(), mtu);
    if (specification_.kind == PortKind::pci) {
        if (rte_eth_dev_get_port_by_name(devargs.name.c_str(), &id_) != 0) {
            return fail(why_not_pci(specification_.pci_address));
        }
        device_ = devargs.name;
        return {};
    }
    const int error = rte_vdev_init(devargs.name.c_str(), devargs.arguments.c_str());
    if (error != 0) {
        return fail(
            fmt::format("DPDK does not make the device {} ({}): {}; its own words are above",
                        devargs.name, devargs.arguments, words_of(error)));
    }
    if (rte_eth_dev_get_port_by_name(devargs.name.c_str(), &id_) != 0) {
        (void)rte_vdev_uninit(devargs.name.c_str());
        return fail(fmt::format("{} is no network device", devargs.name));
    }
    device_ = devargs.name;
    return {};
}

Status EthdevPort::find_mtu() {
    if (specification_.kind == PortKind::tap) {
        auto opened = KernelInterface::open(specification_.interface);
        if (!opened) return tl::unexpected(opened.error());
        interface_.emplace(std::move(*opened));
        if (specification_.mtu) {
            if (auto set = interface_->set_mtu(*specification_.mtu); !set) return set;
        }
    }
    if (interface_) {
        const auto mtu = interface_->mtu();
        if (!mtu) return tl::unexpected(mtu.error());
        mtu_ = *mtu;
    } else if (specification_.mtu) {
        mtu_ = *specification_.mtu;
    } else if (rte_eth_dev_get_mtu(id_, &mtu_) != 0) {
        mtu_ = 1500;
    }
    constexpr std::uint16_t kLargest = 9216;
    if (mtu_ > kLargest) {
        return fail(
            fmt::format("an MTU of {} is too large; set mtu: to at most {}", mtu_, kLargest));
    }
    return {};
}

std::uint32_t EthdevPort::longest_frame() const {
    return mtu_ + kEthernet + 2 * kTag;
}

std::uint32_t EthdevPort::buffer_bytes() const {
    if (specification_.kind != PortKind::af_packet) return longest_frame();
    return packet_slot_bytes(mtu_);
}

Status EthdevPort::start(MbufPool& pool) {
    pool_ = &pool;
    std::optional<PrivateFiles> for_socket;
    if (has_socket(specification_)) for_socket.emplace();
    const Status done = configure().and_then([&] { return setup_queues(pool); }).and_then([&] {
        const int failed = connects_memif() ? connect_memif() : rte_eth_dev_start(id_);
        return failed == 0 ? Status{} : Status(fail("does not start: " + words_of(failed)));
    });
    if (!done) return tl::unexpected(error(done.error().text));
    if (connects_memif()) return {};  // now or later
    started_ = true;
    if (has_socket(specification_) && specification_.socket.listens) {
        const SocketSpecification& socket = specification_.socket;
        if (auto set = set_socket_mode(socket.path, socket.mode); !set) {
            return tl::unexpected(error(set.error().text));
        }
    }
    // Where it cannot be switched on it is not needed (pcap, ring).
    if (specification_.promiscuous) (void)rte_eth_promiscuous_enable(id_);
    // A virtual function may have this and no promiscuous mode; neighbour discovery needs it.
    if (filters_vlans_) (void)rte_eth_allmulticast_enable(id_);
    (void)ask_for_vlans();  // in bring_back() what is refused was told before
    listen();
    open_gates();
    return {};
}

Status EthdevPort::configure() {
    rte_eth_dev_info info{};
    if (const int failed = rte_eth_dev_info_get(id_, &info); failed != 0) {
        return fail("tells nothing about itself: " + words_of(failed));
    }
    rx_queues_ = std::min(wanted_receive_queues(), info.max_rx_queues);
    const bool for_all =
        info.max_tx_queues < queues_ || (has_socket(specification_) && rx_queues_ < queues_);
    tx_queues_ = for_all ? std::uint16_t{1} : queues_;
    rte_eth_conf conf{};
    if (specification_.kind == PortKind::pci) conf.rxmode.mtu = mtu_;
    const DeviceUse use = choose_use(info, rx_queues_, pool_->place().only);
    conf.txmode.offloads = use.transmit_offloads;
    conf.rxmode.offloads = use.receive_offloads;
    filters_vlans_ = is_virtual_function(specification_, info) &&
                     (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) != 0;
    // Found in the virtual lab: this one's PF resets it without a word that DPDK hears.
    asks_for_reset_ = filters_vlans_ && std::string_view(info.driver_name) == "net_e1000_igb_vf";
    if (filters_vlans_) conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
    if (use.spread_by != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = use.spread_by;
    }
    const int failed = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf);
    if (failed == 0) return {};
    return fail(
        fmt::format("does not take {} queues to receive and {} to send with an MTU of {}: {}",
                    rx_queues_, tx_queues_, mtu_, words_of(failed)));
}

std::uint16_t EthdevPort::wanted_receive_queues() const {
    if (specification_.spread) return 1;
    // What the other end does not have of a pair of queues would be sent to nobody.
    if (has_socket(specification_)) {
        return std::max(std::uint16_t{1}, specification_.receive_queues);
    }
    return std::max(queues_, specification_.receive_queues);
}

Status EthdevPort::setup_queues(MbufPool& pool) {
    std::uint16_t rx = specification_.rx_descriptors;
    std::uint16_t tx = specification_.tx_descriptors;
    if (const int failed = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx); failed != 0) {
        return fail("takes no such queues: " + words_of(failed));
    }
    int place = rte_eth_dev_socket_id(id_);
    if (place == SOCKET_ID_ANY && pool.place().node) place = static_cast<int>(*pool.place().node);
    const auto socket = static_cast<unsigned>(place);
    for (std::uint16_t queue = 0; queue < std::max(rx_queues_, tx_queues_); ++queue) {
        int failed = 0;
        if (queue < rx_queues_) {
            failed = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool.mempool());
        }
        if (failed == 0 && queue < tx_queues_) {
            failed = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr);
        }
        if (failed != 0) return fail(fmt::format("queue {}: {}", queue, words_of(failed)));
    }
    return {};
}

void EthdevPort::stop() {
    if (!started_) return;
    (void)rte_eth_dev_stop(id_);
    started_ = false;
}

std::unique_ptr<worker::PortIo> EthdevPort::queue(std::uint16_t index) {
    // The kernel's rings stop for good at a frame that the interface would not send; it allows one
    // 802.1Q tag above the MTU. Other devices have room for two tags.
    const std::uint32_t untagged = interface_ ? mtu_ + kEthernet : longest_frame();
    const std::uint32_t tagged = interface_ ? untagged + kTag : longest_frame();
    return std::make_unique<EthdevQueue>(*gates_[index], index, untagged, tagged);
}

net::MacAddress EthdevPort::mac() const {
    rte_ether_addr address{};
    (void)rte_eth_macaddr_get(id_, &address);
    net::MacAddress mac;
    std::copy_n(address.addr_bytes, mac.bytes.size(), mac.bytes.begin());
    return mac;
}

PortUse EthdevPort::use() const {
    rte_eth_dev_info info{};
    if (id_ == QueueGate::kNone || rte_eth_dev_info_get(id_, &info) != 0) return {};
    const DeviceUse chosen = choose_use(info, rx_queues_, pool_->place().only);
    PortUse use;
    use.driver = info.driver_name;
    use.mode = burst_modes(id_);
    use.offloads = offload_words(chosen, rx_queues_);
    if (specification_.kind == PortKind::memif) {
        use.buffers = specification_.socket.zero_copy ? "zero-copy" : "copying";
    }
    return use;
}

/// Of a NIC: other devices have nothing to choose.
std::string EthdevPort::description() const {
    rte_eth_dev_info info{};
    if (specification_.kind != PortKind::pci || rte_eth_dev_info_get(id_, &info) != 0) return {};
    return fmt::format(
        "port \"{}\": {}", specification_.name.view(),
        describe_use(id_, choose_use(info, rx_queues_, pool_->place().only), rx_queues_));
}

std::vector<std::string> EthdevPort::set_vlans(std::span<const std::uint16_t> vlans) {
    wanted_vlans_.assign(1, 0);
    wanted_vlans_.insert(wanted_vlans_.end(), vlans.begin(), vlans.end());
    return ask_for_vlans();
}

std::vector<std::string> EthdevPort::ask_for_vlans() {
    if (!started_ || !filters_vlans_) return {};
    std::vector<std::string> problems = vlans_.follow(id_, wanted_vlans_);
    for (std::string& problem : problems) problem = error(problem).text;
    return problems;
}

bool EthdevPort::link_up() const {
    if (condition_ != Condition::running) return false;
    if (interface_) return interface_->running();
    rte_eth_link link{};
    return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

}  // namespace wye::drivers
