// WYE_CHECK: an invariant of ours that, broken, makes going on worse than stopping. Never for input.
#pragma once

#include <cstdio>
#include <cstdlib>

#define WYE_CHECK(condition, text)                                                              \
    do {                                                                                        \
        if (!(condition)) [[unlikely]] {                                                        \
            std::fprintf(stderr, "wye: broken invariant: %s (%s) at %s:%d\n", text, #condition, \
                         __FILE__, __LINE__);                                                   \
            std::abort();                                                                       \
        }                                                                                       \
    } while (false)
