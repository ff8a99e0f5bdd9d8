// sysfs, read and written file by file. The root is a folder of a test, or /sys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wye::drivers {

class SysTree {
  public:
    explicit SysTree(std::string root = "/sys") : root_(std::move(root)) {}
    virtual ~SysTree() = default;
    SysTree(const SysTree&) = delete;
    SysTree& operator=(const SysTree&) = delete;

    /// Without the end of the line. None: it cannot be read.
    [[nodiscard]] virtual std::optional<std::string> read(const std::string& path) const;
    [[nodiscard]] std::optional<std::uint32_t> read_number(const std::string& path) const;
    /// 0 or errno.
    [[nodiscard]] virtual int write(const std::string& path, const std::string& text);
    [[nodiscard]] bool exists(const std::string& path) const;
    /// The last part of what a link points to; empty: there is no such link.
    [[nodiscard]] std::string link_name(const std::string& path) const;
    /// Names in a folder, in order.
    [[nodiscard]] std::vector<std::string> list(const std::string& path) const;
    [[nodiscard]] std::string full(const std::string& path) const { return root_ + "/" + path; }

  private:
    std::string root_;
};

}  // namespace wye::drivers
