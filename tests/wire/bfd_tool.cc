// For tests/wire/test_bfd.py: one line in, one line out.
//   send LOCAL REMOTE SOURCE_PORT single|multi STATE DIAGNOSTIC POLL FINAL CBIT MULTIPLIER MY YOUR TX RX
//     → frame HEX      the IP packet
//   parse HEX → good STATE DIAGNOSTIC POLL FINAL CBIT AUTH DEMAND MULTIPLIER MY YOUR TX RX ECHO
//             | fault NUMBER
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "dataplane/bfd/datagram.hh"

namespace {

using namespace wye;

std::vector<std::byte> from_hex(const std::string& hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

std::string send(std::istringstream& words) {
    std::string local, remote, hops;
    unsigned port = 0, state = 0, diagnostic = 0, multiplier = 0;
    bfd::Departure departure;
    net::BfdControl control;
    words >> local >> remote >> port >> hops >> state >> diagnostic >> control.poll >>
        control.final >> control.control_plane_independent >> multiplier >>
        control.my_discriminator >> control.your_discriminator >> control.desired_min_tx >>
        control.required_min_rx;
    control.state = static_cast<net::BfdState>(state);
    control.diagnostic = static_cast<net::BfdDiagnostic>(diagnostic);
    control.detect_multiplier = static_cast<std::uint8_t>(multiplier);
    departure.end.local = *net::parse_ip(local);
    departure.end.remote = *net::parse_ip(remote);
    departure.end.source_port = static_cast<std::uint16_t>(port);
    if (hops == "single") departure.end.vport = VportId{1};
    departure.header = net::make_bfd(control);
    std::array<std::byte, bfd::kLongestDatagram> bytes{};
    const std::size_t length = bfd::write_datagram(departure, bytes.data());
    std::string answer = "frame ";
    for (std::size_t i = 0; i < length; ++i) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(bytes[i]));
        answer += digits;
    }
    return answer;
}

std::string parse(std::istringstream& words) {
    std::string hex;
    words >> hex;
    net::BfdControl c;
    std::ostringstream answer;
    const net::BfdFault fault = net::parse_bfd(from_hex(hex), c);
    if (fault != net::BfdFault::none) {
        answer << "fault " << static_cast<unsigned>(fault);
        return answer.str();
    }
    answer << "good " << static_cast<unsigned>(c.state) << ' '
           << static_cast<unsigned>(c.diagnostic) << ' ' << c.poll << ' ' << c.final << ' '
           << c.control_plane_independent << ' ' << c.authentication << ' ' << c.demand << ' '
           << static_cast<unsigned>(c.detect_multiplier) << ' ' << c.my_discriminator << ' '
           << c.your_discriminator << ' ' << c.desired_min_tx << ' ' << c.required_min_rx << ' '
           << c.required_min_echo_rx;
    return answer.str();
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string verb;
        words >> verb;
        std::puts((verb == "send" ? send(words) : parse(words)).c_str());
    }
}
