#include "drivers/xdp/steering.hh"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "dataplane/base/descriptor.hh"
#include "drivers/xdp/libbpf_words.hh"

// Made by meson from steer.bpf.c; its code is not ours to warn about.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#include "drivers/xdp/steer_abi.h"
#include "steer.skel.h"
#pragma GCC diagnostic pop

namespace wye::drivers {
namespace {

/// By which a later start knows it again. The kernel keeps 15 characters.
constexpr std::string_view kProgramName = "wye_steer";

struct AttachedProgram {
    std::uint32_t id = 0;
    std::uint32_t mode = 0;  // XDP_FLAGS_…_MODE
};

/// At most one of each mode.
Result<std::array<AttachedProgram, 3>> attached_to(unsigned interface) {
    bpf_xdp_query_opts found{};
    found.sz = sizeof found;
    const int failed = bpf_xdp_query(static_cast<int>(interface), 0, &found);
    if (failed != 0)
        return fail(fmt::format("XDP cannot be asked for: {}", std::strerror(-failed)));
    std::array<AttachedProgram, 3> all{{{found.drv_prog_id, XDP_FLAGS_DRV_MODE},
                                        {found.skb_prog_id, XDP_FLAGS_SKB_MODE},
                                        {found.hw_prog_id, XDP_FLAGS_HW_MODE}}};
    return all;
}

Descriptor program_by_id(std::uint32_t id) {
    return Descriptor(bpf_prog_get_fd_by_id(id));
}

std::string name_of(const Descriptor& program) {
    bpf_prog_info info{};
    std::uint32_t length = sizeof info;
    if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0) return "?";
    return info.name;
}

}  // namespace

struct Steering::Object {
    steer_object* skeleton = nullptr;
    AttachedProgram predecessor;
    ~Object() { steer_object::destroy(skeleton); }
};

Steering::Steering() : object_(std::make_unique<Object>()) {}
Steering::~Steering() = default;

int Steering::program() const {
    return bpf_program__fd(object_->skeleton->progs.wye_steer);
}

Result<std::unique_ptr<Steering>> Steering::load(const XdpSpecification& rules,
                                                 std::uint32_t queues) {
    std::unique_ptr<Steering> made(new Steering);
    const LibbpfWords words;
    steer_object*& skeleton = made->object_->skeleton;
    skeleton = steer_object::open();
    if (skeleton == nullptr) return fail("the XDP program is not to be read: " + words.text(errno));
    wye_steer_settings& settings = skeleton->rodata->wye_settings;
    if (settings.abi != WYE_STEER_ABI) {
        return fail(fmt::format("the XDP program has ABI {}, not {}", settings.abi, WYE_STEER_ABI));
    }
    settings.everything = rules.steer == Steer::all ? 1 : 0;
    if (rules.udp_ports.size() > std::size(settings.udp_ports)) return fail("too many UDP ports");
    std::copy(rules.udp_ports.begin(), rules.udp_ports.end(), std::begin(settings.udp_ports));
    for (const std::uint16_t vlan : rules.vlans) {
        settings.vlans[(vlan >> 6) & 63] |= __u64{1} << (vlan & 63);
    }
    int failed = bpf_map__set_max_entries(skeleton->maps.wye_sockets, queues);
    if (failed == 0) failed = steer_object::load(skeleton);
    if (failed != 0) {
        return fail("the kernel does not take the XDP program: " + words.text(failed));
    }
    if (auto good = made->verify(queues); !good) return tl::unexpected(good.error());
    return made;
}

/// What the kernel has is what we mean: nothing of libbpf or the build stands between unnoticed.
Status Steering::verify(std::uint32_t queues) const {
    bpf_prog_info program_info{};
    std::uint32_t length = sizeof program_info;
    if (bpf_obj_get_info_by_fd(program(), &program_info, &length) != 0 ||
        program_info.type != BPF_PROG_TYPE_XDP || program_info.name != kProgramName) {
        return fail("the XDP program that was loaded is not what was meant");
    }
    bpf_map_info map_info{};
    length = sizeof map_info;
    const int map = bpf_map__fd(object_->skeleton->maps.wye_sockets);
    if (bpf_obj_get_info_by_fd(map, &map_info, &length) != 0 ||
        map_info.type != BPF_MAP_TYPE_XSKMAP || map_info.key_size != 4 ||
        map_info.value_size != 4 || map_info.max_entries != queues) {
        return fail("the XDP program's map of sockets is not what was meant");
    }
    return {};
}

Status Steering::attach(unsigned interface_index, XdpMode wanted) {
    interface_ = interface_index;
    if (auto clear = find_predecessor(); !clear) return clear;
    if (wanted == XdpMode::generic) return try_mode(false);
    const Status native = try_mode(true);
    if (native || wanted == XdpMode::native) return native;
    why_generic_ = native.error().text;
    return try_mode(false);
}

Status Steering::find_predecessor() {
    const auto all = attached_to(interface_);
    if (!all) return tl::unexpected(all.error());
    for (const AttachedProgram& there : *all) {
        if (there.id == 0) continue;
        const std::string name = name_of(program_by_id(there.id));
        if (name != kProgramName) {
            return fail(fmt::format(
                "has an XDP program of somebody else already (\"{}\", id {}); take it off (ip link "
                "set dev … xdp off) or use another interface",
                name, there.id));
        }
        object_->predecessor = there;
        took_over_ = true;
    }
    return {};
}

Status Steering::take_off(std::uint32_t mode) {
    bpf_xdp_attach_opts options{};
    options.sz = sizeof options;
    const int failed = bpf_xdp_detach(static_cast<int>(interface_), mode, &options);
    if (failed == 0) return {};
    return fail(fmt::format("the XDP program cannot be taken off: {}", std::strerror(-failed)));
}

/// In place of the predecessor in one step, if it is of the same mode; of the other it has to go
/// first: then there is none for a moment, which is as harmless.
Status Steering::try_mode(bool native) {
    AttachedProgram& predecessor = object_->predecessor;
    const std::uint32_t mode = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    if (predecessor.id != 0 && predecessor.mode != mode) {
        if (auto gone = take_off(predecessor.mode); !gone) return gone;
        predecessor = {};
    }
    const Descriptor old = predecessor.id == 0 ? Descriptor() : program_by_id(predecessor.id);
    bpf_xdp_attach_opts options{};
    options.sz = sizeof options;
    options.old_prog_fd = old.get();
    const std::uint32_t how = old.valid() ? XDP_FLAGS_REPLACE : XDP_FLAGS_UPDATE_IF_NOEXIST;
    const LibbpfWords words;
    const int failed = bpf_xdp_attach(static_cast<int>(interface_), program(), mode | how,
                                      old.valid() ? &options : nullptr);
    if (failed != 0) {
        return fail(fmt::format("does not take an XDP program in {} mode: {}",
                                native ? "native" : "generic", words.kernel(failed)));
    }
    native_ = native;
    attached_ = true;
    return {};
}

std::string Steering::mode_in_use() const {
    bpf_prog_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(program(), &info, &length) != 0) return "?";
    const auto all = attached_to(interface_);
    if (!all) return "?";
    for (const AttachedProgram& there : *all) {
        if (there.id != info.id) continue;
        return there.mode == XDP_FLAGS_DRV_MODE   ? "native"
               : there.mode == XDP_FLAGS_SKB_MODE ? "generic"
                                                  : "offloaded";
    }
    return "off";
}

void Steering::undo() {
    if (!attached_ || took_over_) return;
    (void)take_off(native_ ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
    attached_ = false;
}

Status Steering::set_socket(std::uint32_t queue, int socket) {
    const int map = bpf_map__fd(object_->skeleton->maps.wye_sockets);
    if (bpf_map_update_elem(map, &queue, &socket, BPF_ANY) == 0) return {};
    return fail(fmt::format("queue {} takes no socket: {}", queue, std::strerror(errno)));
}

}  // namespace wye::drivers
