// A device that was reset or removed under its port: taken out of service without disturbing workers,
// and taken again when it is back.
// Debian's DPDK is one release, and VFIO's wish for a device comes by no other function.
#define ALLOW_EXPERIMENTAL_API
#include <fmt/format.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "drivers/ethdev/devargs.hh"
#include "drivers/ethdev/port.hh"

namespace wye::drivers {
namespace {

constexpr std::chrono::milliseconds kBetweenTries{1000};

std::filesystem::path folder_of(const PortSpecification& specification) {
    return "/sys/bus/pci/devices/" + specification.pci_address;
}

/// Of the kernel, empty: none.
std::string kernel_driver(const PortSpecification& specification) {
    std::error_code ignored;
    return std::filesystem::read_symlink(folder_of(specification) / "driver", ignored)
        .filename()
        .string();
}

// Both are called on DPDK's interrupt thread.
int on_port_event(std::uint16_t, rte_eth_event_type event, void* port, void*) {
    static_cast<EthdevPort*>(port)->lose(event == RTE_ETH_EVENT_INTR_RMV ? Loss::removed
                                                                         : Loss::reset);
    return 0;
}

void on_device_event(const char*, rte_dev_event_type event, void* port) {
    if (event == RTE_DEV_EVENT_REMOVE) static_cast<EthdevPort*>(port)->lose(Loss::removed);
}

}  // namespace

void EthdevPort::open_gates() {
    condition_ = Condition::running;
    for (const auto& gate : gates_) gate->open(id_);
}

void EthdevPort::close_gates() {
    for (const auto& gate : gates_) gate->close();
    condition_ = Condition::closing;
}

bool EthdevPort::gates_closed() const {
    return std::all_of(gates_.begin(), gates_.end(),
                       [](const auto& gate) { return gate->closed(); });
}

void EthdevPort::listen() {
    for (const auto event : {RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV}) {
        (void)rte_eth_dev_callback_register(id_, event, on_port_event, this);
    }
    if (specification_.kind != PortKind::pci) return;
    // VFIO asks for the device back by this one.
    (void)rte_dev_event_callback_register(device_.c_str(), on_device_event, this);
    driver_ = kernel_driver(specification_);
}

void EthdevPort::stop_listening() {
    for (const auto event : {RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV}) {
        (void)rte_eth_dev_callback_unregister(id_, event, on_port_event, this);
    }
    if (specification_.kind != PortKind::pci) return;
    (void)rte_dev_event_callback_unregister(device_.c_str(), on_device_event, this);
}

std::vector<std::string> EthdevPort::tend() {
    if (specification_.kind == PortKind::memif || specification_.kind == PortKind::vhost_user) {
        std::vector<std::string> said =
            connects_memif() ? keep_memif_connected() : std::vector<std::string>{};
        for (std::string& text : look_at_pairs()) said.push_back(std::move(text));
        return said;
    }
    if (specification_.kind != PortKind::pci && specification_.kind != PortKind::vdev) return {};
    switch (condition_) {
        case Condition::running:
            return look();
        case Condition::closing:
            if (gates_closed()) put_away();
            return {};
        case Condition::away:
            return bring_back();
    }
    return {};
}

std::vector<std::string> EthdevPort::look() {
    Loss loss = loss_.exchange(Loss::none);
    std::error_code ignored;
    if (loss == Loss::none && specification_.kind == PortKind::pci &&
        !std::filesystem::exists(folder_of(specification_), ignored)) {
        loss = Loss::removed;  // without a word
    }
    if (loss == Loss::none && was_reset_silently()) loss = Loss::reset;
    if (loss == Loss::none) return {};
    close_gates();
    return {error(loss == Loss::removed ? "its device is taken away; waits for it to come back"
                                        : "its device was reset; takes it anew")
                .text};
}

bool EthdevPort::was_reset_silently() {
    if (!asks_for_reset_ || monotonic_now() < next_question_) return false;
    next_question_ = monotonic_now() + kBetweenTries;
    return vlans_.was_reset(id_);
}

/// No worker uses it any more.
void EthdevPort::put_away() {
    stop_listening();
    stop();
    rte_eth_dev_info info{};
    const bool known = rte_eth_dev_info_get(id_, &info) == 0;
    (void)rte_eth_dev_close(id_);
    if (specification_.kind != PortKind::pci) {
        (void)rte_vdev_uninit(device_.c_str());
    } else if (known && info.device != nullptr) {
        (void)rte_dev_remove(info.device);
    }
    id_ = QueueGate::kNone;
    device_.clear();
    vlans_.forget();
    next_question_ = monotonic_now() + kBetweenTries;
    loss_ = Loss::none;
    next_try_ = monotonic_now();
    condition_ = Condition::away;
}

std::vector<std::string> EthdevPort::bring_back() {
    if (monotonic_now() < next_try_) return {};
    next_try_ = monotonic_now() + kBetweenTries;
    if (specification_.kind == PortKind::pci) {
        // Not before it is bound again to what it was: then it is meant for us.
        if (kernel_driver(specification_) != driver_) return {};
        if (rte_eal_hotplug_add("pci", specification_.pci_address.c_str(), "") != 0) {
            return say_once("its device cannot be taken; goes on trying");
        }
    }
    if (const Status probed = probe_device(); !probed) return say_once(probed.error().text);
    if (const Status started = start(*pool_); !started) {
        put_away();
        next_try_ = monotonic_now() + kBetweenTries;
        return say_once(started.error().text);
    }
    said_.clear();
    return {error("its device is back").text};
}

std::vector<std::string> EthdevPort::say_once(const std::string& text) {
    if (text == said_) return {};
    said_ = text;
    return {error(text).text};
}

}  // namespace wye::drivers
