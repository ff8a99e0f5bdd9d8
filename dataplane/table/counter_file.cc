#include "dataplane/table/counter_file.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dataplane/base/check.hh"

namespace wye::table {
namespace {

constexpr std::uint64_t kMagic = 0x7265'746e'756f'6377;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint32_t kMaxAcls = 16384;
constexpr std::size_t kNamedKinds = 5;  // port, tenant, vport, tunnel, vrf: one slot a name

/// Cells mean what the structs and the list of reasons say, so both are part of the layout.
constexpr std::uint64_t layout_number() noexcept {
    std::uint64_t h = 0xcbf29ce484222325u + 3;  // the added number is that of this file's layout
    const auto mix = [&h](std::uint64_t v) { h = (h ^ v) * 0x100000001b3u; };
#define WYE_REASON_MIX(name, words) \
    for (const char c : std::string_view(#name)) mix(static_cast<unsigned char>(c));
    WYE_REASONS(WYE_REASON_MIX)
#undef WYE_REASON_MIX
    for (const std::size_t size :
         {sizeof(LedgerRow), sizeof(VportCounters), sizeof(TunnelCounters), sizeof(VrfCounters),
          sizeof(PacketsAndBytes), sizeof(WorkerCounters), sizeof(WorkerRecord),
          sizeof(QueueCounters)}) {
        mix(size);
    }
    return h;
}

struct Header {
    std::uint64_t magic;
    std::uint64_t layout;
    CounterLimits limits;
};

struct AclEntry {
    ObjectName name;
    std::uint32_t base;
    std::uint32_t count;     // rules
    std::uint32_t capacity;  // cells
};

struct Offsets {
    std::array<std::uint64_t, kNamedKinds> names;
    std::uint64_t acls;
    std::uint64_t records;
    std::uint64_t queues;
    std::uint64_t directory_end;
    // Within a worker's block:
    std::uint64_t worker, ports, tenants, vports, tunnels, vrfs, rules;
    std::uint64_t block_bytes;
    std::uint64_t total;
};

std::uint32_t acl_limit(const CounterLimits& limits) noexcept {
    return std::min(limits.rules, kMaxAcls);
}

std::uint32_t slot_limit(const CounterLimits& limits, SlotKind kind) noexcept {
    switch (kind) {
        case SlotKind::port:
            return limits.ports;
        case SlotKind::tenant:
            return limits.tenants;
        case SlotKind::vport:
            return limits.vports;
        case SlotKind::tunnel:
            return limits.tunnels;
        case SlotKind::vrf:
            return limits.vrfs;
        case SlotKind::acl:
            return acl_limit(limits);
    }
    return 0;
}

Offsets lay_out(const CounterLimits& limits) noexcept {
    Offsets offsets{};
    std::uint64_t next = kPage;
    const auto place = [&next](std::uint64_t count, std::uint64_t bytes) {
        const std::uint64_t at = next;
        next = (at + count * bytes + kPage - 1) / kPage * kPage;
        return at;
    };
    for (std::size_t kind = 0; kind < kNamedKinds; ++kind) {
        offsets.names[kind] =
            place(slot_limit(limits, static_cast<SlotKind>(kind)), sizeof(ObjectName));
    }
    offsets.acls = place(acl_limit(limits), sizeof(AclEntry));
    offsets.records = place(limits.workers, sizeof(WorkerRecord));
    offsets.queues = place(kMostQueues, sizeof(QueueCounters));
    offsets.directory_end = next;
    next = 0;
    offsets.worker = place(1, sizeof(WorkerCounters));
    offsets.ports = place(std::uint64_t{limits.ports} + 1, sizeof(LedgerRow));
    offsets.tenants = place(std::uint64_t{limits.tenants} + 1, sizeof(LedgerRow));
    offsets.vports = place(limits.vports, sizeof(VportCounters));
    offsets.tunnels = place(limits.tunnels, sizeof(TunnelCounters));
    offsets.vrfs = place(limits.vrfs, sizeof(VrfCounters));
    offsets.rules = place(limits.rules, sizeof(PacketsAndBytes));
    offsets.block_bytes = next;
    offsets.total = offsets.directory_end + offsets.block_bytes * limits.workers;
    return offsets;
}

/// Bytes of one slot in a worker's block.
struct Cells {
    std::uint64_t offset, bytes;
};

Cells cells_of(const Offsets& offsets, SlotKind kind, std::uint32_t slot) noexcept {
    switch (kind) {
        case SlotKind::port:
            return {offsets.ports + (std::uint64_t{slot} + 1) * sizeof(LedgerRow),
                    sizeof(LedgerRow)};
        case SlotKind::tenant:
            return {offsets.tenants + (std::uint64_t{slot} + 1) * sizeof(LedgerRow),
                    sizeof(LedgerRow)};
        case SlotKind::vport:
            return {offsets.vports + std::uint64_t{slot} * sizeof(VportCounters),
                    sizeof(VportCounters)};
        case SlotKind::tunnel:
            return {offsets.tunnels + std::uint64_t{slot} * sizeof(TunnelCounters),
                    sizeof(TunnelCounters)};
        case SlotKind::vrf:
            return {offsets.vrfs + std::uint64_t{slot} * sizeof(VrfCounters), sizeof(VrfCounters)};
        case SlotKind::acl:
            break;
    }
    return {0, 0};
}

std::string error_text(int error) {
    return std::strerror(error);
}

}  // namespace

struct CounterFile::Impl {
    int fd = -1;
    std::byte* base = nullptr;
    bool writable = true;
    CounterLimits limits;
    Offsets offsets{};
    // Private memory of the writer, rebuilt from the directory when the file is opened.
    std::array<std::unordered_map<std::string, std::uint32_t>, kNamedKinds> slots;
    std::array<std::uint32_t, kNamedKinds> lowest_free{};  // no free slot lies before it
    std::unordered_map<std::string, std::uint32_t> acl_slots;
    std::map<std::uint32_t, std::uint32_t> runs;  // base → capacity
    std::vector<bool> backed;                     // pages

    ~Impl() {
        if (base != nullptr) munmap(base, offsets.total);
        if (fd >= 0) close(fd);
    }
    [[nodiscard]] Header& header() const noexcept { return *reinterpret_cast<Header*>(base); }
    [[nodiscard]] ObjectName* names(SlotKind kind) const noexcept {
        return reinterpret_cast<ObjectName*>(base + offsets.names[static_cast<std::size_t>(kind)]);
    }
    [[nodiscard]] AclEntry* acls() const noexcept {
        return reinterpret_cast<AclEntry*>(base + offsets.acls);
    }
    [[nodiscard]] WorkerRecord* records() const noexcept {
        return reinterpret_cast<WorkerRecord*>(base + offsets.records);
    }
    [[nodiscard]] QueueCounters* queues() const noexcept {
        return reinterpret_cast<QueueCounters*>(base + offsets.queues);
    }
    [[nodiscard]] std::uint64_t block_offset(std::uint32_t worker) const noexcept {
        return offsets.directory_end + offsets.block_bytes * worker;
    }
    [[nodiscard]] PacketsAndBytes* rule_cells(std::uint32_t worker) const noexcept {
        return reinterpret_cast<PacketsAndBytes*>(base + block_offset(worker) + offsets.rules);
    }

    Status map(const std::string& name);
    Status create(const std::string& name, const CounterLimits& wanted);
    [[nodiscard]] bool holds(const CounterLimits& wanted, std::uint64_t file_bytes) const;
    bool back(std::uint64_t offset, std::uint64_t bytes);
    bool back_in_blocks(Cells cells);
    void clear_in_blocks(Cells cells);
    void read_directory();
    [[nodiscard]] std::optional<std::uint32_t> find_run(std::uint32_t count) const;
    [[nodiscard]] std::optional<std::uint32_t> free_acl_slot() const;
    void move_rules(AclEntry& entry, std::uint32_t base_rule, std::uint32_t count);
};

Status CounterFile::Impl::map(const std::string& name) {
    offsets = lay_out(limits);
    void* mapped = mmap(nullptr, offsets.total, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                        MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (mapped == MAP_FAILED) {
        return fail(name + ": cannot map the counters: " + error_text(errno));
    }
    base = static_cast<std::byte*>(mapped);
    backed.assign(offsets.total / kPage, false);
    return {};
}

Status CounterFile::Impl::create(const std::string& name, const CounterLimits& wanted) {
    limits = wanted;
    if (limits.workers == 0) return fail(name + ": counters need at least one worker");
    const std::uint64_t total = lay_out(limits).total;
    if (ftruncate(fd, static_cast<off_t>(total)) != 0) {
        return fail(name + ": cannot set the size: " + error_text(errno));
    }
    if (Status mapped = map(name); !mapped) return mapped;
    bool room = back(0, offsets.directory_end);
    for (std::uint32_t w = 0; w < limits.workers; ++w) {  // worker, port rows, the row of no tenant
        room = room && back(block_offset(w), offsets.tenants + sizeof(LedgerRow));
    }
    if (!room) return fail(name + ": no room for the counters: free some space");
    new (base) Header{0, layout_number(), limits};
    header().magic = kMagic;
    return {};
}

/// Room before the first write, so that a full file system is a refusal and never a SIGBUS.
bool CounterFile::Impl::back(std::uint64_t offset, std::uint64_t bytes) {
    for (std::uint64_t page = offset / kPage; page * kPage < offset + bytes; ++page) {
        if (backed[page]) continue;
        int error = 0;
        do {
            error = posix_fallocate(fd, static_cast<off_t>(page * kPage), kPage);
        } while (error == EINTR);
        if (error != 0) return false;
        backed[page] = true;
    }
    return true;
}

bool CounterFile::Impl::back_in_blocks(Cells cells) {
    for (std::uint32_t w = 0; w < limits.workers; ++w) {
        if (!back(block_offset(w) + cells.offset, cells.bytes)) return false;
    }
    return true;
}

void CounterFile::Impl::clear_in_blocks(Cells cells) {
    for (std::uint32_t w = 0; w < limits.workers; ++w) {
        auto* counters = reinterpret_cast<Counter*>(base + block_offset(w) + cells.offset);
        for (std::uint64_t i = 0; i < cells.bytes / sizeof(Counter); ++i) counters[i].set(0);
    }
}

bool CounterFile::Impl::holds(const CounterLimits& wanted, std::uint64_t file_bytes) const {
    if (file_bytes < kPage) return false;
    Header found{};
    if (pread(fd, &found, sizeof found, 0) != static_cast<ssize_t>(sizeof found)) return false;
    return found.magic == kMagic && found.layout == layout_number() && found.limits == wanted &&
           file_bytes == lay_out(wanted).total;
}

void CounterFile::Impl::read_directory() {
    for (std::uint32_t w = 0; w < limits.workers; ++w) records()[w].write({});
    for (std::uint32_t q = 0; q < kMostQueues; ++q) new (&queues()[q]) QueueCounters{};
    for (std::size_t kind = 0; kind < kNamedKinds; ++kind) {
        ObjectName* list = names(static_cast<SlotKind>(kind));
        for (std::uint32_t i = 0; i < slot_limit(limits, static_cast<SlotKind>(kind)); ++i) {
            if (list[i].valid()) {
                slots[kind].emplace(list[i].view(), i);
            } else {
                list[i] = ObjectName{};
            }
        }
    }
    for (std::uint32_t i = 0; i < acl_limit(limits); ++i) {
        AclEntry& entry = acls()[i];
        const bool sound = entry.name.valid() && entry.count <= entry.capacity &&
                           entry.base <= limits.rules &&
                           entry.capacity <= limits.rules - entry.base;
        if (sound) {
            acl_slots.emplace(entry.name.view(), i);
            runs.emplace(entry.base, entry.capacity);
        } else {
            entry = AclEntry{};
        }
    }
}

Result<CounterFile> CounterFile::open_or_create(const std::string& path,
                                                const CounterLimits& limits, bool& kept) {
    auto impl = std::make_unique<Impl>();
    impl->fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct stat info {};
    kept = impl->fd >= 0 && fstat(impl->fd, &info) == 0 &&
           impl->holds(limits, static_cast<std::uint64_t>(info.st_size));
    if (!kept) {
        // Another file rather than this one cut short: it may be mapped by a reader.
        if (impl->fd >= 0) close(impl->fd);
        unlink(path.c_str());
        impl->fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (impl->fd < 0 || fchmod(impl->fd, 0640) != 0) {
            return fail(path + ": cannot make the counter file: " + error_text(errno));
        }
        if (Status made = impl->create(path, limits); !made) return tl::unexpected(made.error());
        return CounterFile(std::move(impl));
    }
    impl->limits = limits;
    if (Status mapped = impl->map(path); !mapped) return tl::unexpected(mapped.error());
    impl->read_directory();
    return CounterFile(std::move(impl));
}

Result<CounterFile> CounterFile::create_anonymous(const CounterLimits& limits) {
    auto impl = std::make_unique<Impl>();
    impl->fd = memfd_create("wye-counters", MFD_CLOEXEC);
    if (impl->fd < 0) return fail("counters in memory cannot be made: " + error_text(errno));
    if (Status made = impl->create("counters in memory", limits); !made) {
        return tl::unexpected(made.error());
    }
    return CounterFile(std::move(impl));
}

Result<CounterFile> CounterFile::open_read_only(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    impl->writable = false;
    impl->fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (impl->fd < 0 || fstat(impl->fd, &info) != 0) {
        return fail(path + ": cannot open the counters: " + error_text(errno));
    }
    Header found{};
    if (pread(impl->fd, &found, sizeof found, 0) != static_cast<ssize_t>(sizeof found) ||
        found.magic != kMagic) {
        return fail(path + ": not a counter file");
    }
    if (!impl->holds(found.limits, static_cast<std::uint64_t>(info.st_size))) {
        return fail(path + ": the counters are of another version of wye, or cut short");
    }
    impl->limits = found.limits;
    if (Status mapped = impl->map(path); !mapped) return tl::unexpected(mapped.error());
    return CounterFile(std::move(impl));
}

CounterFile::CounterFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CounterFile::CounterFile(CounterFile&&) noexcept = default;
CounterFile& CounterFile::operator=(CounterFile&&) noexcept = default;
CounterFile::~CounterFile() = default;

const CounterLimits& CounterFile::limits() const noexcept {
    return impl_->limits;
}

CounterBlock CounterFile::block(WorkerId worker) const noexcept {
    WYE_CHECK(worker.value < impl_->limits.workers, "a worker without a block of counters");
    const Offsets& offsets = impl_->offsets;
    std::byte* base = impl_->base + impl_->block_offset(worker.value);
    CounterBlock block;
    block.worker = reinterpret_cast<WorkerCounters*>(base + offsets.worker);
    block.ports = reinterpret_cast<LedgerRow*>(base + offsets.ports);
    block.tenants = reinterpret_cast<LedgerRow*>(base + offsets.tenants);
    block.vports = reinterpret_cast<VportCounters*>(base + offsets.vports);
    block.tunnels = reinterpret_cast<TunnelCounters*>(base + offsets.tunnels);
    block.vrfs = reinterpret_cast<VrfCounters*>(base + offsets.vrfs);
    block.rules = reinterpret_cast<PacketsAndBytes*>(base + offsets.rules);
    return block;
}

WorkerRecord& CounterFile::record(WorkerId worker) const noexcept {
    WYE_CHECK(worker.value < impl_->limits.workers, "a worker without a record");
    return impl_->records()[worker.value];
}

QueueCounters& CounterFile::queue(std::uint32_t index) const noexcept {
    WYE_CHECK(index < kMostQueues, "a queue without counters");
    return impl_->queues()[index];
}

std::optional<std::uint32_t> CounterFile::claim(SlotKind kind, const ObjectName& name) {
    if (kind == SlotKind::acl || !impl_->writable || !name.valid()) return std::nullopt;
    const auto index = static_cast<std::size_t>(kind);
    auto& slots = impl_->slots[index];
    const auto found = slots.find(std::string(name.view()));
    std::uint32_t slot = found != slots.end() ? found->second : impl_->lowest_free[index];
    ObjectName* names = impl_->names(kind);
    const std::uint32_t limit = slot_limit(impl_->limits, kind);
    while (found == slots.end() && slot < limit && names[slot].valid()) ++slot;
    if (slot >= limit) return std::nullopt;
    const Cells cells = cells_of(impl_->offsets, kind, slot);
    if (!impl_->back_in_blocks(cells)) return std::nullopt;
    if (found != slots.end()) return slot;
    impl_->clear_in_blocks(cells);
    names[slot] = name;
    slots.emplace(name.view(), slot);
    impl_->lowest_free[index] = slot + 1;
    return slot;
}

void CounterFile::release(SlotKind kind, std::uint32_t slot) {
    if (kind == SlotKind::acl || !impl_->writable || slot >= slot_limit(impl_->limits, kind)) {
        return;
    }
    const auto index = static_cast<std::size_t>(kind);
    ObjectName& name = impl_->names(kind)[slot];
    if (!name.valid()) return;
    impl_->slots[index].erase(std::string(name.view()));
    name = ObjectName{};
    impl_->lowest_free[index] = std::min(impl_->lowest_free[index], slot);
    if (const Cells cells = cells_of(impl_->offsets, kind, slot); impl_->back_in_blocks(cells)) {
        impl_->clear_in_blocks(cells);
    }
}

std::optional<std::uint32_t> CounterFile::find(SlotKind kind, std::string_view name) const {
    if (impl_->writable) {
        const auto& slots =
            kind == SlotKind::acl ? impl_->acl_slots : impl_->slots[static_cast<std::size_t>(kind)];
        const auto found = slots.find(std::string(name));
        return found == slots.end() ? std::nullopt : std::optional(found->second);
    }
    if (name.empty()) return std::nullopt;
    for (std::uint32_t i = 0; i < slot_limit(impl_->limits, kind); ++i) {
        if (this->name(kind, i) == name) return i;
    }
    return std::nullopt;
}

std::string_view CounterFile::name(SlotKind kind, std::uint32_t slot) const noexcept {
    if (slot >= slot_limit(impl_->limits, kind)) return {};
    return kind == SlotKind::acl ? impl_->acls()[slot].name.view()
                                 : impl_->names(kind)[slot].view();
}

// Rules: a run of cells for each ACL name, first fit.

std::optional<std::uint32_t> CounterFile::Impl::find_run(std::uint32_t count) const {
    std::uint32_t next = 0;
    for (const auto& [run_base, capacity] : runs) {
        if (run_base - next >= count) return next;
        next = run_base + capacity;
    }
    return limits.rules - next >= count ? std::optional(next) : std::nullopt;
}

std::optional<std::uint32_t> CounterFile::Impl::free_acl_slot() const {
    for (std::uint32_t i = 0; i < acl_limit(limits); ++i) {
        if (!acls()[i].name.valid()) return i;
    }
    return std::nullopt;
}

/// The counts of rules that keep their number go with them.
void CounterFile::Impl::move_rules(AclEntry& entry, std::uint32_t base_rule, std::uint32_t count) {
    for (std::uint32_t w = 0; w < limits.workers; ++w) {
        PacketsAndBytes* cells = rule_cells(w);
        for (std::uint32_t i = 0; i < entry.count; ++i) {
            cells[base_rule + i].packets.set(cells[entry.base + i].packets.get());
            cells[base_rule + i].bytes.set(cells[entry.base + i].bytes.get());
        }
    }
    runs.erase(entry.base);
    entry.base = base_rule;
    entry.count = entry.capacity = count;
}

std::optional<std::uint32_t> CounterFile::claim_rules(const ObjectName& acl, std::uint32_t count) {
    if (!impl_->writable || !acl.valid() || count > impl_->limits.rules) return std::nullopt;
    const std::uint32_t cells = std::max(count, 1u);  // an ACL without rules has a place, too
    const auto range = [this](std::uint32_t base, std::uint32_t length) {
        return Cells{impl_->offsets.rules + std::uint64_t{base} * sizeof(PacketsAndBytes),
                     std::uint64_t{length} * sizeof(PacketsAndBytes)};
    };
    const auto found = impl_->acl_slots.find(std::string(acl.view()));
    const bool known = found != impl_->acl_slots.end();
    if (known) {
        AclEntry& entry = impl_->acls()[found->second];
        if (cells <= entry.capacity) {
            if (!impl_->back_in_blocks(range(entry.base, entry.capacity))) return std::nullopt;
            const std::uint32_t unused_from = std::min(entry.count, count);
            impl_->clear_in_blocks(range(entry.base + unused_from, entry.capacity - unused_from));
            entry.count = count;
            return entry.base;
        }
    }
    const auto base = impl_->find_run(cells);
    const auto slot = known ? std::optional(found->second) : impl_->free_acl_slot();
    if (!base || !slot || !impl_->back_in_blocks(range(*base, cells))) return std::nullopt;
    impl_->clear_in_blocks(range(*base, cells));
    AclEntry& entry = impl_->acls()[*slot];
    if (known) {
        impl_->move_rules(entry, *base, cells);
        entry.count = count;
    } else {
        entry = AclEntry{acl, *base, count, cells};
        impl_->acl_slots.emplace(acl.view(), *slot);
    }
    impl_->runs.emplace(*base, cells);
    return base;
}

void CounterFile::release_rules(const ObjectName& acl) {
    const auto found = impl_->acl_slots.find(std::string(acl.view()));
    if (!impl_->writable || found == impl_->acl_slots.end()) return;
    AclEntry& entry = impl_->acls()[found->second];
    impl_->runs.erase(entry.base);
    entry = AclEntry{};
    impl_->acl_slots.erase(found);
}

std::optional<CounterFile::RuleRun> CounterFile::rules(std::string_view acl) const {
    const auto slot = find(SlotKind::acl, acl);
    if (!slot) return std::nullopt;
    const AclEntry& entry = impl_->acls()[*slot];
    return RuleRun{entry.base, entry.count};
}

}  // namespace wye::table
