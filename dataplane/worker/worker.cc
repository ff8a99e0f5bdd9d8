#include "dataplane/worker/worker.hh"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>

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
    WYE_CHECK(port.value < pipeline::kMaxPorts, "port id out of range");
    const int descriptor = io->wait_descriptor();
    if (descriptor >= 0) {
        epoll_event event{};
        event.events = EPOLLIN;
        (void)epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event);
    }
    ports_.push_back({port, std::move(io)});
}

Status Worker::start() {
    stop_.store(false, std::memory_order_relaxed);
    thread_ = std::thread([this] { run(); });
    const std::string name = fmt::format("worker-{}", options_.id.value);
    (void)pthread_setname_np(thread_.native_handle(), name.c_str());
    return options_.core ? pin() : Status{};
}

Status Worker::pin() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(*options_.core, &set);
    const int error = pthread_setaffinity_np(thread_.native_handle(), sizeof set, &set);
    if (error == 0) return {};
    stop();
    return fail(fmt::format("worker {} cannot be pinned to core {}: {}", options_.id.value,
                            *options_.core, std::strerror(error)));
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
        if (turn() > 0) {
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
    context_.now_cycles = begin;
    // In this order: tables that change now may be seen with an older number, never the reverse.
    context_.tables_epoch = shared_.epochs.current();
    context_.arena = shared_.published.view();
    std::size_t frames = 0;
    for (Attached& attached : ports_) frames += poll_port(attached);
    frames += poll_host();
    poll_held(frames > 0);
    if (frames > 0) tell_others();
    shared_.epochs.quiescent(options_.id.value);
    count_turn(begin, frames);
    return frames;
}

std::size_t Worker::poll_port(Attached& attached) noexcept {
    const std::size_t n = attached.io->receive(received_);
    if (const std::uint32_t lost = attached.io->take_not_contiguous(); lost > 0) [[unlikely]] {
        for (table::LedgerRow* row : {&shared_.counters.ports[table::port_row(attached.port)],
                                      &shared_.counters.tenants[table::kNoTenantRow]}) {
            row->rx.add(lost);
            row->drops[static_cast<std::size_t>(table::Reason::not_contiguous)].add(lost);
        }
    }
    if (n == 0) return 0;
    pipeline::run_from_port(context_, attached.port, std::span(received_).first(n));
    transmit_all();
    return n;
}

std::size_t Worker::poll_host() noexcept {
    const std::size_t n = from_host_.pop(from_host_burst_);
    if (n == 0) return 0;
    pipeline::run_from_host(context_, std::span(from_host_burst_).first(n));
    transmit_all();
    return n;
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

void Worker::sleep(std::uint64_t nanoseconds) noexcept {
    const std::uint32_t reader = options_.id.value;
    const auto begin = monotonic_now();
    shared_.epochs.offline(reader);
    wakeup_.prepare_sleep();
    if (from_host_.size() == 0 && !stop_.load(std::memory_order_acquire)) {
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
