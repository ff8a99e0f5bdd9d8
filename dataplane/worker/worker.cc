#include "dataplane/worker/worker.hh"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "dataplane/base/clock.hh"
#include "dataplane/pipeline/pipelines.hh"
#include "dataplane/worker/cycles.hh"

namespace wye::worker {

using pipeline::PortOutput;

namespace {

/// Without packets for so long, an adaptive worker begins to sleep.
constexpr std::uint64_t kAwakeNanoseconds = 50'000;
constexpr std::uint64_t kShortestSleep = 50'000;
/// A worker that has to poll its ports sleeps no longer than this; it is what a first packet waits.
constexpr std::uint64_t kLongestSleep = 1'000'000;
constexpr std::uint64_t kTicksPerSecond = 1000;

}  // namespace

Worker::Worker(const Options& options, const Shared& shared)
    : options_(options),
      shared_(shared),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      outputs_(std::make_unique<std::array<PortOutput, pipeline::kMaxPorts>>()) {
    WYE_CHECK(epoll_.valid(), "no epoll descriptor");
    context_.cycles_per_second = cycles_per_second();
    context_.counters = shared.counters;
    context_.liveness = &shared.liveness;
    context_.pool = &shared.pool;
    context_.punt = &punts_;
    context_.resolve = &resolves_;
    context_.outputs = outputs_.get();
    if (shared.bfd != nullptr) {
        context_.bfd = &shared.bfd->inbox(options.id);
        context_.bfd_vrfs = &shared.bfd->vrfs;
    }
    tick_ = context_.cycles_per_second / kTicksPerSecond;
    epoll_event event{};
    event.events = EPOLLIN;
    WYE_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.descriptor(), &event) == 0,
              "the wake-up cannot be waited for");
}

Worker::~Worker() {
    stop();
    pipeline::release_held(context_);
    pipeline::PuntedFrame punted;
    while (punts_.pop({&punted, 1}) > 0) shared_.pool.release({&punted.frame, 1});
    pipeline::HostFrame unread;
    while (from_host_.pop({&unread, 1}) > 0) shared_.pool.release({&unread.frame, 1});
}

void Worker::add_port(PortId port, std::unique_ptr<PortIo> io) {
    add_transmit(port, *io);
    add_receive(port, *io, nullptr);
    owned_.push_back(std::move(io));
}

void Worker::add_transmit(PortId port, PortIo& io) {
    WYE_CHECK(port.value < pipeline::kMaxPorts, "port id out of range");
    ports_.push_back({port, &io});
}

void Worker::add_receive(PortId port, PortIo& io, table::QueueCounters* counters) {
    WYE_CHECK(queues_ == nullptr, "queues that change hands come last");
    wait_for(io, true);
    polled_.push_back({port, &io, nullptr, counters});
    always_polled_ = polled_.size();
}

void Worker::set_queues(ReceiveQueues& queues) {
    queues_ = &queues;
    polled_.reserve(always_polled_ + queues.size());
}

/// System calls, at a change of hands only.
void Worker::wait_for(const PortIo& io, bool wait) noexcept {
    const int descriptor = io.wait_descriptor();
    if (descriptor < 0) return;
    epoll_event event{};
    event.events = EPOLLIN;
    (void)epoll_ctl(epoll_.get(), wait ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, descriptor, &event);
}

/// Between two turns: gives away what another worker shall have, and lists what is left and what is
/// to come, which is polled once it is here.
void Worker::renew_queues() noexcept {
    const std::uint32_t own = options_.id.value;
    queues_seen_ = queues_->generation();
    for (std::size_t i = always_polled_; i < polled_.size(); ++i) wait_for(*polled_[i].io, false);
    polled_.resize(always_polled_);
    for (ReceiveQueue& queue : queues_->all()) {
        const std::uint32_t wanted = queue.wanted.load(std::memory_order_relaxed);
        if (queue.owner.load(std::memory_order_acquire) == own && wanted != own) {
            queues_->hand_over(queue, wanted);
        } else if (wanted == own) {
            wait_for(*queue.io, true);
            polled_.push_back({queue.port, queue.io, &queue, queue.counters});
        }
    }
}

Status Worker::start() {
    stop_.store(false, std::memory_order_relaxed);
    thread_ = std::thread([this] { run(); });
    const std::string name = fmt::format("worker-{}", options_.id.value);
    (void)pthread_setname_np(thread_.native_handle(), name.c_str());
    if (!options_.core) return {};
    Status pinned = pin();
    if (!pinned) stop();
    return pinned;
}

Status Worker::pin() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(*options_.core, &set);
    const int error = pthread_setaffinity_np(thread_.native_handle(), sizeof set, &set);
    if (error == 0) return {};
    return fail(fmt::format("worker {} cannot be pinned to core {}: {}", options_.id.value,
                            *options_.core, std::strerror(error)));
}

Status Worker::move_to(std::uint32_t core) {
    const auto before = std::exchange(options_.core, core);
    if (!running()) return {};
    Status pinned = pin();
    if (!pinned) options_.core = before;
    return pinned;
}

void Worker::stop() {
    if (!thread_.joinable()) return;
    stop_.store(true, std::memory_order_release);
    wakeup_.notify();
    thread_.join();
}

Nanoseconds Worker::processor_time() noexcept {
    clockid_t clock{};
    timespec used{};
    if (!running() || pthread_getcpuclockid(thread_.native_handle(), &clock) != 0 ||
        clock_gettime(clock, &used) != 0) {
        return Nanoseconds{0};
    }
    return std::chrono::seconds(used.tv_sec) + Nanoseconds(used.tv_nsec);
}

void Worker::run() noexcept {
    const std::uint32_t reader = options_.id.value;
    stack_sample_.begin_on_this_thread();
    if (shared_.enter_thread) shared_.enter_thread();
    shared_.epochs.register_reader(reader);
    shared_.epochs.online(reader);
    const std::uint64_t awake = context_.cycles_per_second / 1'000'000 * kAwakeNanoseconds / 1000;
    std::uint64_t worked_last = read_cycles();
    std::uint64_t next_sleep = kShortestSleep;
    while (!stop_.load(std::memory_order_acquire)) {
        const std::size_t frames = turn();
        if (shares_core_.load(std::memory_order_relaxed)) [[unlikely]]
            yield_core(frames > 0);
        if (frames > 0) {
            worked_last = context_.now_cycles;
            next_sleep = kShortestSleep;
        } else if (options_.idle == Idle::adaptive && context_.now_cycles - worked_last > awake) {
            sleep(next_sleep);
            next_sleep = std::min(2 * next_sleep, kLongestSleep);
        }
    }
    shared_.epochs.offline(reader);
    shared_.epochs.unregister_reader(reader);
    if (shared_.leave_thread) shared_.leave_thread();
    stack_sample_.end_on_this_thread();
}

std::size_t Worker::turn() noexcept {
    const std::uint64_t begin = read_cycles();
    context_.now_cycles = burst_began_ = begin;
    if (queues_ != nullptr && queues_->generation() != queues_seen_) [[unlikely]]
        renew_queues();
    // In this order: tables that change now may be seen with an older number, never the reverse.
    context_.tables_epoch = shared_.epochs.current();
    context_.arena = shared_.published.view();
    std::size_t frames = 0;
    for (const Polled& polled : polled_) frames += poll_port(polled);
    frames += poll_host();
    if (shared_.bfd != nullptr && shared_.bfd->is_with(options_.id)) frames += poll_bfd();
    poll_held(frames > 0);
    if (frames > 0) tell_others();
    shared_.epochs.quiescent(options_.id.value);
    count_turn(begin, frames);
    return frames;
}

std::size_t Worker::poll_port(const Polled& polled) noexcept {
    if (polled.queue != nullptr &&
        polled.queue->owner.load(std::memory_order_acquire) != options_.id.value) {
        return 0;  // not here yet, or given away
    }
    const std::size_t n = polled.io->receive(received_);
    const std::size_t passed_on = polled.io->take_passed_on();
    if (const std::uint32_t lost = polled.io->take_not_contiguous(); lost > 0) [[unlikely]] {
        book_lost(polled.port, lost, table::Reason::not_contiguous);
    }
    if (const std::uint32_t lost = polled.io->take_queue_full(); lost > 0) [[unlikely]] {
        book_lost(polled.port, lost, table::Reason::worker_queue_full);
    }
    if (n == 0) return passed_on;
    pipeline::run_from_port(context_, polled.port, std::span(received_).first(n));
    transmit_all();
    count_burst(polled, n);
    return n + passed_on;
}

void Worker::book_lost(PortId port, std::uint32_t lost, table::Reason reason) noexcept {
    for (table::LedgerRow* row : {&shared_.counters.ports[table::port_row(port)],
                                  &shared_.counters.tenants[table::kNoTenantRow]}) {
        row->rx.add(lost);
        row->drops[static_cast<std::size_t>(reason)].add(lost);
    }
}

void Worker::count_burst(const Polled& polled, std::size_t packets) noexcept {
    table::WorkerCounters& counters = *shared_.counters.worker;
    counters.bursts.add(1);
    counters.burst_packets.add(packets);
    if (packets == received_.size()) counters.full_bursts.add(1);
    if (polled.counters == nullptr) return;
    const std::uint64_t now = read_cycles();
    polled.counters->packets.add(packets);
    polled.counters->cycles.add(now - burst_began_);
    burst_began_ = now;
}

std::size_t Worker::poll_host() noexcept {
    const std::size_t n = from_host_.pop(from_host_burst_);
    if (n == 0) return 0;
    pipeline::run_from_host(context_, std::span(from_host_burst_).first(n));
    transmit_all();
    return n;
}

/// After all ports: what their bursts had for sessions is looked at before any of them goes down.
std::size_t Worker::poll_bfd() noexcept {
    BfdSeat& seat = *shared_.bfd;
    const Nanoseconds now = seat.time(read_cycles());
    std::size_t sent = 0, count = 0;
    do {
        count = seat.engine().turn(now, departures_);
        if (count == 0) break;
        pipeline::run_from_bfd(context_, std::span(departures_).first(count));
        transmit_all();
        sent += count;
    } while (count + 1 >= departures_.size());
    if (seat.events.size() > 0 && shared_.control_wakeup != nullptr) {
        shared_.control_wakeup->notify();
    }
    seat.give_away();
    return sent;
}

/// At once after neighbours changed; else at a tick, for those whose time is up.
void Worker::poll_held(bool worked) noexcept {
    const std::uint64_t generation =
        shared_.published.neighbor_generation.load(std::memory_order_acquire);
    const bool changed = generation != neighbor_generation_;
    const bool tick = context_.now_cycles >= next_tick_;
    if (!changed && !tick) return;
    neighbor_generation_ = generation;
    if (tick) next_tick_ = context_.now_cycles + tick_;
    pipeline::run_held(context_, changed);
    transmit_all();
    drop_for_absent_ports();
    if (!worked) tell_others();
}

void Worker::transmit_all() noexcept {
    for (Attached& attached : ports_) {
        if ((*outputs_)[attached.port.value].count > 0) transmit(attached);
    }
}

void Worker::transmit(Attached& attached) noexcept {
    PortOutput& output = (*outputs_)[attached.port.value];
    // What the device cannot take goes behind the rest, which keeps its order; it is then booked
    // with what the queue had no room for.
    std::size_t sendable = output.count;
    for (std::size_t i = 0; i < sendable;) {
        if (attached.io->sendable(output.frames[i])) [[likely]] {
            ++i;
        } else {
            output.move_to_end(i);
            --sendable;
        }
    }
    const std::size_t taken = attached.io->transmit({output.frames.data(), sendable});
    pipeline::book_transmitted(context_, attached.port, taken);
}

/// Tables that a predecessor left may name a port that this configuration does not have.
void Worker::drop_for_absent_ports() noexcept {
    for (std::uint32_t port = 0; port < pipeline::kMaxPorts; ++port) {
        if ((*outputs_)[port].count > 0) pipeline::book_transmitted(context_, PortId{port}, 0);
    }
}

void Worker::tell_others() noexcept {
    if (shared_.host_wakeup != nullptr && punts_.size() > 0) shared_.host_wakeup->notify();
    if (shared_.control_wakeup != nullptr && resolves_.size() > 0) {
        shared_.control_wakeup->notify();
    }
}

/// A system call, only where workers share a core. An idle one has nothing to keep it for; a busy one
/// gives it up often enough that the other's receive queues do not run over.
void Worker::yield_core(bool worked) noexcept {
    constexpr unsigned kTurns = 8;
    if (worked && ++turns_without_yield_ < kTurns) return;
    turns_without_yield_ = 0;
    (void)sched_yield();
}

bool Worker::has_work() const noexcept {
    return from_host_.size() > 0 ||
           std::any_of(polled_.begin(), polled_.end(),
                       [](const Polled& polled) { return polled.io->ready(); });
}

void Worker::sleep(std::uint64_t nanoseconds) noexcept {
    const std::uint32_t reader = options_.id.value;
    const auto begin = monotonic_now();
    shared_.epochs.offline(reader);
    wakeup_.prepare_sleep();
    if (!has_work() && !stop_.load(std::memory_order_acquire)) {
        epoll_event event;
        const timespec timeout{0, static_cast<long>(nanoseconds)};
        (void)epoll_pwait2(epoll_.get(), &event, 1, &timeout, nullptr);
    }
    wakeup_.finish_sleep();
    shared_.epochs.online(reader);
    shared_.counters.worker->sleeps.add(1);
    shared_.counters.worker->sleep_nanoseconds.add(
        static_cast<std::uint64_t>((monotonic_now() - begin).count()));
}

void Worker::count_turn(std::uint64_t begin, std::size_t frames) noexcept {
    table::WorkerCounters& counters = *shared_.counters.worker;
    const std::uint64_t cycles = read_cycles() - begin;
    counters.polls.add(1);
    counters.total_cycles.add(cycles);
    if (frames == 0) return;
    counters.polls_with_packets.add(1);
    counters.busy_cycles.add(cycles);
}

}  // namespace wye::worker
