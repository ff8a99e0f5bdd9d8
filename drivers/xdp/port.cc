#include "drivers/xdp/port.hh"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>

#include "drivers/xdp/interface_queues.hh"

namespace wye::drivers {

using pipeline::Frame;

namespace {

constexpr std::uint32_t kEthernet = 14;
constexpr std::uint32_t kTag = 4;
constexpr std::uint32_t kLargestMtu = kLongestXdpFrame - kEthernet - 2 * kTag;
/// Those that are received and not read, and as many for the kernel to fill.
constexpr std::uint32_t kFillPerDescriptor = 2;

/// What one worker has of the port.
class XdpQueue final : public worker::PortIo {
  public:
    XdpQueue(std::vector<XdpSocket*> sockets, std::uint32_t longest_untagged)
        : sockets_(std::move(sockets)) {
        // The kernel allows one 802.1Q tag above the MTU, as with packet sockets.
        limit_frames(longest_untagged, longest_untagged + kTag);
        if (sockets_.size() > 1) watch_all();
    }

    std::size_t receive(std::span<Frame> out) noexcept override {
        std::size_t n = 0;
        for (std::size_t i = 0; i < sockets_.size() && n < out.size(); ++i) {
            n += sockets_[next_]->receive(out.subspan(n));
            if (++next_ == sockets_.size()) next_ = 0;
        }
        return n;
    }

    std::size_t transmit(std::span<const Frame> frames) noexcept override {
        return sockets_.front()->transmit(frames);
    }

    [[nodiscard]] int wait_descriptor() const noexcept override {
        return sockets_.size() > 1 ? any_.get() : sockets_.front()->descriptor();
    }

  private:
    void watch_all() {
        any_ = Descriptor(epoll_create1(EPOLL_CLOEXEC));
        for (const XdpSocket* socket : sockets_) {
            epoll_event event{};
            event.events = EPOLLIN;
            (void)epoll_ctl(any_.get(), EPOLL_CTL_ADD, socket->descriptor(), &event);
        }
    }

    std::vector<XdpSocket*> sockets_;
    std::size_t next_ = 0;  // so that a busy one does not keep the others waiting
    Descriptor any_;
};

std::string steered(const XdpSpecification& rules) {
    if (rules.steer == Steer::all) return "everything";
    std::vector<std::string> parts;
    if (!rules.udp_ports.empty()) {
        parts.push_back(fmt::format("UDP ports {}", fmt::join(rules.udp_ports, ", ")));
    }
    if (!rules.vlans.empty()) {
        parts.push_back(fmt::format("VLANs {}", fmt::join(rules.vlans, ", ")));
    }
    return fmt::format("{}", fmt::join(parts, " and "));
}

}  // namespace

Error XdpPort::error(const std::string& text) const {
    return {fmt::format("port \"{}\": interface \"{}\" {}", specification_.name.view(),
                        specification_.interface, text)};
}

Result<std::unique_ptr<Port>> XdpPort::probe(const PortSpecification& specification,
                                             std::uint16_t queues) {
    auto opened = KernelInterface::open(specification.interface);
    if (!opened) {
        return fail(fmt::format("port \"{}\": {}", specification.name.view(), opened.error().text));
    }
    std::unique_ptr<XdpPort> port(new XdpPort(specification, queues, std::move(*opened)));
    if (const Status done = port->prepare(); !done) return tl::unexpected(done.error());
    return port;
}

Status XdpPort::prepare() {
    const auto named = [&](const Error& wrong) {
        return fail(fmt::format("port \"{}\": {}", specification_.name.view(), wrong.text));
    };
    if (const Status claimed = interface_.claim(); !claimed) return named(claimed.error());
    const Result<std::uint16_t> mtu =
        specification_.mtu ? Result<std::uint16_t>(*specification_.mtu) : interface_.mtu();
    if (!mtu) return named(mtu.error());
    mtu_ = *mtu;
    if (mtu_ > kLargestMtu) {
        return tl::unexpected(error(
            fmt::format("has an MTU of {}, but AF_XDP puts a frame into one page; set mtu: to at "
                        "most {}, or use kind: af_packet",
                        mtu_, kLargestMtu)));
    }
    if (specification_.mtu) {
        if (const Status set = interface_.set_mtu(mtu_); !set) return named(set.error());
    }
    interface_.disable_receive_joining();
    tags_kept_ = keep_tags_in_frames(interface_.name());
    if (const Status up = interface_.set_up(); !up) return named(up.error());
    return check_queues();
}

Status XdpPort::check_queues() {
    const InterfaceQueues queues = queues_of(interface_.name());
    queues_ = queues.receive;
    const std::uint32_t fewest = std::min(queues.receive, queues.transmit);
    if (fewest >= workers_) return {};
    return tl::unexpected(error(fmt::format(
        "has {} queue(s), but each of the {} workers needs one; give it more (ethtool -L) or use "
        "fewer workers",
        fewest, workers_)));
}

std::uint32_t XdpPort::longest_frame() const {
    return mtu_ + kEthernet + 2 * kTag;
}

net::MacAddress XdpPort::mac() const {
    return mac_of(interface_.name());
}

Status XdpPort::start(MbufPool& pool) {
    const Status done = attach().and_then([&] { return open_sockets(pool); });
    if (done) return {};
    if (steering_) steering_->undo();
    return tl::unexpected(error(done.error().text));
}

Status XdpPort::attach() {
    auto loaded = Steering::load(specification_.xdp, queues_);
    if (!loaded) return tl::unexpected(loaded.error());
    steering_ = std::move(*loaded);
    if (auto there = steering_->attach(interface_.index(), specification_.xdp.mode); !there) {
        return there;
    }
    // The stack merges what it receives before it runs a generic program, after a native one.
    if (!steering_->native()) interface_.disable_receive_merging();
    if (specification_.promiscuous) promiscuous_ = be_promiscuous(interface_.index());
    return {};
}

Status XdpPort::open_sockets(MbufPool& pool) {
    const std::uint32_t fill = kFillPerDescriptor * specification_.rx_descriptors;
    const std::uint64_t most = std::uint64_t{queues_} * (fill + specification_.rx_descriptors);
    if (most > pool.size() / 2) {
        return fail(
            fmt::format("has {} queues, which would hold {} of {} packet buffers; raise "
                        "memory.megabytes, lower "
                        "rx_descriptors, or give it fewer queues (ethtool -L)",
                        queues_, most, pool.size()));
    }
    XdpBufferRings first;
    auto memory = XdpMemory::create(pool, first, fill, specification_.tx_descriptors);
    if (!memory) return tl::unexpected(memory.error());
    memory_ = std::move(*memory);
    XdpSocketRequest request{interface_.name(), 0, specification_.rx_descriptors,
                             specification_.tx_descriptors, specification_.xdp.zero_copy};
    if (!steering_->native()) {
        if (request.zero_copy == ZeroCopy::required) {
            return fail("cannot do zero-copy in generic mode");
        }
        request.zero_copy = ZeroCopy::never;
    }
    for (; request.queue < queues_; ++request.queue) {
        auto socket =
            XdpSocket::open(request, *memory_, request.queue == 0 ? first : XdpBufferRings{});
        if (!socket) return tl::unexpected(socket.error());
        sockets_.push_back(std::move(*socket));
    }
    for (std::uint32_t queue = 0; queue < queues_; ++queue) {
        if (auto set = steering_->set_socket(queue, sockets_[queue]->descriptor()); !set)
            return set;
    }
    return {};
}

/// The sockets leave the program's map by themselves; from then on it passes everything on.
void XdpPort::stop() {
    sockets_.clear();
    memory_.reset();
    steering_.reset();
    promiscuous_.reset();
}

XdpPort::~XdpPort() {
    stop();
}

std::unique_ptr<worker::PortIo> XdpPort::queue(std::uint16_t index) {
    std::vector<XdpSocket*> mine;
    for (std::size_t queue = index; queue < sockets_.size(); queue += workers_) {
        mine.push_back(sockets_[queue].get());
    }
    return std::make_unique<XdpQueue>(std::move(mine), mtu_ + kEthernet);
}

PortUse XdpPort::use() const {
    PortUse use;
    use.driver = "af_xdp";
    if (!steering_ || sockets_.empty()) return use;
    use.mode = steering_->mode_in_use();
    const auto zero = static_cast<std::size_t>(std::count_if(
        sockets_.begin(), sockets_.end(), [](const auto& socket) { return socket->zero_copy(); }));
    use.buffers = zero == 0 ? "copying"
                  : zero == sockets_.size()
                      ? "zero-copy"
                      : fmt::format("zero-copy on {} of {} queues", zero, queues_);
    use.takes = steered(specification_.xdp);
    return use;
}

std::string XdpPort::description() const {
    const PortUse now = use();
    std::string text = fmt::format("port \"{}\": AF_XDP on {}, {} mode, {}, {} queue(s), takes {}",
                                   specification_.name.view(), specification_.interface, now.mode,
                                   now.buffers, queues_, now.takes);
    if (steering_->took_over()) text += "; in place of an earlier start's program";
    if (!steering_->why_generic().empty()) text += "; " + steering_->why_generic();
    if (!tags_kept_) {
        text +=
            "; warning: the device takes VLAN tags out of frames (rx-vlan-offload), so tagged ones "
            "are taken for untagged";
    }
    return text;
}

}  // namespace wye::drivers
