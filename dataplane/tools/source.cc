#include "dataplane/tools/source.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "dataplane/table/arena_walk.hh"
#include "dataplane/table/vrf.hh"

namespace wye::tools {

using table::SlotKind;

Result<std::unique_ptr<Source>> Source::live(const std::string& run_dir,
                                             std::chrono::milliseconds wanted) {
    auto lease = ring::Lease::take(run_dir + "/lease.sock", wanted);
    if (!lease) return tl::unexpected(lease.error());
    std::unique_ptr<Source> source(new Source);
    source->lease_.emplace(std::move(*lease));
    source->descriptor_ = Descriptor(fcntl(source->lease_->arena(), F_DUPFD_CLOEXEC, 0));
    if (Status seen = source->look_at("the arena"); !seen) return tl::unexpected(seen.error());
    const auto& header = source->arena().view().header();
    if (header.instance != source->lease_->grant().arena_instance) {
        return fail("the arena is not the one that the lease is for");
    }
    source->read_names(run_dir);
    return source;
}

Result<std::unique_ptr<Source>> Source::file(const std::string& path) {
    std::unique_ptr<Source> source(new Source);
    source->descriptor_ = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!source->descriptor_.valid()) {
        return fail(fmt::format("{} cannot be opened: {}", path, std::strerror(errno)));
    }
    if (Status seen = source->look_at(path); !seen) return tl::unexpected(seen.error());
    source->read_names(std::filesystem::path(path).parent_path().string());
    return source;
}

Status Source::look_at(const std::string& name) {
    auto mapping = table::ArenaMapping::map(descriptor_.get(), name, false);
    if (!mapping) return tl::unexpected(mapping.error());
    mapping_.emplace(std::move(*mapping));
    auto checked = table::CheckedArena::of(mapping_->view(), [fd = descriptor_.get()] {
        struct stat info {};
        return fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0u;
    });
    if (!checked) return tl::unexpected(checked.error());
    arena_.emplace(std::move(*checked));
    return {};
}

void Source::read_names(const std::string& folder) {
    auto file = table::CounterFile::open_read_only((folder.empty() ? "." : folder) + "/counters");
    if (file) names_.emplace(std::move(*file));
}

std::string Source::name(SlotKind kind, std::uint32_t slot) const {
    const std::string_view name = names_ ? names_->name(kind, slot) : std::string_view{};
    if (!name.empty()) return std::string(name);
    return fmt::format("{} {}", kind == SlotKind::vrf ? "vrf" : "vport", slot);
}

Result<VrfId> Source::find_vrf(const std::string& name) const {
    for (std::uint32_t id = 0; id < arena_->limits().vrfs; ++id) {
        if (table::is_used(*arena_->vrf(VrfId{id})) && this->name(SlotKind::vrf, id) == name) {
            return VrfId{id};
        }
    }
    return fail(fmt::format("there is no VRF \"{}\" (`summary` lists them)", name));
}

Result<bool> Source::finish() {
    if (!lease_) return true;
    if (Status held = lease_->check(); !held) return tl::unexpected(held.error());
    const std::uint64_t before = lease_->grant().epoch;
    const auto epoch = lease_->release();
    if (!epoch) return tl::unexpected(epoch.error());
    return *epoch == before;
}

}  // namespace wye::tools
