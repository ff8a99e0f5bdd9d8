#include "drivers/ethdev/port_specification.hh"

namespace wye::drivers {

std::string_view port_kind_name(PortKind kind) noexcept {
    switch (kind) {
        case PortKind::pci:
            return "pci";
        case PortKind::af_packet:
            return "af_packet";
        case PortKind::tap:
            return "tap";
        case PortKind::pcap:
            return "pcap";
        case PortKind::ring:
            return "ring";
        case PortKind::vdev:
            return "vdev";
        case PortKind::memif:
            return "memif";
        case PortKind::vhost_user:
            return "vhost_user";
        case PortKind::af_xdp:
            return "af_xdp";
    }
    return "?";
}

}  // namespace wye::drivers
