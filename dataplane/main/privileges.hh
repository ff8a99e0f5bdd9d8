// After the start: what the process may still do.
#pragma once

#include "dataplane/base/result.hh"

namespace wye::dataplane {

/// Gives up every capability, but CAP_NET_ADMIN if `keep_net_admin` (af_packet and tap ports need
/// it to leave promiscuous mode and to be removed at the end), and with it whatever a new program
/// could gain. Before other threads are started: it applies to the calling thread and its children.
Status drop_privileges(bool keep_net_admin);

}  // namespace wye::dataplane
