#include "dataplane/table/arena_writer.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <new>
#include <utility>
#include <vector>

#include "dataplane/base/check.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/table/arena_layout.hh"
#include "dataplane/table/heap_map.hh"
#include "dataplane/table/nexthop.hh"
#include "dataplane/table/tunnel.hh"
#include "dataplane/table/vport.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {
namespace {

/// The heap grows by an eighth of what it has, within these bounds: few steps, and none that keeps
/// the control thread for long while the kernel clears pages.
constexpr std::uint64_t kSmallestChunk = std::uint64_t{1} << 20;
constexpr std::uint64_t kLargestChunk = std::uint64_t{16} << 20;

std::string error_text(int error) {
    return std::strerror(error);
}

std::uint32_t units_of(std::size_t bytes) noexcept {
    return static_cast<std::uint32_t>(std::max<std::size_t>(1, (bytes + kUnit - 1) / kUnit));
}

template <class T>
Ref<T> ref_at(std::uint64_t offset) noexcept {
    return Ref<T>{static_cast<std::uint32_t>(offset / kUnit)};
}

/// Owns a mapping; of the whole reserved range, of which the file may cover only a part.
class Mapping {
  public:
    Mapping() = default;
    Mapping(std::byte* base, std::size_t size) : base_(base), size_(size) {}
    Mapping(Mapping&& other) noexcept
        : base_(std::exchange(other.base_, nullptr)), size_(other.size_) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(base_, other.base_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Mapping() {
        if (base_ != nullptr) munmap(base_, size_);
    }
    [[nodiscard]] std::byte* base() const noexcept { return base_; }

  private:
    std::byte* base_ = nullptr;
    std::size_t size_ = 0;
};

struct Retired {
    std::uint32_t unit, units;
};
struct Seal {
    std::uint64_t epoch;
    std::size_t extents;  // of the front of `retired`
};

}  // namespace

struct ArenaWriter::Impl {
    std::string name;  // for errors: the path, or "arena in memory"
    Descriptor file;
    Mapping mapping;
    std::uint64_t page_bytes = 0;
    ArenaOffsets offsets{};
    HeapMap heap;                    // unit 0 of it lies at offsets.heap
    std::vector<bool> backed_pages;  // of the arrays
    std::deque<Retired> retired;     // oldest first
    std::deque<Seal> seals;
    std::size_t unsealed = 0;  // at the back of `retired`
    std::uint64_t retired_units = 0;
    AllocationFaults* faults = nullptr;

    [[nodiscard]] std::byte* base() const noexcept { return mapping.base(); }
    [[nodiscard]] ArenaHeader& header() const noexcept {
        return *reinterpret_cast<ArenaHeader*>(base());
    }
    [[nodiscard]] std::uint32_t heap_unit() const noexcept {
        return static_cast<std::uint32_t>(offsets.heap / kUnit);
    }
    [[nodiscard]] std::uint64_t heap_end() const noexcept {
        return offsets.heap + std::uint64_t{heap.size()} * kUnit;
    }

    /// 0, or the errno.
    [[nodiscard]] int back_range(std::uint64_t begin, std::uint64_t end) const {
        int error = 0;
        do {
            error = posix_fallocate(file.get(), static_cast<off_t>(begin),
                                    static_cast<off_t>(end - begin));
        } while (error == EINTR);
        return error;
    }
    Status set_up(const ArenaLimits& limits, std::uint64_t instance);
    void write_header(const ArenaLimits& limits, std::uint64_t instance) const;
    bool back_pages(std::uint64_t begin, std::uint64_t end);
    bool grow_heap(std::uint32_t units);
    bool grow_heap_by(std::uint64_t bytes);
};

Status ArenaWriter::Impl::set_up(const ArenaLimits& limits, std::uint64_t instance) {
    page_bytes = file_page_bytes(file.get());
    offsets = lay_out_arena(limits, page_bytes);
    if (offsets.total > kMaxArenaBytes) {
        return fail(name + ": the limits ask for " + std::to_string(offsets.total >> 30) +
                    " GiB of arena; at most " + std::to_string(kMaxArenaBytes >> 30) +
                    " GiB are possible: lower heap_bytes");
    }
    if (ftruncate(file.get(), static_cast<off_t>(offsets.heap)) != 0) {
        return fail(name + ": cannot set the size: " + error_text(errno));
    }
    void* base = mmap(nullptr, offsets.total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      file.get(), 0);
    if (base == MAP_FAILED) {
        return fail(name + ": cannot reserve " + std::to_string(offsets.total >> 20) +
                    " MiB of address space: " + error_text(errno));
    }
    mapping = Mapping(static_cast<std::byte*>(base), offsets.total);
    backed_pages.assign(offsets.heap / page_bytes, false);
    if (!back_pages(0, offsets.backed_end)) {
        return fail(name + ": no room for the first " + std::to_string(offsets.backed_end >> 10) +
                    " KiB: free some space on its file system");
    }
    write_header(limits, instance);
    return {};
}

void ArenaWriter::Impl::write_header(const ArenaLimits& limits, std::uint64_t instance) const {
    auto* made = new (base()) ArenaHeader{};
    made->layout = kArenaLayout;
    made->state.store(ArenaState::building, std::memory_order_relaxed);
    made->instance = instance;
    made->size.store(offsets.heap, std::memory_order_relaxed);
    made->epoch.store(0, std::memory_order_relaxed);
    made->limits = limits;
    made->tenants = ref_at<TenantRoot>(offsets.tenants);
    made->vrfs = ref_at<Vrf>(offsets.vrfs);
    made->vports = ref_at<Vport>(offsets.vports);
    made->tunnels = ref_at<Tunnel>(offsets.tunnels);
    made->nexthops = ref_at<NextHop>(offsets.nexthops);
    made->groups = ref_at<Group>(offsets.groups);
    made->vport_keys = ref_at<std::atomic<std::uint64_t>>(offsets.vport_keys);
    made->tunnel_keys = ref_at<std::atomic<std::uint32_t>>(offsets.tunnel_keys);
    made->vport_key_slots = offsets.vport_key_slots;
    made->tunnel_key_slots = offsets.tunnel_key_slots;
    made->magic = kArenaMagic;
}

bool ArenaWriter::Impl::back_pages(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t page = begin / page_bytes; page * page_bytes < end; ++page) {
        if (backed_pages[page]) continue;
        if (faults != nullptr && faults->strike()) return false;
        if (back_range(page * page_bytes, (page + 1) * page_bytes) != 0) return false;
        backed_pages[page] = true;
    }
    return true;
}

bool ArenaWriter::Impl::grow_heap_by(std::uint64_t bytes) {
    const std::uint64_t begin = heap_end();
    const std::uint64_t wanted = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    const std::uint64_t end = std::min(begin + wanted, offsets.total);
    if (end - begin < bytes) return false;
    if (back_range(begin, end) != 0) return false;
    heap.grow(static_cast<std::uint32_t>((end - begin) / kUnit));
    header().size.store(end, std::memory_order_release);
    return true;
}

bool ArenaWriter::Impl::grow_heap(std::uint32_t units) {
    const std::uint64_t needed = std::uint64_t{units - heap.free_at_end()} * kUnit;
    const std::uint64_t left = offsets.total - heap_end();
    const std::uint64_t chunk =
        std::clamp((heap_end() - offsets.heap) / 8, kSmallestChunk, kLargestChunk);
    const std::uint64_t generous = std::min(left, std::max(needed, chunk));
    return (generous > needed && grow_heap_by(generous)) || grow_heap_by(needed);
}

Result<ArenaWriter> ArenaWriter::create(const std::string& path, const ArenaLimits& limits,
                                        std::uint64_t instance) {
    auto impl = std::make_unique<Impl>();
    impl->name = path;
    impl->file = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    if (impl->file.get() < 0) {
        return fail(path + ": cannot make the arena file: " + error_text(errno));
    }
    // The mode is part of the contract, whatever the umask.
    Status done = {};
    if (fchmod(impl->file.get(), 0640) != 0) {
        done = fail(path + ": cannot set mode 0640: " + error_text(errno));
    } else {
        done = impl->set_up(limits, instance);
    }
    if (!done) {
        unlink(path.c_str());
        return tl::unexpected(done.error());
    }
    return ArenaWriter(std::move(impl));
}

Result<ArenaWriter> ArenaWriter::create_anonymous(const ArenaLimits& limits) {
    auto impl = std::make_unique<Impl>();
    impl->name = "arena in memory";
    impl->file = Descriptor(memfd_create("wye-arena", MFD_CLOEXEC));
    if (impl->file.get() < 0) {
        return fail(impl->name + ": cannot be made: " + error_text(errno));
    }
    if (Status done = impl->set_up(limits, 0); !done) return tl::unexpected(done.error());
    return ArenaWriter(std::move(impl));
}

ArenaWriter::ArenaWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ArenaWriter::ArenaWriter(ArenaWriter&&) noexcept = default;
ArenaWriter& ArenaWriter::operator=(ArenaWriter&&) noexcept = default;
ArenaWriter::~ArenaWriter() = default;

ArenaView ArenaWriter::view() const noexcept {
    return ArenaView(impl_->base());
}
ArenaHeader& ArenaWriter::header() noexcept {
    return impl_->header();
}
int ArenaWriter::descriptor() const noexcept {
    return impl_->file.get();
}
std::byte* ArenaWriter::base() noexcept {
    return impl_->base();
}

void ArenaWriter::inject(AllocationFaults* faults) noexcept {
    impl_->faults = faults;
}

std::uint32_t ArenaWriter::allocate_units(std::size_t bytes) {
    if (bytes > impl_->offsets.total) return 0;
    if (impl_->faults != nullptr && impl_->faults->strike()) return 0;
    const std::uint32_t units = units_of(bytes);
    std::uint32_t run = impl_->heap.allocate(units);
    if (run == HeapMap::kNone) {
        if (!impl_->grow_heap(units)) return 0;
        run = impl_->heap.allocate(units);
        WYE_CHECK(run != HeapMap::kNone, "a grown heap has room");
    }
    const std::uint32_t unit = impl_->heap_unit() + run;
    std::memset(base() + std::size_t{unit} * kUnit, 0, std::size_t{units} * kUnit);
    return unit;
}

bool ArenaWriter::back_bytes(std::uint64_t offset, std::uint64_t bytes) {
    WYE_CHECK(offset + bytes <= impl_->offsets.heap, "a record beyond its array is backed");
    return impl_->back_pages(offset, offset + bytes);
}

void ArenaWriter::retire_units(std::uint32_t unit, std::size_t bytes) {
    const std::uint32_t units = units_of(bytes);
    impl_->retired.push_back({unit, units});
    impl_->unsealed += 1;
    impl_->retired_units += units;
}

void ArenaWriter::discard_units(std::uint32_t unit, std::size_t bytes) {
    impl_->heap.free(unit - impl_->heap_unit(), units_of(bytes));
}

void ArenaWriter::seal(std::uint64_t epoch) {
    if (impl_->unsealed == 0) return;
    impl_->seals.push_back({epoch, impl_->unsealed});
    impl_->unsealed = 0;
}

void ArenaWriter::release_through(std::uint64_t epoch) {
    while (!impl_->seals.empty() && impl_->seals.front().epoch <= epoch) {
        for (std::size_t i = 0; i < impl_->seals.front().extents; ++i) {
            const Retired extent = impl_->retired.front();
            impl_->retired.pop_front();
            impl_->retired_units -= extent.units;
            impl_->heap.free(extent.unit - impl_->heap_unit(), extent.units);
        }
        impl_->seals.pop_front();
    }
}

std::size_t ArenaWriter::retired_bytes() const noexcept {
    return impl_->retired_units * kUnit;
}
std::size_t ArenaWriter::used_bytes() const noexcept {
    return (impl_->heap.used() - impl_->retired_units) * kUnit;
}
std::size_t ArenaWriter::free_bytes() const noexcept {
    return impl_->offsets.total - impl_->offsets.heap - impl_->heap.used() * kUnit;
}

namespace {

/// Every part lies where this program would have laid it.
bool is_laid_out_so(const ArenaHeader& header, const ArenaOffsets& offsets) noexcept {
    const auto lies_at = [](auto ref, std::uint64_t offset) {
        return std::uint64_t{ref.unit} * kUnit == offset;
    };
    return header.vport_key_slots == offsets.vport_key_slots &&
           header.tunnel_key_slots == offsets.tunnel_key_slots &&
           lies_at(header.vport_keys, offsets.vport_keys) &&
           lies_at(header.tunnel_keys, offsets.tunnel_keys) &&
           lies_at(header.tenants, offsets.tenants) && lies_at(header.vrfs, offsets.vrfs) &&
           lies_at(header.vports, offsets.vports) && lies_at(header.tunnels, offsets.tunnels) &&
           lies_at(header.nexthops, offsets.nexthops) && lies_at(header.groups, offsets.groups);
}

Status check_header(const std::string& path, const ArenaHeader& header, const ArenaOffsets& offsets,
                    int descriptor, bool must_be_committed) {
    // The size before the file's: a living writer lets the file grow first.
    const std::uint64_t size = header.size.load(std::memory_order_acquire);
    struct stat info {};
    if (fstat(descriptor, &info) != 0 || size > static_cast<std::uint64_t>(info.st_size) ||
        size < offsets.heap || size > offsets.total) {
        return fail(path + ": the arena file is cut short or its sizes do not add up");
    }
    if (offsets.total > kMaxArenaBytes || !is_laid_out_so(header, offsets)) {
        return fail(path + ": the arena's parts do not lie where its limits say");
    }
    if (must_be_committed &&
        header.state.load(std::memory_order_acquire) != ArenaState::committed) {
        return fail(path + ": the arena was never committed");
    }
    return {};
}

}  // namespace

Result<ArenaMapping> ArenaMapping::open(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return fail(path + ": cannot open the arena: " + error_text(errno));
    return map(file.get(), path, true);
}

Result<ArenaMapping> ArenaMapping::map(int descriptor, const std::string& path,
                                       bool must_be_committed) {
    struct stat info {};
    if (fstat(descriptor, &info) != 0 || info.st_size < static_cast<off_t>(sizeof(ArenaHeader))) {
        return fail(path + ": not an arena file: too short");
    }
    const std::uint64_t page = file_page_bytes(descriptor);
    const auto map_bytes = [descriptor](std::uint64_t bytes) {
        void* base = mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
        return base == MAP_FAILED ? Mapping() : Mapping(static_cast<std::byte*>(base), bytes);
    };
    const Mapping first = map_bytes(page);
    if (first.base() == nullptr) return fail(path + ": cannot map: " + error_text(errno));
    const ArenaHeader& header = ArenaView(first.base()).header();
    if (header.magic != kArenaMagic) return fail(path + ": not an arena file");
    if (header.layout != kArenaLayout) {
        return fail(path + ": arena layout " + std::to_string(header.layout) +
                    ", this program reads layout " + std::to_string(kArenaLayout));
    }
    const ArenaOffsets offsets = lay_out_arena(header.limits, page);
    if (Status sound = check_header(path, header, offsets, descriptor, must_be_committed); !sound) {
        return tl::unexpected(sound.error());
    }
    // The whole reserved range, so that what the writer adds later is seen without a new mapping.
    void* base = mmap(nullptr, offsets.total, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (base == MAP_FAILED) return fail(path + ": cannot map: " + error_text(errno));
    return ArenaMapping(static_cast<std::byte*>(base), offsets.total);
}

ArenaMapping::ArenaMapping(ArenaMapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), size_(other.size_) {}

ArenaMapping& ArenaMapping::operator=(ArenaMapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(size_, other.size_);
    return *this;
}

ArenaMapping::~ArenaMapping() {
    if (base_ != nullptr) munmap(base_, size_);
}

ArenaView ArenaMapping::view() const noexcept {
    return ArenaView(base_);
}

void remove_arena(const std::string& path) {
    std::error_code ignored;
    const std::filesystem::path target = std::filesystem::read_symlink(path, ignored);
    if (!target.empty()) {
        std::filesystem::remove(target, ignored);
        (void)rmdir(target.parent_path().c_str());  // only if it is empty
    }
    std::filesystem::remove(path, ignored);
}

}  // namespace wye::table
