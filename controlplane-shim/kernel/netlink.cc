#include "controlplane-shim/kernel/netlink.hh"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "controlplane-shim/kernel/namespace.hh"

namespace wye::kernel {
namespace {

constexpr std::size_t kMessageBytes = 64 << 10;

int on_data(const nlmsghdr* message, void* context) {
    (*static_cast<const NetlinkSocket::OnMessage*>(context))(message);
    return MNL_CB_OK;
}

}  // namespace

Attributes::Attributes(const nlmsghdr* message, std::size_t header_size) {
    take(static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, header_size)),
         static_cast<const char*>(mnl_nlmsg_get_payload_tail(message)));
}

Attributes::Attributes(const nlattr* nest) {
    if (nest == nullptr) return;
    const auto* const begin = static_cast<const char*>(mnl_attr_get_payload(nest));
    take(reinterpret_cast<const nlattr*>(begin), begin + mnl_attr_get_payload_len(nest));
}

void Attributes::take(const nlattr* attribute, const char* end) {
    const auto left = [&] {
        return static_cast<int>(end - reinterpret_cast<const char*>(attribute));
    };
    for (; mnl_attr_ok(attribute, left()); attribute = mnl_attr_next(attribute)) {
        const std::uint16_t type = mnl_attr_get_type(attribute);
        if (type < attributes_.size()) attributes_[type] = attribute;
    }
}

std::uint16_t Attributes::big_endian16(std::size_t type) const {
    const nlattr* const found = (*this)[type];
    if (found == nullptr || mnl_attr_get_payload_len(found) < sizeof(std::uint16_t)) return 0;
    const auto* const bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(found));
    return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

std::uint32_t Attributes::u32(std::size_t type) const {
    const nlattr* const found = (*this)[type];
    if (found == nullptr || mnl_attr_get_payload_len(found) < sizeof(std::uint32_t)) return 0;
    return mnl_attr_get_u32(found);
}

std::uint8_t Attributes::u8(std::size_t type) const {
    const nlattr* const found = (*this)[type];
    if (found == nullptr || mnl_attr_get_payload_len(found) < 1) return 0;
    return mnl_attr_get_u8(found);
}

std::string Attributes::text(std::size_t type) const {
    const nlattr* const found = (*this)[type];
    if (found == nullptr) return {};
    const char* const begin = static_cast<const char*>(mnl_attr_get_payload(found));
    return {begin, strnlen(begin, mnl_attr_get_payload_len(found))};
}

bool Attributes::address(std::size_t type, unsigned char family, net::IpAddress& out) const {
    const nlattr* const found = (*this)[type];
    const std::size_t size = family == AF_INET ? 4 : 16;
    if (found == nullptr || mnl_attr_get_payload_len(found) != size) return false;
    out = net::IpAddress{};
    out.family = family == AF_INET ? net::IpFamily::ipv4 : net::IpFamily::ipv6;
    std::memcpy(out.bytes.data(), mnl_attr_get_payload(found), size);
    return true;
}

bool Attributes::mac(std::size_t type, net::MacAddress& out) const {
    const nlattr* const found = (*this)[type];
    if (found == nullptr || mnl_attr_get_payload_len(found) != out.bytes.size()) return false;
    std::memcpy(out.bytes.data(), mnl_attr_get_payload(found), out.bytes.size());
    return true;
}

Result<NetlinkSocket> NetlinkSocket::open(const std::string& netns,
                                          std::span<const unsigned> groups, int receive_buffer) {
    NetlinkSocket made;
    const Status opened = in_namespace(netns, [&]() -> Status {
        made.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
        if (!made.socket_ || mnl_socket_bind(made.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0)
            return fail(std::string("rtnetlink socket: ") + std::strerror(errno));
        return {};
    });
    if (!opened) return tl::unexpected<Error>(opened.error());
    for (const unsigned group : groups) {
        unsigned value = group;
        if (mnl_socket_setsockopt(made.socket_.get(), NETLINK_ADD_MEMBERSHIP, &value,
                                  sizeof value) != 0)
            return fail(std::string("rtnetlink group: ") + std::strerror(errno));
    }
    if (!groups.empty()) {
        const int fd = made.descriptor();
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return made;
}

int NetlinkSocket::await_end(std::span<char> buffer, const OnMessage& on_message) {
    while (true) {
        const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        const int result = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), sequence_,
                                      mnl_socket_get_portid(socket_.get()), on_data,
                                      const_cast<void*>(static_cast<const void*>(&on_message)));
        if (result < 0) return errno;
        if (result == MNL_CB_STOP) return 0;
    }
}

int NetlinkSocket::query(Request& request, const OnMessage& on_message) {
    nlmsghdr* const message = request.message();
    message->nlmsg_seq = ++sequence_;
    message->nlmsg_flags = static_cast<std::uint16_t>(message->nlmsg_flags | NLM_F_ACK);
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) return errno;
    // A link with 256 VFs answers with some 50 KiB.
    alignas(nlmsghdr) std::array<char, kMessageBytes> buffer;
    return await_end(buffer, on_message);
}

int NetlinkSocket::dump(std::uint16_t type, unsigned char family, std::size_t header_size,
                        const OnMessage& on_message) {
    std::array<char, 256> out{};
    nlmsghdr* const message = mnl_nlmsg_put_header(out.data());
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = ++sequence_;
    *static_cast<unsigned char*>(mnl_nlmsg_put_extra_header(message, header_size)) = family;
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) return errno;
    std::vector<char> buffer(kMessageBytes);
    return await_end(buffer, on_message);
}

bool NetlinkSocket::receive(const OnMessage& on_message) {
    std::vector<char> buffer(kMessageBytes);
    while (true) {
        const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno != ENOBUFS;
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, 0, on_data,
                   const_cast<void*>(static_cast<const void*>(&on_message)));
    }
}

}  // namespace wye::kernel
