#include "dataplane/host/host_thread.hh"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "dataplane/base/check.hh"

namespace wye::host {

using pipeline::Frame;
using pipeline::HostFrame;
using pipeline::kMaxBurst;
using pipeline::PuntedFrame;
using ring::TwinKind;
using table::Reason;

namespace {

constexpr std::uint64_t kWakeupKey = ~std::uint64_t{0};
constexpr std::size_t kEventsATurn = 64;
/// How long a twin is left alone whose worker has no room.
constexpr std::chrono::microseconds kStall{200};

constexpr std::uint64_t key_of(TwinKey twin) noexcept {
    return std::uint64_t{static_cast<std::uint8_t>(twin.kind)} << 32 | twin.object;
}
constexpr TwinKey twin_of(std::uint64_t key) noexcept {
    return {static_cast<TwinKind>(key >> 32), static_cast<std::uint32_t>(key)};
}

/// The descriptor is good no more: the kernel's device has been deleted.
bool is_gone(int error) noexcept {
    return error == EBADFD || error == EBADF || error == ENODEV || error == ENXIO;
}

/// False: it is of a kind that cannot be waited for.
bool watch(int epoll, int descriptor, std::uint64_t key) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = key;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool make_non_blocking(int descriptor) {
    const int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0;
}

}  // namespace

HostThread::HostThread(pipeline::FramePool& pool, table::CounterBlock counters,
                       std::vector<WorkerSide> workers, Options options)
    : pool_(pool),
      counters_(counters),
      workers_(std::move(workers)),
      options_(std::move(options)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    WYE_CHECK(!workers_.empty(), "a host thread serves at least one worker");
    WYE_CHECK(epoll_.valid(), "no epoll descriptor");
    WYE_CHECK(watch(epoll_.get(), wakeup_.descriptor(), kWakeupKey),
              "the wake-up cannot be waited for");
}

HostThread::~HostThread() {
    stop();
    if (spare_.buffer != nullptr) pool_.release({&spare_, 1});
}

void HostThread::attach(TwinKey twin, Descriptor descriptor) {
    {
        const std::lock_guard lock(mutex_);
        changes_.push_back({twin, std::move(descriptor)});
        changed_.store(true, std::memory_order_release);
    }
    wakeup_.notify();
}

void HostThread::detach(TwinKey twin) {
    attach(twin, Descriptor{});
}

std::size_t HostThread::take_lost(std::span<TwinKey> out) {
    const std::lock_guard lock(mutex_);
    const std::size_t n = std::min(out.size(), lost_.size());
    const auto end = lost_.begin() + static_cast<std::ptrdiff_t>(n);
    std::copy(lost_.begin(), end, out.begin());
    lost_.erase(lost_.begin(), end);
    return n;
}

void HostThread::start() {
    stop_.store(false, std::memory_order_relaxed);
    thread_ = std::thread([this] { run(); });
    (void)pthread_setname_np(thread_.native_handle(), "host");
}

void HostThread::stop() {
    if (!thread_.joinable()) return;
    stop_.store(true, std::memory_order_release);
    wakeup_.notify();
    thread_.join();
}

void HostThread::run() {
    if (options_.enter_thread) options_.enter_thread();
    while (!stop_.load(std::memory_order_acquire)) turn(-1);
    if (options_.leave_thread) options_.leave_thread();
}

void HostThread::turn(int timeout_milliseconds) {
    wakeup_.prepare_sleep();
    std::array<epoll_event, kEventsATurn> events{};
    const int ready = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 idle() ? timeout_milliseconds : 0);
    wakeup_.finish_sleep();
    apply_changes();
    for (int i = 0; i < ready; ++i) {
        const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
        if (key != kWakeupKey) read_twin(key);
    }
    std::size_t delivered = 0;
    for (WorkerSide& worker : workers_) delivered += deliver_punts(worker);
    counters_.worker->polls.add(1);
    if (ready > 0 || delivered > 0) counters_.worker->polls_with_packets.add(1);
    if (stalled_ && delivered == 0) std::this_thread::sleep_for(kStall);
    stalled_ = false;
}

bool HostThread::idle() const {
    if (changed_.load(std::memory_order_acquire) || stop_.load(std::memory_order_acquire)) {
        return false;
    }
    return std::all_of(workers_.begin(), workers_.end(),
                       [](const WorkerSide& worker) { return worker.punts->size() == 0; });
}

void HostThread::apply_changes() {
    if (!changed_.load(std::memory_order_acquire)) return;
    std::vector<Change> changes;
    {
        const std::lock_guard lock(mutex_);
        changes.swap(changes_);
        changed_.store(false, std::memory_order_release);
    }
    for (Change& change : changes) apply(std::move(change));
}

void HostThread::apply(Change change) {
    const std::uint64_t key = key_of(change.twin);
    if (const auto old = twins_.find(key); old != twins_.end()) {
        // Explicitly: another copy of the descriptor elsewhere would keep it in the epoll set.
        (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, old->second.get(), nullptr);
        twins_.erase(old);
    }
    if (!change.descriptor.valid()) return;
    const int descriptor = change.descriptor.get();
    if (!make_non_blocking(descriptor) || !watch(epoll_.get(), descriptor, key)) {
        return note_lost(change.twin);
    }
    twins_.emplace(key, std::move(change.descriptor));
}

void HostThread::lose(std::uint64_t key) {
    apply({twin_of(key), Descriptor{}});
    note_lost(twin_of(key));
}

void HostThread::note_lost(TwinKey twin) {
    {
        const std::lock_guard lock(mutex_);
        lost_.push_back(twin);
    }
    if (options_.twin_lost) options_.twin_lost();
}

void HostThread::read_twin(std::uint64_t key) {
    const auto found = twins_.find(key);
    if (found == twins_.end()) return;
    const TwinKey twin = twin_of(key);
    WorkerSide& worker = worker_of(twin);
    Read last = Read::frame;
    std::size_t frames = 0;
    while (frames < kMaxBurst && last == Read::frame) {
        last = read_frame(found->second.get(), twin, worker);
        if (last == Read::frame) ++frames;
    }
    if (frames > 0) worker.wakeup->notify();
    if (last == Read::stalled) stalled_ = true;
    if (last == Read::failed) lose(key);
}

WorkerSide& HostThread::worker_of(TwinKey twin) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        WorkerSide& worker = workers_[(twin.object + i) % workers_.size()];
        if (worker.takes_part == nullptr || worker.takes_part->load(std::memory_order_acquire)) {
            return worker;
        }
    }
    return workers_[0];
}

HostThread::Read HostThread::read_frame(int descriptor, TwinKey twin, WorkerSide& worker) {
    if (worker.from_host->size() >= worker.from_host->capacity()) return Read::stalled;
    if (spare_.buffer == nullptr && !pool_.allocate(spare_)) return Read::stalled;
    std::byte beyond{};
    const std::array<iovec, 2> room{iovec{spare_.data, spare_.tailroom}, iovec{&beyond, 1}};
    const ssize_t length = readv(descriptor, room.data(), static_cast<int>(room.size()));
    if (length < 0 && is_gone(errno)) return Read::failed;
    if (length <= 0) return Read::nothing;
    if (length > spare_.tailroom) {
        for (table::LedgerRow* row :
             {&counters_.ports[table::kHostPortRow], &counters_.tenants[table::kNoTenantRow]}) {
            row->from_host.add(1);
            row->drops[static_cast<std::size_t>(Reason::host_frame_invalid)].add(1);
        }
        return Read::frame;
    }
    HostFrame read{spare_, VportId{}, VrfId{}};
    read.frame.length = static_cast<std::uint32_t>(length);
    read.frame.tailroom = static_cast<std::uint16_t>(spare_.tailroom - length);
    if (twin.kind == TwinKind::vport_tap) {
        read.vport = VportId{twin.object};
    } else {
        read.vrf = VrfId{twin.object};
    }
    (void)worker.from_host->push(read);  // there was room, and nobody else pushes
    spare_ = Frame{};
    return Read::frame;
}

std::size_t HostThread::deliver_punts(WorkerSide& worker) {
    std::array<PuntedFrame, kMaxBurst> batch;
    const std::size_t n = worker.punts->pop(batch);
    std::array<Frame, kMaxBurst> done;
    for (std::size_t i = 0; i < n; ++i) {
        deliver(batch[i]);
        done[i] = batch[i].frame;
    }
    if (n > 0) pool_.release({done.data(), n});
    return n;
}

void HostThread::deliver(const PuntedFrame& punted) {
    const std::uint64_t key = key_of({TwinKind::vport_tap, punted.vport.value});
    const auto found = twins_.find(key);
    if (found == twins_.end()) return book_undelivered(punted.vport, Reason::twin_absent);
    const auto bytes = punted.frame.bytes();
    if (write(found->second.get(), bytes.data(), bytes.size()) >= 0) return;
    const int error = errno;
    book_undelivered(punted.vport, Reason::twin_write);
    if (is_gone(error)) lose(key);
}

void HostThread::book_undelivered(VportId vport, Reason reason) {
    for (table::LedgerRow* row :
         {&counters_.ports[table::kHostPortRow], &counters_.tenants[table::kNoTenantRow]}) {
        row->moved_in.add(1);
        row->drops[static_cast<std::size_t>(reason)].add(1);
    }
    if (vport.valid()) counters_.vports[vport.value].drops.add(1);
}

}  // namespace wye::host
