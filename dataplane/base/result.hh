// Result<T>: a value or one clear error. Errors name the object and, where there is one, the fix.
// Not for the pipeline, whose answers are verdicts with reasons (dataplane/table/reason.hh).
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace wye {

struct Error {
    std::string text;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::string text) {
    return tl::unexpected<Error>(Error{std::move(text)});
}

}  // namespace wye
