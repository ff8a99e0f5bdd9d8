#include "controlplane-shim/kernel/namespace.hh"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace wye::kernel {

Result<Descriptor> open_namespace(const std::string& name) {
    const std::string path = name.empty() ? "/proc/self/ns/net" : "/run/netns/" + name;
    Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!descriptor.valid() && errno == ENOENT) {
        return fail("there is no network namespace " + name + ": make it with `ip netns add " +
                    name + "`");
    }
    if (!descriptor.valid())
        return fail("network namespace " + path + " cannot be opened: " + std::strerror(errno));
    return descriptor;
}

Status in_namespace(const std::string& name, const std::function<Status()>& work) {
    if (name.empty()) return work();
    const Result<Descriptor> target = open_namespace(name);
    if (!target) return tl::unexpected<Error>(target.error());
    Status result;
    std::thread helper([&] {
        if (setns(target->get(), CLONE_NEWNET) != 0) {
            result = fail("network namespace " + name +
                          " cannot be entered: " + std::strerror(errno) + " (root is needed)");
        } else {
            result = work();
        }
    });
    helper.join();
    return result;
}

bool same_namespace(int a, int b) {
    struct stat of_a {
    }, of_b{};
    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_ino == of_b.st_ino &&
           of_a.st_dev == of_b.st_dev;
}

Status write_sysctl(const std::string& netns, const std::string& path, const std::string& value) {
    return in_namespace(netns, [&]() -> Status {
        const std::string file = "/proc/sys/net/" + path;
        const Descriptor descriptor(open(file.c_str(), O_WRONLY | O_CLOEXEC));
        const auto size = static_cast<ssize_t>(value.size());
        if (!descriptor.valid() || write(descriptor.get(), value.data(), value.size()) != size)
            return fail(file + " cannot be set to " + value + ": " + std::strerror(errno));
        return {};
    });
}

}  // namespace wye::kernel
