// TCP header (RFC 9293 3.1).
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

struct TcpHeader {
    Be16 source_port, destination_port;
    Be32 sequence, acknowledgment;
    std::uint8_t data_offset;  // high 4 bits, in units of 4 bytes
    std::uint8_t flags;        // CWR ECE URG ACK PSH RST SYN FIN
    Be16 window;
    Be16 checksum;
    Be16 urgent_pointer;
};
static_assert(sizeof(TcpHeader) == 20 && WireFormat<TcpHeader>);

}  // namespace wye::net
