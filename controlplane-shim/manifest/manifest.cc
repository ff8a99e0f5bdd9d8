#include "controlplane-shim/manifest/manifest.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "controlplane-shim/manifest/draft.hh"
#include "controlplane-shim/manifest/yaml_tree.hh"

namespace wye::manifest {
namespace {

constexpr std::size_t kLargestManifest = std::size_t{16} << 20;

Loaded refuse(Problems& problems) {
    return {std::nullopt, problems.take_sorted()};
}

}  // namespace

std::string Problem::to_string() const {
    std::string out = file;
    if (line != 0) out += ":" + std::to_string(line);
    if (!path.empty()) out += ": " + path;
    return out + ": " + text;
}

std::vector<Problem> Problems::take_sorted() {
    std::ranges::stable_sort(list_, {}, &Problem::line);
    return std::exchange(list_, {});
}

Loaded load_manifest(std::string_view yaml, const std::string& file_name) {
    Problems problems(file_name);
    if (yaml.size() > kLargestManifest) {
        problems.add(0, "", "has more than 16 MiB: that is no manifest");
        return refuse(problems);
    }
    const auto root = parse_yaml(yaml, problems);
    if (!root) return refuse(problems);
    Draft draft = read_document(*root, problems);
    check_names(draft, problems);
    check_references(draft, problems);
    check_attachments(draft, problems);
    check_tunnels(draft, problems);
    check_kernel(draft, problems);
    check_quotas(draft, problems);
    if (!problems.none()) return refuse(problems);
    Manifest manifest;
    for (DraftTenant& tenant : draft.tenants) {
        manifest.tenants.push_back(std::move(tenant.tenant));
    }
    return {std::move(manifest), {}};
}

Loaded load_manifest_file(const std::string& path) {
    Problems problems(path);
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) text << file.rdbuf();
    if (!file || (text.str().empty() && errno != 0)) {
        problems.add(0, "", std::string("cannot be read: ") + std::strerror(errno));
        return refuse(problems);
    }
    return load_manifest(text.str(), path);
}

}  // namespace wye::manifest
