// rtnetlink over libmnl: a socket in a namespace, requests with their answer, dumps.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"

namespace wye::kernel {

/// One request. Attributes may be added after the family's header.
class Request {
  public:
    template <class Header>
    Request(std::uint16_t type, std::uint16_t flags, const Header& header) {
        message_ = mnl_nlmsg_put_header(buffer_.data());
        message_->nlmsg_type = type;
        message_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        *static_cast<Header*>(mnl_nlmsg_put_extra_header(message_, sizeof(Header))) = header;
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    void put_u8(std::uint16_t type, std::uint8_t value) { mnl_attr_put_u8(message_, type, value); }
    void put_u32(std::uint16_t type, std::uint32_t value) {
        mnl_attr_put_u32(message_, type, value);
    }
    void put_text(std::uint16_t type, const std::string& text) {
        mnl_attr_put_strz(message_, type, text.c_str());
    }
    void put_address(std::uint16_t type, const net::IpAddress& address) {
        mnl_attr_put(message_, type, address.is_ipv4() ? 4u : 16u, address.bytes.data());
    }
    void put_mac(std::uint16_t type, const net::MacAddress& mac) {
        mnl_attr_put(message_, type, mac.bytes.size(), mac.bytes.data());
    }
    nlattr* nest(std::uint16_t type) { return mnl_attr_nest_start(message_, type); }
    void end(nlattr* nest) { mnl_attr_nest_end(message_, nest); }
    [[nodiscard]] nlmsghdr* message() { return message_; }

  private:
    alignas(nlmsghdr) std::array<char, 1024> buffer_{};
    nlmsghdr* message_;
};

/// Attributes of a received message, by type.
class Attributes {
  public:
    Attributes(const nlmsghdr* message, std::size_t header_size);
    /// Those inside another one; of nullptr: none.
    explicit Attributes(const nlattr* nest);
    [[nodiscard]] const nlattr* operator[](std::size_t type) const {
        return type < attributes_.size() ? attributes_[type] : nullptr;
    }
    /// Zero or nothing when it is absent or too short.
    [[nodiscard]] std::uint32_t u32(std::size_t type) const;
    [[nodiscard]] std::uint16_t big_endian16(std::size_t type) const;
    [[nodiscard]] std::uint8_t u8(std::size_t type) const;
    [[nodiscard]] std::string text(std::size_t type) const;
    [[nodiscard]] bool address(std::size_t type, unsigned char family, net::IpAddress& out) const;
    [[nodiscard]] bool mac(std::size_t type, net::MacAddress& out) const;

  private:
    void take(const nlattr* attribute, const char* end);

    std::array<const nlattr*, 64> attributes_{};
};

class NetlinkSocket {
  public:
    /// `groups`: RTNLGRP_* to listen to; then the socket is non-blocking with a large buffer.
    static Result<NetlinkSocket> open(const std::string& netns,
                                      std::span<const unsigned> groups = {},
                                      int receive_buffer = 0);

    using OnMessage = std::function<void(const nlmsghdr*)>;
    /// Sends and waits for the answer: 0, or errno.
    int request(Request& request) {
        return query(request, [](const nlmsghdr*) {});
    }
    /// The same for what answers with a message.
    int query(Request& request, const OnMessage& on_message);
    /// Calls for each message of the dump. Fails with errno.
    int dump(std::uint16_t type, unsigned char family, std::size_t header_size,
             const OnMessage& on_message);
    /// Takes what has arrived. False: messages were lost (ENOBUFS), a new dump is needed.
    bool receive(const OnMessage& on_message);
    [[nodiscard]] int descriptor() const { return mnl_socket_get_fd(socket_.get()); }

  private:
    /// The answers to the last request, until the one that ends it. 0, or the errno.
    int await_end(std::span<char> buffer, const OnMessage& on_message);
    struct Close {
        void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    std::unique_ptr<mnl_socket, Close> socket_;
    std::uint32_t sequence_ = 0;
};

}  // namespace wye::kernel
