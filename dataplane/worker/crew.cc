#include "dataplane/worker/crew.hh"

#include <algorithm>
#include <utility>

namespace wye::worker {

using ring::Outcome;
using table::QueueKind;

Crew::Crew(Options options, std::vector<std::unique_ptr<Worker>> workers)
    : options_(std::move(options)), leaving_(workers.size()), workers_(std::move(workers)) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        takes_part_.push_back(std::make_unique<std::atomic<bool>>(false));
    }
    queues_.set_wakeups(wakeups());
}

Crew::~Crew() {
    stop();
}

std::vector<ring::Wakeup*> Crew::wakeups() const {
    std::vector<ring::Wakeup*> all;
    for (const auto& worker : workers_) all.push_back(&worker->wakeup());
    return all;
}

table::QueueCounters& Crew::add_unit(Unit unit, QueueKind kind, std::uint32_t index) {
    table::QueueCounters& counters =
        options_.counters.queue(static_cast<std::uint32_t>(units_.size()));
    counters.port.store(unit.port.value, std::memory_order_relaxed);
    counters.index.store(index, std::memory_order_relaxed);
    counters.worker.store(unit.worker, std::memory_order_relaxed);
    counters.kind.store(kind, std::memory_order_release);
    units_.push_back(unit);
    return counters;
}

void Crew::connect(Line line) {
    const auto count = workers_.size();
    const bool one_for_all = line.transmit_queues < count;
    std::vector<SharedTransmit*> shared(line.queues.size(), nullptr);
    for (std::size_t i = 0; i < shared.size(); ++i) {
        if (count == 1 || !((one_for_all && i == 0) || !line.pairs_apart)) continue;
        shared_.push_back(
            std::make_unique<SharedTransmit>(*line.queues[i], options_.pool, line.pairs_apart));
        shared[i] = shared_.back().get();
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t queue = one_for_all ? 0 : i;
        if (shared[queue] != nullptr) {
            ios_.push_back(shared[queue]->end());
            workers_[i]->add_transmit(line.port, *ios_.back());
        } else {
            workers_[i]->add_transmit(line.port, *line.queues[queue]);
        }
    }
    for (std::size_t i = 0; i < line.receive_queues; ++i) {
        PortIo* io = line.queues[i].get();
        if (shared[i] != nullptr) {
            ios_.push_back(shared[i]->receiver());
            io = ios_.back().get();
        }
        if (line.spread) {
            connect_spread(line.port, *io);
            break;
        }
        Unit unit{line.port, queues_.size()};
        table::QueueCounters& counters =
            add_unit(unit, QueueKind::queue, static_cast<std::uint32_t>(i));
        (void)queues_.add(line.port, *io, WorkerId{0}, &counters);
    }
    std::move(line.queues.begin(), line.queues.end(), std::back_inserter(ios_));
}

void Crew::connect_spread(PortId port, PortIo& input) {
    const auto first = static_cast<std::uint32_t>(units_.size());
    for (std::uint32_t share = 0; share < Spread::kShares; ++share) {
        Unit unit{port, std::nullopt};
        unit.share = share;
        (void)add_unit(unit, QueueKind::share, share);
    }
    spreads_.push_back(
        std::make_unique<Spread>(input, options_.pool, wakeups(),
                                 std::span(&options_.counters.queue(first), Spread::kShares)));
    Spread& spread = *spreads_.back();
    for (std::uint32_t share = 0; share < Spread::kShares; ++share) {
        units_[first + share].spread = &spread;
    }
    Unit unit{port, queues_.size()};
    table::QueueCounters& counters = add_unit(unit, QueueKind::queue, 0);
    (void)queues_.add(port, spread.input(), WorkerId{0}, &counters);
    for (std::uint32_t w = 0; w < workers_.size(); ++w) {
        Unit end{port, std::nullopt};
        end.fixed = true;
        end.worker = w;
        workers_[w]->add_receive(port, spread.output(WorkerId{w}),
                                 &add_unit(end, QueueKind::hand_over, w));
    }
}

void Crew::set_host(const table::Counter& turns, ring::Wakeup& wakeup) {
    options_.host_turns = &turns;
    options_.host_wakeup = &wakeup;
}

Status Crew::start(std::span<const std::optional<std::uint32_t>> cores) {
    for (const auto& worker : workers_) worker->set_queues(queues_);
    for (std::uint32_t i = 0; i < cores.size(); ++i) {
        if (cores[i]) (void)workers_[i]->move_to(*cores[i]);
        takes_part_[i]->store(true, std::memory_order_release);
    }
    note_sharing();
    // Round and round, before anybody polls.
    std::uint32_t next = 0;
    for (Unit& unit : units_) {
        if (!unit.fixed) give(unit, next++ % static_cast<std::uint32_t>(cores.size()));
    }
    for (ReceiveQueue& queue : queues_.all()) {
        queue.owner.store(queue.wanted.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    if (options_.bfd != nullptr) options_.bfd->settle(WorkerId{0});
    for (std::uint32_t i = 0; i < cores.size(); ++i) {
        if (Status started = workers_[i]->start(); !started) return started;
    }
    return {};
}

void Crew::stop() {
    for (const auto& worker : workers_) worker->stop();
}

void Crew::give(Unit& unit, std::uint32_t worker) {
    unit.worker = worker;
    if (unit.queue) {
        queues_.place(*unit.queue, WorkerId{worker});
    } else {
        unit.spread->place(unit.share, WorkerId{worker});
    }
}

/// Of its kind, since a share of a spread port is not to be weighed against a device's queue.
std::size_t Crew::count_of(std::uint32_t worker, const Unit& like) const {
    return static_cast<std::size_t>(
        std::count_if(units_.begin(), units_.end(), [&](const Unit& unit) {
            return !unit.fixed && unit.worker == worker && unit.port == like.port &&
                   unit.queue.has_value() == like.queue.has_value();
        }));
}

/// One from whoever has the most of it; false: this worker has as many, or one less.
bool Crew::take_one(std::uint32_t worker, const Unit& like) {
    Unit* best = nullptr;
    for (Unit& unit : units_) {
        if (unit.fixed || unit.port != like.port ||
            unit.queue.has_value() != like.queue.has_value()) {
            continue;
        }
        if (best == nullptr || count_of(unit.worker, unit) > count_of(best->worker, *best)) {
            best = &unit;
        }
    }
    if (best == nullptr || count_of(best->worker, like) <= count_of(worker, like) + 1) return false;
    give(*best, worker);
    return true;
}

/// Of each port as many as everybody has, from those who have the most.
void Crew::take_part(std::uint32_t worker) {
    takes_part_[worker]->store(true, std::memory_order_release);
    for (std::size_t i = 0; i < units_.size(); ++i) {
        while (!units_[i].fixed && take_one(worker, units_[i])) {
        }
    }
}

void Crew::give_away(std::uint32_t worker) {
    takes_part_[worker]->store(false, std::memory_order_release);
    for (Unit& unit : units_) {
        if (unit.fixed || unit.worker != worker) continue;
        std::optional<std::uint32_t> least;
        for (std::uint32_t w = 0; w < workers_.size(); ++w) {
            if (!takes_part_[w]->load(std::memory_order_relaxed)) continue;
            if (!least || count_of(w, unit) < count_of(*least, unit)) {
                least = w;
            }
        }
        give(unit, *least);
    }
    if (options_.bfd == nullptr || options_.bfd->wanted().value != worker) return;
    const auto stays = std::find_if(takes_part_.begin(), takes_part_.end(), [](const auto& flag) {
        return flag->load(std::memory_order_relaxed);
    });
    options_.bfd->place(WorkerId{static_cast<std::uint32_t>(stays - takes_part_.begin())});
}

std::size_t Crew::running() const {
    return static_cast<std::size_t>(
        std::count_if(takes_part_.begin(), takes_part_.end(),
                      [](const auto& flag) { return flag->load(std::memory_order_relaxed); }));
}

Outcome Crew::check_core(std::uint32_t worker, std::uint32_t core, bool shares_core) const {
    if (!options_.usable(core)) return Outcome::no_such_core;
    if (shares_core) return Outcome::accepted;
    const bool taken = std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
        return other->id().value != worker && other->running() && other->core() == core;
    });
    return taken ? Outcome::core_taken : Outcome::accepted;
}

void Crew::note_sharing() {
    for (const auto& worker : workers_) {
        worker->set_shares_core(
            worker->core().has_value() &&
            std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
                return other != worker && other->core() == worker->core() &&
                       (other->running() ||
                        takes_part_[other->id().value]->load(std::memory_order_relaxed));
            }));
    }
}

Outcome Crew::add(std::uint32_t worker, std::optional<std::uint32_t> core, bool shares_core) {
    if (worker >= workers_.size() || workers_[worker]->running()) return Outcome::workers_full;
    if (core) {
        if (const Outcome bad = check_core(worker, *core, shares_core); bad != Outcome::accepted) {
            return bad;
        }
        (void)workers_[worker]->move_to(*core);
    }
    if (!workers_[worker]->start()) return Outcome::no_such_core;
    take_part(worker);
    note_sharing();
    return Outcome::accepted;
}

Outcome Crew::move(std::uint32_t worker, std::uint32_t core, bool shares_core) {
    if (worker >= workers_.size() || !takes_part_[worker]->load(std::memory_order_relaxed)) {
        return Outcome::no_such_worker;
    }
    if (const Outcome bad = check_core(worker, core, shares_core); bad != Outcome::accepted) {
        return bad;
    }
    if (!workers_[worker]->move_to(core)) return Outcome::no_such_core;
    note_sharing();
    return Outcome::accepted;
}

Outcome Crew::remove(std::uint32_t worker) {
    if (worker >= workers_.size() || !takes_part_[worker]->load(std::memory_order_relaxed)) {
        return Outcome::no_such_worker;
    }
    if (running() == 1) return Outcome::last_worker;
    give_away(worker);
    leaving_[worker] = {};
    if (options_.host_turns != nullptr) leaving_[worker].host_turns = options_.host_turns->get();
    return Outcome::accepted;
}

Outcome Crew::place(std::uint32_t queue, std::uint32_t worker) {
    if (queue >= units_.size() || units_[queue].fixed) return Outcome::no_such_queue;
    if (worker >= workers_.size() || !takes_part_[worker]->load(std::memory_order_relaxed)) {
        return Outcome::no_such_worker;
    }
    give(units_[queue], worker);
    return Outcome::accepted;
}

/// The host thread may have been about to give it a frame when it left: two of its turns later not.
bool Crew::has_nothing(std::uint32_t worker) const {
    for (std::size_t queue = 0; queue < queues_.size(); ++queue) {
        if (queues_.owner(queue) == worker) return false;
    }
    if (options_.bfd != nullptr && options_.bfd->owner().value == worker) return false;
    for (const auto& spread : spreads_) {
        if (!spread->has_nothing(WorkerId{worker})) return false;
    }
    if (options_.host_turns != nullptr) {
        options_.host_wakeup->notify();
        if (options_.host_turns->get() < leaving_[worker].host_turns + 2) return false;
    }
    if (workers_[worker]->from_host().size() > 0) return false;
    const table::CounterBlock block = options_.counters.block(WorkerId{worker});
    for (std::uint32_t row = 0; row <= options_.counters.limits().ports; ++row) {
        if (block.ports[row].held.get() != 0) return false;
    }
    return true;
}

void Crew::advance() {
    for (std::uint32_t w = 0; w < workers_.size(); ++w) {
        if (!workers_[w]->running() || takes_part_[w]->load(std::memory_order_relaxed)) continue;
        std::optional<std::uint64_t>& empty_at = leaving_[w].empty_at_turn;
        if (!has_nothing(w)) {
            empty_at.reset();
            continue;
        }
        // A turn may have been in the middle of the last packets.
        if (!empty_at) empty_at = workers_[w]->turns();
        workers_[w]->wakeup().notify();
        if (workers_[w]->turns() < *empty_at + 2) continue;
        workers_[w]->stop();
        note_sharing();
    }
}

}  // namespace wye::worker
