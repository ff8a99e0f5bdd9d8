// What wyectl may ask of the shim, over its Unix socket: one JSON object a line each way.
//
//   → {"call": "apply", "file": "lab.yaml", "text": "…"}      (the manifest's text)
//   → {"call": "show", "what": "routes", "filter": {"tenant": "red", "match": "10.1.2.3"}}
//   ← {"ok": true, "result": …}  or  {"ok": false, "errors": ["file:line: path: text", …]}
//
// The socket is mode 0600 in the run directory; the peer's user id is checked. Implemented by
// controlplane-shim/state (State implements Service); transported by controlplane-shim/api.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace wye::api {

struct Reply {
    bool ok = true;
    nlohmann::json result;
    std::vector<std::string> errors;
};

class Service {
  public:
    virtual ~Service() = default;
    virtual Reply apply(const std::string& file_name, const std::string& text) = 0;
    /// `what`: ports, vports, tenants, vrfs, routes, nexthops, tunnels, neighbours, acls, counters,
    /// drops, workers, rings, status.
    virtual Reply show(const std::string& what, const nlohmann::json& filter) = 0;
};

}  // namespace wye::api
