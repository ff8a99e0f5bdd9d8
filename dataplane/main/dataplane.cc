#include "dataplane/main/dataplane.hh"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <set>

#include "dataplane/control/control.hh"
#include "dataplane/main/control_loop.hh"
#include "dataplane/main/host_twins.hh"
#include "dataplane/main/lease_server.hh"
#include "dataplane/main/notify.hh"
#include "dataplane/main/other_threads.hh"
#include "dataplane/main/placement_request.hh"
#include "dataplane/main/privileges.hh"
#include "dataplane/main/run_dir.hh"
#include "dataplane/main/session_server.hh"
#include "dataplane/main/settle.hh"
#include "dataplane/main/tables.hh"
#include "dataplane/ring/unix_socket.hh"
#include "dataplane/worker/crew.hh"
#include "dataplane/worker/cycles.hh"
#include "dataplane/worker/watchdog.hh"
#include "dataplane/worker/worker.hh"
#include "drivers/ethdev/buffer_pools.hh"
#include "drivers/ethdev/eal.hh"
#include "drivers/port.hh"

namespace wye::dataplane {

using drivers::BufferPools;
using drivers::Port;
using drivers::PortKind;
using drivers::PortSpecification;
using table::SlotKind;

namespace {

/// Where everything goes, and what it was planned from.
struct Placement {
    drivers::Machine machine;
    drivers::PlacementRequest request;
    drivers::Plan plan;
};

/// Ends EAL after everything that came after it.
struct EalGuard {
    ~EalGuard() { drivers::stop_eal(); }
};

/// The control thread's way to the workers.
class CrewKeeper final : public control::WorkerKeeper {
  public:
    /// `changed`: called after each change, before it is answered.
    void keep(worker::Crew& crew, std::function<void()> changed) {
        crew_ = &crew;
        changed_ = std::move(changed);
    }
    ring::Outcome add(std::uint32_t worker, std::uint32_t core, bool shares_core) override {
        return tell(crew_->add(worker, core, shares_core));
    }
    ring::Outcome move(std::uint32_t worker, std::uint32_t core, bool shares_core) override {
        return tell(crew_->move(worker, core, shares_core));
    }
    ring::Outcome remove(std::uint32_t worker) override { return crew_->remove(worker); }
    ring::Outcome place(std::uint32_t queue, std::uint32_t worker) override {
        return crew_->place(queue, worker);
    }

  private:
    ring::Outcome tell(ring::Outcome outcome) const {
        changed_();
        return outcome;
    }
    worker::Crew* crew_ = nullptr;
    std::function<void()> changed_;
};

std::vector<drivers::NodeMegabytes> megabytes_by_node(const drivers::Plan& plan) {
    std::vector<drivers::NodeMegabytes> nodes;
    for (const auto& memory : plan.memory) nodes.push_back({memory.node, memory.megabytes});
    return nodes;
}

worker::Line line_of(drivers::Port& port, PortId id) {
    worker::Line line;
    line.port = id;
    line.receive_queues = port.receive_queues();
    line.transmit_queues = port.transmit_queues();
    line.pairs_apart = port.pairs_apart();
    line.spread = port.specification().spread;
    const auto pairs = std::max(port.receive_queues(), port.transmit_queues());
    for (std::uint16_t i = 0; i < pairs; ++i) line.queues.push_back(port.queue(i));
    return line;
}

}  // namespace

/// In the order in which they are made; they go in reverse.
struct Dataplane::Parts {
    Configuration configuration;
    Placement placement;
    std::uint64_t instance = 0;
    Descriptor lock;
    Descriptor signals;
    std::unique_ptr<EalGuard> eal;
    bool hugepages = false;
    std::optional<BufferPools> pools;
    std::vector<std::unique_ptr<Port>> ports;
    std::vector<PortId> port_ids;
    std::optional<table::CounterFile> counters;
    bool ids_kept = false;    // the counter file is that of a predecessor
    Descriptor table_folder;  // locked, where the tables are not in run_dir
    table::Published published;
    std::unique_ptr<table::Epochs> epochs;
    std::unique_ptr<table::Liveness> liveness;
    ring::Wakeup control_wakeup;
    std::unique_ptr<worker::BfdSeat> bfd_seat;
    std::optional<bfd::Desk> bfd_desk;
    Cpus usable;                // CPUs that this process may have
    std::vector<pid_t> others;  // threads that are no workers
    std::unique_ptr<worker::Crew> crew;
    CrewKeeper crew_keeper;
    std::optional<worker::Watchdog> watchdog;
    std::unique_ptr<host::HostThread> host;
    std::unique_ptr<HostTwins> twins;
    std::unique_ptr<control::Control> control;
    std::unique_ptr<SessionServer> sessions;
    std::unique_ptr<LeaseServer> leases;

    Outcome<void> start_environment();
    Outcome<void> make_pools(std::uint32_t longest_frame);
    Outcome<void> take_ports();
    Outcome<void> open_counters();
    void name_ports();
    Outcome<void> make_bfd();
    void make_crew();
    void make_watchdog();
    void make_host();
    Outcome<void> make_control();
    Outcome<void> start_threads();
    [[nodiscard]] Cpus worker_cpus() const;
    void seat_others();
    [[nodiscard]] std::vector<WatchedPort> watched_ports() const;
    [[nodiscard]] std::vector<ring::PortMessage> port_messages() const;
    void stop();
};

Outcome<void> Dataplane::Parts::start_environment() {
    drivers::EalOptions options;
    options.instance = configuration.instance;
    options.hugepages = static_cast<drivers::HugepagePolicy>(configuration.memory.hugepages);
    options.megabytes = configuration.memory.megabytes;
    options.plugins = configuration.eal_drivers;
    for (const PortSpecification& port : configuration.ports) {
        if (port.kind == PortKind::pci) options.pci_addresses.push_back(port.pci_address);
        if (port.kind == PortKind::memif && port.socket.zero_copy) {
            options.single_file_segments = true;
        }
    }
    if (placement.plan.several_nodes) options.nodes = megabytes_by_node(placement.plan);
    const auto started = drivers::start_eal(options);
    if (!started) return failure(ExitCode::environment, started.error().text);
    eal = std::make_unique<EalGuard>();
    hugepages = started->hugepages;
    for (const std::string& note : started->notes) say(note);
    return {};
}

/// Without hugepages DPDK knows no nodes.
Outcome<void> Dataplane::Parts::make_pools(std::uint32_t longest_frame) {
    const drivers::Plan& plan = placement.plan;
    std::vector<BufferPools::Wanted> wanted;
    if (plan.several_nodes && hugepages) {
        for (const std::uint32_t node : plan.pools()) {
            wanted.push_back({node, plan.memory_of(node)->megabytes});
        }
    } else {
        wanted.push_back({std::nullopt, configuration.memory.megabytes});
    }
    auto made = BufferPools::create(wanted, longest_frame);
    if (!made) return failure(ExitCode::environment, made.error().text);
    pools.emplace(std::move(*made));
    for (const BufferPools::Wanted& one : wanted) {
        if (!one.node) continue;
        say(fmt::format("{} packet buffers on NUMA node {}", pools->near(*one.node).size(),
                        *one.node));
    }
    return {};
}

Outcome<void> Dataplane::Parts::take_ports() {
    const auto queues = static_cast<std::uint16_t>(configuration.max_workers);
    std::uint32_t longest = 0;
    for (const PortSpecification& specification : configuration.ports) {
        auto port = drivers::probe_port(specification, queues);
        if (!port) return failure(ExitCode::device, port.error().text);
        longest = std::max(longest, (*port)->buffer_bytes());
        ports.push_back(std::move(*port));
    }
    if (auto made = make_pools(longest); !made) return made;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        drivers::MbufPool& pool = pools->near(placement.plan.ports[i].buffers_on);
        if (const Status started = ports[i]->start(pool); !started) {
            return failure(ExitCode::device, started.error().text);
        }
        if (const std::string text = ports[i]->description(); !text.empty()) say(text);
    }
    return {};
}

Outcome<void> Dataplane::Parts::open_counters() {
    const table::ArenaLimits& limits = configuration.limits;
    table::CounterLimits wanted;
    wanted.workers = configuration.max_workers + 1;  // the host's
    wanted.tenants = limits.tenants;
    wanted.vports = limits.vports;
    wanted.tunnels = limits.tunnels;
    wanted.vrfs = limits.vrfs;
    wanted.rules = configuration.max_acl_rules;
    const std::string path = configuration.run_dir + "/counters";
    auto file = table::CounterFile::open_or_create(path, wanted, ids_kept);
    if (!file) return failure(ExitCode::run_dir, file.error().text);
    counters.emplace(std::move(*file));
    if (!ids_kept) return {};
    if (const std::uint64_t lost = settle_ledger(*counters); lost > 0) {
        say(fmt::format("{} packets were inside when the data plane ended (restart_lost)", lost));
    }
    return {};
}

/// A port keeps its id, and with it its counters, as long as the configuration has its name.
void Dataplane::Parts::name_ports() {
    std::set<std::string_view> names;
    for (const auto& port : configuration.ports) names.insert(port.name.view());
    for (std::uint32_t slot = 0; slot < counters->limits().ports; ++slot) {
        const std::string_view name = counters->name(SlotKind::port, slot);
        if (!name.empty() && !names.contains(name)) counters->release(SlotKind::port, slot);
    }
    for (const auto& port : configuration.ports) {
        const auto slot = counters->claim(SlotKind::port, port.name);
        WYE_CHECK(slot.has_value(), "more ports than the configuration allows");
        port_ids.emplace_back(*slot);
    }
}

Outcome<void> Dataplane::Parts::make_bfd() {
    auto file = table::BfdFile::create(configuration.run_dir + "/bfd");
    if (!file) return failure(ExitCode::run_dir, file.error().text);
    bfd_seat =
        std::make_unique<worker::BfdSeat>(configuration.max_workers, configuration.limits.vrfs,
                                          *liveness, std::move(*file), worker::cycles_per_second());
    bfd_desk.emplace(bfd::Desk{bfd_seat->orders, bfd_seat->events, bfd_seat->file, bfd_seat->vrfs});
    return {};
}

void Dataplane::Parts::make_crew() {
    std::vector<std::unique_ptr<worker::Worker>> workers;
    for (std::uint32_t i = 0; i < configuration.max_workers; ++i) {
        const worker::Options options{WorkerId{i}, std::nullopt,
                                      static_cast<worker::Idle>(configuration.idle)};
        const auto& cores = configuration.worker_cores;
        const worker::Shared shared{
            i < cores.size() ? pools->near(placement.plan.pool_for(cores[i])) : pools->first(),
            published,
            *epochs,
            *liveness,
            counters->block(WorkerId{i}),
            nullptr,
            &control_wakeup,
            drivers::enter_eal_thread,
            drivers::leave_eal_thread,
            bfd_seat.get()};
        workers.push_back(std::make_unique<worker::Worker>(options, shared));
    }
    const auto is_usable = [this](std::uint32_t core) {
        return std::ranges::find(usable, core) != usable.end();
    };
    crew =
        std::make_unique<worker::Crew>(worker::Crew::Options{pools->first(), *counters, is_usable,
                                                             nullptr, nullptr, bfd_seat.get()},
                                       std::move(workers));
    // What it is asked for shows in the records at once, and not at the next look.
    crew_keeper.keep(*crew, [this] {
        watchdog->look(monotonic_now());
        seat_others();
    });
    for (std::size_t p = 0; p < ports.size(); ++p) {
        crew->connect(line_of(*ports[p], port_ids[p]));
        if (ports[p]->receive_queues() >= configuration.max_workers ||
            ports[p]->specification().spread) {
            continue;
        }
        say(fmt::format(
            "port \"{}\" has {} queue(s) to receive from: no more workers than that get "
            "its packets; spread: true would share them out in software",
            ports[p]->specification().name.view(), ports[p]->receive_queues()));
    }
}

void Dataplane::Parts::make_watchdog() {
    worker::Watchdog::Options options;
    options.stalled_after = configuration.stall_milliseconds == 0
                                ? Nanoseconds::max()
                                : std::chrono::milliseconds(configuration.stall_milliseconds);
    watchdog.emplace(options, say);
    for (const auto& worker : crew->workers()) {
        watchdog->watch(*worker, counters->record(worker->id()));
    }
}

void Dataplane::Parts::make_host() {
    std::vector<host::WorkerSide> sides;
    for (const auto& worker : crew->workers()) {
        sides.push_back({&worker->punts(), &worker->from_host(), &worker->wakeup(),
                         &crew->takes_part(worker->id().value)});
    }
    const std::uint32_t block = configuration.max_workers;
    host::Options options{[this] { control_wakeup.notify(); }, drivers::enter_eal_thread,
                          drivers::leave_eal_thread};
    host = std::make_unique<host::HostThread>(pools->first(), counters->block(WorkerId{block}),
                                              std::move(sides), std::move(options));
    for (const auto& worker : crew->workers()) worker->set_host_wakeup(&host->wakeup());
    crew->set_host(counters->block(WorkerId{block}).worker->polls, host->wakeup());
    twins = std::make_unique<HostTwins>(*host);
}

Outcome<void> Dataplane::Parts::make_control() {
    TablesRequest request;
    request.run_dir = configuration.run_dir;
    request.place.instance = configuration.instance;
    request.place.folder = configuration.tables.folder;
    request.place.hugepages = configuration.memory.hugepages != Hugepages::never;
    request.place.limits = configuration.limits;
    request.process = instance;
    request.ids_kept = ids_kept;
    auto tables = open_tables(request);
    if (!tables) return tl::unexpected(tables.error());
    table_folder = std::move(tables->folder_lock);
    for (const std::string& note : tables->notes) say(note);
    control::Wiring wiring{*counters, published,   *epochs,      *liveness, {},
                           {},        twins.get(), &crew_keeper, &*bfd_desk};
    for (std::size_t i = 0; i < ports.size(); ++i) {
        wiring.ports.push_back({configuration.ports[i].name, port_ids[i], ports[i]->link_up()});
    }
    for (const auto& worker : crew->workers()) wiring.resolves.push_back(&worker->resolves());
    control =
        std::make_unique<control::Control>(std::move(tables->arena), std::move(wiring),
                                           control::Options{}, std::move(tables->predecessor));
    auto listener = ring::listen_sessions(configuration.run_dir + "/dataplane.sock");
    if (!listener) return failure(ExitCode::run_dir, listener.error().text);
    SessionSettings settings;
    settings.workers = static_cast<std::uint16_t>(configuration.worker_cores.size());
    settings.instance = instance;
    settings.ports = [this] { return port_messages(); };
    sessions = std::make_unique<SessionServer>(std::move(*listener), *control, settings);
    auto readers =
        ring::listen_unix(configuration.run_dir + "/lease.sock", SOCK_SEQPACKET, "a data plane");
    if (!readers) return failure(ExitCode::run_dir, readers.error().text);
    leases = std::make_unique<LeaseServer>(std::move(*readers), *control);
    return {};
}

Outcome<void> Dataplane::Parts::start_threads() {
    host->start();
    others = threads_of_process();
    seat_others();
    const std::vector<std::optional<std::uint32_t>> cores(configuration.worker_cores.begin(),
                                                          configuration.worker_cores.end());
    if (const Status started = crew->start(cores); !started) {
        return failure(ExitCode::core, started.error().text);
    }
    return {};
}

Cpus Dataplane::Parts::worker_cpus() const {
    Cpus cpus;
    if (!crew) return configuration.worker_cores;
    for (const auto& worker : crew->workers()) {
        if (worker->running() && worker->core()) cpus.push_back(*worker->core());
    }
    return cpus.empty() ? configuration.worker_cores : cpus;
}

/// All threads that there are before the first worker: where the plan has them, for the cores that
/// workers have now.
void Dataplane::Parts::seat_others() {
    drivers::PlacementRequest request = placement.request;
    request.cores = worker_cpus();
    const auto planned = drivers::plan_placement(placement.machine, request).other_cpus();
    pin_threads(others, cpus_for_others(planned, usable, request.cores));
}

std::vector<WatchedPort> Dataplane::Parts::watched_ports() const {
    std::vector<WatchedPort> watched;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        Port* port = ports[i].get();
        watched.push_back({port_ids[i],
                           [port] {
                               for (const std::string& said : port->tend()) say(said);
                               return port->link_up();
                           },
                           port->link_up(),
                           [port](const std::vector<std::uint16_t>& vlans) {
                               for (const std::string& said : port->set_vlans(vlans)) say(said);
                           }});
    }
    return watched;
}

std::vector<ring::PortMessage> Dataplane::Parts::port_messages() const {
    std::vector<ring::PortMessage> messages;
    for (const auto& port : ports) {
        const drivers::PortUse use = port->use();
        auto message = ring::make_message<ring::PortMessage>();
        message.port = port->specification().name;
        message.receive_queues = port->receive_queues();
        ring::set_words(message.driver, use.driver);
        ring::set_words(message.mode, use.mode);
        ring::set_words(message.buffers, use.buffers);
        ring::set_words(message.takes, use.takes);
        ring::set_words(message.offloads, use.offloads);
        messages.push_back(message);
    }
    return messages;
}

void Dataplane::Parts::stop() {
    if (crew) crew->stop();
    if (host) host->stop();
    leases.reset();
    sessions.reset();
    control.reset();
    twins.reset();
    host.reset();
    watchdog.reset();
    crew.reset();   // their queues before the ports
    ports.clear();  // they give their buffers back before the pool goes
    if (pools && pools->in_use() > 0) {
        say(fmt::format("{} packet buffers were not given back", pools->in_use()));
    }
    if (counters) (void)settle_ledger(*counters);
    if (lock.valid()) leave_run_dir(configuration.run_dir);
}

namespace {

std::uint64_t random_number() {
    std::uint64_t number = 0;
    (void)getrandom(&number, sizeof number, 0);
    return number | 1;  // 0 means none
}

/// Twins are descriptors, two for each: as many as the system lets us have.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/// A PCI device that comes back is given our memory anew, when the right to lock it is gone.
void raise_locked_limit(const Configuration& configuration) {
    const auto& ports = configuration.ports;
    if (std::none_of(ports.begin(), ports.end(),
                     [](const PortSpecification& port) { return port.kind == PortKind::pci; })) {
        return;
    }
    const rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
    (void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

bool needs_net_admin(const Configuration& configuration) {
    return std::any_of(configuration.ports.begin(), configuration.ports.end(),
                       [](const PortSpecification& port) {
                           return port.kind == PortKind::af_packet || port.kind == PortKind::tap ||
                                  port.kind == PortKind::vdev;
                       });
}

/// Prints warnings.
Outcome<Placement> place(const Configuration& configuration) {
    const auto topology = drivers::Topology::of_this_machine();
    if (!topology) return failure(ExitCode::core, topology.error().text);
    Placement placement;
    placement.machine = drivers::machine_of(*topology, drivers::read_isolation());
    placement.request = placement_request(configuration);
    placement.plan = drivers::plan_placement(placement.machine, placement.request);
    std::vector<std::string> refusals;
    for (const drivers::Advice& advice : placement.plan.advice) {
        if (advice.severity == drivers::Advice::Severity::refusal) refusals.push_back(advice.text);
        if (advice.severity != drivers::Advice::Severity::warning) continue;
        say(fmt::format("warning: {} ({})", advice.text, advice.fix));
    }
    if (refusals.empty()) return placement;
    return failure(ExitCode::core, fmt::format("{}", fmt::join(refusals, "; ")));
}

}  // namespace

Outcome<void> check_cores(const Configuration& configuration) {
    return place(configuration).map([](const Placement&) {});
}

Dataplane::Dataplane(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Dataplane::~Dataplane() {
    parts_->stop();
}

Outcome<std::unique_ptr<Dataplane>> Dataplane::start(const Configuration& configuration) {
    auto placement = place(configuration);
    if (!placement) return tl::unexpected(placement.error());
    auto lock = take_run_dir(configuration.run_dir);
    if (!lock) return tl::unexpected(lock.error());

    std::unique_ptr<Dataplane> made(new Dataplane(std::make_unique<Parts>()));
    Parts& parts = *made->parts_;
    parts.configuration = configuration;
    parts.placement = std::move(*placement);
    parts.instance = random_number();
    parts.lock = std::move(*lock);
    parts.signals = catch_signals();
    raise_descriptor_limit();
    raise_locked_limit(configuration);
    parts.usable = usable_cpus();
    const auto devices =
        parts.start_environment().and_then([&] { return parts.take_ports(); }).and_then([&] {
            return parts.open_counters();
        });
    if (!devices) return tl::unexpected(devices.error());
    // Those that come from here on inherit it. DPDK's own keep all privileges, and what has fewer may not
    // move them.
    parts.others = threads_of_process();
    parts.seat_others();
    const bool keep = needs_net_admin(configuration);
    if (const Status dropped = drop_privileges(keep); !dropped) {
        return failure(ExitCode::failed, dropped.error().text);
    }
    parts.name_ports();
    parts.epochs = std::make_unique<table::Epochs>(configuration.max_workers);
    parts.liveness = std::make_unique<table::Liveness>(configuration.limits.nexthops);
    if (auto seat = parts.make_bfd(); !seat) return tl::unexpected(seat.error());
    parts.make_crew();
    parts.make_watchdog();
    parts.make_host();
    const auto running = parts.make_control().and_then([&] { return parts.start_threads(); });
    if (!running) return tl::unexpected(running.error());
    return made;
}

ExitCode Dataplane::run() {
    Parts& parts = *parts_;
    ControlLoop loop(*parts.control, *parts.sessions, *parts.leases, parts.control_wakeup,
                     std::move(parts.signals), parts.watched_ports(), [&parts](Nanoseconds now) {
                         parts.crew->advance();
                         parts.watchdog->look(now);
                     });
    tell_ready(fmt::format("instance {}, {} workers, {} ports", parts.configuration.instance,
                           parts.crew->running(), parts.ports.size()));
    const int signal = loop.run();
    say(fmt::format("ends at {}", signal == SIGTERM ? "SIGTERM" : "SIGINT"));
    return ExitCode::ok;
}

}  // namespace wye::dataplane
