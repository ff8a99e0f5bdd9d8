// The other end of service.hh, for wyectl and tests: blocking, one request at a time.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "controlplane-shim/api/service.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"

namespace wye::api {

/// An error says that no shim answered; a Reply that is not ok says what the shim refused.
class Client {
  public:
    static Result<Client> connect(const std::string& path);
    Result<Reply> apply(const std::string& file_name, const std::string& text);
    /// `request`: the keys of the call `worker` (service.hh).
    Result<Reply> worker(nlohmann::json request);
    Result<Reply> show(const std::string& what, const nlohmann::json& filter);
    Result<Reply> call(const nlohmann::json& request);

  private:
    explicit Client(Descriptor socket) : socket_(std::move(socket)) {}
    Descriptor socket_;
    std::string in_;
};

}  // namespace wye::api
