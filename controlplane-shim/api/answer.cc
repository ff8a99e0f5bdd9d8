// One request, checked key by key, to one answer.
#include <exception>
#include <initializer_list>
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

Reply answer(Service& service, const std::string& line) {
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object()) return refuse("the request is no JSON object on one line");
    const std::string* call = text_of(request, "call");
    if (call != nullptr && *call == "apply") return apply(service, request);
    if (call != nullptr && *call == "show") return show(service, request);
    return refuse("the request's call must be apply or show");
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
