// LinuxKernel: the Kernel of this machine. One listener and one request socket for each namespace
// in use; an epoll set over the listeners.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "controlplane-shim/kernel/kernel.hh"
#include "controlplane-shim/kernel/listener.hh"

namespace wye::kernel {

class LinuxKernel final : public Kernel {
  public:
    /// `instance` spreads the interface indexes. The sink outlives the kernel.
    static Result<std::unique_ptr<LinuxKernel>> create(std::string instance, KernelSink& sink,
                                                       int receive_buffer = 8 << 20);

    Status open_vrf(const manifest::KernelVrf& vrf) override;
    void keep_vrfs(const std::vector<manifest::KernelVrf>& vrfs) override;
    Result<Twin> make_twin(const TwinSpec& spec) override;
    Result<Twin> adopt_twin(const TwinSpec& spec, Descriptor descriptor) override;
    Status change_twin(const Twin& twin, const TwinSpec& from, const TwinSpec& to) override;
    void remove_twins(std::vector<std::pair<TwinSpec, Twin>> twins) override;
    void ask_neighbor(const InterfaceKey& interface, const net::IpAddress& address,
                      bool keep) override;
    void check_neighbor(const InterfaceKey& interface, const net::IpAddress& address) override;
    void forget_neighbor(const InterfaceKey& interface, const net::IpAddress& address) override;

    /// To be polled for input; then run().
    [[nodiscard]] int descriptor() const { return epoll_.get(); }
    void run();
    /// About once a second: asks again for what shall be kept where Linux does not do it itself.
    void tick();
    [[nodiscard]] const Listener* listener(const std::string& netns) const;

  private:
    struct Namespace {
        NetlinkSocket requests;
        std::unique_ptr<Listener> listener;
    };
    LinuxKernel(std::string instance, KernelSink& sink, Descriptor epoll, int receive_buffer)
        : instance_(std::move(instance)),
          sink_(sink),
          epoll_(std::move(epoll)),
          receive_buffer_(receive_buffer) {}
    Result<Namespace*> open(const std::string& netns);
    Result<std::uint32_t> master_of(Namespace& where, const manifest::KernelVrf& vrf);
    Status configure(const TwinSpec& spec, Namespace& where, std::uint32_t index);

    std::string instance_;
    KernelSink& sink_;
    Descriptor epoll_;
    int receive_buffer_;
    std::map<std::string, Namespace> namespaces_;
    std::set<std::pair<InterfaceKey, net::IpAddress>> kept_;
    unsigned ticks_ = 0;
};

}  // namespace wye::kernel
