// Work inside a network namespace, on a helper thread: the caller's own namespace never changes.
#pragma once

#include <functional>
#include <string>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"

namespace wye::kernel {

/// Runs `work` with /run/netns/`name` as the network namespace, and waits for it. The empty name is
/// the caller's own. Sockets and /dev/net/tun opened in `work` belong to that namespace for good.
Status in_namespace(const std::string& name, const std::function<Status()>& work);

/// Fails in words if there is no such namespace.
Result<Descriptor> open_namespace(const std::string& name);

/// Whether two descriptors of namespaces mean the same one.
bool same_namespace(int a, int b);

/// Writes a file below /proc/sys/net of that namespace, "ipv6/conf/eth0/accept_ra".
Status write_sysctl(const std::string& netns, const std::string& path, const std::string& value);

}  // namespace wye::kernel
