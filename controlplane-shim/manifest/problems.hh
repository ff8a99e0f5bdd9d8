// Where everything that is wrong with a manifest is gathered: nothing stops at the first problem.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/manifest/manifest.hh"

namespace wye::manifest {

class Problems {
  public:
    explicit Problems(std::string file) : file_(std::move(file)) {}
    /// `line` counts from 1; 0: the file as a whole.
    void add(int line, std::string path, std::string text) {
        list_.push_back({file_, line, std::move(path), std::move(text)});
    }
    [[nodiscard]] bool none() const noexcept { return list_.empty(); }
    /// In the order of the file.
    std::vector<Problem> take_sorted();

  private:
    std::string file_;
    std::vector<Problem> list_;
};

}  // namespace wye::manifest
