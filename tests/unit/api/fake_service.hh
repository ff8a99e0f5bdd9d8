// A shim's service with fixed rows, that remembers what it was asked, and a thread that serves it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "controlplane-shim/api/server.hh"

namespace wye::api {

class FakeService final : public Service {
  public:
    Reply apply(const std::string& file_name, const std::string& text) override {
        applied_file = file_name;
        applied_text = text;
        if (text.find("bad") != std::string::npos) {
            return {
                false, nullptr, {file_name + ":3: tenants[0]: first", file_name + ":4: second"}};
        }
        return {true, changes, {}};
    }
    Reply worker(const WorkerRequest& request) override {
        asked_worker = request;
        return {true,
                nlohmann::json::array({{{"change", "added"}, {"kind", "worker"}, {"name", "1"}}}),
                {}};
    }
    Reply show(const std::string& what, const nlohmann::json& filter) override {
        shown_what = what;
        shown_filter = filter;
        if (what == "rings") throw std::runtime_error("boom");
        return {true, rows.contains(what) ? rows[what] : nlohmann::json::array(), {}};
    }

    std::string applied_file, applied_text, shown_what;
    nlohmann::json shown_filter, changes = nlohmann::json::array();
    std::map<std::string, nlohmann::json> rows;
    WorkerRequest asked_worker;
};

/// A directory with the server's socket in it, as an instance "one"; served until destruction.
class Served {
  public:
    explicit Served(FakeService& service, const ServerLimits& limits = {})
        : stop_(eventfd(0, EFD_CLOEXEC)) {
        std::string pattern = "/tmp/wye-api-XXXXXX";
        run_dir = mkdtemp(pattern.data());
        std::filesystem::create_directory(run_dir + "/one");
        path = run_dir + "/one/shim.sock";
        auto listening = Server::listen(path, service, limits);
        EXPECT_TRUE(listening) << listening.error().text;
        thread_ = std::thread([this, server = std::move(*listening)]() mutable {
            std::array<pollfd, 2> ready{
                {{server.descriptor(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
            for (;;) {
                poll(ready.data(), ready.size(), -1);
                if (ready[1].revents != 0) return;
                server.run();
                clients = server.clients();
            }
        });
    }
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;
    ~Served() {
        const std::uint64_t one = 1;
        EXPECT_EQ(write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
        thread_.join();
        std::filesystem::remove_all(run_dir);
    }

    std::string run_dir, path;
    std::atomic<std::size_t> clients{0};

  private:
    Descriptor stop_;
    std::thread thread_;
};

}  // namespace wye::api
