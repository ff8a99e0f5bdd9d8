#include "controlplane-shim/kernel/linux_kernel.hh"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "controlplane-shim/kernel/link_settings.hh"
#include "controlplane-shim/kernel/namespace.hh"
#include "controlplane-shim/kernel/twin_device.hh"

namespace wye::kernel {
namespace {

constexpr unsigned kProbeEveryTicks = 15;

std::string netns_of(const manifest::KernelVrf& vrf) {
    return vrf.kind == manifest::KernelVrf::Kind::netns ? vrf.name : std::string{};
}

}  // namespace

Result<std::unique_ptr<LinuxKernel>> LinuxKernel::create(std::string instance, KernelSink& sink,
                                                         int receive_buffer) {
    Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.valid()) return fail(std::string("epoll: ") + std::strerror(errno));
    return std::unique_ptr<LinuxKernel>(
        new LinuxKernel(std::move(instance), sink, std::move(epoll), receive_buffer));
}

Result<LinuxKernel::Namespace*> LinuxKernel::open(const std::string& netns) {
    if (const auto found = namespaces_.find(netns); found != namespaces_.end())
        return &found->second;
    Result<NetlinkSocket> requests = NetlinkSocket::open(netns);
    if (!requests) return tl::unexpected<Error>(requests.error());
    Result<std::unique_ptr<Listener>> listener = Listener::start(netns, sink_, receive_buffer_);
    if (!listener) return tl::unexpected<Error>(listener.error());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = listener->get();
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, (*listener)->descriptor(), &event) != 0)
        return fail(std::string("epoll: ") + std::strerror(errno));
    const auto entry =
        namespaces_.emplace(netns, Namespace{std::move(*requests), std::move(*listener)}).first;
    return &entry->second;
}

Result<std::uint32_t> LinuxKernel::master_of(Namespace& where, const manifest::KernelVrf& vrf) {
    if (vrf.kind != manifest::KernelVrf::Kind::device) return 0;
    const std::uint32_t index = find_link(where.requests, vrf.name);
    if (index == 0) {
        return fail("there is no VRF device " + vrf.name + ": make it with `ip link add " +
                    vrf.name + " up type vrf table NUMBER`");
    }
    if (table_of_vrf(where.requests, index) == 0) return fail(vrf.name + " is no VRF device");
    return index;
}

Status LinuxKernel::open_vrf(const manifest::KernelVrf& vrf) {
    const Result<Namespace*> where = open(netns_of(vrf));
    if (!where) return tl::unexpected<Error>(where.error());
    const Result<std::uint32_t> master = master_of(**where, vrf);
    if (!master) return tl::unexpected<Error>(master.error());
    return {};
}

void LinuxKernel::keep_vrfs(const std::vector<manifest::KernelVrf>& vrfs) {
    std::set<std::string> wanted;
    for (const manifest::KernelVrf& vrf : vrfs) wanted.insert(netns_of(vrf));
    for (auto it = namespaces_.begin(); it != namespaces_.end();) {
        if (wanted.contains(it->first)) {
            ++it;
            continue;
        }
        it->second.listener->retract();
        it = namespaces_.erase(it);
    }
}

Status LinuxKernel::configure(const TwinSpec& spec, Namespace& where, std::uint32_t index) {
    const Result<std::uint32_t> master = master_of(where, spec.vrf);
    if (!master) return tl::unexpected<Error>(master.error());
    // A router does not let itself be configured by other routers' advertisements (RFC 4861 6.2.7).
    static_cast<void>(
        write_sysctl(netns_of(spec.vrf), "ipv6/conf/" + spec.interface + "/accept_ra", "0"));
    const Status linked = set_link(where.requests, spec, index, *master);
    if (!linked) return linked;
    if (spec.kind == ring::TwinKind::vrf_inject)
        return set_inject_routes(where.requests, spec, index, *master);
    const Status addressed = set_addresses(where.requests, spec, index);
    if (!addressed) return addressed;
    return set_neighbors(where.requests, spec, index);
}

Result<Twin> LinuxKernel::make_twin(const TwinSpec& spec) {
    const std::string netns = netns_of(spec.vrf);
    const Result<Namespace*> where = open(netns);
    if (!where) return tl::unexpected<Error>(where.error());
    if (find_link((*where)->requests, spec.interface) != 0) {
        return fail("twin " + spec.interface + ": an interface of that name is already in " +
                    (netns.empty() ? "this namespace" : "namespace " + netns) +
                    ": remove it or give the vport another twin name");
    }
    Twin twin{{netns, preferred_index(instance_, spec.object + "/" + spec.interface)}, {}};
    Result<Descriptor> device = create_device(spec, netns, twin.interface.index);
    if (!device) return tl::unexpected<Error>(device.error());
    twin.descriptor = std::move(*device);
    const Status configured = configure(spec, **where, twin.interface.index);
    if (!configured) {
        std::vector<std::pair<TwinSpec, Twin>> made;
        made.emplace_back(spec, std::move(twin));
        remove_twins(std::move(made));
        return tl::unexpected<Error>(configured.error());
    }
    return twin;
}

Result<Twin> LinuxKernel::adopt_twin(const TwinSpec& spec, Descriptor descriptor) {
    const std::string netns = netns_of(spec.vrf);
    const Result<Namespace*> where = open(netns);
    if (!where) return tl::unexpected<Error>(where.error());
    const Status checked = check_device(descriptor.get(), spec, netns);
    if (!checked) return tl::unexpected<Error>(checked.error());
    const std::uint32_t index = find_link((*where)->requests, spec.interface);
    if (index == 0) return fail("twin " + spec.interface + " has vanished");
    const Status configured = configure(spec, **where, index);
    if (!configured) return tl::unexpected<Error>(configured.error());
    return Twin{{netns, index}, std::move(descriptor)};
}

Status LinuxKernel::change_twin(const Twin& twin, const TwinSpec&, const TwinSpec& to) {
    const Result<Namespace*> where = open(twin.interface.netns);
    if (!where) return tl::unexpected<Error>(where.error());
    return configure(to, **where, twin.interface.index);
}

void LinuxKernel::remove_twins(std::vector<std::pair<TwinSpec, Twin>> twins) {
    std::map<std::string, std::vector<std::uint32_t>> leaving;
    for (const auto& [spec, twin] : twins) {
        const InterfaceKey& interface = twin.interface;
        leaving[interface.netns].push_back(interface.index);
        std::erase_if(kept_, [&](const auto& kept) { return kept.first == interface; });
        const Result<Namespace*> where = open(interface.netns);
        if (where && spec.kind == ring::TwinKind::vrf_inject)
            remove_inject_rules((*where)->requests, spec, interface.index);
    }
    // Removed, not only closed: the data plane may still hold descriptors. Where that fails (the
    // namespace is gone, and the interfaces with it) closing has to do.
    for (const auto& [netns, indexes] : leaving) {
        const Result<Namespace*> where = open(netns);
        if (where) static_cast<void>(remove_links((*where)->requests, indexes));
    }
}

void LinuxKernel::ask_neighbor(const InterfaceKey& interface, const net::IpAddress& address,
                               bool keep) {
    const Result<Namespace*> where = open(interface.netns);
    if (!where) return;
    if (keep) kept_.insert({interface, address});
    // A full neighbour table or a vanished interface: the data plane asks again while it has
    // packets, so there is nothing to do about it here.
    probe_neighbor((*where)->requests, interface.index, address, keep);
}

void LinuxKernel::check_neighbor(const InterfaceKey& interface, const net::IpAddress& address) {
    const auto where = namespaces_.find(interface.netns);
    if (where == namespaces_.end()) return;
    NetlinkSocket& requests = where->second.requests;
    const bool managed = where->second.listener->managed(interface.index, address);
    if (verify_neighbor(requests, interface.index, address) != 0 || !managed) return;
    // A change of state takes that mark away.
    probe_neighbor(requests, interface.index, address, true);
}

void LinuxKernel::forget_neighbor(const InterfaceKey& interface, const net::IpAddress& address) {
    const auto where = namespaces_.find(interface.netns);
    if (kept_.erase({interface, address}) == 0 || where == namespaces_.end()) return;
    delete_neighbor(where->second.requests, interface.index, address);
}

void LinuxKernel::run() {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        // One listener's news may close another's namespace.
        const void* const wanted = events[static_cast<std::size_t>(i)].data.ptr;
        for (auto& [name, where] : namespaces_) {
            if (where.listener.get() != wanted) continue;
            where.listener->run();
            break;
        }
    }
}

void LinuxKernel::tick() {
    if (++ticks_ % kProbeEveryTicks != 0) return;
    for (const auto& [interface, address] : kept_) {
        const auto where = namespaces_.find(interface.netns);
        if (where == namespaces_.end()) continue;
        if (where->second.listener->managed(interface.index, address)) continue;
        probe_neighbor(where->second.requests, interface.index, address, false);
    }
}

const Listener* LinuxKernel::listener(const std::string& netns) const {
    const auto found = namespaces_.find(netns);
    return found == namespaces_.end() ? nullptr : found->second.listener.get();
}

}  // namespace wye::kernel
