// One request, checked key by key, to one answer.
#include <algorithm>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <utility>

#include "controlplane-shim/api/columns.hh"
#include "controlplane-shim/api/server.hh"

namespace wye::api {
namespace {

using nlohmann::json;

Reply refuse(std::vector<std::string> errors) {
    return {false, nullptr, std::move(errors)};
}
Reply refuse(std::string error) {
    return refuse(std::vector<std::string>{std::move(error)});
}

std::string encode(const Reply& reply) {
    json line{{"ok", reply.ok}};
    if (reply.ok) {
        line["result"] = reply.result;
    } else {
        line["errors"] = reply.errors;
    }
    // Names and texts may hold bytes that are no UTF-8: shown as replacement characters.
    return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

const std::string* text_of(const json& request, const char* key) {
    const auto found = request.find(key);
    if (found == request.end() || !found->is_string()) return nullptr;
    return found->get_ptr<const std::string*>();
}

std::optional<Reply> refuse_unknown_keys(const json& request,
                                         std::initializer_list<std::string_view> known) {
    for (const auto& [key, value] : request.items()) {
        bool is_known = false;
        for (const auto one : known) is_known = is_known || key == one;
        if (!is_known) return refuse("the request has an unknown key " + key);
    }
    return std::nullopt;
}

Reply apply(Service& service, const json& request) {
    if (auto refused = refuse_unknown_keys(request, {"call", "file", "text"})) return *refused;
    const std::string* file = text_of(request, "file");
    const std::string* text = text_of(request, "text");
    if (file == nullptr || text == nullptr) {
        return refuse("apply needs the file's name and its text");
    }
    return service.apply(*file, *text);
}

Reply show(Service& service, const json& request) {
    if (auto refused = refuse_unknown_keys(request, {"call", "what", "filter"})) return *refused;
    const std::string* what = text_of(request, "what");
    if (what == nullptr || find_show(*what) == nullptr) {
        return refuse("there is no show " + (what == nullptr ? "without what" : *what));
    }
    const json filter = request.value("filter", json::object());
    if (auto problems = check_filter(*what, filter); !problems.empty()) {
        return refuse(std::move(problems));
    }
    return service.show(*what, filter);
}

std::optional<std::uint32_t> number_of(const json& request, const char* key) {
    const auto found = request.find(key);
    if (found == request.end() || !found->is_number_unsigned()) return std::nullopt;
    const auto value = found->get<std::uint64_t>();
    if (value > UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(value);
}

Reply worker(Service& service, const json& request) {
    if (auto refused =
            refuse_unknown_keys(request, {"call", "do", "worker", "core", "share", "queue"})) {
        return *refused;
    }
    using What = WorkerRequest::What;
    constexpr std::pair<std::string_view, What> kWhats[] = {
        {"add", What::add}, {"move", What::move}, {"remove", What::remove}, {"place", What::place}};
    const std::string* what = text_of(request, "do");
    const auto* found = std::find_if(std::begin(kWhats), std::end(kWhats), [&](const auto& one) {
        return what != nullptr && one.first == *what;
    });
    if (found == std::end(kWhats)) return refuse("worker's do must be add, move, remove or place");
    WorkerRequest wanted;
    wanted.what = found->second;
    wanted.worker = number_of(request, "worker");
    const auto core = number_of(request, "core");
    const auto queue = number_of(request, "queue");
    if (wanted.what != What::add && !wanted.worker) return refuse("which worker is not said");
    if ((wanted.what == What::add || wanted.what == What::move) && !core) {
        return refuse("which core is not said");
    }
    if (wanted.what == What::place && !queue) return refuse("which queue is not said");
    wanted.core = core.value_or(0);
    wanted.queue = queue.value_or(0);
    wanted.share = request.value("share", json(false)) == json(true);
    return service.worker(wanted);
}

Reply answer(Service& service, const std::string& line) {
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object()) return refuse("the request is no JSON object on one line");
    const std::string* call = text_of(request, "call");
    if (call != nullptr && *call == "apply") return apply(service, request);
    if (call != nullptr && *call == "show") return show(service, request);
    if (call != nullptr && *call == "worker") return worker(service, request);
    return refuse("the request's call must be apply, show or worker");
}

}  // namespace

std::string answer_line(Service& service, const std::string& line) {
    try {
        return encode(answer(service, line));
    } catch (const std::exception& fault) {
        return encode(
            refuse(std::string("the shim has a fault, please report it: ") + fault.what()));
    }
}

}  // namespace wye::api
