// UDP header (RFC 768).
#pragma once

#include "dataplane/base/bytes.hh"
#include "dataplane/net/wire.hh"

namespace wye::net {

struct UdpHeader {
    Be16 source_port, destination_port;
    Be16 length;    // header and payload
    Be16 checksum;  // zero: none
};
static_assert(sizeof(UdpHeader) == 8 && WireFormat<UdpHeader>);

}  // namespace wye::net
