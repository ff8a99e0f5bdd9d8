// What libbpf says while one of these lives: warnings, the verifier's log, what the kernel says to a
// netlink request. Not for two threads at once; ports are set up by one.
#pragma once

#include <string>

namespace wye::drivers {

class LibbpfWords {
  public:
    LibbpfWords();
    ~LibbpfWords();
    LibbpfWords(const LibbpfWords&) = delete;
    LibbpfWords& operator=(const LibbpfWords&) = delete;

    /// All of it, or the errno in words if there is nothing.
    [[nodiscard]] std::string text(int error) const;
    /// Only what the kernel said to a netlink request ("Kernel error message: …"), or the errno.
    [[nodiscard]] std::string kernel(int error) const;
};

}  // namespace wye::drivers
