// After the start: what the process may still do.
#pragma once

#include "dataplane/base/result.hh"

namespace wye::shim {

/// Gives up every capability but CAP_NET_ADMIN (twins, rtnetlink, sysctls below net) and
/// CAP_SYS_ADMIN (setns), and with it whatever a new program could gain. Before other threads are
/// started: it applies to the calling thread and its children.
Status drop_privileges();

}  // namespace wye::shim
