// Decodes what the zebra plugin sends (zebra-plugin/protocol.h) and tells the sink, message by
// message, as bytes come in. Owner: the route source, one decoder a connection.
//
// Every field is checked before anything of its message reaches the sink: a message counts whole or
// not at all. After the first error the decoder takes nothing more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controlplane-shim/frr/route_source.hh"
#include "dataplane/base/result.hh"

namespace wye::frr {

class Decoder {
  public:
    /// `connection` goes into every Operation.
    Decoder(RouteSink& sink, std::uint32_t connection) : sink_(sink), connection_(connection) {}

    /// Takes bytes as the stream has them, cut anywhere. An error is final.
    Status feed(std::span<const std::uint8_t> bytes);

    struct Hello {
        std::uint32_t version = 0;  // of the protocol, which the connection speaks
        std::uint32_t process = 0;
        std::string frr_version;
    };
    /// Once an acceptable HELLO has come.
    [[nodiscard]] const std::optional<Hello>& hello() const noexcept { return hello_; }

  private:
    // Both say how many of the bytes they used.
    Result<std::size_t> take_from(std::span<const std::uint8_t> bytes);
    Result<std::size_t> complete_partial(std::span<const std::uint8_t> bytes);
    Status message(std::span<const std::uint8_t> bytes);
    Status take_hello(std::span<const std::uint8_t> bytes);
    Status take_vrf(std::span<const std::uint8_t> bytes);
    Status take_route(std::span<const std::uint8_t> bytes);
    Status begin_snapshot(std::span<const std::uint8_t> bytes);
    Status end_snapshot(std::span<const std::uint8_t> bytes);

    RouteSink& sink_;
    std::uint32_t connection_;
    std::vector<std::uint8_t> partial_;  // the beginning of a message whose end has not come
    bool failed_ = false;
    std::optional<Hello> hello_;
    enum class Snapshot : std::uint8_t { awaited, open, ended } snapshot_ = Snapshot::awaited;
    std::uint64_t generation_ = 0;
    std::set<std::uint32_t> named_vrfs_;
};

}  // namespace wye::frr
