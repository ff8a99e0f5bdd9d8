#include "dataplane/worker/spread.hh"

#include <algorithm>
#include <bit>

#include "dataplane/base/clock.hh"
#include "dataplane/worker/cycles.hh"
#include "dataplane/worker/flow_hash.hh"

namespace wye::worker {

using pipeline::Frame;

namespace {

constexpr unsigned kShareShift = 32 - std::countr_zero(Spread::kShares);
static_assert(std::has_single_bit(Spread::kShares));

constexpr std::uint64_t kPatienceMicroseconds = 1000;
constexpr std::uint64_t kPauseMicroseconds = 5000;

}  // namespace

Spread::Spread(PortIo& device, pipeline::FramePool& pool, std::vector<ring::Wakeup*> wakeups,
               std::span<table::QueueCounters> counters)
    : device_(device), pool_(pool), wakeups_(std::move(wakeups)) {
    for (std::size_t i = 0; i < wakeups_.size(); ++i) {
        outputs_.push_back(std::make_unique<Output>());
    }
    for (std::size_t i = 0; i < counters.size(); ++i) shares_[i].counters = &counters[i];
    (void)cycles_per_second();
}

Spread::~Spread() {
    Frame frame;
    for (const auto& output : outputs_) {
        while (output->ring.pop({&frame, 1}) > 0) pool_.release({&frame, 1});
    }
}

void Spread::place(std::uint32_t share, WorkerId worker) noexcept {
    shares_[share].wanted.store(worker.value, std::memory_order_relaxed);
    if (table::QueueCounters* counters = shares_[share].counters; counters != nullptr) {
        counters->worker.store(worker.value, std::memory_order_relaxed);
    }
    generation_.fetch_add(1, std::memory_order_release);
}

bool Spread::has_nothing(WorkerId worker) const noexcept {
    return outputs_[worker.value]->ring.size() == 0 &&
           std::none_of(shares_.begin(), shares_.end(), [&](const Share& share) {
               return share.worker.load(std::memory_order_acquire) == worker.value;
           });
}

bool Spread::move_shares() noexcept {
    const std::uint64_t generation = generation_.load(std::memory_order_acquire);
    if (generation == settled_) [[likely]]
        return true;
    bool all = true;
    for (Share& share : shares_) {
        const std::uint32_t from = share.worker.load(std::memory_order_relaxed);
        const std::uint32_t to = share.wanted.load(std::memory_order_relaxed);
        if (from == to) continue;
        if (outputs_[from]->done.load(std::memory_order_acquire) < share.last) {
            wakeups_[from]->notify();
            all = false;
            continue;
        }
        share.worker.store(to, std::memory_order_release);
        share.last = 0;
    }
    if (all) {
        settled_ = generation;
        moving_since_ = 0;
        return true;
    }
    const std::uint64_t now = read_cycles();
    if (moving_since_ == 0) moving_since_ = now;
    const std::uint64_t microsecond = std::max<std::uint64_t>(cycles_per_second() / 1'000'000, 1);
    const std::uint64_t waited = (now - moving_since_) / microsecond;
    if (waited > kPatienceMicroseconds + kPauseMicroseconds) moving_since_ = now;
    return waited < kPatienceMicroseconds || waited > kPatienceMicroseconds + kPauseMicroseconds;
}

std::size_t Spread::Input::receive(std::span<Frame> /*out*/) noexcept {
    if (!spread_.move_shares()) return 0;
    const std::size_t n = spread_.device_.receive(spread_.burst_);
    not_contiguous_ += spread_.device_.take_not_contiguous();
    if (n > 0) pass_on({spread_.burst_.data(), n});
    return 0;
}

void Spread::Input::pass_on(std::span<const Frame> frames) noexcept {
    std::uint64_t woken = 0;
    passed_on_ += static_cast<std::uint32_t>(frames.size());
    for (const Frame& frame : frames) {
        Share& share = spread_.shares_[flow_hash(frame.bytes()) >> kShareShift];
        const std::uint32_t worker = share.worker.load(std::memory_order_relaxed);
        Output& output = *spread_.outputs_[worker];
        if (share.counters != nullptr) share.counters->packets.add(1);
        if (output.ring.push(frame)) [[likely]] {
            share.last = ++output.given;
            woken |= std::uint64_t{1} << worker;
        } else {
            spread_.pool_.release({&frame, 1});
            ++queue_full_;
        }
    }
    for (; woken != 0; woken &= woken - 1) {
        spread_.wakeups_[static_cast<std::size_t>(std::countr_zero(woken))]->notify();
    }
}

std::size_t Spread::Input::transmit(std::span<const Frame> frames) noexcept {
    return spread_.device_.transmit(frames);
}

std::size_t Spread::Output::receive(std::span<Frame> out) noexcept {
    // What was taken before has been forwarded, or this worker would not ask for more.
    if (taken != done.load(std::memory_order_relaxed)) {
        done.store(taken, std::memory_order_release);
    }
    const std::size_t n = ring.pop(out);
    taken += n;
    return n;
}

std::size_t Spread::Output::transmit(std::span<const Frame> /*frames*/) noexcept {
    return 0;  // each worker sends by the port itself
}

}  // namespace wye::worker
