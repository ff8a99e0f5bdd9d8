// What every x86-64-v2 CPU has.
#include "dataplane/table/fib6_lookup_kernel.hh"

namespace wye::table {
namespace {

bool has_baseline() noexcept {
    return true;
}

}  // namespace

const Fib6Variant kFib6Baseline{"x86-64-v2", has_baseline, lookup_pages};

}  // namespace wye::table
