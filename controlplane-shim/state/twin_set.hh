// TwinSet: the twins that the manifest calls for and those that are there. Made before the data
// plane is told of their vports, taken away after it has forgotten them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/kernel/kernel.hh"
#include "controlplane-shim/state/command_sink.hh"

namespace wye::state {

/// A descriptor that the data plane gave back to a restarted shim.
struct ReturnedTwin {
    ring::TwinMessage message{};
    Descriptor descriptor;
};

class TwinSet {
  public:
    using Key = std::pair<ring::TwinKind, std::string>;  // object's name
    using Specs = std::map<Key, kernel::TwinSpec>;
    struct Held {
        kernel::TwinSpec spec;
        kernel::Twin twin;
    };
    using Staged = std::map<Key, Held>;

    explicit TwinSet(kernel::Kernel& kernel) : kernel_(kernel) {}

    static Specs specs_of(const manifest::Manifest& manifest);
    /// Name of a VRF's `inject` device: at most 15 bytes.
    static std::string inject_name(const std::string& vrf);

    /// Makes what is new or must be made anew. Fails with every reason; then nothing was made. A twin
    /// whose interface name is taken over is removed first: if this or what follows fails, repair()
    /// with the former specs makes it anew.
    Staged stage(const Specs& wanted, CommandSink* sink, std::vector<std::string>& errors);
    void discard(Staged&& staged);
    /// Puts the staged ones in force, changes what stays, removes what is not wanted, and tells the
    /// data plane (if there is one). What could not be changed is said in `errors`.
    void commit(const Specs& wanted, Staged&& staged, CommandSink* sink,
                std::vector<std::string>& errors);

    /// A new session: takes back what fits, makes what is missing, hands over what the data plane
    /// does not have. Errors name what is missing then.
    void session_opened(const Specs& wanted, std::vector<ReturnedTwin> returned, CommandSink& sink,
                        std::vector<std::string>& errors);
    /// The interface is gone: forgets the twin; the next repair() makes it anew.
    bool lost(const kernel::InterfaceKey& interface);
    void repair(const Specs& wanted, CommandSink* sink, std::vector<std::string>& errors);

    [[nodiscard]] const std::map<Key, Held>& held() const { return held_; }

  private:
    void hand_over(const Key& key, const Held& held, CommandSink* sink,
                   std::vector<std::string>& errors);
    void take_away(const Key& key, CommandSink* sink);
    void free_names(const Specs& wanted, CommandSink* sink);

    kernel::Kernel& kernel_;
    std::map<Key, Held> held_;
};

}  // namespace wye::state
