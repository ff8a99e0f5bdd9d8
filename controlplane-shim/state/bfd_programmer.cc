#include "controlplane-shim/state/bfd_programmer.hh"

#include <algorithm>
#include <array>

#include "dataplane/ring/text.hh"

namespace wye::state {
namespace {

bool is_link_local(const net::IpAddress& address) {
    return !address.is_ipv4() && address.ipv6().is_link_local();
}

bool is_link_local_prefix(const net::InterfaceAddress& own) {
    return is_link_local(own.address);
}

bool covers(const net::InterfaceAddress& own, const net::IpAddress& address) {
    return own.address.family == address.family &&
           net::mask(own.address, own.length) == net::mask(address, own.length);
}

ring::Command object_command(ring::Opcode opcode, ring::Handle object) {
    ring::Command command;
    command.header.opcode = opcode;
    command.body.object.object = object;
    return command;
}

std::string describe(const bfdd::Request& request) {
    return "the session with " + net::to_string(request.remote) +
           (request.local ? " from " + net::to_string(*request.local) : "");
}

}  // namespace

// What bfdd says.

void BfdProgrammer::bfdd_connected(std::size_t link) {
    if (open_) begin(link);
}

/// Its VRFs' sessions become stale; when it has had time to tell them, what still is goes.
void BfdProgrammer::begin(std::size_t link) {
    for (const TableIndex table : tables_of(link)) {
        marks_.push_back(object_command(ring::Opcode::bfd_begin, topology_.tables[table].handle));
    }
    settles_[link] = Clock::now() + kSettle;
    for (auto& [key, entry] : entries_) {
        if (key.first == link) entry.to_send = entry.place.has_value();
    }
}

void BfdProgrammer::bfdd_gone(std::size_t link) {
    settles_.erase(link);
    std::erase_if(entries_, [&](const auto& item) {
        if (item.first.first != link) return false;
        handles_.erase(item.second.handle);
        return true;
    });
}

void BfdProgrammer::bfdd_said(std::size_t link, const bfdd::Message& message) {
    if (const auto* const wanted = std::get_if<bfdd::Add>(&message)) {
        add({link, wanted->request.id}, wanted->request);
    } else if (const auto* const gone = std::get_if<bfdd::Delete>(&message)) {
        remove({link, gone->id});
    } else if (const auto* const counters = std::get_if<bfdd::CountersWanted>(&message)) {
        answer_counters(link, *counters);
    } else if (const auto* const echo = std::get_if<bfdd::Echo>(&message)) {
        links_->send(link, bfdd::encode_reply(*echo));
    }
}

void BfdProgrammer::add(const Key& key, const bfdd::Request& request) {
    Entry& entry = entries_[key];
    entry.request = request;
    place(key, entry);
    entry.to_send = entry.place.has_value();
}

void BfdProgrammer::remove(const Key& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    const Entry& entry = found->second;
    if (entry.handle != ring::kNoHandle && open_) {
        marks_.push_back(object_command(ring::Opcode::bfd_delete, entry.handle));
    }
    handles_.erase(entry.handle);
    entries_.erase(found);
}

// Where it is.

std::set<TableIndex> BfdProgrammer::tables_of(std::size_t link) const {
    std::set<std::string> bound;  // VRFs with a bfdd of their own
    for (const bfdd::Address& address : links_->addresses()) bound.insert(address.vrf);
    const std::string& own = links_->addresses()[link].vrf;
    std::set<TableIndex> tables;
    for (TableIndex i = 0; i < topology_.tables.size(); ++i) {
        const TableView& table = topology_.tables[i];
        if (!table.usable()) continue;
        if (own.empty() ? !bound.contains(table.vrf) : own == table.vrf) tables.insert(i);
    }
    return tables;
}

/// A local address of the VRF, or where none is said a subnet of it with the neighbour.
bool BfdProgrammer::has_address(TableIndex table, const bfdd::Request& request) const {
    return std::any_of(
        topology_.vports.begin(), topology_.vports.end(), [&](const VportView& vport) {
            return vport.table == table && vport.usable() &&
                   std::any_of(vport.addresses.begin(), vport.addresses.end(),
                               [&](const net::InterfaceAddress& own) {
                                   return request.local ? own.address == *request.local
                                                        : covers(own, request.remote) &&
                                                              !is_link_local_prefix(own);
                               });
        });
}

std::string BfdProgrammer::find_table(const Key& key, const bfdd::Request& request,
                                      Place& found) const {
    const std::set<TableIndex> tables = tables_of(key.first);
    const std::string& bound = links_->addresses()[key.first].vrf;
    if (tables.empty()) {
        return bound.empty() ? "no VRF is there yet" : "the VRF " + bound + " is not there";
    }
    if (!bound.empty()) {
        found.table = *tables.begin();
        return {};
    }
    if (request.interface_index != 0) {
        for (const TableIndex table : tables) {
            if (vport_of(request, table) == kNoIndex) continue;
            if (found.table != kNoIndex) return "several VRFs have an interface of that index";
            found.table = table;
        }
        return found.table == kNoIndex
                   ? "its interface " + request.interface_name + " is no vport's"
                   : std::string{};
    }
    std::string names;
    for (const TableIndex table : tables) {
        if (!has_address(table, request)) continue;
        names += (names.empty() ? "" : ", ") + topology_.tables[table].vrf;
        found.table = found.table == kNoIndex ? table : TableIndex{kNoIndex - 1};
    }
    if (found.table == kNoIndex) return "no VRF has its local address or its subnet";
    if (found.table != kNoIndex - 1) return {};
    found.table = kNoIndex;
    return "it may be of " + names +
           ", and bfdd does not say: name its interface, or give each VRF a bfdd of its own "
           "(wye-shim --bfdd VRF=unix:/PATH)";
}

VportIndex BfdProgrammer::vport_of(const bfdd::Request& request, TableIndex table) const {
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) {
        const VportView& vport = topology_.vports[i];
        if (vport.table == table && vport.usable() && vport.twin &&
            vport.twin->index == request.interface_index) {
            return i;
        }
    }
    return kNoIndex;
}

VportIndex BfdProgrammer::vport_towards(const net::IpAddress& remote, TableIndex table) const {
    VportIndex best = kNoIndex;
    int length = -1;
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) {
        const VportView& vport = topology_.vports[i];
        if (vport.table != table || !vport.usable() || !vport.twin) continue;
        for (const net::InterfaceAddress& own : vport.addresses) {
            if (!covers(own, remote) || is_link_local_prefix(own) || own.length <= length) continue;
            best = i;
            length = own.length;
        }
    }
    return best;
}

std::optional<net::IpAddress> BfdProgrammer::local_of(VportIndex vport,
                                                      const net::IpAddress& remote) const {
    for (const net::InterfaceAddress& own : topology_.vports[vport].addresses) {
        if (covers(own, remote)) return own.address;
    }
    return std::nullopt;
}

std::string BfdProgrammer::find_place(const Key& key, const bfdd::Request& request,
                                      Place& found) const {
    if (request.demand) return "demand mode is not supported";
    if (request.echo) return "the echo function is not supported";
    if (std::string why = find_table(key, request, found); !why.empty()) return why;
    if (request.multihop) {
        if (!request.local) return "a multihop session needs its local address";
        found.local = *request.local;
        return {};
    }
    found.vport = request.interface_index != 0 ? vport_of(request, found.table)
                                               : vport_towards(request.remote, found.table);
    if (found.vport == kNoIndex) {
        return request.interface_index != 0
                   ? "its interface " + request.interface_name + " is no vport's of the VRF " +
                         topology_.tables[found.table].vrf
                   : "no vport's subnet has the neighbour: name its interface";
    }
    const auto local = request.local ? request.local : local_of(found.vport, request.remote);
    if (!local) return "the vport has no address to the neighbour: give a local-address";
    found.local = *local;
    return {};
}

void BfdProgrammer::place(const Key& key, Entry& entry) {
    Place found;
    std::string why = find_place(key, entry.request, found);
    std::optional<Place> now;
    if (why.empty()) now = found;
    if (entry.place != now) {
        // Another identity is another session; the one before goes.
        if (entry.present && open_) {
            marks_.push_back(object_command(ring::Opcode::bfd_delete, entry.handle));
        }
        handles_.erase(entry.handle);
        entry.handle = ring::kNoHandle;
        entry.present = false;
        entry.place = now;
        entry.to_send = now.has_value();
        entry.told.reset();
    }
    if (!why.empty() && why != entry.refused) log_("bfd: " + describe(entry.request) + ": " + why);
    if (!why.empty() || !now) entry.refused = why;
}

void BfdProgrammer::topology_changed() {
    if (links_ == nullptr) return;
    for (auto& [key, entry] : entries_) place(key, entry);
    for (auto settle = settles_.begin(); settle != settles_.end();) {
        if (Clock::now() < settle->second) {
            ++settle;
            continue;
        }
        for (const TableIndex table : tables_of(settle->first)) {
            marks_.push_back(object_command(ring::Opcode::bfd_end, topology_.tables[table].handle));
        }
        settle = settles_.erase(settle);
    }
}

// The data plane.

void BfdProgrammer::session_opened(const std::string& path, std::uint16_t version) {
    if (links_ == nullptr) return;
    if (version < kVersion) {
        log_("bfd: the data plane is of an older version and knows no BFD: upgrade it");
        return;
    }
    open_ = true;
    file_.reset();
    auto file = table::BfdFile::open_read_only(path);
    if (file) {
        file_ = std::move(*file);
    } else {
        log_("bfd: " + file.error().text);
    }
    for (std::size_t link = 0; link < links_->addresses().size(); ++link) {
        if (links_->connected(link)) begin(link);
    }
    topology_changed();
}

void BfdProgrammer::session_closed() {
    open_ = false;
    marks_.clear();
    settles_.clear();
    handles_.clear();
    for (auto& [key, entry] : entries_) {
        entry.handle = ring::kNoHandle;
        entry.present = false;
        entry.to_send = entry.place.has_value();
    }
}

ring::Command BfdProgrammer::command_of(const Entry& entry) const {
    ring::Command command;
    command.header.opcode = ring::Opcode::bfd_set;
    ring::BfdSet& body = command.body.bfd;
    const bfdd::Request& request = entry.request;
    body.session = entry.handle;
    body.vrf = topology_.tables[entry.place->table].handle;
    if (entry.place->vport != kNoIndex) body.vport = topology_.vports[entry.place->vport].handle;
    body.discriminator = request.id;
    body.desired_min_tx = request.desired_min_tx;
    body.required_min_rx = request.required_min_rx;
    body.local = entry.place->local;
    body.remote = request.remote;
    body.detect_multiplier = request.detect_multiplier;
    body.least_hop_limit = request.multihop ? request.least_hop_limit : std::uint8_t{0};
    body.passive = request.passive ? 1 : 0;
    body.admin_down = request.shutdown ? 1 : 0;
    body.control_plane_independent = request.control_plane_independent ? 1 : 0;
    return command;
}

void BfdProgrammer::run(StreamWriter& writer) {
    if (!open_) return;
    while (!marks_.empty() && !writer.full()) {
        writer.push(marks_.front());
        marks_.pop_front();
    }
    for (auto& [key, entry] : entries_) {
        if (!entry.to_send || writer.full()) continue;
        entry.to_send = false;
        if (entry.handle == ring::kNoHandle) {
            entry.handle = ++last_handle_;
            handles_[entry.handle] = key;
        }
        writer.push(command_of(entry));
    }
}

void BfdProgrammer::completed(const StreamWriter::Sent& sent, const ring::Completion& completion) {
    if (sent.opcode != ring::Opcode::bfd_set) return;
    const auto key = handles_.find(sent.object);
    if (key == handles_.end()) return;  // deleted meanwhile
    Entry& entry = entries_.at(key->second);
    entry.present = completion.outcome == ring::Outcome::accepted;
    if (entry.present) {
        entry.slot = completion.detail;
        entry.refused.clear();
        tell(key->second, entry);
        return;
    }
    entry.refused = ring::outcome_words(completion.outcome);
    log_("bfd: " + describe(entry.request) + " was refused: " + entry.refused);
}

void BfdProgrammer::changed(ring::Handle handle) {
    for (auto& [key, entry] : entries_) {
        if (entry.present && (handle == ring::kNoHandle || handle == entry.handle)) {
            tell(key, entry);
        }
    }
}

const table::BfdRecord* BfdProgrammer::record_of(const Entry& entry) const {
    if (!file_ || !entry.present || entry.slot >= table::kMaxBfdSessions) return nullptr;
    const table::BfdRecord& record = file_->record(entry.slot);
    return record.discriminator.load(std::memory_order_acquire) == 0 ? nullptr : &record;
}

void BfdProgrammer::tell(const Key& key, Entry& entry) {
    const table::BfdRecord* const record = record_of(entry);
    if (record == nullptr) return;
    bfdd::StateChange change;
    change.id = entry.request.id;
    change.state = static_cast<net::BfdState>(record->state.load(std::memory_order_acquire));
    change.diagnostic = static_cast<net::BfdDiagnostic>(record->diagnostic.load());
    change.remote_discriminator = record->remote_discriminator.load();
    change.remote_detect_multiplier = record->remote_detect_multiplier.load();
    change.remote_demand = record->remote_demand.load() != 0;
    change.remote_independent = record->remote_independent.load() != 0;
    change.remote_desired_min_tx = record->remote_desired_min_tx.load();
    change.remote_required_min_rx = record->remote_required_min_rx.load();
    if (entry.told == change) return;
    links_->send(key.first, bfdd::encode(change));
    entry.told = change;
}

void BfdProgrammer::answer_counters(std::size_t link, const bfdd::CountersWanted& wanted) {
    bfdd::Counters counters;
    counters.id = wanted.id;
    const auto found = entries_.find({link, wanted.id});
    if (found != entries_.end()) {
        if (const table::BfdRecord* const record = record_of(found->second)) {
            counters.packets_in = record->packets_in.get();
            counters.packets_out = record->packets_out.get();
        }
    }
    links_->send(link, bfdd::encode(counters, wanted.message));
}

}  // namespace wye::state
