// The tunnel steps behind a line protocol, so that tshark and scapy can judge what they do:
//
//   new                             forgets all tunnels; answers: ok
//   tunnel vxlan|geneve LOCAL REMOTE VNI PORT TTL DSCP COPY_DSCP CHECKSUM   answers: its number
//   encap NUMBER FLOW_HASH HEX      answers: frame HEX, or drop REASON
//   decap HEX                       answers: inner NUMBER HEX, or drop REASON, or not_tunnel,
//                                   or invalid (the parser refused it)
#include <iostream>
#include <sstream>
#include <string>

#include "tests/unit/pipeline/tunnel_fixture.hh"

namespace wye::pipeline {
namespace {

Bytes read_hex(std::istream& in) {
    std::string text;
    in >> text;
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

std::string to_hex(const Bytes& bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

unsigned number(std::istream& in) {
    unsigned value = 0;
    in >> value;
    return value;
}

std::string make_tunnel(TunnelTables& tables, std::istream& in) {
    std::string kind, local, remote;
    in >> kind >> local >> remote;
    TunnelChoice choice;
    choice.outer.kind = kind == "geneve" ? TunnelKind::geneve : TunnelKind::vxlan;
    choice.outer.local = net::parse_ip(local).value();
    choice.outer.remote = net::parse_ip(remote).value();
    choice.outer.vni = number(in);
    choice.outer.destination_port = static_cast<std::uint16_t>(number(in));
    choice.outer.ttl = static_cast<std::uint8_t>(number(in));
    choice.outer.dscp = static_cast<std::uint8_t>(number(in));
    choice.copy_dscp = static_cast<std::uint8_t>(number(in));
    choice.udp_checksum = static_cast<std::uint8_t>(number(in));
    return std::to_string(tables.add(choice).value);
}

std::string encap(TunnelTables& tables, std::istream& in) {
    const TunnelId id{number(in)};
    const std::uint32_t hash = number(in);
    OwnedPacket owned(read_hex(in));
    owned.packet.flow_hash = hash;
    if (const auto reason = encap_tunnel(owned.packet, tables.tunnel(id))) {
        return "drop " + std::string(table::reason_name(*reason));
    }
    return "frame " + to_hex(owned.bytes());
}

std::string decap(TunnelTables& tables, std::istream& in) {
    OwnedPacket owned(read_hex(in));
    if (!owned.parse()) return "invalid";
    const auto result = decap_tunnel(tables.view(), tables.counters(), owned.packet);
    switch (result.outcome) {
        case DecapResult::Outcome::decapsulated:
            return "inner " + std::to_string(result.tunnel.value) + " " + to_hex(owned.bytes());
        case DecapResult::Outcome::dropped:
            return "drop " + std::string(table::reason_name(result.reason));
        case DecapResult::Outcome::not_tunnel:
            return "not_tunnel";
    }
    return {};
}

}  // namespace
}  // namespace wye::pipeline

int main() {
    using namespace wye::pipeline;
    auto tables = std::make_unique<TunnelTables>();
    std::string line, word;
    while (std::getline(std::cin, line)) {
        std::istringstream in(line);
        in >> word;
        if (word == "new") {
            tables = std::make_unique<TunnelTables>();
            std::cout << "ok\n";
        } else if (word == "tunnel") {
            std::cout << make_tunnel(*tables, in) << '\n';
        } else if (word == "encap") {
            std::cout << encap(*tables, in) << '\n';
        } else if (word == "decap") {
            std::cout << decap(*tables, in) << '\n';
        } else {
            std::cerr << "tunnel_tool: unknown word: " << word << '\n';
            return 2;
        }
    }
}
