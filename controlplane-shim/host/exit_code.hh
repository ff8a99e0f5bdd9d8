// Exit codes of wyectl host; those of wyectl's other commands mean the same (docs/man/wyectl.1).
#pragma once

namespace wye::host {

enum ExitCode : int { kDone = 0, kRefused = 1, kUsage = 2 };

}  // namespace wye::host
