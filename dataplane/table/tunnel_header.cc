#include "dataplane/table/tunnel_header.hh"

#include "dataplane/base/bytes.hh"
#include "dataplane/net/geneve.hh"
#include "dataplane/net/vxlan.hh"

namespace wye::table {

namespace {

constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kDefaultTtl = 64;

/// Appends plain wire structs.
class Builder {
  public:
    explicit Builder(OuterHeader& header) noexcept : header_(header) {}
    template <class T>
    void append(const T& value) noexcept {
        std::memcpy(header_.bytes.data() + header_.length, &value, sizeof value);
        header_.length = static_cast<std::uint8_t>(header_.length + sizeof value);
    }

  private:
    OuterHeader& header_;
};

}  // namespace

std::uint16_t default_tunnel_port(TunnelKind kind) noexcept {
    return kind == TunnelKind::geneve ? net::kGenevePort : net::kVxlanPort;
}

OuterHeader build_outer_header(const OuterHeaderFields& fields) noexcept {
    OuterHeader header;
    Builder builder(header);
    const std::uint8_t ttl = fields.ttl == 0 ? kDefaultTtl : fields.ttl;
    const auto traffic_class = static_cast<std::uint8_t>(fields.dscp << 2);
    if (fields.local.is_ipv4()) {
        builder.append(std::array<std::uint8_t, 2>{0x45, traffic_class});
        builder.append(Be32{0});       // total length, identification
        builder.append(Be16{0x4000});  // DF
        builder.append(std::array<std::uint8_t, 2>{ttl, kProtocolUdp});
        builder.append(Be16{0});  // checksum
        builder.append(fields.local.ipv4());
        builder.append(fields.remote.ipv4());
    } else {
        builder.append(Be32{0x60000000u | std::uint32_t{traffic_class} << 20});
        builder.append(Be16{0});  // payload length
        builder.append(std::array<std::uint8_t, 2>{kProtocolUdp, ttl});
        builder.append(fields.local.ipv6());
        builder.append(fields.remote.ipv6());
    }
    builder.append(Be16{0});  // source port
    builder.append(Be16{fields.destination_port == 0 ? default_tunnel_port(fields.kind)
                                                     : fields.destination_port});
    builder.append(Be32{0});  // length, checksum
    if (fields.kind == TunnelKind::geneve) {
        builder.append(net::make_geneve(fields.vni));
    } else {
        builder.append(net::make_vxlan(fields.vni));
    }
    return header;
}

}  // namespace wye::table
