#include "dataplane/bfd/engine.hh"

#include <algorithm>
#include <cstring>

namespace wye::bfd {

using net::BfdControl;
using net::BfdFault;
using net::BfdState;
using table::BfdDrop;
using table::kMaxBfdSessions;

namespace {

constexpr std::uint64_t kTick = 250'000;  // nanoseconds

constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t v) noexcept {
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ h >> 33;
}

std::uint64_t hash(const net::IpAddress& address) noexcept {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes.data(), sizeof words);
    return mix(mix(static_cast<std::uint64_t>(address.family), words[0]), words[1]);
}

/// What tells sessions apart before the peer knows our discriminator (RFC 5881 3, RFC 5883 4).
std::uint64_t place_key(VrfId vrf, VportId vport, const net::IpAddress& local,
                        const net::IpAddress& remote) noexcept {
    return mix(mix(std::uint64_t{vrf.value} << 32 | vport.value, hash(local)), hash(remote));
}

std::uint64_t place_key(const Endpoint& end) noexcept {
    return place_key(end.vrf, end.vport, end.local, end.remote);
}

bool is_from(const Datagram& datagram, const Endpoint& end) noexcept {
    return datagram.vrf == end.vrf && datagram.multihop == end.multihop() &&
           (end.multihop() || datagram.vport == end.vport) && datagram.source == end.remote &&
           datagram.destination == end.local;
}

BfdDrop drop_of(BfdFault fault) noexcept {
    switch (fault) {
        case BfdFault::version:
            return BfdDrop::version;
        case BfdFault::multiplier:
            return BfdDrop::multiplier;
        case BfdFault::multipoint:
            return BfdDrop::multipoint;
        case BfdFault::my_discriminator:
            return BfdDrop::my_discriminator;
        case BfdFault::your_discriminator:
            return BfdDrop::your_discriminator;
        default:
            return BfdDrop::length;
    }
}

std::uint32_t microseconds(std::optional<Nanoseconds> duration) noexcept {
    return duration ? static_cast<std::uint32_t>(duration->count() / 1000) : 0;
}

template <class T, class V>
void put(table::BfdCell<T>& cell, V value) noexcept {
    cell.store(static_cast<T>(value), std::memory_order_relaxed);
}

}  // namespace

Engine::Engine(Wiring wiring)
    : wiring_(std::move(wiring)),
      slots_(kMaxBfdSessions),
      by_discriminator_(kMaxBfdSessions),
      by_addresses_(kMaxBfdSessions),
      wheel_(2 * kMaxBfdSessions, kTick) {}

std::size_t Engine::turn(Nanoseconds now, std::span<Departure> out) noexcept {
    note_time(now);
    take_orders();
    take_datagrams();
    wheel_.advance(static_cast<std::uint64_t>(now_.count()),
                   [this](std::uint32_t timer) { fire(timer); });
    if (untold_count_ != 0) tell();
    return depart(out);
}

/// The time of a gap beyond what a turn may take is taken off the detection clock.
void Engine::note_time(Nanoseconds now) noexcept {
    const Nanoseconds gap = now - now_;
    now_ = now;
    if (!began_) {
        began_ = true;
        return;
    }
    if (gap <= kStall) return;
    stalled_ += gap;
    drained_at_ = now + kDrain;
    if (count_ == 0) return;
    wiring_.file.totals().stalls.add(1);
    wiring_.file.totals().stalled_nanoseconds.add(static_cast<std::uint64_t>(gap.count()));
}

// Orders.

void Engine::take_orders() noexcept {
    // All of them: after a grace period nobody sends for an object that was taken away before it.
    std::array<Order, 1> order;
    while (wiring_.orders.size() != 0 && wiring_.orders.pop(order) != 0) apply(order[0]);
}

void Engine::apply(const Order& order) noexcept {
    if (order.slot >= slots_.size()) return;
    Slot& slot = slots_[order.slot];
    switch (order.kind) {
        case Order::Kind::add:
            add(order);
            break;
        case Order::Kind::change: {
            if (!slot.used) break;
            const BfdState before = slot.session.state();
            const bool failed = slot.session.path_failed();
            slot.session.configure(order.parameters);
            note_change(order.slot, before, failed);
            plan_packet(order.slot);
            arm_detection(order.slot);
            break;
        }
        case Order::Kind::remove:
            remove(order.slot);
            break;
        case Order::Kind::none:
            break;
    }
}

void Engine::add(const Order& order) noexcept {
    Slot& slot = slots_[order.slot];
    if (slot.used) return;
    const bool ready = slot.ready, untold = slot.untold;
    slot = {};
    slot.ready = ready;  // it may still stand in the lists
    slot.untold = untold;
    slot.used = true;
    slot.end = order.end;
    slot.session = Session(order.discriminator, order.parameters);
    slot.last_packet = now_;
    by_discriminator_.add(order.discriminator, order.slot);
    by_addresses_.add(place_key(slot.end), order.slot);
    ++count_;
    begin_record(order.slot);
    set_liveness(slot);
    publish(order.slot);
    // The first packet soon, and not those of all sessions together.
    slot.interval = Nanoseconds(random() % 100'000'000);
    if (slot.session.transmit_interval()) {
        wheel_.set(2 * order.slot, static_cast<std::uint64_t>((now_ + slot.interval).count()));
    }
}

void Engine::remove(std::uint32_t index) noexcept {
    Slot& slot = slots_[index];
    if (!slot.used) return;
    by_discriminator_.remove(slot.session.discriminator(), index);
    by_addresses_.remove(place_key(slot.end), index);
    wheel_.clear(2 * index);
    wheel_.clear(2 * index + 1);
    slot.used = slot.answers = slot.due = false;
    if (slot.end.nexthop.valid()) {
        wiring_.liveness.set_session(slot.end.nexthop, slot.end.nexthop_generation, true);
    }
    --count_;
}

// What was received.

void Engine::take_datagrams() noexcept {
    for (Inbox* const inbox : wiring_.inboxes) {
        std::array<Datagram, 16> batch;
        for (std::uint32_t taken = 0; taken < kDatagramsInOneTurn; taken += batch.size()) {
            const std::size_t count = inbox->pop(batch);
            for (std::size_t i = 0; i < count; ++i) take(batch[i]);
            if (count < batch.size()) break;
        }
    }
}

std::uint32_t Engine::find(const Datagram& datagram, const BfdControl& packet) const noexcept {
    if (packet.your_discriminator != 0) {  // RFC 5880 6.3: then by it alone
        return by_discriminator_.find(packet.your_discriminator, [&](std::uint32_t slot) {
            return slots_[slot].session.discriminator() == packet.your_discriminator;
        });
    }
    const VportId vport = datagram.multihop ? VportId{} : datagram.vport;
    return by_addresses_.find(
        place_key(datagram.vrf, vport, datagram.destination, datagram.source),
        [&](std::uint32_t slot) { return is_from(datagram, slots_[slot].end); });
}

void Engine::drop(std::uint32_t slot, BfdDrop reason) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    if (slot == SessionMap::kNone) {
        wiring_.file.totals().drops[index].add(1);
    } else {
        wiring_.file.record(slot).drops[index].add(1);
    }
}

void Engine::take(const Datagram& datagram) noexcept {
    BfdControl packet;
    // The header says its length; what of it was not kept is authentication.
    std::array<std::byte, kKeptPayload> payload = datagram.payload;
    const std::size_t kept = std::min<std::size_t>(datagram.length, payload.size());
    if (kept >= sizeof(net::BfdHeader)) {
        auto& header = net::header<net::BfdHeader>(payload.data());
        if (header.length > datagram.length) {
            return drop(SessionMap::kNone, BfdDrop::length);
        }
        header.length = std::min<std::uint8_t>(header.length, kKeptPayload);
    }
    const BfdFault fault = net::parse_bfd(std::span(payload).first(kept), packet);
    if (fault != BfdFault::none) return drop(SessionMap::kNone, drop_of(fault));
    const std::uint32_t index = find(datagram, packet);
    if (index == SessionMap::kNone) return drop(index, BfdDrop::unknown_session);
    Slot& slot = slots_[index];
    // A discriminator that leaked is worth nothing to another tenant, or on another link.
    if (!is_from(datagram, slot.end)) return drop(index, BfdDrop::other_place);
    if (datagram.hop_limit < slot.end.least_hop_limit) return drop(index, BfdDrop::hop_limit);
    if (packet.authentication) return drop(index, BfdDrop::authentication);
    const BfdState before = slot.session.state();
    const bool failed = slot.session.path_failed();
    const Session::Received received = slot.session.receive(packet);
    wiring_.file.record(index).packets_in.add(1);
    if (received.heard) slot.last_heard = detection_now();
    if (received.changed) note_change(index, before, failed);
    if (received.answer) {
        slot.answers = true;
        make_ready(index);
    }
    hasten_packet(index);
    arm_detection(index);
}

// Timers.

void Engine::fire(std::uint32_t timer) noexcept {
    const std::uint32_t slot = timer / 2;
    if (timer % 2 != 0) return detect(slot);
    slots_[slot].due = true;
    make_ready(slot);
}

void Engine::detect(std::uint32_t index) noexcept {
    Slot& slot = slots_[index];
    slot.detects_at = Nanoseconds{};
    const auto time = slot.session.detection_time();
    if (!time) return;
    const bool over = detection_now() >= slot.last_heard + *time;
    if (!over || now_ < drained_at_) return arm_detection(index);
    const BfdState before = slot.session.state();
    const bool failed = slot.session.path_failed();
    (void)slot.session.detection_expired();
    note_change(index, before, failed);
    hasten_packet(index);
}

/// Lazily: a packet that is heard does not move the timer, which finds out when it fires.
void Engine::arm_detection(std::uint32_t index) noexcept {
    Slot& slot = slots_[index];
    const auto time = slot.session.detection_time();
    if (!time) return;
    const Nanoseconds at = std::max(slot.last_heard + *time + stalled_, drained_at_);
    if (slot.detects_at != Nanoseconds{} && slot.detects_at <= at) return;
    slot.detects_at = at;
    wheel_.set(2 * index + 1, static_cast<std::uint64_t>(at.count()));
}

/// The time of the next periodic packet, from that of the last one.
void Engine::plan_packet(std::uint32_t index) noexcept {
    Slot& slot = slots_[index];
    const auto interval = slot.session.jittered_interval(random());
    slot.interval = interval.value_or(Nanoseconds{});
    if (!interval) return wheel_.clear(2 * index);
    const Nanoseconds at = std::max(slot.last_packet + *interval, now_);
    wheel_.set(2 * index, static_cast<std::uint64_t>(at.count()));
}

/// After the session's interval may have become shorter (6.8.3: at once), or begun or ended.
void Engine::hasten_packet(std::uint32_t index) noexcept {
    Slot& slot = slots_[index];
    if (slot.due) return;
    const auto interval = slot.session.transmit_interval();
    if (interval.has_value() == wheel_.is_set(2 * index) &&
        (!interval || slot.interval <= *interval)) {
        return;
    }
    plan_packet(index);
}

// What is sent.

void Engine::make_ready(std::uint32_t index) noexcept {
    Slot& slot = slots_[index];
    if (slot.ready) return;
    slot.ready = true;
    ready_[ready_end_++ % ready_.size()] = index;
}

std::size_t Engine::depart(std::span<Departure> out) noexcept {
    std::size_t count = 0;
    while (ready_first_ != ready_end_ && count + 2 <= out.size()) {
        const std::uint32_t index = ready_[ready_first_++ % ready_.size()];
        Slot& slot = slots_[index];
        slot.ready = false;
        if (!slot.used) continue;
        if (slot.answers) depart(index, true, out[count++]);
        if (slot.due) {
            slot.due = false;
            if (slot.session.transmit_interval()) depart(index, false, out[count++]);
            slot.last_packet = now_;
            plan_packet(index);
        }
        slot.answers = false;
    }
    return count;
}

void Engine::depart(std::uint32_t index, bool final, Departure& out) noexcept {
    const Slot& slot = slots_[index];
    out.end = slot.end;
    out.header = net::make_bfd(slot.session.packet(final));
    wiring_.file.record(index).packets_out.add(1);
}

// What is told.

void Engine::set_liveness(const Slot& slot) noexcept {
    if (!slot.end.nexthop.valid()) return;
    wiring_.liveness.set_session(slot.end.nexthop, slot.end.nexthop_generation,
                                 !slot.session.path_failed());
}

void Engine::note_change(std::uint32_t index, BfdState before, bool failed_before) noexcept {
    Slot& slot = slots_[index];
    // Before anything else: this is what moves the traffic.
    if (slot.session.path_failed() != failed_before) set_liveness(slot);
    table::BfdRecord& record = wiring_.file.record(index);
    const BfdState state = slot.session.state();
    if (state != before) {
        if (state == BfdState::up) record.ups.add(1);
        if (before == BfdState::up) {
            record.downs.add(1);
            put(record.last_down_diagnostic, slot.session.diagnostic());
        }
    }
    publish(index);
    if (slot.untold) return;
    slot.untold = true;
    untold_[untold_count_++] = index;
}

void Engine::begin_record(std::uint32_t index) noexcept {
    table::BfdRecord& record = wiring_.file.record(index);
    for (table::Counter* const counter :
         {&record.ups, &record.downs, &record.packets_in, &record.packets_out}) {
        counter->set(0);
    }
    for (table::Counter& counter : record.drops) counter.set(0);
}

void Engine::publish(std::uint32_t index) noexcept {
    const Session& session = slots_[index].session;
    const BfdControl& heard = session.heard();
    const BfdControl said = session.packet(false);
    table::BfdRecord& record = wiring_.file.record(index);
    put(record.diagnostic, session.diagnostic());
    put(record.remote_state, heard.state);
    put(record.remote_diagnostic, heard.diagnostic);
    put(record.detect_multiplier, said.detect_multiplier);
    put(record.remote_detect_multiplier, heard.detect_multiplier);
    put(record.polling, session.polling());
    put(record.path_failed, session.path_failed());
    put(record.remote_demand, heard.demand);
    put(record.remote_independent, heard.control_plane_independent);
    put(record.remote_discriminator, session.remote_discriminator());
    put(record.desired_min_tx, said.desired_min_tx);
    put(record.required_min_rx, said.required_min_rx);
    put(record.remote_desired_min_tx, heard.desired_min_tx);
    put(record.remote_required_min_rx, heard.required_min_rx);
    put(record.transmit_interval, microseconds(session.transmit_interval()));
    put(record.detection_time, microseconds(session.detection_time()));
    record.state.store(static_cast<std::uint8_t>(session.state()), std::memory_order_release);
}

void Engine::tell() noexcept {
    std::size_t told = 0;
    while (told < untold_count_ && wiring_.events.push(untold_[told])) {
        slots_[untold_[told++]].untold = false;
    }
    std::copy(untold_.begin() + static_cast<std::ptrdiff_t>(told),
              untold_.begin() + static_cast<std::ptrdiff_t>(untold_count_), untold_.begin());
    untold_count_ -= told;
}

/// SplitMix64 (Steele, Lea, Flood 2014); for jitter only.
std::uint32_t Engine::random() noexcept {
    random_state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = random_state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>(z >> 32);
}

}  // namespace wye::bfd
