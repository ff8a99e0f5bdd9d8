#include "drivers/ethdev/port.hh"
#include "drivers/port.hh"
#include "drivers/xdp/port.hh"

namespace wye::drivers {

Result<std::unique_ptr<Port>> probe_port(const PortSpecification& specification,
                                         std::uint16_t queues) {
    if (specification.kind == PortKind::af_xdp) {
        // One worker receives from all its sockets where they are spread in software.
        return XdpPort::probe(specification, specification.spread ? std::uint16_t{1} : queues);
    }
    auto made = EthdevPort::probe(specification, queues);
    if (!made) return tl::unexpected(made.error());
    return std::unique_ptr<Port>(std::move(*made));
}

}  // namespace wye::drivers
