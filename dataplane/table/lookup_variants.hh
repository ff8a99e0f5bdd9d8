// LookupVariants: one burst of lookups, compiled for several instruction sets, and the choice between
// them. Inside of the FIB's readers; interface: fib.hh.
#pragma once

#include <span>

namespace wye::table {

/// `Lookup`: a pointer to the function.
template <class Lookup>
struct LookupVariant {
    const char* name;
    bool (*is_supported)() noexcept;
    Lookup look_up;
};

/// `all`: the fastest first; the last one is supported everywhere. They stand as long as this does.
template <class Lookup>
class LookupVariants {
  public:
    using Variant = LookupVariant<Lookup>;

    explicit LookupVariants(std::span<const Variant> all) noexcept
        : all_(all), in_use_(all.data()) {
        while (!in_use_->is_supported()) ++in_use_;
    }
    [[nodiscard]] std::span<const Variant> all() const noexcept { return all_; }
    [[nodiscard]] const Variant& in_use() const noexcept { return *in_use_; }
    /// For tests and benchmarks, while nobody looks anything up: this one of all() from now on.
    void use(const Variant& variant) noexcept { in_use_ = &variant; }

  private:
    std::span<const Variant> all_;
    const Variant* in_use_;
};

}  // namespace wye::table
